// Makes findings with remedies from the answers of an rssrv. Pure.
// Invariant: the sentences are the same as those of rsadm.

import { waitWarnings } from '@rsio/api/views/server-stats';
import { changeWarnings, driftWarnings, poolWarnings, volumeWarnings, witnessWarnings } from '@rsio/api/manage/server-warnings';
import type { ManagedVolumeView, PoolView } from '@rsio/api/views/views';
import { hrefOf, clientId, poolId, serverId, volumeId } from '../model/ids.ts';
import { POOL_ERROR, POOL_WARNING } from '../limits.ts';
import type { Finding } from '../model/picture.ts';
import { finding } from '../model/remedies.ts';
import type { ServerFacts } from './server-picture.ts';

export function serverFindings(facts: ServerFacts): Finding[] {
  const name = facts.daemon.nodename;
  const server = { where: `server ${name}`, href: hrefOf('server', serverId(name)) };
  const ofServer = [
    ...changeWarnings(facts.change, facts.wallMs).map((sentence) => finding('warning', 'busy', sentence, server)),
    ...witnessWarnings(facts.witnesses).map((sentence, at) => finding('warning', `vote ${at}`, sentence, server)),
    ...driftWarnings(facts.file).map((sentence, at) =>
      finding('warning', `drift ${at}`, sentence, { ...server, commands: ['rsadm drift'] }),
    ),
    ...facts.interfaces.flatMap((one) => {
      if (one.state === 'listening') return [];
      const why = one.reason ?? 'rsadm interface list shows why';
      const sentence = `Interface ${one.name} (${one.address}) of server ${name} is not listening: ${why}`;
      return [finding('error', `interface ${one.name}`, sentence, server)];
    }),
  ];
  return [...ofServer, ...facts.pools.flatMap((pool) => poolFindings(pool, facts)), ...volumeFindings(facts), ...waitFindings(facts)];
}

function poolFindings(pool: PoolView, { daemon }: ServerFacts): Finding[] {
  const server = serverId(daemon.nodename);
  const place = { where: `pool ${pool.name} of server ${daemon.nodename}`, href: hrefOf('pool', poolId(server, pool.name)) };
  const { totalBytes, freeBytes } = pool;
  const used = totalBytes === null || freeBytes === null || totalBytes === 0 ? 0 : 1 - freeBytes / totalBytes;
  // The server's warning about the fill level is omitted, because the code below reports the level in finer steps.
  const told = poolWarnings(pool.isShort ? pool : { ...pool, fullPercent: null }).map((sentence, at) => {
    const isError = pool.state !== 'ready' || pool.isShort;
    return finding(isError ? 'error' : 'warning', `state ${at}`, sentence, place);
  });
  if (pool.isShort || used < POOL_WARNING) return told;
  const sentence = `Pool ${pool.name} is ${Math.floor(used * 100)}% full: enlarge its file system, or remove volumes`;
  return [...told, finding(used >= POOL_ERROR ? 'error' : 'warning', 'full', sentence, { ...place, commands: ['rsadm pool list'] })];
}

function volumeFindings({ volumes, daemon }: ServerFacts): Finding[] {
  const server = serverId(daemon.nodename);
  return volumes.flatMap((volume) => {
    const id = volumeId(volume.id, server, volume.name, volume.universe);
    const label = `${volume.name}@${volume.universe}`;
    const place = { where: `volume ${label}`, href: hrefOf('volume', id), commands: [`rsadm volume show ${label}`] };
    // A wait for space is omitted here, because waitFindings() reports it with its start time.
    const sentences = volumeWarnings({ ...volume, waitsForSpace: false });
    const severity = volume.state === 'served' ? 'warning' : 'error';
    return sentences.map((sentence, at) => finding(severity, `state ${at}`, sentence, place));
  });
}

function waitFindings({ stats, volumes, daemon, wallMs }: ServerFacts): Finding[] {
  const server = serverId(daemon.nodename);
  const hrefs = new Map(
    volumes.map((one) => [`${one.name}@${one.universe}`, hrefOf('volume', volumeId(one.id, server, one.name, one.universe))]),
  );
  const waits = stats.waits.flatMap((wait) => {
    const { client, volume, why, sinceMs } = wait;
    const known = volume === '-' ? hrefOf('client', clientId(client)) : (hrefs.get(volume) ?? null);
    const place = { where: volume === '-' ? `client ${client}` : `volume ${volume}`, href: known, sinceMs };
    const spaceText = `Writes of client ${client} to volume ${volume} wait for space in its pool: enlarge its file system, or remove volumes`;
    const sentences = why === 'space' ? [spaceText] : waitWarnings([wait], wallMs);
    return sentences.map((sentence) => finding('error', `wait ${why} ${client}`, sentence, place));
  });
  const hung = stats.sessions
    .filter(({ isBlocked }) => isBlocked)
    .map(({ client }) => {
      const sentence = `The process of server ${daemon.nodename} for client ${client} hangs in a call to storage: check its disks (dmesg), then rsslogcat`;
      const place = { where: `client ${client}`, href: hrefOf('client', clientId(client)), commands: ['rsslogcat -n 20'] };
      return finding('error', 'hung', sentence, place);
    });
  return [...hung, ...waits, ...haltFindings(volumes, server)];
}

function haltFindings(volumes: readonly ManagedVolumeView[], server: string): Finding[] {
  return volumes.flatMap(({ id, name, universe, halt }) => {
    if (halt === null) return [];
    const label = `${name}@${universe}`;
    const end = `rsadm volume ${halt.kind === 'stopped' ? 'start' : 'resume'} ${label}`;
    const is = halt.kind === 'stopped' ? 'is stopped, and its I/O is refused' : 'is paused, and its I/O waits';
    const href = hrefOf('volume', volumeId(id, server, name, universe));
    const place = { where: `volume ${label}`, href, sinceMs: halt.sinceMs, commands: [end] };
    return [finding('warning', halt.kind, `Volume ${label} ${is}: ${end} ends this`, place)];
  });
}
