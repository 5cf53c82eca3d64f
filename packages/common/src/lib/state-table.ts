// State machines as tables: one place lists the allowed moves, and any other move is our own mistake.
// The state itself, and what happens at a move, is the job of the machine.

import { assert } from './assert.ts';

export type StateTable<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Throws unless the table allows the move `from` -> `to`. `object` names the machine in the message. */
export function checkMove<S extends string>(table: StateTable<S>, from: S, to: S, object: string): void {
  assert(table[from].includes(to), `${object}: no move from ${from} to ${to}`);
}
