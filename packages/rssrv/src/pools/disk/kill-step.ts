// The function that the server calls after each step of a change of a pool's files. The function in this file does nothing. The server for
// tests (test/support/faulty-server/) replaces this module with one that ends the process at a chosen step. Unit tests pass other
// functions.

/** Called after each step, such as `create: commit`. */
export function stepReached(_step: string): void {}
