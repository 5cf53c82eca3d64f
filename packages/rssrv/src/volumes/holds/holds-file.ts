// The content of the holds file, and the conversion of its earlier versions. Pure; state-file.ts reads and writes the file. Messages
// contain holders from this file. The checks are therefore as strict as those of messages: with one invalid holder, every LIST and every
// refused OPEN would fail.

import type { StateForm } from '@rsio/base/files/state-file';
import {
  accepts,
  atMost,
  checked,
  flag,
  integer,
  list,
  map,
  number,
  object,
  type Of,
  optional,
  orNull,
  type Shape,
  text,
  textThat,
  whole,
} from '@rsio/base/lib/shape';
import { isStoredName } from '@rsio/base/lib/units';
import { TIME_MAX_MS } from '@rsio/base/log/log-line';
import { clientInstance, guarded, termNumber, token } from '@rsio/protocol/wire/guards';
import { INSTANCE_MAX } from '@rsio/protocol/wire/limits';
import type { Hold, VolumeHolds } from './hold-rules.ts';
import type { LastTerm } from './last-terms.ts';
import { NO_NOTES, type NodeNotes } from './instances.ts';
import { NODE_MACHINES_MAX, NODE_REPLACED_MAX } from '../limits.ts';

export interface HoldsFileContent {
  readonly volumes: Readonly<Record<string, VolumeHolds>>;
  /** Maps each node to the notes about its instances. */
  readonly nodes: Readonly<Record<string, NodeNotes>>;
  /**
   * True if clients have ever been fenced; the file of fenced clients must then exist. Earlier builds of rssrv ignore this key of the file.
   */
  readonly hasHadFences?: boolean;
}

const count = whole(0, Number.MAX_SAFE_INTEGER);
const node = textThat(isStoredName, 'a name');
const tokenText = guarded(text(), token, 'a token');
const process = orNull(tokenText);
const instance = guarded(integer(), clientInstance, 'an instance number');
const time = whole(0, TIME_MAX_MS);

/**
 * FIRST_HOLD: a hold in the first version of the file, without process id, epoch and incarnation. SECOND_HOLD: a hold in the second
 * version, without process id.
 */
const FIRST_HOLD = { node, machine: text(), instance: integer(), address: text(), sinceMs: time, readonly: flag() };
const SECOND_HOLD = { ...FIRST_HOLD, epoch: count, life: orNull(text()) };
const numberOfTerm = guarded(integer(), termNumber, 'the number of a term');
const HOLD = object({ ...SECOND_HOLD, instance, process, term: optional(numberOfTerm) });
const TERM = object({ number: numberOfTerm, node, instance });
const LAST_TERM: Shape<LastTerm> = object({ data: orNull(tokenText), term: TERM, life: text(), lacks: orNull(TERM) });
const TAKE_OVER = orNull(object({ node, address: text(), atMs: time }));

/**
 * A hold must not have a higher epoch than the volume, because a later hold could then get the same identity. A node has at most one hold
 * of a volume. The class `Holds` asserts both rules for each changed entry.
 */
function sound({ epoch, holds }: Pick<VolumeHolds, 'epoch'> & { readonly holds: readonly Pick<Hold, 'epoch' | 'node'>[] }): string | null {
  if (holds.some((hold) => hold.epoch > epoch)) return 'has a hold of a later epoch than its own';
  return new Set(holds.map((hold) => hold.node)).size === holds.length ? null : 'has two holds of one node';
}

const isTrue = checked(flag(), (value) => (value ? null : 'is not true')) as Shape<true>;
const VOLUME = checked(
  object({ epoch: integer(), holds: list(HOLD), taken: TAKE_OVER, isSnapshot: optional(isTrue), lastTerm: optional(LAST_TERM) }),
  sound,
);
const SECOND_VOLUME = checked(object({ epoch: integer(), holds: list(object(SECOND_HOLD)), taken: TAKE_OVER }), sound);
const FIRST_VOLUME = object({ epoch: integer(), holds: list(object(FIRST_HOLD)), taken: optional(TAKE_OVER) });

const MACHINE = object({ machine: tokenText, below: count });
const NODE = object({
  last: orNull(object({ machine: tokenText, instance, boot: tokenText, process, address: text() })),
  machines: atMost(NODE_MACHINES_MAX, list(MACHINE)),
  replaced: atMost(NODE_REPLACED_MAX, list(tokenText)),
});
const isMachineNote = accepts(MACHINE);

export const VOLUMES = map(VOLUME);
export const NODES = checked(map(NODE), (nodes) => (Object.keys(nodes).every(isStoredName) ? null : 'has a key that is no name'));

const CONTENT = object({
  volumes: VOLUMES,
  nodes: NODES,
  hasHadFences: optional(flag()),
});

/**
 * Up to the second version, the file mapped `node machine` to an instance number; instances with a lower number were refused. The map had
 * no bound, and an instance number beyond the safe integers must not prevent a start of the server.
 */
const INSTANCES = map(number());
const SECOND = object({ volumes: map(SECOND_VOLUME), instances: INSTANCES });
const FIRST = object({ volumes: map(FIRST_VOLUME), instances: INSTANCES });
const isFirst = accepts(FIRST);
const isSecond = accepts(SECOND);
type FirstHold = Of<typeof FIRST>['volumes'][string]['holds'][number];

export const HOLDS_FILE: StateForm<HoldsFileContent> = {
  version: 3,
  shape: CONTENT,
  areEntriesFixed: true,
  earlier: {
    1: (content) => (isFirst(content) ? fromEarlier(content, fromFirst) : null),
    2: (content) => (isSecond(content) ? fromEarlier(content, (hold) => ({ ...hold, process: null })) : null),
  },
  remedy: 'restore it, or move it away if every client that holds a volume has ended',
};

/** In the first version, only the identity of a writer contained the volume's epoch. */
function fromFirst(hold: FirstHold, epoch: number): Hold {
  return { ...hold, process: null, epoch: hold.readonly ? 0 : epoch, life: null };
}

interface Earlier<H> {
  readonly volumes: Readonly<
    Record<string, Pick<VolumeHolds, 'epoch'> & { readonly holds: readonly H[]; readonly taken?: VolumeHolds['taken'] }>
  >;
  readonly instances: Of<typeof INSTANCES>;
}

function fromEarlier<H>({ volumes, instances }: Earlier<H>, fromHold: (hold: H, epoch: number) => Hold): HoldsFileContent {
  const converted = Object.entries(volumes).map(([id, { epoch, holds, taken }]) => {
    const now = holds.map((hold) => fromHold(hold, epoch)).map((hold) => ({ ...hold, instance: Math.min(hold.instance, INSTANCE_MAX) }));
    return [id, { epoch, holds: now, taken: taken ?? null }] as const;
  });
  return { volumes: Object.fromEntries(converted), nodes: nodesOf(instances) };
}

/** Returns the notes about nodes. Omits invalid entries, because a saved invalid entry would make every later start fail. */
function nodesOf(instances: Of<typeof INSTANCES>): Record<string, NodeNotes> {
  const nodes = new Map<string, NodeNotes>();
  for (const [key, below] of Object.entries(instances)) {
    const [node = '', machine] = key.split(' ');
    const note = { machine, below };
    if (!isStoredName(node) || !isMachineNote(note)) continue;
    const known = nodes.get(node) ?? NO_NOTES;
    nodes.set(node, { ...known, machines: [...known.machines, note].slice(-NODE_MACHINES_MAX) });
  }
  return Object.fromEntries(nodes);
}
