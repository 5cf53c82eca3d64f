// The figures of a run as tables for documents: what stands in README and docs/BENCHMARKING.md is printed from a file that git keeps, and not
// typed. Pure.
// Leaves what is printed during a run to report.ts.

import type { GoalResult } from './goals.ts';
import type { ServerMemory } from './memory.ts';
import { count, counts, micros, type Surroundings } from './report.ts';
import type { Absent } from './servers/makers.ts';
import { type Sheet, sheetMarkdown, spreadText } from './sheet.ts';
import type { RowFigures } from './summary.ts';
import type { Window } from './load/orders.ts';

/** What a run leaves behind. */
export interface Results {
  readonly about: Surroundings;
  readonly times: Window & { readonly rounds: number };
  /** Not here, and here but not to be started. */
  readonly absent: readonly Absent[];
  readonly failed: readonly Absent[];
  readonly network: string;
  readonly rows: readonly RowFigures[];
  /** Of the other parts. */
  readonly sheets: readonly Sheet[];
  /** Sentences: what of them could not be measured. */
  readonly notMeasured: readonly string[];
  readonly goals: readonly GoalResult[];
  readonly memory: ServerMemory | null;
}

export function markdownText({ about, times, network, rows, sheets, notMeasured, goals }: Results): string {
  const { node, kernel, processor, versions, serverCore, loadCore } = about;
  const cores = serverCore === loadCore ? 'servers and load on one core' : 'servers on one core, load on another';
  const intro = table(
    ['measured', ''],
    [
      line(['on', `${processor}, Linux ${kernel}, Node ${node}`]),
      ...versions.map((version, index) => line([index === 0 ? 'with' : '', version])),
      line(['over', network]),
      line(['how', `${cores}; medians (least-most) of ${times.rounds} rounds of ${times.windowMs / 1000} s in turn`]),
    ],
  );
  const tables = [...(rows.length > 0 ? [rowsTable(rows)] : []), ...sheets.map(sheetMarkdown), goalsTable(goals)];
  const absent = notMeasured.map((sentence) => `Not measured: ${sentence}.`);
  return [...intro, '', ...tables.flatMap((lines) => [...lines, '']), ...absent.flatMap((sentence) => [sentence, ''])].join('\n');
}

function rowsTable(rows: readonly RowFigures[]): string[] {
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

/** Every goal beside what was measured. */
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
