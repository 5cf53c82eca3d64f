// One LIST, OPEN, CLOSE or IOCTL as a call with an answer, for the control plane, where allocating an object per request does not matter.
// Sending it again over other paths and sessions is the trunk's job.

import { assert } from '@rsio/common/lib/assert';
import { frameName } from '../wire/frames.ts';
import { decodeFailureAnswer } from '../wire/message-codec.ts';
import { STATUS, statusEntry } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import { Request } from './requests/request.ts';
import type { Trunk } from './trunk.ts';

export interface SessionCall {
  readonly op: number;
  /** For IOCTL: the attachment of the volume; null if the request belongs to the session itself. */
  readonly attachment: Attachment | null;
  /** For CLOSE: the handle. */
  readonly handle?: number;
  readonly aux?: number;
  readonly body?: Buffer;
}

export interface SessionAnswer {
  readonly status: number;
  /** Bodies of the frames of the answer. */
  readonly bodies: readonly Buffer[];
  /** Message for people if the status is not OK; otherwise ''. */
  readonly sentence: string;
}

const NOTHING = Buffer.alloc(0);

/** Sends a message request. `answered` is called once, later, possibly after several sessions. */
export function callSession(trunk: Trunk, call: SessionCall, answered: (answer: SessionAnswer) => void): void {
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
}

function sentenceOf(request: Request, status: number): string {
  const body = request.answers[0];
  if (body === undefined || body.length === 0) return statusEntry(status).sentence;
  try {
    return decodeFailureAnswer(body, 0, body.length).sentence;
  } catch {
    return `${frameName(request.op)}: ${statusEntry(status).sentence}`;
  }
}
