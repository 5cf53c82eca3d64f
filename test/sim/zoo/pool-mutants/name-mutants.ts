// Mutants of C6: orders of the server itself that name a volume or a snapshot by its name. They are hunted in random lives of names (rssrv,
// testing/name-lives.ts).

import type { Asker } from '@rsio/rssrv/pools/asker';
import type { Found } from '@rsio/rssrv/pools/catalogue';
import type { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import type { Turn } from '@rsio/rssrv/pools/requests/turn';
import { findAnySnapshot, type NewSnapshot, type SnapshotName, type SnapshotRef } from '@rsio/rssrv/snapshots/snapshot-rules';
import { SnapshotVerbs } from '@rsio/rssrv/snapshots/snapshot-verbs';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

const LIVES = { explorer: 'names', rule: 'C6' } as const;

type Made = Awaited<ReturnType<SnapshotVerbs['snapshot']>>;

interface VerbsInner {
  readonly verbs: PrivateAs<SnapshotVerbs['verbs'], PoolVerbs>;
}

export const NAME_MUTANTS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'scheduled-by-name',
    breaks: 'A schedule makes its snapshot of the volume that has the name when the change begins',
    apply: () =>
      override<SnapshotVerbs, [readonly NewSnapshot[], Asker, string | null, Turn], Promise<Made>>(
        SnapshotVerbs,
        'snapshot',
        (original) => (self, wanted, asker, request, turn) => {
          const named = wanted.map((one) => (one.schedule === undefined ? one : (({ id: _id, ...others }) => others)(one)));
          return original(self, named, asker, request, turn);
        },
      ),
  },
  {
    ...LIVES,
    name: 'retained-by-name',
    breaks: 'A schedule removes the snapshot of the volume that has the name of its own volume',
    apply: () =>
      override<VerbsInner, [SnapshotName | SnapshotRef, Asker, null], Promise<Found>>(
        SnapshotVerbs,
        'remove',
        (original) => (self, wanted, asker, request) => {
          if (!('snapshotId' in wanted)) return original(self, wanted, asker, request);
          const { manifest, record } = findAnySnapshot(self.verbs.catalogue, wanted, asker, 'remove snapshots');
          return original(self, { name: manifest.name, universe: manifest.universe, snapshot: record.name }, asker, request);
        },
      ),
  },
];
