// Implements rsclogcat and rsslogcat, which print the logs of rsiod and rssrv. Invariant: a program that is following the log exits with
// code 0 on SIGINT.

import { type Invocation, type ProgramSpec, runProgram } from './arguments.ts';
import { systemClock } from '../lib/clock.ts';
import { RsError } from '../lib/errors.ts';
import { JournalReader } from '../log/journal-reader.ts';
import { LogReader } from '../log/log-reader.ts';
import { notedSink } from './log-place.ts';

interface LogcatProgram {
  readonly name: string;
  readonly daemon: string;
  /** Returns the daemon's paths for an absolute root directory. */
  readonly paths: (root: string) => { readonly root: string; readonly logFile: string; readonly stateDir: string };
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

Prints the log of ${program.daemon}, from the file or from the journal, where it is.

  -f, --follow      print new lines as they arrive, across log rotation
  -n, --lines N     start with the last N lines (default: all)
  --local           show local time (default: as log-time says)
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
  const paths = program.paths(root);
  const { daemon } = program;
  const sink = notedSink(paths.stateDir);
  if (sink === 'syslog') throw new RsError('E_NO_LOG', `The log of ${daemon} goes to syslog: read it there, or set log = file and reload`);
  const options = { daemon, lines, follow, isLocal: local, out };
  const reader =
    sink === 'journal'
      ? new JournalReader({ ...options, root: paths.root })
      : new LogReader({ ...options, file: paths.logFile, clock: systemClock });
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
