// Moves volumes between pools while clients use them (rule C5). A round clones the file and copies its differences from the previous clone.
// When few differences are left, the clients wait while the server copies these differences and the volume changes its pool. move-plan.ts
// decides on rounds, move-files.ts changes the disk. Invariants: an interrupted move continues, or its files in the new pool are deleted.
// The served file has every acknowledged write. A volume is always in exactly one of the two pools (pools/repair/move-repair.ts).

import { sleep } from '@rsio/base/lib/waiting';
import { open, readdir, stat } from 'node:fs/promises';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import { eventOf } from '../../events/event-log.ts';
import { usableBytes, volumeText } from '../../pools/catalogue.ts';
import { isThere, type PoolFiles } from '../../pools/disk/pool-files.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { POOL_CHANGE_MS } from '../../pools/limits.ts';
import { MoveFiles } from '../../pools/moves/move-files.ts';
import { type SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import type { Pools } from '../../pools/pools.ts';
import type { ChangedData } from './changed-data.ts';
import type { CopyPorts } from './copy-ranges.ts';
import { CARRIED_MAX, MOVE_STEP_MS, ROUNDS_MAX } from '../limits.ts';
import { MoveRounds } from './move-rounds.ts';
import { PartMoves } from './part-kind.ts';
import { afterRound } from './move-plan.ts';
import { volumeKey } from '../../volumes/volume-ids.ts';
import { OutcomeUnknown, type VolumeSwitch } from './volume-switch.ts';
import { TooMuchLeft } from './last-step.ts';
import { endsOf, type MoveKind, type MovePlace, waits, WholeMoves } from './move-kind.ts';

export interface VolumeMovesPorts extends CopyPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly verbs: PoolVerbs;
  readonly volumeSwitch: Pick<VolumeSwitch, 'disputedMs' | 'run' | 'settle'>;
  /** Executes a change when no other change is in progress. `what` names the change in messages to requests that wait for it. */
  exclusive<T>(change: () => Promise<T>, what: string): Promise<T>;
  /** Returns the ids of volumes with a job that has not ended. */
  moving(): ReadonlySet<string>;
}

const SECTOR_OF_STAT_BYTES = 512;

export class VolumeMoves {
  private readonly ports: VolumeMovesPorts;
  private readonly pools: Pools;
  private readonly whole: WholeMoves;
  private readonly parts: PartMoves;

  constructor(ports: VolumeMovesPorts) {
    this.ports = ports;
    this.pools = ports.verbs.pools;
    this.whole = new WholeMoves(ports.verbs);
    this.parts = new PartMoves(ports.verbs);
  }

