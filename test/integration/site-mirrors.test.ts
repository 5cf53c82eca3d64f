// A mirror is replicated to a server of another site, while its client writes. The client makes the moments. A server of the mirror is
// killed: the follower gets further moments from the other one, and only what differs. Each moment equals the snapshot of the mirror. Skipped
// without root, loop devices or xfsprogs.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { loopbackMirrorPlaces, MirrorSite } from '../support/scenes/mirror-site.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 32 * MIB;
const WAIT_MS = 60_000;
const TARGET = 'oslo-1';

const hosts = useHosts();

interface Known {
  readonly snapshot: string;
  readonly momentMs: number;
  readonly content: Buffer;
}

/** Returns the snapshots of volume db of a server, by id; those of a follower by the ids of their originals. */
async function snapshotsOf(server: Host): Promise<readonly Known[]> {
  const { volume, snapshots } = await callServer(server.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
  const folder = path.join(path.dirname(volume.path!), 'snapshots');
  return snapshots.map(({ snapshot, createdMs }) => ({
    snapshot,
    momentMs: createdMs,
    content: readFileSync(path.join(folder, `${snapshot}.data`)),
  }));
}

it('a mirror is replicated by the moments that its client makes, also when one of its servers is lost', {
  timeout: 5 * WAIT_MS,
}, async (context) => {
  const places = await loopbackMirrorPlaces(hosts);
  const servers = places.servers.slice(0, 2) as [Host, Host];
  const disk = reflinkDisk(hosts, servers[0], context);
  const [parent, folder] = ['pools', 'target'].map((name) => path.join(disk, name)) as [string, string];
  for (const one of [parent, folder]) mkdirSync(one);
  const site = await MirrorSite.start(places, { poolParent: parent, defaults: { stall: 'forever' } }, (action) => hosts.onClean(action));
  const { client } = site;
  await site.addMirror('db', SIZE_BYTES);

  const target = hosts.host();
  const own = await hosts.network(1);
  target.writeConfig(
    'rssrv',
    serverConfig(own, { name: TARGET, server: { serverid: '9' }, volumes: {}, clients: { venus: keyOf('venus') } }),
  );
  await target.start('rssrv');
  await target.rsadmWell('pool', 'add', 'safe', folder, '--reserve', '0%');
  const key = target.file('key');
  writeFileSync(key, keyOf(TARGET));
  for (const [index, server] of servers.entries()) {
    await server.rsadmWell('client', 'add', TARGET, '--key-file', key);
    const address = `${places.addresses[index]![0]!}:${places.port}`;
    await target.rsadmWell('peer', 'add', `pi-${index + 1}`, '--address', address, '--key-file', key);
  }
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  hosts.onClean(() => nbd.close());
  let round = 0;
  /** Writes, and waits for a moment that began after the write. Returns what the follower has then. */
  const nextMoment = async (): Promise<Known> => {
    round++;
    await nbd.write((round % 30) * MIB, Buffer.alloc(MIB, round));
    await nbd.write(31 * MIB, Buffer.alloc(512, round));
    const newest = async (): Promise<Known | undefined> => (await snapshotsOf(target).catch(() => [])).at(-1);
    const hasRound = async (): Promise<boolean> => (await newest())?.content[31 * MIB] === round;
    await waitFor(hasRound, WAIT_MS, `The follower has round ${round}`);
    return (await newest())!;
  };
  const isMomentOf = async (server: Host, known: Known): Promise<boolean> =>
    (await snapshotsOf(server)).some((one) => one.snapshot === known.snapshot && one.content.equals(known.content));

  const refused = await servers[0].rsadm('volume', 'snapshot', 'db@own');
  expect(refused.stderr).toContain('is a replica of mirror');
  expect(await client.rsconfigWell('volume', 'replicate', 'db', '--to', TARGET, '--every', '2s', '--keep', '4')).toContain(
    `replicated to ${TARGET} every 2s`,
  );
  for (let count = 0; count < 2; count++) {
    const known = await nextMoment();
    // With short intervals, a server may have refused the moment, because it did not know yet that earlier ones were copied.
    expect((await isMomentOf(servers[0], known)) || (await isMomentOf(servers[1], known))).toBe(true);
  }
  // Both servers of the mirror learn what is copied, so that they keep few moments.
  await waitFor(
    async () => (await snapshotsOf(servers[0])).length <= 6 && (await snapshotsOf(servers[1])).length <= 6,
    WAIT_MS,
    'Few moments are kept',
  );

  const { replications } = await callServer(target.rssrvPaths.controlSocket, 'replication-list', {});
  expect(replications).toMatchObject([{ direction: 'in', volumes: [{ name: 'db' }] }]);
  const lost = replications[0]!.peer === 'pi-1' ? 0 : 1;
  await servers[lost]!.kill('rssrv');
  expect(await isMomentOf(servers[1 - lost]!, await nextMoment())).toBe(true);
  await servers[lost]!.start('rssrv');
  await site.untilInSync();

  await client.rsconfigWell('volume', 'replicate', 'db', '--end');
  const last = (await snapshotsOf(target)).at(-1)!;
  expect(await target.rsadmWell('volume', 'promote', 'db', '--yes')).toContain('promoted');
  const { volume } = await callServer(target.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
  expect(readFileSync(volume.path!).equals(last.content)).toBe(true);
});
