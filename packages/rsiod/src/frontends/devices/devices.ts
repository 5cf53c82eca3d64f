// The device frontend shows attached volumes as raw devices (FUSE files) and block devices (loop devices). This file decides which devices
// a volume gets, and when the devices are created and removed. The file volume-devices.ts creates and removes the devices. The file
// inherited-devices.ts handles devices of the previous process. Invariants: operations on one volume run one at a time; no two volumes have
// a device at the same path; a device that is in use is removed only with force.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { isLifeKnown, isNewLife } from '@rsio/protocol/mirror/io/lives';
import type { LeftDevice } from '../../keeper/kept-devices.ts';
import { LoopNodes } from './loop-nodes.ts';
import { chooseDevice, type DeviceFacts } from '../system/device-choice.ts';
import { DeviceGrowth } from './device-growth.ts';
import { devicePlaces, overlaps, type DevicePlaces } from './device-paths.ts';
import type { FrontendVolume, VolumeIdentity } from '../../volumes/frontend-volume.ts';
import { releaseAll } from '../../keeper/device-release.ts';
import { inUse, type Frontend } from '../frontend.ts';
import { InheritedDevices, type LeftDevicesPorts } from './inherited-devices.ts';
import { FuseBatch } from '../fuse/fuse-batch.ts';
import { FuseBuffers } from '../fuse/fuse-buffers.ts';
import { removePartitionLink } from './partition-links.ts';
import { SwapWatch } from './swap-watch.ts';
import { VolumeDevices, type ShownDevices, type VolumeDevicesPorts } from './volume-devices.ts';
import { DEVICE_UPKEEP_MS } from '../limits.ts';

// Looks after the block devices of attached volumes while programs and administrators change them: a block device that another program has
// detached is made again, and the links follow the partitions. Invariant: the devices of one volume are looked at one look at a time.
interface DeviceUpkeepPorts<V> {
  readonly clock: Clock;
  readonly volumes: () => readonly V[];
  /** Looks after the devices of one volume. Never rejects. */
  readonly keepUp: (volume: V) => Promise<void>;
}

class DeviceUpkeep<V> {
  private readonly ports: DeviceUpkeepPorts<V>;
  private timer: Timer | null = null;
  private hasEnded = false;

  constructor(ports: DeviceUpkeepPorts<V>) {
    this.ports = ports;
  }

  start(): void {
    this.timer = this.ports.clock.after(DEVICE_UPKEEP_MS, () => void this.look());
  }

  stop(): void {
    this.hasEnded = true;
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    for (const volume of this.ports.volumes()) if (!this.hasEnded) await this.ports.keepUp(volume);
    if (!this.hasEnded) this.start();
  }
}

export interface DeviceFrontendPorts
  extends Pick<LeftDevicesPorts, 'clock' | 'dataLost' | 'isOwn' | 'kept' | 'label' | 'log' | 'settingsOf'> {
  readonly root: string;
  readonly devDir: string;
  /** The RUN folder. The mount table contains the path of the RUN folder for each of the daemon's own mounts. */
  readonly runDir: string;
  /** Returns the facts about this machine that determine which devices can be created now. */
  readonly facts: () => DeviceFacts;
}

export class DeviceFrontend implements Frontend {
  readonly needsUnused = true;
  readonly audience = ['programs'] as const;
  private readonly ports: DeviceFrontendPorts;
  private readonly ofVolume: VolumeDevicesPorts;
  private readonly nodes: LoopNodes;
  private readonly swaps: SwapWatch;
  private readonly growth: DeviceGrowth;
  private readonly upkeep: DeviceUpkeep<FrontendVolume>;
  private readonly left: InheritedDevices;
  private readonly made = new Map<FrontendVolume, VolumeDevices>();
  private readonly claims = new Map<FrontendVolume, DevicePlaces>();
  /** Key: a resumed volume whose current incarnation is not known yet. Value: the incarnation that the previous process noted. */
  private readonly former = new Map<FrontendVolume, string>();
  private readonly turns = new Map<FrontendVolume, Promise<unknown>>();

