// Answers who needs a snapshot, so that no command takes it away. Pure. Invariants: a snapshot that is needed is not removed, whoever asks;
// each reason has one provider in NEEDS. Not a need: a clone, which shares blocks and no name; the base of an image, without which the next
// refresh copies everything. Clients that have the snapshot open and jobs that read it are refused when the removal begins (N2). Rules: T6.

import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import type { Asker } from './asker.ts';
import { type Found, type PoolState, volumeText } from './catalogue.ts';
import { commonMoments, momentsIn, unknownIn as unknownMoments } from './follower-moments.ts';
import { following } from './follower-rules.ts';
import { momentIdOf } from './mirror-sources.ts';
import type { SnapshotRecord } from './snapshots/snapshot-record.ts';
import { mayHideVolumes, unknownIn } from './source-marks.ts';
import { sourceNeed } from './source-moments.ts';

export interface NeededSnapshot extends Found {
  readonly record: SnapshotRecord;
}

/** Why a snapshot is needed, as a sentence with the remedy. */
export interface Need {
  readonly code: ErrorCode;
  readonly text: string;
}

type Provider = (pools: readonly PoolState[], snapshot: NeededSnapshot, asker: Asker) => Need | null;

const NEEDS: readonly Provider[] = [sourceNeed, promotionNeed];

/** Returns why the snapshot is needed; null if nothing needs it. */
export function needOf(pools: readonly PoolState[], snapshot: NeededSnapshot, asker: Asker): Need | null {
  for (const provider of NEEDS) {
    const need = provider(pools, snapshot, asker);
    if (need !== null) return need;
  }
  return null;
}

/** Throws if something needs the snapshot. */
export function checkUnneeded(pools: readonly PoolState[], snapshot: NeededSnapshot, asker: Asker): void {
  const need = needOf(pools, snapshot, asker);
  if (need === null) return;
  const { manifest, record } = snapshot;
  throw new RsError(need.code, need.text, { snapshot: `${volumeText(manifest)}@${record.name}` });
}

/**
 * A follower is promoted with the newest moment that all followers of its replication have. That moment and each later one may be the only
 * copy of its content: without a moment in common, each one may become the first. While a pool or a volume that may be another follower cannot be read, every
 * moment may be the one in common.
 */
function promotionNeed(pools: readonly PoolState[], { pool, manifest, record }: NeededSnapshot): Need | null {
  const mark = following(manifest);
  if (mark === null) return null;
  const own = momentsIn(mark, listOf(pool, manifest.id));
  const index = own.findIndex(({ id }) => id === record.id);
  if (index < 0) return null;
  const text = `${volumeText(manifest)}@${record.name}`;
  const unknown = unknownMoments(own).find(({ later }) => later.id === record.id)?.kept.name;
  if (unknown !== undefined) {
    const kept = `${volumeText(manifest)}@${unknown}`;
    return { code: 'E_USAGE', text: `Snapshot ${text} keeps ${kept}, which the mirror does not know: first rsadm volume remove ${kept}` };
  }
  const all = pools.flatMap((one) =>
    [...one.volumes.values()].flatMap(({ id, follower }) =>
      follower?.replication === mark.replication ? [{ follower, moments: momentsIn(follower, listOf(one, id)) }] : [],
    ),
  );
  const sources = new Set(all.map(({ follower }) => follower.sourceId));
  const hiding = mark.members.every((id) => sources.has(id)) ? undefined : pools.find(mayHideVolumes);
  if (hiding !== undefined)
    return { code: 'E_POOL', text: `Snapshot ${text} may be the newest moment of its replication, because ${unknownIn(hiding)}` };
  const newest = commonMoments(all.map(({ moments }) => moments)).at(-1);
  const begun = all.flatMap(({ follower }) => follower.promoted?.group ?? []);
  const from = newest === undefined ? 0 : own.findIndex((one) => momentIdOf(one) === newest);
  if (index < from && !begun.includes(momentIdOf(record))) return null;
  return {
    code: 'E_USAGE',
    text:
      `Snapshot ${text} is the newest moment of volume ${mark.sourceName} of server ${mark.peer}, and may be the only copy of its content: ` +
      `remove it when a later one has arrived, or rsadm volume promote ${volumeText(manifest)} makes the volume an ordinary one, and ends the replication here`,
  };
}

function listOf(pool: PoolState, id: string): readonly SnapshotRecord[] {
  return pool.snapshots.get(id)?.list ?? [];
}
