// Warnings about the state of a server, each with its remedy. Pure. Invariant: a state without a warning needs no action.
// server-tables.ts formats the state itself.

import type { ManagedVolumeView, PoolView } from '../control/server-methods.ts';
import { shownSize, volumeText } from './server-tables.ts';

/** Shares of a pool's space, in percent, from which on a warning is shown; the highest one that applies is named. */
const FULL_PERCENTS = [95, 90, 80] as const;

export function warningsOf(pools: readonly PoolView[], volumes: readonly ManagedVolumeView[]): string[] {
  return [...pools.flatMap(poolWarnings), ...volumes.flatMap(volumeWarnings)];
}

function poolWarnings(pool: PoolView): string[] {
  const { name, reason, totalBytes, freeBytes, findings } = pool;
  if (reason !== null) return [`Pool ${name} cannot be used: ${reason}`];
  const warnings =
    findings.length === 0 ? [] : [`Pool ${name} contains what its volumes do not explain: rsadm pool check ${name} shows it`];
  if (totalBytes === null || freeBytes === null || totalBytes === 0) return warnings;
  const usedPercent = ((totalBytes - freeBytes) * 100) / totalBytes;
  const passed = FULL_PERCENTS.find((percent) => usedPercent >= percent);
  if (passed === undefined) return warnings;
  return [
    ...warnings,
    `Pool ${name} is more than ${passed}% full, ${shownSize(freeBytes)} are free: enlarge its file system, or remove volumes`,
  ];
}

function volumeWarnings(volume: ManagedVolumeView): string[] {
  const name = volumeText(volume);
  if (volume.state !== 'served') return [`Volume ${name} is not served: ${volume.reason ?? 'see rsslogcat'}`];
  if (!volume.waitsForSpace) return [];
  return [`Writes to volume ${name} wait, because pool ${volume.pool ?? '-'} is full: enlarge its file system, or delete files there`];
}
