// READ CAPACITY and REPORT LUNS. Pure. Sources: SBC-3, 5.15 and 5.16; SPC-4, 6.33. Invariant: if a host needs the longer command, the
// answer to the shorter command tells it so.

import { type Outcome, SENSE } from './constants.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { writeLun } from './lun.ts';

const SHORT_BYTES = 8;
const LONG_BYTES = 32;
/** Blocks may be unmapped, and unmapped blocks read as zeros. */
const THIN = 0xc0;

/** READ CAPACITY (10). PMI and a block address are for old disks. */
export function shortCapacity(cdb: Buffer, { blocks, blockSizeBytes }: LogicalUnit): Buffer | Outcome {
  if ((cdb[8]! & 1) === 0 && cdb.readUInt32BE(2) !== 0) return SENSE.INVALID_FIELD;
  const bytes = Buffer.alloc(SHORT_BYTES);
  bytes.writeUInt32BE(Math.min(Math.max(blocks - 1, 0), 0xffff_ffff), 0);
  bytes.writeUInt32BE(blockSizeBytes, 4);
  return bytes;
}

export function longCapacity({ blocks, blockSizeBytes, port }: LogicalUnit): Buffer {
  const bytes = Buffer.alloc(LONG_BYTES);
  bytes.writeBigUInt64BE(BigInt(Math.max(blocks - 1, 0)), 0);
  bytes.writeUInt32BE(blockSizeBytes, 8);
  bytes[14] = port.volume.canDiscard ? THIN : 0;
  return bytes;
}

const SELECT = { ADDRESSED: 0x00, WELL_KNOWN: 0x01, ALL: 0x02 } as const;

/** REPORT LUNS. A target has no well-known units. */
export function unitList(cdb: Buffer, luns: readonly number[]): Buffer | Outcome {
  const select = cdb[2]!;
  if (select > SELECT.ALL) return SENSE.INVALID_FIELD;
  if (cdb.readUInt32BE(6) < 16) return SENSE.INVALID_FIELD;
  const shown = select === SELECT.WELL_KNOWN ? [] : luns;
  const bytes = Buffer.alloc(8 + 8 * shown.length);
  bytes.writeUInt32BE(8 * shown.length, 0);
  for (const [index, lun] of shown.entries()) writeLun(bytes, 8 + 8 * index, lun);
  return bytes;
}
