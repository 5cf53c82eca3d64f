// Keeps track of the devices that the keeper holds. Some devices belong to this process. The previous process has left the remaining
// devices, whose volumes have not been reattached yet. Invariants: each device that the previous process left behind is either taken once,
// by its own volume, or released. No process holds a released device. Without a keeper, no device outlives this process.

import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { type DeviceNote, readDeviceNote, writeDeviceNote } from './device-note.ts';
import type { VolumeIdentity } from '../volumes/frontend-volume.ts';
import type { KeeperLink, Kept } from './keeper-link.ts';

/** A device that the previous process left behind and whose volume has not been reattached yet. I/O on the device waits. */
export interface LeftDevice {
  readonly id: number;
  readonly fd: number;
  readonly note: DeviceNote;
}

type Link = Pick<KeeperLink, 'keep' | 'note' | 'drop'>;

export class KeptDevices {
  private readonly link: Link | null;
  private readonly log: Log;
  private readonly devices: LeftDevice[] = [];
  /** The note that the keeper has of each device. A device that is resumed usually has the same note as before. */
  private readonly told = new Map<number, string>();
  /** Devices whose notes this version of rsiod cannot read. */
  readonly unreadable: Kept[] = [];

  constructor(link: Link | null, inherited: readonly Kept[], log: Log) {
    this.link = link;
    this.log = log;
    for (const kept of inherited) {
      const note = readDeviceNote(kept.note);
      this.told.set(kept.id, kept.note);
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

  /** Removes a device from `left`. Returns false if the device has already been taken. */
  take(device: LeftDevice): boolean {
    const at = this.devices.indexOf(device);
    if (at >= 0) this.devices.splice(at, 1);
    return at >= 0;
  }

  /**
   * Lets the keeper hold a device, and returns the keeper's id for the device. Returns the reason as a text if the keeper does not hold the
   * device; the device then stops working when this process exits. If there is a keeper, the reason is logged.
   */
  async keep(fd: number, note: DeviceNote): Promise<number | string> {
    if (this.link === null) return 'there is no keeper';
    try {
      const text = writeDeviceNote(note);
      const id = await this.link.keep(fd, text);
      this.told.set(id, text);
      return id;
    } catch (thrown) {
      const { message } = toRsError(thrown);
      this.log.warn(`${note.raw} does not outlive a restart or a crash of rsiod: ${message}`);
      return message;
    }
  }

  note(id: number, note: DeviceNote): void {
    const text = writeDeviceNote(note);
    if (this.told.get(id) === text) return;
    this.link?.note(id, text);
    this.told.set(id, text);
  }

  async drop(id: number): Promise<void> {
    this.told.delete(id);
    await this.link?.drop(id);
  }
}
