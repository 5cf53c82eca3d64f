// The content of the file of fenced clients. Pure; state-file.ts reads and writes the file. Invariant: the next start can read every
// content that this server writes.

import type { StateForm } from '@rsio/base/files/state-file';
import { atMost, checked, map, object, type Of, orNull, text, whole } from '@rsio/base/lib/shape';
import { isStoredName } from '@rsio/base/lib/units';
import { TIME_MAX_MS } from '@rsio/base/log/log-line';
import { FENCES_MAX } from './limits.ts';

/** The fence of one client. `by`: the client that ordered the fence; null if an administrator on the server ordered it. */
const FENCE = object({ sinceMs: whole(0, TIME_MAX_MS), by: orNull(text()) });
export type Fence = Of<typeof FENCE>;

/** Maps the name of each fenced client to its fence. */
export const FENCES = checked(atMost(FENCES_MAX, map(FENCE)), (clients) =>
  Object.keys(clients).every(isStoredName) ? null : 'has a key that is no name',
);

export interface FencesFileContent {
  readonly clients: Readonly<Record<string, Fence>>;
}

export const FENCES_FILE: StateForm<FencesFileContent> = {
  version: 1,
  shape: object({ clients: FENCES }),
  remedy: 'restore it, or move it away together with holders.json if no client is to be kept out and all clients have ended',
};
