// One nexus of an initiator port and a target port: admits its commands, executes them or passes them to their volumes, and answers them.
// target.ts has the units. Invariants: every request is admitted in the same turn of the event loop in which the volume gets it; a task is
// answered once, and `left` is called when no volume executes it any more; after `end`, nothing is answered.

import { assert } from '@rsio/base/lib/assert';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { GATE_BUSY_MS, GATE_QUIESCE_MS } from '../limits.ts';
import { BlockExecution, type BlockPorts, outcomeOf } from './block-execution.ts';
import { planBlocks, unmapRange, unmapRanges } from './block-plan.ts';
import { type Command, commandOf, isOnce } from './command-table.ts';
import { BUSY, CONFLICT, GOOD, type Outcome, SENSE } from './constants.ts';
import { CopyExecution, planCopy } from './copy-execution.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { NexusOptions, ScsiNexus, TaskManagement } from './port.ts';
import { nexusName, outAction, outOutcome, inData } from './reservation-codec.ts';
import { type ScsiTask, type TaskEvents, taskOf } from './scsi-task.ts';
import { type CommandTarget, type CommandUser, executeNow, planParameters } from './unit-commands.ts';

/** The target of a nexus. */
export interface NexusTarget extends CommandTarget {
  unitAt(lun: number): LogicalUnit | null;
  manage(nexus: Nexus, request: TaskManagement): void;
  /** A task has ended. */
  left(task: ScsiTask, unit: LogicalUnit | null): void;
  ended(nexus: Nexus): void;
}

export class Nexus implements ScsiNexus, CommandUser, TaskEvents, BlockPorts {
  readonly hostId: string;
  readonly options: NexusOptions;
  readonly tasks = new Set<ScsiTask>();
  private readonly target: NexusTarget;
  private readonly blocks = new BlockExecution(this);
  private readonly copy = new CopyExecution(this);
  private whenEmpty: (() => void) | null = null;
  private hasEnded = false;

  constructor(target: NexusTarget, options: NexusOptions) {
    this.target = target;
    this.options = options;
    this.hostId = nexusName(options.initiatorPort, options.targetPort);
  }

  get inVolume(): number {
    return this.tasks.size;
  }

  get targetPort(): number {
    return this.options.targetPort;
  }

  plan(task: ScsiTask): boolean {
    task.renew();
    task.user = this;
    task.events = this;
    const outcome = this.planned(task);
    if (outcome !== GOOD) task.settle(outcome);
    return outcome === GOOD;
  }

  execute(task: ScsiTask): void {
    const { command, unit } = task;
    assert(command !== null && !this.hasEnded, 'A task is planned first, and executed while its nexus is there');
    this.tasks.add(task);
    unit?.tasks.add(task);
    task.begunMs = this.target.options.nowMs();
    const refused = this.admission(task);
    if (refused === GOOD) this.start(task, command);
    else this.settle(task, refused);
  }

  private start(task: ScsiTask, command: Command): void {
    if (command.place === 'blocks') this.enter(task);
    else if (command.place === 'reservations') this.reserve(task);
    else if (this.isInOrder(task, command)) this.settle(task, executeNow(task, this, this.target));
  }

  /** False if the task changes what other hosts depend on, and is held (rule D1). */
  private isInOrder(task: ScsiTask, { kind }: Command): boolean {
    const isOrder = kind === 'reserve' || kind === 'release' || kind === 'mode select';
    return !isOrder || task.unit?.port.order?.orders.executes(this.options.path, task, 0, 1) !== false;
  }

  manage(request: TaskManagement): void {
    this.target.manage(this, request);
  }

  end(done: () => void): void {
    assert(!this.hasEnded, 'A nexus ends once');
    this.hasEnded = true;
    this.whenEmpty = done;
    for (const task of this.tasks) this.abort(task);
    this.target.ended(this);
    if (this.tasks.size === 0) this.empty();
  }

