// Assertions detect mistakes in our own code. A failed assertion terminates the process, and the supervisor restarts the process.
// Assertions never check input from a peer or a person: wrong input causes an RsError (errors.ts), and the process keeps running.

export class AssertionError extends Error {}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch of a switch that no value of the type can reach. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable value ${String(value)}`);
}
