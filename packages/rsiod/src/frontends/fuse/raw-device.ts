// One raw device: a regular file on which a FUSE file system is mounted that is this one file. Leaves requests to fuse-session.ts and the
// descriptor to fuse-device.ts. Invariants: this process never touches the file while something is mounted there (it would wait for itself):
// only child processes do; whatever fails, nothing mounted and no file stays behind.

import { closeSync } from 'node:fs';
import { lstat, mkdir, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '@rsio/common/lib/clock';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { DEVICE_COMMAND_TIMEOUT_MS } from '../system/limits.ts';
import { FUSE_DATA_MAX_BYTES } from './limits.ts';
import { runCommand } from '../system/device-commands.ts';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { mountTable } from '../system/mount-table.ts';
import type { FuseBuffers } from './fuse-buffers.ts';
import { MODE_REGULAR } from './fuse-constants.ts';
import { FuseDevice, openFuse } from './fuse-device.ts';
import { type FuseFile, FuseSession } from './fuse-session.ts';

export const RAW_TYPE = 'fuse.rsio';

export interface RawDeviceOptions {
  readonly volume: FrontendVolume;
  readonly file: string;
  /** What the mount table shows as its source. */
  readonly source: string;
  readonly buffers: FuseBuffers;
  readonly clock: Clock;
  readonly warn: (sentence: string) => void;
  /** `file` is another one. */
  readonly fileChanged: () => void;
  /** Somebody else has unmounted it. */
  readonly gone: (reason: string) => void;
}

export class RawDevice {
  private readonly options: RawDeviceOptions;
  private readonly device: FuseDevice;
  private readonly session: FuseSession;
  private isEnding = false;
  private hasGone = false;
  private settle: (refusal: string | null) => void = () => undefined;
  /** What the kernel's first words came to: null is good. */
  private readonly agreement = new Promise<string | null>((resolve) => (this.settle = resolve));

  private constructor(options: RawDeviceOptions, fd: number, before: FuseFile | null) {
    const { volume, buffers, clock, warn, file, fileChanged, gone } = options;
    this.options = options;
    this.device = new FuseDevice(fd, {
      buffers,
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

  /** Throws E_IN_USE when something else is there, E_SYSTEM when the system refuses. */
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
        // One that took too long may have done it.
        await unmountLazily(clock, file);
        throw thrown;
      }
      const made = new RawDevice(options, fd, null);
      made.device.start();
      // The kernel says first of all what it can do.
      const refusal = await within(clock, DEVICE_COMMAND_TIMEOUT_MS, made.agreement);
      if (refusal === null) return made;
      await made.abandon();
      throw new RsError('E_SYSTEM', `Raw device ${file} cannot be used: ${refusal}`);
    } catch (thrown) {
      await removeFile(file);
      throw thrown;
    }
  }

  /** One that another process has served until it ended: `fd` is its descriptor, `before` what that has said of it. `serveOn` comes next. */
  static adopt(options: RawDeviceOptions, fd: number, before: FuseFile): RawDevice {
    return new RawDevice(options, fd, before);
  }

  /** What another process has taken and not answered comes again, and from now on everything is answered. Throws E_SYSTEM. */
  serveOn(): void {
    this.device.resend();
    this.device.start();
  }

  /** Somebody else has unmounted it. */
  get isGone(): boolean {
    return this.hasGone;
  }

  /** Of /dev/fuse. */
  get fd(): number {
    return this.device.fd;
  }

  get file(): FuseFile {
    return this.session.file;
  }

  /**
   * Lets the kernel know the size that the volume has now. It is set, not looked at: the kernel shows an answer to a look, but does not keep it
   * when a write has ended meanwhile, and then reads behind the size that it knows end with nothing.
   */
  async grow(): Promise<void> {
    const { clock, file, volume } = this.options;
    const words = volume.readonly ? ['stat', '--format=%s'] : ['truncate', '--no-create', `--size=${volume.sizeBytes}`];
    await runCommand(clock, words[0] ?? '', [...words.slice(1), file]);
  }

  /** Takes no more requests; what was taken goes on. */
  pause(): void {
    this.device.pause();
  }

  /** Takes it away, if nobody uses it; requests are answered meanwhile. Throws E_IN_USE. */
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

  /** All requests, those that are out too, end with an error from now on. */
  fail(): void {
    this.isEnding = true;
    this.session.stop();
  }

  /** Takes it away from whoever uses it. */
  async abandon(): Promise<void> {
    const { file, clock } = this.options;
    this.fail();
    await unmountLazily(clock, file).finally(() => this.device.close());
    await removeFile(file);
  }
}

function within(clock: Clock, ms: number, agreement: Promise<string | null>): Promise<string | null> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, () => resolve(`the kernel says nothing within ${ms / 1000} s: see dmesg, or use device = nbd-socket`));
    void agreement.then((refusal) => {
      timer.cancel();
      resolve(refusal);
    });
  });
}

/** Nobody finds it any more; it is gone when the last one that uses it has ended. */
export async function unmountLazily(clock: Clock, file: string): Promise<void> {
  if (await isMounted(file)) await runCommand(clock, 'umount', ['-i', '-l', file]);
}

/** The file that something was mounted on. It is empty. */
export async function removeFile(file: string): Promise<void> {
  if (await isMounted(file)) return;
  await unlink(file).catch((error: unknown) => {
    if (errnoName(error) !== 'ENOENT') throw error;
  });
}

async function isMounted(file: string): Promise<boolean> {
  return (await mountTable()).some(({ mountPoint }) => mountPoint === file);
}

/** An empty file that is there already is what a crash has left. */
async function makeMountPoint(file: string): Promise<void> {
  if (await isMounted(file)) throw new RsError('E_IN_USE', `Something is mounted on ${file}: unmount it, or set path = for this volume`);
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, '', { flag: 'wx', mode: 0o600 });
  } catch (thrown) {
    if (errnoName(thrown) !== 'EEXIST') throw thrown;
    const there = await lstat(file);
    if (!there.isFile() || there.size > 0)
      throw new RsError('E_IN_USE', `${file} is there already and is no device of ours: move it away, or set path = for this volume`);
  }
}
