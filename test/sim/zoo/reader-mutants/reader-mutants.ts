// Mutants of rules N1 to N4: the view of clients that open snapshots by name. The mutants break how the listener finds, lists and guards
// snapshots, and how a client attaches its earlier snapshot again. The zoo runs these mutants.

import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { Attachments } from '@rsio/rsiod/attachments/attachments';
import type { PoolState } from '@rsio/rssrv/pools/catalogue';
import { poolPaths } from '@rsio/rssrv/pools/disk/pool-paths';
import type { SnapshotRecord } from '@rsio/rssrv/pools/snapshots/snapshot-record';
import { ServedSnapshots, type SnapshotFile } from '@rsio/rssrv/snapshots/reads/served-snapshots';
import { SnapshotAnswers } from '@rsio/rssrv/snapshots/reads/snapshot-answers';
import type { SnapshotReply } from '@rsio/rssrv/snapshots/reads/snapshot-asks';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface AnswersInner {
  readonly snapshots: PrivateAs<SnapshotAnswers['snapshots'], ServedSnapshots>;
}

interface ServedInner {
  readonly leaving: PrivateAs<ServedSnapshots['leaving'], Set<string>>;
}

type Work = () => Promise<unknown>;

const READERS: readonly Mutant[] = [
  {
    name: 'snapshot-shows-volume',
    rule: 'N1',
    breaks: 'A client that opens a snapshot reads the volume',
    apply: () =>
      override<ServedSnapshots, [PoolState, SnapshotRecord], readonly SnapshotFile[]>(
        ServedSnapshots,
        'filesOf',
        (original) => (self, pool, record) =>
          original(self, pool, record).map((file) => ({ ...file, path: poolPaths.data(poolPaths.volume(pool.path, record.volumeId)) })),
      ),
  },
  {
    name: 'removed-while-read',
    rule: 'N2',
    breaks: 'A snapshot that a client has open is removed',
    apply: () =>
      override<ServedSnapshots, [SnapshotRecord, string, Work], Promise<unknown>>(
        ServedSnapshots,
        'whileUnread',
        () => (_self, _record, _name, work) => work(),
      ),
  },
  {
    name: 'opened-while-removed',
    rule: 'N2',
    breaks: 'A snapshot can be opened while it is being removed',
    apply: () =>
      override<ServedInner, [SnapshotRecord, string, Work], Promise<unknown>>(
        ServedSnapshots,
        'whileUnread',
        (original) => (self, record, name, work) =>
          original(self, record, name, () => {
            self.leaving.delete(record.id);
            return work();
          }),
      ),
  },
  {
    name: 'other-snapshot',
    rule: 'N3',
    breaks: 'A client that comes back goes on with whatever snapshot has the name now',
    apply: () =>
      override<Attachments, [string, boolean, string, string], Promise<AttachOutcome>>(
        Attachments,
        'attachAgain',
        () => async (self, label, readOnly, server) => (await self.attach([label], readOnly, server))[0]!,
      ),
  },
  {
    name: 'younger-told',
    rule: 'N4',
    breaks: 'Younger snapshots are told as older ones',
    apply: () =>
      override<AnswersInner, [SnapshotRecord, string | null], SnapshotReply>(SnapshotAnswers, 'older', () => (self, { id, volumeId }) => {
        const others = self.snapshots.recordsOf(volumeId).filter((one) => one.id !== id);
        return { snapshots: others.toReversed().map((one) => ({ name: one.name, id: one.id })), hasMore: false };
      }),
  },
];

export const READER_MUTANTS: readonly Mutant[] = READERS.map((mutant) => ({ ...mutant, needsReaders: true }));
