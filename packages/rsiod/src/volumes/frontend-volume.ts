// What a door sees of an attached volume, and what the daemon sees of a door. One folder per kind of door.
// A door never validates twice: the volume checks range, alignment and rights and answers with a status.

import type { Status } from '@rsio/protocol/wire/status';

export type VolumeOp = 'read' | 'write' | 'flush' | 'discard' | 'zero';

/**
 * One request of a door. The door owns and re-uses the object; from `submit` until `done` it and the bytes of `buffer` belong
 * to the volume. `done` is called exactly once, never from within `submit`.
 */
export interface VolumeIo {
  op: VolumeOp;
  positionBytes: number;
  lengthBytes: number;
  /** read: filled; write: sent. Unused otherwise. */
  buffer: Buffer;
  bufferOffset: number;
  fua: boolean;
  /** Any bytes may be asked for: the volume reads, changes and writes whole blocks for them. Otherwise they must be whole blocks. */
  readonly anyRange?: boolean;
  /** zero: no hole is made. */
  keepAllocated: boolean;
  done(status: Status): void;
}

export interface Extent {
  readonly lengthBytes: number;
  readonly hole: boolean;
}

/** An attached volume as doors see it. */
export interface DoorVolume {
  /** Namespace and volume name as the configuration and the server call them. */
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  submit(io: VolumeIo): void;
  /** Allocation from `positionBytes` on; may cover less than asked for, never nothing when the status is OK. */
  extents(positionBytes: number, lengthBytes: number, done: (status: Status, extents: readonly Extent[]) => void): void;
  /** Doors count those who use the volume, so that a detach can be refused with their names. */
  readonly users: Set<string>;
}

/** What is made for a volume on this machine has to know it again. */
export interface DeviceVolume extends DoorVolume {
  readonly id: string;
  /** Of the server's storage. */
  readonly life: string;
}

export interface Door {
  start(): Promise<void>;
  /** Lets no new request in, answers what is under way, closes. */
  stop(): Promise<void>;
  /** Users of a volume, for people: `nbd client pid 4711`. */
  usersOf(volume: DoorVolume): readonly string[];
}

/** What is made of a volume when it is attached and taken away when it is detached, as attaching sees it. */
export interface VolumeDevices {
  /** Makes what the configuration wants. Throws what stands in the way. */
  show(volume: DeviceVolume): Promise<void>;
  usersOf(volume: DeviceVolume): Promise<readonly string[]>;
  /** Throws E_IN_USE, without `force`, when somebody uses what was made. */
  hide(volume: DeviceVolume, force: boolean): Promise<void>;
  /** The volume is lost: its I/O fails at once. */
  drop(volume: DeviceVolume): Promise<void>;
}
