// The messages between the listener and the process of a peer, over Node's channel. Invariant: each side checks the form and the bounds of
// each message, because the process of a peer reads what another server sends.

import { type ErrorCode, ERRORS, RsError, toRsError } from '@rsio/base/lib/errors';
import {
  atMost,
  checked,
  filledText,
  flag,
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
import { PEER_ADDRESSES_MAX } from '@rsio/common/config/schema/limits';
import { VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { PEER_ANSWER_MAX_CHARS, PEER_TEXT_MAX_CHARS } from '../limits.ts';

const number = whole(1, Number.MAX_SAFE_INTEGER);
const bytes = whole(0, VOLUME_MAX_BYTES);
const shortText = checked(text(), (value) => (value.length <= PEER_TEXT_MAX_CHARS ? null : 'is too long'));
const errorCode = textThat((code) => Object.hasOwn(ERRORS, code), 'a code') as Shape<ErrorCode>;
/** `isOutcomeUnknown`: true if the peer may have executed the call; null if the error is about something else. */
const ERROR = object({ code: errorCode, message: shortText, isOutcomeUnknown: orNull(flag()) });
export type SentError = Of<typeof ERROR>;

export const CONNECTION = object({
  name: filledText(),
  addresses: atMost(PEER_ADDRESSES_MAX, list(object({ address: filledText(), port: whole(1, 65_535) }))),
  namespaceid: whole(0, null),
  nodename: filledText(),
  nodekey: filledText(),
  serverkey: orNull(filledText()),
  tls: flag(),
  digest: flag(),
});

const IDENTITY = object({ machine: text(), boot: text(), process: text(), instance: number, dataProcess: whole(0, 0) });

const PULL = object({
  volume: object({ name: filledText(), universe: whole(0, 3) }),
  snapshot: object({ name: filledText(), id: filledText() }),
  since: orNull(filledText()),
  isCompared: flag(),
  file: filledText(),
  sizeBytes: bytes,
  fromBytes: bytes,
  limitBytes: orNull(number),
});
export type PullOrder = Of<typeof PULL>;

const TO = variants('type', {
  /** `instance`: of this server, so that the process recognizes it. `version`: the release of the listener. */
  begin: { version: text(), connection: CONNECTION, identity: IDENTITY, instance: text() },
  call: { number, method: filledText(), params: record(), withinMs: number },
  pull: { number, pull: PULL },
  cancel: { number },
  /** Opens and closes a snapshot (NAME@SNAPSHOT) that an earlier process may have left open. */
  release: { number, name: filledText(), universe: whole(0, 3) },
  end: {},
});
export type ToPeer = Of<typeof TO>;
export type Begin = Extract<ToPeer, { type: 'begin' }>;

const FROM = variants('type', {
  state: { pathsUp: whole(0, PEER_ADDRESSES_MAX), isConnected: flag(), trouble: orNull(shortText) },
  /** `result`: JSON. */
  answer: {
    number,
    result: orNull(checked(text(), (value) => (value.length <= PEER_ANSWER_MAX_CHARS ? null : 'is too long'))),
    error: orNull(ERROR),
  },
  progress: { number, positionBytes: bytes, doneBytes: bytes, totalBytes: bytes },
  ended: { number, error: orNull(ERROR) },
  /** The snapshot of the pull or `release` with this number is closed. `isReleased`: the peer has confirmed that it is not held. */
  released: { number, isReleased: flag() },
});
export type FromPeer = Of<typeof FROM>;

/** Throws E_PROTOCOL unless the message is one that the listener sends. */
export function messageToPeer(value: unknown): ToPeer {
  return checkedMessage(TO, value, 'The listener');
}

/** Throws E_PROTOCOL unless the message is one that the process of a peer sends. */
export function messageFromPeer(value: unknown): FromPeer {
  return checkedMessage(FROM, value, 'The process of a peer');
}

function checkedMessage<T>(shape: Shape<T>, value: unknown, who: string): T {
  const problem = misfit(shape, value, 'exactly');
  if (problem === null) return value as T;
  throw new RsError('E_PROTOCOL', `${who} sent a message of another form: ${problem}`);
}

export function sentError(thrown: unknown): SentError {
  const { code, message, context } = toRsError(thrown);
  const { isOutcomeUnknown } = context;
  return { code, message: cutText(message), isOutcomeUnknown: typeof isOutcomeUnknown === 'boolean' ? isOutcomeUnknown : null };
}

export function receivedError({ code, message, isOutcomeUnknown }: SentError): RsError {
  return new RsError(code, message, isOutcomeUnknown === null ? {} : { isOutcomeUnknown });
}

export function cutText(value: string): string {
  return value.length <= PEER_TEXT_MAX_CHARS ? value : `${value.slice(0, PEER_TEXT_MAX_CHARS - 4)} ...`;
}
