// What the decider knows at one moment, what it remembers, and what it orders. The shell (runner/) gathers the facts and carries the orders
// out, one at a time. Times are monotonic ms of this node, unless their name says wall.

import type { Note } from './note.ts';

/** The keys of [application] that decisions depend on. */
export interface AppRules {
  readonly name: string;
  readonly nodes: readonly string[];
  readonly silentMs: number;
  readonly startDelayMs: number;
  readonly restarts: number;
  readonly failBack: boolean;
  readonly stopsInIsolation: boolean;
}

/** What rsiod and the servers say. */
export interface Seen {
  /** Enough servers have answered to say who holds the first volume. */
  readonly isSure: boolean;
  readonly holder: string | null;
  /** Id of the first volume. */
  readonly volumeId: string;
  /** `unreadable`: another rsapp has written it. */
  readonly note: Note | null | 'unreadable';
  /** Maps each other node to how long the servers have agreed that its paths are gone. A missing node is not known to be silent. */
  readonly silentMs: Readonly<Record<string, number>>;
}

/** The state of this machine. */
export interface Local {
  /** This node has the first volume attached. `unknown`: rsiod does not answer, or is about to attach it again. */
  readonly holds: boolean | 'unknown';
  /** A mount, the address or the service of the application is here, or a stop is not complete. Volumes alone do not count. */
  readonly isUp: boolean;
  readonly isRunning: boolean;
  /** The service failed, or could not be started, since the last order. `final`: it could not be started at all. */
  readonly failure: { readonly why: string; readonly final: boolean } | null;
}

export interface Facts {
  readonly me: string;
  readonly nowMs: number;
  readonly wallMs: number;
  /** This node gives its applications away, and takes none. */
  readonly isDrained: boolean;
  /** A person has ordered a start here while the holder is silent, so that this node waits for nothing but the proof. */
  readonly isOrdered: boolean;
  /** null: rsiod does not answer, or knows no server that offers the volume. */
  readonly seen: Seen | null;
  readonly local: Local;
}

export interface Memory {
  /** When rsapp began to look at the application. */
  readonly beganMs: number;
  /** The holder that is to be replaced ('' for none), and the time since which this is possible. */
  readonly open: { readonly holder: string; readonly sinceMs: number } | null;
  /** Since when no server has been in reach, if this node has the application. */
  readonly isolatedMs: number | null;
  /** Since when the first node has been in reach. */
  readonly firstNodeMs: number | null;
  /**
   * The note that this node saw last, and the volume that had it. While this node holds the volume, nobody else may write the note, so that a
   * missing or older note is one that was lost.
   */
  readonly known: { readonly volumeId: string; readonly note: Note } | null;
}

export type Order =
  | { readonly kind: 'none'; readonly why: string }
  /** Attaches the volumes, writes the note, mounts, starts. `from`: the silent holder that is taken over, or null. */
  | { readonly kind: 'start'; readonly from: string | null; readonly note: Note }
  /** Only writes the note. */
  | { readonly kind: 'save'; readonly note: Note }
  | { readonly kind: 'restart'; readonly note: Note; readonly why: string }
  /** Writes the note if there is one, stops in reverse order, and detaches. */
  | { readonly kind: 'stop'; readonly note: Note | null; readonly why: string }
  /** Stops in reverse order, and keeps the volumes, because no server would hear of a detach. */
  | { readonly kind: 'halt'; readonly why: string }
  /** Another node has the application: kills, unmounts, removes the address, and detaches the other volumes. */
  | { readonly kind: 'clean'; readonly why: string };

export interface Decision {
  readonly memory: Memory;
  readonly order: Order;
}
