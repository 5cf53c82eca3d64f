// Records which devices the keeper holds for which data process. Invariants: a data process changes and drops only its own devices; a
// device that the keeper holds belongs to one process, or is left to the main process, which releases it.

import { OneByOne } from '@rsio/base/structures/one-by-one';
import type { KeeperLink } from '../keeper/keeper-link.ts';

type Link = Pick<KeeperLink, 'keepOf' | 'places' | 'note' | 'drop'>;

export interface HeldDevice {
  readonly id: number;
  readonly note: string;
}

export class HeldDevices {
  private readonly link: Link;
  /**
   * One request at a time: the link does not read while it writes, and requests of all processes at once would fill the link in both
   * directions.
   */
  private readonly turns = new OneByOne();
  private readonly held = new Map<number, HeldDevice & { readonly process: number }>();

  constructor(link: Link) {
    this.link = link;
  }

  /** Assigns a device of an earlier process to this data process. */
  give(process: number, device: HeldDevice): void {
    this.held.set(device.id, { ...device, process });
  }

  /** Lets the keeper hold a descriptor of a data process. Throws E_SYSTEM. */
  async keep(process: number, pid: number, fd: number, note: string): Promise<number> {
    const id = await this.turns.run(() => this.link.keepOf(pid, fd, note));
    this.give(process, { id, note });
    return id;
  }

  /** Throws E_SYSTEM if the note is too long. */
  note(process: number, id: number, note: string): void {
    if (this.held.get(id)?.process !== process) return;
    this.link.note(id, note);
    this.give(process, { id, note });
  }

  async drop(process: number, id: number): Promise<void> {
    if (this.held.get(id)?.process !== process) return;
    await this.turns.run(() => this.link.drop(id));
    this.held.delete(id);
  }

  /** The devices of a data process, and the numbers of their descriptors in the keeper. Throws E_SYSTEM. */
  async of(process: number): Promise<{ readonly devices: readonly HeldDevice[]; readonly places: readonly number[] }> {
    const devices = [...this.held.values()].filter((one) => one.process === process);
    return { devices, places: await this.link.places(devices.map(({ id }) => id)) };
  }
}
