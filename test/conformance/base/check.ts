// Assertions of cases about frames and connections: each function throws an Error with a sentence if the assertion fails. This file uses no
// test framework, because the suite also runs as a program, against a server at any address.

import { isDeepStrictEqual } from 'node:util';
import { RsError } from '@rsio/base/lib/errors';
import { frameName, OP } from '@rsio/protocol/wire/frames';
import { FailureAnswer, Farewell } from '@rsio/protocol/wire/messages';
import { type STATUS, statusEntry } from '@rsio/protocol/wire/status';
import type { RawClient, RawConnection, RawFrame, RawRequest } from '../../support/peers/raw-peer.ts';

export type StatusName = keyof typeof STATUS;

const SHOWN_MAX_CHARS = 200;

export function holds(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Error(sentence);
}

export function equals(what: string, actual: unknown, expected: unknown): void {
  holds(isDeepStrictEqual(actual, expected), `${what} is ${shown(actual)}, expected ${shown(expected)}`);
}

/** Expects that two buffers are equal. The error names the first position at which the buffers differ. */
export function sameBytes(what: string, actual: Buffer, expected: Buffer): void {
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  holds(actual.equals(expected), `${what} differs: ${actual.length} bytes, expected ${expected.length}, from byte ${at} on`);
}

export function statusName(answer: RawFrame): string {
  return statusEntry(answer.handle).name;
}

/** Returns the answer to a request, which must have this status and repeat the request's fields. */
export async function answered(path: RawClient, request: RawRequest, status: StatusName = 'OK'): Promise<RawFrame> {
  const answer = await path.call(request);
  equals(`The status of ${frameName(answer.op)}`, statusName(answer), status);
  if (request.op >= OP.READ && request.op < OP.IOCTL) {
    equals('lba and count of the answer', [answer.lba, answer.count], [request.lba ?? 0, request.count ?? 0]);
  }
  return answer;
}

/** Like `answered`, for a LIST, OPEN, CLOSE or IOCTL that must fail. Returns the sentence in the answer, which must be well formed. */
export async function failed(path: RawClient, request: RawRequest, status: StatusName): Promise<string> {
  const { body } = await answered(path, request, status);
  const { sentence } = FailureAnswer.decode(body, 0, body.length);
  holds(sentence.length > 0, `The refusal of ${frameName(request.op)} says nothing`);
  return sentence;
}

/** Expects that the server closes the connection without an answer. PINGs and NOTIFYs may arrive before the end. */
export async function closed(path: RawConnection): Promise<void> {
  await path.ended();
  const said = path.frames.filter(({ op }) => op !== OP.PING && op !== OP.NOTIFY).map(({ op }) => frameName(op));
  equals('What the server said before it closed', said, []);
}

/** Expects a REFUSE with this code, and then the end of the connection. */
export async function refused(peer: RawConnection, code: string): Promise<Farewell> {
  return lastWord(peer, OP.REFUSE, code);
}

/** Expects a BYE with this code, and then the end of the connection. */
export async function byes(peer: RawConnection, code: string): Promise<Farewell> {
  return lastWord(peer, OP.BYE, code);
}

async function lastWord(peer: RawConnection, op: number, code: string): Promise<Farewell> {
  const frame = await peer.next();
  equals('What came', frameName(frame.op), frameName(op));
  const farewell = Farewell.decode(frame.body, 0, frame.body.length);
  equals('Its code', farewell.code, code);
  holds(farewell.sentence.length > 0, `${frameName(op)} ${code} says nothing`);
  await peer.ended();
  return farewell;
}

/** Expects that a step of a raw client fails because of a REFUSE with this code. */
export async function refusedWith(code: string, step: Promise<unknown>): Promise<void> {
  const outcome = await step.then(
    () => 'success',
    (error: unknown) => (error instanceof RsError ? error.code : error),
  );
  equals('The outcome', outcome instanceof Error ? outcome.message : outcome, code);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_MAX_CHARS ? `${text.slice(0, SHOWN_MAX_CHARS)}...` : text;
}
