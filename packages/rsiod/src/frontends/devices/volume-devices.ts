// The devices of one volume: the raw device, the block device on it, and the keeper's hold on them. devices.ts decides which devices a volume
// gets and whether they may be taken away. Invariants: devices that were only made in part are taken away again; the keeper's note describes
// the existing devices; a device that was taken away is not held any more.

import type { Clock } from '@rsio/common/lib/clock';
import { toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { DEVICE_FORCE_MS } from './limits.ts';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { DeviceNote } from '../../keeper/device-note.ts';
import type { KeptDevices, LeftDevice } from '../../keeper/kept-devices.ts';
import type { StandInVolume } from '../../keeper/stand-in-volume.ts';
import { LoopDevice } from '../loop/loop-device.ts';
import type { LoopNodes } from '../loop/loop-nodes.ts';
import type { DevicePlaces } from './device-paths.ts';
import { deviceUsers } from './device-users.ts';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import type { FuseBuffers } from '../fuse/fuse-buffers.ts';
import { RawDevice, type RawDeviceOptions } from '../fuse/raw-device.ts';

export interface VolumeDevicesPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** `osl:oracle@0` */
  readonly label: (volume: FrontendVolume) => string;
  /** The source of a volume's raw device in the mount table. */
  readonly sourceOf: (volume: FrontendVolume) => string;
  /** Shared by all raw devices. */
  readonly buffers: FuseBuffers;
  /** Holds them, so that they outlive this process. */
  readonly kept: KeptDevices;
  readonly nodes: LoopNodes;
}

/** Paths of a volume's existing devices. */
export interface ShownDevices {
  readonly raw: string;
  readonly block: string | null;
}

const NOTHING = Buffer.alloc(0);

export class VolumeDevices {
  readonly places: DevicePlaces;
  private readonly ports: VolumeDevicesPorts;
  private shownVolume: FrontendVolume;
  private rawDevice!: RawDevice;
  private loop: LoopDevice | null = null;
  /** Queues I/O until the volume is attached again; null: this process has made the devices. */
  private readonly standIn: StandInVolume | null;
  /** The keeper's id of the raw device; null: it is not held. */
  private keptId: number | null = null;
  private isUnmounted = false;

  private constructor(volume: FrontendVolume, standIn: StandInVolume | null, places: DevicePlaces, ports: VolumeDevicesPorts) {
    this.shownVolume = volume;
    this.standIn = standIn;
    this.places = places;
    this.ports = ports;
  }

  /** Makes the devices. When it throws, none of them exists. */
  static async make(
    volume: FrontendVolume,
    kind: 'block' | 'raw',
    places: DevicePlaces,
    ports: VolumeDevicesPorts,
  ): Promise<VolumeDevices> {
    const made = new VolumeDevices(volume, null, places, ports);
    made.rawDevice = await RawDevice.make(made.rawOptions());
    made.isUnmounted = made.rawDevice.isGone;
    if (kind === 'raw') return made;
    try {
      const { raw: rawFile, block: node } = places;
      const { blockSizeBytes, readonly } = volume;
      made.loop = await LoopDevice.make({ clock: ports.clock, nodes: ports.nodes, rawFile, node, blockSizeBytes, readonly });
    } catch (thrown) {
      await made.abandon();
      throw thrown;
    }
    return made;
  }

  /** Devices that the previous process has left, for a volume that is not attached again yet. Call `serveOn` next. */
  static adopt({ note, fd, id }: LeftDevice, standIn: StandInVolume, ports: VolumeDevicesPorts): VolumeDevices {
    const made = new VolumeDevices(standIn, standIn, { raw: note.raw, block: note.block }, ports);
    made.rawDevice = RawDevice.adopt(made.rawOptions(), fd, note.file);
    made.keptId = id;
    if (note.loop !== null) {
      const { blockSizeBytes, readonly } = note;
      const { clock, nodes } = ports;
      made.loop = LoopDevice.adopt({ clock, nodes, rawFile: note.raw, node: note.block, blockSizeBytes, readonly }, note.loop);
    }
    return made;
  }

  get volume(): FrontendVolume {
    return this.shownVolume;
  }

  /** The administrator or another program has unmounted the raw device. */
  get isGone(): boolean {
    return this.isUnmounted;
  }

  /** null: the devices are gone. */
  get shown(): ShownDevices | null {
    if (this.isUnmounted) return null;
    return { raw: this.places.raw, block: this.loop === null ? null : this.places.block };
  }

  /** `/dev/loop3`; null: there is no block device. */
  get loopDevice(): string | null {
    return this.loop?.device ?? null;
  }

  /** The kernel sends requests under way again. They and new ones wait for the volume; requests that need no server are answered. */
  serveOn(): void {
    try {
      this.rawDevice.serveOn();
    } catch (thrown) {
      this.ports.log.error(`${this.places.raw} cannot be resumed: ${toRsError(thrown).message}`);
      this.rawDevice.fail();
    }
  }

  /** Lets the keeper hold the devices, if the kernel can send unanswered requests again; otherwise these would hang for ever after a crash. */
  async hold(): Promise<void> {
    if (!this.rawDevice.file.canResend || this.isUnmounted) return;
    this.keptId = await this.ports.kept.keep(this.rawDevice.fd, this.asNote());
    // Meanwhile it may have been unmounted, or its owner changed.
    if (this.isUnmounted) await this.unkeep();
    else this.note();
  }

