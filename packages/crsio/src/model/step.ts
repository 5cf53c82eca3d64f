// What an action makes of the state: the next one, and what is to be done outside.
// Invariant: effects are in the order in which they are to be begun.

import type { Effect } from './effect.ts';
import type { State } from './state.ts';

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export function step(state: State, ...effects: readonly Effect[]): Step {
  return { state, effects };
}
