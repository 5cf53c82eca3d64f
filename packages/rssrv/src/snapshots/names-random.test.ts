// Random lives in which volumes change their names while schedules make and remove snapshots. testing/name-lives.ts has the events and the
// judge. Rules: C6.

import { expect, test } from 'vitest';
import { nameLife } from '../testing/name-lives.ts';

test('a schedule makes and removes snapshots of its own volume only, whatever the names of the volumes become', async () => {
  for (let seed = 1; seed <= 12; seed++) expect([seed, await nameLife(seed)]).toEqual([seed, null]);
});
