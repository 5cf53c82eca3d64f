// Drops the pages of a file from the page cache: posix_fadvise(2) with POSIX_FADV_DONTNEED. After a failed write-back, the kernel marks
// the lost pages as clean. The kernel serves reads from these pages until it reuses their memory; later reads return older content from
// the disk. Invariant: after `done`, reads return the content on disk, except for pages that were in use during the call. Rules: V1.

import { throughLibc } from '../../machine/libc.ts';

/**
 * Drops the pages of an open file. Runs in a thread, because the call may take a second for a large file. `done` is called once, from
 * the event loop.
 */
export type DropPages = (descriptor: number, done: () => void) => void;

const DONTNEED = 4;
/** The whole file: length 0 means up to the end. */
const [FROM, TO_END] = [0, 0];

export const systemDropPages = throughLibc(({ posixFadvise, start }): DropPages => {
  const fadvise = posixFadvise();
  return (descriptor, done) => start(fadvise, [descriptor, FROM, TO_END, DONTNEED], () => done());
});
