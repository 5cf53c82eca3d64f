// Mutants of the promotion of followers: which moment they get, and that they get no further one. All are hunted in random lives of two servers
// (rssrv, testing/replication-lives.ts). Invariant: a mutant whose rule is a pure function changes the method that uses the function.

import type { Asker } from '@rsio/rssrv/pools/asker';
import type { Found, VolumeName } from '@rsio/rssrv/pools/catalogue';
import type { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import type { SnapshotRecord } from '@rsio/rssrv/pools/snapshots/snapshot-record';
import { FollowerLane } from '@rsio/rssrv/replication/followers/follower-lane';
import { commonGroups, copiesOf, type FollowerFacts } from '@rsio/rssrv/replication/followers/follower-plan';
import { FollowerVerbs } from '@rsio/rssrv/replication/followers/follower-verbs';
import { Promotion } from '@rsio/rssrv/replication/followers/promotion';
import { snapshotsOf } from '@rsio/rssrv/snapshots/snapshot-rules';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface FollowerVerbsInner {
  readonly verbs: PrivateAs<FollowerVerbs['verbs'], PoolVerbs>;
}

interface PromotionInner {
  readonly wholeGroup: PrivateAs<
    Promotion['wholeGroup'],
    (wanted: readonly VolumeName[], asker: Asker) => { readonly all: readonly Found[] }
  >;
}

type Plan = readonly { readonly found: Found; readonly record: SnapshotRecord }[];

interface Moment {
  readonly all: readonly Found[];
  readonly group: string;
}

const LIVES = { explorer: 'replications' } as const;

export const PROMOTION_MUTANTS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'own-newest-promoted',
    rule: 'T7',
    breaks: 'each follower gets its own newest moment',
    apply: () =>
      override<object, [readonly Found[], string], Plan>(
        Promotion,
        'plan',
        (original) =>
          (self, ...asked) =>
            original(self, ...asked).map(({ found }) => ({ found, record: snapshotsOf(found).list.at(-1)! })),
      ),
  },
  {
    ...LIVES,
    name: 'promotion-begins-again',
    rule: 'T7',
    breaks: 'a promotion that was interrupted goes on with the newest moment that all followers have now',
    apply: () =>
      override<PromotionInner, [readonly VolumeName[], Asker], Moment>(Promotion, 'moment', (original) => (self, ...wanted) => {
        const { all: found } = self.wholeGroup(...wanted);
        const group = commonGroups(copiesOf(found)).at(-1);
        if (group === undefined || found.every(({ manifest }) => manifest.follower?.promoted !== null)) return original(self, ...wanted);
        return { all: found, group };
      }),
  },
  {
    ...LIVES,
    name: 'promoted-goes-on',
    rule: 'T8',
    breaks: 'a follower that was promoted gets further moments',
    apply: () =>
      all(
        override<object, [], readonly FollowerFacts[]>(
          FollowerLane,
          'facts',
          (original) => (self) => original(self).map((one) => ({ ...one, isPromoted: false })),
        ),
        override<FollowerVerbsInner, [string], Found>(FollowerVerbs, 'find', (original) => (self, volumeId) => {
          const pool = self.verbs.pools.states.find(({ volumes }) => volumes.has(volumeId));
          const manifest = pool?.volumes.get(volumeId);
          return pool === undefined || manifest === undefined ? original(self, volumeId) : { pool, manifest };
        }),
      ),
  },
  {
    ...LIVES,
    name: 'ended-goes-on',
    rule: 'T8',
    breaks: 'a promotion does not end the pull that is in progress',
    apply: () => override<object, [], Promise<void>>(FollowerLane, 'end', () => () => Promise.resolve()),
  },
];
