// Assertions are for our own mistakes: a failed assertion ends the process, and its supervisor restarts it. Input from a peer or a person is
// never asserted: an RsError (errors.ts) refuses it, and the process continues.

export class AssertionError extends Error {}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** For a branch of a switch that is unreachable by its types. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable value ${String(value)}`);
}
