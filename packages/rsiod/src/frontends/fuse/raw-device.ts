// One raw device: a FUSE file system that consists of one file, mounted on a regular file. Invariants: this process never accesses the
// mounted file, because the process would wait for itself; child processes access the file. If creating the device fails, neither the mount
// nor the file remains.

import { within } from '@rsio/base/lib/waiting';
import { closeSync } from 'node:fs';
import { lstat, mkdir, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { DEVICE_COMMAND_TIMEOUT_MS, FUSE_DATA_MAX_BYTES } from '../limits.ts';
import { runCommand } from '../system/device-commands.ts';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { type MountEntry, mountTable } from '@rsio/base/daemon/mount-table';
import type { FuseBatch } from './fuse-batch.ts';
import type { FuseBuffers } from './fuse-buffers.ts';
import { MODE_REGULAR } from './fuse-constants.ts';
import { FuseDevice, openFuse } from './fuse-device.ts';
import { type FuseFile, FuseSession } from './fuse-session.ts';

const RAW_TYPE = 'fuse';

/**
 * True for the mount of a raw device of any rsiod. Earlier releases mounted raw devices with the type fuse.rsio, which mount(8) of
 * util-linux 2.39 and later changes to fuse.
 */
export function isRawMount({ type, source }: Pick<MountEntry, 'type' | 'source'>): boolean {
  return (type === RAW_TYPE || type === `${RAW_TYPE}.rsio`) && source.startsWith('rsio:');
}

export interface RawDeviceOptions {
  readonly volume: FrontendVolume;
  readonly file: string;
  readonly source: string;
  readonly buffers: FuseBuffers;
  readonly batch: FuseBatch | null;
  readonly clock: Clock;
  readonly warn: (sentence: string) => void;
  readonly fileChanged: () => void;
  /** Called when another program has unmounted the device. */
  readonly gone: (reason: string) => void;
}

export class RawDevice {
  private readonly options: RawDeviceOptions;
  private readonly device: FuseDevice;
  private readonly session: FuseSession;
  private isEnding = false;
  private hasGone = false;
  private settle: (refusal: string | null) => void = () => undefined;
  /**
   * Resolves when the kernel's INIT request has been answered: with null if rsiod can serve the device, otherwise with the reason why it
   * cannot.
   */
  private readonly agreement = new Promise<string | null>((resolve) => (this.settle = resolve));

  private constructor(options: RawDeviceOptions, fd: number, before: FuseFile | null) {
    const { volume, buffers, batch, clock, warn, file, fileChanged, gone } = options;
    this.options = options;
    this.device = new FuseDevice(fd, {
      buffers,
      batch,
      receive: (bytes, lengthBytes) => this.session.receive(bytes, lengthBytes),
      isBusy: () => this.session.underWay > 1,
      gone: (reason) => {
        this.session.stop();
        this.hasGone = true;
        this.settle(`it is gone (${reason})`);
        if (!this.isEnding) gone(reason);
      },
    });
    this.session = new FuseSession({
      volume,
      port: this.device,
      buffers,
      clock,
      file: before,
      fileChanged,
      agreed: (refusal) => this.settle(refusal),
      broken: (reason) => warn(`Raw device ${file}: ${reason}`),
    });
  }

  /**
   * Creates the file and mounts the device on it. Throws E_IN_USE if something else is at the path, and E_SYSTEM if the device cannot be
   * mounted.
   */
  static async make(options: RawDeviceOptions): Promise<RawDevice> {
    const { file, source, clock, volume } = options;
    await makeMountPoint(file);
    try {
      const fd = openFuse();
      try {
        const mode = (MODE_REGULAR | 0o600).toString(8);
        const access = `allow_other,default_permissions,nosuid,nodev,${volume.readonly ? 'ro' : 'rw'}`;
        const how = `fd=3,rootmode=${mode},user_id=0,group_id=0,max_read=${FUSE_DATA_MAX_BYTES},${access}`;
        await runCommand(clock, 'mount', ['-i', '-t', RAW_TYPE, '-o', how, source, file], fd);
      } catch (thrown) {
        closeSync(fd);
        // A mount command that has timed out may still have mounted the device.
        await unmountLazily(clock, file);
        throw thrown;
      }
      const made = new RawDevice(options, fd, null);
      made.device.start();
      // INIT, the kernel's first request, states the kernel's version and features.
      const refusal = await within(clock, DEVICE_COMMAND_TIMEOUT_MS, made.agreement, silentKernel);
      if (refusal === null) return made;
      await made.abandon();
      throw new RsError('E_SYSTEM', `Raw device ${file} cannot be used: ${refusal}`);
    } catch (thrown) {
      await removeFile(file);
      throw thrown;
    }
  }

  /**
   * Adopts the device of an earlier process. `fd` is the descriptor of the device; `before` contains the file's properties from the
   * keeper's note. Call `serveOn` next.
   */
  static adopt(options: RawDeviceOptions, fd: number, before: FuseFile): RawDevice {
    return new RawDevice(options, fd, before);
  }

  /** Makes the kernel resend unanswered requests, and starts to answer requests. Throws E_SYSTEM. */
  serveOn(): void {
    this.device.resend();
    this.device.start();
  }

  get isGone(): boolean {
    return this.hasGone;
  }

  get fd(): number {
    return this.device.fd;
  }

  get file(): FuseFile {
    return this.session.file;
  }

  /**
   * Makes the raw device show the current size of the volume. If the volume is writable, a child process sets the size of the file instead
   * of querying it. A query would be unreliable, because the kernel discards the answer if a write ends during the query.
   */
  async grow(): Promise<void> {
    const { clock, file, volume } = this.options;
    const command = volume.readonly ? ['stat', '--format=%s'] : ['truncate', '--no-create', `--size=${volume.sizeBytes}`];
    await runCommand(clock, command[0] ?? '', [...command.slice(1), file]);
  }

  /** Stops taking requests. Requests that have already been read are still executed. */
  pause(): void {
    this.device.pause();
  }

  /** Unmounts the device, and answers requests until the unmount is complete. Throws E_IN_USE. */
  async remove(): Promise<void> {
    const { file, clock } = this.options;
    this.isEnding = true;
    try {
      if (await isMounted(file)) await runCommand(clock, 'umount', ['-i', file]);
    } catch (thrown) {
      this.isEnding = false;
      throw new RsError(
        'E_IN_USE',
        `Raw device ${file} is in use (${String(thrown instanceof Error ? thrown.message : thrown)}): end that first, or use --force`,
      );
    }
    this.device.close();
    await removeFile(file);
  }

  fail(): void {
    this.isEnding = true;
    this.session.stop();
  }

  /** Unmounts the device lazily, and makes all I/O on it fail. */
  async abandon(): Promise<void> {
    const { file, clock } = this.options;
    this.fail();
    await unmountLazily(clock, file).finally(() => this.device.close());
    await removeFile(file);
  }
}

function silentKernel(): string {
  return `the kernel did not send a request within ${DEVICE_COMMAND_TIMEOUT_MS / 1000} s: see dmesg, or use device = nbd-socket`;
}

/** Unmounts the file lazily: programs can no longer open the file, and the mount ends when the last program closes the file. */
export async function unmountLazily(clock: Clock, file: string): Promise<void> {
  if (await isMounted(file)) await runCommand(clock, 'umount', ['-i', '-l', file]);
}

/** Removes the empty file that serves as the mount point, unless something is mounted on it. */
export async function removeFile(file: string): Promise<void> {
  if (await isMounted(file)) return;
  await unlink(file).catch((error: unknown) => {
    if (errnoName(error) !== 'ENOENT') throw error;
  });
}

async function isMounted(file: string): Promise<boolean> {
  return (await mountTable()).some(({ mountPoint }) => mountPoint === file);
}

/** Creates the mount point. Accepts an existing empty file, because an earlier crash may have left the file. */
async function makeMountPoint(file: string): Promise<void> {
  if (await isMounted(file)) throw new RsError('E_IN_USE', `Something is mounted on ${file}: unmount it, or set path = for this volume`);
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, '', { flag: 'wx', mode: 0o600 });
  } catch (thrown) {
    if (errnoName(thrown) !== 'EEXIST') throw thrown;
    const there = await lstat(file);
    if (!there.isFile() || there.size > 0)
      throw new RsError('E_IN_USE', `${file} exists already and is no device of rsiod: move it away, or set path = for this volume`);
  }
}
