// Tests that a signal reaches its one listener, and that a missing or a second listener is a mistake that ends the process.

import { expect, test } from 'vitest';
import { AssertionError } from './assert.ts';
import { Signal } from './signal.ts';

test('a signal gives its values to the listener, and returns the answer', () => {
  const signal = new Signal<[string, number], string>('a word is repeated');
  const { send } = signal;
  signal.listen((word, times) => word.repeat(times));
  signal.assertHeard();
  expect(send('ab', 2)).toBe('abab');
});

test('a signal that nobody hears is a mistake, at its first call and at the start', () => {
  const signal = new Signal('the pools were measured');
  expect(() => signal.send()).toThrow(new AssertionError("Signal 'the pools were measured' has no listener"));
  expect(() => signal.assertHeard()).toThrow(AssertionError);
});

test('a second listener is a mistake, and the first one stays', () => {
  const heard: string[] = [];
  const signal = new Signal('a session has ended');
  signal.listen(() => void heard.push('first'));
  expect(() => signal.listen(() => void heard.push('second'))).toThrow(AssertionError);
  signal.send();
  expect(heard).toEqual(['first']);
});
