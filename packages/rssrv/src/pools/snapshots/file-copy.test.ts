// Tests into which chunks a file is cloned, depending on its extents, and how many calls count the extents. Also tests a copy with fake
// range calls. Benchmarks measure real clones on XFS.

import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { directory, usePoolDirectory } from '../../testing/pool-directory.ts';
import { NO_HOLD, PLAIN_CLONES } from '../../testing/plain-clones.ts';
import type { RangeCalls } from '../disk/data-file.ts';
import { chunkBytesFor, cloneAsData, FileCopy, finishCopy } from './file-copy.ts';
import { CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, CHUNKS_MAX } from '../limits.ts';

const [KIB, MIB, GIB] = [1024, 1024 ** 2, 1024 ** 3];

usePoolDirectory();

/** Simulates a file whose extents begin at these offsets. Records in `asked` the calls that count extents. */
function fileWith(starts: readonly number[]): RangeCalls & { readonly asked: number[] } {
  const asked: number[] = [];
  return {
    asked,
    cloneRange: async () => undefined,
    mapExtents: async () => [],
    countExtents: async (_descriptor, offsetBytes, lengthBytes) => {
      asked.push(lengthBytes);
      return starts.filter((start) => start >= offsetBytes && start < offsetBytes + lengthBytes).length;
    },
  };
}

const every = (stepBytes: number, sizeBytes: number, fromBytes = 0): number[] =>
  Array.from({ length: Math.floor(sizeBytes / stepBytes) }, (_, index) => fromBytes + index * stepBytes);

test('a file with few extents is one chunk, and is counted in few steps', async () => {
  const file = fileWith(every(64 * MIB, 16 * GIB));
  expect(await chunkBytesFor(file, 0, 16 * GIB)).toBe(16 * GIB);
  expect(file.asked.length).toBeLessThan(30);
  expect(await chunkBytesFor(fileWith([]), 0, 512)).toBe(512);
});

test('a file with extents of 4 KiB has the smallest chunks, and is not counted to its end', async () => {
  const file = fileWith(every(4 * KIB, GIB));
  expect(await chunkBytesFor(file, 0, GIB)).toBe(CHUNK_MIN_BYTES);
  expect(file.asked.length).toBeLessThan(10);
});

test('a file with thin fragmentation has large chunks', async () => {
  expect(await chunkBytesFor(fileWith(every(256 * KIB, 2 * GIB)), 0, 2 * GIB)).toBe(CHUNK_MAX_BYTES);
});

test('a dense place in an else empty file is found', async () => {
  const dense = every(4 * KIB, 32 * MIB, 9 * GIB);
  expect(await chunkBytesFor(fileWith(dense), 0, 16 * GIB)).toBe(CHUNK_MIN_BYTES);
});

test('a very large file has no more chunks than can be recorded', async () => {
  const size = 64 * 1024 * GIB;
  const chunkBytes = await chunkBytesFor(fileWith(every(4 * KIB, GIB)), 0, size);
  expect(size / chunkBytes).toBeLessThanOrEqual(CHUNKS_MAX);
});

test('the chunks of a copy cover the file once, whatever their order, and the copy has the size of the volume', async () => {
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 10 }), async (sectors, more) => {
    const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
    const sizeBytes = 8 * MIB + sectors * 512;
    // The file of a volume may be longer than the volume.
    fs.writeFileSync(from, Buffer.alloc(sizeBytes + more * 512, sectors));
    fs.rmSync(to, { force: true });
    const ranges: RangeCalls = {
      cloneRange: async (fd, target, offsetBytes, lengthBytes) => {
        const piece = Buffer.alloc(lengthBytes === 0 ? sizeBytes + more * 512 - offsetBytes : lengthBytes);
        fs.readSync(fd, piece, 0, piece.length, offsetBytes);
        fs.writeSync(target, piece, 0, piece.length, offsetBytes);
      },
      countExtents: async () => 2_000,
      mapExtents: async () => [],
    };
    const copy = await FileCopy.begin({ ...PLAIN_CLONES, ranges }, 'id', sizeBytes, from, to);
    expect([copy.chunkBytes, copy.chunks]).toEqual([CHUNK_MIN_BYTES, Math.ceil(sizeBytes / CHUNK_MIN_BYTES)]);
    for (let index = copy.chunks - 1; index >= 0; index--) await copy.clone(index);
    await copy.close();
    await finishCopy(to, sizeBytes, 0o400);
    expect(fs.readFileSync(to).equals(Buffer.alloc(sizeBytes, sectors))).toBe(true);
    expect(fs.statSync(to).mode & 0o777).toBe(0o400);
  });
  await fc.assert(property, { numRuns: 5, seed: 20 });
});