  /** Executes a job until the volume is in the new pool. Throws JobEnds, or the error with which the job has failed. */
  async run(job: RunningJob): Promise<void> {
    const what = `the move of volume ${job.record.name}`;
    try {
      // An earlier rssrv may have been stopped in the last step. Only the state on disk shows whether the volume has moved.
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

  /** Deletes leftovers of moves that no job continues. Failures are logged. */
  async sweep(): Promise<void> {
    for (const pool of this.pools.states) {
      if (!pool.isOpen || pool.trouble !== null) continue;
      try {
        const folder = poolPaths.moving(pool.path);
        if (!(await isThere(folder))) continue;
        const kept = this.ports.moving();
        for (const id of await readdir(folder))
          if (!kept.has(id)) await this.pools.onDisk(pool, POOL_CHANGE_MS, (files) => new MoveFiles(files).discard(id));
      } catch (thrown) {
        this.ports.log.warn(`What a move has left in pool ${pool.name} cannot be deleted: ${toRsError(thrown).message}`);
      }
    }
  }

  private async copyAndSwitch(job: RunningJob): Promise<void> {
    const { clock, changedData, verbs, volumeSwitch, punch } = this.ports;
    let previousBytes: number | null = null;
    let number = 0;
    const kind = this.kindOf(job.record);
    for (let carried = 0; ; ) {
      const place = kind.placeOf(job.record);
      if (place === 'moved') return;
      job.check();
      const { found, target } = place;
      await this.checkSpace(changedData, place, job.record);
      const copying = { changedData, punch };
      const rounds = new MoveRounds(clock, this.pools, place, copying);
      const snapshot = await this.nextSnapshot(place);
      if (snapshot !== null) {
        if (++carried > CARRIED_MAX)
          throw new RsError(
            'E_LIMIT',
            `More than ${CARRIED_MAX} snapshots of volume ${job.record.name} were to be moved, because new ones are made all the time: stop its schedule meanwhile`,
          );
        await rounds.round(job, snapshot).catch((thrown: unknown) => this.mayBeRemoved(kind, job.record, snapshot, thrown));
        continue;
      }
      number++;
      const { bytes, bytesPerSecond } = await rounds.round(job, null);
      const next = afterRound({ number, bytes, previousBytes, bytesPerSecond });
      previousBytes = bytes;
      if (next === 'too-fast') throw this.tooFast(job.record, bytes);
      if (next === 'again') continue;
      await this.settleDispute(job.record);
      job.check();
      try {
        const waitedMs = await this.ports.exclusive(() => {
          const last = kind.checked(job.record);
          return last.lastStep(verbs, volumeSwitch, copying).run(last, job.record, bytesPerSecond);
        }, `the move of volume ${job.record.name}`);
        this.ports.log.info(
          `${job.record.homeId === undefined ? 'Volume' : 'A file of volume'} ${volumeText(job.record)} was moved from pool ${found.pool.name} to pool ${target.name}: its clients waited for ${printDuration(Math.round(waitedMs))}`,
          {
            ...eventOf(`volume ${volumeKey(job.record)}`, `pool ${found.pool.name}`, `pool ${target.name}`, 'It was moved'),
            volume: job.record.name,
            audit: true,
          },
        );
        if (job.record.homeId === undefined) return;
        // Prepare the next file: the old pool may have another file of the volume, and this file moves next.
        await this.discard(job.record);
        job.note({ move: null });
        await job.save();
        [previousBytes, number] = [null, 0];
      } catch (thrown) {
        if (!(thrown instanceof TooMuchLeft)) throw thrown;
        if (number >= ROUNDS_MAX) throw this.tooFast(job.record, bytes);
      }
    }
  }

  /** Waits until no earlier owner of the pool answers requests for the volume (H2). */
  private async settleDispute({ volumeId, name }: JobRecord): Promise<void> {
    const { clock, log, volumeSwitch } = this.ports;
    const disputedMs = volumeSwitch.disputedMs(volumeId);
    if (disputedMs === 0) return;
    const text = printDuration(Math.ceil(disputedMs / 1_000) * 1_000);
    log.info(`Volume ${name} changes its pool in ${text}: until then, the earlier owner of its pool may still answer requests`, {
      volume: name,
    });
    await sleep(clock, disputedMs);
  }

  /** Returns the oldest snapshot that the new pool does not have yet; null if the new pool has all snapshots. */
  private async nextSnapshot(place: MovePlace): Promise<SnapshotRecord | null> {
    const { found, target, snapshots } = place;
    if (snapshots.length === 0) return null;
    const carried = await this.pools.onDisk(target, MOVE_STEP_MS, (pool) => place.files(pool).carried(found.manifest.id));
    return snapshots.find((one) => !carried.has(one.id)) ?? null;
  }

  /** Rethrows `thrown`, an error during the copying of a snapshot, unless the snapshot was removed in the meantime. */
  private mayBeRemoved(kind: MoveKind, record: JobRecord, { id }: SnapshotRecord, thrown: unknown): void {
    if (thrown instanceof JobEnds) throw thrown;
    const now = kind.placeOf(record);
    if (now === 'moved' || now.snapshots.some((one) => one.id === id)) throw thrown;
  }

  /**
   * Throws E_SPACE if the new pool lacks room for the data. The error names the needed and the free space. Blocks that the volume and its
   * snapshots share in the old pool are also shared in the new pool, and count once.
   */
  private async checkSpace(changes: ChangedData, place: MovePlace, record: JobRecord): Promise<void> {
    if (record.doneBytes > 0) return;
    const { pool, manifest } = place.found;
    const { snapshots: list, target } = place;
    const usedBytes = await this.pools.onDisk(pool, MOVE_STEP_MS, (one) => {
      const files = [...list, null].map((snapshot) => place.files(one).source(manifest.id, snapshot));
      return spaceOf(changes, files, usableBytes(target));
    });
    if (usedBytes <= usableBytes(target)) return;
    const what = list.length === 0 ? 'uses' : 'and its snapshots use';
    throw new RsError(
      'E_SPACE',
      `Volume ${manifest.name} ${what} ${usedBytes} bytes, and pool ${target.name} has ${usableBytes(target)} free: choose another pool, or make room`,
      { usedBytes, freeBytes: usableBytes(target) },
    );
  }

  private kindOf({ homeId }: JobRecord): MoveKind {
    return homeId === undefined ? this.whole : this.parts;
  }

  /** Finishes or undoes an interrupted last step, and serves the volume from the pool in which the volume then is. */
  private async settle(record: JobRecord): Promise<void> {
    await this.pools.settleParts();
    const { verbs, volumeSwitch } = this.ports;
    const found = this.kindOf(record).settled(record);
    if (found !== null) await volumeSwitch.settle(verbs.configOf(found.pool, found.manifest));
  }

  /** Deletes the clones and the copy of a move. If a file cannot be deleted now, `sweep` deletes it later. */
  private async discard(record: JobRecord): Promise<void> {
    const { source, target } = endsOf(this.pools.states, record);
    for (const pool of [source, target]) {
      if (pool === null) continue;
      const work = (files: PoolFiles): Promise<void> => new MoveFiles(files).discard(record.volumeId);
      await this.pools.onDisk(pool, MOVE_STEP_MS, work).catch((thrown: unknown) => this.ports.log.warn(toRsError(thrown).message));
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

/**
 * Returns the bytes that clones of one file need together: the size of the first clone, and the differences between each later clone and
 * its predecessor. If the sum of the sizes of all clones fits into `freeBytes`, returns this sum without comparing the clones. `files`
 * lists the oldest clone first.
 */
async function spaceOf(changes: ChangedData, files: readonly string[], freeBytes: number): Promise<number> {
  const used: number[] = [];
  for (const file of files) used.push((await stat(file)).blocks * SECTOR_OF_STAT_BYTES);
  const all = used.reduce((sum, bytes) => sum + bytes, 0);
  if (all <= freeBytes || files.length === 1) return all;
  let sum = used[0] ?? 0;
  for (const [index, file] of files.entries()) {
    const before = files[index - 1];
    if (before === undefined) continue;
    const old = await open(before, 'r');
    try {
      sum += await changedBytes(changes, old.fd, file);
    } finally {
      await old.close();
    }
  }
  return sum;
}

/** Bytes of the file that differ from the open file `old`. */
async function changedBytes(changes: ChangedData, old: number, file: string): Promise<number> {
  const now = await open(file, 'r');
  try {
    let sum = 0;
    const { size } = await now.stat();
    for await (const { lengthBytes, isHole } of changes.ranges(old, now.fd, 0, size)) if (!isHole) sum += lengthBytes;
    return sum;
  } finally {
    await now.close();
  }
}

/**
 * Returns true if the job can continue later, because the error may be temporary: a pool is missing or does not answer, or clients write to
 * the volume very fast.
 */
function isPassing(thrown: unknown): boolean {
  const { code } = toRsError(thrown);
  return (code === 'E_POOL' && errnoName((thrown as { cause?: unknown }).cause) === undefined) || code === 'E_TIMEOUT' || code === 'E_BUSY';
}
