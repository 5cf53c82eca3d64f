// Decides which snapshots the schedule of a volume makes and removes now, and when to look again. Pure: the runner carries the decision out.
// Invariants: of several missed periods only the present one is made up; only snapshots that the rule itself has made are removed, the
// oldest first and only those beyond `keep`; after a jump of the clock, the rule goes on with the periods of the new time.

import { SCHEDULE_EXTRA_MAX } from './limits.ts';
import { isNameableTime, periodStart, type ScheduleRule, scheduledName, timeOfName } from './schedule.ts';

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
    // A snapshot of this name counts, whatever made it: the name would be taken.
    const isDone = snapshots.some(({ name }) => isWithin(timeOfName(rule, name), startMs, endMs));
    if (isDone || !isNameableTime(nowMs)) continue;
    if (own.length >= rule.keep + SCHEDULE_EXTRA_MAX) stuck ??= rule.label;
    else due.push({ label: rule.label, name: scheduledName(rule, nowMs) });
  }
  return { due, excess, stuck, nextMs };
}

function isWithin(timeMs: number | null, startMs: number, endMs: number): boolean {
  return timeMs !== null && timeMs >= startMs && timeMs < endMs;
}
