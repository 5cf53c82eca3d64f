// Syncs one after the other where there are more than a bound: none is forgotten, and one that fails hinders no other.
// Leaves what is synced to volumes.test.ts; the syncs here end when the test says so.

import { expect, test } from 'vitest';
import { SyncTurns } from './sync-turns.ts';

test('so many run at a time as there is a bound; the others come in turn, also after one that failed', async () => {
  const turns = new SyncTurns(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const outcomes: string[] = [];
  for (const one of [0, 1, 2, 3]) {
    const sync = (): Promise<void> => {
      begun.push(one);
      return new Promise((resolve, reject) => ends.push(one === 1 ? () => reject(new Error('EIO')) : resolve));
    };
    void turns.run(sync).then(
      () => outcomes.push(`${one} done`),
      () => outcomes.push(`${one} failed`),
    );
  }
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  expect(begun).toEqual([0, 1]);
  ends[1]!();
  await turn();
  expect([begun, outcomes]).toEqual([[0, 1, 2], ['1 failed']]);
  ends[0]!();
  ends[2]!();
  await turn();
  ends[3]!();
  await turn();
  expect(outcomes.toSorted()).toEqual(['0 done', '1 failed', '2 done', '3 done']);
  const free = turns.run(() => Promise.resolve());
  await expect(free).resolves.toBeUndefined();
});
