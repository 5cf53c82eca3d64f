// The devices of the attached volumes: which ones each gets, making them, and taking them away. Leaves how to volume-devices.ts, what the
// process before has left to left-devices.ts, and what is attached to attachments.ts. Invariants: for one volume one thing is done at a time;
// no two volumes have one place; without force nothing is taken away that somebody uses.

import type { DeviceChoice, StallPolicy } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import type { KeptDevices, LeftDevice } from '../../keeper/kept-devices.ts';
import { LoopNodes } from '../loop/loop-nodes.ts';
import { chooseDevice, type DeviceFacts } from '../system/device-choice.ts';
import { type DevicePlaces, devicePlaces, overlap } from './device-paths.ts';
import type { DeviceVolume } from '../../volumes/frontend-volume.ts';
import { inUse, LeftDevices } from './left-devices.ts';
import { FuseBuffers } from '../fuse/fuse-buffers.ts';
import { SwapWatch } from './swap-watch.ts';
import { type ShownDevices, VolumeDevices, type VolumeDevicesPorts } from './volume-devices.ts';

export interface DevicesPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly root: string;
  readonly devDir: string;
  /** Tells our mounts from those of others. */
  readonly runDir: string;
  /** What this machine has, now. */
  readonly facts: () => DeviceFacts;
  /** What the configuration says, now. */
  readonly wish: (volume: DeviceVolume) => { readonly choice: DeviceChoice; readonly path: string | null };
  /** `osl:oracle@0` */
  readonly label: (volume: DeviceVolume) => string;
  readonly stallOf: (volume: Pick<DeviceVolume, 'namespace' | 'name'>) => StallPolicy;
  /** By which they outlive this process, and what the one before has left. */
  readonly kept: KeptDevices;
  /** What somebody has lost: for the log, and for whoever waits at the prompt. `volume`: whose devices are taken away just now; null: long ago. */
  readonly tell: (volume: Pick<DeviceVolume, 'namespace' | 'name' | 'universe'> | null, sentence: string) => void;
}

export class Devices {
  private readonly ports: DevicesPorts;
  private readonly ofVolume: VolumeDevicesPorts;
  private readonly nodes: LoopNodes;
  private readonly swaps: SwapWatch;
  private readonly left: LeftDevices;
  private readonly made = new Map<DeviceVolume, VolumeDevices>();
  /** Of what is there, and of what is being made. */
  private readonly claims = new Map<DeviceVolume, DevicePlaces>();
  private readonly turns = new Map<DeviceVolume, Promise<unknown>>();

  constructor(ports: DevicesPorts) {
    const { clock, log, label, kept, runDir, stallOf, tell } = ports;
    const sourcePrefix = `rsio:${runDir}:`;
    this.ports = ports;
    this.nodes = LoopNodes.ofMachine(ports);
    this.ofVolume = {
      clock,
      log,
      label,
      kept,
      nodes: this.nodes,
      sourceOf: (volume) => sourcePrefix + label(volume),
      buffers: new FuseBuffers(),
    };
    this.swaps = new SwapWatch({ clock, devices: () => this.loops(), tell: (name, sentence) => log.error(`Volume ${name}: ${sentence}`) });
    this.left = new LeftDevices({ ...this.ofVolume, sourcePrefix, stallOf, tell });
  }

  /** null: there are none. */
  of(volume: DeviceVolume): ShownDevices | null {
    return this.made.get(volume)?.shown ?? null;
  }

  /** Takes away what a crash has left, and begins to serve what the process before had under way. */
  async clean(): Promise<void> {
    this.swaps.start();
    await this.left.clean();
  }

  /** What the process before has left of a volume that nobody is to attach again: what uses it gets errors. Without `force` throws E_IN_USE. */
  async letGo(device: LeftDevice, why: string, force: boolean): Promise<void> {
    await this.left.letGo(device, why, force);
  }

  /** In the place of volumes that are not attached again yet. */
  get standIns(): DeviceVolume[] {
    return this.left.list.map(({ volume }) => volume);
  }

  /** The volume has another size, or its storage another life. */
  changed(volume: DeviceVolume): void {
    this.made.get(volume)?.note();
  }

  /** After the last was taken away: the process ends. */
  async end(): Promise<void> {
    this.swaps.stop();
    await this.nodes.settle();
  }

