// Parses the value of --since, an option of commands that list events: a duration before now, or a time in GMT in the form that commands
// print. Pure: the commands filter their lists themselves.

import { parseDuration, quoteText } from '../lib/units.ts';
import { RsError } from '../lib/errors.ts';

const DAY_MS = 86_400_000;
export const SINCE_HELP = 'only events of the last 30m, 2h or 3d, or since a date (GMT)';

/** Returns the time in ms since 1970; null if `text` is null. Throws E_USAGE. */
export function parseSince(text: string | null, nowMs: number): number | null {
  if (text === null) return null;
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  if (days !== undefined) return nowMs - Number(days) * DAY_MS;
  if (/^\d+(ms|s|m|h)$/.test(text)) return nowMs - parseDuration(text);
  const [, year, month, day, time = '00:00:00'] =
    /^(\d{4})[-_](\d\d)[-_](\d\d)(?:[-_ T](\d\d:\d\d(?::\d\d)?))?(?: \(GMT\)|Z)?$/.exec(text) ?? [];
  const sinceMs = year === undefined ? Number.NaN : Date.parse(`${year}-${month}-${day}T${time}Z`);
  if (Number.isNaN(sinceMs))
    throw new RsError('E_USAGE', `Wrong --since ${quoteText(text)}: allowed is 30m, 2h, 3d, 2026-09-14 or "2026-09-14 15:02:32" (GMT)`);
  return sinceMs;
}
