// Makes and removes the snapshots of schedules. planSchedule decides; SnapshotVerbs makes each change in its turn of the change queue.
// Invariants: an order names its volume by the id (ADR 0118). At most one change of the runner runs or waits, so that late changes never pile up. planSchedule decides again when the
// change begins. For each volume, a failure is logged once, shown until the next success, and retried after growing delays.

import { assert } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { type RsError, toRsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { eventOf } from '../events/event-log.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { type Found, type PoolState, volumeText } from '../pools/catalogue.ts';
import { closedFor } from '../pools/follower-rules.ts';
import { SNAPSHOT_GROUP_MAX } from '../pools/limits.ts';
import { planSchedule, type SchedulePlan } from '../pools/schedules/plan.ts';
import { RulePace } from '../pools/schedules/rule-pace.ts';
import { parseSchedule, periodEnd } from '../pools/schedules/schedule.ts';
import { madeMs, type SnapshotRecord } from '../pools/snapshots/snapshot-record.ts';
import { SCHEDULE_LOOK_MS, SCHEDULE_NAMED_MAX, SCHEDULE_RETRY_MAX_MS, SCHEDULE_RETRY_MS } from './limits.ts';
import type { SnapshotsToMake } from '@rsio/common/triggers/triggers';
import type { Turn } from '../pools/requests/turn.ts';
import { type SnapshotOrder, snapshotsOf, snapshotText } from './snapshot-rules.ts';
import type { SnapshotOrders } from './snapshot-verbs.ts';

export interface ScheduleRunnerPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'debug'>;
  readonly snapshots: SnapshotOrders;
  pools(): readonly PoolState[];
  /** Runs the triggers that precede a snapshot, then `make`, which makes the snapshots, then the triggers that follow a snapshot. */
  around<T>(wanted: SnapshotsToMake, make: () => Promise<T>): Promise<T>;
  /** Told what was tried by schedule. `error` is null if it is done. */
  tried(method: 'volume-snapshot' | 'volume-snapshot-remove', params: object, error: RsError | null): void;
  /** Executes a change in its turn in the queue of changes. */
  change<T>(work: (turn: Turn) => Promise<T>, what: string): Promise<T>;
}

/** The state of a schedule that `volume show` prints. */
export interface ScheduleState {
  readonly text: string;
  /** Time at which the newest scheduled snapshot was made. */
  readonly lastMs: number | null;
  /**
   * `failedMs`, `failure`: time and text of the last failure. `failedMs` and `failure` are null if a snapshot has succeeded since the last
   * failure.
   */
  readonly failedMs: number | null;
  readonly failure: string | null;
  /** Why an old snapshot could not be removed; null if every removal has succeeded. */
  readonly skipped: string | null;
  readonly rules: readonly RuleState[];
}

/** `kept`, `lastMs`: number of the rule's snapshots, and when the newest one was made. `nextMs`: when the next period begins. */
interface RuleState {
  readonly label: string;
  readonly keep: number;
  readonly kept: number;
  readonly lastMs: number | null;
  readonly nextMs: number;
}

/** What the runner remembers about a volume until the next restart. */
interface Memory {
  plan: { readonly schedule: string; readonly snapshots: object; readonly fromMs: number; readonly result: SchedulePlan } | null;
  failure: { readonly atMs: number; readonly text: string } | null;
  /** Monotonic time before which no snapshot is retried. */
  retryMs: number;
  waitMs: number;
  /**
   * True after the snapshot of a group with this volume has failed. The next snapshot covers this volume alone, so that one volume cannot
   * make the snapshots of other volumes fail.
   */
  isAlone: boolean;
  skipped: string | null;
  removalMs: number;
  readonly pace: RulePace;
}

interface DueSnapshot {
  readonly found: Found;
  readonly snapshot: SnapshotOrder;
}

