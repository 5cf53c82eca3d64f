// Mutants of snapshots of a mirror (rule M22): which requests may be in flight at the moment, and which replicas get the snapshot. The zoo
// runs these mutants.

import { DataPath } from '@rsio/protocol/mirror/io/data-path';
import type { MirrorIo } from '@rsio/protocol/mirror/io/mirror-io';
import { QuietMoment } from '@rsio/protocol/mirror/moments/quiet-moment';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface QuietInner {
  readonly io: PrivateAs<QuietMoment['io'], MirrorIo>;
}

type Lock = [begin: number, end: number, granted: () => void];

/**
 * Returns the tenures of the replicas that `isMeant` accepts. The `isMeant` of a mutant lacks one condition that the production code
 * checks.
 */
function tenures({ io }: QuietInner, isMeant: (counts: boolean, reads: boolean) => boolean): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { identity, counts, reads } of io.view?.replicas ?? [])
    if (isMeant(counts, reads)) found.set(identity, io.tenureOf(identity) ?? '');
  return found;
}

const MOMENTS: readonly Omit<Mutant, 'rule' | 'explorer'>[] = [
  {
    name: 'moment-unlocked',
    breaks: 'Changes begin while the servers make the snapshots',
    apply: () =>
      override<MirrorIo, Lock, ReturnType<MirrorIo['lock']>>(DataPath, 'lock', (original) => (self, begin, end, granted) => {
        const lock = original(self, begin, end, granted);
        if (begin === 0 && end === self.volume?.sizeBytes) lock.release();
        return lock;
      }),
  },
  {
    name: 'moment-unsettled',
    breaks: 'Snapshots are made while replicas may differ',
    apply: () =>
      override<QuietInner, [], ReadonlyMap<string, string>>(QuietMoment, 'inSync', () => (self) => {
        const all = tenures(self, (_counts, reads) => reads);
        return new Map([...all].filter(([, tenure]) => tenure !== ''));
      }),
  },
  {
    name: 'moment-copied',
    breaks: 'A replica that is being copied is snapshotted',
    apply: () =>
      override<QuietInner, [], ReadonlyMap<string, string>>(QuietMoment, 'inSync', () => (self) => {
        if (self.io.unsettled.count > 0) return new Map();
        const all = tenures(self, () => true);
        return new Map([...all].filter(([, tenure]) => tenure !== ''));
      }),
  },
  {
    name: 'moment-unheld',
    breaks: 'A replica that lost its session during the moment has the snapshot',
    apply: () => override<QuietMoment, [string], boolean>(QuietMoment, 'holds', () => () => true),
  },
];

export const MOMENT_MUTANTS: readonly Mutant[] = MOMENTS.map((one) => ({ ...one, rule: 'M22', explorer: 'moments' }));
