// What listener and worker say to each other over the channel between the processes. Plain data; sockets ride along with `path`.
// Leaves sending to workers.ts and worker.ts. Invariant: each `ask` is answered by one `told` of the same number, null when it failed.

import type { ListAnswer, OpenRequest, ServerInterface } from '@rsio/protocol/wire/messages';
import type { GrownVolume } from './served-volume.ts';
import type { Admission } from './session.ts';
import type { Grant } from './session-volumes.ts';

/** A client as the listener proved it. */
export interface ClientIdentity {
  readonly node: string;
  readonly instance: number;
  readonly machine: string;
  readonly boot: string;
  readonly address: string;
}

export type ToWorker =
  | {
      readonly type: 'begin';
      readonly session: string;
      readonly client: ClientIdentity;
      readonly interfaces: readonly ServerInterface[];
      readonly generation: number;
      readonly log: { readonly file: string; readonly node: string; readonly level: string; readonly copy: boolean };
    }
  | { readonly type: 'path'; readonly admission: Admission }
  | { readonly type: 'told'; readonly number: number; readonly answer: ListAnswer | Grant | null }
  | { readonly type: 'end'; readonly code: string; readonly sentence: string }
  /** The server's list is another one: paths on interfaces that it lacks end in time, volumes in `grown` may be used to their new end. */
  | {
      readonly type: 'list-changed';
      readonly interfaces: readonly ServerInterface[];
      readonly generation: number;
      readonly grown: readonly GrownVolume[];
    }
  | { readonly type: 'reopen-log'; readonly level: string };

export type Asked =
  | { readonly what: 'list' }
  | { readonly what: 'grant'; readonly request: OpenRequest }
  | { readonly what: 'release'; readonly volumeId: string };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'ask'; readonly number: number; readonly asked: Asked }
  | { readonly type: 'paths'; readonly count: number }
  /** Everything has ended: exits next. */
  | { readonly type: 'ended' };
