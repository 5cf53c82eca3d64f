// The SCSI commands of one session: their data, their memory, their order, their answers. iscsi-connection.ts moves bytes; the SCSI engine
// executes. Invariants: a task is given to the engine once, when all data that the engine wants is in its buffer; memory is taken before
// data is asked for, and a host that sends data for which there is no memory gets the status BUSY; a task that was given up is not executed.

import { counted } from '@rsio/base/lib/assert';
import type { BudgetUser } from '@rsio/rsiod/frontends/streams/memory-budget';
import type { HostWatch } from '../ports/host-watch.ts';
import { GATE_IMMEDIATE_MAX, GATE_SESSION_COMMANDS } from '../limits.ts';
import { MemoryShare } from '../ports/memory-share.ts';
import { BUSY, type Outcome } from '../scsi/constants.ts';
import { lunNumber } from '../scsi/lun.ts';
import type { ScsiNexus, TaskOwner } from '../scsi/port.ts';
import type { ScsiTask, TaskAttribute } from '../scsi/scsi-task.ts';
import { type AnswerWriter, budgetOf } from './answer-writer.ts';
import { IscsiTask } from './iscsi-task.ts';
import type { SessionParameters } from './login/negotiation.ts';
import { COMMAND, FINAL, IMMEDIATE, NO_TAG, REJECT } from './wire/constants.ts';
import type { GatePath } from '../order/gate-path.ts';
import type { GatePools } from '../ports/gate-protocol.ts';

/** Tasks of a session, including tasks that were answered late and that a volume still executes. */
const TASKS_MAX = 2 * GATE_SESSION_COMMANDS + GATE_IMMEDIATE_MAX;
/** ABORTED COMMAND, data phase error. */
const DATA_PHASE_ERROR = 0x0b_4b00;
const ATTRIBUTES: readonly TaskAttribute[] = ['simple', 'simple', 'ordered', 'head', 'simple'];

export interface SessionPorts {
  readonly isOpen: boolean;
  readonly writer: AnswerWriter;
  readonly watch: HostWatch;
  mayContinue(): boolean;
  close(why: string): void;
  failed(thrown: unknown): void;
  /** Refuses the request that has the header `head`. */
  reject(reason: number, head: Buffer): void;
  /** Called when something has ended, because the connection may then be finished. */
  settle(): void;
}

export class IscsiSession implements TaskOwner, BudgetUser {
  /** Commands that have arrived. */
  taken = 0;
  readonly tasks: IscsiTask[] = [];
  /** The offset in the buffer at which the data of the arriving PDU is stored. */
  targetOffset = 0;
  nexus: ScsiNexus | null = null;
  private readonly ports: SessionPorts;
  private readonly path: GatePath;
  private readonly parameters: SessionParameters;
  private readonly pools: GatePools;
  private readonly memory: MemoryShare;
  private readonly idle: IscsiTask[] = [];
  /** Tasks without an answer, by the tags of the host. */
  private readonly open = new Map<number, IscsiTask>();
  private openImmediate = 0;
  /** Tasks that wait for memory, in order. */
  private readonly waiting: IscsiTask[] = [];
  /** The task whose data is arriving, the length of the data in this PDU, and whether this PDU ends a sequence. */
  private receiving: IscsiTask | null = null;
  private arriving = 0;
  private isFinal = false;

  constructor(ports: SessionPorts, path: GatePath, host: string, parameters: SessionParameters, pools: GatePools) {
    this.ports = ports;
    this.path = path;
    this.parameters = parameters;
    this.pools = pools;
    this.memory = new MemoryShare(pools, this);
    this.memory.join(host);
  }

  /** The first task that waits for memory. */
  get firstWaiting(): IscsiTask | undefined {
    return this.waiting[0];
  }

  get isIdle(): boolean {
    return this.idle.length === this.tasks.length;
  }

  /** Tells the host how many commands it may send now. */
  offer(): void {
    const freeTasks = TASKS_MAX - GATE_IMMEDIATE_MAX - (this.tasks.length - this.idle.length);
    const free = GATE_SESSION_COMMANDS - (this.open.size - this.openImmediate);
    this.ports.writer.numbers.offer(Math.max(0, Math.min(free, freeTasks)));
  }

  // --- Arrival. Each method returns the buffer for the data of the PDU, or null to drop the data.

