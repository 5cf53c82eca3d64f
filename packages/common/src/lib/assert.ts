// Our own mistakes: an assertion that fails ends the process (the supervisor restarts it). Never used on what a peer or a person sent:
// that is refused with an RsError (errors.ts), and the process goes on.

export class AssertionError extends Error {}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** For the branch of a switch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable value ${String(value)}`);
}
