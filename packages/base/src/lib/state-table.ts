// Describes state machines by tables.
// A table lists all allowed transitions of a machine; any other transition fails an assertion.

import { assert } from './assert.ts';

export type StateTable<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Throws unless the table allows the transition `from` -> `to`. `object` names the machine in the error message. */
export function checkMove<S extends string>(table: StateTable<S>, from: S, to: S, object: string): void {
  assert(table[from].includes(to), `${object}: no move from ${from} to ${to}`);
}
