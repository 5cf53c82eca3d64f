// The messages between the listener and its workers. Each message concerns one session in the worker, or the worker process itself. The
// messages are plain data; a `path` message also carries a socket. worker-wire.ts carries the messages. A worker reads data of clients, so
// an intruder may control it: its messages are declared as guards, which check them as strictly as frames from the network, and
// session-guard.ts checks whether an id belongs to the session. Invariants: each `ask` gets exactly one `answer` with the same number, even
// after a failure; `ended` is a session's last message. A checked message shares no object with the received one, and has only known
// fields.

import { RsError } from '@rsio/base/lib/errors';
import { counter, flag, type Guarded, integer, kinds, listOf, matching, orNull, text, token } from '@rsio/protocol/wire/guards';
import { SENTENCE_MAX_CHARS, SHORT_TEXT_MAX_CHARS, TOKEN_MAX_CHARS } from '@rsio/protocol/wire/limits';
import { type ListAnswer, OpenRequest, type ServerInterface } from '@rsio/protocol/wire/messages';
import { type ThrottleMessage, throttleReport } from '../../volumes/throttle/throttle-messages.ts';
import { type BridgeAnswer, BRIDGE_ASKS } from '../../jobs/images/bridges.ts';
import type { GrownVolume } from '../../storage/io/served-volume.ts';
import { type Cloned, CLONE_ASKS, type HoldMessage } from '../../snapshots/hold-messages.ts';
import type { Admission } from '../server-path.ts';
import { ADMIN_ASKS, type AdminReply } from '../session-admin.ts';
import { SNAPSHOT_ASKS, type SnapshotReply } from '../../snapshots/reads/snapshot-asks.ts';
import { sessionFigures } from '../../volumes/statistics/volume-counters.ts';
import { VOTE_ASKS, type VoteReply } from '../../mirrors/session-votes.ts';
import type { Settled } from '../ioctls.ts';
import { RECORD_ASKS, type RecordReply } from '../../volumes/holds/gate-records.ts';
import { NODES_ASKS, type NodesReply } from '../../volumes/holds/node-asks.ts';
import type { Grant } from '../../volumes/holds/grants.ts';
import { UNPROTECTED_MAX } from '../limits.ts';

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

const maybeToken = matching(/^[!-~]*$/, TOKEN_MAX_CHARS, 'printable characters without blanks');

const request = kinds('what', {
  ...ADMIN_ASKS,
  ...VOTE_ASKS,
  ...CLONE_ASKS,
  ...SNAPSHOT_ASKS,
  ...BRIDGE_ASKS,
  ...RECORD_ASKS,
  ...NODES_ASKS,
  list: {},
  grant: { request: OpenRequest.guard },
  /** Asks for the files of a granted volume. Only a confined worker asks, because it cannot open files. */
  files: { volumeId: token },
  /** In `release` and `settle`, `epoch` is the epoch of the grant that opened the handle. */
  release: { volumeId: token, epoch: integer(-1, Number.MAX_SAFE_INTEGER) },
  /**
   * Asks whether this server owned the shared pool with this generation at a moment after this message was sent (F8). `hasFailed`: true if
   * the storage has refused a request.
   */
  look: { poolId: token, generation: counter, hasFailed: flag },
  /**
   * Asks for the age of the last look that has shown this server as the owner, measured from the beginning of the look. The answer waits
   * for nothing.
   */
  'look-age': { poolId: token, generation: counter },
  settle: { volumeId: token, epoch: counter, incarnation: maybeToken },
});
export type SessionRequest = Guarded<typeof request>;

const fromSession = kinds('type', {
  ask: { number: counter, request },
  paths: { count: counter },
  /** `quietMs`: the time for which no path has received anything; null if the client is heard again. */
  quiet: { quietMs: orNull(counter) },
  /** Sent when no request under the revoked grants is running. `isFlushed` is false if a flush has reported lost writes. */
  revoked: { number: counter, isFlushed: flag },
  /** Sent when a sync has failed, so that writes to the volume may be lost. */
  lost: { volumeId: token },
  /** Sent when the session has found the storage shorter than the volume. */
  cut: { volumeId: token },
  /**
   * Sent when the first change of a volume begins to wait for space in its pool, and when the last waiting change has ended. If the volume
   * has several files, `poolId` is the pool of the file that had no space; null if that pool is not known.
   */
  space: { volumeId: token, isWaiting: flag, poolId: orNull(token) },
  throttled: { report: throttleReport },
  /** Sent once after each `hold`, when the session executes no change of the held volumes. */
  held: { number: counter },
  /** Sent at an interval, and in answer to the message `figures`. */
  figures: { figures: sessionFigures },
  /** Sent when the session has ended and none of its requests is running. */
  ended: {},
});
export type FromSession = Guarded<typeof fromSession>;

const sessionId = matching(/^[0-9a-f]+$/, 2 * SHORT_TEXT_MAX_CHARS, 'a session id in hexadecimal digits');

const fromWorker = kinds('type', {
  /** `unprotected` contains sentences about protection that this machine does not offer. */
  ready: { unprotected: listOf(text(SENTENCE_MAX_CHARS), 0, UNPROTECTED_MAX, 'sentences') },
  pong: {},
  session: { session: sessionId, message: fromSession },
});
export type FromWorker = Guarded<typeof fromWorker>;

/** Returns a checked copy of a message that a worker has sent. Throws E_PROTOCOL if the message has another form. */
export function checkedMessage(value: unknown): FromWorker {
  return fromWorker(value, 'message');
}

/** Returns a checked copy of a message that a worker has sent as JSON. Throws E_PROTOCOL if the message has another form. */
export function parsedMessage(line: string): FromWorker {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RsError('E_PROTOCOL', 'message is not JSON');
  }
  return checkedMessage(value);
}
