// What controllers see of their subsystem: its settings and its volumes. Invariant: a controller changes nothing of its subsystem, except that
// it leaves.

import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import type { DiscoveryEntry } from './discovery.ts';

export interface GateNamespace {
  readonly nsid: number;
  readonly volume: FrontendVolume;
}

export interface SubsystemOptions {
  readonly nqn: string;
  /** What the discovery log has for a host; null for a subsystem with volumes. */
  readonly discovery: ((hostNqn: string) => readonly DiscoveryEntry[]) | null;
  /** 20 printable characters at most; unique for each subsystem. */
  readonly serial: string;
  readonly version: string;
  readonly isHostAllowed: (hostNqn: string) => boolean;
  nowMs(): number;
  /** Called when a host has logged in or has left, with a sentence. */
  note(sentence: string): void;
}

export interface SubsystemView {
  readonly options: SubsystemOptions;
  readonly namespaces: ReadonlyMap<number, GateNamespace>;
  /** Counts the changes of the discovery log. */
  readonly generation: number;
}

export interface ControllerOwner extends SubsystemView {
  /** Called when the last connection of a controller has finished. */
  left(controller: { readonly id: number; readonly hostNqn: string }): void;
}
