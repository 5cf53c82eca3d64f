// The size of an open file, by lseek(2) to its end, which costs less than fstat(2). Invariant: no caller depends on the position of a
// descriptor, because all reads and writes of volumes give their position.

import { callFailure, throughLibc } from '../../machine/libc.ts';

/** Returns the size in bytes. Throws system errors, such as ESTALE of a file on NFS. */
export type FileSize = (descriptor: number) => number;

const SEEK_END = 2;

export const systemFileSize = throughLibc(({ lseek, errno }): FileSize => {
  const seek = lseek();
  return (descriptor) => {
    const size = Number(seek(descriptor, 0, SEEK_END));
    if (size < 0) throw callFailure('lseek', errno());
    return size;
  };
});
