// The form of the file in which holders are kept, and what becomes of its first form. Pure. Leaves reading and writing to state-file.ts.
// As strict as the messages that name holders: one that cannot be told would fail every LIST and every refused OPEN.

import { TIME_MAX_MS } from '@rsio/protocol/lib/log-line';
import type { StateForm } from '@rsio/protocol/lib/state-file';
import { isListOf, isRecord, isRecordOf, isText, isWhole } from '@rsio/protocol/lib/state-values';
import { isName } from '@rsio/protocol/lib/units';
import type { Hold, TakeOver, VolumeHolds } from './hold-table.ts';

export interface HoldersContent {
  readonly volumes: Readonly<Record<string, VolumeHolds>>;
  /** `node machine` -> highest instance seen; lower ones are refused. */
  readonly instances: Readonly<Record<string, number>>;
}

type FirstHold = Omit<Hold, 'epoch' | 'life'>;

interface FirstVolumeHolds {
  readonly epoch: number;
  readonly holds: readonly FirstHold[];
}

export const HOLDERS_FORM: StateForm<HoldersContent> = {
  version: 2,
  accepts: (content): content is HoldersContent => isContent(content, isVolumeHolds),
  earlier: { 1: (content) => (isContent(content, isFirstVolumeHolds) ? fromFirst(content) : null) },
  remedy: 'restore it, or move it away if every client that holds a volume has ended',
};

/** A writer's identity was made of the volume's epoch, a reader's of none. */
function fromFirst({ volumes, instances }: Content<FirstVolumeHolds>): HoldersContent {
  const converted = Object.entries(volumes).map(([id, { epoch, holds }]) => {
    const now = holds.map((hold) => ({ ...hold, epoch: hold.readonly ? 0 : epoch, life: null }));
    return [id, { epoch, holds: now, taken: null }] as const;
  });
  return { volumes: Object.fromEntries(converted), instances };
}

interface Content<V> {
  readonly volumes: Readonly<Record<string, V>>;
  readonly instances: Readonly<Record<string, number>>;
}

function isContent<V>(value: unknown, isVolume: (volume: unknown) => volume is V): value is Content<V> {
  return isRecord(value) && isRecordOf(value['volumes'], isVolume) && isRecordOf(value['instances'], isWhole);
}

function isFirstVolumeHolds(value: unknown): value is FirstVolumeHolds {
  return isRecord(value) && isWhole(value['epoch']) && isListOf(value['holds'], isFirstHold);
}

function isVolumeHolds(value: unknown): value is VolumeHolds {
  if (!isRecord(value)) return false;
  const { epoch, holds, taken } = value;
  return isWhole(epoch) && isListOf(holds, (hold) => isHold(hold, epoch)) && (taken === null || isTakeOver(taken));
}

/** A hold that began after the last change would have the identity of a later one. */
function isHold(value: unknown, lastEpoch: number): value is Hold {
  if (!isRecord(value) || !isFirstHold(value)) return false;
  const { epoch, life } = value as Partial<Hold>;
  return isWhole(epoch) && epoch >= 0 && epoch <= lastEpoch && (life === null || isText(life));
}

function isFirstHold(value: unknown): value is FirstHold {
  if (!isRecord(value)) return false;
  const { node, machine, instance, address, sinceMs, readonly } = value;
  return isNode(node) && isTime(sinceMs) && [machine, address].every(isText) && isWhole(instance) && typeof readonly === 'boolean';
}

function isTakeOver(value: unknown): value is TakeOver {
  return isRecord(value) && isNode(value['node']) && isText(value['address']) && isTime(value['atMs']);
}

function isNode(value: unknown): value is string {
  return isText(value) && isName(value);
}

function isTime(value: unknown): value is number {
  return isWhole(value) && value >= 0 && value <= TIME_MAX_MS;
}
