// The messages between the listener and its workers. Each message concerns one session in the worker, or the worker process itself. The
// messages are plain data; a `path` message also carries a socket. worker-wire.ts carries the messages, and worker-guards.ts checks the
// messages of workers, so every new message or field needs a guard in worker-guards.ts. Invariants: each `ask` gets exactly one `answer`
// with the same number, even after a failure; `ended` is a session's last message.

import type { ListAnswer, OpenRequest, ServerInterface } from '@rsio/protocol/wire/messages';
import type { ThrottleMessage, ThrottleReport } from '../../volumes/throttle/throttle-messages.ts';
import type { BridgeAnswer, BridgeAsk } from '../../jobs/images/bridges.ts';
import type { GrownVolume } from '../../storage/io/served-volume.ts';
import type { Cloned, CloneRequest, HoldMessage } from '../../snapshots/hold-messages.ts';
import type { Admission } from '../server-path.ts';
import type { AdminReply, AdminRequest } from '../session-admin.ts';
import type { SnapshotAsk, SnapshotReply } from '../../snapshots/reads/snapshot-asks.ts';
import type { SessionFigures } from '../../volumes/statistics/volume-counters.ts';
import type { VoteReply, VoteRequest } from '../../mirrors/session-votes.ts';
import type { Settled } from '../ioctls.ts';
import type { RecordAsk, RecordReply } from '../../volumes/holds/gate-records.ts';
import type { NodesAsk, NodesReply } from '../../volumes/holds/node-asks.ts';
import type { Grant } from '../../volumes/holds/grants.ts';

/** Environment variable with the release of the listener. A worker of another release may not understand the listener's messages. */
export const LISTENER_VERSION = 'RSIO_LISTENER_VERSION';

/** The worker's log settings. The listener writes the log lines of the worker (worker-lines.ts). */
export interface WorkerLog {
  readonly node: string;
  readonly level: string;
}

/**
 * The answer to `files`: the tag that marks the passed descriptors of a volume, and the number of descriptors for each file, or the error
 * if the files could not be opened.
 */
export type FilesAnswer =
  | { readonly filesTag: number; readonly perFile: 1 | 2 }
  | { readonly filesCode: string; readonly sentence: string };

/** The answer to `look`. */
export interface Looked {
  readonly isMine: boolean;
}

/** The answer to `look-age`: null if this server does not own the pool any more. */
export interface LookAge {
  readonly lookAgeMs: number | null;
}

/** The answer of the listener to a request of a session. */
export type ListenerAnswer =
  | ListAnswer
  | Grant
  | Settled
  | Looked
  | LookAge
  | RecordReply
  | NodesReply
  | AdminReply
  | VoteReply
  | FilesAnswer
  | Cloned
  | SnapshotReply
  | BridgeAnswer
  | null;

export type ToSession =
  | HoldMessage
  | ThrottleMessage
  | {
      readonly type: 'begin';
      /** The session's node, for the title of the process. */
      readonly node?: string;
      readonly interfaces: readonly ServerInterface[];
      readonly generation: number;
      readonly log: WorkerLog;
      /** The same ids as in the message `short-pools`. */
      readonly shortPools: readonly string[];
    }
  /** `ids` are the ids of the pools whose free space is below their reserve. Changes that need new space in these pools wait. */
  | { readonly type: 'short-pools'; readonly ids: readonly string[] }
  | { readonly type: 'path'; readonly admission: Admission }
  /** Sent when the server begins to accept encrypted paths only. */
  | { readonly type: 'end-plain-paths'; readonly sentence: string }
  | { readonly type: 'answer'; readonly number: number; readonly answer: ListenerAnswer }
  /** The session must report its figures now. */
  | { readonly type: 'figures' }
  | { readonly type: 'end'; readonly code: string; readonly sentence: string }
  /** Revokes the volume's grants up to `epoch`. The worker answers with `revoked` and the same number. */
  | { readonly type: 'revoke'; readonly number: number; readonly volumeId: string; readonly epoch: number }
  /** This server no longer owns the shared pool of the volume: every unanswered request on the handles of the volume gets STALE. */
  | { readonly type: 'lose'; readonly volumeId: string }
  /**
   * The server's list has changed. The session closes paths on removed interfaces after UNLISTED_PATH_MS, and uses the new sizes of the
   * volumes in `grown`.
   */
  | {
      readonly type: 'list-changed';
      readonly interfaces: readonly ServerInterface[];
      readonly generation: number;
      readonly grown: readonly GrownVolume[];
    };

