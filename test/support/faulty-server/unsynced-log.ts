// Keeps the log of one volume's unsynced writes in a file in RUN. Like the kernel's page cache, the log outlives the process that accepted
// the writes. A boot clears RUN, which simulates the loss of the unsynced writes. For a sync by the listener, `syncUnsynced` moves the
// logged writes to the storage. Only one process at a time writes the file: the worker of the client that holds the volume for writing.
// Invariants: once `append` has succeeded, the record survives the end of the process. The next `append` removes a partial record that a
// failed write or a killed process has left. The log is deleted only when all writes in it are durable.

import { type FileHandle, rm } from 'node:fs/promises';
import { errnoName } from '@rsio/base/lib/errors';
import { ZERO_WRITE_BYTES } from '@rsio/rssrv/storage/limits';
import { writeWholeSync } from '@rsio/rssrv/storage/io/positioned-io';
import { decodeRecords, encodeRecord, placeRecord, RECORD, type UnsyncedRecord } from './unsynced-records.ts';
import { writesOf } from './unsynced-store.ts';
import type { UnsyncedPiece } from './unsynced-writes.ts';

import fs from 'node:fs';

const MODE = 0o600;

/** Returns the records of a log, or an empty list if the log does not exist. Throws errors from node:fs. */
export function readLog(file: string): readonly UnsyncedRecord[] {
  try {
    return decodeRecords(fs.readFileSync(file)).records;
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

export class UnsyncedLog {
  /** The records that were in the log when this process opened the log. */
  readonly found: readonly UnsyncedRecord[];
  private readonly file: string;
  private readonly location: string;
  private descriptor: number;
  private length: number;

  /** `location`: the file or device to which the writes belong. Throws errors from node:fs. After an error, no descriptor stays open. */
  constructor(file: string, location: string) {
    this.file = file;
    this.location = location;
    this.descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, MODE);
    try {
      const { records, goodBytes } = decodeRecords(fs.readFileSync(this.descriptor));
      this.found = records;
      this.length = goodBytes;
      const errno = records.length === 0 ? this.append(placeRecord(location)) : null;
      if (errno !== null) throw Object.assign(new Error(`${file} cannot be written (${errno})`), { code: errno });
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  /** Returns null on success, or the errno name on failure. After a failure, the log does not contain the complete record. */
  append(record: UnsyncedRecord): string | null {
    const bytes = encodeRecord(record);
    try {
      // Remove any partial record that a failed write or a killed process has left. Without the truncation, the part that the new record
      // does not overwrite would be read as another record.
      fs.ftruncateSync(this.descriptor, this.length);
    } catch (thrown) {
      return errnoName(thrown) ?? 'EIO';
    }
    const errno = writeWholeSync(this.descriptor, bytes, 0, bytes.length, this.length);
    if (errno === null) this.length += bytes.length;
    return errno;
  }

  /**
   * Replaces the content of the log with records for the given pieces. Returns null on success. On failure, returns the errno name and
   * leaves the log unchanged.
   */
  replace(pieces: readonly UnsyncedPiece[]): string | null {
    const records = [placeRecord(this.location), ...pieces.map(recordOf)];
    const bytes = Buffer.concat(records.map(encodeRecord));
    const next = `${this.file}.new`;
    let descriptor: number | null = null;
    try {
      fs.writeFileSync(next, bytes, { mode: MODE });
      descriptor = fs.openSync(next, 'r+');
      fs.renameSync(next, this.file);
    } catch (thrown) {
      if (descriptor !== null) closeQuietly(descriptor);
      return errnoName(thrown) ?? 'EIO';
    }
    closeQuietly(this.descriptor);
    this.descriptor = descriptor;
    this.length = bytes.length;
    return null;
  }

  /** Closes the log. Never throws. */
  close(): void {
    closeQuietly(this.descriptor);
  }
}

function closeQuietly(descriptor: number): void {
  try {
    fs.closeSync(descriptor);
  } catch {
    // A failed close does no harm: the records are already in the file, and the log need not be durable.
  }
}

function recordOf({ positionBytes, lengthBytes, data }: UnsyncedPiece): UnsyncedRecord {
  return { kind: data === null ? RECORD.ZERO : RECORD.WRITE, positionBytes, lengthBytes, data };
}

/**
 * Writes the data in the log to the storage, syncs the storage, and then removes the log. `handle`: the storage, which the caller has
 * opened for writing. Throws errors from node:fs.
 */
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
