// Mutants of role changes: of a hand-over, and of a demotion. All are hunted in random lives of two servers that change their roles (rssrv,
// testing/role-lives.ts). Invariant: each mutant breaks one step of one of the two servers.

import type { Found } from '@rsio/rssrv/pools/catalogue';
import type { HandOverMark, Manifest } from '@rsio/rssrv/pools/disk/manifest';
import { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import { FollowerLane } from '@rsio/rssrv/replication/followers/follower-lane';
import { FollowerVerbs } from '@rsio/rssrv/replication/followers/follower-verbs';
import { commonGroups, type FollowerFacts, type FollowerStep } from '@rsio/rssrv/replication/followers/follower-plan';
import { HandOver } from '@rsio/rssrv/replication/sources/hand-over';
import type { NewSnapshot } from '@rsio/rssrv/snapshots/snapshot-rules';
import { SnapshotVerbs } from '@rsio/rssrv/snapshots/snapshot-verbs';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface LaneInner {
  readonly order: FollowerLane['order'];
  readonly facts: PrivateAs<FollowerLane['facts'], () => readonly FollowerFacts[]>;
}

const LIVES = { explorer: 'roles' } as const;

export const ROLE_MUTANTS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'half-closed',
    rule: 'T9',
    breaks: 'a hand-over closes only the volume with the order for clients',
    apply: () =>
      override<object, [Found, HandOverMark | null], Promise<void>>(
        HandOver,
        'mark',
        (original) => (self, member, handOver) =>
          handOver !== null && member.manifest.replication?.order === null ? Promise.resolve() : original(self, member, handOver),
      ),
  },
  {
    ...LIVES,
    name: 'taken-over-early',
    rule: 'T9',
    breaks: 'the other server takes over with the newest moment that it has, before it has the last one',
    apply: () =>
      override<LaneInner, [FollowerStep], Promise<number>>(FollowerLane, 'step', (original) => (self, step) => {
        const { handOver } = self.order;
        const group = commonGroups(self.facts()).at(-1);
        if (handOver === null || group === undefined || step.kind !== 'pull') return original(self, step);
        return original(self, { kind: 'take-over', handOver: { ...handOver, group } });
      }),
  },
  {
    ...LIVES,
    name: 'home-follows-first',
    rule: 'T9',
    breaks: 'the volume with the order becomes a follower before the other volumes, and the server stops between them',
    apply: () => {
      const others = new WeakMap<object, number>();
      return override<object, [Found, Manifest], Promise<void>>(FollowerVerbs, 'replace', (original) => async (self, found, manifest) => {
        const isOther = manifest.follower !== undefined && found.manifest.replication?.order === null;
        if (isOther && found.manifest.replication?.handOver !== undefined) {
          // The home is written in the place of the first other volume.
          others.set(self, 1);
          return;
        }
        await original(self, found, manifest);
        if (others.delete(self)) throw new Error('The server stops');
      });
    },
  },
  {
    ...LIVES,
    name: 'demoted-while-served',
    rule: 'T10',
    breaks: 'clients can write between the snapshot of a demotion and its end',
    apply: () =>
      override<PoolVerbs, [readonly Found[], () => Promise<unknown>], Promise<unknown>>(
        PoolVerbs,
        'whileAllUnserved',
        () => (_self, _found, work) => work(),
      ),
  },
  {
    ...LIVES,
    name: 'kept-in-part',
    rule: 'T10',
    breaks: 'a demotion keeps the present content of the first volume only',
    apply: () =>
      override<SnapshotVerbs, [readonly NewSnapshot[]], Promise<unknown>>(
        SnapshotVerbs,
        'snapshotUnserved',
        (original) => (self, wanted) => original(self, wanted.slice(0, 1)),
      ),
  },
];
