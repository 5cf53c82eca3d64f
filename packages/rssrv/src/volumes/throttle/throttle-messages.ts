// What the listener and a session tell each other about limits of I/O, pauses and stops. Plain data, which a channel between processes carries;
// share-book.ts and session-throttles.ts are the two ends.

import type { IoLimits } from '@rsio/common/config/schema/types';

/** All I/O of a volume waits for this time, or is refused. */
export type Halt = { readonly kind: 'paused'; readonly leftMs: number } | { readonly kind: 'stopped' };

/** What a session may do on a volume. */
export interface ThrottleSetting {
  /** The share of this session. A rate of 0 means that other sessions have all of it for the moment. */
  readonly rates: IoLimits | null;
  /** If other sessions have a share, too: interval at which this one has to report what it uses. Null: it need not. */
  readonly reportMs: number | null;
  readonly halt: Halt | null;
}

export type ThrottleMessage =
  /** `number` grows with each message about the volume to this session. */
  | { readonly type: 'throttle'; readonly volumeId: string; readonly number: number; readonly setting: ThrottleSetting }
  /** The limits of the client itself; null: none. */
  | { readonly type: 'client-rates'; readonly rates: IoLimits | null };

/** What a session has used of a volume since its last report. */
export interface ShareUse {
  readonly volumeId: string;
  readonly requests: number;
  readonly bytes: number;
  /** True if requests were held that a larger share would have let go. */
  readonly isHungry: boolean;
}

export type ThrottleReport =
  /** The setting with this number is in force. */
  | { readonly what: 'in-force'; readonly volumeId: string; readonly number: number }
  | { readonly what: 'used'; readonly overMs: number; readonly volumes: readonly ShareUse[] }
  /** The session has no handle of the volume. `number`: of the last setting that it has got. */
  | { readonly what: 'unused'; readonly volumeId: string; readonly number: number };

/** What holds requests of a volume. */
export type HeldBy = 'pause' | 'iops' | 'bandwidth' | 'client-iops' | 'client-bandwidth';

/** The requests of a volume that wait for limits, or for the end of a pause. */
export interface HeldFigures {
  readonly heldByLimit: number;
  /** How long the first of them has waited. */
  readonly heldForMs: number;
  readonly heldBy: HeldBy | null;
}

export const NOTHING_HELD: HeldFigures = { heldByLimit: 0, heldForMs: 0, heldBy: null };
