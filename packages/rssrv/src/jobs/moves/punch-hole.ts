// Makes holes in files, in a thread. Moves, copies and images make holes where their source has no data. Invariant: if punchHole returns
// false, the file is unchanged, and the caller writes zeros.

import { fileCalls } from '../../machine/file-calls.ts';

/** Makes a hole. Returns false if the file system cannot make holes. */
export function punchHole(descriptor: number, offsetBytes: number, lengthBytes: number): Promise<boolean> {
  return new Promise((resolve) => fileCalls().punch(descriptor, offsetBytes, lengthBytes, (errno) => resolve(errno === null)));
}
