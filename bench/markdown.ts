// The figures of a run as tables in markdown. README and docs/BENCHMARKING.md take their tables from a file that git keeps; no figure is
// typed by hand. Pure. For the output during a run see report.ts.

import type { GoalResult } from './goals.ts';
import type { ServerMemory } from './memory.ts';
import { count, counts, micros, type Environment } from './report.ts';
import type { Absent } from './servers/makers.ts';
import { type Sheet, sheetMarkdown, spreadText } from './sheet.ts';
import type { RowFigures } from './summary.ts';
import type { Window } from './load/orders.ts';

export interface Results {
  readonly about: Environment;
  readonly times: Window & { readonly rounds: number };
  /** Servers that are not installed, and servers that did not start. */
  readonly absent: readonly Absent[];
  readonly failed: readonly Absent[];
  readonly network: string;
  readonly rows: readonly RowFigures[];
  readonly sheets: readonly Sheet[];
  /** Sentences that name the figures that could not be measured. */
  readonly notMeasured: readonly string[];
  readonly goals: readonly GoalResult[];
  readonly memory: ServerMemory | null;
}

export function markdownText(results: Results): string {
  const { rows, sheets, notMeasured, goals } = results;
  const ofRows = rows.length > 0 ? [coresTable(rows), rowsTable(rows)] : [];
  const tables = [conditionsTable(results), goalsTable(goals), ...sheets.map(sheetMarkdown), ...ofRows];
  const absent = notMeasured.map((sentence) => `Not measured: ${sentence}.`);
  return [...tables.flatMap((lines) => [...lines, '']), ...absent.flatMap((sentence) => [sentence, ''])].join('\n');
}

/** The machine, the programs and the method of the run. */
export function conditionsTable({ about, times, network }: Results): string[] {
  const { node, kernel, processor, versions, serverCore, loadCore } = about;
  const cores = serverCore === loadCore ? 'servers and load on one core' : 'servers on one core, load on another';
  return table(
    ['measured', ''],
    [
      line(['on', `${processor}, Linux ${kernel}, Node ${node}`]),
      ...versions.map((version, index) => line([index === 0 ? 'with' : '', version])),
      line(['over', network]),
      line(['how', `${cores}; medians (least-most) of ${times.rounds} rounds of ${times.windowMs / 1000} s in turn`]),
    ],
  );
}

/** IOPS per server core: a line for each load, a column for each server. */
export function coresTable(rows: readonly RowFigures[]): string[] {
  const titles = new Map(rows.flatMap(({ servers }) => servers.map(({ id, title }) => [id, title] as const)));
  const lines = rows.map(({ row, servers }) => {
    const figures = [...titles.keys()].map((wanted) => servers.find(({ id }) => id === wanted));
    return line([row.title, ...figures.map((one) => (one === undefined ? '-' : count(one.iopsPerServerCore.median)))]);
  });
  return table(['IOPS per server core', ...titles.values()], lines);
}

/** Every figure of each server. */
export function rowsTable(rows: readonly RowFigures[]): string[] {
  const lines = rows.flatMap(({ row, servers }) =>
    servers.map((one, index) => {
      const latencies = [one.p50Us, one.p99Us, one.p999Us].map(({ median }) => micros(median)).join(', ');
      const rate = `${count(one.iops.median)}, ${one.megabytesPerSecond.median.toFixed(0)}`;
      return line([
        index === 0 ? row.title : '',
        one.title,
        rate,
        one.serverCores.median.toFixed(2),
        counts(one.iopsPerServerCore),
        latencies,
      ]);
    }),
  );
  return table(['', 'server', 'IOPS, MB/s', 'cores', 'IOPS per server core', 'p50, p99, p99.9 us'], lines);
}

/** Returns a table with each goal and its measured figure. */
export function goalsTable(goals: readonly GoalResult[]): string[] {
  const lines = goals.map(({ what, aim, measured, digits, isMet }) =>
    line([
      what,
      aim,
      measured === null ? '-' : spreadText(measured, digits),
      isMet === null ? 'not measured' : isMet ? 'met' : '**not met**',
    ]),
  );
  return table(['goal', '', 'measured', ''], lines);
}

function table(headings: readonly string[], lines: readonly string[]): string[] {
  return [line(headings), `|${'---|'.repeat(headings.length)}`, ...lines];
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
