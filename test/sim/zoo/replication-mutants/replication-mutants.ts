// Mutants of replications: of the moments of a source, of what arrives at a follower, of confirmations, and of what both sides keep.
// promotion-mutants.ts has those of the promotion. All are hunted in random lives of two servers (rssrv, testing/replication-lives.ts). Invariant: a mutant whose rule is a pure
// function changes the method that uses the function.

import { readFileSync } from 'node:fs';
import type { Asker } from '@rsio/rssrv/pools/asker';
import type { Found } from '@rsio/rssrv/pools/catalogue';
import type { Manifest, ManifestOrder } from '@rsio/rssrv/pools/disk/manifest';
import { poolPaths } from '@rsio/rssrv/pools/disk/pool-paths';
import { type Incoming, IncomingFiles } from '@rsio/rssrv/pools/moves/incoming-files';
import type { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import type { SnapshotRecord } from '@rsio/rssrv/pools/snapshots/snapshot-record';
import type { VolumeCopy } from '@rsio/rssrv/pools/snapshots/volume-copy';
import { type Replication, replicationsIn } from '@rsio/rssrv/pools/source-marks';
import { momentsOf } from '@rsio/rssrv/pools/source-moments';
import { ArrivalNotes } from '@rsio/rssrv/replication/followers/arrival-notes';
import { FollowerLane, type LanePorts } from '@rsio/rssrv/replication/followers/follower-lane';
import { type CommonBase, type FollowerFacts, type FollowerStep } from '@rsio/rssrv/replication/followers/follower-plan';
import { FollowerVerbs, type SourceSnapshot } from '@rsio/rssrv/replication/followers/follower-verbs';
import { SourceVerbs } from '@rsio/rssrv/replication/sources/source-verbs';
import { snapshotsOf } from '@rsio/rssrv/snapshots/snapshot-rules';
import { SnapshotVerbs } from '@rsio/rssrv/snapshots/snapshot-verbs';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';
import { CONSENT_MUTANTS } from './consent-mutants.ts';
import { ID_MUTANTS } from './id-mutants.ts';
import { ORDER_MUTANTS } from './order-mutants.ts';
import { PROMOTION_MUTANTS } from './promotion-mutants.ts';
import { ROLE_MUTANTS } from './role-mutants.ts';
import { SEED_MUTANTS } from './seed-mutants.ts';

type Removal = FollowerStep & { readonly kind: 'remove' };

interface LaneInner {
  readonly ports: PrivateAs<FollowerLane['ports'], LanePorts>;
  readonly order: FollowerLane['order'];
  readonly facts: PrivateAs<FollowerLane['facts'], () => readonly FollowerFacts[]>;
  readonly remove: PrivateAs<FollowerLane['remove'], (step: Removal) => Promise<unknown>>;
  readonly call: PrivateAs<FollowerLane['call'], (method: 'replication-confirm', params: object) => Promise<unknown>>;
}

interface FollowerVerbsInner {
  readonly verbs: PrivateAs<FollowerVerbs['verbs'], PoolVerbs>;
}

interface IncomingInner {
  readonly folder: PrivateAs<IncomingFiles['folder'], string>;
}

interface SourceInner {
  readonly verbs: PrivateAs<SourceVerbs['verbs'], PoolVerbs>;
  readonly write: PrivateAs<SourceVerbs['write'], (one: Found) => Promise<void>>;
}

interface ExcessInner {
  readonly remove: PrivateAs<SourceVerbs['remove'], (one: Found & { readonly record: SnapshotRecord }) => Promise<void>>;
}

type Confirmed = NonNullable<ManifestOrder['confirmed']>;
type Prepare = [volumeId: string, snapshot: SourceSnapshot, base: CommonBase | null];
type Pulling = (cancel: AbortSignal) => Promise<void>;
type Read = Promise<Incoming | null>;

const LIVES = { explorer: 'replications' } as const;

/** Returns what incoming.json says, whatever has become of the file that it is about. */
function notedIn(file: string): Incoming | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Incoming;
  } catch {
    return null;
  }
}

/** Returns the manifest of a home with another confirmed moment. */
function withConfirmed(manifest: Manifest, change: (confirmed: Confirmed) => Confirmed | null): Manifest {
  const { replication } = manifest;
  const order = replication?.order ?? null;
  if (replication === undefined || order === null || order.confirmed === null) return manifest;
  return { ...manifest, replication: { ...replication, order: { ...order, confirmed: change(order.confirmed) } } };
}

