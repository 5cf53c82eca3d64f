// One connection of an initiator, from its login to its end: decodes requests, and encodes answers. Sans-I/O. A session has one connection.
// A session is one path (rule D1): only an answer to a ping of the gate, and data that the gate has asked for, show that its host holds it.
// Invariants: after `close`, nothing that arrives is executed; a path that is unproven for GATE_PROOF_MS is never read again.

import { counted } from '@rsio/base/lib/assert';
import type { StreamTransport } from '@rsio/rsiod/frontends/streams/transport';
import type { ConnectionEvents, GateConnection, GatePools } from '../ports/gate-protocol.ts';
import { HostWatch } from '../ports/host-watch.ts';
import {
  GATE_IMMEDIATE_MAX,
  GATE_LOGIN_SEGMENT_BYTES,
  GATE_PING_BYTES,
  GATE_PING_MS,
  GATE_PROOF_MS,
  GATE_QUIESCE_MS,
  GATE_SEGMENT_BYTES,
  GATE_TEXT_MAX_BYTES,
  GATE_UNSENT_MAX,
  GATE_UNSENT_TEXTS_MAX,
} from '../limits.ts';
import type { GatePath, Moment } from '../order/gate-path.ts';
import { lunNumber } from '../scsi/lun.ts';
import { AnswerWriter } from './answer-writer.ts';
import { IscsiSession, type SessionPorts } from './iscsi-session.ts';
import type { EnteringSession, IscsiTargetView } from './target-view.ts';
import { LoginPhase } from './login-phase.ts';
import type { LoginNames } from './login/login.ts';
import { OrderedOutput, type OutputEvents } from './ordered-output.ts';
import { SessionNumbers } from './session-numbers.ts';
import { TargetTexts } from './target-texts.ts';
import {
  BHS_BYTES,
  CONTINUED,
  FINAL,
  IMMEDIATE,
  LOGIN_STATUS,
  LOGOUT,
  LOGOUT_RESPONSE,
  NO_TAG,
  OPCODE_MASK,
  REJECT,
  REQUEST,
  RESPONSE,
  TASK,
  TASK_RESPONSE,
} from './wire/constants.ts';
import { PduDecoder, type PduSink } from './wire/pdu-decoder.ts';
import type { TaskFunction, TaskManagement } from '../scsi/port.ts';

// Task management requests of iSCSI, and their responses. Pure. Source: RFC 7143, 11.5, 11.6.
// Invariant: a function that the engine does not support is answered, and changes nothing.
const FUNCTIONS: Readonly<Record<number, TaskFunction>> = {
  [TASK.ABORT_TASK]: 'abort task',
  [TASK.ABORT_TASK_SET]: 'abort task set',
  [TASK.CLEAR_TASK_SET]: 'clear task set',
  [TASK.LOGICAL_UNIT_RESET]: 'lun reset',
  [TASK.TARGET_WARM_RESET]: 'target warm reset',
  [TASK.TARGET_COLD_RESET]: 'target cold reset',
};

/** Returns the function with this number, or the response that refuses it if the gate does not support it. */
function taskFunction(number: number): TaskFunction | number {
  if (number === TASK.TASK_REASSIGN) return TASK_RESPONSE.REASSIGN_NOT_SUPPORTED;
  return FUNCTIONS[number] ?? TASK_RESPONSE.NOT_SUPPORTED;
}

function taskResponse(answer: Parameters<TaskManagement['done']>[0]): number {
  switch (answer) {
    case 'complete':
    case 'succeeded':
      return TASK_RESPONSE.COMPLETE;
    case 'no task':
      return TASK_RESPONSE.NO_TASK;
    case 'no unit':
      return TASK_RESPONSE.NO_UNIT;
  }
}

/**
 * `entering`: the host has logged in, and its session waits for the end of an earlier session. `leaving`: the host has logged out, and its
 * I/O is ending.
 */
type Phase = 'login' | 'entering' | 'serving' | 'leaving' | 'closed' | 'finished';

const NO_DATA = Buffer.alloc(0);
/** The tag of a request for the rest of a text. */
const OWN_TAG = 1;
const PING_TAG_MAX = 0x7fff_ffff;

