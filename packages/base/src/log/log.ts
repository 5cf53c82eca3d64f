// Writes a daemon's log. JSON records (pino) are appended to a file, or converted to entries and written to the pipe of the sender. In the
// foreground, the records are also formatted and written to stderr. Invariants: a program never stops because its log cannot be written.
// Individual I/O requests are not logged.

import { type Logger, pino } from 'pino';
import { AppendFile, type AppendFileEvents, openForAppending } from './append-file.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { cleanFields, type LogFields } from './log-fields.ts';
import { formatLogLine, zoneOf } from './log-line.ts';
import { logEntry } from './log-entry.ts';
import { type LogForm, type LogWay, PLAIN_FORM } from './log-form.ts';
import { openPipe, PipeSink } from './pipe-sink.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
/** What may be the lowest level that a log has, from the most lines to the fewest (the key log-level). */
export const LOWEST_LEVELS = ['trace', ...LOG_LEVELS, 'fatal'] as const;
export type LowestLevel = (typeof LOWEST_LEVELS)[number];

/** Returns true if a log with this lowest level has more lines than one with the other. */
export function isMoreVerbose(level: LowestLevel, other: LowestLevel): boolean {
  return LOWEST_LEVELS.indexOf(level) < LOWEST_LEVELS.indexOf(other);
}

export interface Log {
  readonly isDebug?: boolean;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /**
   * Returns a log that adds these fields to each record. The field `path` (for example `6-if0-tx0`; default `main`) is printed in
   * parentheses. The field `node` (default: the node of the parent log) is printed before `@rsio`. The field `pid` is set if this process
   * writes the lines of another process.
   */
  child(fields: LogFields & { readonly path?: string; readonly node?: string; readonly pid?: number }): Log;
}

export interface DaemonLog extends Log {
  setLevel(level: LowestLevel): void;
  /** Reopens the file; called on SIGHUP, after a log rotation. */
  reopen(): void;
  /** Changes the place to which the log is written, or the form of its lines. */
  redirect(way: LogWay): void;
  /** The place to which the log is written now, and the form of its lines. */
  readonly way: LogWay;
  /** Writes all waiting lines before returning; also called when the process exits. */
  flushSync(): void;
  close(): void;
}

export interface LogOptions {
  readonly file: string;
  /**
   * Form of the lines, by default JSON. For the formats `journal` and `syslog`, `file` is the named pipe from which the sender (sender.ts)
   * reads.
   */
  readonly form?: LogForm;
  /** The client's node name or the server's name. Printed before `@rsio`. */
  readonly node: string;
  /** Lowest level that is logged. The default is `info`. */
  readonly level?: LowestLevel;
  /** Called with each formatted line, without a line end. Used in the foreground. */
  readonly copy?: ((line: string) => void) | undefined;
  /** Called once, with a message, if the log file cannot be written. By default, the message is written to stderr. */
  readonly warn?: (sentence: string) => void;
  readonly clock?: Clock;
  /**
   * Opens the log when the log is created and at each `reopen`. A process that receives descriptors instead of opening `file` sets this
   * function.
   */
  readonly open?: () => number;
  /** Called when the waiting lines of an exiting process have been written. */
  readonly flushed?: () => void;
}

/** Opens or creates the log file. Never throws: if the file cannot be opened, records go only to `copy`. */
export function openLog(options: LogOptions): DaemonLog {
  const { copy, open, flushed, clock = systemClock, warn = (sentence: string) => process.stderr.write(`${sentence}\n`) } = options;
  let way: LogWay = { file: options.file, form: options.form ?? PLAIN_FORM };
  let warned = false;
  const events: AppendFileEvents = {
    failed: (error) => {
      if (warned) return;
      warned = true;
      warn(`Cannot write log ${way.file} (${error.message}): continuing without it; make it writable and send SIGHUP`);
    },
    recovered: (lines) => log.warn(`${lines} log lines were lost while the log could not be written`),
  };
  const openSink = (): Sink => {
    const { file, form } = way;
    if (form.format === 'json') return new AppendFile(events, open ?? (() => openForAppending(file)));
    return new PipeSink(clock, events, open ?? (() => openPipe(file)));
  };
  let sink = openSink();
  const write = (line: string): void => {
    sink.write(way.form.format === 'json' ? line : `${logEntry(line, way.form)}\n`);
    copy?.(formatLogLine(line.trimEnd()));
  };
  const timestamp = (): string => {
    const nowMs = clock.wallMs();
    return way.form.isLocal ? `,"time":${nowMs},"zone":"${zoneOf(nowMs)}"` : `,"time":${nowMs}`;
  };
  const root: Logger = pino(
    {
      base: { pid: process.pid, node: options.node },
      level: options.level ?? 'info',
      timestamp,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
  const log = new PinoLog(root, root);
  const flush = () => {
    sink.flushSync();
    flushed?.();
  };
  process.on('exit', flush);
  // Write the reason for the exit to the log, because the stderr of a background process is discarded.
  const ends = (thrown: unknown, origin: string): void => {
    const what = origin === 'unhandledRejection' ? 'an unhandled rejection' : 'an uncaught exception';
    log.error(`This process exits because of ${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { error: thrown });
    flush();
  };
  process.on('uncaughtExceptionMonitor', ends);
  const daemonLog = Object.assign(log, {
    setLevel: (level: LowestLevel) => {
      root.level = level;
    },
    reopen: () => sink.reopen(),
    redirect: (next: LogWay) => {
      const old = sink;
      const isSame = isSamePlace(next, way);
      way = next;
      if (!isSame) sink = openSink();
      if (!isSame) old.close();
    },
    flushSync: flush,
    close: () => {
      process.off('exit', flush);
      process.off('uncaughtExceptionMonitor', ends);
      flush();
      sink.close();
    },
  });
  return Object.defineProperty(daemonLog, 'way', { get: () => way }) as typeof daemonLog & { readonly way: LogWay };
}

/** True if both places are the same file, written in the same format. */
export function isSamePlace(one: LogWay, other: LogWay): boolean {
  return one.file === other.file && one.form.format === other.form.format;
}

interface Sink {
  write(line: string): void;
  reopen(): void;
  flushSync(): void;
  close(): void;
}

class PinoLog implements Log {
  private readonly root: Logger;
  private readonly logger: Logger;

  constructor(root: Logger, logger: Logger) {
    this.root = root;
    this.logger = logger;
  }

  get isDebug(): boolean {
    return this.root.isLevelEnabled('debug');
  }

  debug(message: string, fields?: LogFields): void {
    this.emit('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.emit('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.emit('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.emit('error', message, fields);
  }

  child(fields: LogFields & { readonly path?: string; readonly node?: string; readonly pid?: number }): Log {
    const { node, pid, ...rest } = fields;
    const own = { ...(node === undefined ? {} : { node }), ...(pid === undefined ? {} : { pid }) };
    return new PinoLog(this.root, this.logger.child({ ...cleanFields(rest), ...own }, { level: 'debug' }));
  }

  // Check the level of the root logger, because pino copies the level to a child only when creating the child.
  private emit(level: LowestLevel, message: string, fields: LogFields | undefined): void {
    if (!this.root.isLevelEnabled(level)) return;
    if (fields === undefined) this.logger[level]({}, message);
    else this.logger[level](cleanFields(fields), message);
  }
}

/** Writes a line to stderr. A daemon in the foreground uses this function as `copy`. */
export function copyToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A log that writes nothing, for tests. */
export const quietLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => quietLog,
};
