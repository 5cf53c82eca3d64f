// Parses and prints the schedule of the snapshots of a volume, such as `hourly keep 24, daily keep 7`, and names the snapshots. Pure.
// Invariants: parse(print(rules)) equals rules. Each time is in exactly one period of a rule, and the next period begins where one ends. The
// name of a scheduled snapshot contains the label of its rule and its time in UTC, and is valid as the name of a snapshot.

import { parseDuration, parseWhole, printDuration, refuse } from '@rsio/base/lib/units';
import type { ValueType } from '@rsio/common/config/schema/value-types';
import {
  SCHEDULE_KEPT_MAX,
  SCHEDULE_PERIOD_MAX_MS,
  SCHEDULE_PERIOD_MIN_MS,
  SCHEDULE_RULES_MAX,
  SCHEDULE_TEXT_MAX_CHARS,
} from '../limits.ts';

const HOUR_MS = 60 * 60 * 1_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
/** Time of the first Monday, 1970-01-05, from which weeks are counted. */
const MONDAY_MS = 4 * DAY_MS;
/** Names of snapshots cannot contain a later time, because their years have four digits. */
const END_OF_TIME_MS = Date.UTC(9999, 11, 31);

type Period = Pick<ScheduleRule, 'periodMs' | 'months'>;

const NAMED_PERIODS: Readonly<Record<string, Period>> = {
  hourly: { periodMs: HOUR_MS, months: 0 },
  daily: { periodMs: DAY_MS, months: 0 },
  weekly: { periodMs: WEEK_MS, months: 0 },
  monthly: { periodMs: 28 * DAY_MS, months: 1 },
  yearly: { periodMs: 365 * DAY_MS, months: 12 },
};
const RULE = new RegExp(`^(?:(${Object.keys(NAMED_PERIODS).join('|')})|every\\s+(\\w+))\\s+keep\\s+(\\d{1,4})$`);

export interface ScheduleRule {
  /** First part of the names of the rule's snapshots, such as `hourly` or `every-15m`. */
  readonly label: string;
  /** Length of a period. For a rule by the calendar: of its shortest period. */
  readonly periodMs: number;
  /** Length of a period in months, for a rule by the calendar; 0 if all periods are equally long. */
  readonly months: number;
  /** Number of snapshots of this rule to keep. */
  readonly keep: number;
}

const ALLOWED =
  'none, or rules such as "hourly keep 24, daily keep 7": hourly, daily, weekly, monthly, yearly or every TIME (whole minutes, ' +
  `such as 15m or 6h), and keep NUMBER; at most ${SCHEDULE_RULES_MAX} rules with different periods, which keep at most ${SCHEDULE_KEPT_MAX} snapshots together`;

/** Type of the key `schedule`. The parsed value is the text in its canonical form, or null if the text is `none`. */
export const scheduleText: ValueType<string | null> = {
  kind: 'schedule',
  allowed: ALLOWED,
  isSecret: false,
  parse: (text) => {
    const rules = parseSchedule(text);
    return rules.length === 0 ? null : printSchedule(rules);
  },
};

/** Parses a schedule. Returns an empty list for `none`. Throws E_USAGE. */
export function parseSchedule(text: string): readonly ScheduleRule[] {
  const words = text.trim();
  if (words === 'none') return [];
  if (text.length > SCHEDULE_TEXT_MAX_CHARS) refuse('schedule', text, ALLOWED);
  const rules = words.split(',').map((part) => parseRule(part.trim(), text));
  const kept = rules.reduce((sum, { keep }) => sum + keep, 0);
  const periods = new Set(rules.map(({ periodMs, months }) => `${periodMs} ${months}`));
  const isAllowed = rules.length <= SCHEDULE_RULES_MAX && kept <= SCHEDULE_KEPT_MAX && periods.size === rules.length;
  return isAllowed ? rules : refuse('schedule', text, ALLOWED);
}

export function printSchedule(rules: readonly ScheduleRule[]): string {
  const texts = rules.map(
    ({ label, periodMs, keep }) => `${Object.hasOwn(NAMED_PERIODS, label) ? label : `every ${printDuration(periodMs)}`} keep ${keep}`,
  );
  return texts.length === 0 ? 'none' : texts.join(', ');
}

/** Returns the rules that releases before 0.3.0 know, which are those without months; null if there are none. */
export function scheduleOfOlder(text: string): string | null {
  const rules = parseSchedule(text).filter(({ months }) => months === 0);
  return rules.length === 0 ? null : printSchedule(rules);
}

/** Returns true for a schedule in its canonical form. */
export function isScheduleText(text: string): boolean {
  try {
    return scheduleText.parse(text) === text;
  } catch {
    return false;
  }
}

function parseRule(part: string, text: string): ScheduleRule {
  const [, word = '', every = '', number = ''] = RULE.exec(part) ?? [];
  const keep = parseWhole(number) ?? 0;
  const { periodMs, months } = NAMED_PERIODS[word] ?? { periodMs: periodOf(every), months: 0 };
  if (keep === 0 || periodMs === 0) refuse('schedule', text, ALLOWED);
  return { label: word === '' ? `every-${printDuration(periodMs)}` : word, periodMs, months, keep };
}

/** Returns the period in ms that the text names; 0 if the text is not a valid period. */
function periodOf(text: string): number {
  try {
    const periodMs = parseDuration(text);
    const isInRange = periodMs >= SCHEDULE_PERIOD_MIN_MS && periodMs <= SCHEDULE_PERIOD_MAX_MS;
    return isInRange && periodMs % SCHEDULE_PERIOD_MIN_MS === 0 ? periodMs : 0;
  } catch {
    return 0;
  }
}

/** Returns the beginning of the rule's period that contains the time. Weeks begin on Mondays; all periods are in UTC. */
export function periodStart({ periodMs, months }: Period, timeMs: number): number {
  if (months > 0) return calendarStart(months, timeMs, 0);
  const offsetMs = periodMs % WEEK_MS === 0 ? MONDAY_MS : 0;
  return Math.floor((timeMs - offsetMs) / periodMs) * periodMs + offsetMs;
}

/** Returns the end of the rule's period that contains the time, which is the beginning of the next one. */
export function periodEnd(rule: Period, timeMs: number): number {
  return rule.months > 0 ? calendarStart(rule.months, timeMs, 1) : periodStart(rule, timeMs) + rule.periodMs;
}

/** Returns the beginning of the calendar's period that contains the time, or of a later one. */
function calendarStart(months: number, timeMs: number, later: number): number {
  const time = new Date(timeMs);
  const month = (time.getUTCFullYear() - 1970) * 12 + time.getUTCMonth();
  return Date.UTC(1970, (Math.floor(month / months) + later) * months);
}

/**
 * Returns true if the name of a snapshot can contain this time. The year 1970 is allowed, because the clock of a machine without a
 * battery may start in this year.
 */
export function isNameableTime(timeMs: number): boolean {
  return timeMs >= 0 && timeMs < END_OF_TIME_MS;
}

/** Returns a name such as `hourly-20261122T1000Z`. The time is rounded down to a minute. */
export function scheduledName({ label }: ScheduleRule, timeMs: number): string {
  const digits = new Date(timeMs).toISOString().replaceAll(/\D/g, '');
  return `${label}-${digits.slice(0, 8)}T${digits.slice(8, 12)}Z`;
}

/** Returns the time in the name of a snapshot of this rule; null for any other name. */
export function timeOfName({ label }: ScheduleRule, name: string): number | null {
  if (!name.startsWith(`${label}-`)) return null;
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z$/.exec(name.slice(label.length + 1));
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute);
}
