// Implements rsclogcat and rsslogcat, which print the logs of rsiod and rssrv. Invariant: a program that is following the log exits with
// code 0 on SIGINT.

import { type Invocation, type ProgramSpec, runProgram } from './arguments.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { RsError } from '../lib/errors.ts';
import { JournalReader } from '../log/journal-reader.ts';
import { LogReader, type LogReaderOptions } from '../log/log-reader.ts';
import { notedSink } from './log-place.ts';

interface LogPaths {
  readonly root: string;
  readonly logFile: string;
  readonly stateDir: string;
}

interface LogcatProgram {
  readonly name: string;
  readonly daemon: string;
  /** Returns the daemon's paths for an absolute root directory. */
  readonly paths: (root: string) => LogPaths;
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
  const reader = logReader(program.paths(root), systemClock, { daemon: program.daemon, lines, follow, isLocal: local, out });
  const stop = () => reader.stop();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    await reader.run();
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** Returns the reader of a daemon's log, where it is: in the file or in the journal. Throws E_NO_LOG if it is in neither. */
export function logReader(
  { root, logFile, stateDir }: LogPaths,
  clock: Clock,
  options: Pick<LogReaderOptions, 'daemon' | 'lines' | 'follow' | 'out'> & { readonly isLocal: boolean },
): Pick<LogReader, 'run' | 'stop'> {
  const sink = notedSink(stateDir);
  if (sink === 'syslog')
    throw new RsError('E_NO_LOG', `The log of ${options.daemon} goes to syslog: read it there, or set log = file and reload`);
  return sink === 'journal' ? new JournalReader({ ...options, root }) : new LogReader({ ...options, file: logFile, clock });
}

function countOf(name: string, text: string): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(count))
    throw new RsError('E_USAGE', `-n ${text} is not a number of lines: give a whole number from 0, see ${name} --help`);
  return count;
}
