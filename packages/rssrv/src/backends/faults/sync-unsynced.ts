// The listener's sync of a volume that keeps back what is not synced: when nobody has it open any more, its log goes to the storage.
// Leaves syncs while it is open to unsynced-backend.ts. Invariant: the log goes only when what it holds is durable.

import { type FileHandle, rm } from 'node:fs/promises';
import { ZERO_WRITE_BYTES } from '../common/limits.ts';
import { readLog } from './unsynced-log.ts';
import { writesOf } from './unsynced-store.ts';

/** `handle`: the storage, open for writing. Throws what node:fs throws. */
export async function syncUnsynced(logFile: string, handle: FileHandle): Promise<void> {
  for (const { positionBytes, lengthBytes, data } of writesOf(readLog(logFile)).pieces) {
    if (data === null) await writeZeros(handle, positionBytes, lengthBytes);
    else await writeWhole(handle, data, positionBytes);
  }
  await handle.datasync();
  await rm(logFile, { force: true });
}

async function writeZeros(handle: FileHandle, positionBytes: number, lengthBytes: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(lengthBytes, ZERO_WRITE_BYTES));
  for (let at = 0; at < lengthBytes; at += zeros.length) {
    await writeWhole(handle, zeros.subarray(0, Math.min(zeros.length, lengthBytes - at)), positionBytes + at);
  }
}

async function writeWhole(handle: FileHandle, data: Buffer, positionBytes: number): Promise<void> {
  for (let moved = 0; moved < data.length; ) {
    const { bytesWritten } = await handle.write(data, moved, data.length - moved, positionBytes + moved);
    if (bytesWritten === 0) throw Object.assign(new Error('A write took nothing'), { code: 'EIO' });
    moved += bytesWritten;
  }
}
