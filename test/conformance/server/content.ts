// The data of READ, WRITE, DISCARD and ZERO: every later READ sees each change, over any path (O2). io.ts tests the statuses of these
// requests.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { IO_MAX_SECTORS, WIDE_UNIT_SECTORS } from '@rsio/protocol/wire/limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { randomBytes } from 'node:crypto';
import type { RawClient } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, holds, sameBytes } from '../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';

async function write(path: RawClient, handle: number, lba: number, body: Buffer, flags = 0): Promise<void> {
  await answered(path, { op: OP.WRITE, flags, handle, lba, count: body.length / SECTOR_BYTES, body });
}

async function read(path: RawClient, handle: number, lba: number, sectors: number): Promise<Buffer> {
  return (await answered(path, { op: OP.READ, handle, lba, count: sectors })).body;
}

/** Makes a case in which ZERO with these flags must zero a range, and change no byte before or after the range. */
function zeroes(id: string, expects: string, flags: number, sectors: number, count: number): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const handle = await target.handle();
    const path = await target.path();
    const around = SCRATCH - BLOCK;
    await write(path, handle, around, filled(2 * BLOCK, 6));
    await write(path, handle, SCRATCH + sectors - BLOCK, filled(2 * BLOCK, 6));
    await answered(path, { op: OP.ZERO, flags, handle, lba: SCRATCH, count });
    sameBytes('What is before', await read(path, handle, around, BLOCK), filled(BLOCK, 6));
    sameBytes('The beginning', await read(path, handle, SCRATCH, BLOCK), filled(BLOCK, 0));
    sameBytes('The end', await read(path, handle, SCRATCH + sectors - BLOCK, BLOCK), filled(BLOCK, 0));
    sameBytes('What is behind', await read(path, handle, SCRATCH + sectors, BLOCK), filled(BLOCK, 6));
  };
  return serverCase(id, I_O, expects, run);
}

const I_O = 'I/O requests';

function written(id: string, expects: string, sectors: number, flags: number): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const handle = await target.handle();
    const [path, other] = [await target.path(), await target.path()];
    const data = randomBytes(sectors * SECTOR_BYTES);
    await write(path, handle, SCRATCH, data, flags);
    sameBytes('What the same path reads', await read(path, handle, SCRATCH, sectors), data);
    sameBytes('What another path reads', await read(other, handle, SCRATCH, sectors), data);
  };
  return serverCase(id, 'O2', expects, run);
}

export const CONTENT_CASES: readonly ServerCase[] = [
  written('content.write.some', 'An answered WRITE is read over every path', BLOCK, 0),
  written('content.write.largest', 'A WRITE of 1 MiB is read over every path', IO_MAX_SECTORS, 0),
  written('content.write.fua', 'A WRITE with FUA is read over every path', BLOCK, FLAG.FUA),
  serverCase('content.write.borders', 'O2', 'A WRITE changes nothing before and behind it', async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    await write(path, handle, SCRATCH, filled(3 * BLOCK, 6));
    await write(path, handle, SCRATCH + BLOCK, filled(BLOCK, 7));
    const all = Buffer.concat([filled(BLOCK, 6), filled(BLOCK, 7), filled(BLOCK, 6)]);
    sameBytes('All three', await read(path, handle, SCRATCH, 3 * BLOCK), all);
  }),
  serverCase('content.write.last', 'O2', 'The last sectors of the volume hold what was written to them', async (target) => {
    const end = await target.end();
    await (await target.path()).verify(await target.handle(), end - BLOCK, BLOCK);
  }),
  serverCase('content.flush', 'O2', 'Written data is there after a FLUSH', async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    const data = randomBytes(BLOCK * SECTOR_BYTES);
    await write(path, handle, SCRATCH, data);
    await answered(path, { op: OP.FLUSH, handle });
    sameBytes('What is read', await read(path, handle, SCRATCH, BLOCK), data);
  }),
  serverCase('content.handles', 'O2', 'Two handles of one volume show the same data', async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    const reader = await path.open(target.options.volumes.plain, true);
    const data = randomBytes(BLOCK * SECTOR_BYTES);
    await write(path, handle, SCRATCH, data);
    sameBytes('What the reader reads', await read(path, reader.handle, SCRATCH, BLOCK), data);
    await answered(path, { op: OP.CLOSE, handle: reader.handle });
    sameBytes('What the writer still reads', await read(path, handle, SCRATCH, BLOCK), data);
  }),
  zeroes('content.zero.some', 'A zeroed range reads as zeros, and nothing around it changes', 0, 4 * BLOCK, 4 * BLOCK),
  zeroes('content.zero.no-hole', 'ZERO with NO_HOLE does the same', FLAG.NO_HOLE, 4 * BLOCK, 4 * BLOCK),
  zeroes('content.zero.fua', 'ZERO with FUA does the same', FLAG.FUA, 4 * BLOCK, 4 * BLOCK),
  zeroes('content.zero.wide', 'ZERO with WIDE counts in MiB', FLAG.WIDE, WIDE_UNIT_SECTORS, 1),
  serverCase('content.discard', I_O, 'DISCARD leaves its range undefined or zero, and nothing around it changes', async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    await write(path, handle, SCRATCH, filled(3 * BLOCK, 6));
    await answered(path, { op: OP.DISCARD, handle, lba: SCRATCH + BLOCK, count: BLOCK });
    const all = await read(path, handle, SCRATCH, 3 * BLOCK);
    const [before, behind] = [all.subarray(0, BLOCK * SECTOR_BYTES), all.subarray(2 * BLOCK * SECTOR_BYTES)];
    holds(before.equals(filled(BLOCK, 6)) && behind.equals(filled(BLOCK, 6)), 'DISCARD changed what is around its range');
    await path.verify(handle, SCRATCH + BLOCK, BLOCK);
  }),
];
