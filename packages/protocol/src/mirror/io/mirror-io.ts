// A mirror as a volume of the client: the data path, the interface that frontends use (VolumeTarget), and the requests of the copier.
// The folder membership decides which replicas exist and count. The driver in rsiod passes these decisions to this class.
// Invariant: the size and other properties of the mirror come from the view or from all replicas together, never from one replica.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { Attachment, Standing } from '../../client/attachment.ts';
import { Request } from '../../client/requests/request.ts';
import type { SessionAnswer } from '../../client/session-call.ts';
import type { LogFacts, VolumeTarget } from '../../client/volume-target.ts';
import type { Trunk } from '../../client/trunk.ts';
import type { HeldBy, StorageReport } from '../../link/heartbeat.ts';
import { OP } from '../../wire/frames.ts';
import { EXTENT, ExtentsAnswer, ExtentsRequest, IOCTL, type OpenAnswer } from '../../wire/messages.ts';
import { STATUS, statusEntry } from '../../wire/status.ts';
import { CopyRequests, type CopyDone } from './copy-requests.ts';
import { DataPath, type DataPathPorts } from './data-path.ts';
import { mirrorLife } from './lives.ts';
import type { IoView, Member } from './members.ts';
import type { Replica } from './replica.ts';

export interface MirrorIoFacts {
  readonly mirror: string;
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
}

export class MirrorIo extends DataPath implements VolumeTarget {
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
  volume: OpenAnswer | null = null;
  private readonly mirror: string;
  private readonly copies: CopyRequests;

  constructor(facts: MirrorIoFacts, ports: DataPathPorts) {
    super(ports);
    this.mirror = facts.mirror;
    this.name = facts.name;
    this.universe = facts.universe;
    this.readonly = facts.readonly;
    this.copies = new CopyRequests(ports.clock);
  }

  // --- for the driver

  override addReplica(replica: Replica): void {
    super.addReplica(replica);
    this.describe();
    const blockBytes = replica.attachment.volume?.blockSizeBytes ?? 0;
    if (this.volume !== null && blockBytes > this.volume.blockSizeBytes) {
      const why = `Its blocks have ${blockBytes} bytes, and those of the mirror ${this.volume.blockSizeBytes}`;
      this.lose(replica.identity, why);
    }
  }

  override setView(view: IoView): void {
    super.setView(view);
    this.describe();
  }

  // --- VolumeTarget

  get recoveredLife(): string {
    return mirrorLife(this.members.livesInSync());
  }

  get standing(): Standing {
    return standingOf(this.view, this.members.all, this.endStatus !== null);
  }

  /** Number of the term; 0 before the claim. */
  get term(): number {
    return this.view?.term ?? 0;
  }

  get reason(): string {
    return this.endReason ?? reasonOf(this.view, this.members.all);
  }

  get replicas(): readonly Replica[] {
    return this.members.all.flatMap(({ replica }) => (replica === null || replica.isGivenUp ? [] : [replica]));
  }

  get attachments(): readonly Attachment[] {
    return this.replicas.map(({ attachment }) => attachment);
  }

  get trunks(): readonly Trunk[] {
    return this.replicas.map(({ trunk }) => trunk);
  }

  get pathCount(): number {
    let most = 0;
    const { all } = this.members;
    for (let index = 0; index < all.length; index++) {
      const { replica } = all[index]!;
      if (replica !== null && !replica.isGivenUp) most = Math.max(most, replica.trunk.paths.length);
    }
    return most;
  }

  get waitsForSpace(): boolean {
    return this.replicas.some(({ attachment }) => attachment.waitsForSpace);
  }

  /**
   * The reason why the server of one replica holds back I/O; null if no server does. One server can hold back the whole mirror, because a
   * mirror is as slow as its slowest replica.
   */
  get heldBy(): HeldBy | null {
    return this.replicas.find(({ attachment }) => attachment.heldBy !== null)?.attachment.heldBy ?? null;
  }

  /** The storage report of the server that has been executing a request for the longest time. */
  get storageReport(): StorageReport | null {
    let oldest: StorageReport | null = null;
    for (const { trunk } of this.replicas) {
      const report = trunk.storageReport;
      if (report !== null && (oldest === null || report.oldestMs > oldest.oldestMs)) oldest = report;
    }
    return oldest;
  }

  get log(): LogFacts | null {
    let fullest: LogFacts | null = null;
    for (const { attachment } of this.replicas) {
      const { log } = attachment;
      if (log !== null && (fullest === null || log.usedBytes > fullest.usedBytes)) fullest = log;
    }
    return fullest;
  }

  get canFlushLog(): boolean {
    return this.replicas.some(({ attachment }) => attachment.canFlushLog);
  }

  flushLog(nowMs: number): void {
    for (const { attachment, trunk } of this.replicas) {
      if (!attachment.canFlushLog) continue;
      attachment.flushLog(nowMs);
      trunk.wantPump();
    }
  }

