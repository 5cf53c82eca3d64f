// What the node service needs of its machine: programs, mounts, files and the ends of devices. A test replaces it. Invariants: no program
// runs without a time limit. Nothing here decides anything; stage.ts and targets.ts do.

import { execFile } from 'node:child_process';
import { lstat, mkdir, open, readFile, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { unescaped } from '@rsio/common/daemon/mount-table';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { BLKID_MAX_MS, DEVICE_ENDS_BYTES, PROGRAM_OUTPUT_MAX_BYTES } from '../limits.ts';

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
  /** True if both ends of the device are zero. */
  readonly isEmpty: boolean;
  /** True if mkfs.xfs has begun a file system on the device and has not completed it. Such a file system was never mounted. */
  readonly isXfsBegun: boolean;
}

export interface NodeHost {
  run(program: string, args: readonly string[], limitMs: number): Promise<ProgramResult>;
  mounts(): Promise<readonly HostMount[]>;
  /** Follows symbolic links. */
  kindOf(path: string): Promise<PathKind>;
  /** Size of a block device in bytes, as the kernel knows it. */
  sizeOf(device: string): Promise<number>;
  endsOf(device: string): Promise<DeviceEnds>;
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
const FOLDER_MODE = 0o750;

export const systemHost: NodeHost = {
  run: (program, args, limitMs) =>
    new Promise((resolve) => {
      const options = { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: PROGRAM_OUTPUT_MAX_BYTES, encoding: 'utf8' } as const;
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
      const last = await file.read(Buffer.alloc(DEVICE_ENDS_BYTES), 0, DEVICE_ENDS_BYTES, Math.max(0, sizeBytes - DEVICE_ENDS_BYTES));
      const isEmpty = isZero(first) && isZero(last.buffer.subarray(0, last.bytesRead));
      return { isEmpty, isXfsBegun: first.toString('latin1', 0, XFS_MAGIC.length) === XFS_MAGIC && first[XFS_IN_PROGRESS_AT] === 1 };
    } finally {
      await file.close();
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
    return [{ device, root: unescaped(root), mountPoint: unescaped(mountPoint), type, isReadonly }];
  });
}
