// The eight bytes with which a host names a logical unit. Source: SAM-5, 4.7. Invariant: `lunNumber` returns the number that `writeLun` has
// written.

import { SCSI_LUN_MAX } from '../limits.ts';

/** The highest number for peripheral device addressing; flat space addressing can express all numbers. */
const PERIPHERAL_MAX = 255;
const FLAT = 0x4000;

/** Returns the number of the unit that the 8 bytes at `at` name; -1 if no unit of a gate can have that name. */
export function lunNumber(bytes: Buffer, at: number): number {
  const first = bytes.readUInt16BE(at);
  const hasMore = bytes.readUInt16BE(at + 2) !== 0 || bytes.readUInt32BE(at + 4) !== 0;
  if (hasMore) return -1;
  if (first <= PERIPHERAL_MAX) return first;
  return first >= FLAT && first <= FLAT + SCSI_LUN_MAX ? first - FLAT : -1;
}

export function writeLun(bytes: Buffer, at: number, lun: number): void {
  bytes.writeUInt16BE(lun <= PERIPHERAL_MAX ? lun : FLAT + lun, at);
  bytes.fill(0, at + 2, at + 8);
}
