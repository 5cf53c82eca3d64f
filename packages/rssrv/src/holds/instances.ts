// Which instances of a node were seen, which are admitted, and which are refused (docs/PROTOCOL.md H4). Pure: notes in, notes out. holds.ts saves
// them; admissions.ts has the sessions. Invariants: a number is never lowered; the notes of a node are bounded, whatever its clients send.

import { NODE_MACHINES_MAX, NODE_REPLACED_MAX } from './limits.ts';
import type { ClientIdentity } from '../workers/channel.ts';

export type Instance = Omit<ClientIdentity, 'node'>;

/** Instances of a machine below the number are refused. */
export interface MachineNote {
  readonly machine: string;
  readonly below: number;
}

export interface NodeNotes {
  /** The instance that was admitted last; null: unknown (earlier versions of the file). */
  readonly last: Instance | null;
  /** In the order in which they were seen last. */
  readonly machines: readonly MachineNote[];
  /** Processes that another process with the same machine and number has replaced, the latest one last. */
  readonly replaced: readonly string[];
}

export const NO_NOTES: NodeNotes = { last: null, machines: [], replaced: [] };

/** False: this instance was replaced, or a later one of its machine was seen. It is refused for ever. */
export function isCurrent({ machines, replaced }: NodeNotes, { machine, instance, process }: Instance): boolean {
  const below = machines.find((note) => note.machine === machine)?.below ?? 0;
  return instance >= below && (process === null || !replaced.includes(process));
}

/** The notes after an instance was admitted and has replaced another; the same object if nothing changes. */
export function withInstance(notes: NodeNotes, client: Instance, replaced: Instance | null): NodeNotes {
  const { machine, instance, boot, process, address } = client;
  const others = replaced === null ? notes : withReplaced(notes, client, replaced);
  const machines = withMachine(others.machines, { machine, below: instance });
  const last = notes.last !== null && isSame(notes.last, client) ? notes.last : { machine, instance, boot, process, address };
  const isNews = last !== notes.last || machines !== notes.machines || others !== notes;
  return isNews ? { ...others, last, machines } : notes;
}

/** The notes after an instance was replaced by one that was admitted before. */
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
 * Whether a newcomer is certainly on the same machine as the earlier instance: it is the same process, or a later start in the same boot. A copy of
 * the machine has another boot; one with the same number of starts is another process.
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