  /**
   * EXTENTS is executed like a READ, but without the lock, because it may cover the whole volume. If replicas may differ in the range, the
   * answer says that the whole range is data, which is always correct. A mirror supports no other IOCTL, because its replicas have no
   * common snapshots.
   */
  ioctl(aux: number, body: Buffer, answered: (answer: SessionAnswer) => void): void {
    const { clock } = this.ports;
    if (aux !== IOCTL.EXTENTS) {
      const status = STATUS.UNSUPPORTED;
      clock.soon(() => answered({ status, bodies: [], sentence: statusEntry(status).sentence }));
      return;
    }
    const { lba, sectors } = ExtentsRequest.decode(body, 0, body.length);
    if (this.unsettled.hasAny(lba * SECTOR_BYTES, (lba + sectors) * SECTOR_BYTES)) {
      const data = ExtentsAnswer.encode({ extents: [sectors, EXTENT.DATA] });
      clock.soon(() => answered({ status: STATUS.OK, bodies: [data], sentence: '' }));
      return;
    }
    const request = new Request();
    request.op = OP.IOCTL;
    request.aux = aux;
    request.message = body;
    request.events = {
      requestDone: (done, status) =>
        answered({ status, bodies: done.answers, sentence: status === STATUS.OK ? '' : statusEntry(status).sentence }),
    };
    this.submit(request, clock.monotonicMs());
  }

  // --- for the copier

  /** Number of users' requests that are not answered yet. */
  get userIoCount(): number {
    return this.outstanding;
  }

  /**
   * Reads from one replica for a copy: at most BODY_MAX_BYTES, in whole blocks. The request owns the buffer until `done` is called. The
   * status is OUTCOME_UNKNOWN if the replica has no session, or if its requests were abandoned.
   */
  readAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: CopyDone): void {
    this.copies.transfer(OP.READ, this.replicaOf(identity), positionBytes, lengthBytes, buffer, bufferOffset, done);
  }

  /** Writes to one replica. Otherwise like `readAt`. */
  writeAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: CopyDone): void {
    this.touched.addRange(positionBytes, positionBytes + lengthBytes);
    const noted = this.noted(identity, positionBytes, lengthBytes, done);
    this.copies.transfer(OP.WRITE, this.replicaOf(identity), positionBytes, lengthBytes, buffer, bufferOffset, noted);
  }

  /** Makes whole sectors of one replica zero. */
  zeroAt(identity: string, positionBytes: number, lengthBytes: number, done: CopyDone): void {
    this.touched.addRange(positionBytes, positionBytes + lengthBytes);
    this.copies.zero(this.replicaOf(identity), positionBytes, lengthBytes, this.noted(identity, positionBytes, lengthBytes, done));
  }

  /**
   * If the target of a copy counts (settling, repair), notes the copy as a change that other replicas may lack. A copy to a returning
   * replica is not noted.
   */
  private noted(identity: string, positionBytes: number, lengthBytes: number, done: CopyDone): CopyDone {
    if (this.members.find(identity)?.counts !== true) return done;
    return (status) => {
      this.lacks.changed(positionBytes, positionBytes + lengthBytes);
      done(status);
    };
  }

  flushAt(identity: string, done: CopyDone): void {
    this.copies.flush(this.replicaOf(identity), done);
  }

  /**
   * Returns the tenure of the replica; null while the replica is not ready. The tenure changes with each OPEN that is granted, and with
   * each incarnation.
   */
  tenureOf(identity: string): string | null {
    const replica = this.replicaOf(identity);
    if (replica === null || !replica.isReady || this.members.find(identity)?.isLost === true) return null;
    const { trunk, attachment } = replica;
    return `${trunk.session?.id.toString('hex')} ${attachment.handle} ${attachment.volume?.life}`;
  }

  /** Number of requests of users and of the copier that the replica has not answered yet. */
  loadOf(identity: string): number {
    return (this.members.find(identity)?.load ?? 0) + (this.replicaOf(identity)?.attachment.slotsHeld ?? 0);
  }

  /** Sets `volume` when the mirror begins to serve. Later, the size of the volume may only grow, and the block size stays the same. */
  private describe(): void {
    const { view, volume, mirror } = this;
    const opened = this.attachments.flatMap((attachment) => attachment.volume ?? []);
    if (view === null || (volume === null && (!view.isServing || opened.length === 0))) return;
    this.volume = {
      handle: 0,
      id: mirror,
      sizeBytes: Math.max(view.sizeBytes, volume?.sizeBytes ?? 0),
      blockSizeBytes: volume?.blockSizeBytes ?? Math.max(...opened.map(({ blockSizeBytes }) => blockSizeBytes)),
      readonly: this.readonly,
      shared: false,
      canDiscard: opened.every(({ canDiscard }) => canDiscard),
      identity: mirror,
      life: '',
    };
  }
}

// Derives whether a mirror can serve its user, and what it waits for, from the view and the sessions of the replicas. Pure. While a replica
// that counts is away, all changes wait, so the mirror is `halted` until the replica answers or is removed.
function standingOf(view: IoView | null, members: readonly Member[], hasEnded: boolean): Standing {
  if (hasEnded) return 'over';
  if (view === null || !view.isServing) return 'halted';
  let isRecovering = false;
  for (const { counts, isLost, replica } of members) {
    if (!counts) continue;
    const standing = replica === null || replica.isGivenUp || isLost ? 'over' : replica.attachment.standing;
    if (standing === 'halted' || standing === 'over') return 'halted';
    if (standing === 'recovering') isRecovering = true;
  }
  return isRecovering ? 'recovering' : 'ready';
}

function reasonOf(view: IoView | null, members: readonly Member[]): string {
  if (view === null || !view.isServing) return view?.waitsFor ?? 'The mirror is not claimed yet';
  const waiting = members.find(({ counts, isReady }) => counts && !isReady);
  if (waiting === undefined) return '';
  const { replica, isLost } = waiting;
  if (replica === null || replica.isGivenUp || isLost) return view.waitsFor ?? 'A replica is being removed from those in sync';
  return `The replica on server ${replica.server} does not answer: ${replica.attachment.reason || 'no path to the server is up'}`;
}
