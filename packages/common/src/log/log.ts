// Writes a daemon's log. JSON records (pino) are appended to a file. In the foreground, the records are also formatted and written to
// stderr. Invariants: a program never stops because its log cannot be written; individual I/O requests are not logged.

import { type Logger, pino } from 'pino';
import { AppendFile, type AppendFileEvents } from './append-file.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { cleanFields, type LogFields } from './log-fields.ts';
import { formatLogLine } from './log-line.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Log {
  readonly isDebug?: boolean;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /**
   * Returns a log that adds these fields to each record. The field `path` (for example `6-if0-tx0`; default `main`) is printed in
   * parentheses. The field `node` (default: the node of the parent log) is printed before `@rsio`.
   */
  child(fields: LogFields & { readonly path?: string; readonly node?: string }): Log;
}

export interface DaemonLog extends Log {
  setLevel(level: LogLevel): void;
  /** Reopens the file; called on SIGHUP, after a log rotation. */
  reopen(): void;
  /** Writes all waiting lines before returning; also called when the process exits. */
  flushSync(): void;
  close(): void;
}

export interface LogOptions {
  readonly file: string;
  /** The client's node name or the server's name. Printed before `@rsio`. */
  readonly node: string;
  /** The default is `info`. */
  readonly level?: LogLevel;
  /** Called with each formatted line, without a line end. Used in the foreground. */
  readonly copy?: ((line: string) => void) | undefined;
  /** Called once, with a message, if the log file cannot be written. By default, the message is written to stderr. */
  readonly warn?: (sentence: string) => void;
  readonly clock?: Clock;
  /** Opens `file` for appending, at once and at each `reopen`. Used by a process that is given descriptors instead. */
  readonly open?: () => number;
}

/** Opens or creates the log file. Never throws: if the file cannot be opened, records go only to `copy`. */
export function openLog(options: LogOptions): DaemonLog {
  const { file, copy, open, clock = systemClock, warn = (sentence: string) => process.stderr.write(`${sentence}\n`) } = options;
  let warned = false;
  const events: AppendFileEvents = {
    failed: (error) => {
      if (warned) return;
      warned = true;
      warn(`Cannot write log ${file} (${error.message}): continuing without it; make it writable and send SIGHUP`);
    },
    recovered: (lines) => log.warn(`${lines} log lines were lost while the log could not be written`),
  };
  const sink = new AppendFile(file, events, open);
  const stream = {
    write: (line: string) => {
      sink.write(line);
      copy?.(formatLogLine(line.trimEnd()));
    },
  };
  const root: Logger = pino(
    {
      base: { pid: process.pid, node: options.node },
      level: options.level ?? 'info',
      timestamp: () => `,"time":${clock.wallMs()}`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  const log = new PinoLog(root, root);
  const flush = () => sink.flushSync();
  process.on('exit', flush);
  // Write the reason for the exit to the log, because the stderr of a background process is discarded.
  const ends = (thrown: unknown, origin: string): void => {
    const what = origin === 'unhandledRejection' ? 'an unhandled rejection' : 'an uncaught exception';
    log.error(`This process exits because of ${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { error: thrown });
    flush();
  };
  process.on('uncaughtExceptionMonitor', ends);
  return Object.assign(log, {
    setLevel: (level: LogLevel) => {
      root.level = level;
    },
    reopen: () => sink.reopen(),
    flushSync: flush,
    close: () => {
      process.off('exit', flush);
      process.off('uncaughtExceptionMonitor', ends);
      sink.close();
    },
  });
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

  child(fields: LogFields & { readonly path?: string; readonly node?: string }): Log {
    const { node, ...rest } = fields;
    return new PinoLog(this.root, this.logger.child({ ...cleanFields(rest), ...(node === undefined ? {} : { node }) }, { level: 'debug' }));
  }

  // Check the level of the root logger, because pino copies the level to a child only when creating the child.
  private emit(level: LogLevel, message: string, fields: LogFields | undefined): void {
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
