// Mutants of what may be the only copy, and of the last moment of a hand-over. They are hunted in random lives of two servers with old images (rssrv,
// testing/consent-lives.ts), and in those that change their roles. Invariant: each mutant drops one sentence of a rule at one of the two servers.

import type { SourceMoment } from '@rsio/api/rssrv/replication-methods';
import type { Asker } from '@rsio/rssrv/pools/asker';
import type { Found } from '@rsio/rssrv/pools/catalogue';
import type { Manifest } from '@rsio/rssrv/pools/disk/manifest';
import { momentsIn } from '@rsio/rssrv/pools/follower-moments';
import { momentIdOf } from '@rsio/rssrv/pools/mirror-sources';
import { snapshotsOf } from '@rsio/rssrv/snapshots/snapshot-rules';
import { FollowerVerbs, type SourceSnapshot } from '@rsio/rssrv/replication/followers/follower-verbs';
import { HandOver } from '@rsio/rssrv/replication/sources/hand-over';
import { SnapshotVerbs } from '@rsio/rssrv/snapshots/snapshot-verbs';
import { override } from '../../base/override.ts';
import type { Mutant } from '../mutants/mutant.ts';

const LIVES = { explorer: 'consents' } as const;
const ROLES = { explorer: 'roles' } as const;

function newestOf(found: Found): string | null {
  const { follower } = found.manifest;
  const newest = follower === undefined ? undefined : momentsIn(follower, snapshotsOf(found).list).at(-1);
  return newest === undefined ? null : momentIdOf(newest);
}

export const CONSENT_MUTANTS: readonly Mutant[] = [
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
    explorer: 'mirror-sources',
    name: 'unknown-forgotten',
    rule: 'T4',
    also: ['T6'],
    breaks: 'the next moment of a mirror does not name the newest one of the follower, which the mirror does not know',
    apply: () =>
      override<FollowerVerbs, [string, SourceMoment, SourceSnapshot, string | null], Promise<void>>(
        FollowerVerbs,
        'commit',
        (original) => (self, volumeId, moment, snapshot) => original(self, volumeId, moment, snapshot, null),
      ),
  },
  {
    explorer: 'mirror-sources',
    name: 'unknown-alone',
    rule: 'T4',
    also: ['T6'],
    breaks: 'each follower names its own newest moment, so that the one with which all can be promoted is removed',
    apply: () =>
      override<FollowerVerbs, [string, SourceMoment, SourceSnapshot, string | null], Promise<void>>(
        FollowerVerbs,
        'commit',
        (original) => (self, volumeId, moment, snapshot, unknown) =>
          original(self, volumeId, moment, snapshot, unknown === null ? null : newestOf(self.find(volumeId))),
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
];
