// The stamp of a request: a hash of its asker, id, method and parameters. Pure. The journal finds a request by its stamp, and a manifest
// keeps the stamp of its last change (C4). Invariant: requests that differ in asker, id, method or parameters have different stamps.
// Rules: A2.

import { createHash } from 'node:crypto';
import { RsError } from '@rsio/base/lib/errors';

const PART_CHARS = 32;
const ID_MAX_CHARS = 64;

export interface AskedRequest {
  /** Node name of the asker; null for a program on the server. */
  readonly node: string | null;
  readonly id: string;
  readonly method: string;
  /** Checked parameters, in the order of the table of methods. */
  readonly params: object;
}

/**
 * Returns the stamp of a request. The first half of the stamp is a hash of asker and id, the second half a hash of method and
 * parameters. Throws E_USAGE if the id is not valid.
 */
export function stampOf({ node, id, method, params }: AskedRequest): string {
  if (id.length === 0 || id.length > ID_MAX_CHARS || !/^[\x21-\x7e]+$/.test(id))
    throw new RsError('E_USAGE', `Wrong request id: allowed are 1 to ${ID_MAX_CHARS} printable ASCII characters without spaces`);
  return part(JSON.stringify([node, id])) + part(JSON.stringify([method, params]));
}

function isSameRequest(a: string, b: string): boolean {
  return keyOf(a) === keyOf(b);
}

export function keyOf(stamp: string): string {
  return stamp.slice(0, PART_CHARS);
}

/** Returns true if `before` is the stamp of the same request. Throws E_USAGE if asker and id are the same, but the parameters differ. */
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
