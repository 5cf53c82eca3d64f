// Mutants of the rule that a replica says which answered writes it may lack (Q10), and of the choice of the replica from which blocks are
// settled (M7). The zoo hunts the first group in the worlds of the explorer `lost-writes`, and the second one in those of `copies`.

import { Copier } from '@rsio/protocol/mirror/copy/copier';
import type { CopyKind } from '@rsio/protocol/mirror/copy/sources';
import type { Term } from '@rsio/protocol/wire/mirror-messages';
import type { VolumeHolds } from '@rsio/rssrv/volumes/holds/hold-rules';
import { HoldStore } from '@rsio/rssrv/volumes/holds/hold-store';
import { Holds } from '@rsio/rssrv/volumes/holds/holds';
import type { LedgerContent } from '@rsio/rssrv/volumes/holds/ledger-file';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface HoldsInner {
  readonly volumes: PrivateAs<Holds['volumes'], Map<string, VolumeHolds>>;
}

type Asked = [volumeId: string, data: string, incarnation: string, claimed: Term];
type Adopted = [poolId: string, content: Pick<LedgerContent, 'volumes' | 'nodes'>, present: ReadonlySet<string>, isForeign: boolean];

/** Replaces the answer about what a replica may lack. */
function telling(tell: (told: Term | null, self: HoldsInner, asked: Asked) => Term | null): () => void {
  return override<HoldsInner, Asked, Term | null>(
    Holds,
    'lackedTerm',
    (original) =>
      (self, ...asked) =>
        tell(original(self, ...asked), self, asked),
  );
}

/** After the method has ended a hold of a volume, the server forgets what it remembers about the term of this hold. */
function forgettingAfter(name: 'release' | 'endHold'): () => void {
  return override<HoldsInner, [string, ...unknown[]], Promise<unknown>>(Holds, name, (original) => async (self, id, ...given) => {
    const result = await original(self, id, ...given);
    const entry = self.volumes.get(id);
    if (entry?.lastTerm !== undefined) self.volumes.set(id, { ...entry, lastTerm: undefined } as unknown as VolumeHolds);
    return result;
  });
}

const TOLD: readonly Mutant[] = [
  {
    name: 'lack-untold',
    rule: 'Q10',
    breaks: 'The answer to a claim says that the replica lacks nothing',
    apply: () => telling(() => null),
  },
  {
    name: 'lack-yes-no',
    rule: 'Q10',
    also: ['M7'],
    breaks: 'The answer to a claim says only whether the replica may lack writes',
    apply: () => telling((told) => (told === null ? null : { ...told, number: 1 })),
  },
  {
    name: 'lack-last-only',
    rule: 'Q10',
    breaks: 'The next term of a replica that lacks writes ends the memory of what it lacks',
    apply: () => telling((told, { volumes }, [id, , incarnation]) => (volumes.get(id)?.lastTerm?.life === incarnation ? null : told)),
  },
  {
    name: 'lack-claim-only',
    rule: 'Q10',
    breaks: 'Only a hold that a claim ends is remembered, and not one that its client or an administrator ends',
    apply: () => {
      const undos = [forgettingAfter('release'), forgettingAfter('endHold')];
      return () => undos.forEach((undo) => undo());
    },
  },
  {
    name: 'lack-not-kept',
    rule: 'Q10',
    breaks: 'A restart of the server ends the memory of the last term of a replica',
    apply: () =>
      override<Holds, Adopted, void>(HoldStore, 'adopt', (original) => (self, poolId, { volumes, nodes }, ...given) => {
        const left = Object.entries(volumes).map(([id, { lastTerm: _forgotten, ...entry }]) => [id, entry] as const);
        original(self, poolId, { volumes: Object.fromEntries(left), nodes }, ...given);
      }),
  },
];

const CHOSEN: readonly Mutant[] = [
  {
    name: 'settle-any',
    rule: 'M7',
    also: ['Q10'],
    breaks: 'A block is settled from any replica in sync',
    apply: () =>
      override<Copier, [CopyKind, number], string[]>(
        Copier,
        'sources',
        (original) => (self, kind, endBytes) => original(self, kind === 'settle' ? 'resettle' : kind, endBytes),
      ),
  },
];

export const LOST_WRITE_MUTANTS: readonly Mutant[] = [
  ...TOLD.map((mutant): Mutant => ({ ...mutant, explorer: 'lost-writes' })),
  ...CHOSEN.map((mutant): Mutant => ({ ...mutant, explorer: 'copies' })),
];
