// Formats the answers of rssrv as tables and texts for people. Invariants: no cell is truncated, and no control character from a name
// reaches the terminal. `-` stands for an unknown or missing value.

import { alignColumns, toText } from '@rsio/common/cli/table';
import { limitsText } from '@rsio/common/config/schema/io-limits';
import type { ClientView, JobView, ManagedVolumeView, PoolView, RemovedVolumeView, SharedPoolView, SnapshotView } from './views.ts';
import { plural, printSize, shownSize } from '@rsio/base/lib/units';
import { fullDay } from './capacity.ts';
import type { StatsView } from './stats-views.ts';
import { formatTime } from '@rsio/base/log/log-line';
import { rateText, ratesOf } from './server-stats.ts';

/** Difference between the clocks of two machines that is no fault. */
const CLOCKS_APART_MS = 60_000;

/** Returns a time by the clock of a server, as far as it can be true: a clock that was ahead has shown no time at which something was made. */
export function pastTime(ms: number, nowMs: number): string {
  return ms - nowMs > CLOCKS_APART_MS ? 'an unknown time (the clock was ahead)' : formatTime(Math.min(ms, nowMs));
}

/** Texts that replace an empty table. */
export const NO_POOL = 'No pool: rsadm pool add NAME PATH makes one';
export const NO_VOLUME = 'No volume: rsadm volume create NAME --size SIZE makes one';
export const NO_CLIENT = 'No client: rsadm client add NAME lets one connect';

export function volumeText({ name, universe }: { readonly name: string; readonly universe: number }): string {
  return `${name}@${universe}`;
}

/** Returns a text such as `oracle@0@monday`. `label`: returns the name of a volume. */
export function snapshotText(snapshot: SnapshotView, label: (volume: SnapshotView) => string): string {
  return `${label(snapshot)}@${snapshot.snapshot}`;
}

/** Returns the output of `volume list`. */
export function volumesTable(volumes: readonly ManagedVolumeView[], nowMs: number): string {
  const extra = extraHeadings(volumes);
  const rows = volumes.map((volume) => [
    volumeText(volume),
    shownSize(volume.sizeBytes),
    shownSize(volume.usedBytes),
    poolsText(volume),
    String(volume.snapshots),
    heldText(volume),
    ...extraCells(volume, extra, nowMs),
  ]);
  return toText(alignColumns(['VOLUME', '>SIZE', '>USED', 'POOL', '>SNAPSHOTS', 'HELD BY', ...extra], rows));
}

/** Returns the headings of the columns that only some lists have: the volume of each image or follower, and notes. */
export function extraHeadings(volumes: readonly ManagedVolumeView[]): string[] {
  return [...imageHeading(volumes), ...(volumes.some(({ note }) => note !== undefined) ? ['NOTE'] : [])];
}

function imageHeading(volumes: readonly ManagedVolumeView[]): string[] {
  if (volumes.some(isFollower)) return ['COPY'];
  return volumes.some(({ image }) => image !== null) ? ['IMAGE'] : [];
}

/** Returns true for a follower that is not promoted. */
function isFollower({ follows }: ManagedVolumeView): boolean {
  return follows !== null && follows.promotedMs === null;
}

/** Returns the cells below `headings`, which are those of `extraHeadings` for the whole list. */
export function extraCells(volume: ManagedVolumeView, headings: readonly string[], nowMs: number): string[] {
  return headings.map((heading) => (heading === 'NOTE' ? (volume.note ?? '') : imageText(volume, nowMs)));
}

/** Returns a text such as `image of oracle@0, 2h 10m old`; empty if the volume is neither an image nor a follower. */
function imageText(volume: ManagedVolumeView, nowMs: number): string {
  const { image, follows } = volume;
  if (follows !== null && isFollower(volume)) {
    const { momentMs } = follows;
    const isAhead = momentMs !== null && momentMs - nowMs > CLOCKS_APART_MS;
    const age = momentMs === null ? 'no moment yet' : isAhead ? `of ${pastTime(momentMs, nowMs)}` : `${ageText(nowMs - momentMs)} old`;
    return `follows ${volumeText(follows)} of ${follows.server}, ${age}`;
  }
  return image === null ? '' : `image of ${imageOf(image)}, ${ageText(nowMs - image.momentMs)} old`;
}

function imageDetails({ image }: ManagedVolumeView, nowMs: number | null): string {
  if (image === null) return '-';
  const age = nowMs === null ? '' : `${ageText(nowMs - image.momentMs)} old, `;
  return `of ${imageOf(image)}, ${age}as of ${pastTime(image.momentMs, nowMs ?? image.momentMs)}`;
}

