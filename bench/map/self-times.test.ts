// A profile of five samples: shares leave out idle time and the profiler's time, functions of the same name in two files are separate, and
// the greatest share comes first. Without a busy sample, the list is empty.

import { expect, test } from 'vitest';
import { selfTimes } from './self-times.ts';

const frame = (functionName: string, url: string, lineNumber: number): { readonly callFrame: object } => ({
  callFrame: { functionName, url, lineNumber, columnNumber: 0, scriptId: '1' },
});
const nodes = [
  { id: 1, ...frame('(idle)', '', -1) },
  { id: 2, ...frame('send', 'file:///a/one.js', 9) },
  { id: 3, ...frame('send', 'file:///a/two.js', 4) },
  { id: 4, ...frame('dispatch', '', -1) },
] as Parameters<typeof selfTimes>[0]['nodes'];

test('shares are of the time that is not idle, the greatest first', () => {
  const samples = [1, 2, 3, 3, 4];
  const found = selfTimes({ nodes, startTime: 0, endTime: 10, samples, timeDeltas: [600, 100, 200, 100, 300] });
  expect(found).toEqual([
    { name: 'send two.js:5', share: 0.75 },
    { name: 'send one.js:10', share: 0.25 },
  ]);
  expect(selfTimes({ nodes, startTime: 0, endTime: 10, samples: [1], timeDeltas: [5] })).toEqual([]);
});