  command(head: Buffer, dataBytes: number): Buffer | null {
    const isImmediate = (head[0]! & IMMEDIATE) !== 0;
    const tag = head.readUInt32BE(16);
    if (tag === NO_TAG || this.open.has(tag)) return this.fault('has used the tag of a task that has no answer yet');
    if (isImmediate && this.openImmediate >= GATE_IMMEDIATE_MAX) {
      this.ports.reject(REJECT.IMMEDIATE, head);
      return null;
    }
    const task = this.newTask();
    if (task === null) return this.fault('has more commands than it may have');
    this.taken++;
    task.isImmediate = isImmediate;
    task.tag = tag;
    task.lun = lunNumber(head, 8);
    head.copy(task.cdb, 0, 32, 48);
    task.attribute = ATTRIBUTES[head[1]! & COMMAND.ATTRIBUTE_MASK] ?? 'simple';
    task.expectedBytes = head.readUInt32BE(20);
    task.hasDataOut = (head[1]! & COMMAND.WRITE) !== 0;
    this.open.set(tag, task);
    if (isImmediate) this.openImmediate++;
    return this.admit(task, (head[1]! & FINAL) !== 0, dataBytes);
  }

  dataOut(head: Buffer, dataBytes: number): Buffer | null {
    const task = this.open.get(head.readUInt32BE(16));
    // The host may not know yet that the task was given up.
    if (task === undefined) return null;
    const isAsked = task.phase === 'receiving' && head.readUInt32BE(20) === task.transferTag;
    if (!isAsked) return this.fault('has sent data without being asked');
    const isInOrder = head.readUInt32BE(40) === task.arrivedBytes;
    if (!isInOrder || task.arrivedBytes + dataBytes > task.sequenceEnd) return this.fault('has sent data out of order');
    // A number is missing. The command is answered when the rest of its data has arrived.
    if (!task.isRefused && head.readUInt32BE(36) !== task.dataSn) this.refuse(task, DATA_PHASE_ERROR);
    // The host has received the request for this data (rule D1).
    if (task.dataSn === 0 && task.transferTag !== NO_TAG) this.path.provesStep(task.askedStep);
    task.dataSn++;
    this.isFinal = (head[1]! & FINAL) !== 0;
    return this.receive(task, dataBytes);
  }

  /** All data of the PDU has arrived. */
  data(): void {
    const task = this.receiving;
    this.receiving = null;
    if (task === null) return;
    this.ports.watch.dataArrived();
    if (task.isDropped) return this.release(task);
    task.arrivedBytes += this.arriving;
    const isEnd = task.arrivedBytes === task.sequenceEnd;
    // Unsolicited data may end early.
    const isWrong = task.transferTag === NO_TAG ? isEnd && !this.isFinal : isEnd !== this.isFinal;
    if (isWrong) this.fault('has marked the end of its data wrongly');
    else if (this.isFinal) this.proceed(task);
  }

  // --- TaskOwner

  answer(answered: ScsiTask): void {
    const task = answered as IscsiTask;
    if (!task.isOpen || !this.ports.isOpen) return;
    try {
      this.forget(task);
      this.offer();
      this.ports.writer.result(task, this.parameters);
      if (task.isSending) task.phase = 'answered';
    } catch (thrown) {
      this.ports.failed(thrown);
    }
  }

  left(gone: ScsiTask): void {
    const task = gone as IscsiTask;
    task.isExecuting = false;
    try {
      // A task that was aborted has no answer.
      if (task.isOpen) this.forget(task);
      if (!task.isSending) this.release(task);
      this.ports.settle();
    } catch (thrown) {
      this.ports.failed(thrown);
    }
  }

  mayContinue(): boolean {
    return this.ports.mayContinue();
  }

  drop(lun: number | null, tag: number | null): boolean {
    let hasDropped = false;
    for (const task of this.open.values()) {
      if (task.isExecuting || (lun !== null && task.lun !== lun) || (tag !== null && task.tag !== tag)) continue;
      this.giveUp(task);
      hasDropped = true;
    }
    this.offer();
    return hasDropped;
  }

  close(why: string): void {
    this.ports.close(why);
  }

  // --- BudgetUser

  roomAgain(): void {
    try {
      for (let task = this.waiting[0]; task !== undefined && this.ports.mayContinue(); task = this.waiting[0]) {
        if (!this.takeMemory(task)) return;
        this.waiting.shift();
        this.transfer(task);
      }
    } catch (thrown) {
      this.ports.failed(thrown);
    }
  }

  giveBack(budgetBytes: number): void {
    this.memory.giveBack(budgetBytes);
  }

  /** The data of a task has been sent from its buffer, or can no longer be sent. */
  dataSent(task: IscsiTask): void {
    task.isSending = false;
    if (!task.isExecuting) this.release(task);
    this.offer();
    this.ports.settle();
  }

