// Tests, to the character, how log records and lines that are not records are printed. Property: every record and every line is printed as
// one line without control characters.

import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { formatLocalTime, formatLogLine, formatTime, TIME_MAX_MS } from './log-line.ts';

const record = {
  level: 'info',
  time: Date.UTC(2010, 8, 14, 15, 2, 32, 999),
  pid: 7,
  node: 'big-2',
  path: '6-if0-tx0',
  msg: 'started transmit for rep 192.168.45.10/5000',
};

describe('times in the zone of this machine', () => {
  const { TZ } = process.env;
  afterEach(() => {
    if (TZ === undefined) delete process.env['TZ'];
    else process.env['TZ'] = TZ;
  });

  test.each([
    ['Europe/Oslo', '2010_09_14-17:02:32 (+02:00)'],
    ['America/St_Johns', '2010_09_14-12:32:32 (-02:30)'],
    ['UTC', '2010_09_14-15:02:32 (+00:00)'],
  ])('%s', (zone, shown) => {
    process.env['TZ'] = zone;
    expect(formatLocalTime(record.time)).toBe(shown);
    expect(formatLogLine(JSON.stringify(record), formatLocalTime)).toContain(`big-2@rsio ${shown} INFO`);
    for (const time of [TIME_MAX_MS, -TIME_MAX_MS]) expect(formatLocalTime(time)).toMatch(/_\d\d-\d\d:\d\d:\d\d \([+-]\d\d:\d\d\)$/);
  });
});

describe('formatLogLine', () => {
  test('prints a record of a path to the character', () => {
    expect(formatLogLine(JSON.stringify(record))).toBe(
      'big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (6-if0-tx0): started transmit for rep 192.168.45.10/5000',
    );
  });

  test('prints (main) for a record without a path', () => {
    const { path: _, ...rest } = record;
    expect(formatLogLine(JSON.stringify({ ...rest, level: 'warn', msg: 'ready' }))).toBe(
      'big-2@rsio 2010_09_14-15:02:32 (GMT) WARN (main): ready',
    );
  });

  test('escapes control characters, also in the node name', () => {
    const line = formatLogLine(JSON.stringify({ ...record, node: 'a\nb', msg: 'x\u001b[2J\r\n\tfake\u0085\u202e' }));
    expect(line).toBe('a\\nb@rsio 2010_09_14-15:02:32 (GMT) INFO (6-if0-tx0): x\\x1b[2J\\r\\n\\tfake\\x85\\u202e');
  });

  test.each([
    ['half a record', '{"level":"info","time":12'],
    ['text of another program', 'Killed'],
    ['JSON that is no record', '{"a":1}'],
    ['null', 'null'],
    ['an unknown level', JSON.stringify({ ...record, level: 30 })],
    ['a time that is no date', JSON.stringify({ ...record, time: 1e300 })],
    ['a time that is no number', JSON.stringify({ ...record, time: '2010' })],
    ['no message', JSON.stringify({ ...record, msg: undefined })],
    ['an empty line', ''],
  ])('prints %s as it is', (_, line) => {
    expect(formatLogLine(line)).toBe(line);
  });

  test('escapes the content of a damaged line', () => {
    expect(formatLogLine('\u0000\u0000{"lev')).toBe('\\x00\\x00{"lev');
  });

  test('gives one line without control characters for any record and any text', () => {
    const fields = fc.record({
      node: fc.string({ unit: 'binary' }),
      msg: fc.string({ unit: 'binary' }),
      path: fc.string({ unit: 'binary' }),
      time: fc.double(),
    });
    const control = /[\p{Cc}\u2028\u2029]/u;
    fc.assert(fc.property(fields, (some) => !control.test(formatLogLine(JSON.stringify({ ...record, ...some })))));
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !control.test(formatLogLine(text))));
  });
});

test('formatTime accepts years of any length', () => {
  expect(formatTime(0)).toBe('1970_01_01-00:00:00 (GMT)');
  expect(formatTime(8.64e15)).toBe('+275760_09_13-00:00:00 (GMT)');
});

test('a record that names a zone is printed in it, and a wrong zone is GMT', () => {
  const record = { level: 'info', time: Date.UTC(2010, 8, 14, 15, 2, 32), node: 'big-2', msg: 'x' };
  const line = (zone: unknown): string => formatLogLine(JSON.stringify({ ...record, zone }));
  expect(line('-03:30')).toBe('big-2@rsio 2010_09_14-11:32:32 (-03:30) INFO (main): x');
  expect(line('Mars')).toBe('big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (main): x');
});
