// The block device of a pool on a shared disk: a loop device with direct I/O over the part of the disk behind its header. The name field of
// the loop device says which server has made it. Invariants: a device is made for one ownership, and its cache is empty at first, because
// the kernel drops the cache of a loop device when the device ends; this process changes a loop device only while the device is its own.

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { mountTable } from '@rsio/base/daemon/mount-table';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { deviceName } from '../../storage/files/block-device.ts';
import { deviceUsers } from '../device-users.ts';
import { withRights } from '../rights.ts';
import { LOOP_CALL_MS, LOOP_LOOK_MS, LOOP_TRIES_MAX } from '../limits.ts';
import { HEADER_BYTES } from './header-format.ts';
import { deviceCalls } from './ioctl.ts';

/** Request numbers of ioctl(2) for loop devices. */
const [LOOP_CLR_FD, LOOP_GET_STATUS64, LOOP_SET_CAPACITY, LOOP_CONFIGURE] = [0x4c01, 0x4c05, 0x4c07, 0x4c0a];
const LOOP_CTL_GET_FREE = 0x4c82;
/** The request shuts down an XFS (or ext4) file system: all its I/O ends, without another write to the log. */
const [FS_SHUTDOWN, SHUTDOWN_NO_LOG_FLUSH] = [0x8004587d, 2];
/** Offsets of the fields in loop_info64; in loop_config, the information follows the descriptor and the block size. */
const [INFO_DEVICE, INFO_INODE, INFO_RDEVICE, INFO_OFFSET, INFO_FLAGS, INFO_NAME] = [0, 8, 16, 24, 52, 56];
const [INFO_BYTES, CONFIG_INFO, CONFIG_BYTES, NAME_BYTES] = [232, 8, 304, 64];
const LO_FLAGS_DIRECT_IO = 16;
const SYS_BLOCK = '/sys/block';

export class LoopDevice {
  /** Path of the device, such as /dev/loop3. */
  readonly path: string;
  private readonly clock: Clock;
  /** The number that the kernel gives to this use of the device (diskseq); null before Linux 5.15. */
  private readonly sequence: string | null;

  private constructor(clock: Clock, path: string, sequence: string | null) {
    this.clock = clock;
    this.path = path;
    this.sequence = sequence;
  }

  /** Makes a device over the part of `disk` behind its header. Throws E_STORAGE if there is no loop device, or no direct I/O. */
  static async make(clock: Clock, disk: string, server: string): Promise<LoopDevice> {
    try {
      const backing = await open(disk, constants.O_RDWR | constants.O_DIRECT);
      try {
        const wanted = configuration(backing.fd, await sectorBytes(disk), server);
        for (let tries = 1; tries <= LOOP_TRIES_MAX; tries++) {
          const path = await freeDevice();
          const made = await configured(path, wanted);
          if (made === null) continue;
          const device = new LoopDevice(clock, path, made.sequence);
          if (made.sequence === null) {
            await device.close();
            throw new RsError('E_STORAGE', `The kernel does not number the uses of ${path}: shared pools need Linux 5.15 or later`);
          }
          if ((await ofBlock(path, 'loop/dio')) === '1') return device;
          await device.close();
          throw new RsError(
            'E_STORAGE',
            `Loop device ${path} cannot do direct I/O on ${disk}: use a disk, or a file system with direct I/O`,
          );
        }
        throw new RsError('E_STORAGE', `No loop device for ${disk}: other programs have taken each free one, try again`);
      } finally {
        await backing.close();
      }
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      if (code === 'E_STORAGE') throw thrown;
      throw new RsError(
        'E_STORAGE',
        `No loop device for ${disk} (${withRights(message, '/dev/loop-control')}): load the module loop, see losetup --list`,
        {},
        thrown,
      );
    }
  }

  /** Tells the kernel that the disk has grown, and returns the size in bytes. */
  async grow(): Promise<number> {
    await withDevice(this.path, async (descriptor) => {
      if (await this.isOurs()) await deviceCalls().call(descriptor, LOOP_SET_CAPACITY, null, 'ioctl(LOOP_SET_CAPACITY)');
    });
    return Number(await ofBlock(this.path, 'size')) * SECTOR_BYTES;
  }