  /** The connection is closed; gives up the tasks that the engine is not executing. */
  end(): void {
    for (const task of this.open.values()) if (!task.isExecuting) this.giveUp(task);
    const { receiving } = this;
    this.receiving = null;
    if (receiving?.isDropped === true) this.release(receiving);
    this.memory.forget();
  }

  /** Called when nothing uses the session's memory any more. */
  finished(): void {
    this.memory.leave();
  }

  // --- Steps of a task

  private newTask(): IscsiTask | null {
    const idle = this.idle.pop();
    if (idle === undefined && this.tasks.length >= TASKS_MAX) return null;
    const task = idle ?? new IscsiTask(this.tasks.length, (sent) => this.dataSent(sent));
    if (idle === undefined) this.tasks.push(task);
    task.begin();
    task.phase = 'receiving';
    return task;
  }

  /** Decides about a command that has arrived with `dataBytes` of data; if `isFinal` is true, no more unsolicited data follows. */
  private admit(task: IscsiTask, isFinal: boolean, dataBytes: number): Buffer | null {
    const { parameters } = this;
    const unasked = task.hasDataOut ? Math.min(parameters.firstBurstBytes, task.expectedBytes) : 0;
    if (dataBytes > unasked || (dataBytes > 0 && !parameters.hasImmediateData))
      return this.fault('has sent data that a command must not have');
    if (!isFinal && task.hasDataOut && parameters.waitsForR2t) return this.fault('announces data that it may not send without being asked');
    task.sequenceEnd = unasked;
    this.isFinal = isFinal || !task.hasDataOut;
    task.isRefused = this.nexus?.plan(task) !== true;
    const isUnasked = dataBytes > 0 || !this.isFinal;
    if (isUnasked && !task.isRefused && !this.takeMemory(task)) this.refuse(task, BUSY);
    return this.receive(task, dataBytes);
  }

  private refuse(task: IscsiTask, outcome: Outcome): void {
    task.isRefused = true;
    task.presentedBytes = 0;
    task.settle(outcome);
  }

  private receive(task: IscsiTask, dataBytes: number): Buffer | null {
    this.receiving = task;
    this.arriving = dataBytes;
    this.targetOffset = task.arrivedBytes;
    return task.held === null || task.isRefused ? null : task.buffer;
  }

  /** All data of a sequence is here. */
  private proceed(task: IscsiTask): void {
    if (task.isRefused) {
      this.answer(task);
      return this.release(task);
    }
    if (task.held !== null || task.memoryBytes === 0) return this.transfer(task);
    if (this.waiting.length === 0 && this.takeMemory(task)) return this.transfer(task);
    task.phase = 'waiting';
    this.waiting.push(task);
  }

  /** Asks for the next data of a task that has memory, or executes it. */
  private transfer(task: IscsiTask): void {
    if (task.arrivedBytes < task.outBytes) {
      task.phase = 'receiving';
      task.transferTag = task.index;
      task.dataSn = 0;
      task.askedStep = this.path.step;
      task.sequenceEnd = Math.min(task.outBytes, task.arrivedBytes + this.parameters.burstBytes);
      return this.ports.writer.readyToTransfer(task);
    }
    task.phase = 'executing';
    task.isExecuting = true;
    this.nexus?.execute(task);
  }

  private takeMemory(task: IscsiTask): boolean {
    const bytes = budgetOf(task.memoryBytes);
    if (bytes === 0) return true;
    if (!this.memory.take(bytes)) return false;
    task.budgetBytes = bytes;
    task.hold(this.pools.data.take(task.memoryBytes));
    return true;
  }

  /** The task gets no answer, and is not executed. */
  private giveUp(task: IscsiTask): void {
    this.forget(task);
    const at = this.waiting.indexOf(task);
    if (at >= 0) this.waiting.splice(at, 1);
    if (at >= 0 && this.waiting.length === 0) this.memory.forget();
    if (this.receiving === task) task.isDropped = true;
    else this.release(task);
  }

  /** The task does not wait for an answer any more. */
  private forget(task: IscsiTask): void {
    task.isOpen = false;
    if (this.open.get(task.tag) === task) this.open.delete(task.tag);
    if (task.isImmediate) this.openImmediate = counted(this.openImmediate - 1, 'immediate commands');
  }

  private release(task: IscsiTask): void {
    const held = task.releaseBuffer();
    if (held !== null) this.pools.data.giveBack(held);
    this.memory.giveBack(task.budgetBytes);
    task.budgetBytes = 0;
    task.phase = 'idle';
    this.idle.push(task);
  }

  private fault(what: string): null {
    this.ports.close(`its host ${what}`);
    return null;
  }
}
