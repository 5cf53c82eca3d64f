// Tests how dead paths are tracked until the server confirms their end (S5).
// trunk.test.ts tests the frames FENCE and FENCED. Rules: G1.

import { describe, expect, test } from 'vitest';
import { DEAD_PATHS_NAMED_MAX } from '../wire/limits.ts';
import { Fences } from './fences.ts';

function fencesWith(...dead: number[]): Fences {
  const fences = new Fences();
  for (const path of dead) fences.died(path);
  return fences;
}

describe('asking', () => {
  test('each dead path is requested once, until FENCED', () => {
    const fences = fencesWith(3, 4);
    expect(fences.unrequested()).toEqual([3, 4]);
    for (const path of fences.unrequested()) expect(fences.request(path, 7)).toBe(true);
    expect(fences.unrequested()).toEqual([]);
    expect(fences.answered(3, 7)).toBe('fenced');
    expect([fences.count, fences.isDead(3), fences.isDead(4)]).toEqual([1, false, true]);
  });

  test('again on another path if that path dies, too', () => {
    const fences = fencesWith(3);
    fences.request(3, 7);
    fences.died(7);
    expect(fences.unrequested()).toEqual([3, 7]);
    fences.request(3, 8);
    expect(fences.answered(3, 8)).toBe('fenced');
    expect(fences.unrequested()).toEqual([7]);
  });

  test('again on another path if that path is silent, and the late answer is harmless', () => {
    const fences = fencesWith(3);
    fences.request(3, 7);
    fences.distrust(7);
    expect(fences.unrequested()).toEqual([3]);
    expect(fences.request(3, 8)).toBe(true);
    expect(fences.answered(3, 8)).toBe('fenced');
    expect(fences.answered(3, 7)).toBe('known');
  });

  test('a path that owes the answer gets no second request', () => {
    const fences = fencesWith(3);
    fences.request(3, 7);
    fences.distrust(7);
    expect(fences.request(3, 7)).toBe(false);
    expect(fences.unrequested()).toEqual([]);
    expect(fences.answered(3, 7)).toBe('fenced');
    expect(fences.answered(3, 7)).toBe('violation');
  });
});

describe('answers', () => {
  test('a FENCED that was not requested on this path is a violation', () => {
    const fences = fencesWith(3);
    expect(fences.answered(3, 7)).toBe('violation');
    fences.request(3, 7);
    expect(fences.answered(3, 8)).toBe('violation');
    expect(fences.answered(4, 7)).toBe('violation');
    expect(fences.isDead(3)).toBe(true);
  });

  // Regression: a path was closed for a correct FENCED if a WELCOME had confirmed the same dead path in the meantime.
  test('a FENCED after a WELCOME that confirmed the path is not a violation', () => {
    const fences = fencesWith(3);
    fences.request(3, 7);
    expect(fences.confirmed(3)).toBe(true);
    expect(fences.confirmed(3)).toBe(false);
    expect(fences.answered(3, 7)).toBe('known');
    expect(fences.answered(3, 7)).toBe('violation');
  });
});

test('a PROOF names the longest dead paths, up to the limit', () => {
  const fences = new Fences();
  for (let path = 0; path < DEAD_PATHS_NAMED_MAX + 5; path++) fences.died(path);
  expect(fences.named()).toEqual(Array.from({ length: DEAD_PATHS_NAMED_MAX }, (_unused, path) => path));
});

test('a new session drops everything', () => {
  const fences = fencesWith(3);
  fences.request(3, 7);
  fences.restart();
  expect([fences.count, fences.unrequested(), fences.answered(3, 7)]).toEqual([0, [], 'violation']);
});
