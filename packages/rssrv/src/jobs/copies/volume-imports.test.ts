// Tests imports. The volume gets the content of the source. Served files, and files that name other files, are refused. However a job ends,
// it leaves nothing behind except the volume. Tests that need qemu-img run the real program. A stand-in clones files, so the tests run on
// any file system. Rules: G30.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JobView } from '@rsio/api/views/views';
import { needPrograms } from '@rsio/base/testing/needs';
import { beforeEach, expect, test, vi } from 'vitest';
import type { ConvertOrder } from './program.ts';
import type { JobServicePorts } from '../service/job-service.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import type { RangeCalls } from '../../pools/disk/data-file.ts';
import { CopyScene } from '../../testing/copy-scene.ts';
import { directory, openTwoPools, parent, useTwoPools } from '../../testing/two-pools.ts';
import { WHOLE_CHANGES } from '../../testing/whole-turn.ts';
import { IMPORT_PIECE_BYTES } from '../limits.ts';

const SECTOR = 512;

useTwoPools();

let file = '';

beforeEach(() => {
  file = path.join(parent, 'disk.raw');
});

/** Returns data, a hole of several pieces, and more data that ends in the middle of a piece. */
function content(): Buffer {
  const bytes = Buffer.alloc(3 * IMPORT_PIECE_BYTES + SECTOR);
  bytes.fill('begin', 0, 70_000);
  bytes.fill('end', 3 * IMPORT_PIECE_BYTES);
  return bytes;
}

async function opened(ports: Partial<JobServicePorts> = {}): Promise<CopyScene> {
  const none: RangeCalls = {
    cloneRange: () => Promise.reject(Object.assign(new Error('no reflink'), { code: 'EOPNOTSUPP' })),
    countExtents: () => Promise.resolve(1),
    mapExtents: () => Promise.resolve([]),
  };
  const copies = new CopyScene(await openTwoPools(directory, {}), { ports: { importRanges: none, ...ports } });
  await copies.jobs.load();
  return copies;
}

async function ask(copies: CopyScene, source: string, changes: { format?: 'raw' | 'qcow2'; name?: string } = {}): Promise<JobView> {
  const orders = copies.service.handlers(LOCAL_ASKER, WHOLE_CHANGES);
  const given = { source, format: null, name: 'db', universe: 0, pool: 'slow', blockSizeBytes: 512, limitBytes: null, request: null };
  return (await orders['volume-import']({ ...given, ...changes })).job;
}

/** Returns the content of the new volume; null if the volume does not exist. */
function imported({ scene }: CopyScene): Buffer | null {
  const [volume] = [...scene.served.values()];
  return volume === undefined ? null : fs.readFileSync(volume.path ?? '');
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((SECTOR - (bytes.length % SECTOR)) % SECTOR)]);
}

const moving = (): string[] =>
  fs.existsSync(path.join(directory, 'slow/moving')) ? fs.readdirSync(path.join(directory, 'slow/moving')) : [];

test('a raw file is copied whole, without its holes, to whole sectors, and stays as it was', async () => {
  const bytes = content();
  fs.writeFileSync(file, bytes);
  const before = fs.statSync(file);
  const copies = await opened();
  const job = await ask(copies, file);
  expect(job).toMatchObject({
    kind: 'import',
    name: 'db',
    newName: 'db',
    from: file,
    to: 'slow',
    target: 'pool',
    afterRestart: 'starts over',
  });
  await copies.run();
  expect(copies.jobs.find('1')).toMatchObject({ state: 'done', doneBytes: bytes.length, totalBytes: bytes.length });
  expect(imported(copies)!.equals(padded(bytes))).toBe(true);
  const [volume] = [...copies.scene.served.values()];
  expect([volume?.sizeBytes, fs.statSync(volume?.path ?? '').blocks * 512 < 2 * IMPORT_PIECE_BYTES, moving()]).toEqual([
    padded(bytes).length,
    true,
    [],
  ]);
  expect([fs.statSync(file).mtimeMs, fs.readFileSync(file).equals(bytes)]).toEqual([before.mtimeMs, true]);
  await expect(ask(copies, file)).rejects.toMatchObject({ code: 'E_EXISTS' });
});