  /** The task gets no answer. It ends now if no volume has it, because it is held. Returns true if it has ended. */
  abort(task: ScsiTask): boolean {
    task.isAborted = true;
    if (task.heldBy?.isWaiting !== true) return false;
    this.leave(task);
    return true;
  }

  /** Answers commands that volumes have not completed in time, and ends a nexus that is stuck. Called now and then. */
  tick(nowMs: number): void {
    for (const task of this.tasks) {
      const waitedMs = nowMs - task.begunMs;
      if (task.isAborted || task.isAnswered) continue;
      if (task.command?.place === 'reservations') {
        if (waitedMs > GATE_QUIESCE_MS) return this.options.owner.close(`a reservation waited ${GATE_QUIESCE_MS} ms for its end`);
      } else if (waitedMs > (task.unit?.port.access === 'active' ? GATE_BUSY_MS : 0)) this.giveUp(task);
    }
  }

  /** The host repeats the task. What a volume has of it comes before the repetition (O1), but some commands must not be repeated. */
  private giveUp(task: ScsiTask): void {
    if (this.isUncertain(task)) return;
    if (task.heldBy?.isWaiting === true) this.settle(task, this.away);
    else this.answer(task, this.away);
  }

  /** True if the task may have changed something, so that its repetition could have another result. */
  private isUncertain({ hasBegun, command }: ScsiTask): boolean {
    return hasBegun && command !== null && isOnce(command.kind);
  }

  // --- TaskEvents, BlockPorts

  completed(task: ScsiTask, status: Status): void {
    if (task.isAborted || task.isAnswered) this.leave(task);
    else if (status !== STATUS.OK) this.settle(task, outcomeOf(status, task.op !== 'read', this.away));
    else this.continue(task);
  }

  private continue(task: ScsiTask): void {
    if (isStepwise(task)) this.unlock(task);
    if (task.command?.kind === 'copy') this.copy.completed(task);
    else this.blocks.completed(task);
  }

  proceed(task: ScsiTask): void {
    const refused = this.mayContinue(task) ? this.admission(task) : BUSY;
    if (refused !== GOOD) this.settle(task, refused);
    else if (isStepwise(task)) this.submit(task);
    else if (this.isAdmitted(task)) this.begin(task);
    else this.unlock(task);
  }

  private begin(task: ScsiTask): void {
    if (task.command?.kind === 'copy') this.copy.begin(task);
    else this.blocks.begin(task);
  }

  goOn(task: ScsiTask): void {
    const { command } = task;
    const refused = this.mayContinue(task) ? this.admission(task) : BUSY;
    if (refused !== GOOD || command === null) this.settle(task, refused);
    else if (task.isLocked || isStepwise(task)) this.submit(task);
    else this.start(task, command);
  }

  submit(task: ScsiTask): void {
    const refused = this.admission(task);
    const { unit, op, positionBytes, lengthBytes } = task;
    if (refused !== GOOD || unit === null) return this.settle(task, refused);
    const isChange = op !== 'read' && op !== 'flush';
    if (isStepwise(task) && !task.isLocked && !this.locksStep(task, unit, isChange)) return;
    if (isChange && unit.port.order?.blocks.executes(this.options.path, task, positionBytes, lengthBytes) === false) {
      if (isStepwise(task)) this.unlock(task);
      return;
    }
    task.hasBegun ||= isChange;
    task.reservations = unit.port.reservations;
    unit.port.volume.submit(task);
  }

  mayContinue(task: ScsiTask): boolean {
    return !task.isAborted && !task.isAnswered && !this.hasEnded && this.options.owner.mayContinue();
  }

  /** Returns whether the copy with this identifier succeeded, and forgets it; null if it is not known. */
  takeCopyResult(id: number): boolean | null {
    return this.copy.takeResult(id);
  }

  get away(): Outcome {
    return this.target.options.hasPartner ? SENSE.STANDBY : BUSY;
  }

  // --- Admission

