// The file system reports which blocks have changed since a snapshot, and the test compares the report with the contents. Every block that
// differs must be reported, for all kinds of writes and for fragmented files, and the reported amount must be close to the written amount.
// Skipped without root, loop devices, xfsprogs or btrfs-progs. Rules: N5, G27.

import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { systemClock } from '@rsio/base/lib/clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { systemReflink } from '@rsio/rssrv/pools/snapshots/reflink';
import { CHANGED } from '@rsio/rssrv/snapshots/reads/changed-ranges';
import { type ComparedFile, Comparisons } from '@rsio/rssrv/snapshots/reads/comparisons';
import { EXTENT_READS_PER_ANSWER_MAX, EXTENTS_READ_MAX } from '@rsio/rssrv/snapshots/limits';
import { expect, it, type TestContext } from 'vitest';
import { reflinkDisk, type ReflinkKind } from '../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const [KIB, MIB] = [1024, 1024 ** 2];
const BLOCK = 4 * KIB;
const SECTOR = 512;
const TEST_MS = 300_000;

const hosts = useHosts();

interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Returns an array with a byte for each block, which is 1 if a range contains the block. */
function blocksOf(ranges: readonly Range[], sizeBytes: number): Uint8Array {
  const marks = new Uint8Array(sizeBytes / SECTOR);
  for (const { offsetBytes, lengthBytes } of ranges)
    marks.fill(1, Math.floor(offsetBytes / SECTOR), Math.ceil((offsetBytes + lengthBytes) / SECTOR));
  return marks;
}

/** Returns sectors that differ and are in no range. Bytes beyond the end of a file count as zeros. */
function missed(before: Buffer, after: Buffer, ranges: readonly Range[]): number[] {
  const marks = blocksOf(ranges, after.length);
  const old = Buffer.alloc(after.length);
  before.copy(old);
  const left: number[] = [];
  for (let sector = 0; sector < marks.length; sector++) {
    const [from, to] = [sector * SECTOR, (sector + 1) * SECTOR];
    if (marks[sector] === 0 && old.compare(after, from, to, from, to) !== 0) left.push(sector);
  }
  return left;
}

const bytesIn = (ranges: readonly Range[]): number => ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);

async function openNbd(host: Host): Promise<NbdIo> {
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/db');
  hosts.onClean(() => nbd.close());
  return nbd;
}

async function compareAll(
  context: TestContext,
  before: string,
  after: string,
  sizeBytes: number,
): Promise<{ ranges: Range[]; parts: number }> {
  const reflink = systemReflink().ranges;
  context.skip(reflink === null, 'needs koffi');
  const comparisons = new Comparisons(systemClock, reflink);
  const file = (name: string): ComparedFile => ({ path: name, isWritten: true, check: () => undefined });
  const ranges: Range[] = [];
  let parts = 0;
  for (let fromBytes = 0; fromBytes < sizeBytes; parts++) {
    const asked = { pool: 'fast', before: file(before), after: file(after), fromBytes, toBytes: sizeBytes, pairsMax: 1_000_000 };
    const { pairs, endBytes } = await comparisons.compare(asked);
    let offsetBytes = fromBytes;
    for (let index = 0; index < pairs.length; index += 2) {
      if (pairs[index + 1] === CHANGED) ranges.push({ offsetBytes, lengthBytes: pairs[index]! });
      offsetBytes += pairs[index]!;
    }
    expect(offsetBytes).toBe(endBytes);
    fromBytes = endBytes;
  }
  return { ranges, parts };
}