export class IscsiConnection implements GateConnection, EnteringSession, PduSink, OutputEvents, SessionPorts {
  dataTargetOffset = 0;
  names: LoginNames | null = null;
  readonly watch = new HostWatch();
  readonly writer: AnswerWriter;
  private readonly transport: StreamTransport;
  private readonly pools: GatePools;
  private readonly events: ConnectionEvents;
  private readonly target: IscsiTargetView;
  private readonly decoder = new PduDecoder(this, GATE_LOGIN_SEGMENT_BYTES);
  private readonly output: OrderedOutput;
  private readonly numbers = new SessionNumbers(0, 1);
  private readonly login: LoginPhase;
  private readonly texts = new TargetTexts();
  private session: IscsiSession | null = null;
  private phase: Phase = 'login';
  /** The request whose data is arriving; the session handles commands and their data. */
  private readonly head = Buffer.alloc(BHS_BYTES);
  private arriving: 'task' | 'request' | 'nothing' = 'nothing';
  private body = NO_DATA;
  /** Task management requests without an answer. */
  private managing = 0;
  /** Null until the session begins. */
  private path: GatePath | null = null;
  /** The ping without an answer; each has a tag of its own, so that the answer to an earlier one proves nothing later. */
  private ping: { readonly tag: number; readonly moment: Moment } | null = null;
  private lastPing = 0;
  /** The moment of the last answer of the login, until something shows that the host has received it. */
  private greeting: Moment | null = null;
  private leavingMs: number | null = null;
  private hasDied = false;
  private nexusEnd: 'none' | 'ending' | 'ended' = 'none';

  constructor(transport: StreamTransport, pools: GatePools, events: ConnectionEvents, target: IscsiTargetView) {
    this.transport = transport;
    this.pools = pools;
    this.events = events;
    this.target = target;
    this.output = new OrderedOutput(transport, pools.batches, this, pools.schedule);
    this.writer = new AnswerWriter(this.output, this.numbers);
    const ports = {
      writer: this.writer,
      numbers: this.numbers,
      login: target.loginPorts(events),
      done: (names: LoginNames) => this.enter(names),
      refused: (why: string) => this.refused(why),
      fault: (why: string) => this.close(why),
    };
    this.login = new LoginPhase(ports, target.portalGroup);
  }

  get taken(): number {
    return this.session?.taken ?? 0;
  }

  get isOpen(): boolean {
    return this.phase === 'serving' || this.phase === 'login' || this.phase === 'entering';
  }

