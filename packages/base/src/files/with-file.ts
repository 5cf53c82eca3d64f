// Opens a file while a function uses it. Where the file lies and what is written durably are the caller's concern. Invariant: the file is
// closed when the function ends, also after an error.

import { type FileHandle, open } from 'node:fs/promises';

/** `flags` and `mode`: those of open(). */
export async function withFile<T>(path: string, flags: string | number, work: (file: FileHandle) => Promise<T>, mode?: number): Promise<T> {
  const file = await open(path, flags, mode);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}
