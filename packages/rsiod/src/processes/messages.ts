// The messages between the main process and a data process. Node's channel to a child process carries messages and sockets. Invariant: the
// main process checks the form and the bounds of each message of a data process, because a data process reads data that servers and
// applications send. A data process trusts the main process, which is of the same release.

import type { RscltConfig } from '@rsio/common/config/schema/types';
import {
  atMost,
  checked,
  list,
  misfit,
  object,
  type Of,
  orNull,
  record,
  type Shape,
  text,
  textThat,
  variants,
  whole,
} from '@rsio/base/lib/shape';
import type { LogWay } from '@rsio/base/log/log-form';
import { type ErrorCode, ERRORS, RsError } from '@rsio/base/lib/errors';
import { type AttachedContent, isAttachedContent } from '../attachments/attached-file.ts';
import { DETACHED_KEPT_MAX } from '../attachments/limits.ts';
import type { Origin } from '../attachments/volume-origins.ts';
import type { PassedConnection } from '../frontends/nbd/passed-connection.ts';
import { EXPORT_FACTS } from '../frontends/nbd/wire/nbd-export.ts';
import type { Kept } from '../keeper/keeper-link.ts';
import type { Identity } from '@rsio/protocol/client-identity';
import { PROCESS_TEXT_MAX_CHARS, PROCESS_VOLUMES_MAX } from './limits.ts';

/** What a data process gets before it begins. */
export interface Begin {
  readonly type: 'begin';
  readonly config: RscltConfig;
  readonly root: string;
  readonly node: string;
  readonly log: LogWay;
  /** The identity of this client, with the number of the data process. */
  readonly identity: Identity;
  /** Number of data processes. Bounds that hold for the client as a whole are divided by this number. */
  readonly processes: number;
  /** The volumes that this process must reattach. */
  readonly attached: AttachedContent;
  /** From which servers these volumes were attached (volume-origins.ts). */
  readonly origins: Readonly<Record<string, Origin>>;
  /** Devices of the previous process with their descriptors in this one; null if there is no keeper. */
  readonly kept: readonly Kept[] | null;
}

/** A request: a method of the control socket, or of OWN_METHODS. */
export interface Call {
  readonly type: 'call';
  readonly number: number;
  readonly method: string;
  readonly params: object;
}

export type ToProcess =
  | Begin
  | Call
  | { readonly type: 'config'; readonly config: RscltConfig }
  | { readonly type: 'log'; readonly way: LogWay }
  | { readonly type: 'alive?' }
  /** The answer to `keep` (`id`: the number of the device, or null with a reason) and to `drop`. */
  | { readonly type: 'kept'; readonly number: number; readonly id: number | null; readonly reason: string }
  /** A connection of an NBD client, which travels with the message. */
  | { readonly type: 'nbd'; readonly passed: PassedConnection }
  /** The list with this number is saved. */
  | { readonly type: 'saved'; readonly number: number };

/** How rsiod ends: for good, or so that another process continues with its devices. */
export type Ending = 'stop' | 'restart';

/** Methods of data processes that the control socket does not offer. */
export const OWN_METHODS = {
  /** Returns `{reason}`: why this process must not end now in the way of `{ending}`, or null. */
  refusal: 'process-refusal',
  /** Ends the process: `{reason}`. The process answers when its sessions and frontends are closed. */
  end: 'process-end',
  /** Ends the process so that another one continues with its devices. The process answers when its volumes are flushed. */
  handOver: 'process-hand-over',
  /** Attaches volumes: an `AttachOrder` with `names`. */
  attach: 'process-attach',
  /** Ends an order: `{ticket, isGone}`. */
  endOrder: 'process-end-order',
  /** Returns the figures of the process for the metrics. */
  figures: 'process-figures',
  /** Returns `{obstacles}`: why the configuration in `{config}` cannot replace the current one now. */
  obstacles: 'process-obstacles',
} as const;

/** Highest number of a descriptor on Linux (fs.nr_open). */
const FD_MAX = 2 ** 20;
const shortText = checked(text(), (value) => (value.length <= PROCESS_TEXT_MAX_CHARS ? null : 'is too long'));
const line = textThat((value) => value.length <= PROCESS_TEXT_MAX_CHARS && !value.includes('\n'), 'a short line');
const errorCode = textThat((code) => Object.hasOwn(ERRORS, code), 'a code') as Shape<ErrorCode>;
const number = whole(1, Number.MAX_SAFE_INTEGER);

const FROM = variants('type', {
  /** The process can attach volumes: it has tried its paths, and has tried once to attach its earlier volumes. */
  ready: {},
  alive: {},
  /** A session with a server has begun, and the list of its volumes has arrived. */
  reached: {},
  /** The list of attached volumes has changed. `content` is checked separately, by isAttachedContent. */
  attached: { number, content: record() },
  /** Asks the keeper to hold the descriptor of a device, with a note for the next process. */
  keep: { number, fd: whole(0, FD_MAX), note: line },
  note: { id: number, note: line },
  drop: { number, id: number },
  /** The volumes that the process exports over NBD, whenever they change. */
  exports: { exports: atMost(PROCESS_VOLUMES_MAX, list(EXPORT_FACTS)) },
  /** The NBD connection with this number has ended. */
  'nbd-ended': { number },
  event: { object: shortText, from: shortText, to: shortText, reason: shortText },
  /** A warning that belongs on the terminal from which rsiod is started. */
  warning: { sentence: shortText },
  answer: { number, result: orNull(record()), error: orNull(object({ code: errorCode, message: shortText })) },
});

export type FromProcess = Of<typeof FROM>;

/** Returns the message if it has the form and the bounds of a message of a data process. Throws E_PROTOCOL. */
export function checkedMessage(value: unknown): FromProcess {
  const problem = misfit(FROM, value, 'stored');
  const message = value as FromProcess;
  if (problem === null && (message.type !== 'attached' || isBoundedList(message.content))) return message;
  throw new RsError('E_PROTOCOL', `A data process sent a message of another form (${problem ?? 'its list of volumes'})`);
}

function isBoundedList(content: unknown): boolean {
  return isAttachedContent(content) && content.attached.length <= PROCESS_VOLUMES_MAX && content.detached.length <= DETACHED_KEPT_MAX;
}
