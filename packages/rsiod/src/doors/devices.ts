// The devices of the attached volumes: which ones each gets, making them, and taking them away. Leaves how to raw/ and block/, and what is
// attached to attachments.ts. Invariants: for one volume one thing is done at a time; what was made only in part is taken away again;
// without force nothing is taken away that somebody uses.

import { closeSync } from 'node:fs';
import type { DeviceChoice, StallPolicy } from '@rsio/protocol/config/types';
import type { Clock } from '@rsio/protocol/lib/clock';
import { RsError, toRsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import { DEVICE_FORCE_MS } from '@rsio/protocol/limits';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { DeviceNote } from '../keeper/device-note.ts';
import type { KeptDevices, LeftDevice } from '../keeper/kept-devices.ts';
import { StandInVolume } from '../keeper/stand-in-volume.ts';
import { LoopDevice, loopDevicesOn, removeLink } from './block/loop-device.ts';
import { chooseDevice, type DeviceFacts } from './device-choice.ts';
import { runCommand } from './device-commands.ts';
import { type DevicePlaces, devicePlaces, overlap } from './device-places.ts';
import { deviceUsers } from './device-users.ts';
import type { DeviceVolume } from './door.ts';
import { type MountEntry, mountTable } from './mount-table.ts';
import { FuseBuffers } from './raw/fuse-buffers.ts';
import { RAW_TYPE, RawDevice, type RawDeviceOptions, removeFile, unmountLazily } from './raw/raw-device.ts';

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
}

interface Made {
  volume: DeviceVolume;
  readonly places: DevicePlaces;
  readonly raw: RawDevice;
  loop: LoopDevice | null;
  /** Where its I/O waits until the volume is attached again; null: it was made by this process. */
  readonly standIn: StandInVolume | null;
  /** The keeper's number of it; null: it is not held. */
  keptId: number | null;
  /** Somebody else has unmounted it. */
  isGone: boolean;
}

/** Paths of what is there of a volume. */
export interface ShownDevices {
  readonly raw: string;
  readonly block: string | null;
}

const NOTHING = Buffer.alloc(0);

export class Devices {
  private readonly ports: DevicesPorts;
  private readonly buffers = new FuseBuffers();
  private readonly made = new Map<DeviceVolume, Made>();
  /** Of what is there, and of what is being made. */
  private readonly claims = new Map<DeviceVolume, DevicePlaces>();
  /** What the process before has left, served for volumes that are not attached again yet. */
  private readonly waiting = new Map<LeftDevice, Made>();
  private readonly turns = new Map<DeviceVolume, Promise<unknown>>();

  constructor(ports: DevicesPorts) {
    this.ports = ports;
  }

  /** null: there are none. */
  of(volume: DeviceVolume): ShownDevices | null {
    const made = this.made.get(volume);
    return made === undefined || made.isGone ? null : { raw: made.places.raw, block: made.loop === null ? null : made.places.block };
  }

  /** Takes away what a daemon with the same RUN has left when it crashed. A file system on it is dead, and for a person to unmount. */
  async clean(): Promise<void> {
    const { clock, log } = this.ports;
    const ours = (await mountTable().catch(() => [])).filter(
      ({ type, source }) => type === RAW_TYPE && source.startsWith(this.sourceOf('')),
    );
    await this.dropStale(ours);
    const left = ours.filter(({ mountPoint }) => !this.ports.kept.left.some(({ note }) => note.raw === mountPoint));
    for (const { mountPoint: rawFile } of left) {
      const loops = await loopDevicesOn(rawFile);
      const users = (await Promise.all(loops.map((loop) => deviceUsers({ rawFile, loop })))).flat();
      try {
        for (const loop of loops) await runCommand(clock, 'losetup', ['--detach', loop]);
        await unmountLazily(clock, rawFile);
        await removeFile(rawFile);
        await removeLink(blockBeside(rawFile));
        log.info(`Raw device ${rawFile}, left by a crash, is taken away`);
        if (users.length > 0)
          log.warn(`What stood on ${rawFile} is dead: ${users.join(', ')} must be ended, and begun anew on the new device`);
      } catch (thrown) {
        log.warn(`Raw device ${rawFile}, left by a crash, stays: ${toRsError(thrown).message}`);
      }
    }
  }

