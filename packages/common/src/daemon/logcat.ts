// Implements rsclogcat and rsslogcat, which print the logs of rsiod and rssrv. Invariant: a program that is following the log exits with
// code 0 on SIGINT.

import { type Invocation, type ProgramSpec, runProgram } from './arguments.ts';
import { systemClock } from '../lib/clock.ts';
import { RsError } from '../lib/errors.ts';
import { LogReader } from '../log/log-reader.ts';

interface LogcatProgram {
  readonly name: string;
  readonly daemon: string;
  /** Returns the path of the log file for an absolute root directory. */
  readonly file: (root: string) => string;
}

const OPTIONS = {
  follow: { type: 'boolean', short: 'f' },
  lines: { type: 'string', short: 'n' },
  local: { type: 'boolean' },
} as const;

export function runLogcat(program: LogcatProgram): void {
  const spec: ProgramSpec<typeof OPTIONS> = {
    name: program.name,
    help: `usage: ${program.name} [-f] [-n N] [--local] [--root DIR]

Prints the log of ${program.daemon}.

  -f, --follow      print new lines as they arrive, across log rotation
  -n, --lines N     start with the last N lines (default: all)
  --local           show local time (default: GMT)
`,
    options: OPTIONS,
    takesPositionals: false,
  };
  runProgram(spec, (invocation) => printLog(program, invocation));
}

async function printLog(program: LogcatProgram, invocation: Invocation<typeof OPTIONS>): Promise<undefined> {
  const { values, root, out } = invocation;
  const { follow = false, local = false } = values;
  const lines = values.lines === undefined ? null : countOf(program.name, values.lines);
  const reader = new LogReader({
    file: program.file(root),
    daemon: program.daemon,
    lines,
    follow,
    isLocal: local,
    clock: systemClock,
    out,
  });
  const stop = () => reader.stop();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    await reader.run();
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

function countOf(name: string, text: string): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(count))
    throw new RsError('E_USAGE', `-n ${text} is not a number of lines: give a whole number from 0, see ${name} --help`);
  return count;
}