  /**
   * Ends all I/O. Shuts down the file system that is mounted from the device; the file system then answers every request with EIO, even
   * cached reads. If no file system is mounted, ends the device, and waits for its I/O. A loop device itself cannot be made to fail, so
   * only a fence ends the writes of a program that uses it without a file system, and the requests that the disk has already received.
   */
  async cut(): Promise<void> {
    await within(
      this.clock,
      `I/O of ${this.path} does not end`,
      () => this.path,
      async () => {
        const number = await ofBlock(this.path, 'dev');
        const mounts = (await mountTable()).filter(({ device }) => device === number);
        // An ended device may already belong to another program, so this code must not touch it or its mounts.
        if (!(await this.isOurs())) return true;
        for (const { mountPoint } of mounts) await shutDown(mountPoint, number);
        await this.detach();
        return mounts.length > 0 || !(await this.isOurs());
      },
    );
  }

  /** Ends the device. Throws E_STORAGE if something still uses it. */
  async close(): Promise<void> {
    await within(
      this.clock,
      `${this.path} is still in use`,
      () => this.path,
      async () => {
        await this.detach();
        return !(await this.isOurs());
      },
    );
  }

  /** If the device is open elsewhere, the kernel ends it after its last user. */
  private async detach(): Promise<void> {
    await withDevice(this.path, async (descriptor) => {
      // While this process has the device open, the kernel gives it to no other program.
      if (await this.isOurs()) await clear(descriptor);
    });
  }

  private async isOurs(): Promise<boolean> {
    return (await ofBlock(this.path, 'loop/backing_file')) !== null && (await ofBlock(this.path, 'diskseq')) === this.sequence;
  }
}

/** Returns true if this machine still has a loop device over `disk` that a process of `server` has made. */
export async function hasLoopDevice(disk: string, server: string): Promise<boolean> {
  return (await forLoopDevices(disk, server, async () => undefined)) > 0;
}

/** Ends the loop devices that an earlier process has left. Throws E_STORAGE if one is in use. */
export async function endLoopDevices(clock: Clock, disk: string, server: string): Promise<void> {
  let last = '';
  const end = async (descriptor: number, path: string): Promise<void> => {
    last = path;
    await clear(descriptor);
  };
  const isDone = async (): Promise<boolean> => (await forLoopDevices(disk, server, end)) === 0;
  await within(clock, `A loop device of an earlier process is still over ${disk}`, () => last, isDone);
}

/**
 * Calls `use` with each loop device of `server` over `disk`, and returns their number. During the call, the kernel gives the device to no
 * other program.
 */
async function forLoopDevices(disk: string, server: string, use: (descriptor: number, path: string) => Promise<void>): Promise<number> {
  const facts = await stat(disk);
  let count = 0;
  for (const name of (await readdir(SYS_BLOCK)).filter((one) => one.startsWith('loop'))) {
    const path = `/dev/${name}`;
    // Do not query other devices, because the kernel would then query their backing files, whose file systems may hang.
    if ((await ofBlock(path, 'loop/offset')) !== String(HEADER_BYTES)) continue;
    await withDevice(path, async (descriptor) => {
      const info = await statusOf(descriptor);
      // A device that does not answer may be ending.
      if (info === null) throw new RsError('E_STORAGE', `${path} does not say what it is over: see losetup --list`);
      if (nameIn(info) !== markOf(server)) return;
      const [dev, ino, rdev] = [INFO_DEVICE, INFO_INODE, INFO_RDEVICE].map((at) => Number(info.readBigUInt64LE(at)));
      if (facts.isBlockDevice() ? rdev !== facts.rdev : dev !== facts.dev || ino !== facts.ino) return;
      count++;
      await use(descriptor, path);
    });
  }
  return count;
}

/**
 * Calls `isDone` until it returns true. After LOOP_CALL_MS, even if a call hangs, throws E_STORAGE, which names the users of the device.
 */
async function within(clock: Clock, what: string, device: () => string, isDone: () => Promise<boolean>): Promise<void> {
  let isOver = false;
  const late = async (): Promise<RsError> => {
    const users = await deviceUsers(await ofBlock(device(), 'dev'), device());
    return new RsError('E_STORAGE', `${what} after ${LOOP_CALL_MS / 1_000} s: see losetup --list and findmnt, unmount it${users}`);
  };
  await new Promise<void>((resolve, reject) => {
    const timer = clock.after(LOOP_CALL_MS, () => {
      isOver = true;
      void late().then(reject, reject);
    });
    const look = async (): Promise<void> => {
      while (!isOver && !(await isDone())) await new Promise<void>((next) => void clock.after(LOOP_LOOK_MS, next));
    };
    look()
      .then(() => {
        if (!isOver) resolve();
      }, reject)
      .finally(() => timer.cancel());
  });
}

