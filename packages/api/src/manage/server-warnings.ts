// Warnings about the state of a server, each with its remedy. Pure. Invariant: a state without a warning needs no action.
// server-tables.ts formats the state itself.

import type { ServerMethods } from '../rssrv/server-methods.ts';
import type { ManagedVolumeView, PoolView } from '../views/views.ts';
import { beyondRemedy } from '../rssrv/namespace-methods.ts';
import { plural, printDuration, shownSize } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';
import { fullInText, isFullSoon } from '../views/capacity.ts';
import { volumeText } from '../views/server-tables.ts';

/** A change that takes at least this time causes a warning. */
const CHANGE_LASTS_MS = 5_000;

export function warningsOf(pools: readonly PoolView[], volumes: readonly ManagedVolumeView[]): string[] {
  return [...pools.flatMap(poolWarnings), ...volumes.flatMap(volumeWarnings)];
}

/**
 * `change`: the change in progress, from the answer of the method change-show. A change that takes long causes a warning, because every
 * later change waits for it.
 */
export function changeWarnings(change: ServerMethods['change-show']['result']['change'], nowMs: number): string[] {
  if (change === null || nowMs - change.sinceMs < CHANGE_LASTS_MS) return [];
  const lasts = printDuration(Math.floor((nowMs - change.sinceMs) / 1_000) * 1_000);
  const others = change.waiting === 0 ? '' : `, and ${plural(change.waiting, 'other change')} wait for it`;
  return [`The server has been busy for ${lasts} with ${change.what}${others}: if it hangs, check the file systems of the pools`];
}

/** `shown`: the answer of the method namespace-show; null if the server has not answered. */
export function driftWarnings(shown: ServerMethods['namespace-show']['result'] | null): string[] {
  if (shown === null) return [];
  const { server, drift, extra } = shown;
  const listed = ([first, ...more]: readonly string[]): string =>
    `${first}${more.length === 0 ? '' : `, and ${plural(more.length, 'other')}`}; rsadm drift has all`;
  return [
    ...(drift.length === 0
      ? []
      : [`Server ${server} differs from the file of its namespace (${listed(drift)}): rsadm apply FILE makes it as the file says`]),
    ...(extra.length === 0
      ? []
      : [`Server ${server} has what the file of its namespace does not name (${listed(extra)}): ${beyondRemedy(extra)}`]),
  ];
}

/** `records`: the records in the answer of the method witness-list. */
export function witnessWarnings(records: ServerMethods['witness-list']['result']['records']): string[] {
  return records.flatMap(({ mirror, trouble }) => (trouble === null ? [] : [`This server does not vote for mirror ${mirror}: ${trouble}`]));
}

/** Each warning ends with a colon and a remedy. */
export function poolWarnings(pool: PoolView): string[] {
  const { name, state, reason, freeBytes, findings, isShort, fullPercent } = pool;
  if (state === 'elsewhere') return [];
  if (reason !== null) return [`Pool ${name} cannot be used: ${reason}`];
  const warnings =
    findings.length === 0 ? [] : [`Pool ${name} contains what its volumes do not explain: rsadm pool check ${name} shows it`];
  const remedy = 'enlarge its file system, or remove volumes';
  const free = freeBytes === null ? 'an unknown space' : shownSize(freeBytes);
  if (isShort) warnings.push(`Pool ${name} has less than its reserve free (${free}), and writes that need new space wait: ${remedy}`);
  else if (fullPercent !== null) warnings.push(`Pool ${name} is more than ${fullPercent}% full, ${free} are free: ${remedy}`);
  if (!isShort && isFullSoon(pool))
    warnings.push(`Pool ${name} is full ${fullInText(pool)} if it grows as in the last 7 days, ${free} are free: ${remedy}`);
  return warnings;
}

export function volumeWarnings(volume: ManagedVolumeView): string[] {
  const name = volumeText(volume);
  if (volume.state !== 'served') return [`Volume ${name} is not served: ${volume.reason ?? 'see rsslogcat'}`];
  const warnings = [...scheduleWarnings(volume), ...bridgeWarnings(volume)];
  if (!volume.waitsForSpace) return warnings;
  return [
    ...warnings,
    `Writes to volume ${name} wait for space in pool ${volume.fullPool ?? volume.pool ?? '-'}: enlarge its file system, or remove volumes`,
  ];
}

function scheduleWarnings(volume: ManagedVolumeView): string[] {
  const { schedule } = volume;
  if (schedule === null || schedule.failure === null) return [];
  const last = schedule.lastMs === null ? 'there is none yet' : `the last one is of ${formatTime(schedule.lastMs)}`;
  const remedy = 'correct this, and the server makes one within 10 minutes';
  return [`Volume ${volumeText(volume)} gets no snapshots by its schedule, ${last}: ${schedule.failure}; ${remedy}`];
}

function bridgeWarnings(volume: ManagedVolumeView): string[] {
  const { bridged, pool } = volume;
  if (bridged === null) return [];
  const name = volumeText(volume);
  const remedy = `find the cause in the system's log (dmesg), keep the image, and copy the volume on a client before pool ${pool ?? '-'} fails`;
  return [`The storage of volume ${name} failed at ${plural(bridged.reads, 'READ')}, which an image answered: ${remedy}`];
}
