// The data path of a mirror. A user's change becomes one child request for each replica with a session, and is answered when all these
// replicas, and all replicas that count, have answered (M8, M10). A READ becomes one child request for one replica. `setView` says which
// replicas count and whether the mirror serves. `addReplica` and `giveUp` add and end sessions. confirmations.ts confirms READs;
// sector-lock.ts orders overlapping requests. Invariants: a request that the user has submitted is answered once. The region of a change is
// in `touched` before the change is sent. Of two overlapping requests, the later one begins only after the earlier one was answered.

import { assert } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { AttachmentEvents } from '../../client/attachment.ts';
import { changesContent } from '../../client/requests/overlap.ts';
import type { Request, RequestEvents } from '../../client/requests/request.ts';
import { OP } from '../../wire/frames.ts';
import { sectorsOf } from '../../wire/header.ts';
import { STATUS, statusEntry } from '../../wire/status.ts';
import type { TimesBudget } from '../lacks/change-times.ts';
import { Lacks } from '../lacks/lacks.ts';
import { LACK_TICK_MS } from '../limits.ts';
import { RegionSet } from '../region-set.ts';
import { type ConfirmationPorts, Confirmations } from './confirmations.ts';
import { CopyLock } from './copy-lock.ts';
import { type IoView, type Member, Members } from './members.ts';
import { Child, Operation } from './operation.ts';
import type { Replica } from './replica.ts';
import { type LockEntry, SectorLock } from './sector-lock.ts';

/**
 * A port may be called within an event of a trunk. Until that event has ended, the port must not change attachments, give up replicas or
 * set a view.
 */
export interface DataPathPorts extends Pick<ConfirmationPorts, 'clock' | 'confirmByVoters'> {
  /** The budget that all mirrors of the process share. */
  readonly timesBudget: TimesBudget;
  /**
   * Called when the data of the replica differs from the data of the other replicas; the owner must remove the replica. Called at most once
   * for each session.
   */
  lost(identity: string, why: string): void;
  /** Called when a READ waits until `settled` is called for this region. Called again for each further READ. */
  settleSoon(region: number): void;
  /** Called when regions were added to `unsettled`, because replicas may differ in these regions. */
  unsettledGrew(): void;
  /**
   * Called when the session of a replica has changed its phase, or has gained or lost its paths. Also called when I/O must wait, or may
   * continue.
   */
  standingChanged(): void;
}

export class DataPath implements RequestEvents {
  /** Regions of all sent changes. The owner adds the regions of the intent maps, and removes the regions whose bits it has cleared (M3). */
  readonly touched = new RegionSet();
  /** READs of these regions wait (M7). The owner adds the regions of the intent maps before a view says that the mirror serves. */
  readonly unsettled = new RegionSet();
  readonly members = new Members();
  readonly lacks: Lacks;
  /** The last view that was set; null before the first view. */
  view: IoView | null = null;
  events: AttachmentEvents | null = null;
  /** The status with which every request is answered since `end` was called; null before that call. */
  endStatus: number | null = null;
  protected endReason: string | null = null;
  protected readonly ports: DataPathPorts;
  private readonly confirmations: Confirmations;
  private readonly sectorLock: SectorLock;
  private readonly operations: Operation[] = [];
  private readonly free: Operation[] = [];
  /** Requests that wait until the mirror serves, in order of arrival. */
  private gated: Operation[] = [];
  private readonly beganMs: number;
  private sequence = 0;
  private isSweepDue = false;
  private refusesUsers = false;
  /**
   * `changeMoves` grows when a change is sent and when a change ends. `flushedMoves` is the value of `changeMoves` when the last successful
   * FLUSH was sent.
   */
  private changeMoves = 0;
  private flushedMoves = 0;
  private readonly sweepNow = (): void => this.sweep();

