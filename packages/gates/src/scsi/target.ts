// One target: its units, its nexuses, and task management. Invariants: a nexus sees each unit from the beginning; a task management
// function is answered only when the I/O that it applies to has ended, or never; aborted I/O is never answered.

import { GATE_QUIESCE_MS, SCSI_FUNCTIONS_MAX } from '../limits.ts';
import type { ReservationNotice } from '../reservations/reservation-rules.ts';
import type { ReservationGate, Reservations } from '../reservations/reservations.ts';
import { ATTENTION } from './constants.ts';
import { LogicalUnit } from './logical-unit.ts';
import { DEFAULT_MODES } from './mode-pages.ts';
import { Nexus, type NexusTarget } from './nexus.ts';
import type { NexusOptions, ScsiNexus, ScsiTargetOptions, TaskManagement } from './port.ts';
import type { ScsiTask } from './scsi-task.ts';
import type { UnitPort } from './unit-port.ts';

const NOTICE: Readonly<Record<ReservationNotice['what'], number>> = {
  'registration preempted': ATTENTION.REGISTRATIONS_PREEMPTED,
  'reservation released': ATTENTION.RESERVATIONS_RELEASED,
  'reservation preempted': ATTENTION.RESERVATIONS_PREEMPTED,
};

/** A task management function that waits for the end of I/O. */
interface Waiting {
  readonly nexus: Nexus;
  readonly request: TaskManagement;
  readonly tasks: Set<ScsiTask>;
  readonly sinceMs: number;
}

export class ScsiTarget implements NexusTarget, ReservationGate {
  readonly options: ScsiTargetOptions;
  private readonly units = new Map<number, LogicalUnit>();
  /** Units that are no longer shown, while volumes still execute their tasks. */
  private readonly gone = new Set<LogicalUnit>();
  private readonly nexuses = new Set<Nexus>();
  /** Nexuses that have ended, while volumes still execute their tasks. */
  private readonly ending = new Set<Nexus>();
  private readonly waiting = new Set<Waiting>();

  constructor(options: ScsiTargetOptions) {
    this.options = options;
  }

  get ports(): ReadonlyMap<number, UnitPort> {
    return new Map([...this.units].map(([lun, { port }]) => [lun, port]));
  }

  get luns(): readonly number[] {
    return [...this.units.keys()].toSorted((one, other) => one - other);
  }

  /** Shows a unit to hosts. A known unit with the same number and volume gets this port, for example because the volume is now here. */
  show(port: UnitPort): void {
    const known = this.units.get(port.lun);
    port.reservations?.gates.add(this);
    if (known !== undefined && known.port.volume.id === port.volume.id) {
      // Another gate may have had the volume meanwhile, and does not know a reservation by RESERVE and these modes.
      const isOther = known.port.reservations !== port.reservations && (known.port.reservations?.reservedBy ?? null) !== null;
      known.port = port;
      if (isOther || known.modes !== DEFAULT_MODES) known.reset(ATTENTION.RESET);
      known.raise(ATTENTION.ACCESS_CHANGED, null);
      return;
    }
    if (known !== undefined) this.hide(port.lun);
    const unit = new LogicalUnit(port);
    this.units.set(port.lun, unit);
    for (const nexus of this.nexuses) unit.enter(nexus);
    this.unitsChanged(unit);
  }

  hide(lun: number): void {
    const unit = this.units.get(lun);
    if (unit === undefined) return;
    this.units.delete(lun);
    for (const nexus of this.nexuses) unit.release(nexus);
    if (unit.tasks.size > 0) this.gone.add(unit);
    this.unitsChanged(null);
  }

  private unitsChanged(except: LogicalUnit | null): void {
    for (const unit of this.units.values()) if (unit !== except) unit.raise(ATTENTION.UNITS_CHANGED, null);
  }

  /** The size of the volume has changed. */
  changed(lun: number): void {
    this.units.get(lun)?.raise(ATTENTION.CAPACITY_CHANGED, null);
  }

  accessChanged(lun: number): void {
    this.units.get(lun)?.raise(ATTENTION.ACCESS_CHANGED, null);
  }

  /** The volume's storage has restarted, and may have lost writes that were not synced. */
  lostWrites(lun: number): void {
    this.units.get(lun)?.raise(ATTENTION.RESET, null);
  }

  begin(options: NexusOptions): ScsiNexus {
    const nexus = new Nexus(this, options);
    this.nexuses.add(nexus);
    for (const unit of this.units.values()) unit.enter(nexus);
    return nexus;
  }

