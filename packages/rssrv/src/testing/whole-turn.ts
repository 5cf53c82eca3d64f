// The turn of a change in tests that have no queue of changes: if the change steps aside, its work is executed at once. Invariant: no other
// change runs during the work.

import type { Turn } from '../pools/requests/turn.ts';

export const WHOLE_TURN: Turn = { aside: (work) => work() };
