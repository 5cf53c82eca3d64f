// Confirms the term for READs (rule M15). The user gets the answer to a READ when each replica in sync, or a majority of the voters, has
// confirmed the term after the READ was submitted. Any request that a replica executes confirms the term, because a server executes nothing
// under a revoked handle. If no request in flight at a replica can confirm the term, the replica gets the ioctl TERM, one TERM at a time.
// TERM is sent at the end of an event, so that it serves all READs of that event. If a replica has no session or stays silent, the voters
// are asked. Invariant: a confirmation counts only for READs submitted before the confirming request.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { assert } from '@rsio/base/lib/assert';
import { Request, type RequestEvents } from '../../client/requests/request.ts';
import { OP } from '../../wire/frames.ts';
import { IOCTL } from '../../wire/messages.ts';
import { STATUS } from '../../wire/status.ts';
import { CONFIRM_PATIENCE_MS } from '../limits.ts';
import type { Member, Members } from './members.ts';
import type { Operation } from './operation.ts';
import type { Replica } from './replica.ts';

export interface ConfirmationPorts {
  readonly clock: Clock;
  /** Returns the number of the newest request that a user has submitted. */
  sequence(): number;
  /** M15: asks the voters now whether a majority still promises the term. */
  confirmByVoters(): Promise<boolean>;
  /** Called when the user may get the answer to the READ. */
  confirmed(operation: Operation): void;
}

class TermRequest extends Request {
  member: Member | null = null;
  replica: Replica | null = null;
  startSequence = 0;
}

export class Confirmations implements RequestEvents {
  /** True if READs are answered without confirmation (mirror-reads = local). */
  isOff = false;
  private readonly members: Members;
  private readonly ports: ConfirmationPorts;
  private readonly waiting: Operation[] = [];
  private readonly leaving: (Operation | null)[] = [];
  private isLeaving = false;
  private mustLookAgain = false;
  private readonly idle: TermRequest[] = [];
  private votersSequence = 0;
  private isAskingVoters = false;
  private timer: Timer | null = null;
  private lookedSequence = 0;
  private isAskDue = false;
  private readonly askNow = (): void => this.askWanted();
  private readonly tick = (): void => this.timePassed();

  constructor(members: Members, ports: ConfirmationPorts) {
    this.members = members;
    this.ports = ports;
  }

  /**
   * Called when a READ is being sent to `reader`. Asks the other replicas for a confirmation at the same time, so that the confirmation
   * adds no round trip.
   */
  ask(operation: Operation, reader: Member | null): void {
    if (this.isOff) return;
    const { all } = this.members;
    for (let index = 0; index < all.length; index++) {
      const member = all[index]!;
      if (member === reader || !member.confirms || member.confirmedSequence >= operation.sequence) continue;
      if (member.wantedSequence < operation.sequence) member.wantedSequence = operation.sequence;
      this.wantAsks();
    }
  }

  /** Returns true if the user may get the answer to the READ now; otherwise, `confirmed` is called later. */
  enter(operation: Operation): boolean {
    if (this.isConfirmed(operation.sequence)) return true;
    this.waiting.push(operation);
    if (this.timer === null) {
      this.lookedSequence = operation.sequence;
      this.timer = this.ports.clock.after(CONFIRM_PATIENCE_MS, this.tick);
    }
    if (this.needsVoters) this.askVoters();
    return false;
  }

  leave(operation: Operation): void {
    remove(this.waiting, operation);
    const at = this.leaving.indexOf(operation);
    if (at >= 0) this.leaving[at] = null;
  }

  /**
   * Releases the answers that are confirmed now. Called when a replica has confirmed, and when the set of replicas that count has changed.
   */
  look(): void {
    if (this.waiting.length === 0) return;
    this.mustLookAgain = this.isLeaving;
    if (this.isLeaving) return;
    this.isLeaving = true;
    do {
      this.mustLookAgain = false;
      let kept = 0;
      for (let index = 0; index < this.waiting.length; index++) {
        const operation = this.waiting[index]!;
        if (this.isConfirmed(operation.sequence)) this.leaving.push(operation);
        else this.waiting[kept++] = operation;
      }
      this.waiting.length = kept;
      for (let index = 0; index < this.leaving.length; index++) {
        const operation = this.leaving[index];
        if (operation !== null && operation !== undefined) this.ports.confirmed(operation);
      }
      this.leaving.length = 0;
    } while (this.mustLookAgain);
    this.isLeaving = false;
  }

