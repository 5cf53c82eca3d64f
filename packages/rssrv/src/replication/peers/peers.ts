// The connections of this server to its peers, as a client. A child process for each peer has the connection and pulls the differences of
// snapshots into files. Invariant: a pull resolves only when the file has the whole content of the snapshot, durably.

import type { PeerConfig } from '@rsio/common/config/schema/types';

export interface Pull {
  /** The volume as the source names it now. */
  readonly volume: { readonly name: string; readonly universe: number };
  /** NAME@snapshot is opened read-only; the pull is refused if its id is not this id. */
  readonly snapshot: { readonly name: string; readonly id: string };
  /** Id of the snapshot at the source whose content `file` had at the beginning; null: `file` was all zeros, or `isCompared` is true. */
  readonly since: string | null;
  /** True if `file` may have any content: the pull compares it with the snapshot by checksums, and copies what differs. */
  readonly isCompared: boolean;
  /** Local path of a file of at least `sizeBytes`. */
  readonly file: string;
  readonly sizeBytes: number;
  /** Everything before this position is complete (an earlier pull has reported it). */
  readonly fromBytes: number;
  /** Most bytes per second on the wire; null for no limit. */
  readonly limitBytes: number | null;
}

export interface PullProgress {
  /** Everything before this position is complete and durable. */
  readonly positionBytes: number;
  /** Bytes that differ: copied so far, and all of them as far as known. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface PeerState {
  readonly name: string;
  readonly isConnected: boolean;
  readonly pathsUp: number;
  /** Wall-clock time since which the peer is connected or absent. */
  readonly sinceMs: number;
  /** What prevents the connection or a path, or the last error; null: none. */
  readonly trouble: string | null;
}

export interface Peers {
  /** Called after start and reload, and when this server has taken or left a shared pool: begins and ends the connections that differ. */
  follow(peers: readonly PeerConfig[]): void;
  /** Null for a server that is not a peer. */
  state(name: string): PeerState | null;
  readonly states: readonly PeerState[];
  /** Calls an ADMIN method of the peer. Rejects with E_UNREACHABLE at once if the peer is not connected. */
  call(name: string, method: string, params: object, withinMs: number): Promise<unknown>;
  /** Closes snapshots at the peer that this server may have left open at another peer, whose pool the peer has now. */
  closeLeft(name: string, at: string): Promise<void>;
  /** Resolves when the whole content is durable in the file. Rejects with E_UNREACHABLE, E_UNKNOWN_SNAPSHOT or an error of the file. */
  pull(name: string, pull: Pull, progress: (progress: PullProgress) => void, cancel: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}
