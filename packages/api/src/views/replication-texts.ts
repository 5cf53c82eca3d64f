// What people read about replications: the table of `volume replications`, and a warning for each replication that needs an order or is late.
// Pure.

import { alignColumns, toText } from '@rsio/common/cli/table';
import { printDuration } from '@rsio/base/lib/units';
import { momentAge, volumeText } from './server-tables.ts';
import type { ReplicationView } from './views.ts';

/** States of a replication that only an order ends. */
const STUCK: readonly ReplicationView['state'][] = ['refused', 'closed', 'diverged', 'split'];
/** A replication is late if its moment is older than this number of its intervals. */
const LATE_INTERVALS = 2;

export function replicationWarnings(replications: readonly ReplicationView[]): string[] {
  return replications.flatMap((one) => {
    const { direction, volumes, peer, state, text, ageMs, everyMs } = one;
    const names = volumes.map(volumeText).join(', ') || '-';
    const what = `The replication of ${names} ${direction === 'out' ? 'to' : 'from'} ${peer}`;
    if (state === 'absent') return [`${what} stands still: ${text}`];
    if (state === 'failing') return [`${what} fails: ${text}`];
    if (state === 'ended' && direction === 'in') return [`${what} has ended: ${text}`];
    if (STUCK.includes(state)) return [`${what} is ${state}: ${text}`];
    if (state === 'ended' || state === 'promoted' || ageMs === null || ageMs <= LATE_INTERVALS * everyMs) return [];
    const since = `its last moment is ${momentAge(ageMs)} old, and a moment is wanted every ${printDuration(everyMs)}`;
    return [
      `${what} is late, ${since}: check the network and the pools of both servers, or choose a longer time (volume replicate --every)`,
    ];
  });
}

export function replicationsTable(replications: readonly ReplicationView[]): string {
  const rows = replications.map(({ direction, volumes, peer, ageMs, everyMs, state, doneBytes, totalBytes }) => [
    direction,
    volumes.map(volumeText).join(',') || '-',
    peer,
    momentAge(ageMs),
    everyMs === 0 ? '-' : printDuration(everyMs),
    state === 'copying' && totalBytes > 0 ? `copying (${Math.floor((doneBytes / totalBytes) * 100)} %)` : state,
  ]);
  return toText(alignColumns(['DIR', 'VOLUMES', 'PEER', '>MOMENT AGE', '>EVERY', 'STATE'], rows));
}
