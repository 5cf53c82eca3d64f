// The turn of a change in tests that have no queue of changes: the work that a change passes to `aside` is executed at once. Invariant: no
// other change runs during the work.

import type { Changes } from '../pools/requests/requests.ts';
import type { Turn } from '../pools/requests/turn.ts';

export const WHOLE_TURN: Turn = { aside: (work) => work() };

/** Executes each change at once, and refuses none. */
export const WHOLE_CHANGES: Changes = { run: (change) => change(WHOLE_TURN), checkWanted: () => undefined };
