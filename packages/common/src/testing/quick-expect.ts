// Assertions for loops with very many comparisons: each `expect` costs microseconds, a comparison nanoseconds.
// Invariant: they fail exactly if their namesakes of Vitest fail, with the same message.

import { expect } from 'vitest';

/** `toBe`. */
export function expectSame<T>(actual: T, expected: T, message?: string): void {
  if (!Object.is(actual, expected)) expect(actual, message).toBe(expected);
}

/** `toBeLessThanOrEqual`. */
export function expectAtMost(actual: number, most: number): void {
  if (!(actual <= most)) expect(actual).toBeLessThanOrEqual(most);
}

/** `toBeGreaterThanOrEqual`. */
export function expectAtLeast(actual: number, least: number): void {
  if (!(actual >= least)) expect(actual).toBeGreaterThanOrEqual(least);
}

/** `toContain`, of a list. */
export function expectOneOf<T>(list: readonly T[], actual: T): void {
  if (!list.includes(actual)) expect(list).toContain(actual);
}

/** `toEqual([])`. */
export function expectNone(list: readonly unknown[]): void {
  if (list.length > 0) expect(list).toEqual([]);
}