function followerDetails({ follows }: ManagedVolumeView, nowMs: number | null): string {
  if (follows === null) return '-';
  const { server, momentMs, promotedMs } = follows;
  const moment = momentMs === null ? 'no moment yet' : `newest moment ${pastTime(momentMs, nowMs ?? momentMs)}`;
  const text = `${volumeText(follows)} of server ${server}, ${moment}`;
  return promotedMs === null ? text : `${text}, promoted ${formatTime(promotedMs)}`;
}

function imageOf({ name, universe, state }: NonNullable<ManagedVolumeView['image']>): string {
  const of = name === null || universe === null ? 'a volume of other clients' : volumeText({ name, universe });
  if (state === 'present') return of;
  return state === 'unknown' ? `${of} (in no open pool)` : `${of} (${state})`;
}

/** Returns an age in days and hours, in hours and minutes, or in minutes, rounded down. */
function ageText(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  const [days, hours] = [Math.floor(minutes / 1_440), Math.floor(minutes / 60)];
  if (days > 0) return `${days}d ${hours % 24}h`;
  return hours > 0 ? `${hours}h ${minutes % 60}m` : `${minutes}m`;
}

/** Returns the age of the moment of a replication, such as `12s` or `2h 10m`; `-` if it has none. */
export function momentAge(ms: number | null): string {
  if (ms === null) return '-';
  return ms < 60_000 ? `${Math.floor(Math.max(0, ms) / 1_000)}s` : ageText(ms);
}

/** Returns the pools of the volume, in the order of its files. */
export function poolsText({ pool, layout }: ManagedVolumeView): string {
  return layout === null ? (pool ?? '-') : layout.parts.map((part) => part.pool ?? '?').join(',');
}

function layoutText({ chunkBytes, parts }: NonNullable<ManagedVolumeView['layout']>): string {
  return chunkBytes === null ? `concat of ${parts.length} files` : `stripe of ${parts.length} files, chunks of ${printSize(chunkBytes)}`;
}

/** Returns which clients hold the volume, and whether their writes wait. If the volume is not served, returns the reason. */
export function heldText({ state, holders, reason, waitsForSpace, mirror, halt }: ManagedVolumeView): string {
  if (state !== 'served') return `unavailable: ${reason ?? '-'}`;
  const replica = mirror === null ? '' : ` (replica of mirror ${mirror})`;
  return `${holders.map(({ node }) => node).join(', ') || '-'}${replica}${waitsForSpace ? ' (writes wait for space)' : ''}${halt === null ? '' : ` (${halt.kind})`}`;
}

function stateText(volume: ManagedVolumeView): string {
  const { state, reason, waitsForSpace, fullPool, pool } = volume;
  if (state !== 'served') return `unavailable: ${reason ?? '-'}`;
  const halt = haltText(volume);
  if (halt !== null) return halt;
  return waitsForSpace ? `served; writes wait for space in pool ${fullPool ?? pool ?? '-'}` : 'served';
}

/** Returns a text such as `paused until 2010_09_14-15:02:32 (GMT)`; null if the volume is neither paused nor stopped. */
export function haltText({ halt }: Pick<ManagedVolumeView, 'halt'>): string | null {
  if (halt === null) return null;
  if (halt.kind === 'stopped') return `stopped since ${formatTime(halt.sinceMs)}`;
  return halt.untilMs === null ? 'paused' : `paused until ${formatTime(halt.untilMs)}`;
}

/** Returns the output of `volume list --removed`. */
export function removedTable(removed: readonly RemovedVolumeView[], nowMs: number): string {
  const rows = removed.map((volume) => [
    volumeText(volume),
    shownSize(volume.sizeBytes),
    volume.pool,
    formatTime(volume.removedMs),
    volume.by ?? '-',
    keptText(volume.untilMs - nowMs),
  ]);
  return toText(alignColumns(['VOLUME', '>SIZE', 'POOL', 'REMOVED', 'BY', 'KEPT FOR'], rows));
}

