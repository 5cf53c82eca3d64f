// Tests announcements of long and short lists, with a fake clock. packages/rsiod/src/network tests the reaction of clients.
// docs/BENCHMARKING.md has a figure for ten thousand volumes.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { LIST_CHANGES_HELD_MAX } from '../limits.ts';
import { ListAnnouncements } from './list-announcements.ts';

const VENUS = { clients: ['venus'] };
const BIG = { clients: ['big-2'] };

function scene(volumes: number) {
  const clock = new FakeClock();
  /** The recipients of each announcement; null for an announcement to all clients. */
  const said: (string[] | null)[] = [];
  const announcements = new ListAnnouncements({
    clock,
    volumes: () => volumes,
    announce: (_, seenBy) => void said.push(seenBy === null ? null : seenBy.flatMap(({ clients }) => clients ?? [])),
  });
  return { clock, announcements, said };
}

test('each change of a short list is announced at once', () => {
  const { announcements, said, clock } = scene(50);
  for (let change = 0; change < 3; change++) announcements.changed([], [VENUS]);
  expect([said, clock.timersPending]).toEqual([[['venus'], ['venus'], ['venus']], 0]);
});

test('of many changes of a long list, the first is announced at once and the rest together after the pause', () => {
  const { announcements, said, clock } = scene(10_000);
  announcements.changed([], [VENUS]);
  announcements.changed([], [VENUS]);
  announcements.changed([], [BIG]);
  clock.advance(999);
  expect(said).toEqual([['venus']]);
  clock.advance(1);
  expect([said, clock.timersPending]).toEqual([[['venus'], ['venus', 'big-2']], 0]);
  clock.advance(5_000);
  announcements.changed([], [BIG]);
  expect(said.at(-1)).toEqual(['big-2']);
});

test('growth is announced at once, together with what waits', () => {
  const { announcements, said, clock } = scene(10_000);
  announcements.changed([], [VENUS]);
  announcements.changed([], [VENUS]);
  announcements.changed([{ id: 'x', sizeBytes: 1 }], [BIG]);
  expect([said, clock.timersPending]).toEqual([[['venus'], ['venus', 'big-2']], 0]);
  announcements.changed([], null);
  announcements.close();
  expect([said.length, clock.timersPending]).toEqual([2, 0]);
});

test('a change that all clients see, and more changes than are remembered, are announced to all', () => {
  const { announcements, said, clock } = scene(10_000);
  announcements.changed([], []);
  for (let change = 0; change <= LIST_CHANGES_HELD_MAX; change++) announcements.changed([], [VENUS]);
  clock.advance(1_000);
  announcements.changed([], [VENUS]);
  announcements.changed([], null);
  clock.advance(1_000);
  expect(said.map((one) => one?.length ?? null)).toEqual([0, null, null]);
});
