// Opens and checks the source of an import: a file, a block device, or an export of an NBD server. Invariants: the source is never written
// to. Files of volumes and devices in use are refused. A qcow2 file that names other files is refused, because it could name any file of
// the server. A raw file that cannot be a whole disk is refused.

import { constants, type BigIntStats } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { blockDeviceFacts } from '../../storage/files/block-device.ts';
import { DISK_HEAD_BYTES, neededBytes } from './disk-length.ts';
import type { GuardedPlaces } from './file-place.ts';
import { TARGET_MAX_CHARS } from '../limits.ts';
import { nbdPlace } from './to-nbd.ts';
import type { ImageFormat, ImportedFrom } from '../job-record.ts';

const SECTOR_BYTES = 512;
const QCOW2_HEADER_BYTES = 104;
const QCOW2_MAGIC = 0x51_46_49_fb;
/** Bit in the incompatible features of a qcow2 file. The bit is set if the data of the disk is in another file. */
const EXTERNAL_DATA_BIT = 4n;

/** The open file or device of an import. */
export interface OpenSource {
  readonly handle: FileHandle;
  readonly stats: BigIntStats;
  /** Size of the content. For a qcow2 file, this is the size of the disk that the file contains. */
  readonly sizeBytes: number;
}

/** Parses `source`, which is an absolute path or an NBD URI. Throws E_USAGE for any other text. */
export function importedFrom(source: string, format: ImageFormat | null): ImportedFrom {
  if (!source.startsWith('/')) {
    nbdPlace(source);
    if (format !== null) throw new RsError('E_USAGE', 'An NBD server has no format: leave --format away');
    return { kind: 'nbd', uri: source };
  }
  if (source.includes('\0') || source.length > TARGET_MAX_CHARS || path.normalize(source) !== source || source.endsWith('/'))
    throw new RsError(
      'E_USAGE',
      `Wrong file ${quoteText(source)}: give an absolute path without . and .., at most ${TARGET_MAX_CHARS} characters`,
    );
  // The server does not look at the content to determine the format, because a raw disk may begin with any bytes.
  return { kind: 'file', path: source, format: format ?? (source.endsWith('.qcow2') ? 'qcow2' : 'raw') };
}

/** Opens the source of an import. The caller must close the source. Throws E_USAGE, E_IN_USE or E_SYSTEM with a remedy. */
export async function openSource(
  { path: file, format }: Extract<ImportedFrom, { kind: 'file' }>,
  guarded: GuardedPlaces,
): Promise<OpenSource> {
  const handle = await opened(file);
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile() && !stats.isBlockDevice())
      throw new RsError('E_USAGE', `${file} is neither a regular file nor a block device: give one`, { file });
    await checkUnused(file, stats, guarded);
    if (format === 'qcow2') return { handle, stats, sizeBytes: await diskBytes(file, handle) };
    const sizeBytes = stats.isFile() ? Number(stats.size) : (blockDeviceFacts(stats.rdev).sizeBytes ?? 0);
    await checkWhole(file, handle, sizeBytes);
    return { handle, stats, sizeBytes };
  } catch (thrown) {
    await handle.close();
    throw thrown;
  }
}

async function opened(file: string): Promise<FileHandle> {
  try {
    const { O_RDONLY, O_NONBLOCK, O_EXCL } = constants;
    // With O_EXCL, the kernel refuses a block device that is in use, for example mounted.
    const claim = (await stat(file)).isBlockDevice() ? O_EXCL : 0;
    return await open(file, O_RDONLY | O_NONBLOCK | claim);
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno === 'EBUSY') throw new RsError('E_IN_USE', `${file} is in use: unmount it, or stop what uses it`, { file });
    const remedy = errno === 'ENOENT' ? 'give the path of a file on the server' : 'let rssrv read it';
    throw new RsError('E_USAGE', `${file} cannot be read (${errno ?? 'unknown error'}): ${remedy}`, { file }, thrown);
  }
}

