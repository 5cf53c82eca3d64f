// Mutants of the records by which two servers allow each other something, and of the orders that end a state. All are hunted in random lives
// of two servers at which people give any order (rssrv, testing/order-lives.ts), or of which one has old images (testing/consent-lives.ts). Invariant: each mutant drops one sentence of a rule, and
// leaves the checks of the other server in force.

import { RsError } from '@rsio/base/lib/errors';
import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import type { Asker } from '@rsio/rssrv/pools/asker';
import type { Found, VolumeName } from '@rsio/rssrv/pools/catalogue';
import type { HandOverMark, Manifest, WishMark } from '@rsio/rssrv/pools/disk/manifest';

import { momentIdOf } from '@rsio/rssrv/pools/mirror-sources';
import { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import { Demotion, type PlannedDemotion } from '@rsio/rssrv/replication/followers/demotion';
import { FollowerLane } from '@rsio/rssrv/replication/followers/follower-lane';
import {
  commonBase,
  type FollowerFacts,
  type FollowerStep,
  type HandOverOrder,
  isKnown,
  type OldSource,
} from '@rsio/rssrv/replication/followers/follower-plan';
import { FollowerVerbs } from '@rsio/rssrv/replication/followers/follower-verbs';
import { Promotion } from '@rsio/rssrv/replication/followers/promotion';
import { TakeOver } from '@rsio/rssrv/replication/followers/take-over';
import { SourceVerbs } from '@rsio/rssrv/replication/sources/source-verbs';
import { snapshotsOf } from '@rsio/rssrv/snapshots/snapshot-rules';
import { SnapshotVerbs } from '@rsio/rssrv/snapshots/snapshot-verbs';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

type Pools = { readonly states: readonly Found['pool'][] };
type Stamp = ReturnType<PoolVerbs['stamp']>;

interface LaneInner {
  readonly order: FollowerLane['order'];
  readonly facts: PrivateAs<FollowerLane['facts'], () => readonly FollowerFacts[]>;
}

interface TakeOverInner {
  followers: PrivateAs<TakeOver['followers'], Pick<FollowerVerbs, 'of'>>;
}

interface FollowerVerbsInner {
  readonly verbs: PrivateAs<FollowerVerbs['verbs'], PoolVerbs>;
}

const LIVES = { explorer: 'orders' } as const;
/** Lives in which the source comes back from an old image. */
const IMAGES = { explorer: 'consents' } as const;

/** Volumes in pools, with the marks that the mutant gives them while `work` begins. */
function withManifests<T>(pools: Pools, change: (found: Found) => Manifest, work: () => T): T {
  const changed = pools.states.flatMap((pool) => [...pool.volumes.values()].map((manifest) => ({ pool, manifest })));
  const maps = changed.map((found) => ({ map: found.pool.volumes as Map<string, Manifest>, found }));
  const puts = maps.map(({ map, found }) => ({ map, was: found.manifest, now: change(found) }));
  for (const { map, now } of puts) map.set(now.id, now);
  const made = work();
  for (const { map, was, now } of puts) if (map.get(was.id) === now) map.set(was.id, was);
  return made;
}

/** The closed source takes an order of its peer for the hand-over that it has granted. `given`: what its mark says then. */
function followingAs(given: (found: Found, order: ReplicationOrder, peer: string) => HandOverMark | null): () => void {
  const changed =
    (order: ReplicationOrder, peer: string) =>
    (found: Found): Manifest => {
      const { replication } = found.manifest;
      const handOver = replication === undefined ? null : given(found, order, peer);
      return replication === undefined || handOver === null
        ? found.manifest
        : { ...found.manifest, replication: { ...replication, handOver } };
    };
  return all(
    override<FollowerVerbsInner, [ReplicationOrder, string], readonly OldSource[]>(
      FollowerVerbs,
      'oldSources',
      (original) => (self, order, peer) => withManifests(self.verbs.pools, changed(order, peer), () => original(self, order, peer)),
    ),
    override<FollowerVerbsInner, [ReplicationOrder, string], Promise<void>>(
      FollowerVerbs,
      'followHanded',
      (original) => (self, order, peer) => withManifests(self.verbs.pools, changed(order, peer), () => original(self, order, peer)),
    ),
  );
}

/** Returns the newest moment that the volume has in common with the order; null if there is none. */
function commonMoment(found: Found, order: ReplicationOrder): string | null {
  const { list } = snapshotsOf(found);
  for (const { id } of order.members) {
    const own = commonBase(order, { sourceId: id, snapshots: list })?.own;
    const base = list.find(({ name }) => name === own);
    if (base !== undefined) return momentIdOf(base);
  }
  return null;
}

/** The followers take over with what the source has granted. `isFor`: whether they do so with the wish that they have. */
function takingOver(isFor: (wanted: string | null) => boolean): () => void {
  return all(
    override<LaneInner, [], readonly FollowerFacts[]>(FollowerLane, 'facts', (original) => (self) => {
      const granted = self.order.granted ?? null;
      return original(self).map((one) => (granted === null || !isFor(one.wanted) ? one : { ...one, wanted: granted }));
    }),
    override<TakeOverInner, [ReplicationOrder, HandOverOrder], Promise<void>>(
      TakeOver,
      'run',
      (original) => async (self, order, handOver) => {
        const { followers } = self;
        const wished = (manifest: Manifest): Manifest => {
          const { follower } = manifest;
          if (follower === undefined || !isFor(follower.wanted?.replication ?? null)) return manifest;
          const wanted: WishMark = { node: follower.peer, reversible: true, ...follower.wanted, replication: handOver.replication };
          return { ...manifest, follower: { ...follower, wanted } };
        };
        self.followers = { of: (id) => followers.of(id).map(({ pool, manifest }) => ({ pool, manifest: wished(manifest) })) };
        await original(self, order, handOver).finally(() => {
          self.followers = followers;
        });
      },
    ),
  );
}

/** Digit of a server, by its folder. */
function serverOf({ pools }: Pick<PoolVerbs, 'pools'>): number {
  return pools.states[0]?.path.includes('/target/') === true ? 2 : 1;
}

const RECORDS: readonly Mutant[] = [
  {
    ...IMAGES,
    name: 'no-ancestry',
    rule: 'T4',
    breaks: 'a follower gets the next moment although its source does not know the newest one that it has',
    apply: () =>
      override<LaneInner, [], readonly FollowerFacts[]>(
        FollowerLane,
        'facts',
        (original) => (self) => original(self).map((one) => (isKnown(self.order, one) ? one : { ...one, moments: [] })),
      ),
  },
  {
    ...LIVES,
    name: 'own-ids',
    rule: 'T1',
    breaks: 'ids come from a counter in the pool, which goes back with an old image',
    apply: () =>
      override<PoolVerbs, [string | null], Stamp>(PoolVerbs, 'stamp', (original) => (self, request) => {
        const prefix = `0000000${serverOf(self)}-0000-4000-9000-`;
        const texts = self.pools.states.map(({ volumes, snapshots }) => JSON.stringify([[...volumes.values()], [...snapshots.values()]]));
        let last = Math.max(0, ...[...texts.join(' ').matchAll(new RegExp(`${prefix}(\\d{12})`, 'g'))].map(([, digits]) => Number(digits)));
        const newId = (): Stamp['id'] => `${prefix}${String(++last).padStart(12, '0')}` as Stamp['id'];
        return { ...original(self, request), id: newId(), newId };
      }),
  },
  {
    ...LIVES,
    name: 'no-consent',
    rule: 'T9',
    breaks: 'the followers take over although no order at their server wants that',
    apply: () => takingOver(() => true),
  },
  {
    ...LIVES,
    name: 'take-any',
    rule: 'T9',
    breaks: 'followers that want a hand-over take over with another one',
    apply: () => takingOver((wanted) => wanted !== null),
  },
  {
    ...LIVES,
    name: 'close-on-higher',
    rule: 'T9',
    breaks: 'a source closes and follows because its peer is the source in another replication',
    apply: () =>
      followingAs((found, order, peer) => {
        const group = commonMoment(found, order);
        return group === null ? null : { replication: order.replication, server: peer, node: peer, group };
      }),
  },
  {
    ...LIVES,
    name: 'handed-blind',
    rule: 'T9',
    breaks: 'a closed source follows whatever replication its peer offers, and with any moment in common',
    apply: () =>
      followingAs((found, order, server) => {
        const handOver = found.manifest.replication?.handOver;
        const group = commonMoment(found, order) ?? handOver?.group ?? null;
        return handOver === undefined ? null : { ...handOver, replication: order.replication, server, group };
      }),
  },
  {
    ...LIVES,
    name: 'close-follows-any',
    rule: 'T9',
    breaks: 'a closed source follows with any moment in common, although it does not have its last moment itself',
    apply: () =>
      followingAs((found, order) => {
        const handOver = found.manifest.replication?.handOver;
        const group = commonMoment(found, order);
        return handOver === undefined || group === null ? null : { ...handOver, group };
      }),
  },
  {
    ...LIVES,
    name: 'reopen-blind',
    rule: 'T9',
    breaks: 'a closed source opens again although its peer wants to take over',
    apply: () =>
      override<LaneInner, [FollowerStep], Promise<number>>(FollowerLane, 'step', (original) => (self, step) => {
        const granted = self.order.granted ?? null;
        const isWanted = self.facts().every(({ wanted }) => wanted === granted);
        return original(self, granted !== null && isWanted && step.kind !== 'take-over' ? { kind: 'release', granted } : step);
      }),
  },
];

const ORDERS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'promote-keeps-epoch',
    rule: 'T1',
    also: ['T7'],
    breaks: 'what was promoted is replicated with the id of the replication that it followed',
    apply: () => {
      let isReplicating = false;
      return all(
        override<SourceVerbs, [object, Asker, string | null], Promise<unknown>>(
          SourceVerbs,
          'replicate',
          (original) =>
            (self, ...asked) => {
              isReplicating = true;
              return original(self, ...asked).finally(() => {
                isReplicating = false;
              });
            },
        ),
        override<PoolVerbs, [string | null], Stamp>(PoolVerbs, 'stamp', (original) => (self, request) => {
          const made = original(self, request);
          const marks = self.pools.states.flatMap(({ volumes }) => [...volumes.values()].flatMap(({ follower }) => follower ?? []));
          const id = marks.find(({ promoted }) => promoted !== null)?.replication;
          return isReplicating && id !== undefined ? { ...made, id: id as Stamp['id'] } : made;
        }),
      );
    },
  },
  {
    ...LIVES,
    name: 'promote-moments-only',
    rule: 'T7',
    breaks: 'a promotion takes no other snapshots than moments of the source',
    apply: () =>
      override<Promotion, [readonly VolumeName[], Asker, string | null], object>(
        Promotion,
        'moment',
        (original) => (self, wanted, asker, from) => {
          if (from !== null) throw new RsError('E_USAGE', 'A promotion takes the newest moment');
          return original(self, wanted, asker, from);
        },
      ),
  },
  {
    ...LIVES,
    name: 'demote-drops',
    rule: 'T10',
    breaks: 'a demotion does not keep the present content',
    apply: () => override<SnapshotVerbs, [], Promise<unknown>>(SnapshotVerbs, 'snapshotUnserved', () => () => Promise.resolve([])),
  },
  {
    ...IMAGES,
    name: 'again-drops',
    rule: 'T10',
    also: ['T6'],
    breaks: 'what a volume had before its demotion counts among the moments of its new source',
    apply: () =>
      override<object, [Found], Found>(Demotion, 'now', () => (_self, { pool, manifest }) => ({
        pool: { ...pool, snapshots: new Map() },
        manifest,
      })),
  },
  {
    ...IMAGES,
    name: 'demote-needs-common',
    rule: 'T10',
    breaks: 'volumes without a moment in common cannot be demoted',
    apply: () =>
      override<Demotion, [readonly VolumeName[], string, Asker], PlannedDemotion>(Demotion, 'plan', (original) => (self, ...asked) => {
        const planned = original(self, ...asked);
        if (planned.pairs.some(({ base, follows }) => base === null && !follows)) throw new RsError('E_EXISTS', 'No moment in common');
        return planned;
      }),
  },
];

export const ORDER_MUTANTS: readonly Mutant[] = [...RECORDS, ...ORDERS];
