// Executes the methods with which the holder of a mirror makes and proves snapshots of its replicas (M22). Invariant: a snapshot is made
// and proven only while this server's voter has recorded that the asker is the holder and that the replica is in sync.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { SNAPSHOT_METHODS } from '@rsio/api/rssrv/snapshot-methods';
import type { SnapshotView } from '@rsio/api/views/views';
import { RsError } from '@rsio/base/lib/errors';
import type { Asker } from '../pools/asker.ts';
import { type Catalogue, findVolume, type Found, volumeText } from '../pools/catalogue.ts';
import { isReadable, type MirrorMoment } from '../pools/snapshots/snapshot-record.ts';
import { replicationsIn } from '../pools/source-marks.ts';
import { checkUnconfirmed } from '../pools/source-moments.ts';
import { snapshotIdOf } from '@rsio/protocol/mirror/moments/snapshot-id';
import type { Changes } from '../pools/requests/requests.ts';
import { whyNoSnapshot } from './voter-rules.ts';
import type { Voters } from './voters.ts';
import { type FoundSnapshot, type SnapshotName, snapshotsOf, snapshotText } from '../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../snapshots/snapshot-verbs.ts';

type Methods = Pick<typeof SNAPSHOT_METHODS, 'replica-snapshot' | 'replica-snapshot-prove'>;

export function replicaSnapshotHandlers(
  snapshots: Pick<SnapshotVerbs, 'snapshot' | 'prove' | 'remove'>,
  changes: Changes & { readonly [M in 'note' | 'noteRegular']: (verb: string, found: FoundSnapshot) => void },
  voters: Pick<Voters, 'recordOf'>,
  inventory: { readonly catalogue: Catalogue; snapshotViews(found: readonly FoundSnapshot[]): Promise<SnapshotView[]> },
  asker: Asker,
): HandlersOf<Methods> {
  /**
   * Returns the replica. Throws E_HELD unless the asker holds the mirror under this term and the replica is in sync; may also throw
   * E_UNKNOWN_VOLUME or E_USAGE.
   */
  const heldReplica = (name: SnapshotName, mirror: string, number: number): Found => {
    const found = findVolume(inventory.catalogue, name, asker);
    const { replica } = found.manifest;
    if (replica?.mirror !== mirror || asker.node === null)
      throw new RsError('E_USAGE', `${asker.text} has no replica of mirror ${mirror} in volume ${volumeText(name)}`);
    const why = whyNoSnapshot(voters.recordOf(mirror), replica.identity, { number, node: asker.node });
    if (why !== null) throw new RsError('E_HELD', `This server makes no snapshot of its replica ${volumeText(name)}: ${why}`);
    return found;
  };
  /**
   * Removes the volume's unproven snapshots of earlier moments, whatever their names, so that failed snapshots do not pile up. No snapshot
   * in use is lost, because the holder makes one snapshot at a time. If the holder repeats its order, the new order has the same id, but a
   * later moment; the earlier snapshot is then also removed. Throws E_EXISTS if an unproven snapshot is of a later moment.
   */
  const dropUnproven = async (found: Found, name: SnapshotName, id: string, { mirror, term, number }: MirrorMoment): Promise<void> => {
    for (const old of snapshotsOf(found).list) {
      if (old.moment === undefined || isReadable(old)) continue;
      // If the volume was a replica of another mirror before, the terms of that mirror cannot be compared.
      const later = old.moment.mirror === mirror ? old.moment.term - term || old.moment.number - number : -1;
      if (later === 0 && old.id === id) continue;
      if (later > 0)
        throw new RsError('E_EXISTS', `Snapshot ${snapshotText(name)} is of an earlier moment than ${old.name}: make it again`);
      await snapshots.remove({ ...name, snapshot: old.name }, asker, null);
    }
  };
  /** Returns the id of the replication of the mirror. Throws E_USAGE if there is none, and E_BUSY if it has too many moments. */
  const replicationOf = (held: Found): string => {
    const replication = replicationsIn(inventory.catalogue.pools).find(({ home }) => home.manifest.id === held.manifest.id);
    if (replication === undefined) throw new RsError('E_USAGE', `The mirror of volume ${volumeText(held.manifest)} is not replicated`);
    checkUnconfirmed(replication);
    return replication.id;
  };
  const made = async (found: FoundSnapshot, verb: string): Promise<{ snapshot: SnapshotView }> => {
    if (found.record.replication === undefined) changes.note(verb, found);
    else changes.noteRegular(verb, found);
    const [snapshot] = await inventory.snapshotViews([found]);
    return { snapshot: snapshot! };
  };
  const what = (name: SnapshotName): string => `snapshot ${snapshotText(name)} of a replica, for ${asker.text}`;
  return {
    // The snapshot of a replica runs no triggers, because the writes of the mirror wait until the snapshot is made, and the programs of
    // triggers may take minutes.
    'replica-snapshot': async ({ request, mirror, term, number, id, isMoment, ...name }) => {
      const own = snapshotIdOf(mirror, id);
      const [found] = await changes.run(async (turn) => {
        const held = heldReplica(name, mirror, term);
        await dropUnproven(held, name, own, { mirror, term, number });
        const moment = { mirror, term, number, id: own };
        const wanted = isMoment ? { ...name, moment, replication: replicationOf(held) } : { ...name, moment };
        return snapshots.snapshot([wanted], asker, request, turn);
      }, what(name));
      return made(found!, `snapshot ${name.snapshot} made, not yet proven`);
    },
    'replica-snapshot-prove': async ({ mirror, term, id, request: _again, ...name }) => {
      const found = await changes.run(async () => {
        heldReplica(name, mirror, term);
        return snapshots.prove(name, snapshotIdOf(mirror, id), asker);
      }, what(name));
      return made(found, `snapshot ${name.snapshot} proven`);
    },
  };
}
