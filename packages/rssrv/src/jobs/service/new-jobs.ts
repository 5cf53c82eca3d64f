// Makes the records of new jobs, and the views of jobs. The other files of this folder decide whether a job can begin. Invariant: the view
// of a job contains no ids of volumes and pools.

import { randomBytes } from 'node:crypto';
import type { JobView } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { jobText } from '../job-plan.ts';
import type { CopyState, CopyTarget, ImportState, JobRecord } from '../job-record.ts';
import type { Jobs } from '../jobs.ts';
import type { Asker } from '../../pools/asker.ts';
import { type Found, type PoolState, volumeText } from '../../pools/catalogue.ts';
import type { VolumeId } from '../../pools/disk/ids.ts';
import type { Pools } from '../../pools/pools.ts';
import { isDoneBy } from '../../pools/requests/request-stamp.ts';
import { overcommitText } from '../../pools/space/overcommit.ts';
import { type FoundSnapshot, snapshotsOf } from '../../snapshots/snapshot-rules.ts';

export type InPool = Extract<CopyTarget, { kind: 'volume' | 'image' | 'restore' }>;

/** A volume, or one of its snapshots. */
export type FoundSource = Found & Partial<Pick<FoundSnapshot, 'record'>>;

/** Target of a job, the job's limit, and the stamp of the request that begins the job. */
export type JobPlace = Pick<JobRecord, 'to' | 'toId' | 'limitBytes' | 'request'>;

/** `moreBytes`: what the pool of the job will promise in addition. */
export interface BegunJob {
  readonly job: JobRecord;
  readonly moreBytes: number;
}

export class NewJobs {
  readonly jobs: Jobs;
  private readonly pools: Pick<Pools, 'states'>;
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'info'>;

  constructor(jobs: Jobs, pools: Pick<Pools, 'states'>, clock: Clock, log: Pick<Log, 'info'>) {
    this.jobs = jobs;
    this.pools = pools;
    this.clock = clock;
    this.log = log;
  }

  get list(): readonly JobRecord[] {
    return this.jobs.list;
  }

  /**
   * Returns the job that a request with this stamp has begun; null if no job has this stamp. The journal has no answer if the server was
   * killed soon after the job began. Throws E_USAGE if another request had the same id.
   */
  begunBy(request: string | null): JobRecord | null {
    if (request === null) return null;
    return this.jobs.list.find((job) => isDoneBy(request, job.request ?? null)) ?? null;
  }

  /** Begins a copy. `isOwn` is true if the snapshot was made for this job, which removes the snapshot at its end. */
  copy(found: FoundSource, target: CopyTarget, place: JobPlace, asker: Asker, isOwn?: boolean): Promise<JobRecord> {
    const copy = this.copyState(found, target);
    return this.begin(found, { ...place, kind: 'copy', copy: { ...copy, isOwn: isOwn ?? copy.isOwn } }, asker);
  }

  async begin(found: Found, what: JobPlace & Pick<JobRecord, 'kind' | 'copy' | 'homeId'>, asker: Asker): Promise<JobRecord> {
    const { pool, manifest } = found;
    const volume = { volumeId: manifest.id, name: volumeText(manifest), universe: manifest.universe };
    return this.add({ ...this.newRecord({ ...volume, from: pool.name, fromId: pool.identity?.id ?? '' }, asker), ...what });
  }

  private async add(record: JobRecord): Promise<JobRecord> {
    const job = await this.jobs.add(record);
    const who = job.by === null ? 'an administrator on the server' : `client ${job.by}`;
    this.log.info(`Job ${job.id}, ${jobText(job)}, begins, by ${who}`, { volume: job.name, audit: true });
    return job;
  }

  /** Begins an import. The volume does not exist yet. */
  async import(id: VolumeId, state: ImportState, place: JobPlace, asker: Asker): Promise<JobRecord> {
    const from = state.source.kind === 'file' ? state.source.path : state.source.uri;
    const volume = { volumeId: id, name: volumeText(state), universe: state.universe, from, fromId: '' as const };
    return this.add({ ...this.newRecord(volume, asker), ...place, kind: 'import', import: state });
  }

  view({ copy, import: imported, ...job }: JobRecord): JobView {
    const { volumeId: _volume, fromId: _from, toId: _to, homeId: _home, move: _move, request: _request, ...shown } = job;
    const target = copy?.target;
    return {
      ...shown,
      work: workOf(job.kind, target),
      snapshot: copy === undefined || copy.isOwn ? null : copy.snapshot,
      newName: imported !== undefined ? volumeText(imported) : target !== undefined && isInPool(target) ? volumeText(target) : null,
      target: target === undefined || isInPool(target) ? 'pool' : target.kind,
      afterRestart: imported === undefined && (target === undefined || isInPool(target)) ? 'goes on' : 'starts over',
      bytesPerSecond: this.jobs.bytesPerSecond(job.id),
    };
  }

  /** Returns the view of a job that has just begun, with a warning about its pool. */
  begunView({ job, moreBytes }: BegunJob): JobView {
    const overcommit = overcommitText(
      this.pools.states.filter(({ identity }) => identity !== null && identity.id === job.toId),
      moreBytes,
    );
    return { ...this.view(job), ...(overcommit === null ? {} : { overcommit }) };
  }

  private copyState(found: FoundSource, target: CopyTarget): CopyState {
    const taken = new Set(snapshotsOf(found).list.map(({ name }) => name));
    let own = '';
    do own = `copy-${this.jobs.nextId}-${randomBytes(4).toString('hex')}`;
    while (taken.has(own));
    const { record } = found;
    const source = record === undefined ? { snapshot: own, snapshotId: null } : { snapshot: record.name, snapshotId: record.id };
    return { target, ...source, isOwn: record === undefined, copyStamp: null, positionBytes: 0, part: null, end: null };
  }

  private newRecord(
    of: Pick<JobRecord, 'volumeId' | 'name' | 'universe' | 'from' | 'fromId'>,
    asker: Asker,
  ): Omit<JobRecord, 'kind' | 'to' | 'toId' | 'limitBytes'> {
    return {
      id: this.jobs.nextId,
      ...of,
      by: asker.node,
      createdMs: this.clock.wallMs(),
      endedMs: null,
      state: 'waiting',
      reason: null,
      rounds: 0,
      doneBytes: 0,
      totalBytes: 0,
      move: null,
    };
  }
}

/** Returns the target of a job that writes to a pool. `request` is the stamp of the request. */
export function inPool(pool: PoolState, limitBytes: number | null, request: string | null = null): JobPlace {
  return { to: pool.name, toId: pool.identity?.id ?? '', limitBytes, request };
}

/** Says what a job does, in the words for progress. */
function workOf(kind: JobRecord['kind'], target: CopyTarget | undefined): NonNullable<JobView['work']> {
  if (target?.kind === 'image') return target.isNew ? 'image' : 'refresh';
  return target?.kind === 'restore' ? 'image-restore' : kind;
}

export function isInPool(target: CopyTarget): target is InPool {
  return 'id' in target;
}
