// One block device: a loop device that uses direct I/O on a raw device. A symbolic link at the volume's path leads to the loop device. The
// kernel does the I/O. rsiod makes the link, because containers have no udev, and rsiod would have to wait for it. Invariant: rsiod changes
// a loop device only while the backing file is rsiod's raw device. After a detach, another program may already be using the loop device.

import { sleep } from '@rsio/base/lib/waiting';
import { lstat, readdir, readlink, symlink, unlink } from 'node:fs/promises';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { DEVICE_GONE_POLL_MS, DEVICE_GONE_WAIT_MS } from '../limits.ts';
import type { LoopNote } from '../../keeper/device-note.ts';
import { runCommand } from '../system/device-commands.ts';
import { announce, ofBlock } from './block-attributes.ts';
import { detachUnused, keepAttached } from './loop-commands.ts';
import type { LoopNodes } from './loop-nodes.ts';
import { removePartitionLink, setPartitionLinks } from './partition-links.ts';

export interface LoopDeviceOptions {
  readonly clock: Clock;
  readonly rawFile: string;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  /** Path of the symbolic link to the loop device. */
  readonly node: string;
  readonly nodes: LoopNodes;
}

const LOOP_FORM = /^\/dev\/loop\d+$/;

export class LoopDevice {
  readonly device: string;
  private readonly options: LoopDeviceOptions;
  /** The sequence number (diskseq) that the kernel assigned when the loop device was set up; null before Linux 5.15. */
  readonly sequence: string | null;
  /** True if the node in /dev was created for this loop device and must be removed after the loop device. */
  readonly isNew: boolean;

  private constructor(options: LoopDeviceOptions, { device, sequence, isNew = false }: LoopNote) {
    this.options = options;
    this.device = device;
    this.sequence = sequence;
    this.isNew = isNew;
  }

  /**
   * Creates the loop device and the link. Throws E_IN_USE if something else is at the path, and E_SYSTEM if no loop device is free or the
   * loop device cannot do direct I/O.
   */
  static async make(options: LoopDeviceOptions): Promise<LoopDevice> {
    const { clock, rawFile, blockSizeBytes, node, nodes } = options;
    await clearPlace(node, rawFile);
    // With --partscan, partitions appear as /dev/loop3p1, and the kernel removes them together with the loop device.
    const flags = ['--direct-io=on', '--partscan', '--sector-size', String(blockSizeBytes), ...(options.readonly ? ['--read-only'] : [])];
    const find = (): Promise<string> => runCommand(clock, 'losetup', ['--find', '--show', ...flags, rawFile]);
    const { device, isNew } = await nodes.watch(find).catch(async (thrown: unknown) => {
      // A losetup command that has timed out may still have created a loop device.
      for (const made of await loopDevicesOn(rawFile)) await runCommand(clock, 'losetup', ['--detach', made]);
      throw noLoopDevice(rawFile, toRsError(thrown));
    });
    const loop = new LoopDevice(options, { device, sequence: await ofBlock(device, 'diskseq'), isNew });
    try {
      if (!LOOP_FORM.test(device)) throw new RsError('E_SYSTEM', `losetup made ${device}, which is no loop device`);
      // Without direct I/O, the kernel would cache written pages, and writing them back would need this process when memory is short.
      if ((await ofLoop(device, 'dio')) !== '1')
        throw new RsError('E_SYSTEM', `Loop device ${device} cannot do direct I/O on ${rawFile}: use device = raw, or nbd-socket`);
      await symlink(device, node);
      await announce(device);
      return loop;
    } catch (thrown) {
      await loop.remove().catch(() => undefined);
      throw thrown;
    }
  }

  /** Adopts a device that an earlier process made and that may have been removed since. */
  static adopt(options: LoopDeviceOptions, note: LoopNote): LoopDevice {
    return new LoopDevice(options, note);
  }

  /** True if the loop device has neither been detached nor re-used since it was made. */
  async isOurs(): Promise<boolean> {
    const behind = await ofLoop(this.device, 'backing_file');
    // The path of the backing file is not reliable, because the kernel shortens it when the raw device is unmounted.
    return (
      behind !== null &&
      (this.sequence === null ? behind === this.options.rawFile : (await ofBlock(this.device, 'diskseq')) === this.sequence)
    );
  }

  /** Makes the links of the partitions that the device has now. */
  async linkPartitions(isTaken: (place: string) => boolean): Promise<void> {
    await setPartitionLinks(this.options.node, this.device, isTaken);
  }

