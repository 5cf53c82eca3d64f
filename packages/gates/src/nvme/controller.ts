// A controller: one login of a host with its admin queue and its I/O queues. It executes admin commands. Invariants: a reset or a shutdown
// is answered only when no volume is executing a command of the controller any more, and an abort only when the command that it aborts has
// ended. If that takes longer than GATE_QUIESCE_MS, the host gets no answer, because its connections are closed. A controller is one path:
// when one of its I/O queues ends, all of them do, and nothing of the others is read (rule D1).

import {
  GATE_CHANGED_MAX,
  GATE_KEEP_ALIVE_MIN_MS,
  GATE_PROOF_SLACK_MS,
  GATE_QUEUE_END_MS,
  GATE_QUEUE_ENTRIES,
  GATE_QUEUES_MAX,
  GATE_QUIESCE_MS,
} from '../limits.ts';
import type { GatePath } from '../order/gate-path.ts';
import { anaCode } from './ana.ts';
import { ControllerInstance, CrossResets } from './cross-resets.ts';
import { identify } from './identify.ts';
import { logPage } from './logs.ts';
import { Notices } from './notices.ts';
import type { NvmeCommand } from './nvme-command.ts';
import type { Moment } from '../order/gate-path.ts';
import type { Queue } from './queue.ts';
import { ReservationNotices } from './reservation-notices.ts';
import { reservationCode } from './reservation-commands.ts';
import type { ReservationNotice } from '../reservations/reservation-rules.ts';
import type { Reservations } from '../reservations/reservations.ts';
import type { ConnectRequest } from './connect-request.ts';
import type { ControllerOwner } from './subsystem-view.ts';
import { ADMIN, ALL_NAMESPACES, CODE, type Code, DNR, FABRICS, FEATURE, LOG, PROPERTY, VERSION_1_4 } from './wire/constants.ts';

/** Fields of the properties CC and CSTS. */
const CC = { ENABLE: 1, SHUTDOWN: 0xc000 } as const;
const CSTS = { READY: 1, SHUTDOWN_DONE: 0x8 } as const;
/** CAP: contiguous queues, 10 s to get ready, the NVM command set, pages of 4 KiB. */
const CAP_LOW = (GATE_QUEUE_ENTRIES - 1) | (1 << 16) | (20 << 24);
const CAP_HIGH = 1 << 5;

export class Controller {
  readonly id: number;
  readonly hostNqn: string;
  readonly hostId: string;
  keepAliveMs: number;
  /** Namespaces that have changed since the host last read the log of changes. */
  readonly changedIds = new Set<number>();
  readonly notices = new Notices((command, code, event) => this.admin.answer(command, code, event));
  readonly reserved = new ReservationNotices();
  readonly instance: ControllerInstance;
  readonly crossResets: CrossResets;
  readonly path: GatePath;
  private readonly subsystem: ControllerOwner;
  private readonly admin: Queue;
  /** All queues whose connections have not finished, including the admin queue. */
  private readonly queues = new Set<Queue>();
  private cc = 0;
  private csts = 0;
  private heardMs: number;
  /** True once the host has proven the path by its next event request; it then has to go on doing so. */
  private answersEvents = false;
  /** When an I/O queue ended, unless the host has reset the controller since. */
  private queueEndMs: number | null = null;
  private hasEnded = false;
  /** The command that waits until all I/O queues have finished. */
  private quieting: { readonly command: NvmeCommand; readonly sinceMs: number } | null = null;
  /** Aborts that wait for the end of the command `of`. The object and the number of that command may belong to another command by now. */
  private readonly aborting: {
    readonly command: NvmeCommand;
    readonly of: NvmeCommand;
    readonly uses: number;
    readonly sinceMs: number;
  }[] = [];

  /** Admin commands that reservations execute. */
  private readonly reserving = new Set<{ readonly sinceMs: number; readonly reservations: Reservations }>();

