// The turn of a change in tests without a queue of changes: work aside is executed at once. Invariant: no other change runs during the
// work.

import type { Turn } from '../pools/requests/turn.ts';

export const WHOLE_TURN: Turn = { aside: (work) => work() };
