// The kind of moves (move-kind.ts) for files of volumes over several pools. Files move one by one, because the new pool would otherwise
// need room for all of them. They keep their ids: new ids would change up to 1,000 descriptions of snapshots at one commit point.
// Invariants: a job moves all files that a volume has in one pool, one after another. Each file moves together with its clones, which are
// files of snapshots. Only the manifest in the home determines which pool has a file.

import { RsError } from '@rsio/base/lib/errors';
import type { JobRecord } from '../job-record.ts';
import { endsOf, type MoveKind, type MovePlace, usablePool, waits } from './move-kind.ts';
import { snapshotsIn } from './move-rules.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import type { Found } from '../../pools/catalogue.ts';
import type { PartRecord } from '../../pools/disk/manifest.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { PartMoveFiles } from '../../pools/moves/part-move-files.ts';
import { PartLastStep } from './part-last-step.ts';
import { decidePartMove, partIn, type PlannedPartMove, snapshotParts } from './part-rules.ts';

export class PartMoves implements MoveKind {
  private readonly verbs: Pick<PoolVerbs, 'catalogue'>;

  constructor(verbs: Pick<PoolVerbs, 'catalogue'>) {
    this.verbs = verbs;
  }

  placeOf(record: JobRecord): 'moved' | MovePlace {
    const home = this.homeOf(record);
    const found = partIn(home.manifest, record.fromId);
    if (found === null) return 'moved';
    const { source, target } = endsOf(this.verbs.catalogue.pools, record);
    if (source === null || target === null) throw waits(`pool ${source === null ? record.from : record.to} cannot be used now`);
    return placeOf(home, { source, target, ...found });
  }

  checked(record: JobRecord): MovePlace {
    const place = this.placeOf(record);
    if (place === 'moved') throw new RsError('E_INTERNAL', `The files of volume ${record.name} are moved already`);
    const home = this.homeOf(record);
    return placeOf(home, decidePartMove(this.verbs.catalogue, home, place.found.pool.name, place.target.name, LOCAL_ASKER));
  }

  settled(record: JobRecord): Found | null {
    const pool = usablePool(this.verbs.catalogue.pools, record.homeId ?? '');
    const manifest = pool?.volumes.get(record.volumeId);
    return pool === null || manifest === undefined ? null : { pool, manifest };
  }

  private homeOf({ homeId, volumeId, name }: JobRecord): Found {
    const pool = usablePool(this.verbs.catalogue.pools, homeId ?? '');
    if (pool === null) throw waits(`the home of volume ${name} cannot be used now`);
    const manifest = pool.volumes.get(volumeId);
    if (manifest !== undefined) return { pool, manifest };
    throw new RsError('E_UNKNOWN_VOLUME', `Volume ${name} is no longer in pool ${pool.name}: it was removed meanwhile`);
  }
}

function placeOf(home: Found, { source, target, index, part }: PlannedPartMove): MovePlace {
  const { manifest } = home;
  const poolId = target.identity?.id ?? '';
  const owner = { homeId: home.pool.identity?.id ?? '', volumeId: manifest.id };
  const snapshots = snapshotParts(snapshotsIn(home.pool, manifest.id).list, index);
  const moved = {
    record: { ...part, ...owner, poolId },
    snapshots: new Map<string, PartRecord>(
      snapshots.map(({ record, part: one }) => [record.id, { ...one, ...owner, poolId, snapshotId: record.id }]),
    ),
  };
  return {
    found: { pool: source, manifest: { ...manifest, sizeBytes: part.sizeBytes } },
    target,
    snapshots: snapshots.map(({ record, part: one }) => ({ ...record, sizeBytes: one.sizeBytes })),
    files: (pool) => new PartMoveFiles(pool, moved),
    lastStep: (...needs) => new PartLastStep({ home, index, moved }, ...needs),
  };
}