/** A removal of a snapshot does not see that its volume is replicated, or that it follows. */
function unprotected(mark: 'replication' | 'follower' = 'replication'): () => void {
  return override<object, [object, Asker, string | null], Promise<unknown>>(SnapshotVerbs, 'remove', (original) => (self, ...asked) => {
    const { states } = (self as { readonly pools: { readonly states: readonly { readonly volumes: Map<string, Manifest> }[] } }).pools;
    const marked = states.flatMap(({ volumes }) => [...volumes.values()].map((manifest) => ({ volumes, manifest })));
    for (const { volumes, manifest } of marked) {
      const { [mark]: _mark, ...plain } = manifest;
      volumes.set(manifest.id, plain as Manifest);
    }
    const removing = original(self, ...asked);
    for (const { volumes, manifest } of marked) volumes.set(manifest.id, manifest);
    return removing;
  });
}

const MOMENTS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'moment-apart',
    rule: 'T1',
    also: ['P1'],
    breaks: 'the volumes of a moment are copied one after the other, while clients write',
    apply: () =>
      override<SnapshotVerbs, [readonly string[], readonly VolumeCopy[]], Promise<void>>(
        SnapshotVerbs,
        'takeMoment',
        (original) => async (self, names, copies) => {
          for (const copy of copies) await original(self, names, [copy]);
        },
      ),
  },
  {
    ...LIVES,
    name: 'home-first',
    rule: 'T1',
    breaks: 'the manifest of the home gets the order before the other volumes belong to the replication',
    apply: () => {
      const late = new WeakMap<object, Found[]>();
      return override<object, [Found], Promise<void>>(SourceVerbs, 'write', (original) => async (self, one) => {
        const others = late.get(self) ?? [];
        late.set(self, others);
        if (one.manifest.replication?.order === null) {
          others.push(one);
          return;
        }
        await original(self, one);
        for (const other of others.splice(0)) await original(self, other);
      });
    },
  },
];

const ARRIVALS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'cut-is-whole',
    rule: 'T2',
    breaks: 'a pull that was cut counts as whole',
    apply: () => {
      let wholeBytes = 0;
      return all(
        override<object, Prepare, Promise<object>>(FollowerVerbs, 'prepare', (original) => (self, volumeId, snapshot, base) => {
          wholeBytes = snapshot.sizeBytes;
          return original(self, volumeId, snapshot, base);
        }),
        override<ArrivalNotes, [Pulling], Promise<void>>(
          ArrivalNotes,
          'around',
          (original) => (self, pull) => original(self, (cancel) => pull(cancel).catch(() => self.add(wholeBytes, 0))),
        ),
      );
    },
  },
  {
    ...LIVES,
    name: 'commit-unchecked',
    rule: 'T2',
    breaks: 'the commit does not check what has arrived',
    apply: () => {
      let wanted: SourceSnapshot | null = null;
      return all(
        override<object, [string, object, SourceSnapshot, string | null], Promise<void>>(
          FollowerVerbs,
          'commit',
          (original) => (self, volumeId, moment, snapshot, unknown) => {
            wanted = snapshot;
            return original(self, volumeId, moment, snapshot, unknown).finally(() => {
              wanted = null;
            });
          },
        ),
        override<object, [], Read>(IncomingFiles, 'read', (original) => (self) => {
          if (wanted === null) return original(self);
          const { id, sizeBytes } = wanted;
          return Promise.resolve({ snapshot: id, base: null, sizeBytes, positionBytes: sizeBytes, stamp: null });
        }),
      );
    },
  },
  {
    ...LIVES,
    name: 'any-incoming',
    rule: 'T3',
    breaks: 'a pull continues the content of another snapshot, or with another base',
    apply: () => {
      let wanted: Prepare | null = null;
      return all(
        override<object, Prepare, Promise<object>>(FollowerVerbs, 'prepare', (original) => (self, ...asked) => {
          wanted = asked;
          return original(self, ...asked).finally(() => {
            wanted = null;
          });
        }),
        override<object, [], Read>(IncomingFiles, 'read', (original) => async (self) => {
          const known = await original(self);
          if (known === null || wanted === null) return known;
          const [, { id }, base] = wanted;
          return { ...known, snapshot: id, base: base?.since ?? null };
        }),
      );
    },
  },
  {
    ...LIVES,
    name: 'other-file-continued',
    rule: 'T3',
    breaks: 'a pull continues in another file than the one about which incoming.json was written',
    apply: () =>
      override<IncomingInner, [], Read>(
        IncomingFiles,
        'read',
        (original) => async (self) => (await original(self)) ?? notedIn(poolPaths.incomingState(self.folder)),
      ),
  },
  {
    ...LIVES,
    name: 'noted-ahead',
    rule: 'T3',
    breaks: 'the position is noted one block ahead of what has arrived',
    apply: () =>
      override<object, [string, Incoming, number], Promise<void>>(
        FollowerVerbs,
        'arrived',
        (original) => (self, volumeId, state, leftBytes) => {
          const positionBytes = Math.min(state.positionBytes + 4096, state.sizeBytes);
          return original(self, volumeId, { ...state, positionBytes }, leftBytes);
        },
      ),
  },
  {
    ...LIVES,
    name: 'begun-with-zeros',
    rule: 'T4',
    breaks: 'a moment begins with zeros although only the difference to its base is copied',
    apply: () =>
      override<object, [string | null, object], Promise<Incoming>>(
        IncomingFiles,
        'begin',
        (original) => (self, _base, state) => original(self, null, state),
      ),
  },
  {
    ...LIVES,
    name: 'begun-with-oldest',
    rule: 'T4',
    breaks: 'a moment begins with the oldest moment of the follower, and the difference to another one is copied',
    apply: () =>
      override<FollowerVerbsInner, Prepare, Promise<object>>(FollowerVerbs, 'prepare', (original) => (self, volumeId, snapshot, base) => {
        const pool = self.verbs.pools.states.find(({ volumes }) => volumes.has(volumeId));
        const own = pool?.snapshots.get(volumeId)?.list[0]?.name;
        return original(self, volumeId, snapshot, base === null || own === undefined ? base : { ...base, own });
      }),
  },
  {
    ...LIVES,
    name: 'sources-by-name',
    rule: 'T4',
    breaks: 'a follower is the copy of the volume that has the name of its source, and not of the volume with that id',
    apply: () =>
      override<LaneInner, [], readonly FollowerFacts[]>(FollowerLane, 'facts', (original) => (self) => {
        const { replication, members } = self.order;
        const marks = new Map<string, Manifest['follower']>(
          self.ports.verbs.of(replication).map(({ manifest }) => [manifest.id, manifest.follower]),
        );
        return original(self).map((one) => {
          const name = marks.get(one.volumeId)?.sourceName;
          return { ...one, sourceId: members.find((member) => member.name === name)?.id ?? one.sourceId };
        });
      }),
  },
];

