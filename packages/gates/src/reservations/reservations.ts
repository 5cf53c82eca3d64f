// The reservations of one volume: executes commands of hosts in turn, saves the state, and waits for I/O that must end first. The rules are
// in reservation-rules.ts. Invariants: one command is executed at a time; while a state is being saved, or may have been saved, I/O needs the
// permission of both the old and the new state; a command is answered only when its state is saved and no volume executes I/O that the state
// refuses, and it is called interrupted only if its state was certainly not saved.

import { toRsError } from '@rsio/base/lib/errors';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ReservationState } from '@rsio/rsiod/notes/reservation-state';
import {
  changed,
  mayUse,
  NO_RESERVATIONS,
  type ReservationAction,
  type ReservationNotice,
  type ReservationRefusal,
  type ReservingHost,
} from './reservation-rules.ts';
import { GATE_RESERVATIONS_WAITING_MAX } from '../limits.ts';

/**
 * `interrupted`: the new state was not saved, and the old one is valid. `unknown`: nobody knows whether it was saved, and the host gets no
 * answer, because it would repeat the command, and a repetition may be refused.
 */
export type ReservationOutcome = 'done' | 'interrupted' | 'unknown' | ReservationRefusal;

/** A command of a host. */
export interface Reserving extends ReservingHost {
  readonly action: ReservationAction;
  /** Returns false if the host may have repeated the command meanwhile (rule D1), or gets no answer. Called just before the execution. */
  isWanted(): boolean;
  /**
   * Exactly one of `ended` and `dropped` is called, once, unless the process ends. They must not throw. `dropped`: the command was no
   * longer wanted, and was not executed.
   */
  ended(outcome: ReservationOutcome): void;
  dropped(): void;
}

/** A subsystem whose hosts use the volume. */
export interface ReservationGate {
  /** True if a volume still executes I/O of a host that the reservations would now refuse. */
  hasRefusedIo(reservations: Reservations): boolean;
  notify(reservations: Reservations, notices: readonly ReservationNotice[]): void;
}

/** Refusals after which the volume certainly has the old record (rule D2). BAD_REQUEST: the new one was not sent, because it is wrong. */
const REFUSALS: ReadonlySet<number> = new Set([STATUS.NO_SPACE, STATUS.STALE, STATUS.UNSUPPORTED, STATUS.BAD_REQUEST]);

export class Reservations {
  /** The subsystems in which the volume is or was a namespace. */
  readonly gates = new Set<ReservationGate>();
  private current: ReservationState;
  /** The state that is being saved; null if there is none. */
  private next: ReservationState | null = null;
  /** A state that the server may have, because its answer did not come; null if there is none. */
  private doubtful: ReservationState | null = null;
  /** The nexus of SCSI that has reserved the volume with RESERVE (6), for all gates of this process; null if there is none. */
  reservedBy: object | null = null;
  private readonly waiting: Reserving[] = [];
  /** The outcome of the first of `waiting`, if it has been executed. */
  private outcome: ReservationOutcome | null = null;
  private readonly save: (state: ReservationState) => Promise<void>;

  /** `save` resolves when the state is durable, and rejects if it may not be. */
  constructor(state: ReservationState | null, save: (state: ReservationState) => Promise<void>) {
    this.current = state ?? NO_RESERVATIONS;
    this.save = save;
  }

  get state(): ReservationState {
    return this.current;
  }

  /** `nexus`: that of a SCSI host. */
  admits(hostId: string, isChange: boolean, nexus: object | null = null): boolean {
    if (this.isReservedFor(nexus)) return false;
    const { next, doubtful } = this;
    if (next !== null && !mayUse(next, hostId, isChange)) return false;
    return mayUse(this.current, hostId, isChange) && (doubtful === null || mayUse(doubtful, hostId, isChange));
  }

  /** True if another host than this one has reserved the volume with RESERVE (6). */
  isReservedFor(nexus: object | null): boolean {
    return this.reservedBy !== null && this.reservedBy !== nexus;
  }

  execute(command: Reserving): void {
    // While a volume's I/O does not end, hosts log in again and again and repeat their commands, so the queue needs a bound.
    if (this.waiting.length >= GATE_RESERVATIONS_WAITING_MAX) return command.ended('interrupted');
    this.waiting.push(command);
    this.proceed();
  }

  /** Executes and answers the commands that can be executed and answered now. Also called now and then, because I/O may have ended. */
  proceed(): void {
    for (let first = this.waiting[0]; first !== undefined && this.next === null; first = this.waiting[0]) {
      // Until then, no further command is executed either, because a host may repeat a command to learn whether the I/O that it has locked
      // out has ended.
      for (const gate of this.gates) if (gate.hasRefusedIo(this)) return;
      if (this.outcome === null && first.isWanted()) this.perform(first);
      else {
        const { outcome } = this;
        this.outcome = null;
        this.waiting.shift();
        if (outcome === null) first.dropped();
        else first.ended(outcome);
      }
    }
  }

  private perform(command: Reserving): void {
    const change = changed(this.current, command, command.action);
    if (typeof change === 'string') this.outcome = change;
    else if (command.action.verb === 'report') this.outcome = 'done';
    else {
      // Save the state even if it does not change, because only the server knows whether another gate has the volume and has changed the
      // state.
      this.next = change.state;
      this.save(change.state).then(
        () => this.saved(change.state, change.notices),
        (thrown: unknown) => this.unsaved(change.state, thrown),
      );
    }
  }

  private saved(state: ReservationState, notices: readonly ReservationNotice[]): void {
    this.current = state;
    this.doubtful = null;
    for (const gate of this.gates) gate.notify(this, notices);
    this.settled('done');
  }

  private unsaved(state: ReservationState, thrown: unknown): void {
    const isRefused = REFUSALS.has(Number(toRsError(thrown).context['status']));
    if (!isRefused) this.doubtful = state;
    this.settled(isRefused ? 'interrupted' : 'unknown');
  }

  private settled(outcome: ReservationOutcome): void {
    this.next = null;
    this.outcome = outcome;
    this.proceed();
  }
}
