// Makes findings with remedies from the answers of an rsiod. Pure.
// Invariant: a path that is connecting for the first time is not a fault.

import { waitingText } from '@rsio/api/rsiod/methods';
import { printEndpoint } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { PathState } from '@rsio/base/lib/path-states';
import type { ClientFacts, ClientPath } from './client-picture.ts';
import { pathsIn } from './client-picture.ts';
import { hrefOf, clientId, serverId } from '../model/ids.ts';
import type { Finding } from '../model/picture.ts';
import { finding } from '../model/remedies.ts';

const DOCTOR = ['rsconfig doctor'];
const STATUS = ['rsconfig -m status -v'];
/** A path that has been connecting for longer than this is reported. */
const CONNECTING_LASTS_MS = 3_000;
/** A backup that is older than this is reported as late. The alert rules in packaging/prometheus use the same limit. */
const BACKUP_LATE_MS = 26 * 3_600_000;
const CARRYING: ReadonlySet<PathState> = new Set(['up', 'probation']);

export function clientFindings(facts: ClientFacts): Finding[] {
  const client = clientId(facts.namespaces[0]?.nodename ?? facts.daemon.nodename);
  return [
    ...pathFindings(facts, client),
    ...waitFindings(facts, client),
    ...mirrorFindings(facts, client),
    ...backupFindings(facts, client),
  ];
}

function pathFindings(facts: ClientFacts, client: string): Finding[] {
  const all = pathsIn(facts).filter(({ path }) => path.state !== 'retired');
  const servers = [...new Set(all.map(({ server }) => server))];
  return servers.flatMap((server) => {
    const paths = all.filter((one) => one.server === server);
    const carrying = paths.filter(({ path }) => CARRYING.has(path.state));
    const broken = paths.filter((one) => isBroken(one, facts.wallMs));
    const place = { where: `client ${client}`, href: hrefOf('client', client), commands: DOCTOR };
    const each = broken.map(({ path }) => {
      const { state, lastError, sinceMs } = path;
      const ends = `${path.interface} -> ${printEndpoint(path.address, path.port)}`;
      const why = lastError === null ? '' : ` (${lastError})`;
      const is = state === 'suspect' ? 'is silent' : 'is down';
      const sentence = `Path ${ends} of client ${client} to server ${server.name} ${is}${why}: check cable, switch and address on both ends`;
      return finding('error', `path ${ends}`, sentence, { ...place, sinceMs });
    });
    if (carrying.length === 0 && broken.length > 0) {
      const sentence = `Client ${client} has no path to server ${server.name}: bring the server or one of its interfaces back`;
      const sinceMs = Math.max(...broken.map(({ path }) => path.sinceMs));
      return [
        finding('error', 'no path', sentence, {
          where: `server ${server.name}`,
          href: hrefOf('server', serverId(server.name)),
          sinceMs,
          commands: DOCTOR,
        }),
        ...each,
      ];
    }
    if (carrying.length === 1 && paths.length >= 1) {
      const sentence = `Client ${client} reaches server ${server.name} by a single path: bring another one up, or I/O waits when this one fails`;
      return [...each, finding('warning', `single path to ${server.name}`, sentence, place)];
    }
    return each;
  });
}

function isBroken({ path }: ClientPath, wallMs: number): boolean {
  if (CARRYING.has(path.state)) return false;
  if (path.state === 'down' || path.state === 'suspect') return true;
  return path.retries > 0 || wallMs - path.sinceMs > CONNECTING_LASTS_MS;
}

function waitFindings({ status, attachments, awaited }: ClientFacts, client: string): Finding[] {
  const ids = new Map(attachments.map((one) => [`${one.namespace}:${one.name}@${one.universe}`, one.id]));
  const waiting = status.waiting.map((wait) => {
    const id = ids.get(wait.volume);
    const place = {
      where: `volume ${wait.volume}`,
      href: id === undefined ? null : hrefOf('volume', id),
      sinceMs: wait.sinceMs,
      commands: STATUS,
    };
    const sentence = `${wait.volume} of client ${client} ${waitingText(wait)}: bring back what it waits for, I/O then goes on by itself`;
    return finding('error', `wait ${client}`, sentence, place);
  });
  const missing = awaited.map((one) => {
    const label = `${one.namespace}:${one.name}@${one.universe}`;
    const sentence = `${label} was attached before rsiod restarted and is not attached again yet (${one.reason}): rsconfig -d ${label} ends the attempts`;
    return finding('error', `awaited ${client}`, sentence, { where: `volume ${label}`, href: hrefOf('volume', one.id), commands: STATUS });
  });
  return [...waiting, ...missing];
}

function mirrorFindings({ status, attachments }: ClientFacts, client: string): Finding[] {
  const ids = new Map(attachments.map((one) => [`${one.namespace}:${one.name}@${one.universe}`, one.id]));
  return status.mirrors.flatMap(({ volume, replicas, waitsFor }) => {
    const id = ids.get(volume);
    const href = id === undefined ? null : hrefOf('mirror', id);
    const place = { where: `mirror ${volume}`, href, commands: ['rsconfig mirror list'] };
    const inSync = replicas.filter(({ state, isOpen }) => state === 'in sync' && isOpen);
    const stops =
      inSync.length > 0 && waitsFor === null
        ? []
        : [
            finding(
              'error',
              'mirror waits',
              `Mirror ${volume} of client ${client} waits for ${waitsFor ?? 'a replica in sync'}: bring its servers back, it then goes on by itself`,
              place,
            ),
          ];
    const behind = replicas.flatMap((replica) => {
      if (replica.state === 'in sync') return [];
      const remedy = replica.state === 'copying' ? 'wait until all is copied' : `bring server ${replica.server} back`;
      const is = replica.state === 'copying' ? 'is being brought up to date' : 'is behind';
      return [
        finding('warning', `replica ${replica.server}`, `The replica of mirror ${volume} on ${replica.server} ${is}: ${remedy}`, place),
      ];
    });
    return [...stops, ...behind];
  });
}

/** A volume is reported only if this machine has backed it up before. */
function backupFindings({ backups, wallMs }: ClientFacts, client: string): Finding[] {
  return backups.flatMap(({ namespace, name, universe, atMs }) => {
    if (wallMs - atMs <= BACKUP_LATE_MS) return [];
    const label = volumeLabel({ namespace, name, universe });
    const hours = Math.floor((wallMs - atMs) / 3_600_000);
    const sentence = `The newest backup of ${label} by client ${client} is ${hours} h old: run rsconfig backup, and look at what should have run it`;
    return [
      finding('warning', `backup by ${client}`, sentence, { where: `volume ${label}`, href: hrefOf('client', client), sinceMs: atMs }),
    ];
  });
}
