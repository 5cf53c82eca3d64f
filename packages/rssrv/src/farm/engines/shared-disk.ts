// The common part of the engines for plain disks: the record and the notes in the header of the disk, and the loop device over the rest.
// command.ts and reservation.ts fence the storage. Invariant: no part of the file system is read before `open` of a client.

import { readFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { bootId } from '@rsio/base/daemon/process-facts';
import type { Clock } from '@rsio/base/lib/clock';
import { escapeControls } from '@rsio/base/lib/printable';
import { RsError } from '@rsio/base/lib/errors';
import type { Sight, StorageClient } from '../engine.ts';
import type { FarmRecord, Note } from '../farm-record.ts';
import { CLIENT_MAX_CHARS } from '../limits.ts';
import { DirectFile } from './direct-file.ts';
import { DiskHeader } from './header-disk.ts';
import { prepareDisk } from './prepare-disk.ts';
import { endLoopDevices, hasLoopDevice, LoopDevice } from './loop-device.ts';

export interface SharedDiskOptions {
  readonly clock: Clock;
  /** Returns a random number from 0 to 1. */
  readonly random: () => number;
  /** Path of the disk. */
  readonly disk: string;
  /** Name of this server, as in the header of the disk. */
  readonly server: string;
}

export class SharedDisk {
  readonly options: SharedDiskOptions;
  private readonly header: DiskHeader;

  constructor(options: SharedDiskOptions) {
    this.options = options;
    this.header = new DiskHeader(options.disk, options.server, { ...options, open: (disk) => DirectFile.open(disk) });
  }

  /** As Engine.prepare. */
  async prepare(owners: readonly string[]): Promise<void> {
    const { clock, disk } = this.options;
    if (await this.header.isPrepared()) return;
    // prepareDisk opens the disk exclusively, as the header does.
    await this.header.close();
    await prepareDisk(clock, disk, owners, null);
  }

  look(): Promise<Sight> {
    return this.header.look();
  }

  swap(seen: FarmRecord | null, next: FarmRecord): Promise<boolean> {
    return this.header.swap(seen, next);
  }

  post(note: Note): Promise<void> {
    return this.header.post(note);
  }

  async clear(): Promise<void> {
    const { clock, disk, server } = this.options;
    await endLoopDevices(clock, disk, server);
  }

  /** Returns true if this machine has no loop device of this server over the disk. */
  async isClear(): Promise<boolean> {
    return !(await hasLoopDevice(this.options.disk, this.options.server));
  }

  /** If the disk hangs, it stays open until the process ends. */
  async close(): Promise<void> {
    await this.header.close().catch(() => undefined);
  }

  makeDevice(): Promise<LoopDevice> {
    const { clock, disk, server } = this.options;
    return LoopDevice.make(clock, disk, server);
  }
}

/** The functions of an engine that a client calls before it makes its device, and after the device has ended. */
export interface ClientFence {
  /** Called before the device is made. Throws if this client is already fenced. */
  open(): Promise<void>;
  /** Called after the device has ended. */
  close(): Promise<void>;
}

export class DiskClient implements StorageClient {
  readonly name: string;
  /** No program is between the kernel and the disk, so none can end. */
  readonly hasEnded = false;
  private readonly disk: SharedDisk;
  private readonly fence: ClientFence;
  private device: LoopDevice | null = null;
  private isCut = false;

  constructor(name: string, disk: SharedDisk, fence: ClientFence) {
    this.name = name;
    this.disk = disk;
    this.fence = fence;
  }

  async open(): Promise<string> {
    await this.fence.open();
    this.refuseCut();
    const device = await this.disk.makeDevice();
    this.device = device;
    if (this.isCut) await device.close();
    this.refuseCut();
    return device.path;
  }

  async grow(): Promise<number> {
    if (this.device === null) throw new RsError('E_STORAGE', `Disk ${this.disk.options.disk} is not open`);
    return await this.device.grow();
  }

  async cut(): Promise<void> {
    this.isCut = true;
    await this.device?.cut();
  }

  async close(): Promise<void> {
    this.isCut = true;
    await this.device?.close();
    await this.fence.close();
  }

  private refuseCut(): void {
    if (this.isCut) throw new RsError('E_STORAGE', `Disk ${this.disk.options.disk} was cut off: the ownership has ended`);
  }
}

/** The parts of the name of a client. `key` is empty if the engine has no key. */
export interface ClientName {
  readonly machine: string;
  readonly boot: string;
  readonly key: string;
}

const NAME_FORM = /^(?<machine>[0-9a-f]{32})\/(?<boot>[0-9a-f-]{36})\/(?<key>[0-9a-f]*)\/[0-9a-f-]{36}$/;
const MACHINE_ID_FILE = '/etc/machine-id';

/** Returns a new name, which no other client has, for a client of this machine and boot. Throws E_STORAGE if the machine has no id. */
export async function newClientName(key: string): Promise<string> {
  const { machine, boot } = await thisMachine();
  return [machine, boot, key, randomUUID()].join('/');
}

/** Throws E_FENCE if the name does not have the form of `newClientName`. */
export function parseClientName(name: string): ClientName {
  const { machine, boot, key } = NAME_FORM.exec(name)?.groups ?? {};
  if (machine === undefined || boot === undefined || key === undefined || name.length > CLIENT_MAX_CHARS)
    throw new RsError('E_FENCE', `"${escapeControls(name)}" names no client of a plain disk: give each server the same fence =`);
  return { machine, boot, key };
}

export async function thisMachine(): Promise<{ readonly machine: string; readonly boot: string }> {
  const machine = (await readFile(MACHINE_ID_FILE, 'utf8').catch(() => '')).trim();
  if (!/^[0-9a-f]{32}$/.test(machine))
    throw new RsError('E_STORAGE', `This machine has no id in ${MACHINE_ID_FILE}: run systemd-machine-id-setup`);
  return { machine, boot: bootId() };
}
