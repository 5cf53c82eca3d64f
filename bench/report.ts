// The printed report: the environment, a table with bars for each row, the goals, the memory. Pure text; the same figures go unchanged to
// the JSON file. Disturbances are printed beside the figures that they affect.

import type { GoalResult } from './goals.ts';
import type { LogCost } from './log-cost.ts';
import type { ServerMemory } from './memory.ts';
import type { Absent } from './servers/makers.ts';
import { spreadText } from './sheet.ts';
import { type Figures, pairsRatio, perCore, type RowFigures, type Spread, spreadOf } from './summary.ts';
import type { Plan } from './workload.ts';

export interface Environment {
  readonly node: string;
  /** Versions of the measured programs, as the programs print them. */
  readonly versions: readonly string[];
  readonly kernel: string;
  readonly processor: string;
  readonly serverCore: number;
  readonly loadCore: number;
}

const MIB = 1024 * 1024;
/** From this share of its time on, a core counts as fully busy. */
const BUSY_CORES = 0.95;
/** Other programs that together use more cores than this disturb the run. */
const DISTURBING_CORES = 0.15;
const MEMORY_AIM_MIB = 150;
const LOG_RATIO_AIM = 0.9;
const BAR_CHARS = 16;
const COLUMNS = [30, 9, 9, 7, 22, BAR_CHARS + 2, 9, 9, 9] as const;
const HEADINGS = ['', 'IOPS', 'MB/s', 'cores', 'IOPS per server core', '', 'p50 us', 'p99', 'p99.9'];
const SECONDS_PER_MINUTE = 60;

/** `ms`: duration of the windows of all rows. */
export function environmentText(about: Environment, plan: Plan, ms: number): string {
  const { serverCore, loadCore } = about;
  const cores =
    serverCore === loadCore
      ? `servers and load share core ${serverCore}: this process may use only one core`
      : `servers on core ${serverCore}, load on core ${loadCore}`;
  const seconds = Math.ceil(ms / 1000);
  const time = seconds < SECONDS_PER_MINUTE ? `${seconds} s` : `${Math.ceil(seconds / SECONDS_PER_MINUTE)} minutes`;
  const rows = [
    `${cores}; figures: median (least-most) of ${plan.rounds} rounds in turn,`,
    `each ${plan.windowMs / 1000} s after ${plan.warmUpMs / 1000} s of warming up; the rows take ${time}`,
  ];
  return [
    `Node ${about.node}, Linux ${about.kernel}, ${about.processor}`,
    ...about.versions.map((version) => `  ${version}`),
    ...(plan.rows.length > 0 ? rows : []),
    '',
  ].join('\n');
}

export function absentText(absent: readonly Absent[]): string {
  return absent.map(({ id, reason }) => `Not measured: ${id}: ${reason}\n`).join('');
}

export function rowText({ row, servers }: RowFigures): string {
  const notes = [...servers.flatMap(notesOn), ...(row.isCached ? [] : servers.map(diskNote)), ...olderNotes(servers)];
  return [`${row.title}  [${row.name}]`, ...tableOf(servers), ...notes.map((note) => `  Note: ${note}`), ''].join('\n');
}

/** Compares rssrv with rssrv of an older checkout, if that was measured. */
function olderNotes(servers: readonly Figures[]): string[] {
  const [ours, theirs] = ['rssrv', 'rssrv-older'].map((name) => servers.find(({ id }) => id === name));
  if (ours === undefined || theirs === undefined) return [];
  const { median, min, max } = pairsRatio(ours.rounds.map(perCore), theirs.rounds.map(perCore));
  const interval = `${min.toFixed(3)} to ${max.toFixed(3)} 95 times of 100`;
  return [`IOPS per server core, ${ours.title} beside ${theirs.title}: ${median.toFixed(3)} (${interval}, ${ours.rounds.length} pairs)`];
}

/** Says which percentage of the answered bytes was read from the disk, in an uncached row. */
function diskNote({ title, rounds }: Figures): string {
  const { median, min, max } = spreadOf(rounds.map(({ diskShare = 0 }) => diskShare * 100));
  return `of 100 bytes from ${title}, ${median.toFixed(0)} (${min.toFixed(0)}-${max.toFixed(0)}) were read from the disk`;
}

