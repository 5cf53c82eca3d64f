// The turn of a change whose test has no queue of changes: what is done aside is done at once.
// Invariant: nothing else is changed meanwhile.

import type { Turn } from '../pools/requests/turn.ts';

export const WHOLE_TURN: Turn = { aside: (work) => work() };