  receive(bytes: Buffer, start: number, end: number): void {
    try {
      if (!this.isOpen || this.closesUnproven()) return;
      this.decoder.feed(bytes, start, end);
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  /** Ends the connection; its host sees that it was closed. */
  close(why: string): void {
    if (this.phase === 'closed' || this.phase === 'finished') return;
    this.events.closing(why);
    this.die();
    this.transport.destroy();
  }

  /** Called when the socket has been closed. */
  closed(): void {
    this.die();
    this.hasDied = true;
    this.settle();
  }

  failed(thrown: unknown): void {
    this.events.failed(thrown);
    this.die();
    this.transport.destroy();
  }

  /** Pings a silent host, and ends a connection that is stuck. Called now and then. */
  tick(nowMs: number): void {
    const { session, path } = this;
    if (this.leavingMs !== null && nowMs - this.leavingMs > GATE_QUIESCE_MS) this.close('its I/O did not end after its logout');
    if (this.closesUnproven()) return;
    if (path?.isStuck(nowMs) === true) return this.cut(`a write waited ${GATE_QUIESCE_MS} ms for a sign that its host holds the path`);
    if (path !== null && path.unprovenMs(nowMs) >= GATE_PING_MS) this.sendPing();
    const tasks = session?.tasks ?? [];
    const begun = tasks.reduce((sum, { phase }) => sum + (phase === 'idle' ? 0 : 1), 0);
    const why = this.watch.stuck(nowMs, tasks, begun + this.writer.unsent, this.isOpen, session?.firstWaiting);
    if (why === null) return;
    this.close(why);
    this.transport.destroy();
  }

  // --- PduSink

  header(head: Buffer, dataBytes: number): Buffer | null {
    if (this.phase === 'login') return this.login.header(head, dataBytes);
    if (this.phase !== 'serving') {
      this.decoder.fail('its host has sent something before the end of its login');
      return null;
    }
    if (this.greeting !== null) this.path?.proves(this.greeting);
    this.greeting = null;
    if (this.writer.unsent > GATE_UNSENT_MAX) {
      this.decoder.fail('its host does not take its answers');
      return null;
    }
    const opcode = head[0]! & OPCODE_MASK;
    this.arriving = 'nothing';
    if (opcode === REQUEST.DATA_OUT) return this.task(this.session?.dataOut(head, dataBytes) ?? null);
    if (!this.hasTurn(head, opcode)) return null;
    if (opcode === REQUEST.SCSI_COMMAND && this.session !== null) return this.task(this.session.command(head, dataBytes));
    // The answer may send such data back, and nothing else bounds the memory of such answers.
    if (dataBytes > 0 && this.writer.unsent > GATE_UNSENT_TEXTS_MAX) {
      this.reject(REJECT.IMMEDIATE, head);
      return null;
    }
    this.arriving = 'request';
    head.copy(this.head, 0, 0, BHS_BYTES);
    const keptBytes = Math.min(dataBytes, opcode === REQUEST.TEXT ? GATE_TEXT_MAX_BYTES : GATE_PING_BYTES);
    this.body = keptBytes === 0 ? NO_DATA : Buffer.alloc(keptBytes);
    this.dataTargetOffset = 0;
    return this.body;
  }

  data(): void {
    if (this.phase === 'login') return this.login.data();
    if (this.arriving === 'task') this.session?.data();
    else if (this.arriving === 'request') this.request();
  }

  fault(why: string): void {
    this.close(why);
  }

  // --- OutputEvents

  left(pdus: number, budgetBytes: number): void {
    this.watch.answersLeft();
    this.writer.unsent = counted(this.writer.unsent - pdus, 'PDUs that are being sent');
    this.session?.giveBack(budgetBytes);
    this.settle();
  }

  // --- SessionPorts

  mayContinue(): boolean {
    return this.isOpen && !this.closesUnproven();
  }

  reject(reason: number, head: Buffer): void {
    const pdu = { opcode: RESPONSE.REJECT, byte2: reason, tag: NO_TAG, transferTag: NO_TAG };
    this.writer.short({ ...pdu, data: Buffer.from(head.subarray(0, BHS_BYTES)) });
  }

  settle(): void {
    if (this.phase !== 'closed' || !this.hasDied || this.nexusEnd === 'ending') return;
    if (this.writer.unsent > 0 || this.session?.isIdle === false) return;
    this.phase = 'finished';
    this.session?.finished();
    this.target.left(this);
    this.events.finished();
  }

  // --- Login

  /** The session begins: no earlier session of the same host has any I/O left. */
  entered(tsih: number): void {
    const { names } = this;
    if (this.phase !== 'entering' || names === null) return;
    const { parameters } = this.login;
    const path = this.pools.order.newPath({ nowMs: () => this.target.nowMs(), roundTrip: () => this.sendPing() });
    this.path = path;
    if (names.targetName !== null) {
      this.session = new IscsiSession(this, path, names.initiatorName, parameters, this.pools);
      this.session.nexus = this.target.begin(names, path, this.session);
      this.session.offer();
    } else this.numbers.offer(1);
    this.phase = 'serving';
    this.login.welcome(tsih);
    this.greeting = path.moment;
    this.writer.digests = { header: parameters.hasHeaderDigest, data: parameters.hasDataDigest };
    this.decoder.digests = this.writer.digests;
    this.decoder.dataMaxBytes = GATE_SEGMENT_BYTES;
  }

  /** There is no room for one more session. */
  turnedAway(): void {
    this.login.refuse(LOGIN_STATUS.OUT_OF_RESOURCES, 'so many hosts are logged in that the limit is reached');
  }

  private enter(names: LoginNames): void {
    this.phase = 'entering';
    this.names = names;
    this.events.proven(names.targetName === null ? null : names.initiatorName);
    this.target.enter(this, names);
  }

  private refused(why: string): void {
    this.events.refused(why);
    this.endAfterAnswers();
  }

  // --- Requests

  private task(target: Buffer | null): Buffer | null {
    this.arriving = 'task';
    this.dataTargetOffset = this.session?.targetOffset ?? 0;
    return target;
  }

  /** False if the request is not executed now. */
  private hasTurn(head: Buffer, opcode: number): boolean {
    if ((head[0]! & IMMEDIATE) !== 0 || opcode === REQUEST.SNACK) return true;
    const turn = this.numbers.take(head.readUInt32BE(24));
    if (turn === 'missing') this.decoder.fail('its host has left a command out');
    return turn === 'taken';
  }

  private request(): void {
    const { head } = this;
    // A discovery session has a window of one request. It gets no pings, and has no volumes.
    if (this.session === null) {
      this.numbers.offer(1);
      this.path?.proves(this.path.moment);
    } else this.session.offer();
    switch (head[0]! & OPCODE_MASK) {
      case REQUEST.NOP_OUT:
        return this.echo();
      case REQUEST.TEXT:
        return this.text();
      case REQUEST.TASK_MANAGEMENT:
        return this.manage();
      case REQUEST.LOGOUT:
        return this.logout();
      case REQUEST.LOGIN:
        return this.decoder.fail('its host has sent a login in a session');
      default:
        this.reject(REJECT.NOT_SUPPORTED, head);
    }
  }

  private echo(): void {
    const tag = this.head.readUInt32BE(16);
    if (tag === NO_TAG) return this.pong(this.head.readUInt32BE(20));
    const data = this.body.subarray(0, this.login.parameters.segmentBytes);
    this.writer.short({ opcode: RESPONSE.NOP_IN, tag, transferTag: NO_TAG, data }, (bytes, at) => this.head.copy(bytes, at + 8, 8, 16));
  }

  /** Sends a ping, unless one is under way. */
  private sendPing(): void {
    const { path } = this;
    if (path === null || this.ping !== null || this.phase !== 'serving' || this.session === null) return;
    this.lastPing = (this.lastPing % PING_TAG_MAX) + 1;
    this.ping = { tag: this.lastPing, moment: path.moment };
    this.writer.short({ opcode: RESPONSE.NOP_IN, tag: NO_TAG, transferTag: this.lastPing, isAnswer: false });
  }

  /** The host has answered the ping with this tag. */
  private pong(tag: number): void {
    const { ping } = this;
    if (ping === null || ping.tag !== tag) return;
    this.ping = null;
    this.path?.proves(ping.moment);
  }

  private text(): void {
    const { head, names } = this;
    const isContinuation = head.readUInt32BE(20) === OWN_TAG;
    const own = names?.targetName ?? null;
    const isWhole = (head[1]! & CONTINUED) === 0;
    const maxBytes = this.login.parameters.segmentBytes;
    const answer = isWhole ? this.texts.answer(this.body, isContinuation, this.target.entries(names), own, maxBytes) : null;
    if (answer === null) return this.reject(REJECT.PROTOCOL_ERROR, head);
    this.writer.short({
      opcode: RESPONSE.TEXT,
      flags: answer.hasMore ? CONTINUED : FINAL,
      tag: head.readUInt32BE(16),
      transferTag: answer.hasMore ? OWN_TAG : NO_TAG,
      data: answer.bytes,
    });
  }

  private manage(): void {
    const { head } = this;
    const nexus = this.session?.nexus ?? null;
    const tag = head.readUInt32BE(16);
    const what = taskFunction(head[1]! & 0x7f);
    if (nexus === null) return this.reject(REJECT.NOT_SUPPORTED, head);
    if (typeof what === 'number') return this.managed(tag, what);
    if (this.managing >= GATE_IMMEDIATE_MAX) return this.reject(REJECT.IMMEDIATE, head);
    this.managing++;
    const done = (response: number): void => {
      this.managing--;
      if (this.isOpen) this.managed(tag, response);
    };
    nexus.manage({ what, lun: lunNumber(head, 8), tag: head.readUInt32BE(20), done: (answer) => done(taskResponse(answer)) });
  }

  private managed(tag: number, response: number): void {
    this.session?.offer();
    this.writer.short({ opcode: RESPONSE.TASK_MANAGEMENT, byte2: response, tag });
  }

  private logout(): void {
    const reason = this.head[1]! & 0x7f;
    const tag = this.head.readUInt32BE(16);
    const say = (response: number): void => this.writer.short({ opcode: RESPONSE.LOGOUT, byte2: response, tag });
    if (reason !== LOGOUT.SESSION && reason !== LOGOUT.CONNECTION) return say(LOGOUT_RESPONSE.NO_RECOVERY);
    this.phase = 'leaving';
    this.leavingMs = this.target.nowMs();
    this.decoder.stop();
    this.session?.end();
    this.endNexus(() => {
      if (this.phase !== 'leaving') return;
      say(LOGOUT_RESPONSE.DONE);
      this.endAfterAnswers();
    });
  }

  // --- End

  /** Closes the connection and returns true if its host has answered nothing for so long that it may have given the session up. */
  private closesUnproven(): boolean {
    const { path } = this;
    if (this.phase !== 'serving' || path === null || path.unprovenMs(this.target.nowMs()) < GATE_PROOF_MS) return false;
    this.cut(`its host has answered no ping for ${GATE_PROOF_MS / 1000} s`);
    return true;
  }

  /** Closes the connection unread (rule D1). */
  private cut(why: string): void {
    this.events.cut();
    this.close(why);
  }

  /** Sends the answers that are already written, and closes the connection. Nothing is read any more. */
  private endAfterAnswers(): void {
    if (this.phase === 'closed' || this.phase === 'finished') return;
    this.decoder.stop();
    this.output.finish();
    this.die();
    this.transport.end();
  }

  private endNexus(then: () => void): void {
    const nexus = this.session?.nexus ?? null;
    if (nexus === null || this.nexusEnd === 'ended') return then();
    this.nexusEnd = 'ending';
    nexus.end(() => {
      this.nexusEnd = 'ended';
      then();
      this.settle();
    });
  }

  /** From now on, nothing that arrives is executed or answered. */
  private die(): void {
    if (this.phase === 'closed' || this.phase === 'finished') return;
    this.phase = 'closed';
    this.decoder.stop();
    this.output.close();
    this.session?.end();
    if (this.nexusEnd === 'none') this.endNexus(() => undefined);
    this.settle();
  }
}
