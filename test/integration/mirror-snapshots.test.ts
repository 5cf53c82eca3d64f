// Snapshots of a mirror with real daemons on XFS: both servers have the same content of one moment, even under writes. A server that was
// away makes no snapshot, and a reader gets the snapshot of the mirror from the other server. A rollback gives the mirror the content of a
// snapshot. Skipped without root or xfsprogs. Rules: G33.

import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { callServer } from '@rsio/api/rssrv/call-server';
import { useHosts } from '../support/hosts/hosts.ts';
import type { Host } from '../support/hosts/host.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { loopbackMirrorPlaces, MirrorSite } from '../support/scenes/mirror-site.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 16 * MIB;
const TEST_MS = 300_000;
const SOON_MS = 30_000;

const hosts = useHosts();

async function snapshotData(server: Host, snapshot: string): Promise<Buffer | null> {
  const { volume, snapshots } = await callServer(server.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
  if (!snapshots.some((one) => one.snapshot === snapshot && one.moment?.isProven === true)) return null;
  return readFileSync(path.join(path.dirname(volume.path!), 'snapshots', `${snapshot}.data`));
}

async function open(client: Host, name: string): Promise<NbdIo> {
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, name);
  hosts.onClean(() => nbd.close());
  return nbd;
}

const filled = (value: number): Buffer => Buffer.alloc(MIB, value);

it(
  'snapshots of a mirror are of one moment on all servers in sync, are read where they are, and the mirror is rolled back to them',
  async (context) => {
    const places = await loopbackMirrorPlaces(hosts);
    const [first, second] = places.servers as [Host, Host];
    const parent = path.join(reflinkDisk(hosts, first, context), 'pools');
    mkdirSync(parent);
    const site = await MirrorSite.start(places, { poolParent: parent, defaults: { stall: 'forever' } }, (action) => hosts.onClean(action));
    const { client } = site;
    await site.addMirror('db', SIZE_BYTES);
    const nbd = await open(client, 'osl/db');
    await nbd.write(0, filled(1));
    // Under writes, the snapshots of both servers must be equal.
    let isOver = false;
    const writer = (async () => {
      for (let round = 1; !isOver; round++) await nbd.write((2 + (round % 8)) * MIB, filled(round % 250));
    })();
    const made = await client.rsconfig('volume', 'snapshot', 'db@x');
    isOver = true;
    await writer;
    expect(made).toMatchObject({ code: 0, stdout: 'osl:db@0@x made, 16.0M\n' });
    expect(made.stderr).toContain('osl:db@0@x is on pi-1 and pi-2');
    const [one, two] = [await snapshotData(first, 'x'), await snapshotData(second, 'x')];
    expect(one?.equals(two!)).toBe(true);
    expect(one!.subarray(0, MIB).equals(filled(1))).toBe(true);

    // A server that was away has an old replica, and makes snapshots only after its replica is copied.
    site.kill(0);
    await nbd.write(0, filled(2));
    await nbd.flush();
    const alone = await client.rsconfig('volume', 'snapshot', 'db@y', '--wait=30s');
    expect(alone).toMatchObject({ code: 0, stderr: expect.stringContaining('osl:db@0@y is on pi-2') as string });
    expect(alone.stderr).toContain('Server pi-1 does not have osl:db@0@y');
    await site.startAgain(0);
    await site.untilInSync();
    expect(await snapshotData(first, 'y')).toBeNull();
    await client.rsconfigWell('-a', 'db@y', '--read-only', '--wait=30s');
    const y = await open(client, 'osl/db@y');
    expect((await y.read(0, MIB)).equals(filled(2))).toBe(true);
    y.close();
    await client.rsconfigWell('-d', 'db@y', '--wait=30s');
    const plain = await first.rsadm('volume', 'snapshot', 'db@z');
    expect(plain).toMatchObject({ code: 2, stderr: expect.stringContaining('is a replica of mirror') as string });
    expect(await client.rsconfigWell('volume', 'show', 'db')).toContain('y of');

    // A rollback is refused while the mirror is attached. When the mirror is detached, the rollback copies only the differences.
    expect((await client.rsconfig('volume', 'rollback', 'db@x')).stderr).toContain('osl:db@0 is attached here');
    nbd.close();
    await client.rsconfigWell('-d', 'db', '--wait=30s');
    expect(await client.rsconfigWell('volume', 'rollback', 'db@x')).toContain(
      'osl:db@0 has the content of snapshot x; its content before is',
    );
    await client.rsconfigWell('-a', 'db');
    const after = await open(client, 'osl/db');
    const content: Buffer[] = [];
    for (let at = 0; at < SIZE_BYTES; at += MIB) content.push(await after.read(at, MIB));
    expect(Buffer.concat(content).equals(one!)).toBe(true);
    await client.rsconfigWell('mirror', 'verify', 'db');
    after.close();

    await waitFor(async () => (await client.rsconfig('volume', 'remove', 'db@x', '--yes')).code === 0, SOON_MS, 'the snapshot is removed');
    expect(await snapshotData(first, 'x')).toBeNull();
    expect(await snapshotData(second, 'x')).toBeNull();
  },
  TEST_MS,
);
