// One request of the user on its way through a mirror. The request has one child request for each replica to which it was sent. Objects are
// reused, so that an I/O allocates nothing. A mask has one bit for each member. Invariant: a child uses the buffer of the user's request
// only while its member's bit is in `openMask`.

import { assert, counted } from '@rsio/base/lib/assert';
import { Request, type RequestEvents } from '../../client/requests/request.ts';
import { OP } from '../../wire/frames.ts';
import type { Member } from './members.ts';
import type { Replica } from './replica.ts';
import { LockEntry } from './sector-lock.ts';

/**
 * `gated`: the mirror does not serve yet. `unsettled`: a READ waits until its region is settled. `locking`: waits for the lock. `running`:
 * sent. `homeless`: a READ waits for a replica that can execute it. `confirming`: the replica has answered the READ, and the term is not
 * confirmed yet.
 */
export type OperationPhase = 'free' | 'gated' | 'unsettled' | 'locking' | 'running' | 'homeless' | 'confirming';

const NOTHING = Buffer.alloc(0);

export class Child extends Request {
  /** The operation of the child. Null if the child was detached from its operation; if so, the answer to the child has no effect. */
  operation: Operation | null = null;
  member: Member | null = null;
  replica: Replica | null = null;
  /** Sequence number of the newest user request when the child was submitted. */
  startSequence = 0;
}

export class Operation extends LockEntry {
  request: Request | null = null;
  phase: OperationPhase = 'free';
  /** Number of the request in order of submission. */
  sequence = 0;
  /** Place in the list of all operations. */
  index = 0;
  /** `DataPath.changeMoves` at the time when this request was sent. */
  changeMoves = 0;
  isRead = false;
  /** True for WRITE, ZERO and DISCARD. */
  isChange = false;
  /**
   * `openMask`: members that owe an answer. `okMask`: members that have answered OK. `refusedMask`: members that have answered with an
   * error.
   */
  openMask = 0;
  okMask = 0;
  refusedMask = 0;
  /** Status of the first error; 0 if no member has answered with an error. */
  status = 0;
  private readonly children: (Child | undefined)[] = [];

  reset(request: Request | null): void {
    // Detach the children that are not answered yet. The trunk of an ended session answers these children later, and a child must not be
    // reused before its answer.
    if (this.openMask !== 0) this.leaveChildren();
    this.request = request;
    this.openMask = 0;
    this.okMask = 0;
    this.refusedMask = 0;
    this.status = 0;
  }

  /** Sends the request to a replica. Earlier answers of the member no longer count. */
  send(member: Member, replica: Replica, sequence: number, events: RequestEvents): void {
    const { request } = this;
    if (request === null) return;
    if ((this.openMask & member.bit) !== 0) this.leaveChild(member.number);
    const child = (this.children[member.number] ??= new Child());
    child.operation = this;
    child.member = member;
    child.replica = replica;
    child.startSequence = sequence;
    // Send a ZERO for a DISCARD, because the content after a DISCARD is undefined and could differ between replicas. After a ZERO, all
    // replicas are equal, and storage that supports holes makes a hole.
    child.op = request.op === OP.DISCARD ? OP.ZERO : request.op;
    child.flags = request.flags;
    child.lba = request.lba;
    child.count = request.count;
    child.bodyBytes = request.bodyBytes;
    child.buffer = request.buffer;
    child.bufferOffset = request.bufferOffset;
    child.aux = request.aux;
    child.message = request.message;
    child.attachment = replica.attachment;
    child.events = events;
    this.openMask |= member.bit;
    this.okMask &= ~member.bit;
    this.refusedMask &= ~member.bit;
    member.load++;
    replica.trunk.submit(child, request.submittedMs);
  }

  /** Notes that the child was answered. Returns the child's member, or null if the child had no member. */
  answered(child: Child): Member | null {
    const { member } = child;
    child.buffer = NOTHING;
    child.operation = null;
    if (member === null) return null;
    member.load = counted(member.load - 1, 'requests of a replica');
    this.openMask &= ~member.bit;
    return member;
  }

  /** Removes the members in `freedMask`, because these members are gone and later members may get their bits. */
  forget(freedMask: number): void {
    for (let number = 0; number < this.children.length; number++) {
      if ((this.openMask & freedMask & (1 << number)) !== 0) this.leaveChild(number);
    }
    this.openMask &= ~freedMask;
    this.okMask &= ~freedMask;
    this.refusedMask &= ~freedMask;
  }

  private leaveChildren(): void {
    for (let number = 0; number < this.children.length; number++) if ((this.openMask & (1 << number)) !== 0) this.leaveChild(number);
  }

  private leaveChild(number: number): void {
    const child = this.children[number];
    if (child === undefined) return;
    assert(child.replica?.isAnswering !== true, 'A request is left behind at a replica that may still execute it');
    if (child.member !== null) child.member.load = counted(child.member.load - 1, 'requests of a replica');
    child.operation = null;
    this.children[number] = undefined;
  }
}
