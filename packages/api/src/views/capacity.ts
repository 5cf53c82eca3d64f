// Says when a pool is full at its pace, and how much it can still promise. Pure. Invariants: what is not known is a dash, and never a
// guess; a day comes from the reader's clock, because the view has only the time until then.

import { plural } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';
import type { PoolView } from './views.ts';

type Paced = Pick<PoolView, 'pace'>;

const DAY_MS = 24 * 60 * 60 * 1_000;
/** Length of a date at the beginning of a formatted time. */
const DATE_CHARS = 10;
/** A later day is not said: it would be a guess, and another machine may tell any number. */
const FAR_MS = 100 * 365 * DAY_MS;
/** A pool that is full within this time at the pace of the last 7 days needs an administrator. */
const SOON_MS = 7 * DAY_MS;

/** Returns the time until the pool is full at the pace of the last 7 and of the last 30 days; null if it does not grow, or is not known. */
export function fullInMs({ pace }: Paced): { readonly week: number | null; readonly month: number | null } {
  return { week: pace?.week?.fullInMs ?? null, month: pace?.month?.fullInMs ?? null };
}

/** Returns the day on which the pool is full, such as `2026_12_08`; `-` if `inMs` is null. */
export function dayText(inMs: number | null, nowMs: number): string {
  return inMs === null || inMs > FAR_MS ? '-' : formatTime(nowMs + inMs).slice(0, DATE_CHARS);
}

/** Returns the earlier of the days on which the pool is full at its two paces. */
export function fullDay(pool: Paced, nowMs: number): string {
  return dayText(soonestMs(fullInMs(pool)), nowMs);
}

/** Returns a text such as `in 12 days`; null if the pool does not grow, or is not known to. */
export function fullInText(pool: Paced): string | null {
  const inMs = soonestMs(fullInMs(pool));
  if (inMs === null || inMs > FAR_MS) return null;
  return inMs < DAY_MS ? 'in less than a day' : `in ${plural(Math.floor(inMs / DAY_MS), 'day')}`;
}

export function isFullSoon(pool: Paced): boolean {
  const { week } = fullInMs(pool);
  return week !== null && week < SOON_MS;
}

export function soonestMs({ week, month }: ReturnType<typeof fullInMs>): number | null {
  return week === null || month === null ? (week ?? month) : Math.min(week, month);
}

/**
 * Returns the room for a new volume: the free space above the reserve, or what the limit and overcommit of the pool leave, whichever is
 * less. It is negative if the pool promises more than its limit.
 */
export function roomBytes({ totalBytes, usableBytes, reserve, limitBytes, overcommit, promisedBytes }: PoolView): number {
  const covered = overcommit === 'refuse' ? Math.floor((totalBytes ?? 0) * (1 - reserve)) : Number.POSITIVE_INFINITY;
  return Math.min(usableBytes ?? 0, Math.min(limitBytes ?? Number.POSITIVE_INFINITY, covered) - promisedBytes);
}
