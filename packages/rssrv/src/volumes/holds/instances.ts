// Decides from notes about earlier instances which instances of a node are admitted (docs/PROTOCOL.md H4). Pure. holds.ts saves the notes;
// admissions.ts manages the sessions. Invariants: the number recorded for a machine never decreases. The notes about a node are bounded.

import { assert } from '@rsio/base/lib/assert';
import { NODE_MACHINES_MAX, NODE_REPLACED_MAX } from '../limits.ts';
import type { ClientIdentity } from './grants.ts';

export type Instance = Omit<ClientIdentity, 'node'>;

/** On the given machine, all instances with a number less than `below` are refused. */
export interface MachineNote {
  readonly machine: string;
  readonly below: number;
}

export interface NodeNotes {
  /** The instance that was admitted last; null if this instance is unknown (for example, in notes from an earlier version of the file). */
  readonly last: Instance | null;
  /** Notes about machines, the most recently changed note last. */
  readonly machines: readonly MachineNote[];
  /** Processes replaced by another process with the same machine and instance number, the most recent last. */
  readonly replaced: readonly string[];
}

/** Checks a change of the notes: no instance that was refused permanently is admitted again, as far as its note is kept. */
export function checkNotes(before: NodeNotes, after: NodeNotes): void {
  for (const { machine, below } of before.machines) {
    const now = after.machines.find((note) => note.machine === machine);
    assert(now === undefined || now.below >= below, 'The instance number of a machine falls');
  }
  assert(new Set(after.machines.map(({ machine }) => machine)).size === after.machines.length, 'A machine has two notes');
  assert(after.machines.length <= NODE_MACHINES_MAX && after.replaced.length <= NODE_REPLACED_MAX, 'The notes about a node exceed a bound');
}

export const NO_NOTES: NodeNotes = { last: null, machines: [], replaced: [] };

/**
 * Returns false if the given instance must be refused permanently: it has been replaced, or a later instance has been seen on its machine.
 */
export function isCurrent({ machines, replaced }: NodeNotes, { machine, instance, process }: Instance): boolean {
  const below = machines.find((note) => note.machine === machine)?.below ?? 0;
  return instance >= below && (process === null || !replaced.includes(process));
}

/**
 * Returns the notes after `client` has been admitted and has replaced the instance `replaced`, if any. Returns `notes` itself if nothing
 * changes.
 */
export function withInstance(notes: NodeNotes, client: Instance, replaced: Instance | null): NodeNotes {
  const { machine, instance, boot, process, address } = client;
  const others = replaced === null ? notes : withReplaced(notes, client, replaced);
  const machines = withMachine(others.machines, { machine, below: instance });
  const last = notes.last !== null && isSame(notes.last, client) ? notes.last : { machine, instance, boot, process, address };
  const isNews = last !== notes.last || machines !== notes.machines || others !== notes;
  return isNews ? { ...others, last, machines } : notes;
}

/** Returns the notes after an admitted client has replaced the instance `replaced`. */
export function withReplaced(notes: NodeNotes, client: Claim, replaced: Claim): NodeNotes {
  const { machine, instance, process } = replaced;
  if (machine !== client.machine) {
    const machines = withMachine(notes.machines, { machine, below: instance + 1 });
    return machines === notes.machines ? notes : { ...notes, machines };
  }
  if (instance !== client.instance || process === null || process === client.process || notes.replaced.includes(process)) return notes;
  return { ...notes, replaced: [...notes.replaced, process].slice(-NODE_REPLACED_MAX) };
}

/**
 * Merges this server's notes about a node (`own`) with the notes in the ledger of a pool. An instance that either server refuses
 * permanently is refused. `isHolding`: true if the node holds a volume according to the ledger. A copy of the node's machine must then not
 * replace the last instance in the ledger.
 */
export function mergedNotes(own: NodeNotes, other: NodeNotes, isHolding: boolean): NodeNotes {
  const machines = other.machines.reduce(withMachine, own.machines);
  const replaced = [...new Set([...other.replaced, ...own.replaced])].slice(-NODE_REPLACED_MAX);
  const last = isHolding ? (other.last ?? own.last) : (own.last ?? other.last);
  return { last, machines, replaced };
}

type Claim = Pick<Instance, 'machine' | 'instance' | 'process'>;

/**
 * Returns true if the new client is the same process as the earlier instance, or a later start during the same boot of the machine. A copy
 * of the machine has either another boot id, or the same instance number but another process.
 */
export function isSuccessor(before: Instance, newcomer: Instance): boolean {
  if (before.machine !== newcomer.machine || !isBootOf(before, newcomer)) return false;
  if (before.instance < newcomer.instance) return true;
  return before.instance === newcomer.instance && (before.process === null || before.process === newcomer.process);
}

/** Releases up to 0.2 sent the boot id of the kernel alone, so that an update of a client is a later start in the same boot. */
function isBootOf(before: Instance, newcomer: Instance): boolean {
  return before.boot === newcomer.boot || newcomer.boot.startsWith(`${before.boot}.`);
}

function withMachine(machines: readonly MachineNote[], note: MachineNote): readonly MachineNote[] {
  const known = machines.find(({ machine }) => machine === note.machine);
  if (known !== undefined && known.below >= note.below) return machines;
  return [...machines.filter((one) => one !== known), note].slice(-NODE_MACHINES_MAX);
}

function isSame(one: Instance, other: Instance): boolean {
  return (['machine', 'instance', 'boot', 'process', 'address'] as const).every((field) => one[field] === other[field]);
}
