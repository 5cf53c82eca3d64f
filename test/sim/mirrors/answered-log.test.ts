// The log of answered changes: a FLUSH covers each change that was answered before the FLUSH, and makes it durable only once. Positions
// stay valid after applied entries are dropped. The test of the oracle covers the meaning of answers.

import { expect, test } from 'vitest';
import { AnsweredLog } from './answered-log.ts';

function flushed(log: AnsweredLog, end: number): string[] {
  const seen: string[] = [];
  log.flushed(end, (sector, key) => void seen.push(`${sector}:${key}`));
  return seen;
}

test('a FLUSH covers what was answered before it was submitted, and not again', () => {
  const log = new AnsweredLog();
  log.add(3, 10);
  const first = log.covered;
  log.add(3, 11);
  log.add(4, 12);
  const second = log.covered;
  log.add(5, 13);
  expect(flushed(log, first.end)).toEqual(['3:10']);
  expect(flushed(log, second.end)).toEqual(['3:11', '4:12']);
  expect(flushed(log, first.end)).toEqual([]);
});

test('places stay what they are when applied entries are dropped', () => {
  const log = new AnsweredLog();
  for (let key = 0; key < 5000; key++) log.add(1, key);
  const { end } = log.covered;
  log.add(2, 5000);
  const last = log.covered;
  expect(flushed(log, 3000)).toHaveLength(3000);
  expect(flushed(log, end).at(0)).toBe('1:3000');
  expect(flushed(log, last.end)).toEqual(['2:5000']);
});
