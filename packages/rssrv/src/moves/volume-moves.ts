// Moves volumes between pools while clients use them (rule P7): clones the file, copies what differs from the clone before, and repeats until
// little is left; then the clients wait while the rest is copied and the pools change. move-plan.ts decides about rounds, move-files.ts
// changes the disk. Invariants: an interrupted move goes on, or leaves nothing in the new pool; what a client was answered is in the file that
// is served; a volume is never in both pools or in none (pools/moves/move-repair.ts).

import { readdir, stat } from 'node:fs/promises';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/common/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/common/lib/errors';
import { printDuration } from '@rsio/common/lib/units';
import type { Log } from '@rsio/common/log/log';
import type { JobRecord } from '../jobs/job-record.ts';
import { JobEnds, type RunningJob } from '../jobs/jobs.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { type Catalogue, type Found, type NamedVolume, type PoolState, usableBytes, volumeText } from '../pools/catalogue.ts';
import type { PoolFiles } from '../pools/disk/pool-files.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import { POOL_CHANGE_MS } from '../pools/limits.ts';
import { isThere, MoveFiles } from '../pools/moves/move-files.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import { volumeConfigOf } from '../pools/pool-volume.ts';
import type { Pools } from '../pools/pools.ts';
import type { ChangedData } from './changed-data.ts';
import { MOVE_STEP_MS, ROUNDS_MAX } from './limits.ts';
import { MoveRounds } from './move-rounds.ts';
import { afterRound } from './move-plan.ts';
import { decideMove } from './move-rules.ts';
import { LastStep, TooMuchLeft } from './last-step.ts';
import { OutcomeUnknown, type VolumeSwitch } from './volume-switch.ts';

export interface VolumeMovesPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly pools: Pools;
  readonly verbs: PoolVerbs;
  readonly volumeSwitch: VolumeSwitch;
  /** Null: this machine cannot tell what differs between files. */
  readonly changedData: ChangedData | null;
  readonly punch: (descriptor: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>;
  /** Executes a change when no other one is in progress. `what`: for those that wait for it. */
  exclusive<T>(change: () => Promise<T>, what: string): Promise<T>;
  /** Volumes of sections [volume]. */
  configured(): readonly NamedVolume[];
  /** Ids of volumes with a job that has not ended. */
  moving(): ReadonlySet<string>;
}

/** The pools of a job, as they are now. */
export interface Ends {
  readonly source: PoolState | null;
  readonly target: PoolState | null;
}

export class VolumeMoves {
  private readonly ports: VolumeMovesPorts;

  constructor(ports: VolumeMovesPorts) {
    this.ports = ports;
  }

  get catalogue(): Catalogue {
    return { pools: this.ports.pools.states, configured: this.ports.configured() };
  }

  /** Executes a job until the volume is in the new pool. Throws JobEnds, or the error with which the job has failed. */
  async run(job: RunningJob): Promise<void> {
    const what = `the move of volume ${job.record.name}`;
    try {
      // Only the disk tells whether an interrupted last step was done.
      await this.ports.exclusive(() => this.settle(job.record), what);
      await this.copyAndSwitch(job);
    } catch (thrown) {
      const ends = thrown instanceof JobEnds ? thrown : null;
      if (ends?.end.kind === 'stopped' || ends?.end.kind === 'waits') throw thrown;
      if (thrown instanceof OutcomeUnknown) throw waits(thrown.message);
      if (ends === null && isPassing(thrown)) throw new JobEnds({ kind: 'waits', reason: toRsError(thrown).message });
      await this.discard(job.record);
      throw thrown;
    }
    await this.discard(job.record);
  }

  /** Deletes what moves have left that no job continues. Failures are logged. */
  async sweep(): Promise<void> {
    for (const pool of this.ports.pools.states) {
      if (!pool.isOpen || pool.trouble !== null) continue;
      try {
        const folder = poolPaths.moving(pool.path);
        if (!(await isThere(folder))) continue;
        const kept = this.ports.moving();
        for (const id of await readdir(folder))
          if (!kept.has(id)) await this.ports.pools.onDisk(pool.name, POOL_CHANGE_MS, (files) => new MoveFiles(files).discard(id));
      } catch (thrown) {
        this.ports.log.warn(`What a move has left in pool ${pool.name} cannot be deleted: ${toRsError(thrown).message}`);
      }
    }
  }

