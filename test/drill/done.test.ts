// Tests the patterns by which the drill recognizes that an earlier try of an order has succeeded: they match the texts of rsconfig and the
// servers. Invariant: a refusal with the same code for another reason does not count.

import { expect, test } from 'vitest';
import { DONE } from './done.ts';

test.each<[RegExp, string, string]>([
  [DONE.volume('c1'), 'Volume c1 exists: choose another name', 'Volume rc1 exists, and rc1 is the name of the raw device of c1: choose'],
  [DONE.volume('p2@3'), 'Volume p2@3 exists: choose another universe', 'Volume p2 exists: choose another universe'],
  [DONE.volumeRemoved('c1'), 'No server has a volume c1@0: rsconfig volume list shows them', 'No connected server has a volume c1@0, and'],
  [DONE.volumeRestored('p1'), 'No server has a removed volume p1@0: rsconfig', 'No server has a volume p1@0: rsconfig'],
  [DONE.snapshot(['p1', 'p2'], 'g1'), 'Snapshot p2@g1 exists: choose another name', 'Snapshot p3@g1 exists: choose another name'],
  [DONE.snapshot(['m1'], 's1'), 'Snapshot osl:m1@0@s1 exists on pi-1: choose', 'Snapshot m1@s1 is of an earlier moment than m1@s2: make'],
  [DONE.snapshotRemoved('p1', 's1'), 'Volume p1 has no snapshot "s1": volume show p1', 'No volume p1 on this server: volume list'],
  [DONE.snapshotRemoved('m1', 's1'), 'Mirror osl:m1@0 has no snapshot s1: volume show', 'Mirror osl:m1@0 has no snapshot s11: volume show'],
  [DONE.grown('p1'), 'Volume p1 has 6.1m, and 6.1m is not more: a volume', 'Volume p1 has 7.0m, and 6.1m is not more: a volume'],
  [
    DONE.backup('p1@s1.qcow2'),
    'Backup /b/p1@s1.qcow2 exists, and no backup is ever replaced',
    '/b/p1@s2.qcow2 stands on the former p1@s1.qcow2',
  ],
  [DONE.moved('p1', 'b'), 'Volume p1 is already in pool b: name', 'Pool b has a volume with the id of volume p1, because it was copied'],
  [
    DONE.moved('p1', 'b'),
    'Job 7, move of volume p1 from pool a to pool b, has not ended: wait',
    'Job 7, copy of volume p1 to volume k, has not ended',
  ],
  [DONE.replicaAdded('m1', 'pi-1'), 'Server pi-1 has a replica of mirror osl:m1@0 already', 'Volume m1 exists: choose another name'],
  [
    DONE.replicaDetached('m1'),
    'Server pi-1 has no replica of mirror osl:m1@0, and only votes: rsconfig',
    'Server pi-1 does not answer (gone)',
  ],
  [DONE.replicaDetached('m1'), 'Server "pi-1" has nothing of mirror osl:m1@0, whose replicas', 'Too few voters of mirror osl:m1@0 answer'],
])('%s', (done, means, meansNot) => {
  expect(done.test(means)).toBe(true);
  expect(done.test(meansNot)).toBe(false);
});
