// Mutants of the rule of gate records (D2). The zoo runs them against explorers/record-worlds.ts. Invariant: each mutant lacks
// one of the steps that keep the records of a former holder out.

import { GateRecords } from '@rsio/rssrv/volumes/holds/gate-records';
import { type Hold, isOf } from '@rsio/rssrv/volumes/holds/hold-rules';
import { Holds } from '@rsio/rssrv/volumes/holds/holds';
import type { HoldTurns } from '@rsio/rssrv/volumes/holds/hold-turns';
import type { ClientIdentity } from '@rsio/rssrv/volumes/holds/grants';
import type { Pools } from '@rsio/rssrv/pools/pools';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

type Work = () => Promise<unknown>;
type WriterArguments = [volumeId: string, client: ClientIdentity, epoch: number, work: Work];

interface HoldsInner {
  turns: PrivateAs<Holds['turns'], HoldTurns>;
  entryOf: PrivateAs<Holds['entryOf'], (volumeId: string) => { readonly holds: readonly Hold[] }>;
}

interface RecordsInner {
  parts: PrivateAs<GateRecords['parts'], { readonly pools: Pick<Pools, 'onLedger'> }>;
}

export const RECORD_MUTANTS: readonly Mutant[] = [
  {
    name: 'record-unchecked',
    rule: 'D2',
    breaks: 'The server writes the gate record of a client that has lost the volume',
    explorer: 'records',
    apply: () =>
      override<HoldsInner, WriterArguments, Promise<unknown>>(
        Holds,
        'asWriter',
        () =>
          ({ turns }, volumeId, _client, _epoch, work) =>
            turns.inTurn(volumeId, work),
      ),
  },
  {
    name: 'record-beside',
    rule: 'D2',
    breaks: 'The holder of a volume may change while its gate record is written',
    explorer: 'records',
    apply: () =>
      override<HoldsInner, WriterArguments, Promise<unknown>>(
        Holds,
        'asWriter',
        () => (self, volumeId, client, epoch, work) =>
          self.entryOf(volumeId).holds.some((hold) => isOf(hold, client) && hold.epoch <= epoch) ? work() : Promise.resolve(null),
      ),
  },
  {
    name: 'record-given-up',
    rule: 'D2',
    breaks: 'A gate record whose time limit is over is written later, after the next change of the holder',
    explorer: 'records',
    apply: () =>
      override<RecordsInner, [poolId: string, volumeId: string, record: Buffer], Promise<void>>(
        GateRecords,
        'replace',
        () =>
          ({ parts }, poolId, volumeId, record) =>
            parts.pools.onLedger(poolId, (files) => files.replaceRecord(volumeId, record)),
      ),
  },
];
