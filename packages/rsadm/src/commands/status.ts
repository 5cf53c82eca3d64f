// Implements `status`, which shows the whole server on one page and changes nothing. Invariants: each fault is shown as a warning with its
// remedy and makes the exit code 1; the page stays short even with many volumes.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { SERVER_DAEMON } from '@rsio/common/control/method-table';
import { STATS } from '@rsio/api/views/stats-views';
import { CLIENT, INTERFACE, type InterfaceView, type ManagedVolumeView, POOL, VOLUME, REPLICATION } from '@rsio/api/views/views';
import { count, list, number, object, orNull, text } from '@rsio/base/lib/shape';
import { plural, shownSize } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';
import { waitWarnings } from '@rsio/api/views/server-stats';
import { clientsTable, NO_CLIENT, NO_POOL, NO_VOLUME, poolsTable, volumesTable } from '@rsio/api/views/server-tables';
import { replicationWarnings } from '@rsio/api/views/replication-texts';
import { changeWarnings, warningsOf, witnessWarnings } from '@rsio/api/manage/server-warnings';
import { gatherUpkeep, upkeepFaults } from '@rsio/api/manage/upkeep';
import { type AdmContext, defineCommand } from '../cli/context.ts';

/** Maximum number of volumes with faults that the page lists. */
const VOLUMES_LISTED_MAX = 20;

const SHARED_VOLUMES =
  'several clients have the right manage, and each may change the volumes of the others: rsadm namespace set tenants=yes ends this';

const PAGE = object({
  daemon: SERVER_DAEMON,
  interfaces: list(INTERFACE),
  pools: list(POOL),
  volumes: list(VOLUME),
  clients: list(CLIENT),
  stats: STATS,
  replications: list(REPLICATION),
  change: orNull(object({ what: text(), sinceMs: number(), waiting: count() }), 'The change in progress'),
  warnings: list(text()),
});

export const STATUS = defineCommand({
  call: { by: 'words', words: 'status' },
  synopsis: 'status',
  summary: 'shows the server on one page, with warnings',
  details: `The exit code is 1 if there is a warning. Each warning says what to do.`,
  options: { json: JSON_OPTION },
  json: PAGE,
  run: async (context, { json }) => {
    const { daemon, interfaces, pools, volumes, clients, stats, replications, change, records } = await stateOf(context);
    const nowMs = context.clock.wallMs();
    const warnings = [
      ...interfaces.flatMap(({ name, reason }) => (reason === null ? [] : [`Interface ${name} does not listen: ${reason}`])),
      ...warningsOf(pools, volumes),
      ...witnessWarnings(records),
      ...replicationWarnings(replications),
      ...waitWarnings(stats.waits, nowMs),
      ...changeWarnings(change, nowMs),
      ...upkeepFaults(gatherUpkeep(context.root), nowMs).map(
        ({ object, what, remedy, commands }) => `${object}: ${what}: ${[remedy, ...commands].join(': ')}`,
      ),
    ];
    const code = warnings.length === 0 ? 0 : 1;
    if (json) return printJson(context, { daemon, interfaces, pools, volumes, clients, stats, replications, change, warnings }) ?? code;
    const parts = [
      toText([
        `server ${daemon.nodename}, release ${daemon.version}, pid ${daemon.pid}`,
        `up since ${formatTime(daemon.startedMs)}, configured ${formatTime(daemon.configuredMs)}`,
        ...(daemon.processUser === null ? [] : [`server processes run as user ${daemon.processUser}`]),
        ...(daemon.processNote === null ? [] : [daemon.processNote]),
        ...(daemon.sharesVolumes === true ? [SHARED_VOLUMES] : []),
        ...(records.length === 0 ? [] : [`votes for ${plural(records.length, 'mirror')}`]),
        ...(replications.length === 0 ? [] : [`${plural(replications.length, 'replication')} (rsadm volume replications)`]),
        ...(change === null
          ? []
          : [`change in progress: ${change.what}, since ${formatTime(change.sinceMs)}, ${change.waiting} wait behind it`]),
      ]),
      interfacesTable(interfaces),
      pools.length === 0 ? toText([NO_POOL]) : poolsTable(pools, nowMs),
      volumesPart(volumes, context.clock.wallMs()),
      clients.length === 0 ? toText([NO_CLIENT]) : clientsTable(clients, stats),
      ...(warnings.length === 0 ? [] : [toText(warnings.map((warning) => `Warning: ${warning}`))]),
    ];
    context.out(parts.join('\n'));
    return code;
  },
});

async function stateOf({ call }: AdmContext) {
  const daemon = await call('daemon', {});
  const [{ interfaces }, { pools }, { volumes }, { clients }, stats, { change }, { records }, { replications }] = await Promise.all([
    call('interface-list', {}),
    call('pool-list', {}),
    call('volume-list', { pool: null }),
    call('client-list', {}),
    call('stats', {}),
    call('change-show', {}),
    // An rssrv of an older release does not have the following methods.
    daemon.methods.includes('witness-list') ? call('witness-list', {}) : { records: [] },
    daemon.methods.includes('replication-list') ? call('replication-list', {}) : { replications: [] },
  ]);
  return { daemon, interfaces, pools, volumes, clients, stats, replications, change, records };
}

/** Returns the output of `interface list`. */
export function interfacesTable(interfaces: readonly InterfaceView[]): string {
  const rows = interfaces.map(({ name, address, port, state }) => [name, address, String(port), state]);
  return toText(alignColumns(['INTERFACE', 'ADDRESS', '>PORT', 'STATE'], rows));
}

/** Returns the part of the page about volumes: their number, and a list of the volumes that are not served or whose I/O waits. */
function volumesPart(volumes: readonly ManagedVolumeView[], nowMs: number): string {
  if (volumes.length === 0) return toText([NO_VOLUME]);
  const bad = volumes.filter(({ state, waitsForSpace, halt }) => state !== 'served' || waitsForSpace || halt !== null);
  const sizeBytes = volumes.reduce((sum, volume) => sum + (volume.sizeBytes ?? 0), 0);
  const held = volumes.filter(({ holders }) => holders.length > 0).length;
  const counts = [
    `${plural(volumes.length, 'volume')}, ${shownSize(sizeBytes)}`,
    `${held} held`,
    ...(bad.length === 0 ? [] : [`${bad.length} waiting or not served`]),
  ];
  const rest = bad.length - VOLUMES_LISTED_MAX;
  return [
    toText([`${counts.join(', ')} (rsadm volume list)`]),
    bad.length === 0 ? '' : volumesTable(bad.slice(0, VOLUMES_LISTED_MAX), nowMs),
    rest > 0 ? toText([`and ${rest} more`]) : '',
  ].join('');
}