  private planned(task: ScsiTask): Outcome {
    const unit = this.target.unitAt(task.lun);
    task.unit = unit;
    const command = commandOf(task.cdb);
    if (unit === null && (typeof command === 'string' || command.needs !== 'nothing')) return SENSE.NO_UNIT;
    if (command === 'opcode') return SENSE.INVALID_OPCODE;
    if (command === 'action') task.field = 1;
    if (typeof command === 'string' || hasNaca(task, command)) return SENSE.INVALID_FIELD;
    task.command = command;
    const attention = unit === null || tellsNothing(command) ? 0 : unit.takeAttention(this);
    if (attention !== 0) return attention;
    const refused = this.admission(task);
    if (refused !== GOOD || unit === null) return refused;
    if (command.kind === 'copy') return planCopy(task, unit);
    return command.place === 'blocks' ? planBlocks(task, unit) : planParameters(task);
  }

  /** Returns why a unit refuses a command now; GOOD if the unit admits the command. */
  private admission(task: ScsiTask): Outcome {
    const { command, unit } = task;
    if (unit === null || command === null) return GOOD;
    if (this.target.unitAt(unit.port.lun) !== unit) return SENSE.NO_UNIT;
    if (unit.refuses(this, command.conflict)) return CONFLICT;
    const { access } = unit.port;
    if (command.needs !== 'volume' || access === 'active') return GOOD;
    return access === 'standby' ? SENSE.STANDBY : SENSE.TRANSITION;
  }

  // --- Execution

  /** Starts the task, or makes it wait for changes that it must not overlap. */
  private enter(task: ScsiTask): void {
    const { range, unit, command, attribute } = task;
    assert(unit !== null && command !== null, 'A task for blocks has a unit');
    if (isStepwise(task)) return this.begin(task);
    const isOrdered = attribute === 'ordered';
    const isWhole = isOrdered || task.rangeBytes === 0;
    range.beginBytes = isWhole ? 0 : task.firstBytes;
    range.endBytes = isWhole ? Infinity : task.firstBytes + task.rangeBytes;
    range.isExclusive = isOrdered || command.kind === 'orwrite' || command.kind === 'write and verify';
    if (!this.isAdmitted(task)) return;
    task.isLocked = true;
    if (unit.lock.enter(range)) this.begin(task);
  }

  /** What is held does not keep the lock, so that the commands of other paths do not wait for it. */
  private isAdmitted(task: ScsiTask): boolean {
    const { unit, command } = task;
    const order = unit?.port.order?.blocks ?? null;
    if (order === null || unit === null || command?.conflict !== 'change') return true;
    const { path } = this.options;
    if (command.kind === 'copy') return this.copy.targets(task, unit).every(([at, length]) => order.admits(path, task, at, length));
    if (command.kind !== 'unmap') return task.rangeBytes === 0 || order.admits(path, task, task.firstBytes, task.rangeBytes);
    for (let index = 0; index < unmapRanges(task); index++) {
      const [first, blocks] = unmapRange(task, index);
      const { blockSizeBytes } = unit;
      if (blocks > 0 && !order.admits(path, task, first * blockSizeBytes, blocks * blockSizeBytes)) return false;
    }
    return true;
  }

  /** Locks the blocks of a step. Returns false if the step must wait; it is submitted again. */
  private locksStep(task: ScsiTask, unit: LogicalUnit, isChange: boolean): boolean {
    const { range, positionBytes, lengthBytes } = task;
    if (isChange && unit.port.order?.blocks.admits(this.options.path, task, positionBytes, lengthBytes) === false) return false;
    range.beginBytes = positionBytes;
    range.endBytes = positionBytes + lengthBytes;
    range.isExclusive = false;
    task.isLocked = true;
    return unit.lock.enter(range);
  }

  /** Others go on in place of the task. */
  private unlock(task: ScsiTask): void {
    const free = task.isLocked ? (task.unit?.lock.leave(task.range) ?? NOTHING) : NOTHING;
    task.isLocked = false;
    for (const entry of free) {
      const waiting = taskOf(entry);
      waiting?.events?.proceed(waiting);
    }
  }

