// The status page shows the paths, with the state and rate of each direction, and the volumes with their commands. A second page shows the
// results of a path test. Rates are computed from the difference of two samples. report-text.ts formats measurements. Invariant: symbols
// and numbers carry all information; the bars only help to compare.

import { type PathStats, type RepView, waitingEnd, waitingText } from '@rsio/api/rsiod/methods';
import { progressText } from '@rsio/api/views/progress';
import { plural } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { formatTime } from '@rsio/base/log/log-line';
import { pageOf } from '../../machine/machine.ts';
import { columnsOf, commandRow, EMPTY_ROW, headingRow, problemRow, textRow } from '../../machine/rows.ts';
import { showHelp } from '../../machine/update.ts';
import { rowColumns } from '../../widgets/border.ts';
import { shareBar } from '../../widgets/table.ts';
import { STATUS_HELP } from '../model/help-text.ts';
import { type ClientChoice, type ClientContent, type ClientRow, type ClientState, type Sample } from '../model/state.ts';
import { askDetach, attach, openStatus, STATUS, TEST, testPaths } from '../work/rsiod.ts';

const BAR_COLUMNS = 15;
/** States of a path that is up or is being established. */
const WELL: ReadonlySet<string> = new Set(['up', 'connecting', 'proving']);
const BYTES_PER_MB = 1e6;
/** A full bar stands for at least this rate. */
const SCALE_MIN_BYTES_PER_SECOND = BYTES_PER_MB;

export const OPEN_STATUS = openStatus(pageOf(STATUS, content));
export const TEST_PATHS: ClientChoice = { label: 'Test paths', command: testPaths(pageOf(TEST, testContent)) };
export const HELP: ClientChoice = { label: 'Help', command: showHelp, isStaying: true };

function content(state: ClientState): ClientContent {
  return {
    title: 'Status of rsiod',
    rows: rowsOf(state),
    actions: [TEST_PATHS, HELP],
    hint: state.status.now === null ? 'Esc goes back' : 'Enter on a volume attaches or detaches it, Esc goes back',
    help: { title: 'Status', text: STATUS_HELP },
  };
}

function rowsOf(state: ClientState): ClientRow[] {
  const { now, before, failure } = state.status;
  if (failure !== null) return failureRows(state, failure);
  if (now === null) return [textRow('Waiting for rsiod ...')];
  // What cannot be chosen stands before the volumes, because a page scrolls only as far as the last row that can be chosen.
  return [
    ...pathRows(now, before),
    ...workRows(now),
    EMPTY_ROW,
    ...waitingRows(now),
    ...volumeRows(now, rowColumns(state.size)),
    ...socketRows(now),
  ];
}

export function failureRows(
  { startCommand }: ClientState,
  { code, message }: { readonly code: string; readonly message: string },
): ClientRow[] {
  if (code !== 'E_NOT_RUNNING') return [textRow('! rsiod does not answer'), textRow(`${message} [${code}]`)];
  return [
    textRow('! rsiod is not running on this machine'),
    EMPTY_ROW,
    textRow('Start it with:'),
    textRow(`    ${startCommand}`),
    EMPTY_ROW,
    textRow('This page shows its state once it runs'),
  ];
}

interface Rates {
  readonly received: number;
  readonly sent: number;
}

function pathRows(now: Sample, before: Sample | null): ClientRow[] {
  const paths = now.stats.paths.map((path, index) => ({ path, rates: ratesOf(path, before?.stats.paths[index], now, before) }));
  const scale = Math.max(SCALE_MIN_BYTES_PER_SECOND, ...paths.flatMap(({ rates }) => [rates.received, rates.sent]));
  const rows = now.status.interfaces.flatMap((view) => [
    textRow(`${view.position} ${view.name} ${view.address}${view.reps.length === 0 ? '  no path' : ''}`),
    ...view.reps.map((rep) => {
      const isIts = (path: PathStats): boolean => path.interface === view.name && path.address === rep.address && path.port === rep.port;
      const rates = paths.find(({ path }) => isIts(path))?.rates;
      return repRow(rep, rates ?? { received: 0, sent: 0 }, scale);
    }),
  ]);
  return [headingRow('Paths'), ...(rows.length === 0 ? [textRow('rsiod has no interface')] : rows)];
}

function repRow(rep: RepView, rates: Rates, scale: number): ClientRow {
  const state = rep.state === 'up' ? 'connected' : rep.state;
  const roundTrip = rep.roundTripMs === null ? '-' : `${rep.roundTripMs.toFixed(2)} ms`;
  const error = rep.state === 'up' || rep.lastError === null ? [] : [`      ! ${rep.lastError}`];
  const row = WELL.has(rep.state) ? textRow : problemRow;
  return row(
    `  -> ${`${rep.address}/${rep.port}`.padEnd(22)} ${state.padEnd(10)} tx ${rep.tx.padEnd(4)} rx ${rep.rx.padEnd(4)} ${roundTrip}${encryptionText(rep)}`,
    `     in  ${bar(rates.received, scale)} ${rateText(rates.received)}  out ${bar(rates.sent, scale)} ${rateText(rates.sent)}`,
    ...error,
  );
}

/** A plain path, which is the usual case, has no mark. */
function encryptionText({ state, cipher, tls }: RepView): string {
  if (cipher !== null) return '  encrypted';
  return state === 'up' && tls ? '  still plain' : '';
}

