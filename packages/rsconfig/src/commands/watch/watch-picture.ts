// Turns samples into the lines that `watch` shows. Invariants: no control character from a name reaches the terminal, and no line is wider
// than the terminal.

// On a terminal, the picture is redrawn each second. On a pipe, the heading is printed once. After that, every second adds one line for
// each path and each waiting volume; a line begins with the time. Example of the picture:
//   2 of 2 paths connected   tx 12.3 MB/s   rx 110.2 MB/s   Ctrl-C ends
//
//   path                   state     tx/rx   tx MB/s rx MB/s  req/s trip ms  load
//   if0 192.168.45.10/5000 connected ok/ok       6.1    55.2   6512   0.212  ▁▃▆█▆
//   if1 192.168.46.10/5000 connected ok/ok       6.2    55.0   6509   0.213  ▁▃▆█▆
//
//   osl:oracle@0 waits for a path to its server: 12 requests, since 15:02:31, until 15:12:31

import { type WaitingView, waitingEnd, waitingText } from '@rsio/api/rsiod/methods';
import { formatTime } from '@rsio/base/log/log-line';
import { escapeControls } from '@rsio/base/lib/printable';
import { endPoint, stateName } from '../../output/format.ts';
import type { PathSample, WatchSample } from './watch-sample.ts';

/** Number of seconds that a plot covers. */
const PLOT_SAMPLES_MAX = 60;
/** The highest bar of a plot represents at least this rate, so that heartbeats alone do not look like load. */
const PLOT_FULL_MIN_BYTES_PER_SECOND = 1_000_000;
const BYTES_PER_MB = 1e6;
const STATE_WIDTH = 'connected'.length;
const DIRECTIONS_WIDTH = 'fail/ok'.length;
const RATE_WIDTH = 'tx MB/s'.length;
const REQUESTS_WIDTH = 6;
const TRIP_WIDTH = 'trip ms'.length;
const PIPE_PLOT_COLUMNS = 10;
const PLOT_HEADING = 'load';
const NO_PATH = 'No path: see rsconfig -m status, and rsconfig doctor';

const BARS = { unicode: ' ▁▂▃▄▅▆▇█', ascii: ' .:-=+*#@' } as const;
export type PlotLetters = keyof typeof BARS;

/** Keeps the load of each path in the last PLOT_SAMPLES_MAX seconds, oldest first. */
export class PlotHistory {
  private readonly loads = new Map<string, number[]>();

  add(sample: WatchSample): void {
    const kept = new Set(sample.paths.map(labelOf));
    for (const label of this.loads.keys()) if (!kept.has(label)) this.loads.delete(label);
    for (const path of sample.paths) {
      const loads = [...(this.loads.get(labelOf(path)) ?? []), path.sentBytesPerSecond + path.receivedBytesPerSecond];
      this.loads.set(labelOf(path), loads.slice(-PLOT_SAMPLES_MAX));
    }
  }

  /**
   * Returns one plot character for each of the last `columns` seconds. The characters are scaled to the highest load of any path in these
   * seconds.
   */
  plot(path: PathSample, columns: number, letters: PlotLetters): string {
    const full = Math.max(PLOT_FULL_MIN_BYTES_PER_SECOND, ...[...this.loads.values()].flatMap((loads) => loads.slice(-columns)));
    const bars = BARS[letters];
    const loads = (this.loads.get(labelOf(path)) ?? []).slice(-columns);
    return loads.map((load) => bars[Math.round((load / full) * (bars.length - 1))] ?? '').join('');
  }
}

/** Returns the picture for a terminal of the given size. If some lines do not fit, the last line says how many lines are missing. */
export function terminalPicture(
  sample: WatchSample,
  history: PlotHistory,
  { columns, rows, letters }: { readonly columns: number; readonly rows: number; readonly letters: PlotLetters },
): string[] {
  const width = labelWidth(sample);
  const fixed = headingLine(width).length - PLOT_HEADING.length;
  const lines = [
    summaryLine(sample),
    '',
    sample.paths.length === 0 ? NO_PATH : headingLine(width),
    ...sample.paths.map((path) => pathLine(path, width, history.plot(path, Math.max(0, columns - fixed), letters))),
    ...(sample.waiting.length === 0 ? [] : ['', ...sample.waiting.map(waitingLine)]),
  ].map((line) => cut(line, columns));
  // The last row stays empty, because a newline in that row would scroll the screen.
  const room = Math.max(1, rows - 1);
  return lines.length <= room
    ? lines
    : [...lines.slice(0, room - 1), cut(`${lines.length - room + 1} more lines do not fit here`, columns)];
}