test('a raw file on a file system that clones is cloned', async () => {
  fs.writeFileSync(file, content());
  let clones = 0;
  const ranges: RangeCalls = {
    cloneRange: async (from, to) => {
      clones++;
      fs.writeSync(to, fs.readFileSync(from), 0);
    },
    countExtents: () => Promise.resolve(1),
    mapExtents: () => Promise.resolve([]),
  };
  const copies = await opened({ importRanges: ranges });
  await ask(copies, file);
  await copies.run();
  expect([clones, imported(copies)!.equals(padded(content()))]).toEqual([1, true]);
});

test('a file that changes meanwhile fails the job, and nothing is left', async () => {
  fs.writeFileSync(file, content());
  const copies = await opened({
    importRanges: {
      cloneRange: async () => {
        fs.utimesSync(file, 1, 1);
      },
      countExtents: () => Promise.resolve(1),
      mapExtents: () => Promise.resolve([]),
    },
  });
  await ask(copies, file);
  await copies.run();
  expect(copies.jobs.find('1')).toMatchObject({ state: 'failed', reason: expect.stringContaining('was changed while it was imported') });
  expect([imported(copies), moving(), leftInVolumes()]).toEqual([null, [], []]);
});

function leftInVolumes(): string[] {
  return fs.readdirSync(path.join(directory, 'slow/volumes'));
}

test('a cancelled job leaves nothing, and one that was interrupted starts over', async () => {
  fs.writeFileSync(file, content());
  const copies = await opened();
  await ask(copies, file);
  await copies.jobs.cancel('1');
  await copies.run();
  expect([copies.jobs.find('1').state, imported(copies), moving()]).toEqual(['cancelled', null, []]);
  await ask(copies, file);
  await copies.scene.pools.close();
  const again = await opened();
  await again.run();
  expect([again.jobs.find('2').state, imported(again)!.equals(padded(content()))]).toEqual(['done', true]);
});

test('what is served, in a pool, missing, empty or no file is refused, and so is another format', async () => {
  fs.writeFileSync(file, content());
  const link = path.join(parent, 'link');
  fs.symlinkSync(file, link);
  const copies = await opened({ volumeFiles: () => [{ name: 'oracle', path: file }] });
  for (const source of [file, link])
    await expect(ask(copies, source)).rejects.toMatchObject({
      code: 'E_IN_USE',
      message: expect.stringMatching(/is served as volume oracle: detach it, remove its section \[volume oracle\]/),
    });
  const other = path.join(parent, 'empty');
  fs.writeFileSync(other, '');
  const [odd, partitioned] = [path.join(parent, 'odd'), path.join(parent, 'partitioned')];
  fs.writeFileSync(odd, Buffer.alloc(1_000));
  const disk = Buffer.alloc(1_024);
  disk.writeUInt16LE(0xaa55, 510);
  disk[450] = 0x83;
  disk.writeUInt32LE(2_048, 458);
  fs.writeFileSync(partitioned, disk);
  const cases: readonly [string, RegExp, 'qcow2'?][] = [
    [path.join(directory, 'fast/pool.json'), /is in pool fast: volume clone and volume copy/],
    [path.join(parent, 'none'), /cannot be read \(ENOENT\)/],
    [parent, /neither a regular file nor a block device/],
    [other, /Wrong size 0/],
    ['disk.raw', /Wrong NBD URI/],
    [`${parent}/../x`, /without \. and \.\./],
    [other, /is no qcow2 file/, 'qcow2'],
    [odd, /has 1000 bytes, which is no number of whole sectors: .* truncate -s %512 pads it/],
    [partitioned, /has 1024 bytes, and its table of partitions needs 1048576: give a file that was not cut/],
  ];
  for (const [source, message, format] of cases)
    await expect(ask(copies, source, format === undefined ? {} : { format })).rejects.toMatchObject({
      message: expect.stringMatching(message),
    });
  expect(copies.jobs.list).toEqual([]);
});

