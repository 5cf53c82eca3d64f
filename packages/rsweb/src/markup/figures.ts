// Formats figures for people, as rsadm and rsconfig do. Pure.
// Invariant: `-` stands for an unknown or missing value, never for zero.

import { rateText } from '@rsio/api/views/server-stats';
import { shownSize } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';
import type { Load } from '../model/picture.ts';

const UNKNOWN = '-';
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

export function sizeText(bytes: number | null): string {
  return shownSize(bytes);
}

export function speedText(bytesPerSecond: number | null): string {
  return bytesPerSecond === null ? UNKNOWN : rateText(bytesPerSecond);
}

export function numberText(value: number | null): string {
  return value === null ? UNKNOWN : String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

export function perSecondText(value: number | null): string {
  return value === null ? UNKNOWN : `${numberText(value)}/s`;
}

export function latencyText(us: number | null): string {
  if (us === null) return UNKNOWN;
  if (us < 1_000) return `${Math.round(us)} us`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 1)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

export function percentText(share: number | null): string {
  return share === null ? UNKNOWN : `${(100 * share).toFixed(0)}%`;
}

export function timeText(wallMs: number | null): string {
  return wallMs === null ? UNKNOWN : formatTime(wallMs);
}

/** Returns the time since `sinceMs` in its largest unit, such as `3 min`. */
export function sinceText(sinceMs: number | null, nowMs: number): string {
  if (sinceMs === null) return UNKNOWN;
  const passedMs = Math.max(0, nowMs - sinceMs);
  if (passedMs < MINUTE_MS) return `${Math.floor(passedMs / SECOND_MS)} s`;
  if (passedMs < HOUR_MS) return `${Math.floor(passedMs / MINUTE_MS)} min`;
  if (passedMs < 2 * DAY_MS) return `${Math.floor(passedMs / HOUR_MS)} h`;
  return `${Math.floor(passedMs / DAY_MS)} days`;
}

export function speedOf({ readBytesPerSecond, writtenBytesPerSecond }: Load): number {
  return readBytesPerSecond + writtenBytesPerSecond;
}

export function sumOf(
  loads: readonly Load[],
  key: 'readsPerSecond' | 'writesPerSecond' | 'readBytesPerSecond' | 'writtenBytesPerSecond',
): number {
  return loads.reduce((total, load) => total + load[key], 0);
}
