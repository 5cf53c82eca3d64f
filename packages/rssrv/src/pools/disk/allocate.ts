// Allocates space for thick volumes, in steps, each in a thread. Invariants: content and size of the file do not change; when the time is
// over, no further step begins, and a step whose storage hangs keeps its turn (machine/bounded-calls.ts).

import { open } from 'node:fs/promises';
import { type BoundedCalls, boundedCalls } from '../../machine/bounded-calls.ts';
import { ALLOCATE_MAX_MS, ALLOCATE_MIN_MS, ALLOCATE_MS_PER_GIB, ALLOCATE_STEP_BYTES } from '../limits.ts';

const GIB = 1024 ** 3;

/** Allocates the bytes from `fromBytes` to `toBytes`. Throws an error with an errno in `code`; ETIMEDOUT after `allocateLimitMs`. */
export async function allocateSpace(file: string, fromBytes: number, toBytes: number, bounded: BoundedCalls = boundedCalls): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const errno = await bounded.run(handle.fd, allocateLimitMs(toBytes - fromBytes), async ({ allocate }, copy, isLate) => {
      for (let atBytes = fromBytes; atBytes < toBytes && !isLate(); ) {
        const lengthBytes = Math.min(ALLOCATE_STEP_BYTES, toBytes - atBytes);
        const failed = await new Promise<string | null>((resolve) => allocate(copy, atBytes, lengthBytes, resolve));
        if (failed === null) atBytes += lengthBytes;
        else if (failed !== 'EINTR') return failed;
      }
      return 'none';
    });
    const code = errno ?? 'ETIMEDOUT';
    if (code !== 'none') throw Object.assign(new Error(`fallocate failed with ${code}`), { code });
  } finally {
    await handle.close();
  }
}

/** Returns the longest time for the allocation of this many bytes. */
export function allocateLimitMs(bytes: number): number {
  return Math.min(ALLOCATE_MAX_MS, ALLOCATE_MIN_MS + (bytes / GIB) * ALLOCATE_MS_PER_GIB);
}
