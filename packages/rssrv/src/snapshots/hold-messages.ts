// The messages between the listener and its sessions while changes are held for a snapshot. Plain data; session/channel/channel.ts carries them,
// moments.ts and change-gates.ts act on them.

/** The chunks of a volume that are not cloned yet. Chunk i covers the bytes from i * chunkBytes on; bytes beyond the last chunk are free. */
export interface GuardedVolume {
  readonly volumeId: string;
  readonly chunkBytes: number;
  readonly chunks: number;
}

/** To a session. `number`: of the moment. */
export type HoldMessage =
  /**
   * The session starts no change of these volumes until `go-on`, also on handles that it opens later. It answers with `held` when none is
   * being executed.
   */
  | { readonly type: 'hold'; readonly number: number; readonly volumeIds: readonly string[] }
  /** Ends what the session knows of this moment. From now on, a change of a guarded chunk waits until the chunk is cloned. */
  | { readonly type: 'go-on'; readonly number: number; readonly guards: readonly GuardedVolume[] };

/** A session's request that these chunks are cloned, because a change waits for them. `to`: the last one. */
export interface CloneRequest {
  readonly what: 'clone';
  readonly number: number;
  readonly volumeId: string;
  readonly from: number;
  readonly to: number;
}

/** The answer. `isCloned` is false if the moment is over, so that no chunk is guarded any more. */
export interface Cloned {
  readonly isCloned: boolean;
}
