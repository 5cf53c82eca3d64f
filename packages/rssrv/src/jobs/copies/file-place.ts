// Decides whether a file on the server can be the target of a copy. Invariants: no copy is written into a pool. No copy replaces the file
// of a volume. Without force, no copy replaces any file.

import { lstat, realpath, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { printSize, quoteText } from '@rsio/base/lib/units';
import type { ImageFormat } from '../job-record.ts';
import { TARGET_MAX_CHARS } from '../limits.ts';

/** Prefix of the temporary names of incomplete copies. */
export const PART_PREFIX = '.rsio-copy-';

/** Places that a copy must not write to. */
export interface GuardedPlaces {
  readonly pools: readonly { readonly name: string; readonly path: string }[];
  /** Names of the volumes that are in no pool, and paths of their files. */
  readonly volumes: readonly { readonly name: string; readonly path: string }[];
}

/**
 * Returns `format`, or, if `format` is null, the format that the suffix of the file names. Throws E_USAGE if the suffix names no format.
 */
export function formatOf(file: string, format: ImageFormat | null): ImageFormat {
  if (
    !path.isAbsolute(file) ||
    file.includes('\0') ||
    file.length > TARGET_MAX_CHARS ||
    path.normalize(file) !== file ||
    file.endsWith('/')
  )
    throw new RsError(
      'E_USAGE',
      `Wrong file ${quoteText(file)}: give an absolute path without . and .., at most ${TARGET_MAX_CHARS} characters`,
    );
  if (format !== null) return format;
  if (file.endsWith('.qcow2')) return 'qcow2';
  if (/\.(raw|img)$/.test(file)) return 'raw';
  throw new RsError('E_USAGE', `${file} does not end in .qcow2, .raw or .img: give --format raw or --format qcow2`, { file });
}

/** Throws E_USAGE, E_EXISTS or a system error if a copy cannot get this file name. */
export async function checkFilePlace(file: string, isForced: boolean, { pools, volumes }: GuardedPlaces): Promise<void> {
  const folder = await folderOf(file);
  for (const pool of pools) {
    const place = await realpath(pool.path).catch(() => pool.path);
    if (folder === place || folder.startsWith(`${place}/`))
      throw new RsError('E_USAGE', `${file} is in pool ${pool.name}: give the name of a new volume, or another folder`, { file });
  }
  const there = await lstat(file).catch((thrown: unknown) => {
    if (errnoName(thrown) === 'ENOENT') return null;
    throw thrown;
  });
  if (there === null) return;
  for (const volume of volumes) {
    const its = await stat(volume.path).catch(() => null);
    if (its !== null && its.dev === there.dev && its.ino === there.ino)
      throw new RsError('E_USAGE', `${file} is the file of volume ${volume.name}: give another name`, { file });
  }
  if (!there.isFile()) throw new RsError('E_USAGE', `${file} is no regular file: give another name`, { file });
  if (!isForced) throw new RsError('E_EXISTS', `${file} exists: give another name, or --force to replace it`, { file });
}

/** Throws E_SPACE if the file system of the file lacks room for this number of bytes. The error names the needed and the free space. */
export async function checkFileSpace(file: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path.dirname(file));
  if (bavail * bsize >= bytes) return;
  throw new RsError(
    'E_SPACE',
    `The copy needs ${printSize(bytes)}, and ${path.dirname(file)} has ${printSize(bavail * bsize)} free: make room, or give another folder`,
    { file },
  );
}

async function folderOf(file: string): Promise<string> {
  const folder = path.dirname(file);
  try {
    if ((await stat(folder)).isDirectory()) return await realpath(folder);
  } catch (thrown) {
    if (errnoName(thrown) !== 'ENOENT') throw thrown;
  }
  throw new RsError('E_USAGE', `${folder} is no folder: make it, or give another one`, { file });
}
