// Tests the order in which sources of unproven connections get their work done. unproven-limiter.test.ts tests real connections. The event
// loop is a list of turns here. Rules: G9.

import { expect, test } from 'vitest';
import { SourceTurns } from './source-turns.ts';

function scene() {
  const planned: (() => void)[] = [];
  const done: string[] = [];
  const turns = new SourceTurns((work) => planned.push(work));
  const ask = (source: string, name: string): void => turns.run(source, () => done.push(name));
  const pass = (count = 1): string[] => {
    for (let turn = 0; turn < count; turn++) planned.shift()?.();
    return done;
  };
  return { planned, done, turns, ask, pass };
}

test('a source with many connections delays another one by one piece of work, and each turn does one piece', () => {
  const { planned, ask, pass } = scene();
  for (let index = 0; index < 16; index++) ask('flood', `flood-${index}`);
  ask('honest', 'honest');
  expect([planned.length, pass(1)]).toEqual([1, ['flood-0']]);
  expect(pass(1)).toEqual(['flood-0', 'honest']);
  ask('honest', 'honest again');
  expect(pass(2)).toEqual(['flood-0', 'honest', 'flood-1', 'honest again']);
  expect(pass(20)).toHaveLength(18);
  expect(planned).toEqual([]);
});

test('work that asks for more work, or throws, does not stop the turns', () => {
  const { turns, planned, ask, pass, done } = scene();
  turns.run('a', () => {
    ask('a', 'second');
    throw new Error('broken');
  });
  ask('b', 'b');
  expect(() => pass(1)).toThrow('broken');
  pass(5);
  expect([done.toSorted(), planned]).toEqual([['b', 'second'], []]);
});
