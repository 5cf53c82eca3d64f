// Formats the answers of rssrv as tables and texts for people. Invariants: no cell is truncated, and no control character from a name
// reaches the terminal; `-` stands for an unknown or missing value.

import { alignColumns, toText } from '../cli/table.ts';
import type { ClientView, ManagedVolumeView, PoolView, RemovedVolumeView } from '../control/server-methods.ts';
import { formatTime } from '../log/log-line.ts';

/** Said instead of an empty table. */
export const NO_POOL = 'No pool: rsadm pool add NAME PATH makes one';
export const NO_VOLUME = 'No volume: rsadm volume create NAME --size SIZE makes one';
export const NO_CLIENT = 'No client: rsadm client add NAME lets one connect';

const UNITS = ['', 'K', 'M', 'G', 'T', 'P'] as const;

/** Prints a size with one decimal and a unit, such as `20.0G`; `-` if it is null. */
export function shownSize(bytes: number | null): string {
  if (bytes === null) return '-';
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? String(value) : `${value.toFixed(1)}${UNITS[unit] ?? ''}`;
}

export function volumeText({ name, universe }: { readonly name: string; readonly universe: number }): string {
  return `${name}@${universe}`;
}

/** Output of `volume list`. */
export function volumesTable(volumes: readonly ManagedVolumeView[]): string {
  const rows = volumes.map((volume) => [
    volumeText(volume),
    shownSize(volume.sizeBytes),
    shownSize(volume.usedBytes),
    volume.pool ?? '-',
    volume.state === 'served' ? volume.holders.map(({ node }) => node).join(', ') || '-' : `unavailable: ${volume.reason ?? '-'}`,
  ]);
  return toText(alignColumns(['VOLUME', '>SIZE', '>USED', 'POOL', 'HELD BY'], rows));
}

/** Output of `volume list --removed`. */
export function removedTable(removed: readonly RemovedVolumeView[], nowMs: number): string {
  const rows = removed.map((volume) => [
    volumeText(volume),
    shownSize(volume.sizeBytes),
    volume.pool,
    formatTime(volume.removedMs),
    volume.by ?? '-',
    leftTime(volume.untilMs - nowMs),
  ]);
  return toText(alignColumns(['VOLUME', '>SIZE', 'POOL', 'REMOVED', 'BY', 'KEPT FOR'], rows));
}

/** Hours and minutes, such as `23h 59m`. */
function leftTime(ms: number): string {
  const minutes = Math.max(0, Math.ceil(ms / 60_000));
  return `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}

/** Output of `volume show` and `volume set`. */
export function volumeDetails(volume: ManagedVolumeView): string {
  const names = (list: readonly string[] | null, all: string): string => (list === null ? all : list.join(', ') || 'none');
  const lines: readonly (readonly [string, string])[] = [
    ['id', volume.id ?? '-'],
    ['state', volume.state === 'served' ? 'served' : `unavailable: ${volume.reason ?? '-'}`],
    ['size', `${shownSize(volume.sizeBytes)} (${volume.sizeBytes ?? '-'} bytes), blocks of ${volume.blockSizeBytes}`],
    ['used', shownSize(volume.usedBytes)],
    ['pool', volume.pool ?? '- (section [volume] of rssrvcfg)'],
    ['file', volume.path ?? '-'],
    ['mode', `${volume.readonly ? 'read-only' : 'read-write'}${volume.shared ? ', shared' : ''}${volume.thick ? ', thick' : ''}`],
    ['clients', names(volume.clients, 'all')],
    ['take-over', `${names(volume.takeOver, 'all')}${volume.takeOverForce ? ', also by force' : ''}`],
    ['owner', volume.owner ?? '-'],
    ['created', volume.createdMs === null ? '-' : formatTime(volume.createdMs)],
    ...(volume.holders.length === 0 ? [['held by', '-'] as const] : []),
    ...volume.holders.map(({ node, address, sinceMs }) => ['held by', `${node} ${address} since ${formatTime(sinceMs)}`] as const),
  ];
  return toText([volumeText(volume), ...lines.map(([name, value]) => `    ${`${name}:`.padEnd(11)}${value}`)]);
}

/** Output of `pool list`. */
export function poolsTable(pools: readonly PoolView[]): string {
  const rows = pools.map((pool) => [
    pool.name,
    shownSize(pool.totalBytes),
    shownSize(pool.usableBytes),
    shownSize(pool.promisedBytes),
    shownSize(pool.limitBytes),
    String(pool.volumes),
    pool.state === 'ready' ? pool.path : `unavailable: ${pool.reason ?? '-'}`,
  ]);
  return toText(alignColumns(['POOL', '>SIZE', '>FREE', '>PROMISED', '>LIMIT', '>VOLUMES', 'PATH'], rows));
}

/** Output of `client list`. */
export function clientsTable(clients: readonly ClientView[]): string {
  const rows = clients.map((client) => [
    client.name,
    client.state,
    client.address ?? '-',
    rightsText(client),
    client.volumes.length === 0 ? '-' : client.volumes.join(', '),
  ]);
  return toText(alignColumns(['CLIENT', 'STATE', 'ADDRESS', 'RIGHTS', 'HOLDS'], rows));
}

function rightsText({ role, pools, limitBytes, ownedBytes }: ClientView): string {
  if (role !== 'manage') return role;
  const limit = limitBytes === null ? '' : ` ${shownSize(ownedBytes)} of ${shownSize(limitBytes)}`;
  return `manage ${pools === null ? 'all pools' : pools.join(',')}${limit}`;
}
