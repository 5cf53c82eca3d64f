// Compares a snapshot with a later snapshot of its volume, or with the current content of the volume. Works in steps, so that no answer is
// large and no pool is busy for long. Invariants: a comparison includes all writes that ended before it began. A file is compared only if a
// check after the open has confirmed that it is still the file of the snapshot or volume. Rules: N5.

import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import type { MappedExtent, RangeCalls } from '../../pools/disk/data-file.ts';
import { addPair, CHANGED, type ChangedPairs, changedPairs } from './changed-ranges.ts';
import { COMPARISON_MAX_MS, EXTENT_READS_PER_ANSWER_MAX, EXTENTS_READ_MAX } from '../limits.ts';
import { PoolTurns } from './turns.ts';

/** One file of the volume in one of the two states that are compared. */
export interface ComparedFile {
  readonly path: string;
  /** True if clients may be writing to the file. */
  readonly isWritten: boolean;
  /** Throws if the file at `path` is no longer the file of this snapshot or volume. */
  check(): void;
}

export interface Comparison {
  /** Name of the pool that contains both files. */
  readonly pool: string;
  /** The file in its earlier state. `before` is null if the volume did not have this file yet; the earlier state then reads as zeros. */
  readonly before: ComparedFile | null;
  readonly after: ComparedFile;
  readonly fromBytes: number;
  readonly toBytes: number;
  readonly pairsMax: number;
}

export interface Compared {
  readonly pairs: ChangedPairs;
  /** End of the range that the answer covers, which may be less than requested. */
  readonly endBytes: number;
}

export class Comparisons {
  private readonly ranges: RangeCalls;
  private readonly turns: PoolTurns;
  private readonly clock: Clock;

  constructor(clock: Clock, ranges: RangeCalls) {
    this.clock = clock;
    this.ranges = ranges;
    this.turns = new PoolTurns(clock);
  }

  /** Throws E_NO_REFLINK if the file system does not report extents, E_BUSY if the comparison takes too long, and the errors of `check`. */
  async compare(comparison: Comparison): Promise<Compared> {
    const { ranges } = this;
    return this.within(
      this.turns.run([comparison.pool], () => compareFiles(ranges, comparison)),
      comparison.pool,
    );
  }

  private within<T>(work: Promise<T>, pool: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(COMPARISON_MAX_MS, () =>
        reject(
          new RsError('E_BUSY', `Pool ${pool} did not say within ${COMPARISON_MAX_MS / 1000} s what has changed: try again later`, {
            pool,
          }),
        ),
      );
      work.then(resolve, reject).finally(() => timer.cancel());
    });
  }
}

async function compareFiles(ranges: RangeCalls, comparison: Comparison): Promise<Compared> {
  const { before, after } = comparison;
  const opened: FileHandle[] = [];
  try {
    const openOne = async (file: ComparedFile): Promise<FileHandle> => {
      const handle = await opens(file);
      opened.push(handle);
      file.check();
      return handle;
    };
    const old = before === null ? null : await openOne(before);
    const now = await openOne(after);
    // The file system reports a changed block as shared until the block's dirty data is written back.
    if (after.isWritten) await now.datasync();
    return await compareOpen(ranges, [old?.fd ?? null, now.fd], comparison);
  } finally {
    for (const handle of opened) await handle.close();
  }
}

async function opens(file: ComparedFile): Promise<FileHandle> {
  const { path } = file;
  try {
    return await open(path, 'r');
  } catch (thrown) {
    file.check();
    throw new RsError('E_VOLUME', `${path} cannot be opened (${errnoName(thrown) ?? '?'}): check the pool`, { path }, thrown);
  }
}

async function compareOpen(
  ranges: RangeCalls,
  [before, after]: readonly [number | null, number],
  { fromBytes, toBytes, pairsMax, pool }: Comparison,
): Promise<Compared> {
  const pairs: ChangedPairs = [];
  let position = fromBytes;
  for (let reads = 0; position < toBytes && reads < EXTENT_READS_PER_ANSWER_MAX && pairs.length < 2 * pairsMax; reads++) {
    const [old, now] = [await extentsOf(ranges, before, position, toBytes, pool), await extentsOf(ranges, after, position, toBytes, pool)];
    const end = Math.min(old.endBytes, now.endBytes);
    // If the file system reports no extent beyond `position`, the rest of the range counts as changed.
    const known = end > position ? changedPairs(old.extents, now.extents, position, end) : [toBytes - position, CHANGED];
    for (let index = 0; index < known.length; index += 2) addPair(pairs, known[index]!, known[index + 1]!);
    position = end > position ? end : toBytes;
  }
  const kept = pairs.slice(0, 2 * pairsMax);
  const endBytes = kept.reduce((sum, value, index) => (index % 2 === 0 ? sum + value : sum), fromBytes);
  return { pairs: kept, endBytes };
}

/** Returns extents, and the end of the range that they describe completely. */
async function extentsOf(
  ranges: RangeCalls,
  descriptor: number | null,
  fromBytes: number,
  toBytes: number,
  pool: string,
): Promise<{ readonly extents: readonly MappedExtent[]; readonly endBytes: number }> {
  if (descriptor === null) return { extents: [], endBytes: toBytes };
  let extents: readonly MappedExtent[];
  try {
    extents = await ranges.mapExtents(descriptor, fromBytes, toBytes - fromBytes, EXTENTS_READ_MAX);
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno !== 'EOPNOTSUPP' && errno !== 'ENOTSUP' && errno !== 'ENOTTY') throw thrown;
    throw new RsError('E_NO_REFLINK', `The file system of pool ${pool} cannot tell what has changed: use XFS or btrfs`, { pool }, thrown);
  }
  const last = extents.at(-1);
  const isAll = extents.length < EXTENTS_READ_MAX || last === undefined;
  return { extents, endBytes: isAll ? toBytes : Math.min(toBytes, last.offsetBytes + last.lengthBytes) };
}