  constructor(subsystem: ControllerOwner, id: number, admin: Queue, request: ConnectRequest) {
    this.subsystem = subsystem;
    this.id = id;
    this.admin = admin;
    this.hostNqn = request.hostNqn;
    this.hostId = request.hostId;
    this.keepAliveMs = request.keepAliveMs;
    this.heardMs = subsystem.options.nowMs();
    this.queues.add(admin);
    const { options } = subsystem;
    this.path = options.order.newPath({ nowMs: () => options.nowMs(), roundTrip: () => void this.notices.probe() });
    this.instance = new ControllerInstance((bytes) => options.random(bytes));
    this.crossResets = new CrossResets({
      own: this,
      gateNumber: options.number,
      controllers: () => subsystem.controllers.values(),
      nowMs: () => options.nowMs(),
      note: (sentence) => options.note(sentence, this.hostNqn),
      answer: (command, code, low) => this.admin.answer(command, code, low),
      changed: () => this.notices.raise('crossResets'),
    });
  }

  get isReady(): boolean {
    return (this.csts & CSTS.READY) !== 0;
  }

  /** Returns the code that refuses an I/O queue now; null if there is none. */
  refusal({ qid, hostNqn, hostId }: ConnectRequest): Code | null {
    if (hostNqn !== this.hostNqn || hostId !== this.hostId) return CODE.CONNECT_PARAMETERS | DNR;
    // Without DNR, because the host has done nothing wrong and will log in again (subsystem.ts).
    if (this.hasEnded || this.queueEndMs !== null) return CODE.CONNECT_PARAMETERS;
    if (this.quieting !== null || this.csts !== CSTS.READY) return CODE.SEQUENCE_ERROR | DNR;
    if (qid > GATE_QUEUES_MAX) return CODE.CONNECT_PARAMETERS | DNR;
    for (const one of this.queues) if (one.qid === qid) return CODE.SEQUENCE_ERROR | DNR;
    return null;
  }

  /** Admits an I/O queue that is not refused. */
  admit(queue: Queue): void {
    this.queues.add(queue);
  }

  /** Called when a connection has finished, so that no volume and no socket uses its memory any more. */
  left(queue: Queue): void {
    this.queues.delete(queue);
    if (queue === this.admin) this.end('its admin connection has ended');
    this.settle();
    if (this.queues.size === 0) this.subsystem.left(this);
  }

  /**
   * An I/O connection has been closed. A host that drops one queue could repeat its commands over another one of the same path, whose order
   * proves nothing; so all I/O queues end. The admin queue stays for a moment, because hosts close their I/O queues before they shut a
   * controller down.
   */
  queueClosed(): void {
    if (this.hasEnded || this.quieting !== null || this.queueEndMs !== null) return;
    this.queueEndMs = this.subsystem.options.nowMs();
    for (const queue of [...this.queues]) if (queue !== this.admin) queue.close('another queue of its controller has ended');
  }

  /** The host has received what the gate sent at this moment; `isEvent`: the answer to an event request. */
  proves(moment: Moment, isEvent: boolean): void {
    if (isEvent) this.answersEvents = true;
    this.path.proves(moment);
  }

  /** Called when the admin connection has been closed: its commands get no answers any more. */
  adminClosed(): void {
    this.notices.drop();
    this.crossResets.drop();
    this.aborting.length = 0;
    this.quieting = null;
    this.end('its admin connection was closed');
  }

  end(why: string): void {
    this.close((queue) => queue.close(why));
  }

  /** As `end`, because the host may have given the controller up (rule D1). */
  private cut(why: string): void {
    this.close((queue) => queue.close(why, true));
  }

