// The log of the listener, which also makes events: a line with the field `event` is added to the list of events (EventHistory). A line
// that a rate limit suppresses makes no event, so that no peer can push other events out of the list. Invariant: a line becomes an event
// even if the log does not contain the line because of the log level.

import type { DaemonLog, Log, LowestLevel } from '@rsio/base/log/log';
import type { LogFields } from '@rsio/base/log/log-fields';
import type { LogWay } from '@rsio/base/log/log-form';
import type { Change, EventHistory } from '@rsio/common/events/event-history';

/** Returns the fields that make a log line an event. If `reason` is missing, the event's reason is the text of the line. */
export function eventOf(object: string, from: string, to: string, reason?: string): LogFields {
  return { event: { object, from, to, ...(reason === undefined ? {} : { reason }) } };
}

/** Returns a log whose events name the order that has caused them. */
export function orderLog(log: Log, order: NonNullable<Change['order']>): Log {
  const named = (fields: LogFields | undefined): LogFields | undefined => {
    const event = fields?.['event'] as Partial<Change> | undefined;
    return event === undefined ? fields : { ...fields, event: { ...event, order } };
  };
  return {
    isDebug: log.isDebug === true,
    debug: (message, fields) => log.debug(message, named(fields)),
    info: (message, fields) => log.info(message, named(fields)),
    warn: (message, fields) => log.warn(message, named(fields)),
    error: (message, fields) => log.error(message, named(fields)),
    child: (fields) => orderLog(log.child(fields), order),
  };
}

export class EventLog implements DaemonLog {
  private readonly log: Log;
  private readonly daemon: DaemonLog;
  private readonly events: EventHistory;

  /** `log` is `daemon`, or a child log of `daemon`. */
  constructor(daemon: DaemonLog, events: EventHistory, log: Log = daemon) {
    this.daemon = daemon;
    this.events = events;
    this.log = log;
  }

  get isDebug(): boolean {
    return this.log.isDebug === true;
  }

  debug(message: string, fields?: LogFields): void {
    this.log.debug(message, fields);
    this.note(message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.log.info(message, fields);
    this.note(message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.log.warn(message, fields);
    this.note(message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.log.error(message, fields);
    this.note(message, fields);
  }

  child(fields: Parameters<Log['child']>[0]): Log {
    return new EventLog(this.daemon, this.events, this.log.child(fields));
  }

  setLevel(level: LowestLevel): void {
    this.daemon.setLevel(level);
  }

  reopen(): void {
    this.daemon.reopen();
  }

  get way(): LogWay {
    return this.daemon.way;
  }

  redirect(way: LogWay): void {
    this.daemon.redirect(way);
  }

  flushSync(): void {
    this.daemon.flushSync();
  }

  close(): void {
    this.daemon.close();
  }

  private note(message: string, fields: LogFields | undefined): void {
    const event = fields?.['event'] as Partial<Change> | undefined;
    if (event === undefined) return;
    const { object = '', from = '-', to = '', reason = message, order } = event;
    this.events.add({ object, from, to, reason, ...(order === undefined ? {} : { order }) });
  }
}
