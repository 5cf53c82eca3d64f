// Decides where a daemon logs, according to the keys `log` and `log-time`. For the journal or syslog, starts the sender. A small file in
// the state folder says where the log is, for the commands that read the log. Invariant: a missing journal or syslog never stops a daemon;
// the log then goes to the file, with a warning.

import { existsSync, fstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { BACKGROUND_VARIABLE } from './background-start.ts';
import type { Clock } from '../lib/clock.ts';
import type { LogWay } from '../log/log-form.ts';
import type { DaemonLog } from '../log/log.ts';
import { Sender } from '../log/sender.ts';

/** The keys `log` and `log-time`. */
export interface LogSettings {
  readonly log: 'auto' | LogSink;
  readonly logTime: 'gmt' | 'local';
}

type LogSink = 'journal' | 'syslog' | 'file';

const SOCKETS = { journal: '/run/systemd/journal/socket', syslog: '/dev/log' } as const;
/** Environment variable that tells a background process that the output of the starting process was the journal. */
const JOURNAL_VARIABLE = 'RSIO_JOURNAL';

interface PlacePaths {
  readonly root: string;
  readonly logFile: string;
  readonly runDir: string;
  readonly stateDir: string;
}

/**
 * Returns true if systemd has connected the journal to the output of this process, or to the output of the process that started this
 * process in the background. `isStarted`: true in a process that another process of the daemon has started.
 */
export function isUnderJournal(isStarted: boolean, environment: NodeJS.ProcessEnv = process.env): boolean {
  const stream = environment['JOURNAL_STREAM'];
  const given = environment[JOURNAL_VARIABLE];
  delete environment[JOURNAL_VARIABLE];
  const isJournal =
    stream !== undefined && (isStarted || environment[BACKGROUND_VARIABLE] !== undefined ? given === stream : hasOutput(stream));
  if (isJournal) environment[JOURNAL_VARIABLE] = stream;
  return isJournal;
}

/**
 * True if the output of this process is the stream `stream`. Compares device and inode, because programs whose output goes elsewhere also
 * inherit JOURNAL_STREAM.
 */
function hasOutput(stream: string): boolean {
  return [1, 2].some((descriptor) => {
    try {
      const { dev, ino } = fstatSync(descriptor);
      return `${dev}:${ino}` === stream;
    } catch {
      return false;
    }
  });
}

/** Returns the socket of the journal or of syslog: the socket below the daemon's root if it exists, otherwise the socket of the machine. */
function socketOf(sink: 'journal' | 'syslog', root: string): string {
  const own = `${root}${SOCKETS[sink]}`;
  return existsSync(own) ? own : SOCKETS[sink];
}

function sinkOf(choice: LogSettings['log'], isJournal: boolean): LogSink {
  if (choice !== 'auto') return choice;
  return isJournal ? 'journal' : 'file';
}

/** Destination of the log lines of rsiod's keeper: a file, `journal:SOCKET` or `syslog:SOCKET`. */
export function keeperLog({ root, logFile }: PlacePaths, choice: LogSettings['log'], isJournal: boolean): string {
  const sink = sinkOf(choice, isJournal);
  return sink === 'file' ? logFile : `${sink}:${socketOf(sink, root)}`;
}

interface LogPlaceOptions {
  readonly program: 'rssrv' | 'rsiod' | 'rsapp' | 'rsweb';
  readonly paths: PlacePaths;
  readonly clock: Clock;
  readonly isJournal: boolean;
  readonly warn: (sentence: string) => void;
}

export class LogPlace {
  private readonly options: LogPlaceOptions;
  private sender: Sender | null = null;
  private sink: LogSink = 'file';

  constructor(options: LogPlaceOptions) {
    this.options = options;
  }

  /** True if the log has the same destination as the output of this process. */
  get isOutput(): boolean {
    return this.options.isJournal && this.sink === 'journal';
  }

  /**
   * Chooses the place. When the log writes to the new place, the caller must call `closeOld`, which ends the sender of the former place.
   */
  choose({ log, logTime }: LogSettings): { readonly way: LogWay; readonly closeOld: () => void } {
    const { program, paths, isJournal } = this.options;
    const sink = sinkOf(log, isJournal);
    const old = this.sender;
    let closeOld = (): void => undefined;
    if (sink !== this.sink) {
      closeOld = () => old?.close();
      this.sender = sink === 'file' ? null : this.newSender(sink);
      this.sink = this.sender === null ? 'file' : sink;
    }
    this.note();
    const format = this.sink === 'file' ? 'json' : this.sink;
    const form = { format, isLocal: logTime === 'local', program, root: paths.root } as const;
    return { way: { file: this.sender?.pipe ?? paths.logFile, form }, closeOld };
  }

  /** Moves the log to the place that `settings` names. */
  redirect(log: Pick<DaemonLog, 'redirect'>, settings: LogSettings): void {
    const { way, closeOld } = this.choose(settings);
    log.redirect(way);
    closeOld();
  }

  /** Waits for the sender, for a bounded time. Called after the last line when the process exits. */
  flushSync(): void {
    this.sender?.flushSync();
  }

  close(): void {
    this.sender?.close();
    this.sender = null;
  }

  private newSender(sink: 'journal' | 'syslog'): Sender | null {
    const { paths, clock, warn } = this.options;
    const socket = socketOf(sink, paths.root);
    try {
      if (!existsSync(socket)) throw new Error(`there is no ${socket}`);
      return new Sender(clock, `${paths.runDir}/log-${sink}`, socket);
    } catch (thrown) {
      const why = (thrown as Error).message;
      warn(
        `The log goes to ${paths.logFile}, not to ${sink === 'journal' ? 'the journal' : 'syslog'} (${why}): correct it, or set log = file`,
      );
      return null;
    }
  }

  private note(): void {
    const { stateDir } = this.options.paths;
    if (this.sink === notedSink(stateDir)) return;
    try {
      mkdirSync(stateDir, { recursive: true });
      writeFileSync(noteFile(stateDir), `${JSON.stringify({ log: this.sink })}\n`, { mode: 0o644 });
    } catch {
      // Ignore the error: if this file is missing, the commands that print the log read the log file.
    }
  }
}

function noteFile(stateDir: string): string {
  return `${stateDir}/log.json`;
}

/** Returns the place to which the daemon with this state folder logs or last logged. */
export function notedSink(stateDir: string): LogSink {
  try {
    const { log } = JSON.parse(readFileSync(noteFile(stateDir), 'utf8')) as { log?: unknown };
    return log === 'journal' || log === 'syslog' ? log : 'file';
  } catch {
    return 'file';
  }
}
