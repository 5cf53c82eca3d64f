// The messages between the listener and a session about limits of I/O, pauses and stops. The messages are plain data, because a channel
// between processes carries them. share-book.ts decides about the shares in the listener, and session-throttles.ts applies them in a
// session.

import type { IoLimits } from '@rsio/common/config/schema/types';

/** The halt of a volume. If the volume is paused, all its I/O waits for `leftMs`. If the volume is stopped, all its I/O is refused. */
export type Halt = { readonly kind: 'paused'; readonly leftMs: number } | { readonly kind: 'stopped' };

/** Stands for all volumes of the client, in place of a volume id, which is a UUID. */
export const ALL_VOLUMES = 'all';

/** The limits of a session on a volume, or on all volumes of its client. */
export interface ThrottleSetting {
  /** The session's share of the limits, as rates. A rate of 0 means that other sessions currently have the whole limit. */
  readonly rates: IoLimits | null;
  /** Interval at which the session must report its use; null if no other session has a share. */
  readonly reportMs: number | null;
  readonly halt: Halt | null;
}

/** `volumeId`: a volume or ALL_VOLUMES. `number` grows with each message about the volume to this session. */
export interface ThrottleMessage {
  readonly type: 'throttle';
  readonly volumeId: string;
  readonly number: number;
  readonly setting: ThrottleSetting;
}

/** The I/O of a session on a volume, or on all its volumes, since its last report. */
export interface ShareUse {
  readonly volumeId: string;
  readonly requests: number;
  readonly bytes: number;
  /** True if requests were held that could have begun with a larger share. */
  readonly isHungry: boolean;
}

export type ThrottleReport =
  /** Confirms that the setting with this number is in force. */
  | { readonly what: 'in-force'; readonly volumeId: string; readonly number: number }
  | { readonly what: 'used'; readonly overMs: number; readonly volumes: readonly ShareUse[] }
  /** The session has no handle of the volume. `number`: the last setting that the session has received. */
  | { readonly what: 'unused'; readonly volumeId: string; readonly number: number };

/** The names of the causes that can hold requests of a volume. */
export type HeldBy = 'pause' | 'iops' | 'bandwidth' | 'client-iops' | 'client-bandwidth';

/** The requests of a volume that wait for limits, or for the end of a pause. */
export interface HeldFigures {
  readonly heldByLimit: number;
  /** How long the first waiting request has waited, in ms. */
  readonly heldForMs: number;
  readonly heldBy: HeldBy | null;
}

export const NOTHING_HELD: HeldFigures = { heldByLimit: 0, heldForMs: 0, heldBy: null };
