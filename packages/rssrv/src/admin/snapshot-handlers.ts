// Executes the methods about snapshots. SnapshotVerbs makes the changes. Invariant: the programs of triggers start only for a request that
// the asker may make and that was not executed before.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { SNAPSHOT_METHODS } from '@rsio/api/rssrv/snapshot-methods';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Triggers } from '@rsio/common/triggers/triggers';
import { replicaSnapshotHandlers } from '../mirrors/replica-snapshot-handlers.ts';
import type { Voters } from '../mirrors/voters.ts';
import type { Asker } from '../pools/asker.ts';
import { checkVerb } from '../pools/verb-table.ts';
import { volumeConfigOf } from '../pools/pool-volume.ts';
import { patiently } from '../replication/followers/patiently.ts';
import type { SnapshotAnswers } from '../snapshots/reads/snapshot-answers.ts';
import { findReadable, snapshotText } from '../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../snapshots/snapshot-verbs.ts';
import type { Inventory } from './inventory.ts';
import type { LoggedChanges } from './logged-changes.ts';

export function snapshotHandlers(
  {
    clock,
    changes,
    inventory,
    snapshots,
    differences,
    triggers,
    voters,
  }: {
    readonly clock: Clock;
    readonly changes: LoggedChanges;
    readonly inventory: Inventory;
    readonly snapshots: SnapshotVerbs;
    readonly voters: Pick<Voters, 'recordOf'>;
    readonly differences: Pick<SnapshotAnswers, 'difference'>;
    readonly triggers: Pick<Triggers, 'around'>;
  },
  asker: Asker,
): HandlersOf<typeof SNAPSHOT_METHODS> {
  return {
    'volume-snapshot': async ({ snapshots: wanted, request }) => {
      const texts = wanted.map(snapshotText).join(', ');
      const what = `snapshot ${texts}, which is being made by ${changes.by}`;
      const names = wanted.map(({ name, universe, snapshot }) => ({ name, universe, snapshot }));
      // Check the request first, so that no trigger program is started for a snapshot that is then refused. While the programs run, another
      // volume may get the name.
      // Another snapshot of the volume, such as the moment of a replication, is waited for here, and not in the queue of changes.
      const check = async (): Promise<ReturnType<SnapshotVerbs['check']>> => snapshots.check(names, asker, request);
      const orders = await patiently(clock, check, ({ code }) => code === 'E_BUSY' && snapshots.isMaking(names));
      const make = () => changes.run((turn) => snapshots.snapshot(orders ?? names, asker, request, turn), what);
      const facts = { snapshots: names, by: asker.node, isScheduled: false };
      const made = orders !== null ? await triggers.around(facts, () => changes.checkWanted(), make) : await make();
      for (const one of made) changes.note(`snapshot ${one.record.name} made`, one);
      return { snapshots: await inventory.snapshotViews(made) };
    },
    ...replicaSnapshotHandlers(snapshots, changes, voters, inventory, asker),
    'volume-snapshot-remove': async ({ request, onlyId = null, ...name }) => {
      return changes.change(`rid of snapshot ${name.snapshot}`, name, () => snapshots.remove({ ...name, onlyId }, asker, request));
    },
    'volume-clone': async ({ newName, newUniverse, request, ...name }) => {
      const to = { name: newName, universe: newUniverse };
      return changes.change(`cloned from ${snapshotText(name)}`, to, (turn) => snapshots.clone(name, to, asker, request, turn));
    },
    'volume-rollback': async ({ request, ...name }) => {
      const found = await changes.found(`rolled back to ${name.snapshot}`, name, () => snapshots.rollback(name, asker, request));
      const { kept } = found;
      const [view = null] = kept === null ? [] : await inventory.snapshotViews([{ ...found, record: kept }]);
      return { ...(await changes.view(found)), kept: view };
    },
    'volume-diff': async ({ until, offsetBytes, ...name }) => {
      const { catalogue } = inventory;
      const target = findReadable(catalogue, name, asker);
      if (until === null) checkVerb('compare', target, { pools: catalogue.pools, asker });
      const later = until === null ? null : findReadable(catalogue, { ...name, snapshot: until }, asker).record;
      if (later !== null && later.createdMs < target.record.createdMs)
        throw new RsError('E_USAGE', `Snapshot ${later.name} is older than ${name.snapshot}: name the older one first`);
      const { sizeBytes } = later ?? target.manifest;
      const volume = volumeConfigOf(target.pool, target.manifest, catalogue.pools);
      const { ranges, endBytes } = await differences.difference(volume, target.record, later, Math.min(offsetBytes, sizeBytes), sizeBytes);
      return { sizeBytes, endBytes, ranges, snapshotId: target.record.id, untilId: later?.id ?? null };
    },
  };
}
