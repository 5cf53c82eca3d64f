// What controllers see of their subsystem: its settings and its volumes. Invariant: a controller changes nothing in its subsystem, except
// when it leaves.

import type { GateNamespace } from '../ports/gate-namespace.ts';
import type { Resettable } from './cross-resets.ts';
import type { GateOrder } from '../order/gate-order.ts';
import type { DiscoveryEntry } from './discovery.ts';

export interface SubsystemOptions {
  readonly nqn: string;
  /** Returns the entries of the discovery log for a host; null for a subsystem with volumes. */
  readonly discovery: ((hostNqn: string) => readonly DiscoveryEntry[]) | null;
  /** Number of this gate among the gates of the subsystem, 1 to GATE_MEMBERS_MAX. */
  readonly number: number;
  /** True if another gate can offer the same volumes to hosts. */
  readonly hasPartner: boolean;
  /** 20 printable characters at most; the same at all gates of the subsystem. */
  readonly serial: string;
  readonly version: string;
  readonly isHostAllowed: (hostNqn: string) => boolean;
  /** A time that goes on while the machine is suspended. */
  nowMs(): number;
  readonly order: GateOrder;
  random(bytes: number): Buffer;
  /** Called with a sentence for the log when a host has logged in or has left. */
  note(sentence: string, host: string): void;
}

export interface SubsystemView {
  readonly options: SubsystemOptions;
  readonly namespaces: ReadonlyMap<number, GateNamespace>;
  /** Counts the changes of the states of namespaces. */
  readonly anaChanges: number;
  /** The count at the last change of each namespace. */
  readonly anaChangedAt: ReadonlyMap<number, number>;
  /** Counts the changes of the discovery log. */
  readonly generation: number;
}

export interface ControllerOwner extends SubsystemView {
  /** Called when the last connection of a controller has finished. */
  left(controller: Resettable): void;
  readonly controllers: ReadonlyMap<number, Resettable>;
}
