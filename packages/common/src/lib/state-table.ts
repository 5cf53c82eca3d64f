// State machines as tables: which move is allowed stands in one place, and a move that is not there is our own mistake.
// Leaves the state itself, and what happens at a move, to the machine.

import { assert } from './assert.ts';

export type StateTable<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Throws unless the table allows `from` -> `to`. `object` names what moves. */
export function checkMove<S extends string>(table: StateTable<S>, from: S, to: S, object: string): void {
  assert(table[from].includes(to), `${object}: no move from ${from} to ${to}`);
}
