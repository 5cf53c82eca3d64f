// Handles the devices that an earlier process left behind. Devices that no keeper held are removed, because a crash has made them unusable.
// Stand-in volumes serve the devices that the keeper held until the real volumes are reattached. Invariant: each device that the keeper
// held is either resumed once, with its own volume, or released. Until the device is resumed or released, the I/O of the device waits as
// long as the stall policy allows.

import { closeSync } from 'node:fs';
import type { EffectiveVolume } from '@rsio/common/config/effective-volume';
import { toRsError } from '@rsio/base/lib/errors';
import type { LeftDevice } from '../../keeper/kept-devices.ts';
import { StandInVolume } from '../../keeper/stand-in-volume.ts';
import { loopDevicesOn, removeLinks } from './loop-device.ts';
import { runCommand } from '../system/device-commands.ts';
import { inUse } from '../frontend.ts';
import { deviceUsers } from './device-users.ts';
import type { FrontendVolume, VolumeIdentity } from '../../volumes/frontend-volume.ts';
import { type MountEntry, mountTable } from '@rsio/base/daemon/mount-table';
import { isRawMount, removeFile, unmountLazily } from '../fuse/raw-device.ts';
import { VolumeDevices, type VolumeDevicesPorts } from './volume-devices.ts';

export interface LeftDevicesPorts extends VolumeDevicesPorts {
  /**
   * In the mount table, the source fields of the daemon's raw devices begin with this prefix. Daemons with the same RUN folder use the same
   * prefix.
   */
  readonly sourcePrefix: string;
  /** True if this process of rsiod, not another one, has the volume with this label. */
  readonly isOwn: (label: string) => boolean;
  readonly settingsOf: (volume: Pick<FrontendVolume, 'namespace' | 'name'>) => EffectiveVolume;
  /** Reports that users of a volume's devices have lost data. `volume` is null if an earlier process crashed and lost the data. */
  readonly dataLost: (volume: Pick<VolumeIdentity, 'namespace' | 'name' | 'universe'> | null, message: string) => void;
}

export class InheritedDevices {
  private readonly ports: LeftDevicesPorts;
  /** Devices whose volumes have not been reattached yet. */
  private readonly waiting = new Map<LeftDevice, VolumeDevices>();

  constructor(ports: LeftDevicesPorts) {
    this.ports = ports;
  }

  get list(): VolumeDevices[] {
    return [...this.waiting.values()];
  }

  /**
   * Removes the devices left behind by a crashed daemon that used the same RUN folder. File systems on these devices no longer work, and
   * the administrator must unmount these file systems.
   */
  async clean(): Promise<void> {
    const { clock, log, kept, sourcePrefix, dataLost, isOwn } = this.ports;
    const table = await mountTable().catch(() => null);
    const isOurs = (entry: MountEntry): boolean =>
      isRawMount(entry) && entry.source.startsWith(sourcePrefix) && isOwn(entry.source.slice(sourcePrefix.length));
    const ours = table === null ? null : table.filter(isOurs);
    await this.dropStale(ours);
    if (ours === null) {
      log.warn('The mount table cannot be read: devices that a crash has left are not removed');
      return;
    }
    const left = ours.filter(({ mountPoint }) => !kept.left.some(({ note }) => note.raw === mountPoint));
    for (const { mountPoint: rawFile } of left) {
      const loops = await loopDevicesOn(rawFile);
      const users = await deviceUsers({ rawFile, loop: loops[0] ?? null }, clock);
      try {
        for (const loop of loops) await runCommand(clock, 'losetup', ['--detach', loop]);
        await unmountLazily(clock, rawFile);
        await removeFile(rawFile);
        await removeLinks(blockBeside(rawFile));
        log.info(`Raw device ${rawFile}, left by a crash, was removed`);
        if (users.length > 0)
          dataLost(
            null,
            `Everything on ${rawFile} is dead: ${users.join(', ')} must be ended (umount what is mounted) and started again on the new device; unwritten data is lost`,
          );
      } catch (thrown) {
        log.warn(`Raw device ${rawFile}, left by a crash, could not be removed: ${toRsError(thrown).message}`);
      }
    }
  }

  /** Removes a device from `waiting`; the caller must resume or release the device. Returns null if the device has already been taken. */
  take(device: LeftDevice): VolumeDevices | null {
    const devices = this.waiting.get(device) ?? null;
    this.waiting.delete(device);
    return this.ports.kept.take(device) ? devices : null;
  }

  /** Releases the device of a volume that will not be reattached. Without `force`, throws E_IN_USE if the device is in use. */
  async release(device: LeftDevice, why: string, force: boolean): Promise<void> {
    const { note } = device;
    const users = await deviceUsers({ rawFile: note.raw, loop: note.loop?.device ?? null }, this.ports.clock);
    if (users.length > 0 && !force) throw inUse(users);
    const devices = this.take(device);
    if (devices === null) return;
    await devices.abandon();
    const lost = users.length > 0 ? `: unwritten data of ${users.join(', ')} is lost, and its I/O fails` : '';
    const sentence = `Devices ${note.block} and ${note.raw}, left by the previous process, were removed (${why})${lost}`;
    if (users.length > 0) this.ports.dataLost(note, sentence);
    else this.ports.log.warn(sentence);
  }

  /**
   * Drops devices that are no longer mounted or have an unreadable note, and serves the remaining devices. `ours`: the daemon's mounts;
   * null if the mount table could not be read.
   */
  private async dropStale(ours: readonly MountEntry[] | null): Promise<void> {
    const { kept, log } = this.ports;
    for (const { id, fd } of kept.unreadable.splice(0)) {
      closeSync(fd);
      await kept.drop(id);
      log.warn('A device of another version of rsiod cannot be resumed: it is taken away');
    }
    for (const device of [...kept.left]) {
      if (ours === null || ours.some(({ mountPoint }) => mountPoint === device.note.raw)) continue;
      kept.take(device);
      closeSync(device.fd);
      await kept.drop(device.id);
      log.warn(`${device.note.raw}, left by the previous process, is no longer mounted: its device is dropped`);
    }
    for (const device of kept.left) this.serveMeanwhile(device);
  }

  private serveMeanwhile(device: LeftDevice): void {
    const { clock, log, label, settingsOf } = this.ports;
    const standIn: StandInVolume = new StandInVolume(device.note, {
      clock,
      policy: settingsOf(device.note).stall,
      notify: (event) => {
        if (event === 'gave-up') log.error(`${label(standIn)}, not attached again yet: I/O that waited for it got an error`);
      },
    });
    const devices = VolumeDevices.adopt(device, standIn, this.ports);
    this.waiting.set(device, devices);
    devices.serveOn();
  }
}

/** Returns the path of the block device: the raw device's path without the initial r of the file name. */
function blockBeside(rawFile: string): string {
  const at = rawFile.lastIndexOf('/') + 1;
  return rawFile.slice(0, at) + rawFile.slice(at + 1);
}
