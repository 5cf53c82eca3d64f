// Finds the differences between two states of a volume, for sessions with an open snapshot (snapshot-asks.ts) and for the method
// volume-diff. Invariant: a session learns only of snapshots of the volume whose snapshot it has open. Rules: N4.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENTS_PER_ANSWER_MAX, SNAPSHOTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { LayoutMap, type LayoutShape } from '../../storage/files/layout-map.ts';
import { systemReflink } from '../../pools/snapshots/reflink.ts';
import { filesOf, isReadable, type SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { CHANGED, inSectors, UNCHANGED } from './changed-ranges.ts';
import { type Compared, type ComparedFile, Comparisons } from './comparisons.ts';
import { answeredEnd, mergedChanges } from './layout-changes.ts';
import { DIFF_RANGES_PER_ANSWER_MAX } from '../limits.ts';
import type { ServedSnapshots, SnapshotPlace } from './served-snapshots.ts';
import type { SnapshotAsk, SnapshotReply } from './snapshot-asks.ts';

/** A state of a volume: its files in the order of its layout, each with the name of its pool. */
interface Side extends LayoutShape {
  readonly parts: readonly { readonly sizeBytes: number; readonly pool: string; readonly file: ComparedFile }[];
}

/** A range in the answer of the method volume-diff. */
interface ChangedRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface Difference {
  readonly ranges: readonly ChangedRange[];
  /** End of the range that the answer covers. */
  readonly endBytes: number;
}

export class SnapshotAnswers {
  private readonly snapshots: ServedSnapshots;
  private readonly comparisons: Comparisons;

  constructor(snapshots: ServedSnapshots, comparisons: Comparisons) {
    this.snapshots = snapshots;
    this.comparisons = comparisons;
  }

  /** Answers a question of a session about its open snapshot. Never rejects. */
  async answer(uses: { isGranted(id: string): boolean }, ask: SnapshotAsk): Promise<SnapshotReply> {
    try {
      const place = uses.isGranted(ask.snapshotId) ? this.snapshots.placeOf(ask.snapshotId) : null;
      if (place === null) throw gone(ask.snapshotId);
      return ask.what === 'changes' ? await this.changes(place, ask) : this.older(place.record, ask.after);
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      return { snapshotCode: code, sentence: message };
    }
  }

  /**
   * Compares a snapshot with a later snapshot, or with the current content of the volume if `after` is null. Throws like
   * `Comparisons.compare`.
   */
  async difference(
    volume: ServerVolumeConfig,
    before: SnapshotRecord,
    after: SnapshotRecord | null,
    fromBytes: number,
    toBytes: number,
  ): Promise<Difference> {
    // A state is not compared with itself: unshared blocks would count as changed, because only shared blocks count as unchanged.
    if (after?.id === before.id) return { ranges: [], endBytes: toBytes };
    const old = this.sideOf(this.placeOf(before.id));
    const now = after === null ? currentSide(volume, () => this.checkThere(before.id)) : this.sideOf(this.placeOf(after.id));
    const { pairs, endBytes } = await this.compare(old, now, fromBytes, toBytes, 2 * DIFF_RANGES_PER_ANSWER_MAX);
    const ranges: ChangedRange[] = [];
    let offsetBytes = fromBytes;
    for (let index = 0; index < pairs.length; index += 2) {
      const lengthBytes = pairs[index]!;
      if (pairs[index + 1] === CHANGED) ranges.push({ offsetBytes, lengthBytes });
      offsetBytes += lengthBytes;
    }
    return { ranges, endBytes };
  }

  private async changes(place: SnapshotPlace, ask: Extract<SnapshotAsk, { what: 'changes' }>): Promise<SnapshotReply> {
    const since = this.placeOf(ask.since);
    if (since.record.volumeId !== place.record.volumeId) throw gone(ask.since);
    const { fromBytes, toBytes } = ask;
    if (since.record.id === place.record.id) return { changes: [(toBytes - fromBytes) / SECTOR_BYTES, UNCHANGED] };
    const { pairs } = await this.compare(this.sideOf(since), this.sideOf(place), fromBytes, toBytes, EXTENTS_PER_ANSWER_MAX);
    const changes = inSectors(pairs, SECTOR_BYTES);
    // An answer must cover at least one sector. If the first extent is smaller than a sector, the answer is that this sector has changed.
    return { changes: changes.length > 0 ? changes : [1, CHANGED] };
  }

  private older({ id, volumeId }: SnapshotRecord, after: string | null): SnapshotReply {
    const youngestFirst = this.snapshots.recordsOf(volumeId).filter(isReadable).toReversed();
    const begin = youngestFirst.findIndex((one) => one.id === (after ?? id)) + 1;
    // The list cannot continue after a snapshot that was removed. The client must begin the list again.
    if (begin === 0) throw gone(after ?? id);
    const rest = youngestFirst.slice(begin);
    const snapshots = rest.slice(0, SNAPSHOTS_PER_ANSWER_MAX).map((one) => ({ name: one.name, id: one.id }));
    return { snapshots, hasMore: rest.length > snapshots.length };
  }

  /**
   * Compares each file of the volume with its earlier state. If a file was added after the earlier state, its earlier state counts as
   * zeros.
   */
  private async compare(before: Side, after: Side, fromBytes: number, toBytes: number, pairsMax: number): Promise<Compared> {
    const map = new LayoutMap(after);
    const untilBytes = answeredEnd(map, fromBytes, toBytes);
    const found = await Promise.all(
      after.parts.map(async ({ pool, file }, part) => {
        const [from, to] = [map.bytesBefore(part, fromBytes), map.bytesBefore(part, untilBytes)];
        if (from === to) return [];
        const old = before.parts[part]?.file ?? null;
        const { pairs } = await this.comparisons.compare({ pool, before: old, after: file, fromBytes: from, toBytes: to, pairsMax });
        return pairs;
      }),
    );
    const pairs = mergedChanges(map, fromBytes, untilBytes, found).slice(0, 2 * pairsMax);
    return { pairs, endBytes: pairs.reduce((sum, value, index) => (index % 2 === 0 ? sum + value : sum), fromBytes) };
  }

  private sideOf({ record, files }: SnapshotPlace): Side {
    const check = (): void => this.checkThere(record.id);
    const { layout } = filesOf(record);
    const parts = files.map(({ pool, path, sizeBytes }) => ({ sizeBytes, pool, file: comparedFile(pool, path, false, check) }));
    return { chunkBytes: layout.kind === 'stripe' ? layout.chunkBytes : null, parts };
  }

  /** Throws E_UNKNOWN_SNAPSHOT if no snapshot has this id. */
  private placeOf(id: string): SnapshotPlace {
    const place = this.snapshots.placeOf(id);
    if (place === null) throw gone(id);
    return place;
  }

  private checkThere(id: string): void {
    this.placeOf(id);
  }
}

function currentSide({ path, sizeBytes, pool, layout }: ServerVolumeConfig, check: () => void): Side {
  const name = pool?.name ?? '';
  const parts = (layout?.parts ?? [{ sizeBytes, pool: name, path }]).map((part) => {
    const where = part.pool ?? 'of a file of the volume';
    return { sizeBytes: part.sizeBytes ?? 0, pool: where, file: comparedFile(where, part.path, true, check) };
  });
  return { chunkBytes: layout?.chunkBytes ?? null, parts };
}

/** Throws E_POOL if the file cannot be used. */
function comparedFile(pool: string, path: string | null, isWritten: boolean, check: () => void): ComparedFile {
  if (path !== null) return { path, isWritten, check };
  throw new RsError('E_POOL', `Pool ${pool} cannot be used, and has a file that is to be compared: mount it, then run rsadm reload`, {
    pool,
  });
}

/** Returns a SnapshotAnswers object that uses the file systems of this machine. */
export function systemAnswers(snapshots: ServedSnapshots, clock: Clock): SnapshotAnswers {
  return new SnapshotAnswers(snapshots, new Comparisons(clock, systemReflink().ranges));
}

function gone(id: string): RsError {
  return new RsError('E_UNKNOWN_SNAPSHOT', `There is no snapshot with id ${id} any more: ask again which snapshots there are`, { id });
}