/** Shuts a file system down. Does nothing if it is already shut down, because the mount point then cannot be opened. */
async function shutDown(mountPoint: string, device: string | null): Promise<void> {
  const handle = await open(mountPoint, constants.O_RDONLY | constants.O_DIRECTORY).catch((thrown: unknown) => {
    if (errnoName(thrown) === 'EIO') return null;
    throw thrown;
  });
  if (handle === null) return;
  const how = Buffer.alloc(4);
  how.writeUInt32LE(SHUTDOWN_NO_LOG_FLUSH);
  try {
    const { dev } = await handle.stat({ bigint: true });
    if (deviceName(dev) !== device) throw new RsError('E_STORAGE', `Another file system is mounted over ${mountPoint}: unmount it`);
    await deviceCalls().call(handle.fd, FS_SHUTDOWN, how, 'ioctl(XFS_IOC_GOINGDOWN)');
  } finally {
    await handle.close();
  }
}

async function freeDevice(): Promise<string> {
  const control = await open('/dev/loop-control', constants.O_RDWR);
  try {
    return `/dev/loop${deviceCalls().callNow(control.fd, LOOP_CTL_GET_FREE, 'ioctl(LOOP_CTL_GET_FREE)')}`;
  } finally {
    await control.close();
  }
}

function configuration(backing: number, blockBytes: number, server: string): Buffer {
  const bytes = Buffer.alloc(CONFIG_BYTES);
  bytes.writeUInt32LE(backing, 0);
  bytes.writeUInt32LE(blockBytes, 4);
  bytes.writeBigUInt64LE(BigInt(HEADER_BYTES), CONFIG_INFO + INFO_OFFSET);
  bytes.writeUInt32LE(LO_FLAGS_DIRECT_IO, CONFIG_INFO + INFO_FLAGS);
  bytes.write(markOf(server), CONFIG_INFO + INFO_NAME, NAME_BYTES - 1);
  return bytes;
}

function markOf(server: string): string {
  return `rsio ${createHash('sha256').update(server).digest('hex').slice(0, 32)}`;
}

function nameIn(info: Buffer): string {
  return info.toString('latin1', INFO_NAME, INFO_NAME + NAME_BYTES).replace(/\0.*$/s, '');
}

/** Returns the kernel's information about a loop device; null if the device has ended, or its backing file answers with an error. */
async function statusOf(descriptor: number): Promise<Buffer | null> {
  const info = Buffer.alloc(INFO_BYTES);
  const asked = deviceCalls().call(descriptor, LOOP_GET_STATUS64, info, 'ioctl(LOOP_GET_STATUS64)');
  return await asked.then(
    () => info,
    () => null,
  );
}

/** Returns null if another program has taken the device. */
async function configured(path: string, wanted: Buffer): Promise<{ readonly sequence: string | null } | null> {
  const handle = await open(path, constants.O_RDWR);
  try {
    await deviceCalls().call(handle.fd, LOOP_CONFIGURE, wanted, 'ioctl(LOOP_CONFIGURE)');
    return { sequence: await ofBlock(path, 'diskseq') };
  } catch (thrown) {
    if (errnoName(thrown) === 'EBUSY') return null;
    throw thrown;
  } finally {
    await handle.close();
  }
}

async function clear(descriptor: number): Promise<void> {
  await deviceCalls().call(descriptor, LOOP_CLR_FD, null, 'ioctl(LOOP_CLR_FD)');
}

/** Runs `use` with the open device. It is no error if the device has ended, or ends meanwhile. */
async function withDevice(path: string, use: (descriptor: number) => Promise<void>): Promise<void> {
  try {
    const handle = await open(path, constants.O_RDONLY);
    try {
      await use(handle.fd);
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    const errno = errnoName(thrown) ?? '';
    if (!['ENXIO', 'ENOENT', 'ENODEV'].includes(errno)) throw thrown;
  }
}

/**
 * Returns the logical sector size of a disk; 512 for a file. Direct I/O needs a loop device whose sectors are not smaller than those of the
 * disk.
 */
async function sectorBytes(disk: string): Promise<number> {
  const facts = await stat(disk);
  if (!facts.isBlockDevice()) return SECTOR_BYTES;
  const sys = `/sys/dev/block/${deviceName(BigInt(facts.rdev))}`;
  const read = (file: string): Promise<string | null> => readFile(`${sys}/${file}`, 'utf8').catch(() => null);
  // A partition has no queue of its own.
  return Number((await read('queue/logical_block_size')) ?? (await read('../queue/logical_block_size')) ?? SECTOR_BYTES);
}

/** Reads an attribute of a block device; null if the device or the attribute does not exist. */
async function ofBlock(device: string, what: string): Promise<string | null> {
  return await readFile(`${SYS_BLOCK}/${device.slice(device.lastIndexOf('/') + 1)}/${what}`, 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}