  constructor(ports: DataPathPorts) {
    this.ports = ports;
    this.beganMs = ports.clock.monotonicMs();
    this.lacks = new Lacks(this.touched, ports.timesBudget, () => this.tickOf(ports.clock.monotonicMs()));
    this.sectorLock = new SectorLock((entry) => this.granted(entry));
    this.confirmations = new Confirmations(this.members, {
      clock: ports.clock,
      sequence: () => this.sequence,
      confirmByVoters: () => ports.confirmByVoters(),
      confirmed: (operation) => this.finish(operation, STATUS.OK),
    });
  }

  /** True if READs are answered without confirmation (mirror-reads = local). */
  set readsAreLocal(areLocal: boolean) {
    this.confirmations.isOff = areLocal;
    this.wantSweep();
  }

  /** Number of the user's requests that are not answered yet. */
  get outstanding(): number {
    return this.operations.length;
  }

  /** M13: refuses all requests that users submit after this call. Requests in flight continue. */
  refuseUsers(): void {
    this.refusesUsers = true;
  }

  /**
   * M13: true if no user's request is in flight, and all replicas that count have answered a FLUSH sent after the end of the last change.
   */
  get isQuiet(): boolean {
    return this.outstanding === 0 && this.flushedMoves === this.changeMoves;
  }

  /**
   * Accepts a READ, WRITE, ZERO, DISCARD, FLUSH, or an IOCTL that reads a range. Calls `requestDone` only after this method has returned.
   */
  submit(request: Request, nowMs: number): void {
    request.submittedMs = nowMs;
    if (this.endStatus !== null || this.refusesUsers) {
      const status = this.endStatus ?? STATUS.SHUTTING_DOWN;
      this.ports.clock.soon(() => request.events?.requestDone(request, status));
      return;
    }
    const operation = this.free.pop() ?? new Operation();
    operation.reset(request);
    operation.sequence = ++this.sequence;
    operation.isRead = request.op === OP.READ || request.op === OP.IOCTL;
    operation.isChange = changesContent(request.op);
    operation.isExclusive = operation.isChange;
    operation.begin = request.lba;
    operation.end = request.lba + sectorsOf(request.op, request.flags, request.count);
    operation.index = this.operations.length;
    this.operations.push(operation);
    if (this.view?.isServing === true) this.begin(operation);
    else {
      operation.phase = 'gated';
      this.gated.push(operation);
    }
  }

  /**
   * Called when a replica has a session. After this call, all changes and flushes go to this replica, including those already in flight to
   * other replicas.
   */
  addReplica(replica: Replica): void {
    assert(!replica.isGivenUp && this.endStatus === null, 'A replica that was given up, or an ended mirror');
    const member = this.members.add(replica);
    replica.attachment.events = this.eventsOf(member, replica);
    for (const operation of this.operations.slice()) {
      if (operation.phase === 'running' && !operation.isRead) operation.send(member, replica, this.sequence, this);
    }
    this.changed();
  }

  setView(view: IoView): void {
    this.view = view;
    const freed = this.members.setView(view);
    this.lacks.keepOnly((identity) => view.replicas.some((one) => one.identity === identity));
    if (freed !== 0) for (const operation of this.operations) operation.forget(freed);
    this.changed();
  }

  /**
   * Ends the use of a replica's session: the requests of this session are abandoned, and count as not answered. The replica still counts
   * until a view says otherwise. After `giveUp`, the caller closes the attachment. Must not be called within an event of an attachment.
   */
  giveUp(identity: string): void {
    const replica = this.replicaOf(identity);
    if (replica === null) return;
    this.noteLeft(replica);
    replica.isGivenUp = true;
    replica.attachment.events = null;
    this.members.update();
    abandonAll(replica);
    this.changed();
  }

  /** Must be called before the requests in flight to the replica are abandoned. */
  private noteLeft(replica: Replica): void {
    const member = this.members.find(replica.identity);
    if (member === null || !member.isWhole) return;
    member.isWhole = false;
    const flushedMs = member.isLost ? member.flushedMs : (replica.attachment.log?.flushedMs ?? null);
    this.lacks.left(replica.identity, flushedMs === null ? 0 : this.tickOf(flushedMs), member.isLost ? null : member.life);
  }