  /** Makes a new loop device to replace a removed one. Throws the same errors as `make`. */
  async again(): Promise<LoopDevice> {
    // The link may lead to a device that another program uses by now.
    await removeLinks(this.options.node);
    return await LoopDevice.make(this.options);
  }

  async grow(): Promise<void> {
    if (await this.isOurs()) await runCommand(this.options.clock, 'losetup', ['--set-capacity', this.device]);
  }

  /**
   * Detaches the loop device. Throws E_IN_USE if the device is in use. The device then stays; without Perl, the kernel removes it when its
   * last user closes it.
   */
  async remove(): Promise<void> {
    const { clock, node, nodes } = this.options;
    const isClaimed = (await this.isOurs()) && (await detachUnused(clock, this.device)) === 'claimed';
    if (isClaimed) throw new RsError('E_IN_USE', `${this.device} is in use: end what uses it, or use --force`);
    const endMs = clock.monotonicMs() + DEVICE_GONE_WAIT_MS;
    while (await this.isOurs()) {
      if (clock.monotonicMs() > endMs) {
        const after = (await keepAttached(clock, this.device)) ? '' : ', and the kernel removes it when its last user closes it';
        throw new RsError('E_IN_USE', `${this.device} is still open${after}: end what uses it, or use --force`);
      }
      await sleep(clock, DEVICE_GONE_POLL_MS);
    }
    if (this.isNew) nodes.release(this.device);
    await removeLinks(node);
  }

  /** If the loop device is open, the kernel detaches the loop device when its last user closes it. */
  async abandon(): Promise<void> {
    const { clock, node, nodes } = this.options;
    await removeLinks(node);
    if (await this.isOurs()) await runCommand(clock, 'losetup', ['--detach', this.device]);
    if (this.isNew) nodes.release(this.device);
  }
}

/** Returns the error to throw when losetup has made no device. */
export function noLoopDevice(rawFile: string, { message, context }: RsError): RsError {
  // The message about a timeout already contains a remedy.
  if (context['isLate'] === true) return new RsError('E_SYSTEM', `No free loop device for ${rawFile}: ${message}`);
  const cause = message.replace('losetup: ', '').replace(`${rawFile}: `, '');
  return new RsError('E_SYSTEM', `No free loop device for ${rawFile} (${cause}): see losetup --list, or use device = raw`);
}

/** Lists the loop devices that have a backing file, each with the path of that file. */
export async function loopDevices(): Promise<(readonly [file: string, device: string])[]> {
  const names = (await readdir('/sys/block').catch(() => [])).filter((name) => name.startsWith('loop'));
  const found = await Promise.all(names.map(async (name) => [await ofLoop(`/dev/${name}`, 'backing_file'), `/dev/${name}`] as const));
  return found.flatMap(([file, device]) => (file === null ? [] : [[file, device] as const]));
}

export async function loopDevicesOn(file: string): Promise<string[]> {
  return (await loopDevices()).flatMap(([behind, device]) => (behind === file ? [device] : []));
}

/** Removes the link to a loop device, and those to its partitions; leaves anything else unchanged. */
export async function removeLinks(node: string): Promise<void> {
  await removeLink(node);
  await setPartitionLinks(node, null, () => false);
}

async function removeLink(node: string): Promise<void> {
  const target = await readlink(node).catch(() => '');
  if (LOOP_FORM.test(target)) await unlink(node).catch(() => undefined);
}

/**
 * Removes a link that a crash has left behind. Such a link leads to a loop device that has no backing file or has `rawFile` as its backing
 * file. Throws E_IN_USE if anything else is at the path.
 */
async function clearPlace(node: string, rawFile: string): Promise<void> {
  await removePartitionLink(node);
  const target = await readlink(node).catch(() => '');
  const behind = LOOP_FORM.test(target) ? await ofLoop(target, 'backing_file') : '';
  if (behind === null || behind === rawFile) await removeLink(node);
  const there = await lstat(node).catch((error: unknown) => {
    if (errnoName(error) === 'ENOENT') return null;
    throw error;
  });
  if (there !== null)
    throw new RsError('E_IN_USE', `${node} exists already and is no device of rsiod: move it away, or set path = for this volume`);
}

/** Reads an attribute of a loop device without accessing its backing file. Returns null if there is no backing file. */
async function ofLoop(device: string, what: 'backing_file' | 'dio'): Promise<string | null> {
  return await ofBlock(device, `loop/${what}`);
}