  private async copyAndSwitch(job: RunningJob): Promise<void> {
    const { changedData, pools, verbs, punch } = this.ports;
    let previousBytes: number | null = null;
    for (let number = 1; ; number++) {
      const place = this.placeOf(job.record);
      if (place === 'moved') return;
      job.check();
      const { found, target } = place;
      if (changedData === null)
        throw new RsError(
          'E_NO_REFLINK',
          'This server cannot tell what has changed in a file: it needs x86-64 or arm64, and the package koffi',
        );
      await checkSpace(found, target, job.record);
      const rounds = new MoveRounds({
        clock: this.ports.clock,
        changedData,
        punch,
        onDisk: (pool, work) => pools.onDisk(pool, MOVE_STEP_MS, work),
      });
      const { bytes, bytesPerSecond } = await rounds.round(job, found, target);
      const next = afterRound({ number, bytes, previousBytes, bytesPerSecond });
      previousBytes = bytes;
      if (next === 'too-fast') throw this.tooFast(job.record, bytes);
      if (next === 'again') continue;
      job.check();
      const last = new LastStep({
        pools,
        verbs,
        volumeSwitch: this.ports.volumeSwitch,
        changedData,
        punch,
        configOf: (pool, manifest) => this.configOf(pool, manifest),
      });
      try {
        const waitedMs = await this.ports.exclusive(
          () => last.run(this.checked(job.record), job.record, bytesPerSecond),
          `the move of volume ${job.record.name}`,
        );
        this.ports.log.info(
          `Volume ${volumeText(job.record)} was moved from pool ${found.pool.name} to pool ${target.name}: its clients waited for ${printDuration(Math.round(waitedMs))}`,
          { volume: job.record.name, audit: true },
        );
        return;
      } catch (thrown) {
        if (!(thrown instanceof TooMuchLeft)) throw thrown;
        if (number >= ROUNDS_MAX) throw this.tooFast(job.record, bytes);
      }
    }
  }

  /** The volume before the last step, checked again. */
  private checked(record: JobRecord): { readonly found: Found; readonly target: PoolState } {
    const place = this.placeOf(record);
    if (place === 'moved') throw new RsError('E_INTERNAL', `Volume ${record.name} is moved already`);
    const target = decideMove(this.catalogue, place.found, place.target.name, LOCAL_ASKER);
    return { found: place.found, target };
  }

  /** Throws JobEnds if a pool is not there, and E_UNKNOWN_VOLUME if the volume is in neither. */
  private placeOf(record: JobRecord): 'moved' | { readonly found: Found; readonly target: PoolState } {
    const { source, target } = this.endsOf(record);
    if (target?.volumes.has(record.volumeId) === true) return 'moved';
    if (source === null || target === null) throw waits(`pool ${source === null ? record.from : record.to} cannot be used now`);
    const manifest = source.volumes.get(record.volumeId);
    if (manifest === undefined)
      throw new RsError('E_UNKNOWN_VOLUME', `Volume ${record.name} is no longer in pool ${record.from}: it was removed meanwhile`);
    if (manifest.movedTo !== undefined) throw waits('whether its last step was done is not known yet');
    return { found: { pool: source, manifest }, target };
  }

  private endsOf({ fromId, toId }: JobRecord): Ends {
    const usable = (id: string): PoolState | null =>
      this.ports.pools.states.find((pool) => pool.isOpen && pool.trouble === null && pool.identity?.id === id) ?? null;
    return { source: usable(fromId), target: usable(toId) };
  }

  /** Finishes or undoes a last step that was interrupted, and serves the volume from where it is. */
  private async settle(record: JobRecord): Promise<void> {
    await this.ports.pools.settleParts();
    for (const pool of [this.endsOf(record).target, this.endsOf(record).source]) {
      const manifest = pool?.volumes.get(record.volumeId);
      if (pool === null || manifest === undefined) continue;
      if (manifest.movedTo === undefined) await this.ports.volumeSwitch.settle(this.configOf(pool, manifest));
      return;
    }
  }

  private configOf(pool: PoolState, manifest: Found['manifest']): ServerVolumeConfig {
    return volumeConfigOf(pool, manifest, this.ports.pools.states);
  }

  /** Deletes the clones and the copy. What cannot be deleted now, `sweep` deletes later. */
  private async discard(record: JobRecord): Promise<void> {
    const { source, target } = this.endsOf(record);
    for (const pool of [source, target]) {
      if (pool === null) continue;
      const work = (files: PoolFiles): Promise<void> => new MoveFiles(files).discard(record.volumeId);
      await this.ports.pools
        .onDisk(pool.name, MOVE_STEP_MS, work)
        .catch((thrown: unknown) => this.ports.log.warn(toRsError(thrown).message));
    }
  }

  private tooFast({ name, to }: JobRecord, bytes: number): RsError {
    return new RsError(
      'E_LIMIT',
      `Volume ${name} cannot be moved to pool ${to} now, because its clients write faster than the server copies (${bytes} bytes in the last round): ` +
        'raise the limit of the job, or move it when the clients write less',
    );
  }
}

/** Throws E_SPACE, with the numbers, if the data does not fit. */
async function checkSpace({ pool, manifest }: Found, target: PoolState, record: JobRecord): Promise<void> {
  if (record.doneBytes > 0) return;
  const { blocks } = await stat(poolPaths.data(poolPaths.volume(pool.path, manifest.id)));
  const usedBytes = blocks * 512;
  if (usedBytes <= usableBytes(target)) return;
  throw new RsError(
    'E_SPACE',
    `Volume ${manifest.name} uses ${usedBytes} bytes, and pool ${target.name} has ${usableBytes(target)} free: choose another pool, or make room`,
    { usedBytes, freeBytes: usableBytes(target) },
  );
}

function waits(reason: string): JobEnds {
  return new JobEnds({ kind: 'waits', reason });
}

/** True if the job can go on later: a pool is not there or does not answer, or the volume is very busy. */
function isPassing(thrown: unknown): boolean {
  const { code } = toRsError(thrown);
  return (code === 'E_POOL' && errnoName((thrown as { cause?: unknown }).cause) === undefined) || code === 'E_TIMEOUT' || code === 'E_BUSY';
}