it.for(['xfs', 'btrfs'] as const)('a fragmented file on %s', { timeout: TEST_MS }, async (kind: ReflinkKind, context) => {
  const disk = reflinkDisk(hosts, hosts.host(), context, kind);
  const random = new SeededRandom(20);
  const [before, after] = [path.join(disk, 'before'), path.join(disk, 'after')];
  // The file gets more extents than one answer of the kernel can have.
  const blocks = 2 * EXTENT_READS_PER_ANSWER_MAX * EXTENTS_READ_MAX + 5_000;
  const sizeBytes = blocks * BLOCK;
  let writes = 0;
  const fill = (descriptor: number, block: number): void => {
    writeSync(descriptor, Buffer.alloc(BLOCK, `write ${++writes} `), 0, BLOCK, block * BLOCK);
  };
  const first = openSync(before, 'wx');
  ftruncateSync(first, sizeBytes);
  for (let block = 0; block < blocks; block += 2) fill(first, block);
  fsyncSync(first);
  closeSync(first);
  await systemReflink().cloneFile(before, after);
  const second = openSync(after, 'r+');
  const written = new Set<number>();
  while (written.size < 1_000) written.add(random.int(0, blocks - 1));
  for (const block of written) fill(second, block);
  // The writes are not synced: one to a part of a block, one of zeros over data, and one beyond the end.
  writeSync(second, Buffer.from([7]), 0, 1, 100 * BLOCK + 1);
  writeSync(second, Buffer.alloc(BLOCK), 0, BLOCK, 200 * BLOCK);
  writeSync(second, random.bytes(BLOCK), 0, BLOCK, sizeBytes + 3 * BLOCK);
  const { ranges, parts } = await compareAll(context, before, after, sizeBytes + 4 * BLOCK);
  closeSync(second);
  expect(missed(readFileSync(before), readFileSync(after), ranges)).toEqual([]);
  expect(parts).toBeGreaterThan(1);
  // btrfs only reports for whole extents whether they are shared.
  expect(bytesIn(ranges)).toBeLessThan((kind === 'xfs' ? 1 : 20) * (written.size + 16) * BLOCK);
});

it('snapshots of a volume that a client writes to, trims and that grows', { timeout: TEST_MS }, async (context) => {
  const host = hosts.host();
  const network = await hosts.network(1);
  const pool = path.join(reflinkDisk(hosts, host, context), 'pool');
  mkdirSync(pool);
  await startServer(host, network, { volumes: {}, rights: { 'big-2': 'manage' } });
  await host.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  await host.rsadmWell('volume', 'create', 'db', '--size', '8m');
  host.writeConfig('rsiod', clientConfig(network));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', 'db');
  let nbd = await openNbd(host);
  const { volume } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
  const folder = path.join(pool, 'volumes', volume.id ?? '');
  const random = new SeededRandom(21);
  const names: string[] = [];
  for (let generation = 0; generation < 4; generation++) {
    const sizeBytes = generation < 2 ? 8 * MIB : 12 * MIB;
    if (generation === 2) {
      await host.rsadmWell('volume', 'grow', 'db', '12m');
      await waitFor(async () => (nbd = await openNbd(host)).sizeBytes === sizeBytes, TEST_MS, 'The client sees the new size');
    }
    for (let write = 0; write < 20; write++) {
      const offset = random.int(0, sizeBytes / SECTOR - 16 - 1) * SECTOR;
      await nbd.write(offset, random.bytes(SECTOR * (1 + random.int(0, 15))));
    }
    await nbd.trim(random.int(0, 1_000 - 1) * BLOCK, 16 * BLOCK);
    names.push(`s${generation}`);
    await host.rsadmWell('volume', 'snapshot', `db@s${generation}`);
  }
  await nbd.write(MIB, random.bytes(BLOCK));
  const contentOf = (name: string | null): Buffer => readFileSync(path.join(folder, name === null ? 'data' : `snapshots/${name}.data`));
  for (const [at, before] of names.entries()) {
    for (const after of [...names.slice(at), null]) {
      const words = ['volume', 'diff', `db@${before}`, ...(after === null ? [] : [`db@${after}`]), '--json'];
      const { ranges, changedBytes, sizeBytes } = JSON.parse(await host.rsadmWell(...words)) as {
        readonly ranges: readonly Range[];
        readonly changedBytes: number;
        readonly sizeBytes: number;
      };
      const now = contentOf(after);
      expect([sizeBytes, changedBytes]).toEqual([now.length, bytesIn(ranges)]);
      expect(missed(contentOf(before), now, ranges), `${before} ${after}`).toEqual([]);
      const generations = (after === null ? names.length : names.indexOf(after)) - at;
      expect(changedBytes).toBeLessThanOrEqual(generations * (20 * 4 * BLOCK + 16 * BLOCK + BLOCK));
      if (after === before) expect(ranges).toEqual([]);
    }
  }
  expect(await host.rsconfigWell('volume', 'diff', 'db@s0', 'db@s1')).toMatch(
    /^osl:db@0 from s0 to s1: \S+ of 8\.0M in \d+ ranges\n(?:\d+ \d+\n)+$/,
  );
  const refusals = [
    [['db@s1', 'db@s0'], /older/],
    [['db@s1', 'other@s2'], /not a snapshot of the same volume/],
    [['db@nosuch'], /has no snapshot/],
    [['db'], /No snapshot in/],
  ] as const;
  for (const [words, message] of refusals) expect((await host.rsadm('volume', 'diff', ...words)).stderr).toMatch(message);
});
