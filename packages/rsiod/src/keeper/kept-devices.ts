// The devices that the keeper holds: those of this process, and those that the one before has left until their volumes are attached again.
// Leaves what is done with a device to devices/devices.ts. Invariants: what was left is taken once, by its own volume, or let go; a device that
// is let go is held by nobody; without a keeper everything works, and nothing outlives this process.

import { toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { type DeviceNote, readDeviceNote, writeDeviceNote } from './device-note.ts';
import type { KeeperLink, Kept, Inheritance } from './keeper-link.ts';

/** A device that nobody serves yet: what uses it waits. */
export interface LeftDevice {
  readonly id: number;
  readonly fd: number;
  readonly note: DeviceNote;
}

/** What names a volume; `id`: its content. */
interface Named {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
}

export class KeptDevices {
  private readonly link: KeeperLink | null;
  private readonly log: Log;
  private readonly devices: LeftDevice[] = [];
  /** Left by a program that wrote another kind of notes. */
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

  leftOf({ namespace, name, universe, id }: Named): LeftDevice | null {
    const isOf = ({ note }: LeftDevice): boolean =>
      note.namespace === namespace && note.name === name && note.universe === universe && note.id === id;
    return this.devices.find(isOf) ?? null;
  }

  /** It is somebody's now. False: it was not left any more. */
  take(device: LeftDevice): boolean {
    const at = this.devices.indexOf(device);
    if (at >= 0) this.devices.splice(at, 1);
    return at >= 0;
  }

  /** Has a device held; null: it is not, and ends with this process, which has been said. */
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

  /** Resolves when the keeper holds it no more. */
  async drop(id: number): Promise<void> {
    await this.link?.drop(id);
  }
}
