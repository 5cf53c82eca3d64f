// stdin as a text, for keys that should not stand on a command line.
// Invariant: never more than the bound is kept, whatever is piped in.

import { stdin } from 'node:process';
import { RsError } from '@rsio/common/lib/errors';

/** All of stdin. Throws E_USAGE when it is longer. */
export async function readStdin(maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length;
    if (lengthBytes > maxBytes) throw new RsError('E_USAGE', `Input is longer than ${maxBytes} bytes: give one key on one line`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