  /** No more requests are taken: another process is to go on with them. */
  pause(): void {
    this.swaps.stop();
    for (const devices of [...this.made.values(), ...this.left.list]) devices.pause();
  }

  /** Makes the devices that the configuration wants. Throws what stands in the way; with `auto` nothing does. */
  async show(volume: DeviceVolume): Promise<void> {
    await this.inTurn(volume, async () => {
      const { log, wish, facts, label } = this.ports;
      if (this.made.has(volume)) return;
      if (await this.takenUp(volume)) return;
      const { choice, path } = wish(volume);
      const { kind, why } = chooseDevice(choice, facts());
      const name = label(volume);
      if (why !== null) log.info(`${name} is shown by ${kind === 'raw' ? 'a raw device' : 'the NBD socket'} only: ${why}`);
      if (kind === 'none' || kind === 'nbd-socket') return;
      try {
        const devices = await VolumeDevices.make(volume, kind, this.claim(volume, path), this.ofVolume);
        this.made.set(volume, devices);
        await devices.hold();
        const { raw, block } = devices.shown ?? { raw: '', block: null };
        log.info(`${name} is shown as ${block === null ? raw : `${block} and ${raw}`}`);
      } catch (thrown) {
        this.claims.delete(volume);
        if (choice !== 'auto') throw thrown;
        log.warn(`${name} is shown by the NBD socket only: ${toRsError(thrown).message}`);
      }
    });
  }

  /** Who uses them, for people. */
  async usersOf(volume: DeviceVolume): Promise<string[]> {
    const devices = this.made.get(volume) ?? this.left.list.find((one) => one.volume === volume);
    return devices === undefined ? [] : await devices.users();
  }

  /** The volume has grown. */
  async grown(volume: DeviceVolume): Promise<void> {
    await this.inTurn(volume, async () => {
      const devices = this.made.get(volume);
      try {
        await devices?.grow();
        devices?.note();
      } catch (thrown) {
        this.ports.log.warn(`Block device of ${this.ports.label(volume)} keeps its size: ${toRsError(thrown).message}`);
      }
    });
  }

  /**
   * Takes them away; without `force` throws E_IN_USE when somebody uses them. What uses them all the same gets errors, and what it has not
   * written is lost.
   */
  async hide(volume: DeviceVolume, force: boolean): Promise<void> {
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
      this.ports.log.warn(
        `${this.ports.label(volume)} was in use by ${who}: what that had not written is lost, and its I/O fails from now on`,
      );
      this.forget(volume);
      await devices.abandon();
    });
  }

  /** The volume is not this client's any more: nobody is asked. */
  async drop(volume: DeviceVolume): Promise<void> {
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

  private forget(volume: DeviceVolume): void {
    this.made.delete(volume);
    this.claims.delete(volume);
  }

  /** False: the process before has left nothing of it that can be gone on with. */
  private async takenUp(volume: DeviceVolume): Promise<boolean> {
    const { kept, log, label } = this.ports;
    const device = kept.leftOf(volume);
    if (device === null) return false;
    const { note } = device;
    if (note.readonly !== volume.readonly || note.blockSizeBytes !== volume.blockSizeBytes) {
      await this.left.letGo(device, 'the volume is another one now', true);
      return false;
    }
    const devices = this.left.take(device);
    if (devices === null) return false;
    this.made.set(volume, devices);
    this.claims.set(volume, devices.places);
    if (note.life !== volume.life)
      log.error(
        `${label(volume)}: the server's storage has begun a new life while rsiod was away: what was written and not flushed may be lost`,
      );
    // There may be much to wait for, and others to be attached.
    void devices.goOn(volume, () => this.made.get(volume) === devices);
    return true;
  }

  /** Throws E_IN_USE when another volume is there. */
  private claim(volume: DeviceVolume, path: string | null): DevicePlaces {
    const { root, devDir, label } = this.ports;
    const places = devicePlaces(root, devDir, volume, path);
    for (const [other, taken] of this.claims) {
      if (!overlap(places, taken)) continue;
      throw new RsError(
        'E_IN_USE',
        `${label(other)} is at ${taken.block} and ${taken.raw}: detach it first, or set path = for one of them`,
      );
    }
    this.claims.set(volume, places);
    return places;
  }

  private async inTurn<T>(volume: DeviceVolume, work: () => Promise<T>): Promise<T> {
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
