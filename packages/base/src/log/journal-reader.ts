// Prints a daemon's log from the journal, in the same form as from a file. Records are rebuilt from the fields that journalctl prints.
// Invariants: only entries of the daemon with this root are printed. If an entry is not a log record, only the text of the entry is
// printed. Memory is bounded.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { killChild } from '../lib/kill-child.ts';
import { errnoName, RsError } from '../lib/errors.ts';
import { formatLocalTime, formatLogLine } from './log-line.ts';

interface JournalReaderOptions {
  /** The daemon: rssrv or rsiod. */
  readonly daemon: string;
  readonly root: string;
  readonly lines: number | null;
  readonly follow: boolean;
  readonly isLocal: boolean;
  readonly out: (text: string) => void;
}

const LEVELS: Readonly<Record<string, string>> = { 3: 'error', 4: 'warn', 6: 'info', 7: 'debug' };

export class JournalReader {
  private readonly options: JournalReaderOptions;
  private child: ChildProcess | null = null;
  private isStopped = false;

  constructor(options: JournalReaderOptions) {
    this.options = options;
  }

  /** Prints the log. With `follow`, continues until stop() is called. Throws E_NO_LOG. */
  async run(): Promise<void> {
    const { daemon, root, lines, follow } = this.options;
    const count = lines === null ? (follow ? ['--no-tail'] : []) : ['-n', String(lines)];
    const matches = [`SYSLOG_IDENTIFIER=${daemon}`, `RSIO_ROOT=${root === '' ? '/' : root}`];
    const words = ['-o', 'json', '--all', '--no-pager', '--quiet', ...(follow ? ['-f'] : []), ...count, ...matches];
    const child = spawn('journalctl', words, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, 1_000);
    });
    const ended = new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    const printed = this.print(child);
    const code = await ended.catch((error: unknown) => {
      const why = errnoName(error) === 'ENOENT' ? 'journalctl is missing' : `journalctl cannot be run (${(error as Error).message})`;
      throw new RsError('E_NO_LOG', `The log of ${daemon} is in the journal, and ${why}: install systemd, or set log = file and reload`);
    });
    await printed;
    if (code === 0 || this.isStopped) return;
    throw new RsError(
      'E_NO_LOG',
      `journalctl cannot read the log of ${daemon} (${said.trim()}): run as root, or as a member of systemd-journal`,
    );
  }

  stop(): void {
    this.isStopped = true;
    if (this.child !== null) killChild(this.child, 'SIGTERM');
  }

  private async print(child: ChildProcess): Promise<void> {
    if (child.stdout === null) return;
    const timeText = this.options.isLocal ? formatLocalTime : undefined;
    for await (const line of createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY }))
      this.options.out(`${formatLogLine(recordOf(line), timeText)}\n`);
  }
}

/** Returns the record as the daemon wrote it. If the entry is not a record, returns the text of the entry. */
function recordOf(line: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const msg = textOf(entry['MESSAGE']);
  const [node, time, path, zone] = ['RSIO_NODE', 'RSIO_TIME', 'RSIO_PATH', 'RSIO_ZONE'].map((name) => textOf(entry[name]));
  return JSON.stringify({ node, time: Number(time), level: LEVELS[textOf(entry['PRIORITY'])] ?? 'info', path, zone, msg });
}

/** journalctl prints a value that is not valid text as a list of byte values. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? Buffer.from(value.filter((byte): byte is number => typeof byte === 'number')).toString('utf8') : '';
}
