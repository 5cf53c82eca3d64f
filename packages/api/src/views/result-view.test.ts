// Tests what people see of an answer: facts, tables, units, and nothing that could control a terminal.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { resultView } from './result-view.ts';

test('single values come first, then objects and lists of objects', () => {
  const volume = { name: 'db', sizeBytes: 20 * 1024 ** 3, isShared: false, clients: ['big-2', 'venus'], limits: { iops: 5, burst: null } };
  expect(
    resultView({
      rows: [
        { id: 'a', atMs: 1_800_000_000_000 },
        { id: 'b', usedBytes: 0 },
      ],
      volume,
      waitedMs: 90_400,
      left: [],
    }),
  ).toEqual([
    {
      kind: 'facts',
      title: '',
      facts: [
        ['waited', '90s'],
        ['left', 'none'],
      ],
    },
    {
      kind: 'table',
      title: 'rows',
      columns: ['id', 'at', 'used'],
      rows: [
        ['a', '2027_01_15-08:00:00 (GMT)', '-'],
        ['b', '-', '0'],
      ],
    },
    {
      kind: 'facts',
      title: 'volume',
      facts: [
        ['name', 'db'],
        ['size', '20.0G'],
        ['is shared', 'no'],
        ['clients', 'big-2, venus'],
      ],
    },
    {
      kind: 'facts',
      title: 'volume, limits',
      facts: [
        ['iops', '5'],
        ['burst', '-'],
      ],
    },
  ]);
});

test('a cell shows an object and a list in words, and ids stay as they are', () => {
  const [table] = resultView({
    jobs: [{ parts: [{ pool: 'fast', sizeBytes: 1024 }, { pool: 'slow' }], 'A1-b': 1, said: ['one, two', 'three'] }],
  });
  expect(table).toMatchObject({ columns: ['parts', 'A1-b', 'said'], rows: [['pool fast, size 1.0K; pool slow', '1', 'one, two; three']] });
});

test('any answer is shown, without control characters', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' })), (answer) => {
      expect(JSON.stringify(resultView({ ...answer, hugeMs: Number.MAX_VALUE, noMs: -1 })).replaceAll('\\\\', '')).not.toMatch(
        /[\p{Cc}\u202e]|\\[nrtu]/u,
      );
    }),
  );
});
