// Decides which snapshots the schedule of a volume makes and removes now, and when to plan again. Pure: schedule-runner.ts executes the
// plan. Invariants: after missed periods, a rule makes only the snapshot of the current period. A rule removes only its own snapshots, the
// oldest first, and keeps the last `keep`. After a jump of the clock, a rule continues with the periods of the new time.

import { SCHEDULE_EXTRA_MAX } from '../limits.ts';
import { isNameableTime, periodEnd, periodStart, type ScheduleRule, scheduledName, timeOfName } from './schedule.ts';

/** Resolution of the time in names of snapshots. */
const MINUTE_MS = 60_000;

/** The facts about a snapshot that the plan needs. */
export interface PlannedSnapshot {
  readonly name: string;
  /** Label of the rule that made the snapshot; null if a command made it. */
  readonly schedule: string | null;
}

export interface SchedulePlan {
  /** Snapshots to make, one for each rule that is due. */
  readonly due: readonly { readonly label: string; readonly name: string }[];
  /** Names of the snapshots to remove, the oldest first. */
  readonly excess: readonly string[];
  /** Label of a rule that makes no snapshot because its old snapshots could not be removed; null if no rule is in this state. */
  readonly stuck: string | null;
  /** Time at which the next rule is due if the clock does not jump. `nextMs` is always later than `nowMs`. */
  readonly nextMs: number;
}

/** Returns the plan. `snapshots`: all snapshots of the volume, in the order in which they were made. */
export function planSchedule(rules: readonly ScheduleRule[], snapshots: readonly PlannedSnapshot[], nowMs: number): SchedulePlan {
  const due: { label: string; name: string }[] = [];
  const excess: string[] = [];
  let stuck: string | null = null;
  let nextMs = Number.POSITIVE_INFINITY;
  for (const rule of rules) {
    const startMs = periodStart(rule, nowMs);
    const endMs = periodEnd(rule, nowMs);
    nextMs = Math.min(nextMs, endMs);
    const own = snapshots.filter(({ schedule }) => schedule === rule.label);
    if (own.length > rule.keep) excess.push(...own.slice(0, own.length - rule.keep).map(({ name }) => name));
    // Every snapshot with a name of this rule counts, even if a command made it.
    const times = snapshots.flatMap(({ name }) => timeOfName(rule, name) ?? []);
    if (isMadeWithin(times, startMs, endMs) || !isNameableTime(nowMs)) continue;
    const name = freeName(rule, new Set(snapshots.map((one) => one.name)), nowMs, endMs);
    if (own.length >= rule.keep + SCHEDULE_EXTRA_MAX) stuck ??= rule.label;
    else if (name !== null) due.push({ label: rule.label, name });
  }
  return { due, excess, stuck, nextMs };
}

/**
 * Returns true if a snapshot belongs to this period. `times`: times in the names of the snapshots, in the order of their creation. A
 * snapshot from before the clock was set back does not count. Such a snapshot is recognised if a snapshot with an earlier time follows
 * it, or if its period has not come yet.
 */
function isMadeWithin(times: readonly number[], startMs: number, endMs: number): boolean {
  let earliestAfterMs = endMs;
  for (const timeMs of times.toReversed()) {
    if (timeMs >= endMs) return false;
    if (timeMs >= startMs && timeMs <= earliestAfterMs) return true;
    earliestAfterMs = Math.min(earliestAfterMs, timeMs);
  }
  return false;
}

/**
 * Returns an unused name with a time in the current period. After the clock was set back, all names of the period may be in use; the result
 * is then null.
 */
function freeName(rule: ScheduleRule, taken: ReadonlySet<string>, nowMs: number, endMs: number): string | null {
  for (let timeMs = nowMs; timeMs < endMs && timeMs < nowMs + SCHEDULE_EXTRA_MAX * MINUTE_MS; timeMs += MINUTE_MS) {
    const name = scheduledName(rule, timeMs);
    if (!taken.has(name)) return name;
  }
  return null;
}
