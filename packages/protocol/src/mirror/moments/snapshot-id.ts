// Computes the id of a snapshot of a mirror. The id is the same on all servers of the mirror (M22). Pure. Invariant: a client that chooses
// `chosen` cannot choose the resulting id, and so cannot give a snapshot the id of another volume or snapshot.

import { createHash } from 'node:crypto';

/** `mirror`: id of the mirror. `chosen`: text that the holder sends with the request. Returns a UUID (version 8). */
export function snapshotIdOf(mirror: string, chosen: string): string {
  const hex = createHash('sha256')
    .update(JSON.stringify(['snapshot of a mirror', mirror, chosen]))
    .digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
