// Mutants of a server with a replica of a mirror: when the bits of its intent map are durable (rule M2), and which holds a claim ends (rule
// M4). The zoo runs these mutants. Mutants of the map are hunted only in the worlds of the explorer `maps`.

import type { Status } from '@rsio/protocol/wire/status';
import { STATUS } from '@rsio/protocol/wire/status';
import { ReplicaFence, type ReplicaFencePorts } from '@rsio/rssrv/mirrors/replica-fence';
import { IntentMap } from '@rsio/rssrv/mirrors/intent-map';
import { MapWriter } from '@rsio/rssrv/mirrors/map-writer';
import type { OwnReplica } from '@rsio/rssrv/mirrors/own-replicas';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface WriterInner {
  readonly synced: PrivateAs<MapWriter['synced'], () => void>;
}

interface FenceInner {
  ports: PrivateAs<ReplicaFence['ports'], ReplicaFencePorts>;
}

const MAPS: readonly Mutant[] = [
  {
    name: 'map-volatile',
    rule: 'M2',
    breaks: 'A change does not wait until its bit is on the disk',
    apply: () =>
      override<MapWriter, [(status: Status) => void], void>(MapWriter, 'sync', (original) => (self, done) => {
        original(self, () => undefined);
        void Promise.resolve().then(() => done(STATUS.OK));
      }),
  },
  {
    name: 'map-unset',
    rule: 'M2',
    breaks: 'A change to a region whose bit is not set does not set it',
    apply: () => override<IntentMap, [number, number], boolean>(IntentMap, 'isDurable', () => () => true),
  },
  {
    name: 'map-unsynced',
    rule: 'M2',
    breaks: 'A bit counts as durable when it is written, and not synced',
    apply: () => override<WriterInner, [], void>(MapWriter, 'written', () => (self) => self.synced()),
  },
];

const CLAIMS: readonly Mutant[] = [
  {
    name: 'no-revoke',
    rule: 'M4',
    breaks: 'A claim does not revoke the handles of lower terms',
    apply: () =>
      override<FenceInner, unknown[], Promise<unknown>>(ReplicaFence, 'endNow', (original) => async (self, ...given) => {
        const { ports } = self;
        self.ports = { ...ports, revoke: () => Promise.resolve(true) };
        const ended = original(self, ...given);
        self.ports = ports;
        return ended;
      }),
  },
  {
    name: 'fence-late',
    rule: 'M4',
    breaks: 'A claim is answered before the handles of lower terms are revoked',
    apply: () =>
      override<ReplicaFence, [OwnReplica], Promise<void>>(ReplicaFence, 'end', (original) => (self, replica) => {
        original(self, replica).catch(() => undefined);
        return Promise.resolve();
      }),
  },
];

export const REPLICA_MUTANTS: readonly Mutant[] = [
  ...MAPS.map((mutant): Mutant => ({ ...mutant, explorer: 'maps' })),
  ...CLAIMS.map((mutant): Mutant => ({ ...mutant, explorer: 'claims' })),
];