  /** What is held and not mounted any more serves nobody; what no note is understood of, nobody can serve. */
  private async dropStale(ours: readonly MountEntry[]): Promise<void> {
    const { kept, log } = this.ports;
    for (const { id, fd } of kept.unreadable.splice(0)) {
      closeSync(fd);
      await kept.drop(id);
      log.warn('A device of another version of rsiod cannot be gone on with: it is taken away');
    }
    for (const device of [...kept.left]) {
      if (ours.some(({ mountPoint }) => mountPoint === device.note.raw)) continue;
      kept.take(device);
      closeSync(device.fd);
      await kept.drop(device.id);
    }
    for (const device of kept.left) this.serveMeanwhile(device);
  }

  /** What was under way comes again, and waits for the volume with all that comes; what needs no server is answered. */
  private serveMeanwhile(device: LeftDevice): void {
    const { clock, log, label } = this.ports;
    const { note, fd, id } = device;
    const standIn: StandInVolume = new StandInVolume(note, {
      clock,
      policy: this.ports.stallOf(note),
      said: (word) => {
        if (word === 'gave-up') log.error(`${label(standIn)}, not attached again yet: what waited for it got an error`);
      },
    });
    const places = { raw: note.raw, block: note.block };
    const whose: { made: Made | null } = { made: null };
    const raw = RawDevice.adopt(this.rawOptions(standIn, places, whose), fd, note.file);
    const made: Made = { volume: standIn, places, raw, loop: null, standIn, keptId: id, isGone: false };
    whose.made = made;
    if (note.loop !== null) {
      const { blockSizeBytes, readonly } = note;
      made.loop = LoopDevice.adopt({ clock, rawFile: note.raw, node: note.block, blockSizeBytes, readonly }, note.loop);
    }
    this.waiting.set(device, made);
    try {
      raw.serveOn();
    } catch (thrown) {
      log.error(`${note.raw} cannot be gone on with: ${toRsError(thrown).message}`);
      raw.fail();
    }
  }

  /** What the process before has left of a volume that nobody is to attach again: what uses it gets errors. Without `force` throws E_IN_USE. */
  async letGo(device: LeftDevice, why: string, force: boolean): Promise<void> {
    const { log } = this.ports;
    const { note } = device;
    const users = await deviceUsers({ rawFile: note.raw, loop: note.loop?.device ?? null });
    if (users.length > 0 && !force) throw new RsError('E_IN_USE', `It is in use by ${users.join(', ')}: end that first, or use --force`);
    const made = this.taken(device);
    if (made === null) return;
    await this.abandon(made);
    const lost = users.length > 0 ? `: what ${users.join(', ')} had not written is lost, and its I/O fails` : '';
    log.warn(`Devices ${note.block} and ${note.raw}, left by the process before, are taken away (${why})${lost}`);
  }

  /** The volume has another size, or its storage another life. */
  changed(volume: DeviceVolume): void {
    const made = this.made.get(volume);
    if (made !== undefined) this.noted(made);
  }

  private noted(made: Made): void {
    if (made.keptId !== null) this.ports.kept.note(made.keptId, noteOf(made));
  }

