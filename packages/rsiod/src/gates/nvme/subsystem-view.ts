// What controllers see of their subsystem: its settings and its volumes. Invariant: a controller changes nothing of its subsystem, except that
// it leaves.

import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import type { Resettable } from './cross-resets.ts';
import type { DiscoveryEntry } from './discovery.ts';
import type { Reservations } from '../reservations/reservations.ts';

/**
 * `optimized`: this gate has the volume. `non-optimized`: another gate of the same subsystem has it, and this one takes it over when a host
 * wants it. `change`: it is being taken over. `inaccessible`: it cannot be used here now.
 */
export type AnaState = 'optimized' | 'non-optimized' | 'inaccessible' | 'change';

/** The parts of a volume that a gate uses. `submit` is called only while its namespace is optimized. */
export type GateVolume = Pick<FrontendVolume, 'id' | 'sizeBytes' | 'blockSizeBytes' | 'readonly' | 'canDiscard' | 'submit'>;

export interface GateNamespace {
  readonly nsid: number;
  readonly volume: GateVolume;
  /** When it has changed, `anaChanged` of the subsystem is called. */
  readonly ana: AnaState;
  /** Called when an I/O command arrives while the namespace is not optimized. The command is answered without the volume. */
  wanted(): void;
  /** The reservations of the volume, which all its gates share; null if they cannot be kept. */
  readonly reservations: Reservations | null;
}

export interface SubsystemOptions {
  readonly nqn: string;
  /** What the discovery log has for a host; null for a subsystem with volumes. */
  readonly discovery: ((hostNqn: string) => readonly DiscoveryEntry[]) | null;
  /** Number of this gate among the gates of the subsystem, 1 to GATE_MEMBERS_MAX. */
  readonly number: number;
  /** True if another gate can give the same volumes to hosts. */
  readonly hasPartner: boolean;
  /** 20 printable characters at most; the same at all gates of the subsystem. */
  readonly serial: string;
  readonly version: string;
  readonly isHostAllowed: (hostNqn: string) => boolean;
  nowMs(): number;
  random(bytes: number): Buffer;
  /** Called when a host has logged in or has left, with a sentence. */
  note(sentence: string): void;
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
