// Assertions detect mistakes in our own code. A failed assertion terminates the process, and the supervisor restarts the process; within a
// request or an order, it fails only this one, with E_INTERNAL (toRsError). Assertions never check input from a peer or a person: wrong input
// causes an RsError (errors.ts), and the process keeps running.

export class AssertionError extends Error {
  constructor(message: string) {
    super(message);
    hear?.(this);
  }
}

let hear: ((error: AssertionError) => void) | null = null;

/**
 * Calls `heard` with each later failed assertion, also with one that fails only its request; null: nobody hears of them. For simulators, whose
 * judges do not see an answer E_INTERNAL.
 */
export function whenAssertionFails(heard: ((error: AssertionError) => void) | null): void {
  hear = heard;
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/**
 * Returns `value`, which is a counter after a decrement. Throws an AssertionError if `value` is negative. `name`: the things that are
 * counted.
 */
export function counted(value: number, name: string): number {
  if (value < 0) throw new AssertionError(`The count of ${name} is ${value}`);
  return value;
}

/** Marks a branch of a switch that no value of the type can reach. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable value ${String(value)}`);
}