  private tickOf(ms: number): number {
    return Math.min(0xffffffff, Math.max(0, Math.floor((ms - this.beganMs) / LACK_TICK_MS)));
  }

  private noteChanged({ begin, end }: Operation): void {
    this.lacks.changed(begin * SECTOR_BYTES, end * SECTOR_BYTES);
  }

  /** Returns the session of a replica; null if the replica has no session. */
  replicaOf(identity: string): Replica | null {
    const replica = this.members.find(identity)?.replica ?? null;
    return replica?.isGivenUp === true ? null : replica;
  }

  /** Called when the copier has made all replicas in sync equal in this region. */
  settled(region: number): void {
    this.unsettled.remove(region);
    this.wantSweep();
  }

  /**
   * Excludes users' changes from a range (M14). Locks and changes get a range in order of arrival. READs need no lock: READs of unsettled
   * regions wait anyway, and no READ goes to a replica that is being copied. `granted` may be called before this method returns. The caller
   * may `release` before `granted`.
   */
  lock(beginBytes: number, endBytes: number, granted: () => void): CopyLock {
    const entry = new CopyLock(this.sectorLock, granted);
    entry.begin = Math.floor(beginBytes / SECTOR_BYTES);
    entry.end = Math.ceil(endBytes / SECTOR_BYTES);
    if (this.sectorLock.enter(entry)) granted();
    return entry;
  }

  /**
   * Takes all requests back, without answers. The regions of changes that were sent become unsettled, because perhaps only some replicas
   * execute these changes. Later requests to a replica wait until the server of the replica can no longer execute the abandoned requests.
   */
  abandon(): Request[] {
    const over = this.operations.splice(0);
    this.gated = [];
    const requests: Request[] = [];
    let grew = false;
    // Mark all requests as ended first. Below, each request leaves the lock, and the lock may be granted to another ended request, which
    // must no longer be sent.
    this.changeMoves++;
    for (const operation of over) {
      if (operation.request !== null) requests.push(operation.request);
      if (operation.phase === 'running' && operation.isChange) {
        grew = this.unsettle(operation) || grew;
        this.noteChanged(operation);
      }
      if (operation.phase === 'confirming') this.confirmations.leave(operation);
      operation.phase = 'free';
    }
    for (const { replica } of this.members.all) if (replica !== null && !replica.isGivenUp) abandonAll(replica);
    for (const operation of over) this.sectorLock.leave(operation);
    for (const operation of over) this.recycle(operation);
    if (grew) this.ports.unsettledGrew();
    return requests;
  }

  /** M16: answers all current and later requests with `status`, and no longer uses the sessions. `reason`: a sentence for the user. */
  end(status: number, reason: string): void {
    if (this.endStatus !== null) return;
    this.endReason = reason;
    const requests = this.abandon();
    this.endStatus = status;
    this.confirmations.stop();
    this.lacks.end();
    for (const { replica } of this.members.all) {
      if (replica === null) continue;
      replica.isGivenUp = true;
      replica.attachment.events = null;
    }
    this.members.update();
    for (const request of requests) request.events?.requestDone(request, status);
    this.events?.standingChanged();
    this.ports.standingChanged();
  }

  // --- the steps of a request

  private begin(operation: Operation): void {
    if (!operation.isRead && !operation.isChange) this.sendAll(operation);
    else if (operation.isRead && this.isParked(operation)) return;
    else {
      operation.phase = 'locking';
      if (this.sectorLock.enter(operation)) this.granted(operation);
    }
  }

  private granted(entry: LockEntry): void {
    if (entry instanceof CopyLock) entry.granted();
    if (!(entry instanceof Operation) || entry.phase !== 'locking') return;
    if (entry.isChange) {
      this.touched.addRange(entry.begin * SECTOR_BYTES, entry.end * SECTOR_BYTES);
      this.sendAll(entry);
    } else if (this.isParked(entry)) this.sectorLock.leave(entry);
    else this.route(entry);
  }

