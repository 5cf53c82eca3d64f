// Tests which completions are called together, and when. If completions are called together, the session sends their answers in one write;
// the bench measures the gain.

import { expect, test } from 'vitest';
import { CompletionGroup } from './file-backend.ts';

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

test('completions of one event-loop turn are called together, in order, with nothing between', async () => {
  const group = new CompletionGroup();
  const called: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    group.add(() => {
      called.push(name);
      queueMicrotask(() => called.push('microtask'));
    });
  }
  expect(called).toEqual([]);
  await turn();
  expect(called).toEqual(['a', 'b', 'c', 'microtask', 'microtask', 'microtask']);
});

test('a completion added by a callback is called in the next turn', async () => {
  const group = new CompletionGroup();
  const called: string[] = [];
  group.add(() => {
    called.push('first');
    group.add(() => called.push('second'));
  });
  await turn();
  expect(called).toEqual(['first']);
  await turn();
  expect(called).toEqual(['first', 'second']);
});
