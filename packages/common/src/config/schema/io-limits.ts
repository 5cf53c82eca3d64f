// Parses and prints the I/O limits of volumes and clients: the keys iops, bandwidth and burst. Pure. Invariant: parsing printed limits
// yields the same limits.

import { printDuration, printSize } from '@rsio/base/lib/units';
import { BANDWIDTH_MAX_BYTES, BANDWIDTH_MIN_BYTES, BURST_MAX_MS, BURST_MIN_MS, BURST_MS, IOPS_MAX, IOPS_MIN } from './limits.ts';
import { duration, integer, orOff, size } from './value-types.ts';

/** I/O limits of a volume or of a client; null for no limit. */
export interface IoLimits {
  /** Requests per second: READ, WRITE, DISCARD and ZERO. */
  readonly iops: number | null;
  /** Bytes per second that READ and WRITE move. */
  readonly bytesPerSecond: number | null;
  /** Time for which unused allowance of the limits is kept. */
  readonly burstMs: number;
}

export const iopsType = orOff(integer(IOPS_MIN, IOPS_MAX));
export const bandwidthType = orOff(size(BANDWIDTH_MIN_BYTES, BANDWIDTH_MAX_BYTES));
export const burstType = duration(BURST_MIN_MS, BURST_MAX_MS);

export const NO_IO_LIMITS: IoLimits = { iops: null, bytesPerSecond: null, burstMs: BURST_MS };

/** Returns the limits as an optional field, which is absent for NO_IO_LIMITS. */
export function limitsField(limits: IoLimits): { readonly limits?: IoLimits } {
  const { iops, bytesPerSecond, burstMs } = limits;
  return iops === null && bytesPerSecond === null && burstMs === BURST_MS ? {} : { limits: { iops, bytesPerSecond, burstMs } };
}

/** Returns `limits`, or null if I/O is not limited. */
export function limitsOrNull(limits: IoLimits | undefined): IoLimits | null {
  return limits === undefined || (limits.iops === null && limits.bytesPerSecond === null) ? null : limits;
}

export const LIMIT_KEYS = ['iops', 'bandwidth', 'burst'] as const;
export type LimitKey = (typeof LIMIT_KEYS)[number];

export function isLimitKey(key: string): key is LimitKey {
  return (LIMIT_KEYS as readonly string[]).includes(key);
}

/** Returns the limits with one limit changed. Throws E_USAGE with the allowed values. */
export function withLimit(limits: IoLimits, key: LimitKey, value: string): IoLimits {
  if (key === 'iops') return { ...limits, iops: iopsType.parse(value) };
  return key === 'bandwidth' ? { ...limits, bytesPerSecond: bandwidthType.parse(value) } : { ...limits, burstMs: burstType.parse(value) };
}

/** Returns the text that follows the words "allowed is" in the error about a key. */
export function limitAllowed(key: LimitKey): string {
  return { iops: iopsType, bandwidth: bandwidthType, burst: burstType }[key].allowed;
}

/** Returns a text such as `500 iops, 10m bytes/s, burst 1s`, or `none` without limits. */
export function limitsText(limits: IoLimits | null): string {
  const { iops, bytesPerSecond, burstMs } = limits ?? NO_IO_LIMITS;
  const parts = [...(iops === null ? [] : [`${iops} iops`]), ...(bytesPerSecond === null ? [] : [`${printSize(bytesPerSecond)} bytes/s`])];
  return parts.length === 0 ? 'none' : `${parts.join(', ')}, burst ${printDuration(burstMs)}`;
}
