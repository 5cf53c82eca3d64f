// Makes holes in files with fallocate(2), in a thread. Moves, copies and images make holes where their source has no data. Invariant: if
// punchHole returns false, the file is unchanged, and the caller writes zeros.

import { throughLibc } from '../../machine/libc.ts';

const KEEP_SIZE_PUNCH_HOLE = 0x1 | 0x2;

const systemPunch = throughLibc(({ fallocate, inThread }) => {
  const called = fallocate();
  return (descriptor: number, offsetBytes: number, lengthBytes: number) =>
    inThread(called, descriptor, KEEP_SIZE_PUNCH_HOLE, offsetBytes, lengthBytes);
});

/** Makes a hole. Returns false if the file system or this machine cannot make holes. */
export async function punchHole(descriptor: number, offsetBytes: number, lengthBytes: number): Promise<boolean> {
  try {
    return (await systemPunch()?.(descriptor, offsetBytes, lengthBytes)) === 0;
  } catch {
    return false;
  }
}
