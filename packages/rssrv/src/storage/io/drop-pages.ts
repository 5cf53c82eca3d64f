// Drops what the page cache holds of a file: posix_fadvise(2) with POSIX_FADV_DONTNEED. After a failed write-back the kernel calls lost pages
// clean and shows them until it needs their memory; then reads show older content again. Node does not have this call; it goes through koffi,
// an optional package. Invariant: when `done` is called, clean pages that nobody was just using show what is on disk.

import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

/** Runs in a thread, because the call may take a second for a large file. `done` is called once, from the event loop. */
export type DropPages = (descriptor: number, done: () => void) => void;

const DONTNEED = 4;
/** Up to the end of the file. */
const [FROM, TO_END] = [0, 0];

let loaded: DropPages | null | undefined;

/**
 * Returns null if koffi is not installed or this machine's C library does not have the call. A process that gives up its rights must call this
 * before, because koffi is loaded from its files.
 */
export function systemDropPages(): DropPages | null {
  if (loaded === undefined) {
    try {
      loaded = bind();
    } catch {
      loaded = null;
    }
  }
  return loaded;
}

function bind(): DropPages {
  // An optional package cannot be imported statically, and no bundle can contain its binaries.
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const fadvise = koffi.load(null).func('posix_fadvise', 'int', ['int', 'int64_t', 'int64_t', 'int']);
  return (descriptor, done) => fadvise.async(descriptor, FROM, TO_END, DONTNEED, () => done());
}