  /** No more requests are taken: another process is to go on with them. */
  pause(): void {
    for (const { raw } of [...this.made.values(), ...this.waiting.values()]) raw.pause();
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
        await this.make(volume, kind, this.claim(volume, path));
        const { raw, block } = this.of(volume) ?? { raw: '', block: null };
        log.info(`${name} is shown as ${block === null ? raw : `${block} and ${raw}`}`);
      } catch (thrown) {
        this.claims.delete(volume);
        if (choice !== 'auto') throw thrown;
        log.warn(`${name} is shown by the NBD socket only: ${toRsError(thrown).message}`);
      }
    });
  }

  /** In the place of volumes that are not attached again yet. */
  get standIns(): DeviceVolume[] {
    return [...this.waiting.values()].map(({ volume }) => volume);
  }

  /** Who uses them, for people. */
  async usersOf(volume: DeviceVolume): Promise<string[]> {
    const made = this.made.get(volume) ?? [...this.waiting.values()].find((one) => one.volume === volume);
    if (made === undefined || made.isGone) return [];
    const loop = made.loop !== null && (await made.loop.isOurs()) ? made.loop.device : null;
    return await deviceUsers({ rawFile: made.places.raw, loop });
  }

  /** The volume has grown. */
  async grown(volume: DeviceVolume): Promise<void> {
    await this.inTurn(volume, async () => {
      try {
        await this.grow(this.made.get(volume));
        this.changed(volume);
      } catch (thrown) {
        this.ports.log.warn(`Block device of ${this.ports.label(volume)} keeps its size: ${toRsError(thrown).message}`);
      }
    });
  }

  private async grow(made: Made | undefined): Promise<void> {
    if (made === undefined || made.isGone) return;
    await made.raw.grow();
    await made.loop?.grow();
  }

  /**
   * Takes them away; without `force` throws E_IN_USE when somebody uses them. What uses them all the same gets errors, and what it has not
   * written is lost.
   */
  async hide(volume: DeviceVolume, force: boolean): Promise<void> {
    await this.inTurn(volume, async () => {
      const made = this.made.get(volume);
      if (made === undefined) return;
      const users = made.isGone ? [] : await this.usersOf(volume);
      if (users.length > 0 && !force) throw new RsError('E_IN_USE', `It is in use by ${users.join(', ')}: end that first, or use --force`);
      if (users.length === 0 && (await this.removed(made, force))) {
        this.forget(volume);
        return;
      }
      await this.written(made);
      const who = users.length > 0 ? users.join(', ') : 'somebody';
      this.ports.log.warn(
        `${this.ports.label(volume)} was in use by ${who}: what that had not written is lost, and its I/O fails from now on`,
      );
      this.forget(volume);
      await this.abandon(made);
    });
  }

  private forget(volume: DeviceVolume): void {
    this.made.delete(volume);
    this.claims.delete(volume);
  }

  /** The volume is not this client's any more: nobody is asked. */
  async drop(volume: DeviceVolume): Promise<void> {
    this.made.get(volume)?.raw.fail();
    await this.hide(volume, true).catch((thrown: unknown) =>
      this.ports.log.warn(`${this.ports.label(volume)}: ${toRsError(thrown).message}`),
    );
  }

  /** The kind way. False: it did not work out, and force is to follow. With it nobody waits long for I/O that stalls. */
  private async removed(made: Made, force: boolean): Promise<boolean> {
    const timer = force ? this.ports.clock.after(DEVICE_FORCE_MS, () => made.raw.fail()) : null;
    try {
      await made.loop?.remove();
      await made.raw.remove();
      await this.dropped(made);
      return true;
    } catch (thrown) {
      if (force) return false;
      // The raw device was in use after all: as it was, then.
      if (made.loop !== null && !(await made.loop.isOurs())) made.loop = await made.loop.again();
      throw thrown;
    } finally {
      timer?.cancel();
    }
  }

  /** File systems on it write what they have, as far as that goes in a short time. */
  private async written({ raw, loop }: Made): Promise<void> {
    const timer = this.ports.clock.after(DEVICE_FORCE_MS, () => raw.fail());
    await loop?.sync().catch(() => undefined);
    timer.cancel();
  }

  private async abandon(made: Made): Promise<void> {
    const { raw, loop, places, standIn } = made;
    raw.fail();
    standIn?.giveUp();
    try {
      await loop?.abandon();
      await raw.abandon();
    } catch (thrown) {
      this.ports.log.warn(`Raw device ${places.raw} stays until nobody uses it: ${toRsError(thrown).message}`);
    }
    await this.dropped(made);
  }

  private async dropped(made: Made): Promise<void> {
    const { keptId } = made;
    made.keptId = null;
    if (keptId !== null) await this.ports.kept.drop(keptId);
  }

  /** False: the process before has left nothing of it that can be gone on with. */
  private async takenUp(volume: DeviceVolume): Promise<boolean> {
    const { kept, log, label } = this.ports;
    const device = kept.leftOf(volume);
    if (device === null) return false;
    const { note } = device;
    if (note.readonly !== volume.readonly || note.blockSizeBytes !== volume.blockSizeBytes) {
      await this.letGo(device, 'the volume is another one now', true);
      return false;
    }
    const made = this.taken(device);
    if (made === null) return false;
    this.made.set(volume, made);
    this.claims.set(volume, made.places);
    if (note.life !== volume.life)
      log.error(
        `${label(volume)}: the server's storage has begun a new life while rsiod was away: what was written and not flushed may be lost`,
      );
    // There may be much to wait for, and others to be attached.
    void this.goOn(volume, made);
    return true;
  }

  private taken(device: LeftDevice): Made | null {
    const made = this.waiting.get(device) ?? null;
    this.waiting.delete(device);
    return this.ports.kept.take(device) ? made : null;
  }

  /**
   * What the process before had acknowledged and not flushed was in its log, which has ended with it: so it is flushed before anything of what
   * was under way is done once more.
   */
  private async goOn(volume: DeviceVolume, made: Made): Promise<void> {
    const { log, label, clock } = this.ports;
    const startMs = clock.monotonicMs();
    const status = volume.readonly ? STATUS.OK : await flushed(volume);
    if (status !== STATUS.OK)
      log.error(`${label(volume)}: what was written and not flushed before rsiod began anew may be lost: ${statusEntry(status).sentence}`);
    try {
      // It may have been taken away meanwhile: what waited was told so.
      if (this.made.get(volume) !== made) return;
      made.standIn?.become(volume);
      made.volume = volume;
      this.noted(made);
      log.info(`${label(volume)} is shown as before, ${Math.round(clock.monotonicMs() - startMs)} ms after it was attached again`);
      if (made.loop !== null && !(await made.loop.isOurs())) made.loop = await made.loop.again();
      await this.grow(made);
    } catch (thrown) {
      log.warn(`${label(volume)}: ${toRsError(thrown).message}`);
    }
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

  private async make(volume: DeviceVolume, kind: 'block' | 'raw', places: DevicePlaces): Promise<void> {
    const { clock } = this.ports;
    // What is said of it while it is being made is known when it is held.
    const whose: { made: Made | null } = { made: null };
    const raw = await RawDevice.make(this.rawOptions(volume, places, whose));
    const made: Made = { volume, places, raw, loop: null, standIn: null, keptId: null, isGone: raw.isGone };
    whose.made = made;
    if (kind === 'block') {
      const { raw: rawFile, block: node } = places;
      try {
        made.loop = await LoopDevice.make({ clock, rawFile, node, blockSizeBytes: volume.blockSizeBytes, readonly: volume.readonly });
      } catch (thrown) {
        await this.abandon(made);
        throw thrown;
      }
    }
    this.made.set(volume, made);
    await this.hold(made);
  }

  /** A kernel that cannot give requests once more would let what was under way hang for ever. */
  private async hold(made: Made): Promise<void> {
    if (!made.raw.file.canResend || made.isGone) return;
    const id = await this.ports.kept.keep(made.raw.fd, noteOf(made));
    made.keptId = id;
    // Meanwhile it may have been unmounted, or given to another owner.
    if (made.isGone) await this.dropped(made);
    else this.noted(made);
  }

  private rawOptions(volume: DeviceVolume, places: DevicePlaces, whose: { made: Made | null }): RawDeviceOptions {
    const { clock, log, label } = this.ports;
    return {
      volume,
      file: places.raw,
      source: this.sourceOf(label(volume)),
      buffers: this.buffers,
      clock,
      warn: (sentence) => log.warn(sentence),
      fileChanged: () => {
        if (whose.made !== null) this.noted(whose.made);
      },
      gone: (reason) => {
        if (whose.made !== null) {
          whose.made.isGone = true;
          void this.dropped(whose.made);
        }
        log.warn(`Raw device ${places.raw} of ${label(volume)} is gone (${reason}): rsconfig -d and -a bring it back`);
      },
    };
  }

  private sourceOf(label: string): string {
    return `rsio:${this.ports.runDir}:${label}`;
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

function noteOf({ volume, places, raw, loop }: Made): DeviceNote {
  const { namespace, name, universe, id, readonly, sizeBytes, blockSizeBytes, canDiscard, life } = volume;
  const loopNote = loop === null ? null : { device: loop.device, sequence: loop.sequence };
  const shape = { readonly, sizeBytes, blockSizeBytes, canDiscard };
  return { namespace, name, universe, id, ...shape, ...places, loop: loopNote, file: raw.file, life };
}

/** Resolves with what became of it, however long it takes. */
function flushed(volume: DeviceVolume): Promise<Status> {
  return new Promise((done) => {
    const nowhere = { positionBytes: 0, lengthBytes: 0, buffer: NOTHING, bufferOffset: 0 };
    volume.submit({ op: 'flush', ...nowhere, fua: false, keepAllocated: false, done });
  });
}

/** The block node is called like the raw one without its r. */
function blockBeside(rawFile: string): string {
  const at = rawFile.lastIndexOf('/') + 1;
  return rawFile.slice(0, at) + rawFile.slice(at + 1);
}
