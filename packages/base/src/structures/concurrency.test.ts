// Tests concurrent work: how many parts run at a time, the order of the results, and the effect of an error. attachments.test.ts tests the
// use of these functions.

import { expect, it } from 'vitest';
import { severalAtOnce } from './concurrency.ts';

/** Work with several parts. The test decides when each part ends. */
class Parts {
  readonly begun: number[] = [];
  most = 0;
  private readonly ends = new Map<number, () => void>();

  readonly work = (part: number): Promise<string> => {
    this.begun.push(part);
    return new Promise((resolve) => {
      this.ends.set(part, () => {
        this.ends.delete(part);
        resolve(`part ${part}`);
      });
      this.most = Math.max(this.most, this.ends.size);
    });
  };

  async end(part: number): Promise<void> {
    this.ends.get(part)?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

it('a few parts run at a time, and the results are in order, whichever ends first', async () => {
  const parts = new Parts();
  const all = severalAtOnce([0, 1, 2, 3, 4], 2, parts.work);
  for (const part of [1, 0, 3, 2, 4]) await parts.end(part);
  expect(await all).toEqual(['part 0', 'part 1', 'part 2', 'part 3', 'part 4']);
  expect(parts.begun).toEqual([0, 1, 2, 3, 4]);
  expect(parts.most).toBe(2);
});

it('no parts give no results, and an error ends the work', async () => {
  expect(await severalAtOnce([], 4, () => Promise.reject(new Error('never')))).toEqual([]);
  const begun: number[] = [];
  const failing = async (part: number): Promise<void> => {
    begun.push(part);
    await Promise.resolve();
    throw new Error(`no ${part}`);
  };
  await expect(severalAtOnce([1, 2, 3, 4], 2, failing)).rejects.toThrow('no 1');
  expect(begun).toEqual([1, 2]);
});
