// One connection of a host, from ICReq to its end: decodes commands, passes them to their controller or volume, and encodes results.
// Sans-I/O. Invariants: a connection owns nothing outside of itself until its host is proven: no controller, no queue, no place in a count;
// a command counts until its answer has been sent and its volume has completed it; a data buffer goes back to the pool once, and never while the
// volume or the socket uses it; after `close`, nothing that arrives is executed.

import { assert, counted } from '@rsio/base/lib/assert';
import type { Status } from '@rsio/protocol/wire/status';
import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import type { BudgetUser } from '@rsio/rsiod/frontends/streams/memory-budget';
import type { StreamTransport } from '@rsio/rsiod/frontends/streams/transport';
import { ReplyOutput, type ReplyOutputEvents } from '@rsio/rsiod/frontends/streams/reply-output';
import { GATE_ADMIN_ENTRIES, GATE_COPY_MAX_BYTES, GATE_IN_CAPSULE_BYTES, GATE_QUIESCE_MS, GATE_TRANSFER_MAX_BYTES } from '../limits.ts';
import { AnswerWriter } from './answer-writer.ts';
import type { NvmeConnectionEvents, NvmePools } from './connection-ports.ts';
import type { ConnectRequest } from './connect-request.ts';
import type { Controller } from './controller.ts';
import { FusedPairs } from './fused.ts';
import { HostWatch } from '../ports/host-watch.ts';
import { isChange, type IoPlan } from './io-commands.ts';
import { IoExecution, type IoPorts } from './io-execution.ts';
import { MemoryShare } from '../ports/memory-share.ts';
import { NvmeCommand, type NvmeCommandEvents } from './nvme-command.ts';
import { QueueLogin, type LoginQueue } from './queue-login.ts';
import type { Subsystem } from './subsystem.ts';
import type { Reservations } from '../reservations/reservations.ts';
import { ADMIN, CODE, DNR, FATAL, HEADER_BYTES, IO, PDU, SGL, type Code } from './wire/constants.ts';
import { PduDecoder, type PduSink } from './wire/pdu-decoder.ts';
import { icResponse, readIcRequest, termination } from './wire/pdu.ts';
import type { Moment } from '../order/gate-path.ts';
import { Replies } from './replies.ts';

// What one queue of a controller proves about its path: that its host has received an answer. Invariant: on I/O queues, answers are remembered
// only while a change waits for a proof, so that they cost nothing otherwise. Rules: D1.
class QueueProofs {
  private readonly controller: Controller;
  private readonly isAdmin: boolean;
  /** The moment of the answer to Connect, until a command shows that the host has received it. */
  private welcome: Moment | null;
  private readonly replies = new Replies();

  /** The login has succeeded, and its last answer is sent now. */
  constructor(controller: Controller, isAdmin: boolean) {
    this.controller = controller;
    this.isAdmin = isAdmin;
    this.welcome = controller.path.moment;
  }

  /** A command has arrived: its host has the answer to Connect, and an earlier answer under the same identifier. */
  arrived(command: NvmeCommand): void {
    // The rest of an authentication comes before its last answer.
    if (command.isAuth) return;
    const { controller, welcome } = this;
    this.welcome = null;
    if (welcome !== null) controller.proves(welcome, false);
    const reply = this.replies.arrived(command.cid);
    if (reply !== null) controller.proves(reply, this.isAdmin && command.opcode === ADMIN.ASYNC_EVENT);
  }

  /** A command is answered now. */
  answered({ cid }: NvmeCommand): void {
    const { path } = this.controller;
    if (this.isAdmin || path.holds.size > 0) this.replies.answered(cid, path.moment);
  }
}

// The command objects of one connection, which uses each of them again.
// Invariant: the number of an object is its tag, and its place in `all`.
class CommandPool {
  readonly all: NvmeCommand[] = [];
  private readonly idle: NvmeCommand[] = [];
  private readonly owner: NvmeCommandEvents;

  constructor(owner: NvmeCommandEvents) {
    this.owner = owner;
  }

  /** Returns null if `most` commands are in use. */
  take(most: number): NvmeCommand | null {
    const idle = this.idle.pop();
    if (idle !== undefined) return idle;
    if (this.all.length >= most) return null;
    const made = new NvmeCommand(this.owner, this.all.length);
    this.all.push(made);
    return made;
  }

  giveBack(command: NvmeCommand): void {
    this.idle.push(command);
  }
}

