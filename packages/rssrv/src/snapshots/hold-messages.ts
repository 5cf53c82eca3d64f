// The messages between the listener and the sessions while changes are held for a snapshot. The messages are plain data, and
// session/channel/channel.ts carries them. moments.ts handles the messages in the listener, and change-gates.ts in a session.

import { counter, type KindsOf, token } from '@rsio/protocol/wire/guards';

/**
 * The guarded chunks of a volume. Chunk i has `chunkBytes` bytes and begins at offset i * chunkBytes. Bytes beyond the last chunk are
 * not guarded.
 */
export interface GuardedVolume {
  readonly volumeId: string;
  readonly chunkBytes: number;
  readonly chunks: number;
}

/** The messages to a session about a moment. `number`: number of the moment. */
export type HoldMessage =
  /**
   * Until `go-on`, the session starts no change of the volumes `volumeIds`, even on handles that the session opens later. The session
   * answers with `held` when no change of the volumes is running.
   */
  | { readonly type: 'hold'; readonly number: number; readonly volumeIds: readonly string[] }
  /** Ends the hold and all earlier guards of this moment. Each later change of a chunk in `guards` waits until the chunk is cloned. */
  | { readonly type: 'go-on'; readonly number: number; readonly guards: readonly GuardedVolume[] };

/** A session's request to clone the chunks from `from` to `to`, inclusive, because a change of the session waits for these chunks. */
export const CLONE_ASKS = { clone: { number: counter, volumeId: token, from: counter, to: counter } };
export type CloneRequest = KindsOf<'what', typeof CLONE_ASKS>;

/** The answer to CloneRequest. `isCloned` is false if the moment is over; the moment then guards no chunk. */
export interface Cloned {
  readonly isCloned: boolean;
}