function ratesOf(path: PathStats, earlier: PathStats | undefined, now: Sample, before: Sample | null): Rates {
  const seconds = before === null ? 0 : (now.atMs - before.atMs) / 1000;
  const isSame = earlier?.interface === path.interface && earlier.address === path.address && earlier.port === path.port;
  if (earlier === undefined || !isSame || seconds <= 0) return { received: 0, sent: 0 };
  // A counter that has decreased was reset, so the rate is shown as zero.
  const rate = (current: number, previous: number): number => (current < previous ? 0 : (current - previous) / seconds);
  return { received: rate(path.receivedBytes, earlier.receivedBytes), sent: rate(path.sentBytes, earlier.sentBytes) };
}

/** Draws a rate as `[####....]`; rows-view.ts replaces `#` and `.` by symbols of the character set in use. */
function bar(rate: number, scale: number): string {
  const filled = Math.round((rate / scale) * BAR_COLUMNS);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_COLUMNS - filled)}]`;
}

function rateText(rate: number): string {
  return `${(rate / BYTES_PER_MB).toFixed(1).padStart(6)} MB/s`;
}

interface VolumeLine {
  readonly volume: string;
  readonly cells: readonly string[];
  readonly isAttached: boolean;
}

/** Cuts off the end of an NBD URI, because the end is the same for all volumes and would take room from the part that differs. */
function withoutSocket(device: string): string {
  return device.replace(SOCKET, '');
}

const SOCKET = /\?socket=.*$/;

function socketRows({ attachments }: Sample): ClientRow[] {
  const sockets = new Set(attachments.flatMap(({ blockDevice }) => SOCKET.exec(blockDevice)?.[0] ?? []));
  return [...sockets].map((socket) => textRow(`All NBD URIs end with ${socket}`));
}

function volumeRows({ attachments, namespaces }: Sample, columns: number): ClientRow[] {
  const attached = attachments.map((each): VolumeLine => {
    const volume = volumeLabel(each);
    const mode = each.readonly ? ' read-only' : '';
    return { volume, cells: [volume, each.state + mode, sizeText(each), withoutSocket(each.blockDevice)], isAttached: true };
  });
  const names = new Set(attached.map(({ volume }) => volume));
  const offered = namespaces.flatMap(({ name, servers }) =>
    servers.flatMap(({ name: server, volumes }) =>
      volumes.map((each): VolumeLine => {
        const volume = volumeLabel({ ...each, namespace: name });
        const holder = each.holders[0];
        const by = holder === undefined ? `on ${server}` : `on ${server}, held by ${holder.node}`;
        return { volume, cells: [volume, 'not attached', sizeText(each), by], isAttached: false };
      }),
    ),
  );
  const lines = [...attached, ...offered.filter(({ volume }, index) => !names.has(volume) && firstOf(offered, volume) === index)];
  const texts = columnsOf(
    lines.map(({ cells }) => cells),
    [14, 12, 8],
    columns,
  );
  const rows = lines.map(({ volume, isAttached }, index) =>
    commandRow(isAttached ? askDetach(volume) : attach(volume), texts[index] ?? ''),
  );
  return [headingRow('Volumes'), ...(rows.length === 0 ? [textRow('no server offers one')] : rows)];
}

function firstOf(lines: readonly VolumeLine[], volume: string): number {
  return lines.findIndex((each) => each.volume === volume);
}

/** Formats a size for display, with three digits and units of 1024. */
function sizeText({ blocks, blockSizeBytes }: { readonly blocks: number; readonly blockSizeBytes: number }): string {
  let size = blocks * blockSizeBytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (size < 1024) return `${Number(size.toPrecision(3))} ${unit}`;
    size /= 1024;
  }
  return `${Number(size.toPrecision(3))} TiB`;
}

/** Copies and comparisons of mirrors, and backups of this machine. */
function workRows({ progress }: Sample): ClientRow[] {
  if (progress.length === 0) return [];
  const rows = progress.map((one) => {
    const row = one.state === 'running' ? textRow : problemRow;
    const share = one.totalBytes === null ? null : one.doneBytes / one.totalBytes;
    return row(`${one.kind} ${one.name} ${one.about}`, `    ${shareBar(share)} ${progressText(one, true)}`);
  });
  return [EMPTY_ROW, headingRow('Work in progress'), ...rows];
}

function waitingRows({ status }: Sample): ClientRow[] {
  return status.waiting.map(({ volume, requests, ...view }) => {
    const end = waitingEnd(view);
    const until = end === null ? '' : typeof end === 'number' ? `, until ${formatTime(end)}` : `, ${end}`;
    return problemRow(`! ${volume} ${waitingText(view)}, ${plural(requests, 'request')}${until}`);
  });
}

function testContent({ test: { lines } }: ClientState): ClientContent {
  return {
    title: lines === null ? 'Test paths: measuring ...' : 'Test paths',
    rows: lines === null ? [textRow('rsiod measures one path after the other')] : lines.map((line) => textRow(line)),
    actions: [],
    hint: 'Esc goes back',
    help: {
      title: 'Test paths',
      text: 'Measures every path of the running rsiod over separate connections, while I/O continues: round trip, rate in each direction, MTU, and the device through which the data actually leaves.',
    },
  };
}
