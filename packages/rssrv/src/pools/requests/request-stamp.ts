// The stamp of a request: who asks, its id, and what it asks for, as one short text. Pure. The journal finds a request by its stamp, and a
// manifest keeps the stamp of the change that made it (C4). Invariant: a request of another asker, with another id or with other parameters
// has another stamp.

import { createHash } from 'node:crypto';
import { RsError } from '@rsio/common/lib/errors';

const PART_CHARS = 32;
const ID_MAX_CHARS = 64;

export interface AskedRequest {
  /** Null for a program on the server itself. */
  readonly node: string | null;
  readonly id: string;
  readonly method: string;
  /** Checked parameters, in the order of the table of methods. */
  readonly params: object;
}

/** Returns the stamp: the first half names asker and id, the second half method and parameters. Throws E_USAGE for a wrong id. */
export function stampOf({ node, id, method, params }: AskedRequest): string {
  if (id.length === 0 || id.length > ID_MAX_CHARS || !/^[\x21-\x7e]+$/.test(id))
    throw new RsError('E_USAGE', `Wrong request id: allowed are 1 to ${ID_MAX_CHARS} printable ASCII characters without spaces`);
  return part(JSON.stringify([node, id])) + part(JSON.stringify([method, params]));
}

/** True if both stamps are of one asker and id. */
function isSameRequest(a: string, b: string): boolean {
  return keyOf(a) === keyOf(b);
}

export function keyOf(stamp: string): string {
  return stamp.slice(0, PART_CHARS);
}

/** True if the request with this stamp has made a change before. Throws E_USAGE if its id was used with other parameters. */
export function isDoneBy(stamp: string, before: string | null): boolean {
  if (before === null || !isSameRequest(stamp, before)) return false;
  checkSameParams(stamp, before);
  return true;
}

/** Throws E_USAGE if the request was made before with other parameters. */
export function checkSameParams(stamp: string, before: string): void {
  if (stamp === before) return;
  throw new RsError('E_USAGE', 'The id of this request was used for another request before: give each request an id of its own');
}

function part(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, PART_CHARS);
}
