// What the listener and its workers say to each other over the channel between the processes: to and from a session in the worker, and about
// the process itself. Plain data; sockets ride along with `path`. Leaves sending to worker-pool.ts, worker.ts and session-host.ts.
// Invariant: each `ask` is answered by one `told` of the same number, null when it failed; of a session nothing is said after `ended`.

import type { ListAnswer, OpenRequest, ServerInterface } from '@rsio/protocol/wire/messages';
import type { GrownVolume } from '../backends/common/served-volume.ts';
import type { Admission } from '../session/server-path.ts';
import type { Grant, Settled } from '../session/session-volumes.ts';

/** A client as the listener proved it. */
export interface ClientIdentity {
  readonly node: string;
  readonly instance: number;
  readonly machine: string;
  readonly boot: string;
  /** null: a client of the first builds. */
  readonly process: string | null;
  readonly address: string;
}

/** The log of a server and of all its processes. */
export interface WorkerLog {
  readonly file: string;
  readonly node: string;
  readonly level: string;
  readonly copiesToStderr: boolean;
}

export type ToSession =
  | {
      readonly type: 'begin';
      /** Whose session it is: the process is called by it. */
      readonly node?: string;
      readonly interfaces: readonly ServerInterface[];
      readonly generation: number;
      readonly log: WorkerLog;
    }
  | { readonly type: 'path'; readonly admission: Admission }
  | { readonly type: 'answer'; readonly number: number; readonly answer: ListAnswer | Grant | Settled | null }
  | { readonly type: 'end'; readonly code: string; readonly sentence: string }
  /** What was granted on the volume up to this epoch is void. Answered by `revoked` of the same number. */
  | { readonly type: 'revoke'; readonly number: number; readonly volumeId: string; readonly epoch: number }
  /** The server's list is another one: paths on interfaces that it lacks end in time, volumes in `grown` may be used to their new end. */
  | {
      readonly type: 'list-changed';
      readonly interfaces: readonly ServerInterface[];
      readonly generation: number;
      readonly grown: readonly GrownVolume[];
    };

export type ToWorker =
  /** `session`: hex. */
  | { readonly type: 'session'; readonly session: string; readonly message: ToSession }
  | { readonly type: 'reopen-log'; readonly level: string }
  /** Answered by `runs`, as soon as its loop turns. */
  | { readonly type: 'ping' }
  /** No session is left in it, and none will come: it exits. */
  | { readonly type: 'exit' };

export type SessionRequest =
  | { readonly what: 'list' }
  | { readonly what: 'grant'; readonly request: OpenRequest }
  /** `epoch`: of the grant, here and below. */
  | { readonly what: 'release'; readonly volumeId: string; readonly epoch: number }
  | { readonly what: 'settle'; readonly volumeId: string; readonly epoch: number; readonly incarnation: string };

export type FromSession =
  | { readonly type: 'ask'; readonly number: number; readonly request: SessionRequest }
  | { readonly type: 'paths'; readonly count: number }
  /** Nothing of it runs any more; `isFlushed`: nor did a flush say that what was written may be lost. */
  | { readonly type: 'revoked'; readonly number: number; readonly isFlushed: boolean }
  /** A sync failed: what was written to the volume may be lost. */
  | { readonly type: 'lost'; readonly volumeId: string }
  /** The storage of the volume ends before the volume: it was cut. */
  | { readonly type: 'cut'; readonly volumeId: string }
  /** Everything of it has ended. */
  | { readonly type: 'ended' };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'pong' }
  | { readonly type: 'session'; readonly session: string; readonly message: FromSession };
