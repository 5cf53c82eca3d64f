// The steps of changes of a pool's files, as the server passes them. Nothing happens at them here: unit tests give functions of their own,
// and the server for tests (test/support/faulty-server/) has another module in the place of this one, which ends the process at a step.

/** Called after each step, such as `create: commit`. */
export function stepReached(_step: string): void {}