  /** Called now and then. */
  tick(): void {
    const nowMs = this.options.nowMs();
    for (const nexus of [...this.nexuses]) nexus.tick(nowMs);
    for (const unit of this.units.values()) unit.port.reservations?.proceed();
    for (const waiting of [...this.waiting])
      if (nowMs - waiting.sinceMs > GATE_QUIESCE_MS) {
        this.waiting.delete(waiting);
        waiting.nexus.options.owner.close(`${waiting.request.what} waited ${GATE_QUIESCE_MS} ms for the end of I/O`);
      }
  }

  // --- NexusTarget

  unitAt(lun: number): LogicalUnit | null {
    return this.units.get(lun) ?? null;
  }

  left(task: ScsiTask, unit: LogicalUnit | null): void {
    if (unit?.tasks.size === 0) this.gone.delete(unit);
    for (const nexus of this.ending) if (nexus.inVolume === 0) this.ending.delete(nexus);
    for (const waiting of this.waiting) if (waiting.tasks.delete(task) && waiting.tasks.size === 0) this.answer(waiting);
  }

  ended(nexus: Nexus): void {
    this.nexuses.delete(nexus);
    if (nexus.inVolume > 0) this.ending.add(nexus);
    for (const unit of this.units.values()) unit.leave(nexus);
    for (const waiting of [...this.waiting]) if (waiting.nexus === nexus) this.waiting.delete(waiting);
  }

  manage(nexus: Nexus, request: TaskManagement): void {
    const { what, lun, tag } = request;
    const unit = this.unitAt(lun);
    switch (what) {
      case 'target warm reset':
      case 'target cold reset':
        return this.abort(nexus, request, () => true, null);
      default:
        if (unit === null) return request.done('no unit');
    }
    switch (what) {
      case 'query task':
        return request.done(this.find(nexus, unit, tag) === null ? 'no task' : 'succeeded');
      case 'query task set':
        return request.done([...nexus.tasks].some((task) => task.unit === unit) ? 'succeeded' : 'no task');
      case 'abort task': {
        const task = this.find(nexus, unit, tag);
        if (task !== null) return this.abort(nexus, request, (one) => one === task, unit);
        return request.done(nexus.options.owner.drop(lun, tag) ? 'complete' : 'no task');
      }
      case 'abort task set':
        return this.abort(nexus, request, (task) => task.user === nexus && task.unit === unit, unit);
      default:
        return this.abort(nexus, request, (task) => task.unit === unit, unit);
    }
  }

  private find(nexus: Nexus, unit: LogicalUnit, tag: number): ScsiTask | null {
    for (const task of nexus.tasks) if (task.tag === tag && task.unit === unit && !task.isAnswered && !task.isAborted) return task;
    return null;
  }

  /** Aborts all tasks for which `isMeant` is true, and answers when no volume executes any of them. `unit`: null stands for all units. */
  private abort(nexus: Nexus, request: TaskManagement, isMeant: (task: ScsiTask) => boolean, unit: LogicalUnit | null): void {
    if (this.waiting.size >= SCSI_FUNCTIONS_MAX) return nexus.options.owner.close('too many task management functions wait');
    const isOfOne = request.what === 'abort task' || request.what === 'abort task set';
    const waiting = { nexus, request, tasks: new Set<ScsiTask>(), sinceMs: this.options.nowMs() };
    for (const one of [...this.nexuses, ...this.ending]) {
      if (isOfOne && one !== nexus) continue;
      const isLive = this.nexuses.has(one);
      let isHit = isLive && request.what !== 'abort task' && one.options.owner.drop(unit === null ? null : request.lun, null);
      for (const task of one.tasks) {
        if (!isMeant(task)) continue;
        isHit ||= !task.isAnswered;
        if (!one.abort(task)) waiting.tasks.add(task);
      }
      if (request.what === 'clear task set' && isHit && one !== nexus && unit !== null) unit.raiseFor(one, ATTENTION.TASKS_CLEARED);
    }
    if (request.what !== 'clear task set' && !isOfOne) {
      const code = unit === null ? ATTENTION.RESET : ATTENTION.UNIT_RESET;
      for (const one of unit === null ? this.units.values() : [unit]) one.reset(code);
    }
    if (waiting.tasks.size === 0) request.done('complete');
    else this.waiting.add(waiting);
  }

  private answer(waiting: Waiting): void {
    this.waiting.delete(waiting);
    waiting.request.done('complete');
  }

  // --- ReservationGate

  hasRefusedIo(reservations: Reservations): boolean {
    const isRefused = (unit: LogicalUnit): boolean => unit.hasRefusedIo(reservations);
    return [...this.units.values(), ...this.gone].some(isRefused);
  }

  notify(reservations: Reservations, notices: readonly ReservationNotice[]): void {
    for (const unit of this.units.values())
      if (unit.port.reservations === reservations)
        for (const { hostId, what } of notices)
          for (const nexus of this.nexuses) if (nexus.hostId === hostId) unit.raiseFor(nexus, NOTICE[what]);
  }
}
