// Begins jobs that copy volumes and snapshots to new volumes, files and NBD servers. The code in jobs/copies/ executes the jobs. Invariant:
// only a local administrator, and no client, can make the server write files or connect to NBD servers.

import { randomUUID } from 'node:crypto';
import { RsError } from '@rsio/base/lib/errors';
import { checkClones } from '../clone-need.ts';
import { checkNotCopied, checkSource, decideCopy } from '../copies/copy-rules.ts';
import { formatOf } from '../copies/file-place.ts';
import { nbdPlace } from '../copies/to-nbd.ts';
import type { ToFile } from '../copies/to-file.ts';
import type { CopyTarget, ImageFormat, JobRecord } from '../job-record.ts';
import type { Asker } from '../../pools/asker.ts';
import { findVolume, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { checkVerb } from '../../pools/verb-table.ts';
import { findSnapshot } from '../../snapshots/snapshot-rules.ts';
import { type BegunJob, type FoundSource, inPool, type InPool, isInPool, type NewJobs } from './new-jobs.ts';

/** The volume or snapshot to copy. */
export interface Wanted extends VolumeName {
  readonly snapshot: string | null;
}

/** Limits of a new job. `request` is the stamp of the request that begins the job. */
export interface JobLimits {
  readonly limitBytes: number | null;
  readonly request: string | null;
}

export class CopyHandlers {
  private readonly verbs: PoolVerbs;
  private readonly newJobs: NewJobs;
  private readonly toFile: ToFile;

  constructor(verbs: PoolVerbs, newJobs: NewJobs, toFile: ToFile) {
    this.verbs = verbs;
    this.newJobs = newJobs;
    this.toFile = toFile;
  }

  async copy(wanted: Wanted, to: VolumeName, toPool: string | null, { limitBytes, request }: JobLimits, asker: Asker): Promise<BegunJob> {
    asker.needs('manage', 'copy volumes');
    await this.verbs.pools.measure();
    const { catalogue } = this.verbs;
    const found = this.sourceOf(wanted, asker, 'copy');
    const id = randomUUID();
    const source = found.record ?? found.manifest;
    const { pool } = decideCopy(catalogue, found, source, { ...to, id, pool: toPool, snapshotId: null }, asker, 0);
    const isSame = ({ copy }: JobRecord): boolean =>
      copy !== undefined && isInPool(copy.target) && copy.target.name === to.name && copy.target.universe === to.universe;
    checkNotCopied(this.newJobs.list, isSame, `volume ${volumeText(to)}`);
    const job = await this.newJobs.copy(found, { kind: 'volume', id, ...to }, inPool(pool, limitBytes, request), asker);
    return { job, moreBytes: source.sizeBytes };
  }

  /**
   * Checks the target of a copy. The target's folder may hang, so this check must not run in the queue of changes. The job repeats the
   * check.
   */
  async checkExport(wanted: Wanted, target: Exclude<CopyTarget, InPool>, asker: Asker): Promise<void> {
    this.exported(wanted, asker);
    if (target.kind === 'file') await this.toFile.check(target);
  }

  async export(wanted: Wanted, target: Exclude<CopyTarget, InPool>, { limitBytes, request }: JobLimits, asker: Asker): Promise<BegunJob> {
    const found = this.exported(wanted, asker);
    const to = target.kind === 'file' ? target.path : target.uri;
    checkNotCopied(this.newJobs.list, (job) => job.kind === 'copy' && job.to === to, to);
    return { job: await this.newJobs.copy(found, target, { to, toId: '', limitBytes, request }, asker), moreBytes: 0 };
  }

  private exported(wanted: Wanted, asker: Asker): FoundSource {
    asker.needs('admin', 'copy volumes to files and NBD servers');
    return this.sourceOf(wanted, asker, 'export');
  }

  /** Returns the volume or snapshot to copy. Throws if the asker may not copy this volume. */
  private sourceOf({ name, universe, snapshot }: Wanted, asker: Asker, verb: 'copy' | 'export'): FoundSource {
    const { catalogue } = this.verbs;
    const found =
      snapshot === null
        ? findVolume(catalogue, { name, universe }, asker)
        : findSnapshot(catalogue, { name, universe, snapshot }, asker, 'copy snapshots');
    checkSource(catalogue, found, asker);
    // A snapshot is there already, also if its files were copied to a file system without reflink.
    if (snapshot === null) {
      checkClones(catalogue, found, 'copied');
      checkVerb(verb, found, { pools: catalogue.pools, asker });
    } else if (verb === 'export') checkVerb('export a snapshot', found, { pools: catalogue.pools, asker });
    return found;
  }
}

/** Parses `target`, which is an absolute path or an NBD URI. Throws E_USAGE for any other text. */
export function exportTarget(target: string, format: ImageFormat | null, isForced: boolean): Exclude<CopyTarget, InPool> {
  if (target.startsWith('/')) return { kind: 'file', path: target, format: formatOf(target, format), isForced };
  nbdPlace(target);
  if (format !== null) throw new RsError('E_USAGE', 'A copy to an NBD server has no format: leave --format away');
  return { kind: 'nbd', uri: target };
}