  constructor(ports: DeviceFrontendPorts) {
    const { clock, log, label, kept, runDir, settingsOf, dataLost, isOwn } = ports;
    const sourcePrefix = `rsio:${runDir}:`;
    const buffers = new FuseBuffers();
    let batch: FuseBatch | null | undefined;
    // The batch is created with the first device, because loading koffi takes longer than the rest of the daemon's start.
    const firstBatch = (): FuseBatch | null => {
      const made = FuseBatch.ofMachine(buffers);
      log.debug(
        made === null ? 'Each request of a device is read and answered by itself' : 'Requests of devices are read and answered together',
      );
      return made;
    };
    this.ports = ports;
    this.nodes = LoopNodes.ofMachine(ports);
    this.ofVolume = {
      clock,
      log,
      label,
      kept,
      nodes: this.nodes,
      sourceOf: (volume) => sourcePrefix + label(volume),
      buffers,
      batch: () => (batch === undefined ? (batch = firstBatch()) : batch),
    };
    this.swaps = new SwapWatch({
      clock,
      devices: () => this.loops(),
      report: (name, sentence) => log.error(`Volume ${name}: ${sentence}`),
    });
    this.growth = new DeviceGrowth({
      clock,
      log,
      label,
      grow: (volume) => this.inTurn(volume, async () => await this.made.get(volume)?.grow()),
    });
    this.upkeep = new DeviceUpkeep({
      clock,
      volumes: () => [...this.made.keys()],
      keepUp: (volume) => this.inTurn(volume, () => this.keepUp(volume)),
    });
    this.left = new InheritedDevices({ ...this.ofVolume, sourcePrefix, settingsOf, dataLost, isOwn });
  }

  shownAs(volume: FrontendVolume): ShownDevices | null {
    return this.made.get(volume)?.shown ?? null;
  }

  /** Removes the devices that a crash has left behind, unless the keeper holds them. Starts to serve the devices that the keeper holds. */
  async start(): Promise<void> {
    this.swaps.start();
    this.upkeep.start();
    await this.left.clean();
  }

  async release(volume: VolumeIdentity, reason: string, force: boolean): Promise<void> {
    const device = this.ports.kept.leftOf(volume);
    if (device !== null) await this.left.release(device, reason, force);
  }

  async releaseLeft(reason: string, isWanted: (volume: VolumeIdentity) => boolean): Promise<void> {
    const unwanted = this.ports.kept.left.filter(({ note }) => !isWanted(note));
    const release = (device: LeftDevice): Promise<void> => this.left.release(device, reason, true);
    await releaseAll(unwanted, { ...this.ports, release });
  }

  get leftVolumes(): FrontendVolume[] {
    return this.left.list.map(({ volume }) => volume);
  }

  /** Updates the keeper's note about the volume, because the note contains the incarnation. */
  incarnationChanged(volume: FrontendVolume): void {
    if (!isLifeKnown(volume.incarnation)) return;
    const former = this.former.get(volume);
    if (former !== undefined) this.compare(volume, former);
    this.made.get(volume)?.note();
  }

  /** Does nothing, because file systems on the devices may still have to write their data. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  handOver(): Promise<void> {
    this.swaps.stop();
    this.upkeep.stop();
    this.growth.stop();
    for (const devices of [...this.made.values(), ...this.left.list]) devices.pause();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.swaps.stop();
    this.upkeep.stop();
    this.growth.stop();
    await this.nodes.settle();
  }

  /** With `device = auto`, an error is only logged, because the NBD socket still exports the volume. */
  async show(volume: FrontendVolume): Promise<void> {
    await this.inTurn(volume, async () => {
      const { log, settingsOf, facts, label } = this.ports;
      if (this.made.has(volume)) return;
      if (await this.resume(volume)) return;
      const { device: choice, path } = settingsOf(volume);
      const { kind, why } = chooseDevice(choice, facts());
      const name = label(volume);
      if (why !== null) log.info(`${name} is shown by ${kind === 'raw' ? 'a raw device' : 'the NBD socket'} only: ${why}`);
      if (kind === 'none' || kind === 'nbd-socket') return;
      try {
        const places = this.claim(volume, path);
        // A link to a partition of another volume gives way to the devices of a volume.
        for (const place of [places.raw, places.block]) await removePartitionLink(place);
        const devices = await VolumeDevices.make(volume, kind, places, this.ofVolume);
        this.made.set(volume, devices);
        await devices.hold();
        await this.keepUp(volume);
        const { raw, block } = devices.shown ?? { raw: '', block: null };
        log.info(`${name} is shown as ${block === null ? raw : `${block} and ${raw}`}`);
      } catch (thrown) {
        this.claims.delete(volume);
        if (choice !== 'auto') throw thrown;
        log.warn(`${name} is shown by the NBD socket only: ${toRsError(thrown).message}`);
      }
    });
  }

  async usersOf(volume: FrontendVolume): Promise<string[]> {
    const devices = this.made.get(volume) ?? this.left.list.find((one) => one.volume === volume);
    return devices === undefined ? [] : await devices.users();
  }