/** Returns a time in hours and minutes, such as `23h 59m`. */
export function keptText(ms: number): string {
  const minutes = Math.max(0, Math.ceil(ms / 60_000));
  return `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}

/**
 * Returns the output of `volume set` and, with `snapshots`, the output of `volume show`. `title`: the name of the volume. `server`: null if
 * there is only one server.
 */
export function volumeDetails(
  volume: ManagedVolumeView,
  title = volumeText(volume),
  server: string | null = null,
  snapshots: readonly SnapshotView[] = [],
  nowMs: number | null = null,
): string {
  const names = (list: readonly string[] | null, all: string): string => (list === null ? all : list.join(', ') || 'none');
  const lines: (readonly [string, string])[] = [
    ['id', volume.id ?? '-'],
    ['state', stateText(volume)],
    ['size', `${shownSize(volume.sizeBytes)} (${volume.sizeBytes ?? '-'} bytes), blocks of ${volume.blockSizeBytes}`],
    ['used', shownSize(volume.usedBytes)],
    ...(server === null ? [] : [['server', server] as const]),
    ['pool', volume.pool === null ? '- (section [volume] of rssrvcfg)' : poolsText(volume)],
    ...(volume.layout === null
      ? [['file', volume.path ?? '-'] as const]
      : [
          ['layout', layoutText(volume.layout)] as const,
          ...volume.layout.parts.map(
            ({ pool, path, sizeBytes }) => ['file', `${path ?? '-'}, ${shownSize(sizeBytes)} in pool ${pool ?? '?'}`] as const,
          ),
        ]),
    ['mode', `${volume.readonly ? 'read-only' : 'read-write'}${volume.shared ? ', shared' : ''}${volume.thick ? ', thick' : ''}`],
    ['clients', names(volume.clients, 'all')],
    ['take-over', `${names(volume.takeOver, 'all')}${volume.takeOverForce ? ', also by force' : ''}`],
    ...(volume.limits === null ? [] : [['limits', limitsText(volume.limits)] as const]),
    ['owner', volume.owner ?? '-'],
    ...(volume.managers === undefined ? [] : [['managers', names(volume.managers, 'all')] as const]),
    ...(volume.note === undefined ? [] : [['note', volume.note] as const]),
    ['created', volume.createdMs === null ? '-' : formatTime(volume.createdMs)],
    ...(volume.holders.length === 0 ? [['held by', '-'] as const] : []),
    ...volume.holders.map(({ node, address, sinceMs }) => ['held by', `${node} ${address} since ${formatTime(sinceMs)}`] as const),
  ];
  if (volume.mirror !== null) lines.push(['replica', `of mirror ${volume.mirror}`]);
  if (volume.image !== null) lines.push(['image', imageDetails(volume, nowMs)]);
  if (volume.follows !== null) lines.push([volume.follows.promotedMs === null ? 'follows' : 'followed', followerDetails(volume, nowMs)]);
  lines.push(...bridgedLines(volume), ...scheduleLines(volume));
  lines.push(...snapshots.map((one) => ['snapshot', snapshotDetails(one, nowMs)] as const));
  return toText([title, ...lines.map(([name, value]) => `    ${`${name}:`.padEnd(11)}${value}`)]);
}

function bridgedLines({ bridged }: ManagedVolumeView): (readonly [string, string])[] {
  if (bridged === null) return [];
  return [
    ['bridged', `${plural(bridged.reads, 'READ')} that failed got the data from an image, the last one ${formatTime(bridged.lastMs)}`],
  ];
}

const FIRST_AT_ONCE = 'the first is made at once';

function scheduleLines({ schedule }: ManagedVolumeView): (readonly [string, string])[] {
  if (schedule === null) return [];
  const { text, lastMs, failedMs, failure, skipped, rules = [] } = schedule;
  const time = (ms: number | null): string => (ms === null ? '-' : formatTime(ms));
  return [
    ['snapshots', `${text}; ${lastMs === null ? FIRST_AT_ONCE : `last: ${formatTime(lastMs)}`}`],
    ...(rules.length < 2 ? [] : rules).map(
      ({ label, kept, keep, ...rule }) =>
        [
          'rule',
          `${label}: ${kept} of ${keep}, ${rule.lastMs === null ? FIRST_AT_ONCE : `last: ${formatTime(rule.lastMs)}, next: ${time(rule.nextMs)}`}`,
        ] as const,
    ),
    ...(failure === null ? [] : [['failed', `${failedMs === null ? '' : `${formatTime(failedMs)}: `}${failure}`] as const]),
    ...(skipped === null ? [] : [['kept', skipped] as const]),
  ];
}

/**
 * Returns the lines about one snapshot. The text says "up to", because the space of a snapshot includes blocks that it shares with the
 * volume and other snapshots.
 */
function snapshotDetails(
  { snapshot, sizeBytes, usedBytes, createdMs, shownMs = createdMs, by, moment }: SnapshotView,
  nowMs: number | null,
): string {
  const used = usedBytes === null ? '' : `, up to ${shownSize(usedBytes)} used`;
  return `${snapshot} of ${pastTime(shownMs, nowMs ?? shownMs)}, ${shownSize(sizeBytes)}${used}${by === null ? '' : `, by ${by}`}${moment?.isProven === false ? ', not confirmed by its mirror' : ''}`;
}

/** Returns the output of `pool list`. */
export function poolsTable(pools: readonly PoolView[], nowMs: number): string {
  const rows = pools.map((pool) => [
    pool.name,
    shownSize(pool.totalBytes),
    usedShare(pool),
    shownSize(pool.usableBytes),
    shownSize(pool.promisedBytes),
    shownSize(pool.limitBytes),
    fullDay(pool, nowMs),
    String(pool.volumes),
    pool.state === 'ready' ? pool.path : standingText(pool),
  ]);
  return toText(alignColumns(['POOL', '>SIZE', '>USED', '>FREE', '>PROMISED', '>LIMIT', '>FULL', '>VOLUMES', 'PATH'], rows));
}

/** Returns why the server cannot use the pool. */
export function standingText({ state, reason }: PoolView): string {
  return state === 'elsewhere' ? (reason ?? 'served by another server') : `unavailable: ${reason ?? '-'}`;
}

/** Returns the time since the owner was last heard, such as `0.4 s`; `-` without an owner. */
export function heartbeatText({ heartbeatMs }: SharedPoolView): string {
  return heartbeatMs === null ? '-' : `${(heartbeatMs / 1_000).toFixed(1)} s`;
}

/** Returns a text such as `taking, big-9 is not fenced yet`. */
export function farmStateText({ state, unfenced }: SharedPoolView): string {
  return [state, ...unfenced.map((writer) => `${writer.server} is not fenced yet`)].join(', ');
}

/** Returns the output of `farm`. */
export function farmTable(pools: readonly SharedPoolView[]): string {
  const rows = pools.map((pool) => [
    pool.name,
    pool.disk,
    pool.owner ?? '-',
    String(pool.generation),
    pool.sinceMs === null ? '-' : formatTime(pool.sinceMs),
    heartbeatText(pool),
    pool.next ?? '-',
    farmStateText(pool),
  ]);
  return toText(alignColumns(['POOL', 'DISK', 'OWNER', '>GENERATION', '>SINCE', '>HEARTBEAT', 'NEXT', 'STATE'], rows));
}

function usedShare({ totalBytes, freeBytes }: PoolView): string {
  if (totalBytes === null || freeBytes === null || totalBytes === 0) return '-';
  return `${Math.round(((totalBytes - freeBytes) * 100) / totalBytes)}%`;
}

/** Returns the output of `client list`. */
export function clientsTable(clients: readonly ClientView[], stats: StatsView): string {
  const rows = clients.map((client) => {
    const rates = ratesOf(stats, client.name);
    return [
      client.name,
      clientStateText(client),
      client.address ?? '-',
      rates === null ? '-' : rateText(rates.readBytesPerSecond),
      rates === null ? '-' : rateText(rates.writtenBytesPerSecond),
      rightsText(client),
      client.volumes.length === 0 ? '-' : client.volumes.join(', '),
    ];
  });
  return toText(alignColumns(['CLIENT', 'STATE', 'ADDRESS', '>READS', '>WRITES', 'RIGHTS', 'HOLDS'], rows));
}

/** Returns a text such as `connected, two keys`. */
export function clientStateText({ state, keys, sessionKey, fencedMs }: ClientView): string {
  const parts: string[] = fencedMs === null ? [state] : state === 'absent' ? ['fenced'] : ['fenced', 'its session is ending'];
  if (keys > 1) parts.push('two keys');
  if (sessionKey !== null) parts.push(`session uses ${sessionKey}`);
  return parts.join(', ');
}

export function rightsText(client: ClientView): string {
  return client.limits === null ? roleText(client) : `${roleText(client)}, ${limitsText(client.limits)}`;
}

function roleText({ role, pools, limitBytes, ownedBytes }: ClientView): string {
  if (role !== 'manage') return role;
  const limit = limitBytes === null ? '' : ` ${shownSize(ownedBytes)} of ${shownSize(limitBytes)}`;
  return `manage ${pools === null ? 'all pools' : pools.join(',')}${limit}`;
}

export function jobsTable(jobs: readonly JobView[]): string {
  const rows = jobs.map((job) => [
    job.id,
    jobText(job),
    job.state,
    `${shownSize(job.doneBytes)}/${shownSize(job.totalBytes)}`,
    job.bytesPerSecond === 0 ? '-' : shownSize(job.bytesPerSecond),
    job.limitBytes === null ? '-' : shownSize(job.limitBytes),
    job.by ?? '-',
    job.endedMs === null ? job.afterRestart : '-',
    job.reason ?? '',
  ]);
  return toText(alignColumns(['JOB', 'WHAT', 'STATE', 'COPIED', 'SPEED', 'LIMIT', 'BY', 'RESTART', 'REASON'], rows));
}

function jobText({ kind, name, snapshot, from, to, newName }: JobView): string {
  if (kind === 'import') return `import ${from} to ${name} in ${to}`;
  if (kind === 'move') return `move ${name} from ${from} to ${to}`;
  return `copy ${name}${snapshot === null ? '' : `@${snapshot}`} to ${newName === null ? to : `${newName} in ${to}`}`;
}
