// Tests which peers a server connects to: those that are for shared pools only while it owns one of them. test/integration/farm-sites.test.ts
// tests the connections.

import type { PeerConfig } from '@rsio/common/config/schema/types';
import { expect, test } from 'vitest';
import { awayFrom, peersHere } from './peers-here.ts';

const owned = { generation: 3, life: 1 };
const POOLS = [
  { name: 'local', isShared: false, ownership: null },
  { name: 'mine', isShared: true, ownership: owned },
  { name: 'theirs', isShared: true, ownership: null },
  { name: 'other', isShared: true, ownership: null },
];

test.each<[string, readonly string[] | null, boolean]>([
  ['all pools', null, true],
  ['a pool that is not shared', ['local'], true],
  ['a shared pool that is owned here', ['mine'], true],
  ['a shared pool that is owned elsewhere', ['theirs'], false],
  ['several shared pools that are owned elsewhere', ['theirs', 'other'], false],
  ['two shared pools, one of which is owned here', ['theirs', 'mine'], true],
  ['a shared pool that is owned elsewhere, and a pool that is not shared', ['theirs', 'local'], true],
  ['a pool that is unknown yet', ['unknown'], true],
])('a peer for %s', (_, pools, isHere) => {
  const peer = { name: 'oslo', pools } as PeerConfig;
  expect(peersHere([peer], POOLS)).toEqual(isHere ? [peer] : []);
  expect(awayFrom(peer, POOLS)).toEqual(isHere ? null : expect.stringContaining(`owner of pool ${pools?.join(', ')}`));
});