/** Returns the lines that are written to a pipe each second. */
export function pipeLines(sample: WatchSample, history: PlotHistory, letters: PlotLetters): string[] {
  const width = labelWidth(sample);
  const time = clockTime(sample.atMs);
  return [
    ...(sample.paths.length === 0 ? [`${time} ${NO_PATH}`] : []),
    ...sample.paths.map((path) => `${time} ${pathLine(path, width, history.plot(path, PIPE_PLOT_COLUMNS, letters))}`),
    ...sample.waiting.map((view) => `${time} ${waitingLine(view)}`),
  ].map(escapeControls);
}

export function pipeHeading(sample: WatchSample): string {
  return `time     ${headingLine(labelWidth(sample))}`;
}

function summaryLine({ paths }: WatchSample): string {
  const up = paths.filter(({ state }) => state === 'up').length;
  const sent = paths.reduce((sum, path) => sum + path.sentBytesPerSecond, 0);
  const received = paths.reduce((sum, path) => sum + path.receivedBytesPerSecond, 0);
  return `${up} of ${paths.length} paths connected   tx ${megabytes(sent)} MB/s   rx ${megabytes(received)} MB/s   Ctrl-C ends`;
}

function headingLine(width: number): string {
  return columnsOf(width, ['path', 'state', 'tx/rx', 'tx MB/s', 'rx MB/s', 'req/s', 'trip ms', PLOT_HEADING]);
}

function pathLine(path: PathSample, width: number, plot: string): string {
  return columnsOf(width, [
    labelOf(path),
    stateName(path.state),
    `${path.tx}/${path.rx}`,
    megabytes(path.sentBytesPerSecond),
    megabytes(path.receivedBytesPerSecond),
    String(Math.round(path.requestsPerSecond)),
    path.roundTripMs === null ? '-' : path.roundTripMs.toFixed(3),
    plot,
  ]).trimEnd();
}

type Cells = readonly [
  path: string,
  state: string,
  directions: string,
  tx: string,
  rx: string,
  requests: string,
  trip: string,
  plot: string,
];

function columnsOf(width: number, [path, state, directions, tx, rx, requests, trip, plot]: Cells): string {
  const left = `${path.padEnd(width)} ${state.padEnd(STATE_WIDTH)} ${directions.padEnd(DIRECTIONS_WIDTH)}`;
  const right = `${tx.padStart(RATE_WIDTH)} ${rx.padStart(RATE_WIDTH)} ${requests.padStart(REQUESTS_WIDTH)} ${trip.padStart(TRIP_WIDTH)}`;
  return `${left} ${right}  ${plot}`;
}

function waitingLine(view: WaitingView): string {
  const end = waitingEnd(view);
  const until = end === null ? '' : typeof end === 'number' ? `, until ${clockTime(end)}` : `, ${end}`;
  return `${view.volume} ${waitingText(view)}: ${view.requests} requests, since ${clockTime(view.sinceMs)}${until}`;
}

function labelOf(path: PathSample): string {
  return `${path.interface} ${endPoint(path.address, path.port)}`;
}

function labelWidth({ paths }: WatchSample): number {
  return Math.max('path'.length, ...paths.map((path) => labelOf(path).length));
}

function megabytes(bytesPerSecond: number): string {
  return (bytesPerSecond / BYTES_PER_MB).toFixed(1);
}

/** Returns the time of day in GMT, the time zone of the log; for example `15:02:32`. */
function clockTime(atMs: number): string {
  return /\d\d:\d\d:\d\d/.exec(formatTime(atMs))?.[0] ?? '-';
}

// Names are ASCII, so each character takes one column.
function cut(line: string, columns: number): string {
  return escapeControls(line).slice(0, Math.max(1, columns));
}
