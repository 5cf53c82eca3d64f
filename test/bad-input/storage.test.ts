// Storage that fails under a running server: full, truncated, removed, replaced. The application gets the matching error, and the log names
// volume, file and remedy. Other volumes are not affected. When the storage recovers, the volume also recovers, without a restart. The file
// systems that become full are small, in memory, and only in the mount namespace of the server.

import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { run } from '../support/programs/programs.ts';
import { deathsOfPaths } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 * 1024;
/**
 * Shell script with the words `DISK LAUNCHER --root ROOT ...`: mounts a file system of 4 MiB on DISK, and one of 64 KiB on the folder of
 * the server's state, and then runs the launcher.
 */
const WITH_SMALL_DISKS = `disk="$1"; shift; state="$3/var/lib/rsio/rssrv"
mkdir -p "$disk" "$state"
mount -t tmpfs -o size=4m none "$disk"; mount -t tmpfs -o size=64k none "$state"
exec "$@"`;

const hosts = useHosts('file');
let server: Host;
let client: Host;
let other: NbdIo;
let pid = 0;
let whyNoDisks: string | null = null;

beforeAll(async () => {
  client = hosts.host();
  const inSmallDisks = ['unshare', process.getuid?.() === 0 ? '-m' : '-rm', 'sh', '-ec', WITH_SMALL_DISKS, 'sh'];
  const tried = await run(inSmallDisks[0] ?? '', [
    ...inSmallDisks.slice(1),
    client.file('tried/x'),
    'true',
    '--root',
    client.file('tried'),
  ]).catch((error: Error) => ({ code: null, stderr: `${error.message}: install util-linux` }));
  if (tried.code !== 0) whyNoDisks = `needs a mount namespace of its own: ${tried.stderr.trim()}`;
  server = hosts.host(whyNoDisks === null ? [...inSmallDisks, path.dirname(client.file('disk/x'))] : []);
  const network = await hosts.network(2);
  const file = (name: string): Record<string, string> => ({ path: client.file(`storage/${name}.img`), size: '8m' });
  const volumes = {
    full: { path: client.file('disk/full.img'), size: '8m' },
    cut: file('cut'),
    moved: file('moved'),
    replaced: file('replaced'),
    spare: file('spare'),
    last: file('last'),
    other: { type: 'memory', size: '1m', id: randomUUID() },
  };
  server.writeConfig('rssrv', serverConfig(network, { volumes }));
  await server.start('rssrv');
  pid = server.pid('rssrv');
  // `dead` is long, because a slow machine may be silent for three seconds, and no path may die in this test.
  client.writeConfig('rsiod', clientConfig(network, { defaults: { dead: '12s' } }));
  await client.start('rsiod');
  await client.pathsUp(2);
  await client.rsconfigWell('-a', 'other');
  other = await open('other');
});

/**
 * Expects that only the user of the volume noticed the failure: the processes are the same, no path was lost, and another volume still
 * works.
 */
afterEach(async () => {
  await other.verify(0, 65_536);
  expect(await deathsOfPaths(client, 2)).toEqual([0, 0]);
  expect(server.pid('rssrv')).toBe(pid);
  expect(server.log('rssrv')).not.toMatch(/ died|AssertionError|TypeError/);
});

async function open(name: string): Promise<NbdIo> {
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`);
  hosts.onClean(() => nbd.close());
  return nbd;
}

async function attached(name: string): Promise<NbdIo> {
  await client.rsconfigWell('-a', name);
  return open(name);
}

/** Expects that `rsconfig -a` fails and prints only this line. */
async function expectRefused(name: string, line: string): Promise<void> {
  const { code, stderr } = await client.rsconfig('-a', name);
  expect(stderr).toBe(`rsconfig: osl:${name}@0: ${line}\n`);
  expect(code).toBe(1);
}

/** Waits until the server's log has this line, and expects the line only once. */
async function logged(line: string): Promise<void> {
  const count = (): number =>
    server
      .log('rssrv')
      .split('\n')
      .filter((one) => one === line).length;
  await waitFor(() => count() > 0, 2_000, `The server's log says ${line}`).catch((error: Error) => {
    throw new Error(`${error.message}:\n${server.log('rssrv')}`);
  });
  expect(count()).toBe(1);
}

/** Path under which the test sees a folder in the server's mount namespace. */
function atServer(folder: string): string {
  return `/proc/${pid}/root${folder}`;
}

