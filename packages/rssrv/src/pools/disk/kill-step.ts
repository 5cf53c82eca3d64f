// The function that the server calls after each step of a change of a pool's files. This module does nothing at a step. The server for
// tests (test/support/faulty-server/) replaces this module by a module that ends the process at a chosen step. Unit tests pass functions of
// their own.

/** Called after each step, such as `create: commit`. */
export function stepReached(_step: string): void {}
