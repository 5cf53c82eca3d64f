// Mutants of snapshots of volumes over several pools (rule P2): each operation must apply to all files and not only to the first one. A
// snapshot must stay complete after a crash of the machine, although the crash undoes different changes in each pool. The zoo runs these
// mutants.

import { PartFiles } from '@rsio/rssrv/pools/disk/part-files';
import type { PartRecord } from '@rsio/rssrv/pools/disk/manifest';
import { NEW_PREFIX, poolPaths } from '@rsio/rssrv/pools/disk/pool-paths';
import { PartSnapshots } from '@rsio/rssrv/pools/snapshots/part-snapshots';
import type { PlacedPart } from '@rsio/rssrv/pools/catalogue';
import type { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import { PartSteps } from '@rsio/rssrv/snapshots/part-steps';
import type { FoundSnapshot } from '@rsio/rssrv/snapshots/snapshot-rules';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface PartsInner {
  readonly directory: PrivateAs<PartFiles['directory'], string>;
}

interface StepsInner {
  readonly verbs: PrivateAs<PartSteps['verbs'], PoolVerbs>;
}

type NewPart = (part: PlacedPart) => Promise<string | null>;

const SPREAD: readonly Mutant[] = [
  {
    name: 'parts-not-rolled-back',
    rule: 'P2',
    also: ['G19'],
    breaks: 'After a rollback, the files of a volume in other pools are zeros',
    apply: () =>
      override<StepsInner, [FoundSnapshot], NewPart>(
        PartSteps,
        'clone',
        () =>
          ({ verbs }) =>
          (part) =>
            verbs.zeros(false)(part),
      ),
  },
  {
    name: 'parts-unsynced',
    rule: 'P2',
    also: ['G19'],
    breaks: 'The files of a snapshot in other pools are not durable when it is answered',
    apply: () =>
      all(
        override<PartSnapshots, [PartRecord], Promise<number>>(PartSnapshots, 'prepare', () => () => Promise.resolve(0)),
        override<PartsInner, [string], Promise<void>>(PartFiles, 'confirm', () => async ({ directory }, fileId) => {
          const parts = poolPaths.parts(directory);
          await rename(join(parts, NEW_PREFIX + fileId), join(parts, fileId));
        }),
      ),
  },
];

export const SPREAD_MUTANTS: readonly Mutant[] = SPREAD.map((mutant) => ({ ...mutant, needsSpread: true }));
