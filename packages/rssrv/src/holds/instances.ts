// Which instances of a node were seen, which are admitted, and which are refused (docs/PROTOCOL.md H4). Pure: notes in, notes out. holds.ts
// saves the notes; admissions.ts manages the sessions. Invariants: the number of a machine never decreases; the notes about a node are
// bounded, whatever its clients send.

import { NODE_MACHINES_MAX, NODE_REPLACED_MAX } from './limits.ts';
import type { ClientIdentity } from '../workers/channel.ts';

export type Instance = Omit<ClientIdentity, 'node'>;

/** Refuses all instances of a machine below a number. */
export interface MachineNote {
  readonly machine: string;
  readonly below: number;
}

export interface NodeNotes {
  /** The instance that was admitted last; null: unknown (earlier versions of the file). */
  readonly last: Instance | null;
  /** Machines in the order in which they were last seen. */
  readonly machines: readonly MachineNote[];
  /** Processes that were replaced by another process with the same machine and instance number. The most recent one is last. */
  readonly replaced: readonly string[];
}

export const NO_NOTES: NodeNotes = { last: null, machines: [], replaced: [] };

/** False: this instance was replaced, or a later one of its machine was seen. It is then refused permanently. */
export function isCurrent({ machines, replaced }: NodeNotes, { machine, instance, process }: Instance): boolean {
  const below = machines.find((note) => note.machine === machine)?.below ?? 0;
  return instance >= below && (process === null || !replaced.includes(process));
}

/** The notes after an instance was admitted and has replaced another, or the same object if nothing changes. */
export function withInstance(notes: NodeNotes, client: Instance, replaced: Instance | null): NodeNotes {
  const { machine, instance, boot, process, address } = client;
  const others = replaced === null ? notes : withReplaced(notes, client, replaced);
  const machines = withMachine(others.machines, { machine, below: instance });
  const last = notes.last !== null && isSame(notes.last, client) ? notes.last : { machine, instance, boot, process, address };
  const isNews = last !== notes.last || machines !== notes.machines || others !== notes;
  return isNews ? { ...others, last, machines } : notes;
}

/** The notes after an instance was replaced by another one that had already been admitted. */
export function withReplaced(notes: NodeNotes, client: Claim, replaced: Claim): NodeNotes {
  const { machine, instance, process } = replaced;
  if (machine !== client.machine) {
    const machines = withMachine(notes.machines, { machine, below: instance + 1 });
    return machines === notes.machines ? notes : { ...notes, machines };
  }
  if (instance !== client.instance || process === null || process === client.process || notes.replaced.includes(process)) return notes;
  return { ...notes, replaced: [...notes.replaced, process].slice(-NODE_REPLACED_MAX) };
}

type Claim = Pick<Instance, 'machine' | 'instance' | 'process'>;

/**
 * Whether a new client is certainly on the same machine as the earlier instance: it is the same process, or a later start in the same boot.
 * A copy of the machine has another boot id. A copy with the same number of starts is another process.
 */
export function isSuccessor(before: Instance, newcomer: Instance): boolean {
  if (before.machine !== newcomer.machine || before.boot !== newcomer.boot) return false;
  if (before.instance < newcomer.instance) return true;
  return before.instance === newcomer.instance && (before.process === null || before.process === newcomer.process);
}

function withMachine(machines: readonly MachineNote[], note: MachineNote): readonly MachineNote[] {
  const known = machines.find(({ machine }) => machine === note.machine);
  if (known !== undefined && known.below >= note.below) return machines;
  return [...machines.filter((one) => one !== known), note].slice(-NODE_MACHINES_MAX);
}

function isSame(one: Instance, other: Instance): boolean {
  return (['machine', 'instance', 'boot', 'process', 'address'] as const).every((field) => one[field] === other[field]);
}