export class ScheduleRunner {
  private readonly ports: ScheduleRunnerPorts;
  private readonly memories = new Map<string, Memory>();
  private timer: Timer | null = null;
  private isClosed = false;
  private looking: Promise<void> | null = null;
  private isWanted = false;
  /** True while a change waits or runs. */
  private isChanging = false;

  constructor(ports: ScheduleRunnerPorts) {
    this.ports = ports;
  }

  /** Stops the runner. No further change begins. */
  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
  }

  /** Returns null if the volume has no schedule. */
  stateOf(found: Found): ScheduleState | null {
    const { id, schedule } = found.manifest;
    if (schedule === undefined) return null;
    const memory = this.memories.get(id);
    const made = snapshotsOf(found).list.filter((one) => one.schedule !== undefined);
    const { atMs = null, text = null } = memory?.failure ?? {};
    const nowMs = this.ports.clock.wallMs();
    const rules = parseSchedule(schedule).map((rule) => {
      const own = made.filter((one) => one.schedule === rule.label);
      const { label, keep } = rule;
      return { label, keep, kept: own.length, lastMs: lastOf(own), nextMs: periodEnd(rule, nowMs) };
    });
    return { text: schedule, lastMs: lastOf(made), failedMs: atMs, failure: text, skipped: memory?.skipped ?? null, rules };
  }

  /** Makes and removes the snapshots that are due. Sets a timer for the next check. Resolves when nothing is due. */
  look(): Promise<void> {
    this.isWanted = true;
    this.looking ??= this.rounds().finally(() => {
      this.looking = null;
      if (!this.isClosed) this.timer = this.ports.clock.after(this.pauseMs(), () => void this.look());
    });
    return this.looking;
  }

  private async rounds(): Promise<void> {
    this.timer?.cancel();
    // Each round makes at most one snapshot of a volume, even if several rules are due.
    while (this.isWanted && !this.isClosed) {
      this.isWanted = false;
      if (await this.round()) this.isWanted = true;
    }
  }

  /** Returns true if a snapshot was made. */
  private async round(): Promise<boolean> {
    let isChanged = false;
    for (const ids of this.groups()) {
      if (this.isClosed) return false;
      isChanged = (await this.make(ids)) || isChanged;
    }
    for (const found of this.scheduled()) await this.removeExcess(found);
    return isChanged && !this.isClosed;
  }

  /** Returns the volumes with a schedule that clients can open: the schedules of followers rest. Forgets what the runner remembers about volumes without a schedule. */
  private scheduled(): Found[] {
    const found = this.ports
      .pools()
      .flatMap((pool) =>
        [...pool.volumes.values()].flatMap((manifest) =>
          manifest.schedule === undefined || closedFor(manifest) !== null ? [] : { pool, manifest },
        ),
      );
    if (this.memories.size > found.length) {
      const ids = new Set<string>(found.map(({ manifest }) => manifest.id));
      for (const id of this.memories.keys()) if (!ids.has(id)) this.memories.delete(id);
    }
    return found;
  }

  /** Returns the ids of volumes whose snapshots are due, grouped by moment. */
  private groups(): string[][] {
    const now = this.ports.clock.monotonicMs();
    const groups: string[][] = [];
    const open = new Map<string, string[]>();
    for (const found of this.scheduled()) {
      const { id } = found.manifest;
      const memory = this.memoryOf(id);
      if (this.noteResting(found, memory)) continue;
      const { stuck } = this.planOf(found);
      if (stuck !== null) this.noteStuck(found, stuck);
      const due = this.dueNow(found);
      // Skip a volume while a command is making a snapshot of it in the background.
      if (due.length === 0 || now < memory.retryMs || snapshotsOf(found).making.length > 0) continue;
      let group = memory.isAlone ? undefined : open.get(found.pool.name);
      if (group === undefined || group.length >= SNAPSHOT_GROUP_MAX) {
        group = [];
        groups.push(group);
        if (!memory.isAlone) open.set(found.pool.name, group);
      }
      group.push(id);
    }
    return groups;
  }

  private async make(ids: readonly string[]): Promise<boolean> {
    const { ports } = this;
    const tried = this.dueOf(ids);
    const snapshots = tried.map(({ snapshot }) => snapshot);
    if (tried.length === 0) return false;
    let isMade = false;
    let ordered = tried;
    const tell = (error: RsError | null): void =>
      ports.tried(
        'volume-snapshot',
        { snapshots: ordered.map(({ snapshot }) => snapshot).map(({ name, universe, snapshot }) => ({ name, universe, snapshot })) },
        error,
      );
    try {
      const make = async (turn: Turn): Promise<void> => {
        // Commands may have changed the volumes while the change waited for its turn.
        const now = new Set(this.dueOf(ids).map(keyOf));
        const still = tried.filter((one) => now.has(keyOf(one)));
        ordered = still;
        isMade = !this.isClosed && still.length > 0;
        if (isMade)
          await ports.snapshots.snapshot(
            still.map(({ snapshot }) => snapshot),
            LOCAL_ASKER,
            null,
            turn,
          );
      };
      const what = `snapshots of ${plural(ids.length, 'volume')} by schedule`;
      await ports.around({ snapshots, by: null, isScheduled: true }, () => this.change(make, what));
      if (isMade) this.succeeded(tried);
      if (isMade) tell(null);
      return isMade;
    } catch (thrown) {
      const error = toRsError(thrown);
      tell(error);
      this.failed(tried, error.message);
      return false;
    }
  }

  private dueOf(ids: readonly string[]): DueSnapshot[] {
    const wanted = new Set(ids);
    return this.scheduled()
      .filter(({ manifest }) => wanted.has(manifest.id))
      .flatMap((found) =>
        this.dueNow(found)
          .slice(0, 1)
          .map((due) => ({ found, snapshot: newSnapshot(found, due) })),
      );
  }

  /** Returns what is due by the clock, as far as the time that has passed allows it (rule-pace.ts). */
  private dueNow(found: Found): SchedulePlan['due'] {
    const [nowMs, memory] = [this.ports.clock.monotonicMs(), this.memoryOf(found.manifest.id)];
    return this.planOf(found).due.filter(({ label }) => {
      const isPaced = memory.pace.mayMake(label, periodOf(found, label), nowMs);
      if (!isPaced)
        this.noteNone(found, label, 'the clock of this server jumps, so that more are due than periods have passed: correct the clock');
      return isPaced;
    });
  }

  private succeeded(made: readonly DueSnapshot[]): void {
    const nowMs = this.ports.clock.monotonicMs();
    for (const { found, snapshot } of made) {
      const memory = this.memoryOf(found.manifest.id);
      Object.assign(memory, { failure: null, retryMs: 0, waitMs: 0, isAlone: false });
      memory.pace.made(snapshot.schedule ?? '', periodOf(found, snapshot.schedule ?? ''), nowMs);
    }
    const [first] = made;
    if (first === undefined) return;
    const text = namesText(made.map(({ snapshot }) => snapshotText(snapshot)));
    this.ports.log.info(`Made by schedule: snapshot ${text}`, eventOf(objectText(first.found, made.length), '-', 'snapshot made', text));
  }

  private failed(tried: readonly DueSnapshot[], message: string): void {
    const [first] = tried;
    if (first === undefined) return;
    const { clock, log } = this.ports;
    let isNew = false;
    for (const { found } of tried) {
      const memory = this.memoryOf(found.manifest.id);
      isNew ||= memory.failure?.text !== message;
      memory.failure = { atMs: clock.wallMs(), text: message };
      memory.waitMs = Math.min(SCHEDULE_RETRY_MAX_MS, Math.max(SCHEDULE_RETRY_MS, memory.waitMs * 2));
      memory.retryMs = clock.monotonicMs() + memory.waitMs;
      memory.isAlone ||= tried.length > 1;
    }
    const names = namesText(tried.map(({ snapshot }) => snapshotText(snapshot)));
    const text = `Snapshot ${names} was not made by schedule: ${message}`;
    if (isNew) log.warn(text, eventOf(objectText(first.found, tried.length), '-', 'snapshot failed', text));
    else log.debug(text);
  }

  /**
   * Returns true, and records why, if the volume gets no scheduled snapshots. Only the holder of a mirror knows whether a replica has all
   * writes (M22). No client can change a volume whose name means another one, and new snapshots would only push out its older ones.
   */
  private noteResting(found: Found, memory: Memory): boolean {
    const { manifest, pool } = found;
    const name = volumeText(manifest);
    const other = namesakeOf(this.ports.pools(), found);
    const text =
      manifest.replica !== undefined
        ? `the volume is a replica of a mirror, whose snapshots are made on the client that has it attached: ` +
          `run rsconfig volume snapshot ${name}@NAME there from a timer`
        : other === null
          ? null
          : `a volume of pool ${other.name} has its name, so that no client can use this one of pool ${pool.name}: ` +
            `rsadm volume rename ${name} NEW gives that one another name, then run rsadm reload`;
    if (text === null) return false;
    if (memory.failure?.text === text) return true;
    memory.failure = { atMs: this.ports.clock.wallMs(), text };
    const whole = `Volume ${name} gets no snapshots by schedule: ${text}`;
    this.ports.log.warn(whole, eventOf(objectText(found, 1), '-', 'snapshot failed', whole));
    return true;
  }

  private noteStuck(found: Found, label: string): void {
    const { skipped } = this.memoryOf(found.manifest.id);
    this.noteNone(found, label, `too many old ${label} snapshots could not be removed (${skipped ?? 'see the log of rssrv'})`);
  }

  /** Records why the volume gets no further snapshots of a rule. The time of the next attempt does not change. */
  private noteNone(found: Found, label: string, text: string): void {
    const memory = this.memoryOf(found.manifest.id);
    if (memory.failure === null) {
      const whole = `Volume ${volumeText(found.manifest)} gets no further ${label} snapshots: ${text}`;
      this.ports.log.warn(whole, eventOf(objectText(found, 1), '-', 'snapshot failed', whole));
    }
    memory.failure ??= { atMs: this.ports.clock.wallMs(), text };
  }

  /** Removes the snapshots that the rules do not keep. A snapshot in use stays, and is retried later. */
  private async removeExcess(now: Found): Promise<void> {
    const { clock, log, snapshots } = this.ports;
    const { id } = now.manifest;
    const memory = this.memoryOf(id);
    if (clock.monotonicMs() < memory.removalMs) return;
    const find = (): Found | undefined => this.scheduled().find(({ manifest }) => manifest.id === id);
    let skipped: string | null = null;
    for (const name of this.planOf(now).excess) {
      if (this.isClosed) return;
      try {
        await this.change(async () => {
          const found = find();
          if (found === undefined || !this.planOf(found).excess.includes(name)) return;
          const record = snapshotsOf(found).list.find((one) => one.name === name);
          if (record === undefined) return;
          await snapshots.remove({ id, snapshotId: record.id }, LOCAL_ASKER, null);
          log.info(`Removed by schedule: snapshot ${volumeText(found.manifest)}@${name}`);
          const { name: volume, universe } = found.manifest;
          this.ports.tried('volume-snapshot-remove', { name: volume, universe, snapshot: name }, null);
        }, `removing snapshot ${name} by schedule`);
      } catch (thrown) {
        skipped = `${name}: ${toRsError(thrown).message}`;
        if (skipped !== memory.skipped)
          log.warn(
            `Not removed by schedule: snapshot ${volumeText(now.manifest)}@${skipped}`,
            eventOf(objectText(now, 1), '-', 'snapshot kept'),
          );
        memory.removalMs = clock.monotonicMs() + SCHEDULE_RETRY_MAX_MS;
      }
    }
    memory.skipped = skipped;
  }

  private async change<T>(work: (turn: Turn) => Promise<T>, what: string): Promise<T> {
    assert(!this.isChanging, 'Two changes of schedules run at once');
    this.isChanging = true;
    try {
      return await this.ports.change(work, what);
    } finally {
      this.isChanging = false;
    }
  }

  private planOf(found: Found): SchedulePlan {
    const nowMs = this.ports.clock.wallMs();
    const { id, schedule = 'none' } = found.manifest;
    const snapshots = snapshotsOf(found);
    const memory = this.memoryOf(id);
    const known = memory.plan;
    // A kept plan with a due snapshot is not used a second time, because the name of the snapshot contains the time at which the plan was
    // made.
    const isValid =
      known?.result.due.length === 0 &&
      known.schedule === schedule &&
      known.snapshots === snapshots &&
      known.fromMs <= nowMs &&
      nowMs < known.result.nextMs;
    if (isValid) return known.result;
    const all = [...snapshots.list, ...snapshots.pending, ...snapshots.making].map((one) => ({
      name: one.name,
      schedule: one.schedule ?? null,
    }));
    const result = planSchedule(parseSchedule(schedule), all, nowMs);
    memory.plan = { schedule, snapshots, fromMs: nowMs, result };
    return result;
  }

  private memoryOf(id: string): Memory {
    let memory = this.memories.get(id);
    if (memory === undefined) {
      memory = { plan: null, failure: null, retryMs: 0, waitMs: 0, isAlone: false, skipped: null, removalMs: 0, pace: new RulePace() };
      this.memories.set(id, memory);
    }
    return memory;
  }

  /**
   * Returns the time until the next rule is due. The result is at most SCHEDULE_LOOK_MS, because an administrator may set the clock of
   * the machine.
   */
  private pauseMs(): number {
    const nowMs = this.ports.clock.wallMs();
    const nextMs = this.scheduled().reduce((next, found) => Math.min(next, this.planOf(found).nextMs), Number.POSITIVE_INFINITY);
    return Math.min(SCHEDULE_LOOK_MS, Math.max(1, nextMs - nowMs));
  }
}

