// The file in RUN that holds the unsynced writes of one volume, so that they outlive the process that took them, as a kernel's cache does;
// a boot, which clears RUN, loses them. Leaves the bytes to unsynced-records.ts. Written by one process at a time, the writing holder's.
// Invariant: what `append` said is there is there for the next process; a record cut off by a kill is taken away before one is added.

import fs from 'node:fs';
import { errnoName } from '@rsio/common/lib/errors';
import { writeWholeSync } from '../common/positioned-io.ts';
import { decodeRecords, encodeRecord, placeRecord, RECORD, type UnsyncedRecord } from './unsynced-records.ts';
import type { UnsyncedPiece } from './unsynced-writes.ts';

const MODE = 0o600;

/** The records of a log that may be missing. Throws what node:fs throws. */
export function readLog(file: string): readonly UnsyncedRecord[] {
  try {
    return decodeRecords(fs.readFileSync(file)).records;
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

export class UnsyncedLog {
  /** What was in it when it was opened. */
  readonly found: readonly UnsyncedRecord[];
  private readonly file: string;
  private readonly location: string;
  private descriptor: number;
  private length: number;

  /** `place`: the file or device that the writes are for. Throws what node:fs throws. */
  constructor(file: string, location: string) {
    this.file = file;
    this.location = location;
    this.descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, MODE);
    const { records, goodBytes } = decodeRecords(fs.readFileSync(this.descriptor));
    this.found = records;
    this.length = goodBytes;
    if (records.length === 0) this.append(placeRecord(location));
  }

  /** The errno name of a failure, after which the record is not there; or null. */
  append(record: UnsyncedRecord): string | null {
    const bytes = encodeRecord(record);
    const errno = writeWholeSync(this.descriptor, bytes, 0, bytes.length, this.length);
    if (errno === null) this.length += bytes.length;
    // What is left of it, or of one that a kill cut off, must not be taken for the beginning of the next.
    fs.ftruncateSync(this.descriptor, this.length);
    return errno;
  }

  /** From now on these are all there are. The errno name of a failure, after which the log is as it was, or null. */
  replace(pieces: readonly UnsyncedPiece[]): string | null {
    const records = [placeRecord(this.location), ...pieces.map(recordOf)];
    const bytes = Buffer.concat(records.map(encodeRecord));
    const next = `${this.file}.new`;
    try {
      fs.writeFileSync(next, bytes, { mode: MODE });
      const descriptor = fs.openSync(next, 'r+');
      fs.renameSync(next, this.file);
      fs.closeSync(this.descriptor);
      this.descriptor = descriptor;
    } catch (thrown) {
      return errnoName(thrown) ?? 'EIO';
    }
    this.length = bytes.length;
    return null;
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }
}

function recordOf({ positionBytes, lengthBytes, data }: UnsyncedPiece): UnsyncedRecord {
  return { kind: data === null ? RECORD.ZERO : RECORD.WRITE, positionBytes, lengthBytes, data };
}
