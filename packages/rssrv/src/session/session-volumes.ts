// Manages a session's open volumes and answers the client's message requests: LIST, OPEN and CLOSE; ioctls.ts answers IOCTL. The listener
// decides, through a port, whether the client may open a volume. Invariants: a session uses a handle number only once, and the size of a
// handle never shrinks. No request is started on a closing handle. A CLOSE or a revocation completes only after the handle has released its
// backend. A hold is released only if no handle of its volume is open or being opened. Rules: S11, H1, H2, C2.

import { assert } from '@rsio/base/lib/assert';
import { InFlight } from '@rsio/base/structures/in-flight';
import { HANDLES_PER_SESSION_MAX } from '@rsio/protocol/link/limits';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { encodeListAnswers, FailureAnswer, IOCTL, type ListAnswer, OpenAnswer, OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { Backend } from '../storage/io/backend.ts';
import { SessionThrottles } from '../volumes/throttle/session-throttles.ts';
import type { ThrottleReport } from '../volumes/throttle/throttle-messages.ts';
import { type ChangeGatePorts, ChangeGates } from '../snapshots/change-gates.ts';
import { type LookPorts, OwnerLooks } from './owner-looks.ts';
import { HandleNumbers } from './handle-numbers.ts';
import type { OpenVolume } from './request.ts';
import type { GrownVolume, ServedVolume } from '../storage/io/served-volume.ts';
import { ioctl, type IoctlEvents, type IoctlPorts } from './ioctls.ts';
import { RecordIoctls, type RecordPorts } from './record-ioctls.ts';
import { SharedBackends } from './shared-backends.ts';
import { SpaceWaits, type WaitsForSpace } from './space-waits.ts';
import { SessionCounters, type SessionFigures, type VolumeNow } from '../volumes/statistics/volume-counters.ts';
import { VolumeSyncs } from './volume-syncs.ts';
import type { Grant } from '../volumes/holds/grants.ts';

export interface VolumePorts extends IoctlPorts, LookPorts, RecordPorts, Pick<ChangeGatePorts, 'held' | 'clone'> {
  readonly clock: Clock;
  readonly waitsForSpace: WaitsForSpace;
  list(): Promise<ListAnswer>;
  grant(request: OpenRequest): Promise<Grant>;
  /**
   * Releases the client's hold, because the client has closed the volume. `epoch` is the epoch of the grant under which the client opened
   * the volume. If the hold began after this grant, the hold stays. A hold outlives its session (docs/PROTOCOL.md H1).
   */
  release(volumeId: string, epoch: number): Promise<void>;
  openBackend(volume: ServedVolume): Promise<Backend>;
  /** Reports to the listener which shares of the volumes' limits are in force, and how much of each share was used. */
  throttled(report: ThrottleReport): void;
  /**
   * Reports that a sync of the volume has failed and that acknowledged writes may therefore be lost. The listener starts a new incarnation
   * of the storage and revokes every handle of the volume. The listener gets this report before any later request from this session.
   */
  lost(volumeId: string): void;
  /**
   * Reports that the storage has been truncated: it is shorter than the volume. The listener revokes every handle of the volume, and stops
   * serving the volume until the administrator has restored the storage.
   */
  cut(volumeId: string): void;
}

export type Answered = (status: Status, bodies: readonly Buffer[], aux: number) => void;

/** An OPEN in progress. */
interface Opening {
  readonly request: OpenRequest;
  /** Maps the id of each volume whose grants were revoked during the OPEN to the highest revoked epoch. */
  readonly revoked: Map<string, number>;
  readonly sinceMs: number;
}

interface PostponedRelease {
  readonly volume: ServedVolume;
  readonly epoch: number;
}

/** An epoch lower than the epoch of any hold. A release up to this epoch ends only the session's use of the volume, and no hold. */
const NO_HOLD = -1;

export class SessionVolumes {
  readonly syncs: VolumeSyncs;
  readonly space: SpaceWaits;
  readonly gates: ChangeGates;
  readonly throttles: SessionThrottles;
  readonly counters = new SessionCounters();
  private readonly ports: VolumePorts;
  private readonly open = new Map<number, OpenVolume>();
  private readonly backends: SharedBackends;
  private readonly numbers = new HandleNumbers();
  readonly looks: OwnerLooks;
  private readonly records: RecordIoctls;
  private readonly opening = new Set<Opening>();
  /** Maps each handle that is being closed to a promise of the status of the handle's last flush. */
  private readonly closings = new Map<OpenVolume, Promise<Status>>();
  /** Maps the id of a volume to the release of its hold, if this release waits until an OPEN of the volume has ended. */
  private readonly postponed = new Map<string, PostponedRelease>();
  /**
   * Ids of the volumes for which a handle has been revoked. The client is expected to open the volumes again, so the holds stay until an
   * OPEN is granted.
   */
  private readonly revoked = new Set<string>();
  /** Handles for which this session has already reported truncated storage to the listener. */
  private readonly cutHandles = new Set<number>();
  /**
   * Maps the id of each volume that grew while an OPEN was in progress to its new size. The listener may have granted the OPEN with the old
   * size.
   */
  private readonly grownMeanwhile = new Map<string, number>();

  /** Resolves with false when the session begins to end. */
  private readonly ending: Promise<boolean>;
  private end: (isMine: boolean) => void = () => undefined;

  constructor(ports: VolumePorts) {
    this.ports = ports;
    this.looks = new OwnerLooks({
      clock: ports.clock,
      look: (...all) => ports.look(...all),
      lookAge: (...all) => ports.lookAge(...all),
      outcome: (open, status) => this.outcome(open, status),
      revoke: ({ handle }) => void this.revokeHandle(handle),
    });
    this.ending = new Promise((resolve) => {
      this.end = resolve;
    });
    this.records = new RecordIoctls(ports);
    this.backends = new SharedBackends((volume) => ports.openBackend(volume));
    this.space = new SpaceWaits(ports.clock, (...change) => ports.waitsForSpace(...change));
    this.gates = new ChangeGates({
      handles: () => this.open.values(),
      held: (number) => ports.held(number),
      clone: (request) => ports.clone(request),
    });
    this.throttles = new SessionThrottles({
      clock: ports.clock,
      handles: () => this.open.values(),
      isOpening: () => this.opening.size > 0,
      report: (report) => ports.throttled(report),
    });
    this.syncs = new VolumeSyncs(
      (volumeId) => ports.lost(volumeId),
      (open) => this.cut(open),
    );
  }

  /** Syncs volumes that have had unsynced writes for too long. */
  tick(nowMs: number): void {
    for (const open of this.open.values()) this.syncs.tick(open, nowMs);
    this.throttles.tick();
    this.looks.tick(this.open.values());
  }

  whyEnd(oldestMs: number): string | null {
    return this.numbers.whyEnd(oldestMs);
  }

  get(handle: number): OpenVolume | undefined {
    return this.open.get(handle);
  }

  /**
   * Returns the OPENs in progress, the oldest first, and the figures of the volumes. `oldestMs` returns the age of a handle's oldest
   * request.
   */
  figures(nowMs: number, isWhole: boolean, oldestMs: (handle: number) => number): Pick<SessionFigures, 'volumes' | 'opens'> {
    this.counters.closed((id) => this.handlesOf(id).length > 0);
    const nowOf = (id: string): VolumeNow => {
      const handles = this.handlesOf(id);
      return {
        outstanding: handles.reduce((sum, { inFlight }) => sum + inFlight.count, 0),
        oldestMs: handles.reduce((oldest, { handle }) => Math.max(oldest, oldestMs(handle)), 0),
        waitingForSpace: this.space.count(id),
        heldForSnapshot: this.gates.count(id),
        ...this.throttles.figures(id, nowMs),
      };
    };
    return {
      volumes: this.counters.figures(nowOf, isWhole),
      opens: [...this.opening].map(({ request: { name, universe }, sinceMs }) => ({ name, universe, waitedMs: nowMs - sinceMs })),
    };
  }

  wasGiven(handle: number): boolean {
    return this.numbers.wasGiven(handle);
  }

  /** Updates the size of every handle whose volume has grown, including handles that are being opened. */
  grow(grown: readonly GrownVolume[]): void {
    for (const { id, sizeBytes } of grown) {
      if (this.opening.size > 0) this.grownMeanwhile.set(id, sizeBytes);
      for (const open of this.open.values()) if (open.volume.id === id) growHandle(open, sizeBytes);
    }
  }

  /**
   * Answers a message request exactly once, now or later. `isExecuting` returns true if any other request on a handle is being executed.
   */
  answer(header: Header, body: Buffer, isExecuting: (handle: number) => boolean, answered: Answered): void {
    this.run(header, body, isExecuting, answered).catch((thrown: unknown) => {
      const error = toRsError(thrown);
      const status =
        error.code === 'E_PROTOCOL' ? STATUS.BAD_REQUEST : error.code === 'E_VOLUME' ? STATUS.VOLUME_UNAVAILABLE : STATUS.IO_ERROR;
      answered(status, [FailureAnswer.encode({ sentence: error.message, holders: [] })], 0);
    });
  }

  /**
   * Revokes all grants of a volume up to the given epoch. Resolves once no request under the revoked grants is running; the result is false
   * if a flush has failed.
   */
  async revoke(volumeId: string, epoch: number): Promise<boolean> {
    for (const { revoked } of this.opening) revoked.set(volumeId, Math.max(epoch, revoked.get(volumeId) ?? 0));
    const granted = [...this.open.values()].filter((open) => open.volume.id === volumeId && open.epoch <= epoch);
    const statuses = await Promise.all(granted.map((open) => this.revokeHandle(open.handle)));
    assert(!granted.some(({ handle }) => this.open.has(handle)), 'A handle is open after its revocation');
    return statuses.every((status) => status === STATUS.OK);
  }

  /**
   * From this call on, no request on the handles of the volume is answered with its result, because another server may own the shared pool.
   */
  lose(volumeId: string): void {
    for (const open of this.handlesOf(volumeId)) open.isLost = true;
  }

  /**
   * Revokes one handle: new requests on the handle get STALE, and requests in progress are completed and answered. Once the handle is
   * closed, resolves with the status of the handle's last flush. If the handle was not open, resolves with OK. The client keeps its hold,
   * so a later OPEN succeeds unless another client has taken over the volume.
   */
  async revokeHandle(handle: number): Promise<Status> {
    const open = this.open.get(handle);
    if (open === undefined) return STATUS.OK;
    // If the handle is already being closed, do not expect the client to open the volume again.
    if (!this.closings.has(open)) this.revoked.add(open.volume.id);
    return this.close(open);
  }

  /**
   * Converts the status that the backend has reported into the status of the answer. If the storage has been truncated, this request and
   * all later requests on the handle get STALE. If a sync finds no space in a pool, the sync and all later requests on the handle also get
   * STALE, because the program must not get an error for writes that the sync has lost. After STALE, the client keeps the request and
   * repeats it when the volume is served again.
   */
  outcome(open: OpenVolume, status: Status): Status {
    if (status === STATUS.VOLUME_UNAVAILABLE) this.cut(open);
    else if (status === STATUS.NO_SPACE && open.volume.pool !== undefined) void this.revokeHandle(open.handle);
    else return status;
    return STATUS.STALE;
  }

  /** Called when a FLUSH, WRITE, DISCARD or ZERO has ended; see OwnerLooks.conclude. */
  concludeChange(open: OpenVolume, op: number, isFua: boolean, ended: Status, then: (status: Status) => void): void {
    this.syncs.ended(open, op, isFua, ended);
    this.looks.conclude(open, ended, then);
  }

  /** Replaces the set of pools whose free space is below their reserve. `ids` are the ids of these pools. */
  setShortPools(ids: readonly string[]): void {
    this.space.setShort(new Set(ids), this.open.values());
  }

  /** Ends all waiting changes before the session ends. The client sends the ended changes again in its next session. */
  endWaits(): void {
    this.end(false);
    for (const open of this.open.values()) {
      open.isClosing = true;
      this.release(open);
    }
  }

  /** Flushes and closes all volumes. This method does not report failed flushes, because volume-syncs.ts reports them. */
  async closeAll(): Promise<void> {
    // While one handle is being closed, another handle may be revoked and removed from the map.
    for (const open of [...this.open.values()]) if (this.open.has(open.handle)) await this.close(open);
    assert(this.open.size === 0 && this.opening.size === 0, 'A session ends with an open volume');
  }

  /**
   * Notifies the listener before revoking the handle, because the listener must know about the truncation before the client's next OPEN.
   */
  private cut({ handle, volume }: OpenVolume): void {
    if (this.cutHandles.has(handle)) return;
    this.cutHandles.add(handle);
    this.ports.cut(volume.id);
    void this.revokeHandle(handle);
  }

  /** For a closing handle, ends the requests that wait for a limit, and the changes that wait for space or for a snapshot. */
  private release(open: OpenVolume): void {
    this.throttles.release(open);
    this.space.release(open);
    this.gates.release(open);
    for (const giveUp of [...open.looking]) giveUp();
  }

  private handlesOf(volumeId: string): OpenVolume[] {
    return [...this.open.values()].filter(({ volume }) => volume.id === volumeId);
  }

  private async closeForClient(open: OpenVolume): Promise<Status> {
    const status = await this.close(open);
    // A server that has lost the pool must not report the result of the close.
    const isMine = status === STATUS.OK || open.looks === null || (await open.looks.ask());
    if (open.isLost || !isMine) return STATUS.STALE;
    await this.releaseUnlessOpen(open);
    return status;
  }

  /**
   * Releases the client's hold if the session has no open handle of the volume. If an OPEN of the volume is in progress, the release waits
   * until the OPEN has ended. A revoked handle that is still being closed may still write, so the release waits until this handle is
   * closed.
   */
  private async releaseUnlessOpen({ volume, epoch }: PostponedRelease): Promise<void> {
    const others = [...this.open.values()].filter((open) => open.volume.id === volume.id);
    if (this.revoked.has(volume.id) || others.some((open) => !this.closings.has(open))) return;
    if ([...this.opening].some(({ request }) => isFor(request, volume))) this.releaseLater({ volume, epoch });
    else if (others.length === 0) await this.ports.release(volume.id, epoch);
    else {
      const ends = await Promise.allSettled(others.flatMap((open) => this.closings.get(open) ?? []));
      if (ends.every(({ status }) => status === 'fulfilled')) await this.releaseUnlessOpen({ volume, epoch });
    }
  }

  private releaseLater({ volume, epoch }: PostponedRelease): void {
    this.postponed.set(volume.id, { volume, epoch: Math.max(epoch, this.postponed.get(volume.id)?.epoch ?? NO_HOLD) });
  }

  /** Called when the OPEN `request` has ended. Performs the releases that waited for this OPEN, unless the OPEN has opened a handle. */
  private async releasePostponed(request: OpenRequest): Promise<void> {
    for (const left of [...this.postponed.values()]) {
      if (!isFor(request, left.volume)) continue;
      this.postponed.delete(left.volume.id);
      await this.releaseUnlessOpen(left);
    }
  }

  private async run(header: Header, body: Buffer, isExecuting: (handle: number) => boolean, answered: Answered): Promise<void> {
    const isBodiless = header.op === OP.LIST || header.op === OP.CLOSE;
    if (header.flags !== 0 || (isBodiless && body.length > 0)) {
      refuse(answered, STATUS.BAD_REQUEST);
      return;
    }
    switch (header.op) {
      case OP.LIST:
        answered(STATUS.OK, encodeListAnswers(await this.ports.list()), 0);
        return;
      case OP.OPEN:
        await this.openWithinLimits(OpenRequest.decode(body, 0, body.length), answered);
        return;
      case OP.CLOSE: {
        const open = this.open.get(header.handle);
        if (open === undefined || open.isClosing) refuse(answered, STATUS.STALE);
        else if (isExecuting(header.handle))
          refuse(answered, STATUS.BAD_REQUEST, 'Requests of this handle are still executing: close it after their answers');
        else answered(await this.closeForClient(open), [], 0);
        return;
      }
      default:
        await this.ioctl(header, body, answered);
    }
  }

  /** Opens a volume unless the session already has too many handles. An OPEN in progress counts as a handle. */
  private async openWithinLimits(request: OpenRequest, answered: Answered): Promise<void> {
    const { opening } = this;
    if (this.open.size + opening.size >= HANDLES_PER_SESSION_MAX || !this.numbers.hasMoreThan(opening.size)) {
      refuse(answered, STATUS.TOO_MANY_HANDLES);
      return;
    }
    const one: Opening = { request, revoked: new Map(), sinceMs: this.ports.clock.monotonicMs() };
    opening.add(one);
    let answer: () => void;
    try {
      answer = await this.openFor(one, answered);
    } finally {
      opening.delete(one);
      if (opening.size === 0) this.grownMeanwhile.clear();
      await this.releasePostponed(request);
    }
    answer();
  }

  private async openFor({ request, revoked }: Opening, answered: Answered): Promise<() => void> {
    const grant = await this.ports.grant(request);
    if (!grant.granted) {
      const body = FailureAnswer.encode({ sentence: grant.sentence, holders: grant.holders });
      return () => answered(grant.status, [body], 0);
    }
    const { volume, epoch } = grant;
    let backend: Backend;
    try {
      backend = await this.backends.open(grant);
    } catch (error) {
      if (toRsError(error).context['isCut'] === true) this.ports.cut(volume.id);
      // If the grant was revoked, the listener passes no files to the session, and the backend may have failed to open for this reason.
      if (epoch <= (revoked.get(volume.id) ?? -1)) return () => refuse(answered, STATUS.STALE, revokedText(volume));
      // Do not release a hold that the client resumes, because the client's I/O is waiting for the volume. Without a handle, however, the
      // session does not use the volume, and another data process of the client may resume the hold.
      this.releaseLater({ volume, epoch: request.resume === null ? epoch : NO_HOLD });
      throw error;
    }
    const looks = this.looks.of(volume);
    const isMine = looks === null || (await Promise.race([looks.ask(), this.ending]));
    if (epoch <= (revoked.get(volume.id) ?? -1) || !isMine) {
      await this.backends.release(backend);
      if (isMine) return () => refuse(answered, STATUS.STALE, revokedText(volume));
      this.releaseLater({ volume, epoch: NO_HOLD });
      return () => refuse(answered, STATUS.MOVED);
    }
    const readonly = grant.readonly || backend.capabilities.readonly;
    const open: OpenVolume = {
      handle: this.numbers.take(),
      volume,
      backend,
      readonly,
      isWriteThrough: volume.shared && !readonly,
      sizeBytes: Math.max(volume.sizeBytes, this.grownMeanwhile.get(volume.id) ?? 0),
      epoch,
      incarnation: grant.incarnation,
      isClosing: false,
      isShort: false,
      looks,
      isLooked: looks !== null && (volume.shared || readonly),
      isLost: false,
      looking: new Set(),
      gate: null,
      throttle: null,
      changing: 0,
      hasUnsynced: false,
      inFlight: new InFlight(),
      sumsUnderWay: 0,
      counters: this.counters.of(volume.id),
    };
    growHandle(open, open.sizeBytes);
    this.syncs.opened(open);
    this.space.opened(open);
    this.gates.opened(open);
    this.throttles.opened(open);
    this.open.set(open.handle, open);
    assert(this.open.size <= HANDLES_PER_SESSION_MAX, 'A session has more handles than it may have');
    this.revoked.delete(volume.id);
    const body = OpenAnswer.encode({
      handle: open.handle,
      id: volume.id,
      sizeBytes: open.sizeBytes,
      blockSizeBytes: volume.blockSizeBytes,
      readonly,
      shared: volume.shared,
      canDiscard: backend.capabilities.canDiscard,
      identity: grant.identity,
      life: grant.incarnation,
      poolGeneration: volume.pool?.ownership?.generation,
      poolId: volume.pool?.ownership === undefined ? undefined : volume.pool.ids[0],
    });
    return () => answered(STATUS.OK, [body], 0);
  }

  /** Closes a handle. Concurrent calls for the same handle share a single close. */
  private close(open: OpenVolume): Promise<Status> {
    let closing = this.closings.get(open);
    if (closing === undefined) {
      closing = this.closeOnce(open);
      this.closings.set(open, closing);
    }
    return closing;
  }

  private async closeOnce(open: OpenVolume): Promise<Status> {
    open.isClosing = true;
    this.release(open);
    if (open.inFlight.count > 0) await open.inFlight.whenIdle();
    const status = open.readonly ? STATUS.OK : await this.syncs.last(open);
    assert(open.inFlight.count === 0 && open.changing === 0, 'A handle is closed while its requests run');
    await this.backends.release(open.backend);
    assert(this.open.delete(open.handle), 'A handle is closed twice');
    this.cutHandles.delete(open.handle);
    this.closings.delete(open);
    return status;
  }

  private async ioctl(header: Header, body: Buffer, answered: Answered): Promise<void> {
    if (header.aux === IOCTL.RECORD_READ) {
      const done = (content: Buffer | null): void => answered(STATUS.OK, content === null ? [] : [content], header.aux);
      return this.records.read(body, { done, refused: (status, sentence) => refuse(answered, status, sentence) });
    }
    if (header.aux === IOCTL.NODES_SEEN) {
      const done = (content: Buffer | null): void => answered(STATUS.OK, content === null ? [] : [content], header.aux);
      return this.records.nodesSeen(body, { done, refused: (status, sentence) => refuse(answered, status, sentence) });
    }
    const open = this.open.get(header.handle);
    if (open === undefined || open.isClosing) return refuse(answered, STATUS.STALE);
    const events: IoctlEvents = {
      done: (content) =>
        this.looks.conclude(open, STATUS.OK, (status) => {
          if (status === STATUS.OK) answered(STATUS.OK, content === null ? [] : [content], header.aux);
          else refuse(answered, status);
        }),
      refused: (status, sentence) => refuse(answered, status, sentence),
      outcome: (status) => this.looks.refused(open, status),
    };
    if (header.aux === IOCTL.RECORD_WRITE) await this.records.write(open, body, events);
    else await ioctl(this.ports, open, header.aux, body, events);
  }
}

function revokedText({ name }: ServedVolume): string {
  return `Volume ${name} was revoked while it was being opened: open it again`;
}

function growHandle(open: OpenVolume, sizeBytes: number): void {
  open.sizeBytes = Math.max(open.sizeBytes, sizeBytes);
  open.backend.end?.grow(sizeBytes);
  open.backend.intents?.grow(sizeBytes);
}

function isFor({ name, universe }: OpenRequest, volume: ServedVolume): boolean {
  return volume.name === name && volume.universe === universe;
}

function refuse(answered: Answered, status: Status, sentence = statusEntry(status).sentence): void {
  answered(status, [FailureAnswer.encode({ sentence, holders: [] })], 0);
}
