// Collects the parts of the server's answer to an ADMIN, and turns the JSON text into a result or an error. Pure. Invariant: all parts
// belong to one answer and are bounded. An error has a known code, and its text is safe for screens and logs. Rules: A5.

import { assert } from '@rsio/base/lib/assert';
import { type ErrorCode, ERRORS, RsError } from '@rsio/base/lib/errors';
import { cleanText } from '../wire/guards.ts';
import { AdminAnswer } from '../wire/messages.ts';
import { ADMIN_MESSAGE_MAX_CHARS } from './limits.ts';

export class AnswerParts {
  private readonly parts: Buffer[] = [];
  private number = 0;
  private totalBytes = 0;
  private receivedBytes = 0;

  /** Adds the next part. Throws E_PROTOCOL if the part does not belong to the answer. */
  add(body: Buffer): void {
    const { answer, totalBytes, part } = AdminAnswer.decode(body, 0, body.length);
    const isFirst = this.parts.length === 0;
    if (!isFirst && (answer !== this.number || totalBytes !== this.totalBytes)) throw misfit('a part of another answer');
    [this.number, this.totalBytes] = [answer, totalBytes];
    this.receivedBytes += part.length;
    if (this.receivedBytes > totalBytes) throw misfit('more bytes than it announced');
    if (this.receivedBytes < totalBytes && (answer === 0 || part.length === 0)) throw misfit('fewer bytes than it announced');
    this.parts.push(Buffer.from(part));
  }

  /** The part to request next; null if the answer is complete. */
  get rest(): { readonly answer: number; readonly offset: number } | null {
    return this.receivedBytes < this.totalBytes ? { answer: this.number, offset: this.receivedBytes } : null;
  }

  /** The JSON value of the complete answer. Throws the error that the server answered, or E_PROTOCOL. */
  result(method: string): unknown {
    assert(this.rest === null, 'An answer is read before it is complete');
    let answer: unknown;
    try {
      answer = JSON.parse(Buffer.concat(this.parts).toString('utf8'));
    } catch {
      throw misfit('no JSON');
    }
    if (typeof answer !== 'object' || answer === null) throw misfit('no JSON object');
    const { result, error } = answer as Readonly<Record<string, unknown>>;
    if (error !== undefined) throw errorOf(error, method);
    if (result === undefined) throw misfit('neither a result nor an error');
    return result;
  }
}

function misfit(what: string): RsError {
  return new RsError('E_PROTOCOL', `The server answered ADMIN with ${what}: check its log`);
}

function errorOf(value: unknown, method: string): RsError {
  const { code, message, context } = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const known: ErrorCode = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'E_INTERNAL';
  const facts = typeof context === 'object' && context !== null && !Array.isArray(context) ? (context as Record<string, unknown>) : {};
  const text = typeof message === 'string' ? cleanText(message, ADMIN_MESSAGE_MAX_CHARS) : '';
  return new RsError(known, text === '' ? `The server refused ${method} without a reason: check its log` : text, facts);
}
