// Drops what the page cache holds of a file: posix_fadvise(2) with POSIX_FADV_DONTNEED. After a failed write-back the kernel calls lost pages
// clean and shows them until it needs their memory; then reads show older content again. Invariant: when `done` is called, clean pages that
// nobody was just using show what is on disk.

import { throughLibc } from '../../machine/libc.ts';

/** Runs in a thread, because the call may take a second for a large file. `done` is called once, from the event loop. */
export type DropPages = (descriptor: number, done: () => void) => void;

const DONTNEED = 4;
/** Up to the end of the file. */
const [FROM, TO_END] = [0, 0];

export const systemDropPages = throughLibc(({ posixFadvise }): DropPages => {
  const fadvise = posixFadvise();
  return (descriptor, done) => fadvise.async(descriptor, FROM, TO_END, DONTNEED, () => done());
});
