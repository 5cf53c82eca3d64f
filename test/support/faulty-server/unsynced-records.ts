// Defines the format of the log of unsynced writes, and simulates which of these writes survive a crash of the machine. The module is
// pure: unsynced-log.ts reads and writes the file. Invariant: incomplete records are ignored. The first record names the file or device
// to which all writes in the log belong. Layout of a record (byte offsets above the fields, widths of numbers in bits):
//
//    0..3     4       5..7   8..13           14..19         20..
//    RSUW     kind    0      position (48)   length (48)    data of a write, or the name

import { SECTOR_BYTES } from '@rsio/base/lib/limits';

export const RECORD = { PLACE: 1, WRITE: 2, ZERO: 3, CUT: 4 } as const;
export type RecordKind = (typeof RECORD)[keyof typeof RECORD];

export interface UnsyncedRecord {
  readonly kind: RecordKind;
  readonly positionBytes: number;
  readonly lengthBytes: number;
  /** The data of a WRITE record or the name in a PLACE record; null for records of other kinds. */
  readonly data: Buffer | null;
}

const MAGIC = Buffer.from('RSUW');
const HEADER_BYTES = 20;

export function encodeRecord({ kind, positionBytes, lengthBytes, data }: UnsyncedRecord): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt8(kind, 4);
  header.writeUIntBE(positionBytes, 8, 6);
  header.writeUIntBE(lengthBytes, 14, 6);
  return data === null ? header : Buffer.concat([header, data]);
}

export function placeRecord(location: string): UnsyncedRecord {
  const data = Buffer.from(location);
  return { kind: RECORD.PLACE, positionBytes: 0, lengthBytes: data.length, data };
}

/** Returns the complete records of a log. `goodBytes`: the total length of these records. */
export function decodeRecords(bytes: Buffer): { readonly records: readonly UnsyncedRecord[]; readonly goodBytes: number } {
  const records: UnsyncedRecord[] = [];
  let at = 0;
  while (bytes.length - at >= HEADER_BYTES && bytes.compare(MAGIC, 0, MAGIC.length, at, at + MAGIC.length) === 0) {
    const kind = bytes.readUInt8(at + 4) as RecordKind;
    const lengthBytes = bytes.readUIntBE(at + 14, 6);
    const hasData = kind === RECORD.WRITE || kind === RECORD.PLACE;
    const end = at + HEADER_BYTES + (hasData ? lengthBytes : 0);
    if (end > bytes.length) break;
    const data = hasData ? bytes.subarray(at + HEADER_BYTES, end) : null;
    records.push({ kind, positionBytes: bytes.readUIntBE(at + 8, 6), lengthBytes, data });
    at = end;
  }
  return { records, goodBytes: at };
}

export interface CrashedSector {
  readonly positionBytes: number;
  readonly data: Buffer;
}

/**
 * Probabilities that an unsynced sector survives a crash. A simulated crash chooses one of these probabilities and uses it for all
 * sectors.
 */
const SURVIVAL = [0, 0.1, 0.5, 0.9, 1];

/**
 * Simulates a crash: chooses at random which unsynced sectors survive, and returns these sectors. A surviving sector has the data of one
 * randomly chosen write to that sector. `random` returns a random number, uniformly distributed in [0, 1).
 */
export function crashed(records: readonly UnsyncedRecord[], random: () => number): readonly CrashedSector[] {
  const contents = new Map<number, Buffer[]>();
  for (const { kind, positionBytes, lengthBytes, data } of records) {
    if (kind === RECORD.PLACE) continue;
    for (let at = 0; at < lengthBytes; at += SECTOR_BYTES) {
      const sector = positionBytes + at;
      const known = contents.get(sector) ?? [];
      if (kind === RECORD.CUT) contents.delete(sector);
      else contents.set(sector, [...known, data?.subarray(at, at + SECTOR_BYTES) ?? Buffer.alloc(SECTOR_BYTES)]);
    }
  }
  const survival = SURVIVAL[Math.floor(random() * SURVIVAL.length)] ?? 0;
  return [...contents].flatMap(([positionBytes, all]) => {
    const data = all[Math.floor(random() * all.length)];
    return data === undefined || random() >= survival ? [] : [{ positionBytes, data }];
  });
}