it('full: writes get ENOSPC, written data stays, and writes continue once there is room', async (context) => {
  context.skip(whyNoDisks !== null, whyNoDisks ?? '');
  const nbd = await attached('full');
  const file = client.file('disk/full.img');
  const filler = path.join(atServer(path.dirname(file)), 'filler');
  writeFileSync(filler, Buffer.alloc(2 * MIB, 1));
  await nbd.write(0, Buffer.alloc(MIB, 7));
  await expect(nbd.write(4 * MIB, Buffer.alloc(2 * MIB, 7))).rejects.toThrow('Errno 28 ');
  for (let time = 0; time < 300; time++) await expect(nbd.write(7 * MIB, Buffer.alloc(4096, 7))).rejects.toThrow('Errno 28 ');
  await logged(`Volume full: write of ${file} failed (ENOSPC): free space there`);
  const { events } = await client.call('events', { count: 100 });
  const reason = "A write ended with ENOSPC: The server's storage is full: free space on the server (see the log of server big-9)";
  expect(events.filter(({ to }) => to === 'failing')).toMatchObject([{ object: 'volume osl:full@0', from: 'open', reason }]);
  const told = (): number => client.log('rsiod').split(`Volume osl:full@0: ${reason}`).length - 1;
  await waitFor(() => told() > 0, 2_000, 'The log of the client says so, too');
  expect(told()).toBe(1);
  expect((await nbd.read(0, MIB)).equals(Buffer.alloc(MIB, 7))).toBe(true);
  rmSync(filler);
  await nbd.verify(7 * MIB, 4096);
});

it('truncated: its I/O waits and OPEN is refused until the file is complete and the server reloads', async () => {
  const nbd = await attached('cut');
  const file = client.file('storage/cut.img');
  await nbd.verify(0, 65_536);
  truncateSync(file, 4 * MIB);
  let read: Buffer | null = null;
  const reading = nbd.read(6 * MIB, 4096).then((found) => (read = found));
  const why = `Volume cut: ${file} was truncated to 4194304 bytes while 8388608 bytes of it were served, and it is not served until it is whole`;
  await waitFor(() => server.log('rssrv').includes(why), 10_000, 'The server has noticed');
  await waitFor(() => client.log('rsiod').includes(`Volume cut of server big-9 waits: ${why}`), 10_000, 'The client knows why it waits');
  const refused = await client.rsconfig('-a', 'cut');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(`${why}: restore its content in the same file`)]);
  expect(client.log('rsiod').split(`Volume cut of server big-9 waits: ${why}`)).toHaveLength(2);
  truncateSync(file, 8 * MIB);
  process.kill(pid, 'SIGHUP');
  await logged(`Volume cut: ${file} is whole again and is served`);
  expect((await reading).equals(Buffer.alloc(4096))).toBe(true);
  expect(read).not.toBeNull();
  await nbd.verify(6 * MIB, 4096);
  nbd.close();
});

it('removed: a client that has it open continues, no other client can open it, and it returns with the file', async () => {
  const nbd = await attached('moved');
  const file = client.file('storage/moved.img');
  renameSync(file, `${file}.away`);
  await nbd.write(0, Buffer.alloc(4096, 9));
  nbd.close();
  await client.rsconfigWell('-d', 'moved');
  await expectRefused(
    'moved',
    `${file} of volume moved cannot be opened (ENOENT): check that it exists and that rssrv may use it [E_VOLUME]`,
  );
  renameSync(`${file}.away`, file);
  expect((await (await attached('moved')).read(0, 4096)).equals(Buffer.alloc(4096, 9))).toBe(true);
});

it('replaced: a client that has it open continues with the first file, and the other file is not touched', async () => {
  const nbd = await attached('replaced');
  const file = client.file('storage/replaced.img');
  renameSync(file, `${file}.away`);
  writeFileSync(file, Buffer.alloc(8 * MIB, 3));
  await nbd.write(0, Buffer.alloc(4096, 9));
  nbd.close();
  await client.rsconfigWell('-d', 'replaced');
  await expectRefused(
    'replaced',
    `Volume replaced: ${file} was replaced by another file while rssrv served it: restore the original, or restart rssrv [E_VOLUME]`,
  );
  expect(readFileSync(file).equals(Buffer.alloc(8 * MIB, 3))).toBe(true);
  renameSync(`${file}.away`, file);
  expect((await (await attached('replaced')).read(0, 4096)).equals(Buffer.alloc(4096, 9))).toBe(true);
});

it("no room for the server's state: a client whose hold cannot be stored opens nothing, CLOSE works, the rest continues", async (context) => {
  context.skip(whyNoDisks !== null, whyNoDisks ?? '');
  (await attached('spare')).close();
  const { holdersFile } = server.rssrvPaths;
  const filler = path.join(atServer(path.dirname(holdersFile)), 'filler');
  expect(() => writeFileSync(filler, Buffer.alloc(MIB))).toThrow('ENOSPC');
  // The sentence has no file path, because the server tells file paths only to administrators.
  await expectRefused('last', 'The server could not execute the request: the administrator of the server sees why [E_VOLUME]');
  await logged(`Node big-2: State file ${holdersFile} cannot be written (ENOSPC): free space there`);
  await client.rsconfigWell('-d', 'spare');
  rmSync(filler);
  await (await attached('last')).verify(0, 4096);
  await (await attached('spare')).verify(0, 4096);
});
