// Turns a log record (one line of JSON) into a line for the sender, which sends the line as one datagram. The datagram has the fields of a
// journal entry, or is a syslog message. Invariants: the result is one line of bounded length; its values contain no control characters, so
// that no value can forge a field or a message.
//
//   journal: MESSAGE=Client a came 0x1e PRIORITY=6 0x1e ... (the sender replaces 0x1e with a line end, which ends a field)
//   syslog:  <30>Sep 14 15:02:32 rssrv[812]: (6-if0-tx0): started transmit for rep 192.168.45.10/5000

import { escapeControls } from '../lib/printable.ts';
import type { LogForm } from './log-form.ts';
import { ENTRY_FIELD_MAX_CHARS, ENTRY_FIELDS_MAX, ENTRY_MESSAGE_MAX_CHARS, SYSLOG_MESSAGE_MAX_CHARS } from './limits.ts';

/** Separates the fields of an entry. No value contains this character, because it is a control character. */
export const FIELD_END = '\x1e';
const FACILITY_DAEMON = 3;
/** Priorities of syslog(3) for the levels of the log. */
const PRIORITIES: Readonly<Record<string, number>> = { error: 3, warn: 4, info: 6, debug: 7 };
const PRIORITY_INFO = 6;
/** Fields of a record that have other names in the journal. */
const NAMED: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'node', 'msg', 'path', 'zone', 'event']);

type LogRecord = Readonly<Record<string, unknown>>;

/** `line`: a log record as JSON. Returns a line without a line end. */
export function logEntry(line: string, form: LogForm): string {
  const record = JSON.parse(line) as LogRecord;
  return form.format === 'syslog' ? syslogLine(record, form) : journalFields(record, form).join(FIELD_END);
}

function priorityOf({ level }: LogRecord): number {
  return PRIORITIES[String(level)] ?? PRIORITY_INFO;
}

function journalFields(record: LogRecord, { program, root }: LogForm): string[] {
  const fields: [name: string, value: unknown][] = [
    ['PRIORITY', priorityOf(record)],
    ['SYSLOG_IDENTIFIER', program],
    ['SYSLOG_PID', record['pid']],
    ['RSIO_ROOT', root === '' ? '/' : root],
    ['RSIO_TIME', record['time']],
    ['RSIO_NODE', record['node']],
    ['RSIO_PATH', record['path'] ?? 'main'],
    ['RSIO_ZONE', record['zone']],
    ...eventFields(record['event']),
  ];
  const has = new Set(fields.map(([name]) => name));
  for (const [name, value] of Object.entries(record)) {
    const field = `RSIO_${name.replaceAll(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()}`;
    // Skip the field if the journal does not accept its name.
    if (NAMED.has(name) || has.has(field) || !/^[A-Z0-9_]{1,64}$/.test(field)) continue;
    fields.push([field, typeof value === 'object' ? JSON.stringify(value) : value]);
  }
  const given = fields.filter(([, value]) => value !== undefined && value !== null).slice(0, ENTRY_FIELDS_MAX);
  const shown = given.map(([name, value]) => `${name}=${printable(String(value), ENTRY_FIELD_MAX_CHARS)}`);
  return [`MESSAGE=${printable(textOf(record['msg']), ENTRY_MESSAGE_MAX_CHARS)}`, ...shown];
}

/** Adds a field for the object of an event, such as RSIO_VOLUME for `volume oracle@0`. */
function eventFields(event: unknown): [string, unknown][] {
  if (typeof event !== 'object' || event === null) return [];
  const { object, from, to } = event as Record<string, unknown>;
  const [, kind, name] = /^([a-z]{1,32}) (.+)$/s.exec(String(object)) ?? [];
  return [
    ['RSIO_EVENT', `${String(object)}: ${String(from)} -> ${String(to)}`],
    ...(kind === undefined || kind === 'path' ? [] : [[`RSIO_${kind.toUpperCase()}`, name] as [string, unknown]]),
  ];
}

function syslogLine(record: LogRecord, { program }: LogForm): string {
  const { pid, path, time, msg } = record;
  const where = path === undefined ? '' : `(${textOf(path)}): `;
  const text = printable(`${where}${textOf(msg)}`, SYSLOG_MESSAGE_MAX_CHARS);
  return `<${FACILITY_DAEMON * 8 + priorityOf(record)}>${syslogTime(Number(time))} ${program}[${String(pid)}]: ${text}`;
}

/** Formats the time as RFC 3164 demands: in this machine's time zone, with the day padded with a space. */
function syslogTime(wallMs: number): string {
  const [, month = '', day = '', , time = ''] = new Date(wallMs).toString().split(' ');
  return `${month} ${String(Number(day)).padStart(2)} ${time}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function printable(text: string, maxChars: number): string {
  return escapeControls(text.length > maxChars ? `${text.slice(0, maxChars)} [cut]` : text);
}
