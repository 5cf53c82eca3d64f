// Divides lists into pages. Pure. A token is the id of the last entry of a page, so that entries may come and go between two pages.
// Invariant: an entry that exists during the whole listing is on exactly one page.

import { parseSnapshotId, parseVolumeId } from '../product/ids.ts';
import { CsiError } from '../rpc/status.ts';

interface Page<T> {
  readonly page: readonly T[];
  /** Empty if this is the last page. */
  readonly nextToken: string;
}

/** Returns the entries after the one that the token names. Throws ABORTED for a token that this program has not made. */
export function pageOf<T>(all: readonly T[], idOf: (entry: T) => string, token: string, max: number): Page<T> {
  if (token !== '' && parseVolumeId(token) === null && parseSnapshotId(token) === null)
    throw new CsiError('ABORTED', 'The starting token is unknown: begin again without a token');
  const sorted = all.toSorted((one, other) => (idOf(one) < idOf(other) ? -1 : 1));
  const left = sorted.filter((entry) => idOf(entry) > token);
  const page = left.slice(0, max);
  const last = page.at(-1);
  return { page, nextToken: left.length > max && last !== undefined ? idOf(last) : '' };
}
