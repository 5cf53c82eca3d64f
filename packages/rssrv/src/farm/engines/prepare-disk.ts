// Prepares a disk for a shared pool: writes its header. Invariants: a disk with a signature or a header is refused and not changed; the
// table, without which a header does not count, is written last.

import { randomBytes } from 'node:crypto';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { programRunner } from '@rsio/common/triggers/run-program';
import type { FarmRecord } from '../farm-record.ts';
import { DISK_RECORD_MAX_BYTES, SIGNATURES_MS } from '../limits.ts';
import { DirectFile } from './direct-file.ts';
import { BLOCK_BYTES, encodeFrame, hasMagic, HEADER_BYTES, isTable, KIND, TABLE_BYTES } from './header-format.ts';

const XFS_MAGIC = 'XFSB';

/**
 * Writes the header of a disk. `servers`: the names of the servers that may own the pool; they cannot be changed later. Throws E_EXISTS if
 * the disk has a signature or a header, E_STORAGE if it cannot be written. Only one server may prepare a disk at a time.
 */
export async function prepareDisk(clock: Clock, path: string, servers: readonly string[], first: FarmRecord | null): Promise<void> {
  const table = { servers, first };
  if (!isTable(table) || (first !== null && Buffer.byteLength(JSON.stringify(first)) > DISK_RECORD_MAX_BYTES))
    throw new RsError('E_STORAGE', `Disk ${path} cannot be prepared for ${servers.join(', ')}: name 1 to 16 different servers`);
  const place = { disk: randomBytes(16).toString('hex'), kind: KIND.table, server: 0 };
  const bytes = encodeFrame(place, 1, JSON.stringify(table), TABLE_BYTES);
  if (bytes === null) throw new RsError('E_STORAGE', `Disk ${path} has no room for the names of the servers: use shorter names`);
  const file = await DirectFile.open(path);
  try {
    const found = (await signatures(clock, path)) ?? (await headerOf(file));
    if (found !== null)
      throw new RsError(
        'E_EXISTS',
        `Disk ${path} has ${found}: use another disk, or delete all its data with wipefs --all ${path} ` +
          `and dd if=/dev/zero of=${path} bs=1M count=2 conv=notrunc oflag=direct`,
      );
    await file.write(0, Buffer.alloc(HEADER_BYTES));
    await file.write(0, bytes);
  } finally {
    await file.close();
  }
}

/** Returns the signatures that wipefs finds, for example of file systems, partition tables, LVM and RAID; null if there are none. */
async function signatures(clock: Clock, path: string): Promise<string | null> {
  const args = ['--no-act', '--parsable', path];
  const { failure, output } = await programRunner(clock)('wipefs', '', SIGNATURES_MS, args);
  if (failure !== null)
    throw new RsError(
      'E_STORAGE',
      `Disk ${path} cannot be searched for signatures (wipefs: ${failure}): install util-linux, check the disk`,
    );
  const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.length === 0 ? null : `the signature ${lines.map((line) => line.split(',').at(-1)).join(', ')}`;
}

async function headerOf(file: DirectFile): Promise<string | null> {
  if (hasMagic(await file.read(0, BLOCK_BYTES))) return 'the header of a shared pool';
  const start = await file.read(HEADER_BYTES, BLOCK_BYTES);
  return start.toString('latin1', 0, XFS_MAGIC.length) === XFS_MAGIC ? 'the file system of a shared pool' : null;
}
