// Mutants of what a server does without an order of a person there: of lines of moments, of hand-overs that are wanted and granted, and of what may
// be the only copy. All are hunted in random lives of two servers with old images (rssrv, testing/consent-lives.ts), or in those that change
// their roles. Invariant: each mutant drops one sentence of a rule at one of the two servers.

import type { ReplicationOrder } from '@rsio/common/control/server/replication-methods';
import type { Asker } from '@rsio/rssrv/pools/asker';
import type { Found } from '@rsio/rssrv/pools/catalogue';
import type { Manifest, WishMark } from '@rsio/rssrv/pools/disk/manifest';
import type { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import { Demotion } from '@rsio/rssrv/replication/followers/demotion';
import { FollowerLane } from '@rsio/rssrv/replication/followers/follower-lane';
import type { FollowerFacts, FollowerStep, HandOverOrder, OldSource } from '@rsio/rssrv/replication/followers/follower-plan';
import { FollowerVerbs } from '@rsio/rssrv/replication/followers/follower-verbs';
import { TakeOver } from '@rsio/rssrv/replication/followers/take-over';
import { HandOver } from '@rsio/rssrv/replication/sources/hand-over';
import { SnapshotVerbs } from '@rsio/rssrv/snapshots/snapshot-verbs';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface LaneInner {
  readonly facts: PrivateAs<FollowerLane['facts'], () => readonly FollowerFacts[]>;
  order: ReplicationOrder;
}

interface TakeOverInner {
  readonly verbs: PrivateAs<TakeOver['verbs'], PoolVerbs>;
}

const LIVES = { explorer: 'consents' } as const;
const ROLES = { explorer: 'roles' } as const;

/** Returns the order with entries that make the source seem to know each moment of the followers. */
function knowing(order: ReplicationOrder, followers: readonly FollowerFacts[]): ReplicationOrder {
  const known = followers.flatMap(({ sourceId, moments }) => {
    const newest = moments.at(-1);
    if (newest === undefined || order.moments.some(({ snapshots }) => snapshots.some(({ id }) => id === newest.origin?.snapshot)))
      return [];
    const snapshot = {
      volumeId: sourceId,
      id: newest.origin?.snapshot ?? newest.id,
      snapshot: newest.name,
      sizeBytes: 4096,
      blockSizeBytes: 512,
    };
    return [{ group: newest.group.id, momentMs: 0, place: null, snapshots: [{ ...snapshot, origin: newest.id }] }];
  });
  return { ...order, moments: [...known, ...order.moments] };
}

/** Lets followers want whatever hand-over the source is closed for. */
function wantsAny(): () => void {
  return override<LaneInner, [], readonly FollowerFacts[]>(FollowerLane, 'facts', (original) => (self) => {
    const granted = self.order.handOver?.replication ?? null;
    return original(self).map((one) => (one.isPromoted || granted === null ? one : { ...one, wanted: granted }));
  });
}

export const CONSENT_MUTANTS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'no-ancestry',
    rule: 'T4',
    breaks: 'followers take the next moment of a source that does not know their newest one',
    apply: () =>
      override<LaneInner, [unknown, ReplicationOrder, number, number], void>(
        FollowerLane,
        'update',
        (original) => (self, peer, order, nowMs, revision) => original(self, peer, knowing(order, self.facts()), nowMs, revision),
      ),
  },
  {
    ...LIVES,
    name: 'own-ids',
    rule: 'T1',
    breaks: 'the ids of moments come from the numbers of snapshots, so that a server that was set back makes them twice',
    apply: () =>
      override<SnapshotVerbs, [readonly { readonly snapshot: string }[], Asker, string | null, unknown], Promise<readonly unknown[]>>(
        SnapshotVerbs,
        'snapshot',
        (original) =>
          (self, ...asked) => {
            const ids = (self as unknown as { readonly verbs: { stamp(request: string | null): { newId(): string } } }).verbs;
            const before = Object.getOwnPropertyDescriptor(ids, 'stamp');
            const pools = (ids as unknown as PoolVerbs).pools.states;
            let number = Math.max(0, ...pools.flatMap(({ snapshots }) => [...snapshots.values()].map(({ list }) => list.length))) * 100;
            const stamp = ids.stamp.bind(ids);
            const newId = (): string => `00000000-0000-4000-8000-${String(++number).padStart(12, '0')}`;
            Object.defineProperty(ids, 'stamp', { configurable: true, value: (request: string | null) => ({ ...stamp(request), newId }) });
            return original(self, ...asked).finally(() => {
              if (before === undefined) delete (ids as { stamp?: unknown }).stamp;
              else Object.defineProperty(ids, 'stamp', before);
            });
          },
      ),
  },
  {
    ...LIVES,
    name: 'remove-free',
    rule: 'T6',
    breaks: 'a command removes the newest moment of a follower',
    apply: () =>
      override<SnapshotVerbs, [object, Asker, string | null, string | null], Promise<unknown>>(
        SnapshotVerbs,
        'remove',
        (original) =>
          (self, ...asked) => {
            const verbs = (
              self as unknown as { readonly pools: { readonly states: readonly { readonly volumes: Map<string, Manifest> }[] } }
            ).pools;
            const hidden: [Map<string, Manifest>, Manifest][] = [];
            for (const { volumes } of verbs.states)
              for (const manifest of volumes.values()) {
                if (manifest.follower === undefined || manifest.follower.promoted !== null) continue;
                const { follower: _follower, ...plain } = manifest;
                hidden.push([volumes, manifest]);
                volumes.set(manifest.id, plain);
              }
            const removing = original(self, ...asked);
            for (const [volumes, manifest] of hidden) volumes.set(manifest.id, manifest);
            return removing;
          },
      ),
  },
  {
    ...LIVES,
    name: 'second-follower',
    rule: 'T8',
    breaks: 'an old source is found by its name only, and gets a second volume beside it if it was renamed',
    apply: () =>
      override<object, [ReplicationOrder, string], readonly OldSource[]>(FollowerVerbs, 'oldSources', (original) => (self, order, peer) => {
        const found = original(self, order, peer);
        return found.every(({ sourceId, name }) => order.members.some((one) => one.id === sourceId && one.name === name)) ? found : [];
      }),
  },
  {
    ...LIVES,
    name: 'no-consent',
    rule: 'T12',
    breaks: 'the followers take over in any hand-over for which the source is closed, although an order has given it up',
    apply: () =>
      all(
        wantsAny(),
        override<TakeOverInner, [ReplicationOrder, HandOverOrder], Promise<void>>(
          TakeOver,
          'run',
          (original) => async (self, order, handOver) => {
            const wish: WishMark = { replication: handOver.replication, node: handOver.node, reversible: true };
            await new FollowerVerbs(self.verbs).want(order.replication, wish);
            return original(self, order, handOver);
          },
        ),
      ),
  },
  {
    ...ROLES,
    name: 'last-unclosed',
    rule: 'T9',
    breaks: 'the last moment is one that was made before the source was closed',
    apply: () =>
      override<HandOver, [string, string, string, Asker], Promise<void>>(
        HandOver,
        'last',
        (original) => async (self, id, wanted, group, asker) => {
          const inner = self as unknown as { write(found: Found, manifest: Manifest): Promise<void> };
          const write = inner.write.bind(self);
          Object.defineProperty(self, 'write', {
            configurable: true,
            value: (found: Found, manifest: Manifest) => {
              const { replication } = manifest;
              const confirmed = replication?.order?.confirmed?.group;
              if (replication?.handOver === undefined || confirmed === undefined) return write(found, manifest);
              return write(found, {
                ...manifest,
                replication: { ...replication, handOver: { ...replication.handOver, group: confirmed } },
              });
            },
          });
          return original(self, id, wanted, group, asker);
        },
      ),
  },
  {
    ...ROLES,
    name: 'reopen-blind',
    rule: 'T9',
    breaks: 'the source opens again while the other server still wants to take over',
    apply: () =>
      override<LaneInner, [FollowerStep], Promise<number>>(FollowerLane, 'step', (original) => async (self, step) => {
        const { granted = null } = self.order;
        if (step.kind !== 'take-over' || granted === null) return original(self, step);
        const release: FollowerStep = { kind: 'release', granted };
        const { order } = self;
        await original(self, release);
        self.order = order;
        return original(self, step);
      }),
  },
  {
    ...LIVES,
    name: 'again-drops',
    rule: 'T13',
    breaks: 'after the orders that the word diverged names, the moments that only this server has are moments of the source again',
    apply: () =>
      override<object, [object, ReplicationOrder, string], Promise<void>>(Demotion, 'follow', (original) => async (self, ...asked) => {
        const verbs = (self as { readonly ports: { readonly verbs: PoolVerbs } }).ports.verbs;
        await original(self, ...asked);
        for (const { volumes } of verbs.pools.states)
          for (const manifest of volumes.values()) {
            if (manifest.follower?.after === undefined) continue;
            const { after: _after, ...follower } = manifest.follower;
            (volumes as Map<string, Manifest>).set(manifest.id, { ...manifest, follower });
          }
      }),
  },
];
