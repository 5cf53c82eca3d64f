// One logical unit of a target: its pending unit attentions, its modes, and its tasks. Invariants: each
// nexus gets each unit attention once, in the order in which they arose; a task is in `tasks` from its execution until its end.

import { RangeLock } from '@rsio/rsiod/volumes/range-lock';
import type { Reservations } from '../reservations/reservations.ts';
import { SCSI_ATTENTIONS_MAX } from '../limits.ts';
import type { Conflict } from './command-table.ts';
import { ATTENTION } from './constants.ts';
import { DEFAULT_MODES, type Modes, type ModeUnit } from './mode-pages.ts';
import type { UnitPort } from './unit-port.ts';

/** A nexus, as its units see it. */
export interface UnitUser {
  /** Name of the nexus among the registrants of reservations. */
  readonly hostId: string;
}

export interface UnitTask {
  readonly user: UnitUser | null;
  readonly conflict: Conflict;
  /** The reservations that have admitted the task to the volume. */
  readonly reservations: Reservations | null;
}

export class LogicalUnit implements ModeUnit {
  port: UnitPort;
  modes: Modes = DEFAULT_MODES;
  readonly tasks = new Set<UnitTask>();
  /** Changes that must not overlap each other. */
  readonly lock = new RangeLock();
  private readonly attentions = new Map<UnitUser, number[]>();

  constructor(port: UnitPort) {
    this.port = port;
  }

  get blockSizeBytes(): number {
    return this.port.volume.blockSizeBytes;
  }

  get blocks(): number {
    const { sizeBytes, blockSizeBytes } = this.port.volume;
    return Math.floor(sizeBytes / blockSizeBytes);
  }

  get isReadonly(): boolean {
    return this.port.volume.readonly;
  }

  /** From now on, the nexus sees the unit; its first unit attention says that the unit was reset. */
  enter(user: UnitUser): void {
    this.attentions.set(user, [ATTENTION.RESET]);
  }

  leave(user: UnitUser): void {
    this.attentions.delete(user);
    this.release(user);
  }

  /** Adds a unit attention for all nexuses but one. */
  raise(code: number, except: UnitUser | null): void {
    for (const user of this.attentions.keys()) if (user !== except) this.raiseFor(user, code);
  }

  raiseFor(user: UnitUser, code: number): void {
    const waiting = this.attentions.get(user);
    if (waiting === undefined || waiting.includes(code)) return;
    if (waiting.length < SCSI_ATTENTIONS_MAX) waiting.push(code);
  }

  /** Removes and returns the next unit attention of the nexus; 0 if there is none. */
  takeAttention(user: UnitUser): number {
    return this.attentions.get(user)?.shift() ?? 0;
  }

  /** Resets the unit after its tasks have been aborted. Persistent reservations stay. */
  reset(code: number): void {
    this.modes = DEFAULT_MODES;
    if (this.port.reservations !== null) this.port.reservations.reservedBy = null;
    this.raise(code, null);
  }

  /** Ends the reservation of a nexus by RESERVE (6), if it has one. */
  release(user: UnitUser): void {
    const { reservations } = this.port;
    if (reservations?.reservedBy === user) reservations.reservedBy = null;
  }

  /** True if the reservations now refuse a command of this kind from the nexus. */
  refuses(user: UnitUser, conflict: Conflict): boolean {
    if (conflict === 'never') return false;
    const { reservations } = this.port;
    if (reservations === null) return false;
    return conflict === 'reserved' ? reservations.isReservedFor(user) : !reservations.admits(user.hostId, conflict === 'change', user);
  }

  /** True if a volume still executes a task that these reservations would now refuse. */
  hasRefusedIo(reservations: Reservations): boolean {
    for (const { user, conflict, reservations: own } of this.tasks)
      if (own === reservations && user !== null && isIo(conflict) && !reservations.admits(user.hostId, conflict === 'change', user))
        return true;
    return false;
  }
}

function isIo(conflict: Conflict): boolean {
  return conflict === 'read' || conflict === 'change';
}