  /** Called when the replicas that count, or their sessions, have changed. */
  membersChanged(): void {
    for (const operation of this.waiting) this.ask(operation, null);
    this.look();
    if (this.waiting.length > 0 && this.needsVoters) this.askVoters();
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  requestDone(request: Request, status: number): void {
    assert(request instanceof TermRequest && request.member !== null && request.replica !== null, 'An answer to no TERM');
    const { member, replica, startSequence } = request;
    request.member = null;
    request.replica = null;
    this.idle.push(request);
    if (member.replica !== replica) return;
    member.isAsked = false;
    if (status !== STATUS.OK || !replica.isAnswering) return;
    member.confirm(startSequence);
    this.look();
    if (member.wantedSequence > member.confirmedSequence) this.askMember(member);
  }

  isConfirmed(sequence: number): boolean {
    if (this.isOff || sequence <= this.votersSequence) return true;
    const { all } = this.members;
    for (let index = 0; index < all.length; index++) {
      const member = all[index]!;
      if (member.confirms && member.confirmedSequence < sequence) return false;
    }
    return this.members.countsMask !== 0;
  }

  /** True if a replica cannot be asked or does not answer; if so, the voters must be asked at once. */
  private get needsVoters(): boolean {
    return this.members.all.some((member) => member.confirms && (member.isSilent || member.replica?.isReady !== true));
  }

  /** Schedules TERM for the end of the current event, so that one TERM serves all READs of this event. */
  private wantAsks(): void {
    if (this.isAskDue) return;
    this.isAskDue = true;
    this.ports.clock.soon(this.askNow);
  }

  private askWanted(): void {
    this.isAskDue = false;
    const { all } = this.members;
    for (let index = 0; index < all.length; index++) {
      const member = all[index]!;
      if (member.confirms && member.wantedSequence > member.confirmedSequence) this.askMember(member);
    }
  }

  private askMember(member: Member): void {
    const { replica } = member;
    if (member.isAsked || replica?.isReady !== true) return;
    member.isAsked = true;
    const request = this.idle.pop() ?? new TermRequest();
    request.op = OP.IOCTL;
    request.aux = IOCTL.TERM;
    request.attachment = replica.attachment;
    request.events = this;
    request.member = member;
    request.replica = replica;
    request.startSequence = this.ports.sequence();
    replica.trunk.submit(request);
  }

  /** Repeats TERM requests that failed. Asks the voters if a replica has not confirmed a READ within CONFIRM_PATIENCE_MS. */
  private timePassed(): void {
    this.timer = null;
    if (this.waiting.length === 0) return;
    for (const operation of this.waiting) this.ask(operation, null);
    for (const { sequence } of this.waiting) if (sequence <= this.lookedSequence) this.members.silent(sequence);
    if (this.needsVoters) this.askVoters();
    this.lookedSequence = this.ports.sequence();
    this.timer = this.ports.clock.after(CONFIRM_PATIENCE_MS, this.tick);
  }

  private askVoters(): void {
    if (this.isAskingVoters) return;
    this.isAskingVoters = true;
    const asked = this.ports.sequence();
    void this.ports.confirmByVoters().then(
      (isConfirmed) => this.votersAnswered(isConfirmed, asked),
      () => this.votersAnswered(false, asked),
    );
  }

  private votersAnswered(isConfirmed: boolean, asked: number): void {
    this.isAskingVoters = false;
    if (!isConfirmed) return;
    this.votersSequence = Math.max(this.votersSequence, asked);
    this.look();
    if (this.waiting.length > 0 && this.needsVoters) this.askVoters();
  }
}

function remove(list: Operation[], operation: Operation): void {
  const at = list.indexOf(operation);
  if (at >= 0) list.splice(at, 1);
}
