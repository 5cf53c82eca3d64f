// Parses the value of --since, an option of commands that list events: a duration before now, or a time in GMT in the form that commands
// print. Pure: the commands filter their lists themselves.

import { parseDuration, quoteText } from '@rsio/base/lib/units';
import { RsError } from '@rsio/base/lib/errors';

const DAY_MS = 86_400_000;

/** The help of --since. `what`: what the command lists. */
export function sinceHelp(what: string): string {
  return `only ${what} of the last 30m, 2h or 3d, or since a date (GMT)`;
}

/** Parses a duration that may also be in days, such as `7d` or `12h`; returns ms. Throws E_USAGE. */
export function parseAge(text: string): number {
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  return days === undefined ? parseDuration(text) : Number(days) * DAY_MS;
}

/** Returns the time in ms since 1970; null if `text` is null. Throws E_USAGE. */
export function parseSince(text: string | null, nowMs: number): number | null {
  if (text === null) return null;
  if (/^(\d+(ms|s|m|h)|\d{1,5}d)$/.test(text)) return nowMs - parseAge(text);
  const [, year, month, day, time = '00:00:00'] =
    /^(\d{4})[-_](\d\d)[-_](\d\d)(?:[-_ T](\d\d:\d\d(?::\d\d)?))?(?: \(GMT\)|Z)?$/.exec(text) ?? [];
  const sinceMs = year === undefined ? Number.NaN : Date.parse(`${year}-${month}-${day}T${time}Z`);
  if (Number.isNaN(sinceMs))
    throw new RsError('E_USAGE', `Wrong --since ${quoteText(text)}: allowed is 30m, 2h, 3d, 2026-09-14 or "2026-09-14 15:02:32" (GMT)`);
  return sinceMs;
}