type Phase = 'greeting' | 'connecting' | 'serving' | 'closed' | 'finished';

export class NvmeConnection implements LoginQueue, PduSink, NvmeCommandEvents, ReplyOutputEvents, BudgetUser, IoPorts {
  qid = 0;
  dataTargetOffset = 0;
  private readonly transport: StreamTransport;
  private readonly pools: NvmePools;
  private readonly events: NvmeConnectionEvents;
  private readonly decoder = new PduDecoder(this, GATE_TRANSFER_MAX_BYTES);
  private readonly output: ReplyOutput;
  readonly writer: AnswerWriter;
  private phase: Phase = 'greeting';
  /** Null until the host is proven. */
  private controller: Controller | null = null;
  private readonly login: QueueLogin;
  /** Null until the host is proven. */
  private proofs: QueueProofs | null = null;
  /** Null until the host is proven. */
  private io: IoExecution | null = null;
  private entries = GATE_ADMIN_ENTRIES;
  private readonly pool = new CommandPool(this);
  /** Commands that wait for memory, in order. */
  private readonly waiting: NvmeCommand[] = [];
  /** The command whose data the decoder receives. */
  private receiving: NvmeCommand | null = null;
  /** Commands whose answer has not been sent. */
  private unanswered = 0;
  private readonly memory: MemoryShare;
  readonly watch = new HostWatch();
  private readonly fused = new FusedPairs((command, code) => this.answer(command, code));
  private hasDied = false;

  constructor(transport: StreamTransport, pools: NvmePools, events: NvmeConnectionEvents) {
    this.transport = transport;
    this.pools = pools;
    this.events = events;
    this.output = new ReplyOutput(transport, pools.batches, this, pools.schedule);
    this.writer = new AnswerWriter(this.output);
    this.memory = new MemoryShare(pools, this);
    this.login = new QueueLogin(this, pools.auth, events);
  }

  get taken(): number {
    return this.writer.taken;
  }

