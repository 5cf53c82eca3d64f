// The messages between the listener and a session about limits of I/O, pauses and stops. The messages are plain data, because a channel
// between processes carries them. share-book.ts decides about the shares in the listener, and session-throttles.ts applies them in a
// session.

import type { IoLimits } from '@rsio/common/config/schema/io-limits';
import {
  counter,
  type FieldsOf,
  flag,
  type Guarded,
  integer,
  kinds,
  listOf,
  milliseconds,
  orNull,
  record,
  token,
  word,
} from '@rsio/protocol/wire/guards';
import { FIGURES_VOLUMES_MAX } from '../limits.ts';

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
const shareUse = record({
  volumeId: token,
  requests: counter,
  bytes: counter,
  /** True if requests were held that could have begun with a larger share. */
  isHungry: flag,
});
export type ShareUse = Guarded<typeof shareUse>;

export const throttleReport = kinds('what', {
  /** Confirms that the setting with this number is in force. */
  'in-force': { volumeId: token, number: counter },
  used: { overMs: milliseconds, volumes: listOf(shareUse, 0, FIGURES_VOLUMES_MAX, 'volumes') },
  /** The session has no handle of the volume. `number`: the last setting that the session has received. */
  unused: { volumeId: token, number: integer(-1, Number.MAX_SAFE_INTEGER) },
});
export type ThrottleReport = Guarded<typeof throttleReport>;

/** The requests of a volume that wait for limits, or for the end of a pause. */
export const heldFields = {
  heldByLimit: counter,
  /** How long the first waiting request has waited, in ms. */
  heldForMs: milliseconds,
  /** The cause that holds the requests. */
  heldBy: orNull(word('pause', 'iops', 'bandwidth', 'client-iops', 'client-bandwidth')),
};
export type HeldFigures = FieldsOf<typeof heldFields>;
export type HeldBy = NonNullable<HeldFigures['heldBy']>;

export const NOTHING_HELD: HeldFigures = { heldByLimit: 0, heldForMs: 0, heldBy: null };
