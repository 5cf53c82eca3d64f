// Tables of runs of models. runs.ts and farm-runs.ts have the rows.
// Invariant: each row of a table becomes one run, or one run for each engine that the row names.

export type Result = 'holds' | 'breaks' | 'unfinished';

export interface ModelRun {
  readonly model: string;
  readonly size: 'small' | 'normal' | 'big';
  readonly expected: Result;
  readonly variant: string;
  readonly args: string;
}

/** Makes runs from rows, each of which is a variant and its arguments. */
export function table(model: string, size: ModelRun['size'], expected: Result, rows: string): ModelRun[] {
  return rows
    .trim()
    .split('\n')
    .map((row) => /^\s*(\S+)\s+(.*)$/.exec(row))
    .map((row) => ({ model, size, expected, variant: row?.[1] ?? '', args: row?.[2] ?? '' }));
}

/** The second word of each row names the engines: one run for each letter. */
export function perEngine(model: string, size: ModelRun['size'], expected: Result, rows: string): ModelRun[] {
  return table(model, size, expected, rows).flatMap((run) => {
    const [engines = '', ...rest] = run.args.split(' ');
    return Array.from(engines, (engine) => ({ ...run, args: [engine, ...rest].join(' ') }));
  });
}
