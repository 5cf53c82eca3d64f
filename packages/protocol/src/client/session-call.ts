// Sends one LIST, OPEN, CLOSE, IOCTL or ADMIN and passes the answer to a callback. These requests are rare, so each may allocate an object.
// If necessary, the trunk sends the request again over another path or in a new session.

import { assert } from '@rsio/base/lib/assert';
import { frameName } from '../wire/frames.ts';
import { FailureAnswer } from '../wire/messages.ts';
import { STATUS, statusEntry } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import { Request } from './requests/request.ts';
import type { Trunk } from './trunk.ts';

export interface SessionCall {
  readonly op: number;
  /** The attachment to which an IOCTL belongs; null if the request belongs to the session itself. */
  readonly attachment: Attachment | null;
  /** For CLOSE: the handle. */
  readonly handle?: number;
  readonly aux?: number;
  readonly body?: Buffer;
}

export interface SessionAnswer {
  readonly status: number;
  readonly bodies: readonly Buffer[];
  /** Message for the user if the status is not OK; otherwise ''. */
  readonly sentence: string;
}

const NOTHING = Buffer.alloc(0);

/**
 * Sends a message request, and returns it so that the caller can withdraw it. `answered` is called once, after this function has returned,
 * and possibly only in a later session.
 */
export function callSession(trunk: Trunk, call: SessionCall, answered: (answer: SessionAnswer) => void): Request {
  const request = new Request();
  request.op = call.op;
  request.attachment = call.attachment;
  request.handle = call.handle ?? 0;
  request.aux = call.aux ?? 0;
  request.message = call.body ?? NOTHING;
  request.events = {
    requestDone: (done, status) => {
      assert(done === request, 'An answer to another request');
      answered({ status, bodies: request.answers, sentence: status === STATUS.OK ? '' : sentenceOf(request, status) });
    },
  };
  trunk.submit(request);
  return request;
}

function sentenceOf(request: Request, status: number): string {
  const body = request.answers[0];
  if (body === undefined || body.length === 0) return statusEntry(status).sentence;
  try {
    return FailureAnswer.decode(body, 0, body.length).sentence;
  } catch {
    return `${frameName(request.op)}: ${statusEntry(status).sentence}`;
  }
}