  private reserve(task: ScsiTask): void {
    const reservations = task.unit?.port.reservations ?? null;
    if (reservations === null) return this.settle(task, SENSE.INVALID_OPCODE);
    const { cdb, buffer, outBytes } = task;
    const action = task.command?.kind === 'pr in' ? ({ verb: 'report' } as const) : outAction(cdb, buffer.subarray(0, outBytes));
    if (typeof action === 'number') return this.settle(task, action);
    reservations.execute({
      hostId: this.hostId,
      hostNqn: this.options.initiatorName,
      action,
      isWanted: () =>
        this.mayContinue(task) &&
        (action.verb === 'report' || task.unit?.port.order?.orders.executes(this.options.path, task, 0, 1) !== false),
      dropped: () => {
        if (task.heldBy === null) this.settle(task, BUSY);
      },
      ended: (outcome) => {
        if (outcome === 'unknown') {
          if (!task.isAborted && !this.hasEnded) this.options.owner.close('nobody knows whether its reservation was saved');
          return this.leave(task);
        }
        if (action.verb === 'report' && outcome === 'done') task.give(inData(cdb, reservations.state), cdb.readUInt16BE(7));
        this.settle(task, outOutcome(outcome, action));
      },
    });
  }

  // --- Ends

  settle(task: ScsiTask, outcome: Outcome): void {
    const isRepeated = outcome === BUSY || outcome === SENSE.STANDBY || outcome === SENSE.TRANSITION;
    if (isRepeated && this.isUncertain(task) && !task.isAborted && !this.hasEnded)
      this.options.owner.close('nobody knows how much was executed of a command that must not be repeated');
    if (!task.isAnswered && !task.isAborted && !this.hasEnded) this.answer(task, outcome);
    this.leave(task);
  }

  private answer(task: ScsiTask, outcome: Outcome): void {
    task.isAnswered = true;
    task.settle(outcome);
    if (task.command?.kind === 'copy') this.copy.answered(task, outcome === GOOD);
    this.options.owner.answer(task);
  }

  /** The task ends. Starts tasks that have waited for it. */
  private leave(task: ScsiTask): void {
    const { unit } = task;
    task.heldBy?.end();
    this.copy.left(task);
    this.tasks.delete(task);
    unit?.tasks.delete(task);
    const free = unit !== null && task.isLocked ? unit.lock.leave(task.range) : NOTHING;
    task.isLocked = false;
    // The transport may immediately re-use the object for another command.
    const isChange = task.conflict !== 'never';
    this.options.owner.left(task);
    this.target.left(task, unit);
    for (const entry of free) {
      const waiting = taskOf(entry);
      waiting?.events?.proceed(waiting);
    }
    if (isChange) unit?.port.reservations?.proceed();
    if (this.hasEnded && this.tasks.size === 0) this.empty();
  }

  private empty(): void {
    const { whenEmpty } = this;
    this.whenEmpty = null;
    whenEmpty?.();
  }
}

const NOTHING: readonly never[] = [];

/**
 * True if each step of the task locks its own blocks, and nothing else. An ordered task keeps the lock of the unit, because later tasks must
 * not come between its steps.
 */
function isStepwise({ command, attribute }: ScsiTask): boolean {
  return attribute !== 'ordered' && (command?.kind === 'unmap' || command?.kind === 'copy');
}

/** True for commands that do not report unit attentions; these then wait for a later command. */
function tellsNothing({ kind }: Command): boolean {
  return kind === 'inquiry' || kind === 'luns' || kind === 'sense';
}

/** True if the command sets NACA, which asks for another kind of error handling in the queue, which units do not support. */
function hasNaca({ cdb }: ScsiTask, { usage }: Command): boolean {
  return (cdb[usage.length - 1]! & 0x04) !== 0;
}