  receive(bytes: Buffer, start: number, end: number): void {
    try {
      if (this.receiving !== null) this.watch.dataArrived();
      if (this.isOpen) this.decoder.feed(bytes, start, end);
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  /** Ends the connection; its host sees that it was closed. */
  close(why: string, isUnread = false): void {
    if (!this.isOpen) return;
    if (isUnread) this.events.cut();
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

  /** Answers commands that volumes have not completed in time, and ends a connection that is stuck. Called now and then. */
  tick(nowMs: number): void {
    if (this.io !== null) this.io.tickMs = nowMs;
    for (const command of this.pool.all) {
      if (command.phase === 'executing' && this.io?.isStuck(command, nowMs) === true)
        this.controller?.end(`a reservation waited ${GATE_QUIESCE_MS} ms for its end`);
      if (this.isOpen && this.io !== null && command.isOverdue(nowMs, this.io.patienceMs(command))) this.answerLate(command);
    }
    const why = this.watch.stuck(nowMs, this.pool.all, this.unanswered, this.isOpen, this.waiting[0]);
    if (why === null) return;
    this.close(why);
    this.transport.destroy();
  }

  // --- PduSink

  header(bytes: Buffer, at: number, dataBytes: number): Buffer | null {
    const type = bytes[at];
    if (type === PDU.CAPSULE_CMD && this.phase !== 'greeting') return this.capsule(bytes, at, dataBytes);
    if (type === PDU.H2C_DATA && this.phase === 'serving') return this.dataFor(bytes, at, dataBytes);
    if (type === PDU.IC_REQ && this.phase === 'greeting') this.greet(bytes, at);
    else if (type === PDU.H2C_TERM) this.close(`its host has ended it, for reason ${bytes.readUInt16LE(at + 8)}`);
    else this.decoder.fail(FATAL.SEQUENCE, 0);
    return null;
  }

  data(isIntact: boolean): void {
    const command = this.receiving;
    this.receiving = null;
    if (command === null || !this.isOpen) return;
    if (command.isInCapsule || command.arrivedBytes > 0) {
      this.watch.dataArrived();
      // The end of the data may have arrived long after its header.
      if (this.controller?.mayContinue() === false) return;
    }
    if (!command.isInCapsule && command.arrivedBytes > 0) this.controller?.path.provesStep(command.askedStep);
    if (!isIntact) return this.answer(command, CODE.TRANSIENT_TRANSPORT);
    if (command.isInCapsule || command.dataBytes === 0 || command.phase === 'idle') return this.begin(command);
    if (command.arrivedBytes === command.dataBytes) this.execute(command, null);
  }

  fault(reason: number, information: number, header: Buffer): void {
    const bytes = termination(reason, information, header);
    this.events.closing(`the host has sent a PDU with a fault (reason ${reason})`);
    // Send the reason first, so that the host reads it before it sees the end.
    this.transport.write(bytes, 0, bytes.length, () => undefined);
    this.die();
    this.transport.end();
  }

  // --- Queue

  answer(command: NvmeCommand, code: Code, low = 0, high = 0): void {
    if (!this.isAnswerable(command)) return;
    this.proofs?.answered(command);
    this.writer.completion(command, code, low, high);
    this.release(command);
    this.fused.answered(command);
  }

  answerData(command: NvmeCommand, content: Buffer): void {
    const sentBytes = Math.min(content.length, command.dataBytes);
    if (sentBytes === 0) this.answer(command, CODE.OK);
    else if (!this.writer.hasRoom(sentBytes, this.unanswered)) this.answer(command, CODE.COMMAND_INTERRUPTED);
    else this.answerCopied(command, content, 0, sentBytes);
  }

  abort(cid: number): 'ended' | 'taken' | NvmeCommand {
    for (const command of this.pool.all) {
      if (command.cid !== cid || !command.isUnderWay) continue;
      // A host sends the data that it was asked for, so only a command that waits for memory can be aborted at once.
      const at = this.waiting.indexOf(command);
      if (at < 0 && (command.heldBy === null || command.step > 1)) return command;
      if (at >= 0) this.waiting.splice(at, 1);
      if (this.waiting.length === 0) this.memory.forget();
      this.answer(command, CODE.ABORT_REQUESTED);
      return 'taken';
    }
    return 'ended';
  }

  hasRefusedIo(reservations: Reservations, hostId: string): boolean {
    const isRefused = (one: NvmeCommand): boolean => !reservations.admits(hostId, isChange(one.opcode));
    return this.pool.all.some((one) => one.begunMs !== null && one.reservations === reservations && isRefused(one));
  }

  // --- NvmeCommandEvents

  completed(command: NvmeCommand, status: Status): void {
    const { io } = this;
    assert(io !== null, 'A volume has commands of logged-in hosts only');
    const first = command.partner;
    io.left(command);
    if (first !== null) io.left(first);
    try {
      if (!command.isLate && this.isOpen) io.completed(command, status, first);
      else {
        this.end(command);
        if (first !== null) this.end(first);
      }
    } catch (thrown) {
      this.failed(thrown);
    }
    this.settle();
  }

  largeLeft(command: NvmeCommand): void {
    try {
      this.release(command);
      this.left(1, 0);
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  left(requests: number, budgetBytes: number): void {
    this.watch.answersLeft();
    this.memory.giveBack(budgetBytes);
    this.unanswered = counted(this.unanswered - requests, 'answers that are being sent');
    this.settle();
  }

  roomAgain(): void {
    try {
      for (let command = this.waiting[0]; command !== undefined && this.isOpen; command = this.waiting[0]) {
        if (!this.takeMemory(command)) return;
        this.waiting.shift();
        this.proceed(command, null);
      }
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  // --- Arrival

  get isOpen(): boolean {
    return this.phase !== 'closed' && this.phase !== 'finished';
  }

  private greet(bytes: Buffer, at: number): void {
    const digests = readIcRequest(bytes, at);
    if (typeof digests === 'number') return this.decoder.fail(FATAL.UNSUPPORTED, digests);
    this.decoder.digests = digests;
    this.writer.digests = digests;
    this.phase = 'connecting';
    const answer = icResponse(digests, GATE_TRANSFER_MAX_BYTES);
    this.transport.write(answer, 0, answer.length, () => undefined);
  }

  private capsule(bytes: Buffer, at: number, dataBytes: number): Buffer | null {
    const command = this.newCommand();
    if (command === null) {
      this.decoder.fail(FATAL.SEQUENCE, 0);
      return null;
    }
    command.take(bytes, at + HEADER_BYTES.common);
    command.phase = 'receiving';
    command.isInCapsule = dataBytes > 0;
    this.unanswered++;
    this.writer.took(this.entries);
    this.receiving = command;
    // The controller has ended, which has closed this connection and ended the command.
    if (this.controller?.mayContinue() === false) return null;
    this.proofs?.arrived(command);
    if (!this.isOpen || dataBytes === 0) return null;
    const isRight = command.isInCapsuleData(dataBytes) && dataBytes <= GATE_IN_CAPSULE_BYTES;
    if (!isRight) {
      this.decoder.fail(FATAL.INVALID_HEADER, HEADER_BYTES.common + SGL.LENGTH_AT);
      return null;
    }
    // If this kind of command has no data, the data is dropped and the command is refused.
    if (command.direction !== 'in') return null;
    command.dataBytes = dataBytes;
    command.hold(this.pools.data.take(command.memoryBytes(this.qid)));
    this.dataTargetOffset = 0;
    return command.buffer;
  }

  /** Returns null if the host has more commands outstanding than the queue has entries, or does not take its answers. */
  private newCommand(): NvmeCommand | null {
    // A command has at most two unsent PDUs, a request for data and an answer, and twice as many if it was answered late.
    if (this.unanswered >= 4 * this.entries) return null;
    // A command that was answered late stays until its volume has completed it; the host no longer counts it.
    return this.pool.take(2 * this.entries);
  }

  private dataFor(bytes: Buffer, at: number, dataBytes: number): Buffer | null {
    const command = this.pool.all[bytes.readUInt16LE(at + 10)];
    const offset = bytes.readUInt32LE(at + 12);
    const isKnown = command?.phase === 'receiving' && !command.isInCapsule && command.held !== null;
    if (!isKnown || command.cid !== bytes.readUInt16LE(at + 8)) {
      this.decoder.fail(FATAL.INVALID_HEADER, 10);
      return null;
    }
    const isInOrder = offset === command.arrivedBytes && bytes.readUInt32LE(at + 16) === dataBytes;
    if (!isInOrder || offset + dataBytes > command.dataBytes) {
      this.decoder.fail(FATAL.DATA_OUT_OF_RANGE, 12);
      return null;
    }
    if (this.controller?.mayContinue() === false) return null;
    command.arrivedBytes += dataBytes;
    this.receiving = command;
    this.dataTargetOffset = offset;
    return command.buffer;
  }

  // --- Execution

  /** The capsule of a command has arrived. */
  private begin(command: NvmeCommand): void {
    const { direction } = command;
    const refused = this.qid > 0 ? this.fused.arrived(command) : null;
    if (refused !== null) return this.answer(command, refused);
    // PSDT: data has a descriptor.
    if (command.sqe[1]! >>> 6 !== 1) return this.answer(command, CODE.INVALID_FIELD | DNR);
    if (this.phase === 'connecting') return this.login.connect(command);
    if (command.isInCapsule && direction !== 'in') return this.answer(command, CODE.INVALID_FIELD | DNR);
    if (!command.isInCapsule) {
      if (command.sglType === SGL.TRANSPORT && direction !== 'none') command.dataBytes = command.sglBytes;
      else if (command.sglBytes > 0 && direction !== 'none') return this.answer(command, CODE.SGL_TYPE | DNR);
      if (command.dataBytes > GATE_TRANSFER_MAX_BYTES) return this.answer(command, CODE.INVALID_FIELD | DNR);
    }
    if (this.login.auth?.refuses(command) === true) return;
    const isIo = this.qid > 0 && !command.isAuth;
    const isVerify = isIo && command.opcode === IO.VERIFY;
    const needsMemory = !command.isInCapsule && command.dataBytes > 0 && (direction === 'in' || isIo);
    if (!needsMemory && !isVerify) return this.execute(command, null);
    const planned = isIo && this.io !== null ? this.io.plan(command) : null;
    if (typeof planned === 'number') return this.answer(command, planned);
    if (this.waiting.length > 0 || !this.takeMemory(command)) {
      command.phase = 'waiting';
      this.waiting.push(command);
      return;
    }
    this.proceed(command, planned);
  }

  /** Continues a command that has got its memory. */
  private proceed(command: NvmeCommand, planned: IoPlan | null): void {
    if (command.direction !== 'in') return this.execute(command, planned);
    command.phase = 'receiving';
    // The request for data counts as an unsent PDU, too.
    this.unanswered++;
    command.askedStep = this.controller?.path.step ?? 0;
    this.writer.readyToTransfer(command);
  }

  private takeMemory(command: NvmeCommand): boolean {
    const lengthBytes = command.memoryBytes(this.qid);
    const bytes = DataBuffers.memoryBytes(lengthBytes);
    if (!this.memory.take(bytes)) return false;
    command.budgetBytes = bytes;
    command.hold(this.pools.data.take(lengthBytes));
    return true;
  }

  private execute(command: NvmeCommand, planned: IoPlan | null): void {
    command.phase = 'executing';
    if (this.login.auth?.execute(command) === true) return;
    if (this.qid === 0) this.controller?.execute(command);
    else this.io?.execute(command, planned);
  }

  mayContinue(): boolean {
    return this.isOpen && this.controller?.mayContinue() !== false;
  }

  // --- Login

  named(qid: number): void {
    this.qid = qid;
  }

  entered(controller: Controller, subsystem: Subsystem, request: ConnectRequest): void {
    this.controller = controller;
    this.proofs = new QueueProofs(controller, this.qid === 0);
    this.memory.join(request.hostNqn);
    this.io = new IoExecution(subsystem, request, this, controller.path);
  }

  serves(request: ConnectRequest): void {
    this.entries = request.entries;
    this.writer.hasFlowControl = request.hasFlowControl;
    this.writer.sqhd = 1 % this.entries;
    this.phase = 'serving';
  }

  // --- Answers

  /** Returns false, and ends the command, if the host can no longer get an answer. */
  private isAnswerable(command: NvmeCommand): boolean {
    assert(command.phase !== 'answered' && command.phase !== 'idle', 'A command is answered once');
    if (this.isOpen) return true;
    this.end(command);
    return false;
  }

  resume(then: () => void): void {
    try {
      if (this.isOpen) then();
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  answerRead(command: NvmeCommand): void {
    const { lengthBytes, held, received, receivedOffset } = command;
    assert(held !== null, 'A read has a buffer');
    if (lengthBytes <= GATE_COPY_MAX_BYTES) {
      if (received === null) this.answerCopied(command, command.buffer, 0, lengthBytes);
      else this.answerCopied(command, received, receivedOffset, lengthBytes);
      return;
    }
    received?.copy(command.buffer, 0, receivedOffset, receivedOffset + lengthBytes);
    command.phase = 'answered';
    this.proofs?.answered(command);
    this.writer.largeData(command, held.memory, lengthBytes);
  }

  private answerCopied(command: NvmeCommand, source: Buffer, sourceAt: number, lengthBytes: number): void {
    if (!this.isAnswerable(command)) return;
    this.proofs?.answered(command);
    this.writer.data(command, source, sourceAt, lengthBytes);
    // The output gives the memory back to the budget when the answer has left.
    command.budgetBytes = 0;
    this.release(command);
  }

  private answerLate(command: NvmeCommand): void {
    this.writer.completion(command, this.io?.lateCode ?? CODE.COMMAND_INTERRUPTED, 0, 0);
    command.isLate = true;
    // The command ends when the volume has completed it; `end` then decrements the count without an answer.
    this.unanswered++;
  }

  /** Ends a command that gets no answer. */
  private end(command: NvmeCommand): void {
    this.release(command);
    this.unanswered = counted(this.unanswered - 1, 'answers that are being sent');
  }

  private release(command: NvmeCommand): void {
    command.heldBy?.end();
    const held = command.releaseBuffer();
    if (held !== null) this.pools.data.giveBack(held);
    this.memory.giveBack(command.budgetBytes);
    command.budgetBytes = 0;
    command.phase = 'idle';
    this.pool.giveBack(command);
  }

  // --- End

  /** From now on, nothing that arrives is executed or answered. */
  private die(): void {
    if (!this.isOpen) return;
    this.phase = 'closed';
    this.decoder.stop();
    this.receiving = null;
    this.waiting.length = 0;
    this.memory.forget();
    this.output.close();
    this.login.auth?.close();
    if (this.qid === 0) this.controller?.adminClosed();
    else this.controller?.queueClosed();
    // Commands that a volume is executing end when the volume has completed them; all others end now.
    for (const command of this.pool.all)
      if (command.phase !== 'idle' && command.phase !== 'answered' && command.begunMs === null) this.end(command);
    this.settle();
  }

  private settle(): void {
    if (this.phase !== 'closed' || !this.hasDied || (this.io?.inVolume ?? 0) > 0 || this.unanswered > 0) return;
    this.phase = 'finished';
    this.memory.leave();
    this.controller?.left(this);
    this.events.finished();
  }
}