export type ToWorker =
  /** `session` is the session id in hex. `socketTag` marks the passed connection of a `path` message to a confined worker. */
  | { readonly type: 'session'; readonly session: string; readonly message: ToSession; readonly socketTag?: number }
  | { readonly type: 'log-level'; readonly level: string }
  /** The worker answers with `pong` as soon as its event loop runs. */
  | { readonly type: 'ping' }
  /** The worker must exit, because it has no session and will get no other session. */
  | { readonly type: 'exit' };

export type SessionRequest =
  | AdminRequest
  | VoteRequest
  | CloneRequest
  | SnapshotAsk
  | BridgeAsk
  | RecordAsk
  | NodesAsk
  | { readonly what: 'list' }
  | { readonly what: 'grant'; readonly request: OpenRequest }
  /** Asks for the files of a granted volume. Only a confined worker asks, because it cannot open files. */
  | { readonly what: 'files'; readonly volumeId: string }
  /** In `release` and `settle`, `epoch` is the epoch of the grant that opened the handle. */
  | { readonly what: 'release'; readonly volumeId: string; readonly epoch: number }
  /**
   * Asks whether this server owned the shared pool with this generation at a moment after this message was sent (F8). `hasFailed`: true if
   * the storage has refused a request.
   */
  | { readonly what: 'look'; readonly poolId: string; readonly generation: number; readonly hasFailed: boolean }
  /**
   * Asks for the age of the last look that has shown this server as the owner, measured from the beginning of the look. The answer waits
   * for nothing.
   */
  | { readonly what: 'look-age'; readonly poolId: string; readonly generation: number }
  | { readonly what: 'settle'; readonly volumeId: string; readonly epoch: number; readonly incarnation: string };

export type FromSession =
  | { readonly type: 'ask'; readonly number: number; readonly request: SessionRequest }
  | { readonly type: 'paths'; readonly count: number }
  /** `quietMs`: the time for which no path has received anything; null if the client is heard again. */
  | { readonly type: 'quiet'; readonly quietMs: number | null }
  /** Sent when no request under the revoked grants is running. `isFlushed` is false if a flush has reported lost writes. */
  | { readonly type: 'revoked'; readonly number: number; readonly isFlushed: boolean }
  /** Sent when a sync has failed, so that writes to the volume may be lost. */
  | { readonly type: 'lost'; readonly volumeId: string }
  /** Sent when the session has found the storage shorter than the volume. */
  | { readonly type: 'cut'; readonly volumeId: string }
  /**
   * Sent when the first change of a volume begins to wait for space in its pool, and when the last waiting change has ended. If the volume
   * has several files, `poolId` is the pool of the file that had no space; null if that pool is not known.
   */
  | { readonly type: 'space'; readonly volumeId: string; readonly isWaiting: boolean; readonly poolId: string | null }
  | { readonly type: 'throttled'; readonly report: ThrottleReport }
  /** Sent once after each `hold`, when the session executes no change of the held volumes. */
  | { readonly type: 'held'; readonly number: number }
  /** Sent at an interval, and in answer to `figures`. */
  | { readonly type: 'figures'; readonly figures: SessionFigures }
  /** Sent when the session has ended and none of its requests is running. */
  | { readonly type: 'ended' };

export type FromWorker =
  /** `unprotected` contains sentences about protection that this machine does not offer. */
  | { readonly type: 'ready'; readonly unprotected: readonly string[] }
  | { readonly type: 'pong' }
  | { readonly type: 'session'; readonly session: string; readonly message: FromSession };
