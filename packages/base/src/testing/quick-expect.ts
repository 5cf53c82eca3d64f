// Assertions for loops with very many comparisons, because each `expect` of Vitest costs microseconds, but a comparison only nanoseconds.
// Invariant: each function fails exactly if the assertion of Vitest that it replaces would fail, with the same message.

import { expect } from 'vitest';

/** Replaces `toBe`. */
export function expectSame<T>(actual: T, expected: T, message?: string): void {
  if (!Object.is(actual, expected)) expect(actual, message).toBe(expected);
}

/** Replaces `toBeLessThanOrEqual`. */
export function expectAtMost(actual: number, most: number): void {
  if (!(actual <= most)) expect(actual).toBeLessThanOrEqual(most);
}

/** Replaces `toBeGreaterThanOrEqual`. */
export function expectAtLeast(actual: number, least: number): void {
  if (!(actual >= least)) expect(actual).toBeGreaterThanOrEqual(least);
}

/** Replaces `toContain` for a list. */
export function expectOneOf<T>(list: readonly T[], actual: T): void {
  if (!list.includes(actual)) expect(list).toContain(actual);
}

/** Replaces `toEqual([])`. */
export function expectNone(list: readonly unknown[]): void {
  if (list.length > 0) expect(list).toEqual([]);
}
