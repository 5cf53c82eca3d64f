// What the node service needs of its machine: programs, mounts, files and the ends of devices. A test replaces it. Invariant:
// nothing here decides anything; stage.ts and targets.ts do.

import { execFile } from 'node:child_process';
import { type FileHandle, lstat, mkdir, open, readFile, realpath, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { unescaped } from '@rsio/base/daemon/mount-table';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { hasRestoreMark } from '@rsio/base/lib/restore-mark';
import { BLKID_MAX_MS, DEVICE_ENDS_BYTES, DEVICE_MARK_BYTES, PROGRAM_OUTPUT_MAX_BYTES } from '../limits.ts';

export interface ProgramResult {
  /** Exit code; null: the program was killed, because it took too long. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HostMount {
  readonly mountPoint: string;
  /** Device number of the file system, such as `7:3`. */
  readonly device: string;
  /** Path within the file system that is mounted; `/` for the whole file system. */
  readonly root: string;
  readonly type: string;
  readonly isReadonly: boolean;
  /** Options of the whole file system, such as `rw` and `shutdown`, which the kernel changes after an error. */
  readonly options: readonly string[];
}

export interface Usage {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly usedBytes: number;
  readonly totalInodes: number;
  readonly freeInodes: number;
}

/** What a path leads to: nothing, a folder, a block device with its number, or another file. */
export type PathKind = { readonly kind: 'missing' | 'folder' | 'file' } | { readonly kind: 'device'; readonly device: string };

export interface DeviceEnds {
  /** True if both ends of the device are zero, apart from the mark. */
  readonly isEmpty: boolean;
  /** The volume on which the driver has begun a file system; null if the device has no mark. No driver mounts a device with a mark. */
  readonly begunFor: string | null;
  /** True if an ext4 file system has a journal that the next mount must replay. */
  readonly needsReplay: boolean;
  /** True if mkfs.xfs has begun a file system on the device and has not completed it. Such a file system was never mounted. */
  readonly isXfsBegun: boolean;
  /** True if a restore has begun to overwrite the device, and has not completed. */
  readonly isRestoring: boolean;
}

export interface NodeHost {
  /** `limitMs`: time after which the program is killed; null: never. */
  run(program: string, args: readonly string[], limitMs: number | null): Promise<ProgramResult>;
  mounts(): Promise<readonly HostMount[]>;
  /** Follows symbolic links. */
  kindOf(path: string): Promise<PathKind>;
  /** Size of a block device in bytes, as the kernel knows it. */
  sizeOf(device: string): Promise<number>;
  endsOf(device: string): Promise<DeviceEnds>;
  /** Writes a mark for this volume, durably. */
  mark(device: string, volumeId: string): Promise<void>;
  /** Replaces the mark by zeros, durably, if there is one. */
  unmark(device: string): Promise<void>;
  /** Syncs a folder. Returns the name of the error, such as EIO; null if the file system is well. */
  probe(folder: string): Promise<string | null>;
  /** Number of errors that an ext4 file system has recorded; 0 if there are none or the kernel does not say. */
  errorsOf(device: string): Promise<number>;
  makeFolder(path: string): Promise<void>;
  /** Makes an empty file, and the folder in which it lies. */
  makeFile(path: string): Promise<void>;
  /** Removes an empty folder or a file, if there is one. */
  remove(path: string): Promise<void>;
  usageOf(path: string): Promise<Usage>;
}

const XFS_MAGIC = 'XFSB';
/** Place of the flag in the superblock that says that mkfs.xfs is at work. */
const XFS_IN_PROGRESS_AT = 126;
/** Place of the magic number and of the incompatible features in the superblock of ext4. */
const [EXT4_MAGIC, EXT4_MAGIC_AT, EXT4_FEATURES_AT, EXT4_NEEDS_REPLAY] = [0xef53, 1_080, 1_120, 4];
const MARK = /^rsio-csi has begun a file system on (\S{1,128}) and has not completed it\n\0*$/;
const FOLDER_MODE = 0o750;

export const systemHost: NodeHost = {
  run: (program, args, limitMs) =>
    new Promise((resolve) => {
      const options = { timeout: limitMs ?? 0, killSignal: 'SIGKILL', maxBuffer: PROGRAM_OUTPUT_MAX_BYTES, encoding: 'utf8' } as const;
      execFile(program, [...args], options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
        resolve({ code, stdout, stderr: stderr === '' && code === null ? (error?.message ?? '') : stderr });
      });
    }),
  mounts: async () => parseMounts(await readFile('/proc/self/mountinfo', 'utf8')),
  kindOf: async (path) => {
    const found = await stat(path).catch((error: unknown) => {
      if (errnoName(error) === 'ENOENT' || errnoName(error) === 'ENOTDIR') return null;
      throw failed(`Path ${path} cannot be read`, error);
    });
    if (found === null) return { kind: 'missing' };
    if (found.isBlockDevice())
      return { kind: 'device', device: `${(found.rdev >>> 8) & 0xfff}:${(found.rdev & 0xff) | ((found.rdev >>> 12) & 0xfff00)}` };
    return { kind: found.isDirectory() ? 'folder' : 'file' };
  },
  sizeOf,
  endsOf: async (device) => {
    const file = await open(device, 'r').catch((error: unknown) => {
      throw failed(`Device ${device} cannot be opened`, error);
    });
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(DEVICE_ENDS_BYTES), 0, DEVICE_ENDS_BYTES, 0);
      const first = buffer.subarray(0, bytesRead);
      const sizeBytes = await sizeOf(device);
      const beginsAt = Math.max(0, sizeBytes - DEVICE_ENDS_BYTES);
      const last = await file.read(Buffer.alloc(DEVICE_ENDS_BYTES), 0, DEVICE_ENDS_BYTES, beginsAt);
      const begunFor = await markOf(file, sizeBytes);
      // On a small device, the ends overlap, so that both have the mark.
      if (begunFor !== null) {
        clear(first, markAt(sizeBytes));
        clear(last.buffer, markAt(sizeBytes) - beginsAt);
      }
      const isEmpty = isZero(first) && isZero(last.buffer.subarray(0, last.bytesRead));
      const isXfsBegun = first.toString('latin1', 0, XFS_MAGIC.length) === XFS_MAGIC && first[XFS_IN_PROGRESS_AT] === 1;
      const isExt4 = bytesRead > EXT4_FEATURES_AT + 4 && first.readUInt16LE(EXT4_MAGIC_AT) === EXT4_MAGIC;
      const needsReplay = isExt4 && (first.readUInt32LE(EXT4_FEATURES_AT) & EXT4_NEEDS_REPLAY) !== 0;
      return { isEmpty, isXfsBegun, begunFor, needsReplay, isRestoring: hasRestoreMark(first) };
    } finally {
      await file.close();
    }
  },
  mark: (device, volumeId) =>
    withMark(device, async (file, atBytes) => {
      const bytes = Buffer.alloc(DEVICE_MARK_BYTES);
      bytes.write(`rsio-csi has begun a file system on ${volumeId} and has not completed it\n`, 'latin1');
      await file.write(bytes, 0, bytes.length, atBytes);
    }),
  unmark: (device) =>
    withMark(device, async (file, atBytes, volumeId) => {
      if (volumeId !== null) await file.write(Buffer.alloc(DEVICE_MARK_BYTES), 0, DEVICE_MARK_BYTES, atBytes);
    }),
  probe: async (folder) => {
    try {
      const file = await open(folder, 'r');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      return null;
    } catch (error) {
      return errnoName(error) ?? String(error);
    }
  },
  errorsOf: async (device) => {
    try {
      return Number(await readFile(`/sys/fs/ext4/${basename(await realpath(device))}/errors_count`, 'utf8')) || 0;
    } catch {
      return 0;
    }
  },
  makeFolder: async (path) => void (await mkdir(path, { recursive: true, mode: FOLDER_MODE })),
  makeFile: async (path) => {
    await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
    await (await open(path, 'a')).close();
  },
  remove: async (path) => {
    try {
      if ((await lstat(path)).isDirectory()) await rmdir(path);
      else await rm(path);
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') throw failed(`Path ${path} cannot be removed`, error);
    }
  },
  usageOf: async (path) => {
    const { bsize, blocks, bavail, bfree, files, ffree } = await statfs(path);
    const [totalBytes, availableBytes, usedBytes] = [blocks * bsize, bavail * bsize, (blocks - bfree) * bsize];
    return { totalBytes, availableBytes, usedBytes, totalInodes: files, freeInodes: ffree };
  },
};

