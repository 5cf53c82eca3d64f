// Tests which state changes of a path become events while the path is retried and no server answers. The text of each notification is
// tested with the code that causes it, and in test/integration.

import { expect, test } from 'vitest';
import type { PathState } from '@rsio/base/lib/path-states';
import { PathEvents } from './notifications.ts';

type Move = readonly [from: PathState, to: PathState, reason?: string];

const TRY: readonly Move[] = [['down', 'connecting']];
const REFUSED: Move = ['connecting', 'down', 'nothing listens there'];
const SILENT: Move = ['connecting', 'down', 'no answer'];
const UP: readonly Move[] = [...TRY, ['connecting', 'proving'], ['proving', 'up']];

function newsOf(moves: readonly Move[], news = new PathEvents(), path = 'a'): string[] {
  return moves
    .filter(([from, to, reason = '']) => news.isEvent(path, from, to, reason))
    .map(([from, to, reason]) => `${from} > ${to} ${reason ?? ''}`.trim());
}

test('a path that comes up reports each step', () => {
  expect(newsOf(UP)).toEqual(['down > connecting', 'connecting > proving', 'proving > up']);
});

test('an attempt that fails as before is not reported; one that fails differently reports the reason; success is reported', () => {
  expect(newsOf([['up', 'down', 'reset'], ...TRY, REFUSED, ...TRY, REFUSED, ...TRY, SILENT, ...TRY, SILENT, ...UP])).toEqual([
    'up > down reset',
    'down > connecting',
    'connecting > down nothing listens there',
    'connecting > down no answer',
    'proving > up',
  ]);
});

test('after the path was up, an earlier failure is reported again, for each path separately', () => {
  const news = new PathEvents();
  expect(newsOf([...TRY, REFUSED, ...UP, ['up', 'down', 'reset'], ...TRY, REFUSED], news)).toEqual([
    'down > connecting',
    'connecting > down nothing listens there',
    'proving > up',
    'up > down reset',
    'down > connecting',
    'connecting > down nothing listens there',
  ]);
  expect(newsOf([...TRY, REFUSED], news, 'b')).toHaveLength(2);
});

test('a path that is retired or put on probation is reported', () => {
  expect(newsOf([...TRY, REFUSED, ['down', 'retired'], ...TRY, REFUSED, ['down', 'probation']])).toEqual([
    'down > connecting',
    'connecting > down nothing listens there',
    'down > retired',
    'down > connecting',
    'connecting > down nothing listens there',
    'down > probation',
  ]);
});