test('a file whose extents the file system does not tell is one clone, and another error is thrown', async () => {
  const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
  fs.writeFileSync(from, Buffer.alloc(1024, 1));
  const failing = (code: string): RangeCalls => ({
    cloneRange: async () => undefined,
    countExtents: () => Promise.reject(Object.assign(new Error(code), { code })),
    mapExtents: async () => [],
  });
  const copy = await FileCopy.begin({ ...PLAIN_CLONES, ranges: failing('EOPNOTSUPP') }, 'id', 1024, from, to);
  expect(copy.chunks).toBe(1);
  await copy.close();
  await expect(FileCopy.begin({ ...PLAIN_CLONES, ranges: failing('EIO') }, 'id', 1024, from, to)).rejects.toThrow('EIO');
});

test('without ranges, a copy is one clone', async () => {
  const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
  fs.writeFileSync(from, Buffer.alloc(1024, 1));
  const copy = await FileCopy.begin(PLAIN_CLONES, 'id', 1024, from, to);
  expect(fs.existsSync(to)).toBe(false);
  expect([copy.chunkBytes, copy.chunks, copy.sizeBytes]).toEqual([1024, 1, 1024]);
  await NO_HOLD.take([copy]);
  await copy.close();
  expect(fs.readFileSync(to)).toEqual(Buffer.alloc(1024, 1));
});

describe('a file that lost content while it was copied', () => {
  const SIZE = 4 * MIB;

  async function begun(): Promise<{ readonly copy: FileCopy; readonly from: string; readonly cut: { at: number } }> {
    const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
    fs.writeFileSync(from, Buffer.alloc(SIZE, 7));
    const cut = { at: -1 };
    const calls: RangeCalls = {
      ...fileWith(every(4 * KIB, SIZE)),
      cloneRange: async (source, target, offset, length) => {
        const piece = Buffer.alloc(length === 0 ? SIZE - offset : length);
        fs.writeSync(target, piece, 0, fs.readSync(source, piece, 0, piece.length, offset), offset);
        if (offset === cut.at) fs.truncateSync(from, MIB);
      },
    };
    return { copy: await FileCopy.begin({ ...PLAIN_CLONES, ranges: calls }, 'id', SIZE, from, to), from, cut };
  }

  test('gives no copy if it was cut before, between or within the clones of its chunks, even if a write made it longer again', async () => {
    for (const when of ['before', 'between', 'within'] as const) {
      const { copy, from, cut } = await begun();
      expect(copy.chunks).toBeGreaterThan(2);
      await (when === 'before' ? Promise.resolve(fs.truncateSync(from, MIB)) : copy.clone(0));
      if (when === 'between') fs.truncateSync(from, MIB);
      if (when === 'within') cut.at = copy.chunkBytes;
      // A client's write behind the lost part.
      if (when !== 'within') writeAt(from, SIZE - 8 * KIB);
      await expect(copy.clone(1), when).rejects.toThrow(/from has \d+ bytes, but the volume has 4194304: restore its content/);
      await copy.close();
      fs.rmSync(path.join(directory, 'to'));
    }
  });

  test('gives no copy if another file has taken its place', async () => {
    const { copy, from } = await begun();
    fs.writeFileSync(`${from}.other`, Buffer.alloc(SIZE, 9));
    fs.renameSync(`${from}.other`, from);
    await expect(copy.clone(0)).rejects.toThrow('from was replaced by another file while it was copied: restore the original');
    await copy.close();
  });

  test('is not filled up with zeros as a clone, unless the clone is to be longer than the whole content', async () => {
    const [from, to] = [path.join(directory, 'snapshot'), path.join(directory, 'clone')];
    fs.writeFileSync(from, Buffer.alloc(MIB, 7));
    await cloneAsData(PLAIN_CLONES, { from, fromBytes: MIB }, to, 2 * MIB, directory);
    expect(fs.statSync(to).size).toBe(2 * MIB);
    fs.truncateSync(from, MIB - 1);
    fs.rmSync(to);
    await expect(cloneAsData(PLAIN_CLONES, { from, fromBytes: MIB }, to, 2 * MIB, directory)).rejects.toThrow(
      'clone got 1048575 of 1048576 bytes: its source was truncated; restore it, then try again',
    );
  });
});

function writeAt(file: string, position: number): void {
  const descriptor = fs.openSync(file, 'r+');
  fs.writeSync(descriptor, Buffer.alloc(4 * KIB, 1), 0, 4 * KIB, position);
  fs.closeSync(descriptor);
}
