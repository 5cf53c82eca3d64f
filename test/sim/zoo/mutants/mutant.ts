// A mutant, and the private members of production classes that mutants touch. The tables beside this file have the mutants. Invariant: a
// mutant changes production classes from outside, and calling the result of `apply` undoes it.

import type { Header } from '@rsio/protocol/wire/header';
import type { Path } from '@rsio/protocol/client/paths/path';
import type { Request } from '@rsio/protocol/client/requests/request';
import type { Slots } from '@rsio/protocol/client/requests/slots';
import { Dispatcher } from '@rsio/protocol/client/dispatcher';
import type { WalkOptions } from '../../../mirrors/world.ts';
import { override } from '../../base/override.ts';
import type { Explorer } from '../explorers/explorers.ts';

export interface Mutant {
  readonly name: string;
  /** Rule of docs/PROTOCOL.md that the mutant breaks. */
  readonly rule: string;
  /** Further rules that the mutant breaks. */
  readonly also?: readonly string[];
  readonly breaks: string;
  /** Only worlds with pools on simulated file systems can find the mutant. */
  readonly needsStores?: true;
  /** Only worlds with clients that read snapshots can find the mutant. */
  readonly needsReaders?: true;
  /** Only worlds with volumes over several pools can find the mutant. */
  readonly needsSpread?: true;
  /** Only worlds in which volumes are taken away from clients can find the mutant. */
  readonly needsRevocations?: true;
  /** Only worlds with mirrors can find the mutant. */
  readonly needsMirrors?: true;
  /** The mutant is hunted in the worlds of this explorer instead of in seeds of the simulator. */
  readonly explorer?: Explorer;
  /** Options of the explorer `walks`. */
  readonly walk?: Partial<WalkOptions>;
  apply(): () => void;
}

export interface SlotInner {
  seq: number;
  request: Request | null;
  copies: number[];
  isTaken: boolean;
  isHedged: boolean;
}

export interface SlotsInner {
  slots: PrivateAs<Slots['slots'], SlotInner[]>;
}

export interface DispatcherInner {
  slots: PrivateAs<Dispatcher['slots'], Slots>;
  resends: PrivateAs<Dispatcher['resends'], number[]>;
  expected: PrivateAs<Dispatcher['expected'], (path: Path, header: Header) => Request | null>;
  fenced: PrivateAs<Dispatcher['fenced'], (path: number) => void>;
}

/**
 * Gives a private member the type `Type`, for a mutant. `Member` is the type of the member in the class. If the member is renamed, the
 * mutant does not compile.
 */
export type PrivateAs<Member, Type> = [Member] extends [never] ? never : Type;

/** Returns a function that undoes several overrides, the last one first. */
export function all(...undos: (() => void)[]): () => void {
  return () => {
    for (const undo of undos.reverse()) undo();
  };
}

/** Makes the client accept an answer on a path that does not owe it. Called by mutants whose damage would be limited by rule S3. */
export function lettingStrayAnswersPass(): () => void {
  return override<DispatcherInner, [Path, Header], Request | null>(
    Dispatcher,
    'expected',
    (original) => (self, path, header) => (self.slots.owes(header.slot, header.seq, path.number) ? original(self, path, header) : null),
  );
}
