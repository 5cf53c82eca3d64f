// The devices that the keeper holds: devices of this process, and devices left by the previous process whose volumes have not been
// reattached yet. devices.ts operates the devices. Invariants: each leftover device is either taken once, by its own volume, or released;
// no process holds a released device; without a keeper everything works, but no device outlives this process.

import { toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { type DeviceNote, readDeviceNote, writeDeviceNote } from './device-note.ts';
import type { VolumeIdentity } from '../volumes/frontend-volume.ts';
import type { KeeperLink, Kept, Inheritance } from './keeper-link.ts';

/** A device left by the previous process that this process does not serve yet. Its I/O is waiting. */
export interface LeftDevice {
  readonly id: number;
  readonly fd: number;
  readonly note: DeviceNote;
}

export class KeptDevices {
  private readonly link: KeeperLink | null;
  private readonly log: Log;
  private readonly devices: LeftDevice[] = [];
  /** Devices from another version of rsiod, whose notes this version cannot read. */
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

  /** Removes a device from the leftover devices. Returns false if it has already been taken. */
  take(device: LeftDevice): boolean {
    const at = this.devices.indexOf(device);
    if (at >= 0) this.devices.splice(at, 1);
    return at >= 0;
  }

  /**
   * Lets the keeper hold a device, and returns the keeper's id for the device. Returns null if the device will end with this process; if
   * there is a keeper, the reason is logged.
   */
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