  /** Updates the keeper's note. */
  note(): void {
    if (this.keptId !== null) this.ports.kept.note(this.keptId, this.asNote());
  }

  /** Takes no more requests, because another process will continue with them. */
  pause(): void {
    this.rawDevice.pause();
  }

  /** All I/O on the devices gets errors from now on. */
  fail(): void {
    this.rawDevice.fail();
  }

  /** Shows the new size of the volume. */
  async grow(): Promise<void> {
    if (this.isUnmounted) return;
    await this.rawDevice.grow();
    await this.loop?.grow();
  }

  /** Users of the devices, as text for people. */
  async users(): Promise<string[]> {
    if (this.isUnmounted) return [];
    const loop = this.loop !== null && (await this.loop.isOurs()) ? this.loop.device : null;
    return await deviceUsers({ rawFile: this.places.raw, loop });
  }

  /**
   * Resumes the devices with the attached volume. Acknowledged writes that were not flushed were in the replay log of the previous process, which is
   * lost. So the volume is flushed before requests under way are executed again. `isTheirs`: the devices were not taken away meanwhile.
   */
  async resume(volume: FrontendVolume, isTheirs: () => boolean): Promise<void> {
    const { log, label, clock } = this.ports;
    const startMs = clock.monotonicMs();
    const status = volume.readonly ? STATUS.OK : await flushed(volume);
    if (status !== STATUS.OK)
      log.error(`${label(volume)}: writes that were not flushed before rsiod restarted may be lost: ${statusEntry(status).sentence}`);
    try {
      // The waiting I/O has got errors.
      if (!isTheirs()) return;
      const isSame = this.shownVolume.sizeBytes === volume.sizeBytes;
      this.standIn?.become(volume);
      this.shownVolume = volume;
      if (isSame) this.note();
      log.info(`${label(volume)} is resumed, ${Math.round(clock.monotonicMs() - startMs)} ms after it was attached again`);
      await this.repairLoop();
      // Two programs for each of a thousand volumes would take seconds. After a crash before the note, the next process grows the device.
      if (isSame) return;
      await this.grow();
      this.note();
    } catch (thrown) {
      log.warn(`${label(volume)}: ${toRsError(thrown).message}`);
    }
  }

  /** Removes the devices in order. False: it failed, and `abandon` must follow. With `force`, stalled I/O fails after DEVICE_FORCE_MS. */
  async removed(force: boolean): Promise<boolean> {
    const timer = force ? this.ports.clock.after(DEVICE_FORCE_MS, () => this.rawDevice.fail()) : null;
    try {
      await this.loop?.remove();
      await this.rawDevice.remove();
      await this.unkeep();
      return true;
    } catch (thrown) {
      if (force) return false;
      // The raw device was still in use: everything stays.
      await this.repairLoop();
      throw thrown;
    } finally {
      timer?.cancel();
    }
  }

  /** Lets file systems on the block device write their data, within DEVICE_FORCE_MS. */
  async written(): Promise<void> {
    const timer = this.ports.clock.after(DEVICE_FORCE_MS, () => this.rawDevice.fail());
    await this.loop?.sync().catch(() => undefined);
    timer.cancel();
  }

  /** Takes the devices away from their users, which get I/O errors. */
  async abandon(): Promise<void> {
    this.rawDevice.fail();
    this.standIn?.giveUp();
    try {
      await this.loop?.abandon();
      await this.rawDevice.abandon();
    } catch (thrown) {
      this.ports.log.warn(`Raw device ${this.places.raw} stays until it is no longer in use: ${toRsError(thrown).message}`);
    }
    await this.unkeep();
  }

  private async repairLoop(): Promise<void> {
    if (this.loop !== null && !(await this.loop.isOurs())) this.loop = await this.loop.again();
  }

  private async unkeep(): Promise<void> {
    const { keptId } = this;
    this.keptId = null;
    if (keptId !== null) await this.ports.kept.drop(keptId);
  }

  private asNote(): DeviceNote {
    const { namespace, name, universe, id, readonly, sizeBytes, blockSizeBytes, canDiscard, incarnation: life } = this.shownVolume;
    const loop = this.loop === null ? null : { device: this.loop.device, sequence: this.loop.sequence, isNew: this.loop.isNew };
    const shape = { readonly, sizeBytes, blockSizeBytes, canDiscard };
    return { namespace, name, universe, id, ...shape, ...this.places, loop, file: this.rawDevice.file, life };
  }

  private rawOptions(): RawDeviceOptions {
    const { shownVolume: volume, places } = this;
    const { clock, log, label, buffers, sourceOf } = this.ports;
    return {
      volume,
      file: places.raw,
      source: sourceOf(volume),
      buffers,
      clock,
      warn: (sentence) => log.warn(sentence),
      // Changes while it is being made are in the first note.
      fileChanged: () => this.note(),
      gone: (reason) => {
        this.isUnmounted = true;
        void this.unkeep();
        log.warn(`Raw device ${places.raw} of ${label(volume)} is gone (${reason}): restore it with rsconfig -d and -a`);
      },
    };
  }
}

/** Flushes the volume and resolves with the status, however long it takes. */
function flushed(volume: FrontendVolume): Promise<Status> {
  return new Promise((done) => {
    const nowhere = { positionBytes: 0, lengthBytes: 0, buffer: NOTHING, bufferOffset: 0 };
    volume.submit({ op: 'flush', ...nowhere, fua: false, mustKeepAllocated: false, done });
  });
}