const KEPT: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'confirmed-early',
    rule: 'T5',
    breaks: 'a moment is confirmed before the first follower has it',
    apply: () =>
      override<LaneInner, [FollowerStep], Promise<number>>(FollowerLane, 'step', (original) => async (self, step) => {
        if (step.kind === 'pull') await self.call('replication-confirm', { replication: self.order.replication, group: step.moment.group });
        return original(self, step);
      }),
  },
  {
    ...LIVES,
    name: 'confirmed-back',
    rule: 'T5',
    breaks: 'a late confirmation of an earlier moment replaces that of the newest one',
    apply: () =>
      override<SourceInner, [string, string, Asker], Promise<number>>(
        SourceVerbs,
        'confirm',
        (original) =>
          async (self, id, ...confirmed) => {
            const replication = replicationsIn(self.verbs.pools.states)[0]!;
            const { pool, manifest } = replication.home;
            if (momentsOf(replication).some(({ group }) => group === confirmed[0]))
              await self.write({ pool, manifest: withConfirmed(manifest, () => null) });
            return original(self, id, ...confirmed);
          },
      ),
  },
  {
    ...LIVES,
    name: 'newest-removed',
    rule: 'T6',
    breaks: 'the followers remove their newest moment when the next one is due',
    apply: () =>
      all(
        unprotected('follower'),
        override<LaneInner, [FollowerStep], Promise<number>>(FollowerLane, 'step', (original) => async (self, step) => {
          if (step.kind === 'ask')
            for (const follower of self.facts()) {
              const snapshot = follower.snapshots.at(-1);
              if (snapshot !== undefined) await self.remove({ kind: 'remove', follower, snapshot });
            }
          return original(self, step);
        }),
      ),
  },
  {
    ...LIVES,
    name: 'confirmed-unprotected',
    rule: 'T6',
    breaks: 'a command can remove the moment that was confirmed last',
    apply: unprotected,
  },
  {
    ...LIVES,
    name: 'confirmed-removed',
    rule: 'T6',
    breaks: 'a confirmation removes all moments up to the one that it confirms',
    apply: () =>
      all(
        unprotected(),
        override<ExcessInner, [Replication], Promise<number>>(SourceVerbs, 'removeExcess', (original) => async (self, one) => {
          const removed = await original(self, { ...one, order: { ...one.order, keep: 0 } });
          for (const member of one.members)
            for (const record of snapshotsOf(member).list)
              if (record.group.id === one.order.confirmed?.group) await self.remove({ ...member, record });
          return removed;
        }),
      ),
  },
];

export const REPLICATION_MUTANTS: readonly Mutant[] = [
  ...MOMENTS,
  ...ARRIVALS,
  ...KEPT,
  ...PROMOTION_MUTANTS,
  ...ROLE_MUTANTS,
  ...CONSENT_MUTANTS,
  ...ORDER_MUTANTS,
  ...ID_MUTANTS,
  ...SEED_MUTANTS,
];