function tableOf(servers: readonly Figures[]): string[] {
  const most = Math.max(...servers.map(({ iopsPerServerCore }) => iopsPerServerCore.median));
  const rows = servers.map((one) => [
    one.title,
    count(one.iops.median),
    one.megabytesPerSecond.median.toFixed(0),
    one.serverCores.median.toFixed(2),
    counts(one.iopsPerServerCore),
    barOf(one.iopsPerServerCore.median, most),
    ...[one.p50Us, one.p99Us, one.p999Us].map(({ median }) => micros(median)),
  ]);
  return [HEADINGS, ...rows].map((cells) => `  ${cells.map((cell, column) => cell.padEnd(COLUMNS[column] ?? 0)).join('')}`.trimEnd());
}

/** The length of the bar is proportional to the share of the highest value. */
export function barOf(value: number, most: number): string {
  return most > 0 ? '█'.repeat(Math.max(1, Math.round((value / most) * BAR_CHARS))) : '';
}

/** Conditions that limit what the figures show. */
function notesOn({ title, serverCores, generatorCores, otherCores }: Figures): string[] {
  const notes: string[] = [];
  if (generatorCores.median >= BUSY_CORES && serverCores.median < BUSY_CORES) {
    notes.push(`the load was the limit for ${title}: its core was busy and the server's was not; compare IOPS per server core`);
  }
  if (otherCores.median > DISTURBING_CORES) {
    notes.push(`other programs used ${otherCores.median.toFixed(2)} cores while ${title} was measured: absolute figures are too low`);
  }
  return notes;
}

export function goalsText(results: readonly GoalResult[]): string {
  const rows = results.map(({ what, aim, measured, digits, isMet }) => [
    what,
    aim,
    measured === null ? '-' : spreadText(measured, digits),
    isMet === null ? 'not measured' : isMet ? 'met' : 'NOT MET',
  ]);
  const widths = [66, 24, 22, 0];
  return ['Goals', ...rows.map((cells) => `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('')}`), ''].join('\n');
}

/** Returns the report about writes through rsiod with and without its replay log. */
export function logText({ row, clients, ratio, memory }: LogCost): string {
  const [withLog, without] = memory.rssBytes;
  return [
    'Cost of the replay log: rsiod as it is, and rsiod whose logs do nothing, in turn (log-size = 0 would mean all writes with FUA).',
    '"server" below is rsiod, alone on its core; rssrv and the load share the other core; each client has a volume of type null',
    `${row.title}, through rsiod's NBD socket`,
    ...tableOf(clients),
    `  ratio of IOPS ${factor(ratio)}; aim: at least ${LOG_RATIO_AIM}`,
    ...clients.flatMap(notesOn).map((note) => `  Note: ${note}`),
    `  memory of rsiod (RSS): ${mib(withLog)} with a full log, ${mib(without)} without: ${mib(withLog - without)} more; log-size ${mib(memory.sizeBytes)}, used ${mib(memory.usedBytes)}`,
    '',
  ].join('\n');
}

export function memoryText(memory: ServerMemory): string {
  const { listenerBytes, workersBytes, helpersBytes, sumBytes, sparesBytes, spares } = memory;
  return [
    `Memory of rssrv at rest with one client (summed PSS; aim: under ${MEMORY_AIM_MIB} MiB)`,
    `  ${mib(sumBytes)}: listener ${mib(listenerBytes)}, the client's process ${mib(workersBytes)}, helpers ${mib(helpersBytes)}`,
    `  not counted: ${spares} standby ${spares === 1 ? 'process' : 'processes'}, ${mib(sparesBytes)}`,
    '',
  ].join('\n');
}

export function count(value: number): string {
  return value < 10_000 ? value.toFixed(0) : `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)}k`;
}

export function counts({ median, min, max }: Spread): string {
  return `${count(median)} (${count(min)}-${count(max)})`;
}

export function micros(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}

export function factor({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`;
}