  async lackAtRestart(volume: FrontendVolume): Promise<string | null> {
    return await this.inTurn(volume, async () => (await this.made.get(volume)?.lackAtRestart()) ?? null);
  }

  async grown(volume: FrontendVolume): Promise<void> {
    await this.growth.grow(volume);
  }

  /** With `force`, programs that use the devices get I/O errors and lose their unwritten data. */
  async hide(volume: FrontendVolume, force: boolean): Promise<void> {
    await this.inTurn(volume, async () => {
      const devices = this.made.get(volume);
      if (devices === undefined) return;
      const users = await devices.users();
      if (users.length > 0 && !force) throw inUse(users);
      if (users.length === 0 && (await devices.removed(force))) {
        this.forget(volume);
        return;
      }
      await devices.written();
      const who = users.length > 0 ? users.join(', ') : 'somebody';
      this.ports.log.warn(`${this.ports.label(volume)} was in use by ${who}: unwritten data is lost, and I/O fails from now on`);
      this.forget(volume);
      await devices.abandon();
    });
  }

  async drop(volume: FrontendVolume): Promise<void> {
    this.made.get(volume)?.fail();
    await this.hide(volume, true).catch((thrown: unknown) =>
      this.ports.log.warn(`${this.ports.label(volume)}: ${toRsError(thrown).message}`),
    );
  }

  private loops(): { label: string; device: string }[] {
    return [...this.made].flatMap(([volume, { loopDevice }]) =>
      loopDevice === null ? [] : [{ label: this.ports.label(volume), device: loopDevice }],
    );
  }

  private async keepUp(volume: FrontendVolume): Promise<void> {
    const isTaken = (place: string): boolean =>
      [...this.claims].some(([other, { raw, block }]) => other !== volume && (place === raw || place === block));
    await this.made.get(volume)?.keepUp(isTaken);
  }

  private forget(volume: FrontendVolume): void {
    this.made.delete(volume);
    this.claims.delete(volume);
    this.former.delete(volume);
  }

  /**
   * Reports possible data loss if the volume's incarnation is not `before`, the incarnation that the previous process noted. The
   * incarnation of a mirror is known only when all replicas in sync are open; until then, `before` is kept in `former`.
   */
  private compare(volume: FrontendVolume, before: string): void {
    if (!isLifeKnown(volume.incarnation)) return void this.former.set(volume, before);
    this.former.delete(volume);
    if (isNewLife(before, volume.incarnation))
      this.ports.log.error(
        `${this.ports.label(volume)}: the server's storage has started a new incarnation while rsiod was not running, so that unflushed writes may be lost: check the data`,
      );
  }

  /** Resumes the device that the previous process left for this volume. Returns false if no device can be resumed. */
  private async resume(volume: FrontendVolume): Promise<boolean> {
    const device = this.ports.kept.leftOf(volume);
    if (device === null) return false;
    const { note } = device;
    if (note.readonly !== volume.readonly || note.blockSizeBytes !== volume.blockSizeBytes) {
      await this.left.release(device, 'the volume has changed', true);
      return false;
    }
    const devices = this.left.take(device);
    if (devices === null) return false;
    this.made.set(volume, devices);
    this.claims.set(volume, devices.places);
    this.compare(volume, note.life);
    // `resume` is not awaited, because `resume` may take long and would delay other volumes.
    void devices.resume(volume, () => this.made.get(volume) === devices).then((hasGrown) => (hasGrown ? this.grown(volume) : undefined));
    return true;
  }

  /** Reserves the paths of a volume's devices. Throws E_IN_USE if another volume has reserved one of these paths. */
  private claim(volume: FrontendVolume, path: string | null): DevicePlaces {
    const { root, devDir, label } = this.ports;
    const places = devicePlaces(root, devDir, volume, path);
    for (const [other, taken] of this.claims) {
      if (!overlaps(places, taken)) continue;
      throw new RsError(
        'E_IN_USE',
        `${label(other)} is at ${taken.block} and ${taken.raw}: detach it first, or set path = for one of the volumes`,
      );
    }
    this.claims.set(volume, places);
    return places;
  }

  private async inTurn<T>(volume: FrontendVolume, work: () => Promise<T>): Promise<T> {
    const before = this.turns.get(volume) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    this.turns.set(volume, settled);
    try {
      return await mine;
    } finally {
      if (this.turns.get(volume) === settled) this.turns.delete(volume);
    }
  }
}
