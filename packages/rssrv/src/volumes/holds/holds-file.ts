// The content of the holds file, and the conversion of its earlier versions. Pure; state-file.ts reads and writes the file. The checks are
// as strict as the checks of messages, because a single invalid holder would make every LIST and every refused OPEN fail.

import { isListOf, isRecord, isRecordOf, isText, isWhole, type StateForm } from '@rsio/common/files/state-file';
import { isName } from '@rsio/common/lib/units';
import { TIME_MAX_MS } from '@rsio/common/log/log-line';
import { clientInstance, passes, termNumber, token } from '@rsio/protocol/wire/guards';
import { INSTANCE_MAX } from '@rsio/protocol/wire/limits';
import type { Hold, TakeOver, VolumeHolds } from './hold-rules.ts';
import { type Instance, type MachineNote, NO_NOTES, type NodeNotes } from './instances.ts';
import { NODE_MACHINES_MAX, NODE_REPLACED_MAX } from './limits.ts';

export interface HoldsFileContent {
  readonly volumes: Readonly<Record<string, VolumeHolds>>;
  /** Maps each node to the notes about its instances. */
  readonly nodes: Readonly<Record<string, NodeNotes>>;
  /** True if clients have been fenced, so that the file of fenced clients must exist. Earlier builds ignore this key. */
  readonly hasHadFences?: boolean;
}

/** In the second version of the file, holds had no process ids. In the first version, holds also had no epochs and no incarnations. */
type SecondHold = Omit<Hold, 'process'>;
type FirstHold = Omit<SecondHold, 'epoch' | 'life'>;

/**
 * Up to the second version, the file mapped `node machine` to an instance number; instances with a lower number were refused. The map was
 * unbounded.
 */
type EarlierInstances = Readonly<Record<string, number>>;

interface Earlier<H> {
  readonly volumes: Readonly<Record<string, { readonly epoch: number; readonly holds: readonly H[]; readonly taken: TakeOver | null }>>;
  readonly instances: EarlierInstances;
}

export const HOLDS_FILE: StateForm<HoldsFileContent> = {
  version: 3,
  accepts: (content): content is HoldsFileContent =>
    isRecord(content) && isRecordOf(content['volumes'], isVolumeHolds) && isNodes(content['nodes']),
  earlier: {
    1: (content) => (isEarlier<FirstHold>(content, isFirstVolumeHolds) ? fromEarlier(content, fromFirst) : null),
    2: (content) =>
      isEarlier<SecondHold>(content, isSecondVolumeHolds) ? fromEarlier(content, (hold) => ({ ...hold, process: null })) : null,
  },
  remedy: 'restore it, or move it away if every client that holds a volume has ended',
};

/** In the first version, only the identity of a writer contained the volume's epoch. */
function fromFirst(hold: FirstHold, epoch: number): Hold {
  return { ...hold, process: null, epoch: hold.readonly ? 0 : epoch, life: null };
}

function fromEarlier<H>({ volumes, instances }: Earlier<H>, fromHold: (hold: H, epoch: number) => Hold): HoldsFileContent {
  const converted = Object.entries(volumes).map(([id, { epoch, holds, taken }]) => {
    const now = holds.map((hold) => fromHold(hold, epoch)).map((hold) => ({ ...hold, instance: Math.min(hold.instance, INSTANCE_MAX) }));
    return [id, { epoch, holds: now, taken: taken ?? null }] as const;
  });
  return { volumes: Object.fromEntries(converted), nodes: nodesOf(instances) };
}

/** Omits invalid entries, because they would make every later start fail. */
function nodesOf(instances: EarlierInstances): Record<string, NodeNotes> {
  const nodes = new Map<string, NodeNotes>();
  for (const [key, below] of Object.entries(instances)) {
    const [node = '', machine] = key.split(' ');
    const note = { machine, below };
    if (!isNode(node) || !isMachineNote(note)) continue;
    const known = nodes.get(node) ?? NO_NOTES;
    nodes.set(node, { ...known, machines: [...known.machines, note].slice(-NODE_MACHINES_MAX) });
  }
  return Object.fromEntries(nodes);
}

function isEarlier<H>(value: unknown, isVolume: (volume: unknown) => boolean): value is Earlier<H> {
  // Do not use `isWhole`: an instance number beyond the safe integers must not prevent the server from starting.
  const isNumber = (instance: unknown): instance is number => typeof instance === 'number';
  const isThis = (volume: unknown): volume is object => isVolume(volume);
  return isRecord(value) && isRecordOf(value['volumes'], isThis) && isRecordOf(value['instances'], isNumber);
}

function isNodes(value: unknown): value is HoldsFileContent['nodes'] {
  return isRecordOf(value, isNodeNotes) && Object.keys(value).every(isNode);
}

function isNodeNotes(value: unknown): value is NodeNotes {
  if (!isRecord(value)) return false;
  const { last, machines, replaced } = value;
  return (
    (last === null || isInstance(last)) &&
    isListOf(machines, isMachineNote) &&
    machines.length <= NODE_MACHINES_MAX &&
    isListOf(replaced, isToken) &&
    replaced.length <= NODE_REPLACED_MAX
  );
}

function isInstance(value: unknown): value is Instance {
  if (!isRecord(value)) return false;
  const { machine, instance, boot, process, address } = value;
  return isToken(machine) && passes(clientInstance, instance) && isToken(boot) && isProcess(process) && isText(address);
}

function isMachineNote(value: unknown): value is MachineNote {
  return isRecord(value) && isToken(value['machine']) && isWhole(value['below']) && value['below'] >= 0;
}

function isFirstVolumeHolds(value: unknown): boolean {
  return isRecord(value) && isWhole(value['epoch']) && isListOf(value['holds'], isFirstHold);
}

function isSecondVolumeHolds(value: unknown): boolean {
  return isVolumeOf(value, isSecondHold);
}

function isVolumeHolds(value: unknown): value is VolumeHolds {
  return isVolumeOf(value, (hold, epoch): hold is Hold => isSecondHold(hold, epoch) && isPresentHold(hold));
}

function isPresentHold(hold: SecondHold): hold is Hold {
  const { process, term } = hold as Partial<Hold>;
  return passes(clientInstance, hold.instance) && isProcess(process) && (term === undefined || passes(termNumber, term));
}

function isVolumeOf<H extends SecondHold>(value: unknown, isHold: (hold: unknown, lastEpoch: number) => hold is H): boolean {
  if (!isRecord(value)) return false;
  const { epoch, holds, taken } = value;
  return isWhole(epoch) && isListOf(holds, (hold): hold is H => isHold(hold, epoch)) && (taken === null || isTakeOver(taken));
}

/** A hold must not have a higher epoch than the volume, because a later hold would get the same identity. */
function isSecondHold(value: unknown, lastEpoch: number): value is SecondHold {
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

function isToken(value: unknown): value is string {
  return passes(token, value);
}

function isProcess(value: unknown): value is string | null {
  return value === null || isToken(value);
}

function isNode(value: unknown): value is string {
  return isText(value) && isName(value);
}

function isTime(value: unknown): value is number {
  return isWhole(value) && value >= 0 && value <= TIME_MAX_MS;
}
