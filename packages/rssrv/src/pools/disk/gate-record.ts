// The file of a volume's gate record (docs/PROTOCOL.md D2), which lies in the volume's folder and therefore shares the fate of the volume:
// a line with the version, the id of the volume and a checksum, and then the bytes. Pure. Invariant: damaged bytes, or the bytes of another
// volume, never count as a record.

import { createHash } from 'node:crypto';
import { RsError } from '@rsio/base/lib/errors';

const FORM = 'rsio-gate-record 1';
const NEWLINE = 0x0a;

export function printRecord(volumeId: string, record: Buffer): Buffer {
  return Buffer.concat([Buffer.from(headOf(volumeId, record)), record]);
}

/** Returns the record. Throws E_VOLUME if `bytes`, the content of `file`, is not the record of this volume. */
export function parseRecord(file: string, volumeId: string, bytes: Buffer): Buffer {
  const record = bytes.subarray(bytes.indexOf(NEWLINE) + 1);
  if (bytes.toString('latin1', 0, bytes.length - record.length) === headOf(volumeId, record)) return record;
  throw new RsError(
    'E_VOLUME',
    `${file} is damaged, or not the gate record of volume id ${volumeId}: restore it from a backup of the pool; or detach the volume from ` +
      'its gates and remove the file, and the reservations of its hosts and its namespace ids with it',
    { file },
  );
}

function headOf(volumeId: string, record: Buffer): string {
  return `${FORM} ${volumeId} ${createHash('sha256').update(record).digest('hex')}\n`;
}
