// Creates and removes the devices of one volume, and lets the keeper hold them. A volume has a raw device and possibly a block device on
// top of the raw device. Invariants: if creating a device fails, the devices already created are removed. The keeper's note describes the
// devices that exist. The keeper holds no device that has been removed.

import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { DEVICE_FORCE_MS } from '../limits.ts';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { DeviceNote } from '../../keeper/device-note.ts';
import type { KeptDevices, LeftDevice } from '../../keeper/kept-devices.ts';
import type { StandInVolume } from '../../keeper/stand-in-volume.ts';
import { LoopDevice } from './loop-device.ts';
import type { LoopNodes } from './loop-nodes.ts';
import type { DevicePlaces } from './device-paths.ts';
import { deviceUsers, writeBack } from './device-users.ts';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import type { FuseBatch } from '../fuse/fuse-batch.ts';
import type { FuseBuffers } from '../fuse/fuse-buffers.ts';
import { RawDevice, type RawDeviceOptions } from '../fuse/raw-device.ts';

export interface VolumeDevicesPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly label: (volume: FrontendVolume) => string;
  /** Returns the source field of a volume's raw device in the mount table. */
  readonly sourceOf: (volume: FrontendVolume) => string;
  readonly buffers: FuseBuffers;
  readonly batch: () => FuseBatch | null;
  /** Lets the keeper hold the devices, so that they outlive this process. */
  readonly kept: KeptDevices;
  readonly nodes: LoopNodes;
}

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
  /** Stand-in that queues I/O until the volume is reattached; null if this process has created the devices. */
  private readonly standIn: StandInVolume | null;
  /** The id under which the keeper holds the raw device; null if the keeper does not hold it. */
  private keptId: number | null = null;
  /** Why the keeper does not hold the raw device; null if the keeper holds it or was not asked. */
  private lack: string | null = null;
  private isUnmounted = false;
  /** True if the block device is gone and could not be made again. */
  private isBroken = false;

  private constructor(volume: FrontendVolume, standIn: StandInVolume | null, places: DevicePlaces, ports: VolumeDevicesPorts) {
    this.shownVolume = volume;
    this.standIn = standIn;
    this.places = places;
    this.ports = ports;
  }

  /** Creates the devices. If `make` throws, none of the devices exists afterwards. */
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

  /** Adopts the devices that the previous process left for a volume. Call `serveOn` next. */
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

  /** True if the administrator or another program has unmounted the raw device. */
  get isGone(): boolean {
    return this.isUnmounted;
  }

  get shown(): ShownDevices | null {
    if (this.isUnmounted) return null;
    return { raw: this.places.raw, block: this.loop === null ? null : this.places.block };
  }

  /** Path such as `/dev/loop3`; null if there is no block device. */
  get loopDevice(): string | null {
    return this.loop?.device ?? null;
  }

  /**
   * Starts to serve adopted devices. The kernel then resends the requests that the previous process did not answer. Requests that need no
   * server are answered at once; all other requests wait until the volume is reattached.
   */
  serveOn(): void {
    try {
      this.rawDevice.serveOn();
    } catch (thrown) {
      this.ports.log.error(`${this.places.raw} cannot be resumed: ${toRsError(thrown).message}`);
      this.rawDevice.fail();
    }
  }

  /**
   * Lets the keeper hold the devices if the kernel can resend unanswered requests. Without a resend, devices that outlive a crash would
   * never answer the requests that the crashed process had read.
   */
  async hold(): Promise<void> {
    if (this.isUnmounted || this.keptId !== null) return;
    if (!this.rawDevice.file.canResend) {
      this.lack = 'this kernel sends no request again; Linux 6.9 does';
      return;
    }
    const kept = await this.ports.kept.keep(this.rawDevice.fd, this.asNote());
    [this.keptId, this.lack] = typeof kept === 'number' ? [kept, null] : [null, kept];
    // While `keep` waited for the keeper, the device may have been unmounted, or its attributes may have changed.
    if (this.isUnmounted) await this.unkeep();
    else this.note();
  }

  /** Returns why the devices would end with this process; null if they outlive it. A keeper that refused the device is asked again. */
  async lackAtRestart(): Promise<string | null> {
    await this.hold();
    return this.lack;
  }

  note(): void {
    if (this.keptId !== null) this.ports.kept.note(this.keptId, this.asNote());
  }

  /** Stops taking requests, because another process will continue to serve the devices. */
  pause(): void {
    this.rawDevice.pause();
  }

  fail(): void {
    this.rawDevice.fail();
  }

  /**
   * Makes the devices show the current size of the volume. The keeper's note keeps the old size until the devices have grown, so that the
   * next process grows them if this process crashes first. Throws E_SYSTEM if a program that grows a device fails.
   */
  async grow(): Promise<void> {
    if (this.isUnmounted) return;
    await this.rawDevice.grow();
    await this.loop?.grow();
    this.note();
  }

  async users(): Promise<string[]> {
    if (this.isUnmounted) return [];
    const loop = this.loop !== null && (await this.loop.isOurs()) ? this.loop.device : null;
    return await deviceUsers({ rawFile: this.places.raw, loop }, this.ports.clock);
  }

  /**
   * Resumes the devices after their volume has been attached. The replay log, which contained the acknowledged but unflushed writes, was
   * lost with the previous process. The volume is therefore flushed before unanswered requests are executed again. `isTheirs` returns false
   * once the devices have been removed. Returns true if the volume has grown; the caller must then call `grow`.
   */
  async resume(volume: FrontendVolume, isTheirs: () => boolean): Promise<boolean> {
    const { log, label, clock } = this.ports;
    const startMs = clock.monotonicMs();
    const status = volume.readonly ? STATUS.OK : await flushed(volume);
    if (status !== STATUS.OK)
      log.error(`${label(volume)}: writes that were not flushed before rsiod restarted may be lost: ${statusEntry(status).sentence}`);
    // If the devices were removed during the flush, the I/O that was waiting has already failed.
    if (!isTheirs()) return false;
    const isSame = this.shownVolume.sizeBytes === volume.sizeBytes;
    try {
      this.standIn?.become(volume);
      this.shownVolume = volume;
      if (isSame) this.note();
      log.info(`${label(volume)} is resumed, ${Math.round(clock.monotonicMs() - startMs)} ms after it was attached again`);
      await this.repairLoop();
    } catch (thrown) {
      log.warn(`${label(volume)}: ${toRsError(thrown).message}`);
    }
    // The devices are grown only if the size has changed, because growing runs two programs.
    return !isSame;
  }

  /**
   * With `force`, stalled I/O fails after DEVICE_FORCE_MS. If the removal fails despite `force`, `removed` returns false, and the caller
   * must then call `abandon`.
   */
  async removed(force: boolean): Promise<boolean> {
    const timer = force ? this.ports.clock.after(DEVICE_FORCE_MS, () => this.rawDevice.fail()) : null;
    try {
      await this.loop?.remove();
      await this.rawDevice.remove();
      await this.unkeep();
      return true;
    } catch (thrown) {
      if (force) return false;
      // A device is still in use, so a block device that has already been removed is recreated.
      await this.repairLoop();
      throw thrown;
    } finally {
      timer?.cancel();
    }
  }

  /** Gives everything on the block device up to DEVICE_FORCE_MS to write its data. */
  async written(): Promise<void> {
    const { clock } = this.ports;
    const timer = clock.after(DEVICE_FORCE_MS, () => this.rawDevice.fail());
    if (this.loop !== null && (await this.loop.isOurs())) await writeBack(this.loop.device, clock);
    timer.cancel();
  }

  /** Removes the devices even while they are in use. */
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

  /**
   * Makes a block device again that another program has detached, and the links of its partitions. `isTaken`: true for a path that belongs
   * to another volume. Never rejects; a failure is logged once until it ends.
   */
  async keepUp(isTaken: (place: string) => boolean): Promise<void> {
    const { log, label } = this.ports;
    if (this.loop === null || this.isUnmounted) return;
    try {
      if (await this.repairLoop())
        log.warn(`${this.places.block} of ${label(this.shownVolume)} was detached by another program: it is ${this.loop.device} now`);
      this.isBroken = false;
      await this.loop.linkPartitions(isTaken);
    } catch (thrown) {
      const sentence = `${this.places.block} of ${label(this.shownVolume)} was detached by another program, and cannot be made again`;
      if (!this.isBroken) log.error(`${sentence}: ${toRsError(thrown).message}`);
      this.isBroken = true;
    }
  }

  /** Returns true if the block device was gone and has been made again. */
  private async repairLoop(): Promise<boolean> {
    if (this.loop === null || (await this.loop.isOurs())) return false;
    this.loop = await this.loop.again();
    this.note();
    return true;
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
    const { clock, log, label, buffers, batch, sourceOf } = this.ports;
    return {
      volume,
      file: places.raw,
      source: sourceOf(volume),
      buffers,
      batch: batch(),
      clock,
      warn: (sentence) => log.warn(sentence),
      // Until the keeper holds the device, `note` does nothing. The first note that the keeper gets includes all earlier changes.
      fileChanged: () => this.note(),
      gone: (reason) => {
        this.isUnmounted = true;
        void this.unkeep();
        log.warn(`Raw device ${places.raw} of ${label(volume)} is gone (${reason}): restore it with rsconfig -d and -a`);
      },
    };
  }
}

/** Flushes the volume and resolves with the status of the flush. There is no timeout. */
function flushed(volume: FrontendVolume): Promise<Status> {
  return new Promise((done) => {
    const nowhere = { positionBytes: 0, lengthBytes: 0, buffer: NOTHING, bufferOffset: 0 };
    volume.submit({ op: 'flush', ...nowhere, fua: false, mustKeepAllocated: false, done });
  });
}