  private close(each: (queue: Queue) => void): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.csts = 0;
    for (const queue of [...this.queues]) each(queue);
  }

  /**
   * Called before a command, its data or its next step is executed. Returns false if the host was silent, or has not shown for too long that
   * it holds this path (rule D1). The controller then ends. The clock is read each time, because the process may have stood still.
   */
  mayContinue(): boolean {
    const why = this.lateness(this.subsystem.options.nowMs());
    if (why !== null) this.cut(why);
    return !this.hasEnded;
  }

  tick(): void {
    const nowMs = this.subsystem.options.nowMs();
    const why = this.path.isStuck(nowMs)
      ? `a write waited ${GATE_QUIESCE_MS} ms for a sign that its host holds the path`
      : this.lateness(nowMs);
    if (why !== null) return this.cut(why);
    if (this.keepAliveMs > 0 && this.path.unprovenMs(nowMs) >= this.keepAliveMs) this.notices.probe();
    if (this.queueEndMs !== null && this.quieting === null && nowMs - this.queueEndMs >= GATE_QUEUE_END_MS)
      return this.end('one of its I/O queues has ended');
    this.settle();
    this.crossResets.tick();
    for (const { reservations } of this.reserving) reservations.proceed();
    const waits = [...this.aborting, ...this.reserving].map(({ sinceMs }) => sinceMs);
    const oldestMs = Math.min(this.quieting?.sinceMs ?? nowMs, ...waits);
    if (nowMs - oldestMs > GATE_QUIESCE_MS) this.end(`a reset, an abort or a reservation waited ${GATE_QUIESCE_MS} ms for its I/O`);
  }

  /** Why the host may have given the controller up; null if it has not. */
  private lateness(nowMs: number): string | null {
    const { keepAliveMs } = this;
    if (keepAliveMs === 0) return null;
    if (nowMs - this.heardMs >= keepAliveMs) return `its host was silent for its keep-alive time, ${keepAliveMs} ms`;
    const limitMs = 2 * keepAliveMs + GATE_PROOF_SLACK_MS;
    const isLate = this.answersEvents && this.notices.mayProbe && this.path.unprovenMs(nowMs) >= limitMs;
    return isLate ? `its host has answered nothing for ${limitMs} ms` : null;
  }

  namespaceChanged(nsid: number): void {
    if (this.changedIds.size <= GATE_CHANGED_MAX) this.changedIds.add(nsid);
    this.notices.raise('namespaces');
  }

  reservationNotice(nsid: number, what: ReservationNotice['what']): void {
    if (this.reserved.add(nsid, what)) this.notices.raise('reservations');
  }

  hasRefusedIo(reservations: Reservations): boolean {
    for (const queue of this.queues) if (queue.hasRefusedIo(reservations, this.hostId)) return true;
    return false;
  }

  /** The host has read a log, and the content may be dropped. */
  logRead(log: number): void {
    if (log === LOG.CHANGED) this.changedIds.clear();
    this.notices.read(log);
    this.path.ask();
    if (log === LOG.RESERVATIONS && this.reserved.read()) this.notices.raise('reservations');
  }

  execute(command: NvmeCommand): void {
    const code = this.perform(command);
    if (code !== null) this.admin.answer(command, code);
  }

  /** Returns the code with which the command is answered; null if it was answered, or will be. */
  private perform(command: NvmeCommand): Code | null {
    if (command.opcode === ADMIN.FABRICS) return this.fabrics(command);
    if (!this.isReady) return CODE.SEQUENCE_ERROR | DNR;
    switch (command.opcode) {
      case ADMIN.KEEP_ALIVE:
        this.heardMs = this.subsystem.options.nowMs();
        return CODE.OK;
      case ADMIN.IDENTIFY:
        return this.send(command, identify(command, this.subsystem, this));
      case ADMIN.GET_LOG_PAGE:
        return this.send(command, logPage(command, this.subsystem, this));
      case ADMIN.SET_FEATURES:
        return this.setFeature(command);
      case ADMIN.GET_FEATURES:
        return this.getFeature(command);
      case ADMIN.ASYNC_EVENT:
        return this.listen(command);
      case ADMIN.ABORT:
        return this.abort(command);
      case ADMIN.CROSS_RESET:
        return this.subsystem.options.discovery === null ? this.crossResets.execute(command) : CODE.INVALID_OPCODE | DNR;
      default:
        return CODE.INVALID_OPCODE | DNR;
    }
  }

  private listen(command: NvmeCommand): Code | null {
    const code = this.notices.listen(command);
    this.path.ask();
    return code;
  }

  private send(command: NvmeCommand, content: Buffer | Code): Code | null {
    if (typeof content === 'number') return content;
    this.admin.answerData(command, content);
    return null;
  }

  private fabrics(command: NvmeCommand): Code | null {
    const offset = command.dword(11);
    const isLong = (command.sqe[40]! & 7) === 1;
    switch (command.fabricsType) {
      case FABRICS.PROPERTY_GET: {
        const value = this.property(offset);
        if (value === null || isLong !== (offset === PROPERTY.CAP)) return CODE.INVALID_FIELD | DNR;
        this.admin.answer(command, CODE.OK, value[0], value[1]);
        return null;
      }
      case FABRICS.PROPERTY_SET:
        if (offset !== PROPERTY.CC || isLong) return CODE.INVALID_FIELD | DNR;
        return this.configure(command, command.dword(12));
      case FABRICS.CONNECT:
        return CODE.SEQUENCE_ERROR | DNR;
      default:
        return CODE.INVALID_OPCODE | DNR;
    }
  }

  private property(offset: number): readonly [number, number] | null {
    switch (offset) {
      case PROPERTY.CAP:
        return [CAP_LOW >>> 0, CAP_HIGH];
      case PROPERTY.VS:
        return [VERSION_1_4, 0];
      case PROPERTY.CC:
        return [this.cc, 0];
      case PROPERTY.CSTS:
        return [this.csts, 0];
      default:
        return null;
    }
  }

  private configure(command: NvmeCommand, value: number): Code | null {
    // A reset or a shutdown with the earlier value is still under way.
    if (this.quieting !== null) return CODE.SEQUENCE_ERROR | DNR;
    const was = this.cc;
    this.cc = value;
    if ((value & CC.ENABLE) !== 0 && (was & CC.ENABLE) === 0) {
      // Entry sizes of 64 and 16 bytes, pages of 4 KiB, the NVM command set.
      if ((value & 0xff_07f0) !== ((4 << 20) | (6 << 16)) && (value & 0xff_07f0) !== 0) {
        this.cc = was;
        return CODE.INVALID_FIELD | DNR;
      }
      this.instance.renew();
      this.csts = CSTS.READY;
      return CODE.OK;
    }
    const isShutdown = (value & CC.SHUTDOWN) !== 0 && (was & CC.SHUTDOWN) === 0;
    const isReset = (value & CC.ENABLE) === 0 && (was & CC.ENABLE) !== 0;
    if (!isShutdown && !isReset) return CODE.OK;
    this.queueEndMs = null;
    this.quieting = { command, sinceMs: this.subsystem.options.nowMs() };
    for (const queue of [...this.queues]) if (queue !== this.admin) queue.close('its host has reset the controller');
    this.settle();
    return null;
  }

  /** Answers the commands that have waited for the end of I/O. */
  private settle(): void {
    if (this.quieting !== null && this.queues.size === 1 && this.queues.has(this.admin)) {
      const { command } = this.quieting;
      this.quieting = null;
      this.csts = ((this.cc & CC.ENABLE) === 0 ? 0 : CSTS.READY) | ((this.cc & CC.SHUTDOWN) === 0 ? 0 : CSTS.SHUTDOWN_DONE);
      if ((this.cc & CC.ENABLE) === 0) {
        this.notices.reset();
        this.reserved.clear();
        this.crossResets.reset();
      }
      this.admin.answer(command, CODE.OK);
    }
    for (let at = this.aborting.length - 1; at >= 0; at--) {
      const { command, of, uses } = this.aborting[at]!;
      if (of.uses === uses && of.isUnderWay) continue;
      this.aborting.splice(at, 1);
      // Bit 0: the command was not aborted. It has ended.
      this.admin.answer(command, CODE.OK, 1);
    }
  }

  private abort(command: NvmeCommand): Code | null {
    const sqid = command.dword(10) & 0xffff;
    const cid = command.dword(10) >>> 16;
    if (sqid === 0) return this.abortAdmin(command, cid);
    const outcome = this.queueOf(sqid)?.abort(cid) ?? 'ended';
    if (typeof outcome === 'string') {
      this.admin.answer(command, CODE.OK, outcome === 'taken' ? 0 : 1);
      return null;
    }
    this.aborting.push({ command, of: outcome, uses: outcome.uses, sinceMs: this.subsystem.options.nowMs() });
    return null;
  }

  /** Of the admin commands, only Asynchronous Event Requests can be aborted. The others end soon. */
  private abortAdmin(command: NvmeCommand, cid: number): null {
    this.admin.answer(command, CODE.OK, this.notices.abort(cid) ? 0 : 1);
    return null;
  }

  private queueOf(qid: number): Queue | undefined {
    for (const queue of this.queues) if (queue.qid === qid) return queue;
    return undefined;
  }

  private setFeature(command: NvmeCommand): Code | null {
    const value = command.dword(11);
    if (command.dword(10) >= 2 ** 31) return CODE.FEATURE_NOT_SAVEABLE | DNR;
    switch (command.dword(10) & 0xff) {
      case FEATURE.QUEUES: {
        // The count is 0-based: 0 means one queue. The same number of submission and completion queues is granted.
        const asked = Math.min(value & 0xffff, value >>> 16);
        if (asked === 0xffff) return CODE.INVALID_FIELD | DNR;
        const granted = Math.min(asked, GATE_QUEUES_MAX - 1);
        this.admin.answer(command, CODE.OK, granted | (granted << 16));
        return null;
      }
      case FEATURE.ASYNC_EVENTS:
        this.notices.enabled = value;
        return CODE.OK;
      case FEATURE.KEEP_ALIVE:
        if (!isKeepAlive(value)) return CODE.INVALID_FIELD | DNR;
        this.keepAliveMs = value;
        return CODE.OK;
      case FEATURE.VOLATILE_CACHE:
        // The cache of the volume cannot be turned off: only FLUSH and FUA make writes durable.
        return (value & 1) === 1 ? CODE.OK : CODE.FEATURE_NOT_CHANGEABLE | DNR;
      case FEATURE.RESERVATION_MASK:
        return this.reserved.mask(this.idsOf(command.nsid), value) ? CODE.OK : CODE.INVALID_FIELD | DNR;
      case FEATURE.RESERVATION_PERSISTENCE:
        return this.persist(command, (value & 1) === 1);
      default:
        return CODE.INVALID_FIELD | DNR;
    }
  }

  /** The namespaces that a feature applies to. */
  private idsOf(nsid: number): number[] {
    return [...this.subsystem.namespaces.keys()].filter((one) => one === nsid || nsid === ALL_NAMESPACES);
  }

  private persist(command: NvmeCommand, ptpl: boolean): Code | null {
    const namespace = this.subsystem.namespaces.get(command.nsid);
    const reservations = namespace?.reservations ?? null;
    if (namespace === undefined || reservations === null) return CODE.INVALID_NAMESPACE | DNR;
    const { ana } = namespace;
    if (ana !== 'optimized') {
      namespace.wanted();
      return anaCode(ana);
    }
    const wait = { sinceMs: this.subsystem.options.nowMs(), reservations };
    this.reserving.add(wait);
    command.goesOn = () => this.execute(command);
    reservations.execute({
      hostId: this.hostId,
      hostNqn: this.hostNqn,
      action: { verb: 'persist', ptpl },
      // Not executed now; it is tried again when the path is proven.
      isWanted: () => this.mayContinue() && namespace.order?.orders.executes(this.path, command, 0, 1) !== false,
      dropped: () => void this.reserving.delete(wait),
      ended: (outcome) => {
        this.reserving.delete(wait);
        if (outcome === 'unknown') this.end('nobody knows whether its reservation was saved');
        else if (!this.hasEnded) this.admin.answer(command, reservationCode(outcome));
      },
    });
    return null;
  }

  private getFeature(command: NvmeCommand): Code | null {
    // Only current values can be read.
    if ((command.dword(10) & 0x700) !== 0) return CODE.INVALID_FIELD | DNR;
    const value = this.featureValue(command.dword(10) & 0xff, command.nsid);
    if (value === null) return CODE.INVALID_FIELD | DNR;
    this.admin.answer(command, CODE.OK, value >>> 0);
    return null;
  }

  private featureValue(feature: number, nsid: number): number | null {
    const queues = GATE_QUEUES_MAX - 1;
    switch (feature) {
      case FEATURE.QUEUES:
        return queues | (queues << 16);
      case FEATURE.ASYNC_EVENTS:
        return this.notices.enabled;
      case FEATURE.KEEP_ALIVE:
        return this.keepAliveMs;
      case FEATURE.VOLATILE_CACHE:
        return 1;
      case FEATURE.RESERVATION_MASK:
        return this.subsystem.namespaces.has(nsid) ? this.reserved.maskOf(nsid) : null;
      case FEATURE.RESERVATION_PERSISTENCE: {
        const reservations = this.subsystem.namespaces.get(nsid)?.reservations;
        return reservations ? Number(reservations.state.ptpl) : null;
      }
      default:
        return null;
    }
  }
}

/** True if a short pause of the process does not end a controller with this keep-alive time; 0 turns the keep-alive off. */
export function isKeepAlive(askedMs: number): boolean {
  return askedMs === 0 || askedMs >= GATE_KEEP_ALIVE_MIN_MS;
}
