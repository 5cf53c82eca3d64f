// A device that the previous process left behind uses this stand-in until its volume is reattached. The stand-in has the properties of the
// volume and queues the device's I/O. The device can therefore answer requests that need no server, and waiting I/O can be interrupted.
// Invariant: each I/O is either passed to the volume once, in order of arrival, or fails with an error.

import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import type { Clock } from '@rsio/base/lib/clock';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { FrontendVolume, Extent, VolumeIo } from '../volumes/frontend-volume.ts';
import { StallWatch, type StallEvent } from '../volumes/path-stall.ts';
import type { DeviceNote } from './device-note.ts';

export interface StandInPorts {
  readonly clock: Clock;
  readonly policy: StallPolicy;
  readonly notify: (event: StallEvent) => void;
}

export class StandInVolume implements FrontendVolume {
  private readonly note: DeviceNote;
  private readonly stall: StallWatch;
  private readonly waiting: ((volume: FrontendVolume | null) => void)[] = [];
  private volume: FrontendVolume | null = null;

  constructor(note: DeviceNote, { clock, policy, notify }: StandInPorts) {
    this.note = note;
    this.stall = new StallWatch(policy, { clock, report: notify, abandon: () => this.end(null) });
    this.stall.standing('halted', false);
  }

  /** Called when the volume is attached: submits the waiting I/O. Later I/O goes directly to the volume. */
  become(volume: FrontendVolume): void {
    this.volume = volume;
    this.stall.standing('ready', false);
    this.end(volume);
  }

  /** Called when the volume will not be reattached: the waiting I/O fails with an error. */
  giveUp(): void {
    this.stall.standing('over', false);
    this.end(null);
  }

  submit(io: VolumeIo): void {
    if (this.volume !== null) this.volume.submit(io);
    else this.wait((volume) => (volume === null ? io.done(STATUS.IO_ERROR) : volume.submit(io)));
  }

  extents(positionBytes: number, lengthBytes: number, done: (status: Status, extents: readonly Extent[]) => void): void {
    if (this.volume !== null) this.volume.extents(positionBytes, lengthBytes, done);
    else this.wait((volume) => (volume === null ? done(STATUS.IO_ERROR, []) : volume.extents(positionBytes, lengthBytes, done)));
  }

  get namespace(): string {
    return this.note.namespace;
  }

  get name(): string {
    return this.note.name;
  }

  get universe(): number {
    return this.note.universe;
  }

  get id(): string {
    return this.note.id;
  }

  get incarnation(): string {
    return this.volume?.incarnation ?? this.note.life;
  }

  get sizeBytes(): number {
    return this.volume?.sizeBytes ?? this.note.sizeBytes;
  }

  get blockSizeBytes(): number {
    return this.note.blockSizeBytes;
  }

  get readonly(): boolean {
    return this.note.readonly;
  }

  readonly shared = false;

  get isHalted(): boolean {
    return this.volume?.isHalted ?? true;
  }

  get canDiscard(): boolean {
    return this.volume?.canDiscard ?? this.note.canDiscard;
  }

  private wait(go: (volume: FrontendVolume | null) => void): void {
    this.waiting.push(go);
    this.stall.submitted();
  }

  private end(volume: FrontendVolume | null): void {
    for (const go of this.waiting.splice(0)) go(volume);
  }
}
