// The devices that the keeper holds: those of this process, and those that the previous process has left, until their volumes are attached
// again. devices.ts operates the devices. Invariants: a device that was left is taken once, by its own volume, or released; a released
// device is held by nobody; without a keeper everything works, and nothing outlives this process.

import { toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { type DeviceNote, readDeviceNote, writeDeviceNote } from './device-note.ts';
import type { VolumeIdentity } from '../volumes/frontend-volume.ts';
import type { KeeperLink, Kept, Inheritance } from './keeper-link.ts';

/** A device that this process does not serve yet: its I/O waits. */
export interface LeftDevice {
  readonly id: number;
  readonly fd: number;
  readonly note: DeviceNote;
}

export class KeptDevices {
  private readonly link: KeeperLink | null;
  private readonly log: Log;
  private readonly devices: LeftDevice[] = [];
  /** Devices of another version, whose notes cannot be read. */
  readonly unreadable: Kept[] = [];

  constructor(link: KeeperLink | null, inheritance: Inheritance | null, log: Log) {
    this.link = link;
    this.log = log;
    for (const kept of inheritance?.kept ?? []) {
      const note = readDeviceNote(kept.note);
      if (note === null) this.unreadable.push(kept);
      else this.devices.push({ id: kept.id, fd: kept.fd, note });
    }
  }

  get left(): readonly LeftDevice[] {
    return this.devices;
  }

  leftOf({ namespace, name, universe, id }: VolumeIdentity): LeftDevice | null {
    const isOf = ({ note }: LeftDevice): boolean =>
      note.namespace === namespace && note.name === name && note.universe === universe && note.id === id;
    return this.devices.find(isOf) ?? null;
  }

  /** Removes a device from those that were left. False: it was taken before. */
  take(device: LeftDevice): boolean {
    const at = this.devices.indexOf(device);
    if (at >= 0) this.devices.splice(at, 1);
    return at >= 0;
  }

  /** Lets the keeper hold a device, and returns its id; null: the device ends with this process, which is logged unless there is no keeper. */
  async keep(fd: number, note: DeviceNote): Promise<number | null> {
    if (this.link === null) return null;
    try {
      return await this.link.keep(fd, writeDeviceNote(note));
    } catch (thrown) {
      this.log.warn(`${note.raw} does not outlive a crash of rsiod: ${toRsError(thrown).message}`);
      return null;
    }
  }

  note(id: number, note: DeviceNote): void {
    this.link?.note(id, writeDeviceNote(note));
  }

  /** Resolves when the keeper has closed its copy. */
  async drop(id: number): Promise<void> {
    await this.link?.drop(id);
  }
}
