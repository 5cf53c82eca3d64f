// Copies a snapshot to a new volume, with the code that moves volumes between pools. An incomplete copy is in the pool's folder `moving`.
// One rename makes the complete copy a volume. Invariants: before the rename the new volume does not exist, and the unfinished copy may be
// deleted at any time; after a restart, the copy continues from its position.

import { stat } from 'node:fs/promises';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { CopyTarget, JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import type { CopyPorts } from '../moves/copy-ranges.ts';
import type { VolumeMovesPorts } from '../moves/volume-moves.ts';
import { COPY_COMMIT_MS } from '../limits.ts';
import type { Asker } from '../../pools/asker.ts';
import { type PoolState, usableBytes, volumeText } from '../../pools/catalogue.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { MoveFiles } from '../../pools/moves/move-files.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { CopyInPool } from './copy-in-pool.ts';
import { decideCopy } from './copy-rules.ts';
import type { CopySource } from './copy-source.ts';

export interface ToVolumePorts extends CopyPorts, Pick<VolumeMovesPorts, 'clock' | 'exclusive' | 'verbs'> {
  /** Returns the asker of a job with its current rights. `node` is null for an administrator on the server. */
  askerOf(node: string | null): Asker;
}

type VolumeCopy = Extract<CopyTarget, { kind: 'volume' }>;

export class ToVolume {
  private readonly ports: ToVolumePorts;
  private readonly copies: CopyInPool;

  constructor(ports: ToVolumePorts) {
    this.ports = ports;
    this.copies = new CopyInPool(ports.verbs.pools);
  }

  isMade({ record }: RunningJob, { id }: VolumeCopy): Promise<boolean> {
    return Promise.resolve(this.ports.verbs.pools.states.some(({ identity, volumes }) => identity?.id === record.toId && volumes.has(id)));
  }

  async run(job: RunningJob, source: CopySource, target: VolumeCopy): Promise<void> {
    const pool = this.copies.poolOf(job.record);
    const { changedData, punch } = this.ports;
    const { sizeBytes } = source.record;
    const { copyStamp } = await this.copies.prepared(job, pool, target.id, sizeBytes, null);
    await checkSpace(source, pool, job.record);
    await this.copies.fill({ changedData, punch }, job, source, { id: target.id, sizeBytes, openBase: () => Promise.resolve(null) });
    await this.ports.exclusive(() => this.commit(job.record, source, target, copyStamp), `the copy of volume ${job.record.name}`);
  }

  discard(record: JobRecord, { id }: VolumeCopy): Promise<void> {
    return this.copies.discard(record, id);
  }

  /** Repeats the checks of the request, and gives the volume its name. The caller must make no other change during this call. */
  private async commit(record: JobRecord, source: CopySource, target: VolumeCopy, copyStamp: string): Promise<void> {
    const { verbs, clock } = this.ports;
    const asker = this.ports.askerOf(record.by);
    const snapshotId = record.copy?.isOwn === true ? null : source.record.id;
    const to = { ...target, pool: this.copies.poolOf(record).name, snapshotId };
    const { pool, manifest: planned } = decideCopy(verbs.catalogue, source, source.record, to, asker, clock.wallMs());
    const manifest: Manifest = { ...planned, stamps: [copyStamp] };
    await commitCopy(verbs, record, pool, manifest);
  }
}

/** Throws E_SPACE if the pool lacks room for the rest of the data. The error names the needed and the free space. */
async function checkSpace({ files, record: { name } }: CopySource, pool: PoolState, { doneBytes }: JobRecord): Promise<void> {
  let leftBytes = -doneBytes;
  for (const file of files) leftBytes += (await stat(file)).blocks * 512;
  if (leftBytes <= usableBytes(pool)) return;
  throw new RsError(
    'E_SPACE',
    `Snapshot ${name} uses ${leftBytes} bytes more, and pool ${pool.name} has ${usableBytes(pool)} free: choose another pool, or make room`,
    { usedBytes: leftBytes, freeBytes: usableBytes(pool) },
  );
}

/** Makes a finished copy a volume, and serves it. Throws JobEnds if it is unknown whether the copy has become a volume. */
export async function commitCopy(verbs: PoolVerbs, { toId, to }: JobRecord, pool: PoolState, manifest: Manifest): Promise<void> {
  const { pools } = verbs;
  try {
    await verbs.onDisk(pool, COPY_COMMIT_MS, (files) => new MoveFiles(files).commit(manifest));
  } catch (thrown) {
    const now = pools.states.find(({ identity }) => identity?.id === toId);
    if (now?.volumes.has(manifest.id) === true) return;
    if (now === undefined || now.trouble !== null)
      throw new JobEnds({ kind: 'waits', reason: `whether volume ${volumeText(manifest)} is in pool ${to} is not known yet` });
    throw thrown;
  }
  pools.put(pool, manifest);
  try {
    await verbs.serve(pool, null, manifest);
  } catch (thrown) {
    throw new RsError('E_VOLUME', `Volume ${volumeText(manifest)} was copied, and is not served: ${toRsError(thrown).message}`, {}, thrown);
  }
}