  /**
   * M7: a READ that waits for settling holds no lock. If the READ held a lock, a change could wait for the READ, and the copier's lock
   * could wait for that change.
   */
  private isParked(operation: Operation): boolean {
    const region = this.unsettled.firstIn(operation.begin * SECTOR_BYTES, operation.end * SECTOR_BYTES);
    if (region < 0) return false;
    operation.phase = 'unsettled';
    this.ports.settleSoon(region);
    return true;
  }

  private sendAll(operation: Operation): void {
    operation.phase = 'running';
    if (operation.isChange) this.changeMoves++;
    operation.changeMoves = this.changeMoves;
    const { all } = this.members;
    for (let index = 0; index < all.length; index++) {
      const member = all[index]!;
      const { replica } = member;
      if (replica !== null && !replica.isGivenUp) operation.send(member, replica, this.sequence, this);
    }
  }

  /** Sends a READ to a replica that has not failed this READ. */
  private route(operation: Operation): void {
    const member = this.members.reader(operation.refusedMask);
    if (member !== null && member.replica !== null) {
      operation.phase = 'running';
      operation.send(member, member.replica, this.sequence, this);
      this.confirmations.ask(operation, member);
    } else if (operation.refusedMask !== 0 && !this.members.hasReader(operation.refusedMask)) this.finish(operation, operation.status);
    else operation.phase = 'homeless';
  }

  requestDone(child: Request, status: number): void {
    assert(child instanceof Child, 'An answer to no child');
    const { operation, replica } = child;
    const member = operation?.answered(child) ?? null;
    if (operation === null || member === null) return;
    const isAnswer = replica?.isAnswering === true && isOfServer(status);
    if (isAnswer && status === STATUS.OK) {
      operation.okMask |= member.bit;
      member.confirm(child.startSequence);
      this.confirmations.look();
    } else if (isAnswer) {
      operation.refusedMask |= member.bit;
      if (operation.status === STATUS.OK) operation.status = status;
    }
    if (operation.phase !== 'running') return;
    if (operation.isRead) this.readAnswered(operation, child, isAnswer, status);
    else {
      if (!isAnswer && replica?.isGivenUp === false)
        this.lose(member.identity, 'Its session has ended, and the outcome of a request is unknown');
      this.judge(operation);
    }
  }

  private readAnswered(operation: Operation, child: Child, isAnswer: boolean, status: number): void {
    if (child.op === OP.IOCTL && operation.request !== null) operation.request.answers = child.answers;
    if (isAnswer && status === STATUS.OK) this.readDone(operation);
    else if (isAnswer) this.route(operation);
    else {
      operation.phase = 'homeless';
      this.wantSweep();
    }
  }

  private readDone(operation: Operation): void {
    operation.phase = 'confirming';
    if (this.confirmations.enter(operation)) this.finish(operation, STATUS.OK);
  }

  /** Finishes a change or FLUSH if all required replicas have answered. */
  private judge(operation: Operation): void {
    if (operation.phase !== 'running') return;
    const { members } = this;
    if (operation.refusedMask !== 0) this.refused(operation);
    if (operation.phase !== 'running' || operation.openMask !== 0 || members.countsMask === 0) return;
    if (members.missing(operation.okMask) === 0) this.finish(operation, STATUS.OK);
  }

  /**
   * Called when at least one replica has refused the request. If a recovered replica in sync has executed the request, the replicas that
   * refused it are lost, because their data differs. If all replicas in sync have refused the request, the replicas that executed it
   * (perhaps joining replicas) are lost, and the user gets the error. Otherwise, the request waits.
   */
  private refused(operation: Operation): void {
    const { countsMask, inSyncMask, recoveredMask } = this.members;
    const { okMask, refusedMask, openMask, status } = operation;
    if ((okMask & inSyncMask & recoveredMask) !== 0) {
      this.loseAll(refusedMask, `It refused a request that another replica executed: ${statusEntry(status).sentence}`);
      return;
    }
    if (openMask !== 0 || inSyncMask === 0 || (inSyncMask & ~refusedMask) !== 0) return;
    this.loseAll(okMask, `It executed a request that the replicas in sync refused: ${statusEntry(status).sentence}`);
    if ((countsMask & ~refusedMask) !== 0) return;
    const grew = operation.isChange && this.unsettle(operation);
    this.finish(operation, status);
    if (grew) this.ports.unsettledGrew();
  }

