// Reads the body of a form. Invariant: at most WEB_BODY_MAX_BYTES are kept.
// The setting requestTimeout in web-server.ts limits the time.

import type { IncomingMessage } from 'node:http';
import { type Answer, plain } from './answer.ts';
import { WEB_BODY_MAX_BYTES } from '../limits.ts';

const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/** Resolves with the text of the body, or with an error answer if the body is not acceptable. Rejects if the peer disconnects. */
export async function readBody(message: IncomingMessage): Promise<string | Answer> {
  const tooLarge = plain(413, `A form may have ${WEB_BODY_MAX_BYTES} bytes`);
  if (!FORM_TYPE.test(message.headers['content-type'] ?? '')) return plain(415, 'Send a form: application/x-www-form-urlencoded');
  if (Number(message.headers['content-length'] ?? 0) > WEB_BODY_MAX_BYTES) return tooLarge;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // The connection must stay open for the answer, even if the body is too large.
  for await (const chunk of message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > WEB_BODY_MAX_BYTES) return tooLarge;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