/** Throws if the file is in a pool, or if it is the storage of a configured volume. */
async function checkUnused(file: string, stats: BigIntStats, { pools, volumes }: GuardedPlaces): Promise<void> {
  const real = await realpath(file);
  for (const pool of pools) {
    const place = await realpath(pool.path).catch(() => pool.path);
    if (real.startsWith(`${place}/`))
      throw new RsError('E_USAGE', `${file} is in pool ${pool.name}: volume clone and volume copy make volumes of its volumes`, { file });
  }
  for (const volume of volumes) {
    const its = await stat(volume.path, { bigint: true }).catch(() => null);
    const isIt = its !== null && (stats.isBlockDevice() ? its.rdev === stats.rdev : its.dev === stats.dev && its.ino === stats.ino);
    if (isIt && its.isBlockDevice() === stats.isBlockDevice())
      throw new RsError(
        'E_IN_USE',
        `${file} is served as volume ${volume.name}: detach it, remove its section [volume ${volume.name}] from rssrvcfg, run rsadm reload, then import it`,
        { file },
      );
  }
}

/** Throws E_USAGE if the length of a raw file or device shows that it is a part of a disk. */
async function checkWhole(file: string, handle: FileHandle, sizeBytes: number): Promise<void> {
  const pad = `if it is whole, truncate -s %${SECTOR_BYTES} pads it with zeros`;
  if (sizeBytes % SECTOR_BYTES !== 0)
    throw new RsError(
      'E_USAGE',
      `${file} has ${sizeBytes} bytes, which is no number of whole sectors: give a file that was not cut; ${pad}`,
      { file },
    );
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(DISK_HEAD_BYTES), 0, DISK_HEAD_BYTES, 0);
  const needed = neededBytes(buffer.subarray(0, bytesRead));
  if (needed > sizeBytes)
    throw new RsError(
      'E_USAGE',
      `${file} has ${sizeBytes} bytes, and its table of partitions needs ${needed}: give a file that was not cut, or correct the table first`,
      { file },
    );
}

/** Returns the size of the disk in a qcow2 file. */
async function diskBytes(file: string, handle: FileHandle): Promise<number> {
  const header = Buffer.alloc(QCOW2_HEADER_BYTES);
  const { bytesRead } = await handle.read(header, 0, header.length, 0);
  const version = header.readUInt32BE(4);
  if (bytesRead < 72 || header.readUInt32BE(0) !== QCOW2_MAGIC || version < 2 || version > 3)
    throw new RsError('E_USAGE', `${file} is no qcow2 file of version 2 or 3: give --format raw, or another file`, { file });
  const others = header.readBigUInt64BE(8) !== 0n || (version === 3 && (header.readBigUInt64BE(72) & EXTERNAL_DATA_BIT) !== 0n);
  if (others)
    throw new RsError(
      'E_USAGE',
      `${file} needs another file, which an import does not follow: qemu-img convert -O qcow2 makes one file of both`,
      { file },
    );
  const bytes = header.readBigUInt64BE(24);
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw new RsError('E_USAGE', `${file} says that its disk has ${bytes} bytes`, { file });
  return Number(bytes);
}

/** Throws E_BUSY if the file was changed while it was read, because the copy then mixes the contents of several moments. */
export async function checkUnchanged(file: string, { handle, stats: before }: OpenSource): Promise<void> {
  const now = await handle.stat({ bigint: true });
  if (!now.isFile() || (now.mtimeNs === before.mtimeNs && now.size === before.size)) return;
  throw new RsError('E_BUSY', `${file} was changed while it was imported: stop what writes to it, and import it again`, { file });
}

/** Returns the size of a volume that has room for this number of bytes: the number, rounded up to whole blocks. */
export function volumeBytes(bytes: number, blockBytes: number): number {
  const unit = Math.max(SECTOR_BYTES, blockBytes);
  return Math.ceil(bytes / unit) * unit;
}
