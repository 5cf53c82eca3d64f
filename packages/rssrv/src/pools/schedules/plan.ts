// Decides which snapshots the schedule of a volume makes and removes now, and when to look again. Pure: the runner carries the decision out.
// Invariants: of several missed periods only the present one is made up; only snapshots that the rule itself has made are removed, the
// oldest first and only those beyond `keep`; after a jump of the clock, the rule goes on with the periods of the new time.

import { SCHEDULE_EXTRA_MAX } from './limits.ts';
import { isNameableTime, periodStart, type ScheduleRule, scheduledName, timeOfName } from './schedule.ts';

/** Names have minutes. */
const MINUTE_MS = 60_000;

/** What the plan needs to know of a snapshot. */
export interface PlannedSnapshot {
  readonly name: string;
  /** Label of the rule that made it; null if a command made it. */
  readonly schedule: string | null;
}

export interface SchedulePlan {
  /** Snapshots to make, one for each rule that is due. */
  readonly due: readonly { readonly label: string; readonly name: string }[];
  /** Names of the snapshots to remove, the oldest first. */
  readonly excess: readonly string[];
  /** Label of a rule that makes no snapshot because its old ones could not be removed; null if there is none. */
  readonly stuck: string | null;
  /** When the next rule is due, if the clock does not jump. Later than `nowMs`. */
  readonly nextMs: number;
}

/** `snapshots`: all of the volume, in the order in which they were made. */
export function planSchedule(rules: readonly ScheduleRule[], snapshots: readonly PlannedSnapshot[], nowMs: number): SchedulePlan {
  const due: { label: string; name: string }[] = [];
  const excess: string[] = [];
  let stuck: string | null = null;
  let nextMs = Number.POSITIVE_INFINITY;
  for (const rule of rules) {
    const startMs = periodStart(rule, nowMs);
    const endMs = startMs + rule.periodMs;
    nextMs = Math.min(nextMs, endMs);
    const own = snapshots.filter(({ schedule }) => schedule === rule.label);
    if (own.length > rule.keep) excess.push(...own.slice(0, own.length - rule.keep).map(({ name }) => name));
    // A snapshot of this name counts, whatever made it.
    const times = snapshots.flatMap(({ name }) => timeOfName(rule, name) ?? []);
    if (isMadeWithin(times, startMs, endMs) || !isNameableTime(nowMs)) continue;
    const name = freeName(rule, new Set(snapshots.map((one) => one.name)), nowMs, endMs);
    if (own.length >= rule.keep + SCHEDULE_EXTRA_MAX) stuck ??= rule.label;
    else if (name !== null) due.push({ label: rule.label, name });
  }
  return { due, excess, stuck, nextMs };
}

/**
 * True if one of the snapshots is of this period. `times`: as their names tell them, in the order in which they were made. One that was made
 * before the clock was set back does not count: those made after it have earlier times, or it is of a period that has not come yet.
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

/** A name of the present period that no snapshot has; null if the clock was set back, and all of them are taken. */
function freeName(rule: ScheduleRule, taken: ReadonlySet<string>, nowMs: number, endMs: number): string | null {
  for (let timeMs = nowMs; timeMs < endMs && timeMs < nowMs + SCHEDULE_EXTRA_MAX * MINUTE_MS; timeMs += MINUTE_MS) {
    const name = scheduledName(rule, timeMs);
    if (!taken.has(name)) return name;
  }
  return null;
}
