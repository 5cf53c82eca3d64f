// Tests that crsio says why no screen can be shown and what to do, and that the character set of the signs depends on the locale. The test
// supplies the facts about the terminal, so that no terminal is needed.

import { expect, test } from 'vitest';
import { charsetOf, checkTerminal, isColoured } from './terminal-check.ts';

const inTerminal = { isInputTerminal: true, isOutputTerminal: true };

test('a terminal that can show screens is accepted', () => {
  expect(checkTerminal({ ...inTerminal, env: { TERM: 'xterm' } })).toBe('xterm');
});

test.each([
  [{ isInputTerminal: false, isOutputTerminal: true, env: { TERM: 'xterm' } }, 'Standard input is not a terminal: run crsio in a terminal'],
  [
    { isInputTerminal: true, isOutputTerminal: false, env: { TERM: 'xterm' } },
    'Standard output is not a terminal: run crsio in a terminal',
  ],
  [{ ...inTerminal, env: { TERM: 'dumb' } }, 'A terminal of type dumb cannot show screens: set TERM to the type of the terminal'],
  [{ ...inTerminal, env: {} }, 'TERM is not set: set TERM to the type of the terminal'],
])('%j is refused', (facts, sentence) => {
  expect(() => checkTerminal(facts)).toThrow(sentence);
});

test('crsio draws line characters if the locale has them, otherwise or on request ASCII', () => {
  expect(charsetOf({ LANG: 'en_GB.UTF-8' }, false)).toBe('unicode');
  expect(charsetOf({ LANG: 'en_GB.UTF-8' }, true)).toBe('ascii');
  expect(charsetOf({ LC_ALL: 'C', LANG: 'en_GB.UTF-8' }, false)).toBe('ascii');
  expect(charsetOf({ LC_ALL: '', LC_CTYPE: 'C.utf8', LANG: 'C' }, false)).toBe('unicode');
  expect(charsetOf({}, false)).toBe('ascii');
});

test.each([
  [{ TERM: 'xterm-256color' }, true],
  [{ TERM: 'linux', NO_COLOR: '' }, true],
  [{ TERM: 'xterm', NO_COLOR: '1' }, false],
  [{ TERM: 'vt100' }, false],
  [{ TERM: 'vt220-w' }, false],
  [{ TERM: 'linux-m' }, false],
  [{ TERM: 'xterm-mono' }, false],
])('%j has colours: %s', (env, expected) => {
  expect(isColoured(env)).toBe(expected);
});
