// Tests the lines for the journal and for syslog: their fields and priorities, and that no text of a record can forge a field.
// test/integration/log-places.test.ts tests, with real daemons, that the lines arrive.

import { expect, test } from 'vitest';
import { ENTRY_FIELD_MAX_CHARS } from './limits.ts';
import { FIELD_END, logEntry } from './log-entry.ts';
import type { LogForm } from './log-form.ts';

const JOURNAL: LogForm = { format: 'journal', isLocal: false, program: 'rssrv', root: '' };
const RECORD = { level: 'warn', time: Date.UTC(2010, 8, 4, 15, 2, 32), pid: 7, node: 'big-2', msg: 'Client a came' };

function fieldsOf(record: object): string[] {
  return logEntry(JSON.stringify(record), JOURNAL).split(FIELD_END);
}

test('an entry has priority, identifier and root, and the object of its event', () => {
  expect(
    fieldsOf({ ...RECORD, event: { object: 'volume db@0', from: 'open', to: 'lost' }, path: '6-if0-tx0', forMs: 3, list: [1] }),
  ).toEqual([
    'MESSAGE=Client a came',
    'PRIORITY=4',
    'SYSLOG_IDENTIFIER=rssrv',
    'SYSLOG_PID=7',
    'RSIO_ROOT=/',
    `RSIO_TIME=${RECORD.time}`,
    'RSIO_NODE=big-2',
    'RSIO_PATH=6-if0-tx0',
    'RSIO_EVENT=volume db@0: open -> lost',
    'RSIO_VOLUME=db@0',
    'RSIO_FOR_MS=3',
    'RSIO_LIST=[1]',
  ]);
});

test('no text forges a field, and names and lengths are bounded', () => {
  const fields = fieldsOf({ ...RECORD, msg: `a\nPRIORITY=0${FIELD_END}_UID=0`, 'x=y': 1, root: 'other', long: 'x'.repeat(9_999) });
  expect(fields[0]).toBe('MESSAGE=a\\nPRIORITY=0\\x1e_UID=0');
  expect(fields.filter((field) => /^(PRIORITY|RSIO_ROOT|_UID|.*X=Y)/.test(field))).toEqual(['PRIORITY=4', 'RSIO_ROOT=/']);
  expect(fields.at(-1)).toHaveLength('RSIO_LONG='.length + ENTRY_FIELD_MAX_CHARS + ' [cut]'.length);
});

test('a message of syslog has the priority of a daemon, and is one line', () => {
  const line = logEntry(JSON.stringify({ ...RECORD, level: 'error', msg: 'a\nb', path: 'p' }), { ...JOURNAL, format: 'syslog' });
  expect(line).toMatch(/^<27>Sep {2}\d \d\d:\d\d:\d\d rssrv\[7\]: \(p\): a\\nb$/);
});