function lastOf(made: readonly SnapshotRecord[]): number | null {
  const last = made.at(-1);
  return last === undefined ? null : madeMs(last);
}

function periodOf({ manifest }: Found, label: string): number {
  return parseSchedule(manifest.schedule ?? 'none').find((rule) => rule.label === label)?.periodMs ?? 1;
}

function newSnapshot({ manifest: { id, name, universe } }: Found, due: SchedulePlan['due'][number]): SnapshotOrder {
  return { id, name, universe, snapshot: due.name, schedule: due.label };
}

/**
 * Returns a key by which a due snapshot is recognised later. The key contains no name: the volume may be renamed while the change waits
 * for its turn, and the name of the snapshot contains the time.
 */
function keyOf({ found, snapshot }: DueSnapshot): string {
  return `${found.manifest.id} ${snapshot.schedule}`;
}

function objectText({ pool, manifest }: Found, count: number): string {
  return count === 1 ? `volume ${manifest.name}@${manifest.universe}` : `pool ${pool.name}`;
}

function namesText(names: readonly string[]): string {
  const shown = names.slice(0, SCHEDULE_NAMED_MAX).join(', ');
  const rest = names.length - SCHEDULE_NAMED_MAX;
  return rest <= 0 ? shown : `${shown} and ${rest} more`;
}

/**
 * Returns the pool whose volume clients get by the name of this volume: another pool, if a pool that was brought from another server has a
 * volume of the same name. Returns null if the name means this volume. Of the volumes with one name, clients get the first one.
 */
function namesakeOf(pools: readonly PoolState[], { manifest: { id, name, universe } }: Found): PoolState | null {
  for (const pool of pools)
    for (const other of pool.volumes.values()) {
      if (other.id === id) return null;
      if (pool.isOpen && other.name === name && other.universe === universe) return pool;
    }
  return null;
}
