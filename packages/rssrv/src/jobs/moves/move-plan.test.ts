// Tests the rounds of a move: how many rounds there are, when the clients wait, and when the server gives up. Other tests check where an
// interrupted move continues: a move never continues with files whose stamps are not in its record. Rules: G28.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LITTLE_BYTES, ROUNDS_MAX, SWITCH_COPY_MAX_BYTES } from '../limits.ts';
import { afterRound, resumePoint, switchMaxBytes } from './move-plan.ts';

const MIB = 1024 ** 2;
const FAST = 1024 * MIB;

describe('rounds', () => {
  test('the first one is followed by another, which may be small', () => {
    expect(afterRound({ number: 1, bytes: 0, previousBytes: null, bytesPerSecond: FAST })).toBe('again');
    expect(afterRound({ number: 2, bytes: LITTLE_BYTES, previousBytes: 9_000 * MIB, bytesPerSecond: FAST })).toBe('switch');
  });

  test('as long as they shrink, they go on', () => {
    const bytes = [9_000, 3_000, 1_000, 300, 100, 30, 10, 3].map((size) => size * MIB);
    const said = bytes.map((size, index) =>
      afterRound({ number: index + 1, bytes: size, previousBytes: bytes[index - 1] ?? null, bytesPerSecond: FAST }),
    );
    expect(said).toEqual(['again', 'again', 'again', 'again', 'again', 'again', 'again', 'switch']);
  });

  test('if they do not shrink, the clients wait for what can be copied in a second', () => {
    const stuck = { number: 5, bytes: 100 * MIB, previousBytes: 101 * MIB };
    expect(afterRound({ ...stuck, bytesPerSecond: FAST })).toBe('switch');
    expect(afterRound({ ...stuck, bytesPerSecond: 20 * MIB })).toBe('again');
    expect(afterRound({ ...stuck, number: ROUNDS_MAX, bytesPerSecond: 20 * MIB })).toBe('too-fast');
  });

  test('the end comes within the bound, and clients never wait for more than the most', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 2 ** 50 }), { minLength: ROUNDS_MAX, maxLength: ROUNDS_MAX });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 2 ** 40 }), (all, bytesPerSecond) => {
        expect(switchMaxBytes(bytesPerSecond)).toBeLessThanOrEqual(SWITCH_COPY_MAX_BYTES);
        const said = all.map((bytes, index) =>
          afterRound({ number: index + 1, bytes, previousBytes: all[index - 1] ?? null, bytesPerSecond }),
        );
        expect(said.at(-1)).not.toBe('again');
        for (const [index, one] of said.entries())
          if (one === 'switch') expect(all[index]).toBeLessThanOrEqual(switchMaxBytes(bytesPerSecond));
      }),
    );
  });
});

describe('an interrupted move', () => {
  const state = { copyStamp: 'c', baseStamp: 'b', nextStamp: 'n', positionBytes: 5 };

  test('goes on where it was', () => {
    expect(resumePoint(state, { copy: 'c', base: 'b', next: 'n' })).toBe('go-on');
    expect(resumePoint({ ...state, baseStamp: null }, { copy: 'c', base: null, next: 'n' })).toBe('go-on');
    expect(resumePoint({ ...state, nextStamp: null }, { copy: 'c', base: 'b', next: null })).toBe('go-on');
  });

  test('knows that a round had ended, and that nothing was copied of a new clone', () => {
    expect(resumePoint(state, { copy: 'c', base: 'n', next: null })).toBe('copied');
    expect(resumePoint({ ...state, nextStamp: null }, { copy: 'c', base: 'b', next: 'x' })).toBe('clone-again');
  });

  test.each([
    [null, { copy: 'c', base: 'b', next: 'n' }],
    [state, { copy: null, base: 'b', next: 'n' }],
    [state, { copy: 'x', base: 'b', next: 'n' }],
    [state, { copy: 'c', base: 'x', next: 'n' }],
    [state, { copy: 'c', base: null, next: 'n' }],
    [state, { copy: 'c', base: 'b', next: 'x' }],
    [state, { copy: 'c', base: 'b', next: null }],
    [
      { ...state, copyStamp: null },
      { copy: null, base: 'b', next: 'n' },
    ],
  ])('begins again if a file is another one (%#)', (before, found) => {
    expect(resumePoint(before, found)).toBe('restart');
  });
});
