// A controller: one login of a host with its admin queue and its I/O queues. It executes admin commands. Invariants: a reset or a shutdown
// is answered only when no volume is executing a command of the controller any more, and an abort only when the command that it aborts has
// ended. If that takes longer than GATE_QUIESCE_MS, the host gets no answer, because its connections are closed.

import { GATE_CHANGED_MAX, GATE_KEEP_ALIVE_MIN_MS, GATE_QUEUE_ENTRIES, GATE_QUEUES_MAX, GATE_QUIESCE_MS } from '../limits.ts';
import { anaCode } from './ana.ts';
import { ControllerInstance, CrossResets } from './cross-resets.ts';
import { identify } from './identify.ts';
import { logPage } from './logs.ts';
import { Notices } from './notices.ts';
import type { NvmeCommand } from './nvme-command.ts';
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
  private readonly subsystem: ControllerOwner;
  private readonly admin: Queue;
  /** All queues whose connections have not finished, including the admin queue. */
  private readonly queues = new Set<Queue>();
  private cc = 0;
  private csts = 0;
  private heardMs: number;
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
    this.instance = new ControllerInstance((bytes) => options.random(bytes));
    this.crossResets = new CrossResets({
      own: this,
      gateNumber: options.number,
      controllers: () => subsystem.controllers.values(),
      nowMs: () => options.nowMs(),
      note: (sentence) => options.note(sentence),
      answer: (command, code, low) => this.admin.answer(command, code, low),
      changed: () => this.notices.raise('crossResets'),
    });
  }

  get isReady(): boolean {
    return (this.csts & CSTS.READY) !== 0;
  }

  /** Admits an I/O queue. Returns null, or the code that refuses it. */
  admit(queue: Queue, { qid, hostNqn, hostId }: ConnectRequest): Code | null {
    if (hostNqn !== this.hostNqn || hostId !== this.hostId) return CODE.CONNECT_PARAMETERS | DNR;
    // Without DNR, because the host has done nothing wrong and will log in again (subsystem.ts).
    if (this.hasEnded) return CODE.CONNECT_PARAMETERS;
    if (this.quieting !== null || this.csts !== CSTS.READY) return CODE.SEQUENCE_ERROR | DNR;
    if (qid > GATE_QUEUES_MAX) return CODE.CONNECT_PARAMETERS | DNR;
    for (const one of this.queues) if (one.qid === qid) return CODE.SEQUENCE_ERROR | DNR;
    this.queues.add(queue);
    return null;
  }

  /** Called when a connection has finished, so that no volume and no socket uses its memory any more. */
  left(queue: Queue): void {
    this.queues.delete(queue);
    if (queue === this.admin) this.end('its admin connection has ended');
    this.settle();
    if (this.queues.size === 0) this.subsystem.left(this);
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
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.csts = 0;
    for (const queue of [...this.queues]) queue.close(why);
  }

  /**
   * Called before a command, its data or its next step is executed. Returns false if the keep-alive time has run out: the host may have given
   * the controller up, and may have repeated the command elsewhere (rule D1). The controller then ends. Only Keep Alive counts as a sign of
   * the host, because only missing answers to Keep Alive make a host give up, whatever it receives over other connections.
   */
  mayContinue(): boolean {
    if (this.isSilent()) this.end(this.silence());
    return !this.hasEnded;
  }

  tick(): void {
    const nowMs = this.subsystem.options.nowMs();
    if (this.isSilent()) return this.end(this.silence());
    this.settle();
    this.crossResets.tick();
    for (const { reservations } of this.reserving) reservations.proceed();
    const waits = [...this.aborting, ...this.reserving].map(({ sinceMs }) => sinceMs);
    const oldestMs = Math.min(this.quieting?.sinceMs ?? nowMs, ...waits);
    if (nowMs - oldestMs > GATE_QUIESCE_MS) this.end(`a reset, an abort or a reservation waited ${GATE_QUIESCE_MS} ms for its I/O`);
  }

  private isSilent(): boolean {
    return this.keepAliveMs > 0 && this.subsystem.options.nowMs() - this.heardMs >= this.keepAliveMs;
  }

  private silence(): string {
    return `its host was silent for its keep-alive time, ${this.keepAliveMs} ms`;
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
        return this.notices.listen(command);
      case ADMIN.ABORT:
        return this.abort(command);
      case ADMIN.CROSS_RESET:
        return this.subsystem.options.discovery === null ? this.crossResets.execute(command) : CODE.INVALID_OPCODE | DNR;
      default:
        return CODE.INVALID_OPCODE | DNR;
    }
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
    reservations.execute({
      hostId: this.hostId,
      hostNqn: this.hostNqn,
      action: { verb: 'persist', ptpl },
      isWanted: () => this.mayContinue(),
      dropped: () => void this.reserving.delete(wait),
      ended: (outcome) => {
        this.reserving.delete(wait);
        if (!this.hasEnded) this.admin.answer(command, reservationCode(outcome));
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

/** True if the gate notices a gap before a host with this keep-alive time gives the controller up; 0 turns the keep-alive off. */
export function isKeepAlive(askedMs: number): boolean {
  return askedMs === 0 || askedMs >= GATE_KEEP_ALIVE_MIN_MS;
}
