// Assertions detect mistakes in our own code. A failed assertion terminates the process, which its supervisor then restarts. Input from a
// peer or a person is never checked with an assertion: the code refuses wrong input with an RsError (errors.ts), and the process keeps
// running.

export class AssertionError extends Error {}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a switch branch that is unreachable according to the types. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable value ${String(value)}`);
}