  private loseAll(mask: number, why: string): void {
    for (const { bit, identity } of this.members.all) if ((mask & bit) !== 0) this.lose(identity, why);
  }

  /** Marks the replica as lost: its answers no longer count. Tells the owner to remove the replica. */
  protected lose(identity: string, why: string): void {
    const member = this.members.find(identity);
    if (member === null || member.isLost || member.replica?.isGivenUp !== false) return;
    member.isLost = true;
    // Store the time of the last flush now, because a later flush does not cover a change that the replica has refused.
    member.flushedMs = member.replica.attachment.log?.flushedMs ?? null;
    this.changed();
    this.ports.lost(identity, why);
  }

  private unsettle(operation: Operation): boolean {
    this.unsettled.addRange(operation.begin * SECTOR_BYTES, operation.end * SECTOR_BYTES);
    return true;
  }

  private finish(operation: Operation, status: number): void {
    const { request } = operation;
    assert(request !== null && operation.phase !== 'free', 'A request of a mirror ended twice');
    if (operation.isChange) {
      this.noteChanged(operation);
      this.changeMoves++;
    } else if (!operation.isRead && status === STATUS.OK) this.flushedMoves = Math.max(this.flushedMoves, operation.changeMoves);
    operation.phase = 'free';
    assert(this.operations[operation.index] === operation, 'A request of a mirror has lost its place');
    const last = this.operations.pop()!;
    if (last !== operation) {
      this.operations[operation.index] = last;
      last.index = operation.index;
    }
    this.sectorLock.leave(operation);
    this.recycle(operation);
    request.events?.requestDone(request, status);
  }

  private recycle(operation: Operation): void {
    operation.reset(null);
    this.free.push(operation);
  }

  // --- changes of the replicas

  private eventsOf(member: Member, replica: Replica): AttachmentEvents {
    return {
      standingChanged: () => {
        if (member.replica === replica) this.changed();
      },
      serverIsSlow: (sentence) => this.events?.serverIsSlow(sentence),
    };
  }

  private changed(): void {
    this.members.update();
    this.wantSweep();
    this.events?.standingChanged();
    this.ports.standingChanged();
  }

  private wantSweep(): void {
    if (this.isSweepDue) return;
    this.isSweepDue = true;
    this.ports.clock.soon(this.sweepNow);
  }

  /** Tries to continue every request that waits. Called after a change of the view, of sessions or of unsettled regions. */
  private sweep(): void {
    this.isSweepDue = false;
    if (this.endStatus !== null) return;
    this.members.update();
    if (this.view?.isServing === true) for (const operation of this.gated.splice(0)) this.begin(operation);
    for (const operation of this.operations.slice()) {
      if (operation.phase === 'unsettled') this.begin(operation);
      else if (operation.phase === 'homeless') this.route(operation);
      else if (operation.phase === 'running' && !operation.isRead) this.judge(operation);
    }
    this.confirmations.membersChanged();
  }
}

/** Takes back all requests of a session, including the replay log's own FLUSH and ioctls, and notifies their owners. */
function abandonAll(replica: Replica): void {
  for (const request of replica.trunk.abandon(replica.attachment)) request.events?.requestDone(request, STATUS.OUTCOME_UNKNOWN);
}

/** False for the statuses that the client itself sets when the session or the attachment has ended. */
function isOfServer(status: number): boolean {
  return status !== STATUS.OUTCOME_UNKNOWN && status !== STATUS.STALE && status !== STATUS.TAKEN;
}
