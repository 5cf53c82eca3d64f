// Tests the conversion of blessed's key events to inputs of the model. The events are those that blessed 0.1.81 makes from the bytes in
// the comments.

import { expect, test } from 'vitest';
import type { Input } from '../widgets/keys.ts';
import { type KeyEvent, TerminalInput } from './terminal-input.ts';

type Event = readonly [character: string | undefined, event: KeyEvent | undefined];

function inputsOf(...events: readonly Event[]): Input[] {
  const input = new TerminalInput();
  return events.flatMap(([character, event]) => [...input.take(character, event)]);
}

const letter = (character: string): Event => [character, /^[a-z]$/.test(character) ? { name: character, sequence: character } : undefined];

test('function keys, arrows and their replacements become inputs', () => {
  const f3: Event = [undefined, { name: 'f3', sequence: '\x1bOR', code: 'OR' }];
  const escThree: Event = [undefined, { name: '3', sequence: '\x1b3', meta: true }];
  const backtab: Event = [undefined, { name: 'tab', sequence: '\x1b[Z', code: '[Z', shift: true }];
  expect(inputsOf(f3, escThree, backtab)).toEqual([
    { kind: 'key', key: 'save' },
    { kind: 'key', key: 'save' },
    { kind: 'key', key: 'backtab' },
  ]);
});

test('Enter arrives once although blessed reports it twice', () => {
  const events: Event[] = [
    ['\r', { name: 'return', sequence: '\r' }],
    ['\r', { name: 'enter', sequence: '\r' }],
  ];
  expect(inputsOf(...events)).toEqual([{ kind: 'key', key: 'enter' }]);
});

test('two Esc in one read are one, so that the screen below is not left by accident', () => {
  expect(inputsOf([undefined, { name: 'escape', sequence: '\x1b\x1b', meta: true }])).toEqual([{ kind: 'key', key: 'escape' }]);
});

test('a key in the same read after Esc does not swallow the Esc', () => {
  const f10: Event = [undefined, { name: 'f10', sequence: '\x1b\x1b[21~', code: '[21~' }];
  const f3: Event = [undefined, { name: 'f3', sequence: '\x1b\x1bOR', code: 'OR' }];
  const altUp: Event = [undefined, { name: 'up', sequence: '\x1b\x1b[A', code: '[A' }];
  const keys = ['escape', 'leave', 'escape', 'save', 'up'].map((key) => ({ kind: 'key', key }));
  expect(inputsOf(f10, f3, altUp)).toEqual(keys);
});

test('letters, a space, a wide character, and a split one beyond the first plane become text', () => {
  const space: Event = [' ', { name: 'space', sequence: ' ' }];
  expect(inputsOf(letter('a'), space, ['日', undefined], ['\ud83d', undefined], ['\ude00', undefined])).toEqual(
    ['a', ' ', '日', '😀'].map((text) => ({ kind: 'text', text })),
  );
});

test('a paste is one text whose line ends do not press Enter', () => {
  const begin: Event = [undefined, { name: 'undefined', sequence: '\x1b[200~', code: '[200~' }];
  const end: Event = [undefined, { name: 'undefined', sequence: '\x1b[201~', code: '[201~' }];
  const line: Event[] = [
    ['\r', { name: 'return', sequence: '\r' }],
    ['\r', { name: 'enter', sequence: '\r' }],
  ];
  expect(inputsOf(begin, letter('k'), ...line, letter('x'), end, letter('y'))).toEqual([
    { kind: 'text', text: 'k\rx' },
    { kind: 'text', text: 'y' },
  ]);
});

test('unknown keys are dropped', () => {
  expect(inputsOf(['\x07', { name: 'g', sequence: '\x07', ctrl: true }], [undefined, { name: 'f12', sequence: '\x1b[24~' }])).toEqual([]);
});