test('a qcow2 file becomes a volume of the size of its disk; one that names another file is refused', async (context) => {
  needPrograms(context, 'qemu-img');
  fs.writeFileSync(file, content().subarray(0, 2 * IMPORT_PIECE_BYTES));
  const image = path.join(parent, 'disk.qcow2');
  const overlay = path.join(parent, 'overlay.qcow2');
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', file, image);
  qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', file, overlay);
  const copies = await opened();
  await expect(ask(copies, overlay)).rejects.toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('needs another file') });
  await ask(copies, image);
  await copies.run();
  expect(copies.jobs.find('1')).toMatchObject({ state: 'done', reason: null });
  expect(imported(copies)!.equals(fs.readFileSync(file))).toBe(true);
});

// Regression: qemu-img reads what a file lacks as zeros, and the import of a file that was cut succeeded.
test.for([
  ['cut by clusters', 2 * 65_536, /does not pass qemu-img check: .*exceeding the end of the file/],
  ['cut in its last cluster', 4_096, /does not pass qemu-img check: it was cut: its last cluster ends at byte \d+, and the file has \d+/],
] as const)('a qcow2 file that was %s is not imported', async ([, lostBytes, message], context) => {
  needPrograms(context, 'qemu-img');
  fs.writeFileSync(file, Buffer.alloc(2 * IMPORT_PIECE_BYTES, 'data'));
  const image = path.join(parent, 'disk.qcow2');
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', file, image);
  fs.truncateSync(image, fs.statSync(image).size - lostBytes);
  const copies = await opened();
  await ask(copies, image);
  await copies.run();
  expect(copies.jobs.find('1')).toMatchObject({ state: 'failed', reason: expect.stringMatching(message) });
  expect([imported(copies), moving(), leftInVolumes()]).toEqual([null, [], []]);
});

test('an export of an NBD server becomes a volume', async (context) => {
  needPrograms(context, 'qemu-img', 'qemu-nbd');
  fs.writeFileSync(file, content().subarray(0, 2 * IMPORT_PIECE_BYTES));
  const socket = path.join(parent, 'nbd');
  const server = spawn('qemu-nbd', ['-r', '-f', 'raw', '-x', 'disk', '-k', socket, file], { stdio: 'ignore' });
  try {
    while (!fs.existsSync(socket)) await sleep(5);
    const copies = await opened();
    await ask(copies, `nbd+unix:///disk?socket=${socket}`);
    await copies.run();
    expect(copies.jobs.find('1')).toMatchObject({ state: 'done', reason: null });
    expect(imported(copies)!.equals(fs.readFileSync(file))).toBe(true);
  } finally {
    server.kill();
  }
});

/** Requests the import of an NBD export. `convert` stands in for the program that copies. */
async function askExport(convert: (order: ConvertOrder, copies: CopyScene) => Promise<void>): Promise<CopyScene> {
  const socket = path.join(parent, 'nbd');
  const server = net.createServer().listen(socket);
  try {
    await once(server, 'listening');
    const copies: CopyScene = await opened({ convert: (order) => convert(order, copies) });
    await ask(copies, `nbd+unix:///disk?socket=${socket}`);
    await copies.run();
    return copies;
  } finally {
    server.close();
  }
}

// Regression: the server did not check the free space, and writes to all volumes of the full pool waited.
test('a program that imports is ended before it fills the pool', async () => {
  const copies = await askExport(async ({ job, target }, { scene: { pools } }) => {
    fs.ftruncateSync(target as number, SECTOR);
    job.check();
    vi.spyOn(pools, 'states', 'get').mockReturnValue(pools.states.map((one) => ({ ...one, reserve: 1 })));
    job.check();
  });
  expect(copies.jobs.find('1')).toMatchObject({ state: 'failed', reason: expect.stringContaining('was ended before it fills pool slow') });
});

// Regression: the server ended the import of a large export because the import seemed to make no progress. The server took the size of the
// export for 0.
test('the size of an export is known as soon as the program has made the file', async () => {
  const sizes: number[] = [];
  const copies = await askExport(async (order) => {
    sizes.push(order.bytes);
    fs.ftruncateSync(order.target as number, 2 * SECTOR);
    order.job.check();
    await vi.waitFor(() => expect(order.bytes).toBe(2 * SECTOR));
  });
  expect(sizes).toEqual([0]);
  expect(copies.jobs.find('1')).toMatchObject({ state: 'done', totalBytes: 2 * SECTOR });
});

function qemuImg(...args: string[]): void {
  execFileSync('qemu-img', args, { stdio: 'ignore' });
}
