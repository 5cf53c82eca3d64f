// Makes holes in files with fallocate(2), through koffi, an optional package. Invariant: where this returns false, nothing has changed, and
// the caller writes zeros.

import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

const KEEP_SIZE_PUNCH_HOLE = 0x1 | 0x2;

type Punch = (descriptor: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>;

let loaded: Punch | undefined;

/** Returns false if the file system or this machine cannot do it. */
export function punchHole(descriptor: number, offsetBytes: number, lengthBytes: number): Promise<boolean> {
  loaded ??= bind();
  return loaded(descriptor, offsetBytes, lengthBytes);
}

function bind(): Punch {
  try {
    // An optional package cannot be imported statically, and no bundle can contain its binaries.
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    const fallocate = koffi.load(null).func('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']);
    return (descriptor, offsetBytes, lengthBytes) =>
      new Promise((resolve) => {
        fallocate.async(descriptor, KEEP_SIZE_PUNCH_HOLE, offsetBytes, lengthBytes, (error: Error | null, result: number) =>
          resolve(error === null && result === 0),
        );
      });
  } catch {
    return () => Promise.resolve(false);
  }
}