/** The end of a device is found by seeking, which Node lacks. */
async function sizeOf(device: string): Promise<number> {
  const { code, stdout, stderr } = await systemHost.run('blockdev', ['--getsize64', device], BLKID_MAX_MS);
  if (code !== 0) throw new RsError('E_SYSTEM', `blockdev cannot tell the size of ${device}: ${stderr.trim()}`);
  return Number(stdout.trim());
}

/** The mark is in the last MiB, where neither mkfs.ext4 nor mkfs.xfs begins to write. */
function markAt(sizeBytes: number): number {
  return Math.max(0, sizeBytes - DEVICE_ENDS_BYTES / 2);
}

async function markOf(file: FileHandle, sizeBytes: number): Promise<string | null> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(DEVICE_MARK_BYTES), 0, DEVICE_MARK_BYTES, markAt(sizeBytes));
  return MARK.exec(buffer.toString('latin1', 0, bytesRead))?.[1] ?? null;
}

async function withMark(
  device: string,
  work: (file: FileHandle, atBytes: number, volumeId: string | null) => Promise<void>,
): Promise<void> {
  const sizeBytes = await sizeOf(device);
  const file = await open(device, 'r+').catch((error: unknown) => {
    throw failed(`Device ${device} cannot be opened`, error);
  });
  try {
    await work(file, markAt(sizeBytes), await markOf(file, sizeBytes));
    await file.sync();
  } catch (error) {
    throw failed(`Device ${device} cannot be marked`, error);
  } finally {
    await file.close();
  }
}

/** Clears a mark that may lie beyond the bytes. */
function clear(bytes: Uint8Array, fromByte: number): void {
  const within = Math.min(fromByte, bytes.length);
  bytes.fill(0, within, Math.min(within + DEVICE_MARK_BYTES, bytes.length));
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function failed(what: string, error: unknown): RsError {
  return new RsError('E_SYSTEM', `${what} (${errnoName(error) ?? String(error)}): check it on the node`, {}, error);
}

/** Parses /proc/PID/mountinfo. Returns the mounts in the order in which they were mounted. */
export function parseMounts(text: string): HostMount[] {
  return text.split('\n').flatMap((line): HostMount[] => {
    const fields = line.split(' ');
    const dash = fields.indexOf('-', 6);
    const [, , device, root, mountPoint, options] = fields;
    const type = dash < 0 ? undefined : fields[dash + 1];
    if (device === undefined || root === undefined || mountPoint === undefined || options === undefined || type === undefined) return [];
    const isReadonly = options.split(',').includes('ro');
    const own = { device, root: unescaped(root), mountPoint: unescaped(mountPoint), type, isReadonly };
    return [{ ...own, options: (fields[dash + 3] ?? '').split(',') }];
  });
}
