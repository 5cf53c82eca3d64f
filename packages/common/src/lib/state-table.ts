// Describes state machines by tables. A table lists all allowed transitions of a machine; any other transition fails an assertion. Each
// state machine stores its own state and defines what happens at a transition.

import { assert } from './assert.ts';

export type StateTable<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Throws unless the table allows the transition `from` -> `to`. `object` is the name of the machine in the error message. */
export function checkMove<S extends string>(table: StateTable<S>, from: S, to: S, object: string): void {
  assert(table[from].includes(to), `${object}: no move from ${from} to ${to}`);
}
