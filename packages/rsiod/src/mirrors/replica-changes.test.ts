// Tests the events for the differences between two views of a mirror, and for voters that leave the configuration. The tests in
// protocol/mirror/membership cover the views.

import type { MirrorView, ReplicaView } from '@rsio/protocol/mirror/membership/interface';
import { expect, test } from 'vitest';
import { changesOf, votersGone } from './replica-changes.ts';

function view(replicas: readonly Partial<ReplicaView>[]): MirrorView {
  const voterSets = [[1, 2, 3].map((serverid) => ({ voter: String(serverid), serverid }))];
  return { isServing: true, voterSets, replicas } as unknown as MirrorView;
}

test('a replica that leaves, returns and is in sync again is told each time', () => {
  const [there, away, back] = [
    view([{ identity: 'a', role: 'member', session: 'open' }]),
    view([{ identity: 'a', role: 'returning', session: 'none' }]),
    view([{ identity: 'a', role: 'returning', session: 'open' }]),
  ];
  const told = [
    [null, there],
    [there, there],
    [there, away],
    [away, back],
    [back, there],
  ] as const;
  expect(told.map(([from, to]) => changesOf(from, to).map((one) => `${one.from}, ${one.to}`))).toEqual([
    [],
    [],
    ['in sync, behind'],
    ['behind, copying'],
    ['copying, in sync'],
  ]);
});

test('a voter whose server has left the configuration is told once, with its name', () => {
  const before = new Map([
    [1, 'big-9'],
    [3, 'pi-1'],
    [4, 'big-6'],
  ]);
  const now = new Map([[1, 'big-9']]);
  // Server 2 was never reached, so its name is unknown. Server 4 does not vote.
  expect(votersGone(view([]), before, now)).toEqual(['pi-1']);
  expect(votersGone(view([]), now, now)).toEqual([]);
  expect(votersGone(null, before, now)).toEqual([]);
});
