// Copies a piece of a replica (M12) from storage whose write-back sometimes fails. The source may then return older content until a flush
// notices the failure (V1). Invariant: if a piece counts as copied, the target has the last writes of users.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { CopyIo, Done } from '@rsio/protocol/mirror/copy/copy-ports';
import { PieceRun, type PieceResult } from '@rsio/protocol/mirror/copy/piece-run';
import { TimesBudget } from '@rsio/protocol/mirror/lacks/change-times';
import { Lacks } from '@rsio/protocol/mirror/lacks/lacks';
import { RegionSet } from '@rsio/protocol/mirror/region-set';
import { STATUS } from '@rsio/protocol/wire/status';
import { SimCache } from '../../storage/sim-cache.ts';

const [SOURCES, SECTORS, ROUNDS] = [2, 4, 4];
const LENGTH_BYTES = SECTORS * SECTOR_BYTES;

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function copiedSourceWorld(seed: number): string | null {
  const random = new SeededRandom(seed);
  const disks = Array.from({ length: SOURCES }, () => new SimCache(SECTORS, random));
  const handles = disks.map((disk) => disk.open());
  const target = Buffer.alloc(LENGTH_BYTES);
  const written = Buffer.alloc(LENGTH_BYTES);
  for (let round = 1; round <= ROUNDS; round++) {
    const sector = random.int(0, SECTORS - 1);
    written.fill(round, sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
    for (const disk of disks) disk.change(sector * SECTOR_BYTES, SECTOR_BYTES, Buffer.alloc(SECTOR_BYTES, round), 0);
    for (const disk of disks) {
      if (random.chance(0.3)) disk.writeBackFails();
      if (random.chance(0.5)) disk.evict(0.5);
    }
  }
  let result: PieceResult | null = null;
  const flush = (source: number, done: Done): void => {
    disks[source]!.writeBack();
    done(disks[source]!.tell(handles[source]!) === null ? STATUS.OK : STATUS.IO_ERROR);
  };
  const run = new PieceRun(ioOf(disks, target, flush), {
    piece: { region: 0, beginBytes: 0, endBytes: LENGTH_BYTES, runs: [0, LENGTH_BYTES] },
    buffer: Buffer.alloc(LENGTH_BYTES),
    sources: () => disks.map((_, at) => String(at)),
    targets: () => ['target'],
    isVoid: () => false,
    refused: () => undefined,
    ended: (ended) => (result = ended),
  });
  run.start();
  if (result !== 'copied' || target.equals(written)) return null;
  return 'M12: a piece was copied that is not what users wrote last, from a source that had lost it';
}

function ioOf(disks: readonly SimCache[], target: Buffer, flush: (source: number, done: Done) => void): CopyIo {
  const unused = (): never => {
    throw new Error('Not needed for a piece');
  };
  return {
    touched: new RegionSet(),
    unsettled: new RegionSet(),
    lacks: new Lacks(new RegionSet(), new TimesBudget(), () => 0),
    outstanding: 0,
    settled: unused,
    settledMany: unused,
    lock: (_begin, _end, granted) => {
      granted();
      return { release: () => undefined };
    },
    tenureOf: (identity) => identity,
    lifeOf: unused,
    loadOf: unused,
    readAt: (identity, position, length, buffer, offset, done) => {
      disks[Number(identity)]!.content.copy(buffer, offset, position, position + length);
      done(STATUS.OK);
    },
    writeAt: (_identity, position, length, buffer, offset, done) => {
      buffer.copy(target, position, offset, offset + length);
      done(STATUS.OK);
    },
    zeroAt: (_identity, position, length, done) => {
      target.fill(0, position, position + length);
      done(STATUS.OK);
    },
    flushAt: (identity, done) => flush(Number(identity), done),
    readMap: unused,
    clearMap: unused,
  };
}
