// Mutants of promises that no frame shows: who has an attachment (G50), what a backup is compared with (G29, G49), and how a removed volume
// ages (G15). Invariant: each mutant changes one decision of a class that decides alone.

import { lstat } from 'node:fs/promises';
import type { BackupRecord } from '@rsio/rsconfig/backup/backup-record';
import { LinkCheck } from '@rsio/rsconfig/backup/link-check';
import type { Clock } from '@rsio/base/lib/clock';
import { type Claim, type Owner, Owners, PERSON } from '@rsio/rsiod/attachments/owners';
import { type AgedRemoval, RemovalAges } from '@rsio/rssrv/pools/removal-ages';
import type { PoolState } from '@rsio/rssrv/pools/catalogue';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface OwnersInner {
  claims: PrivateAs<Owners['claims'], Claim[]>;
}

interface AgesInner {
  clock: PrivateAs<RemovalAges['clock'], Pick<Clock, 'wallMs'>>;
}

type ClaimArguments = [label: string, id: string, owner: Owner];
type CompareArguments = [file: string, record: BackupRecord | null];

export const ORDER_MUTANTS: readonly Mutant[] = [
  {
    name: 'owner-ignored',
    rule: 'G50',
    breaks: 'An order overwrites a volume that rsiod attaches for others at the same moment',
    explorer: 'owners',
    apply: () =>
      override<OwnersInner, ClaimArguments, Claim>(Owners, 'claim', () => (self, label, id, owner) => {
        const claim = { label, id, owner, isSettled: false, isEnding: false };
        self.claims.push(claim);
        return claim;
      }),
  },
  {
    name: 'order-as-person',
    rule: 'G50',
    breaks: 'What an order attaches counts as attached by a person',
    explorer: 'owners',
    apply: () =>
      override<Owners, ClaimArguments, Claim>(
        Owners,
        'claim',
        (original) => (self, label, id, owner) => original(self, label, id, owner.kind === 'order' && !owner.isAlone ? PERSON : owner),
      ),
  },
  {
    name: 'link-uncompared',
    rule: 'G29',
    also: ['G49'],
    breaks: 'A file of a chain of backups counts as whole without a comparison',
    explorer: 'backups',
    apply: () => override<LinkCheck, CompareArguments, Promise<string | null>>(LinkCheck, 'compare', () => () => Promise.resolve(null)),
  },
  {
    name: 'link-by-length',
    rule: 'G29',
    also: ['G49'],
    breaks: 'A file of a chain of backups counts as whole if it has its length',
    explorer: 'backups',
    apply: () =>
      override<LinkCheck, CompareArguments, Promise<string | null>>(
        LinkCheck,
        'compare',
        () => async (_self, file, record) => ((await lstat(file)).size === record?.fileBytes ? null : 'cut'),
      ),
  },
  {
    name: 'removal-by-wall-clock',
    rule: 'G15',
    breaks: 'The age of a removed volume is one look at the clock',
    explorer: 'ages',
    apply: () =>
      override<AgesInner, [pools: readonly PoolState[]], AgedRemoval[]>(
        RemovalAges,
        'all',
        (original) => (self, pools) => original(self, pools).map((one) => ({ ...one, ageMs: self.clock.wallMs() - one.removal.removedMs })),
      ),
  },
];
