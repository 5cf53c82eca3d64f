// The last step of a move. While the clients wait, this step copies the remaining differences, and changes the pool of the volume. First,
// the manifest in the old pool is marked with the id of the new pool. Then one rename, the commit point, makes the copy in the new pool the
// volume. At the end, the files in the old pool are deleted. Invariants: the volume is served from exactly one pool; before the commit
// point, it is served from the old pool. Rules: C5.

import { type FileHandle, open } from 'node:fs/promises';
import { RsError } from '@rsio/base/lib/errors';
import { isSameStamp } from '../../storage/files/storage-identity.ts';
import type { JobRecord } from '../job-record.ts';
import { type Found, type PoolState, volumeText } from '../../pools/catalogue.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { cloneFiles, MoveFiles, stampOf } from '../../pools/moves/move-files.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import type { Pools } from '../../pools/pools.ts';
import { NO_SNAPSHOTS } from '../../pools/snapshots/snapshot-scan.ts';
import { type CopyRange, RangeCopy } from './changed-data.ts';
import { SWITCH_DISK_MS, SWITCH_RANGES_MAX } from '../limits.ts';
import { switchMaxBytes } from './move-plan.ts';
import { snapshotsIn } from './move-rules.ts';
import type { CopyPorts } from './copy-ranges.ts';
import { VolumeContent } from './volume-content.ts';
import { OutcomeUnknown, type VolumeSwitch } from './volume-switch.ts';

/**
 * Thrown if the last step cannot be taken yet, because a snapshot was made since the last round, or clients have written more data than the
 * server can copy while they wait. The step has changed nothing, and another round follows.
 */
export class TooMuchLeft extends Error {}

export interface Step {
  readonly found: Found;
  readonly target: PoolState;
}

export class LastStep {
  protected readonly pools: Pools;
  protected readonly verbs: PoolVerbs;
  protected readonly volumeSwitch: Pick<VolumeSwitch, 'run'>;
  private readonly copying: CopyPorts;

  constructor(verbs: PoolVerbs, volumeSwitch: Pick<VolumeSwitch, 'run'>, copying: CopyPorts) {
    this.pools = verbs.pools;
    this.verbs = verbs;
    this.volumeSwitch = volumeSwitch;
    this.copying = copying;
  }

  /** Executes the last step, and returns how long clients had to wait, in ms. The caller must make no other change during this call. */
  async run({ found, target }: Step, record: JobRecord, bytesPerSecond: number): Promise<number> {
    const { pools, verbs, volumeSwitch } = this;
    const { pool, manifest } = found;
    const { id } = manifest;
    const copyStamp = await this.checkFiles({ found, target }, record, manifest.stamps[0] ?? null);
    const snapshots = snapshotsIn(pool, id).list;
    const carried = await pools.onDisk(target, SWITCH_DISK_MS, (files) => new MoveFiles(files).carried(id));
    if (snapshots.some((one) => !carried.has(one.id))) throw new TooMuchLeft();
    // Delete the copies of snapshots that were removed after they had been copied to the new pool.
    await pools.onDisk(target, SWITCH_DISK_MS, (files) => new MoveFiles(files).keepOnly(id, snapshots));
    const marked: Manifest = { ...manifest, movedTo: target.identity?.id ?? '' };
    let isTried = false;
    try {
      await verbs.onDisk(pool, SWITCH_DISK_MS, (files) => files.replaceManifest(marked));
      pools.put(pool, marked);
      const reason = `it is changing to pool ${target.name}: its clients wait a moment`;
      return await volumeSwitch.run(id, reason, async () => {
        const maxBytes = switchMaxBytes(bytesPerSecond);
        if (!(await pools.onDisk(target, SWITCH_DISK_MS, () => this.copyRest(found, target, maxBytes)))) throw new TooMuchLeft();
        await pools.onDisk(target, SWITCH_DISK_MS, (files) => new MoveFiles(files).carryRecord(id, pool.path));
        const { movedTo: _to, ...others } = marked;
        const moved: Manifest = { ...others, stamps: [copyStamp], movedFrom: pool.identity?.id ?? '' };
        const snapshotIds = snapshots.map((one) => one.id);
        await pools.carry(id, snapshotIds, target.identity?.id ?? '', () => {
          isTried = true;
          return this.commit(target, moved);
        });
        pools.putSnapshots(target, id, () => ({ ...NO_SNAPSHOTS, list: snapshots }));
        pools.put(target, moved);
        return verbs.configOf(target, moved);
      });
    } catch (thrown) {
      if (!isTried) await this.unmark(pool, manifest);
      throw thrown;
    } finally {
      // `settleParts` looks for the volume in the new pool. If the new pool has the volume, `settleParts` deletes the files in the old
      // pool; otherwise, `settleParts` removes the mark from the manifest in the old pool.
      await pools.settleParts();
    }
  }

  /** Returns the path of the moving file in the old pool. */
  protected dataOf({ pool, manifest: { id } }: Found): string {
    return poolPaths.data(poolPaths.volume(pool.path, id));
  }

  /** Throws if the stamp of a file differs from the stamp in the manifest or in the job record. Returns the stamp of the copy. */
  protected async checkFiles({ found, target }: Step, record: JobRecord, stamp: string | null): Promise<string> {
    const { pool, manifest } = found;
    const data = this.dataOf(found);
    if (!isSameStamp(await stampOf(data), stamp))
      throw new RsError(
        'E_VOLUME',
        `${data} is not the file that volume ${manifest.name} was created with: see rsadm volume show ${volumeText(manifest)}`,
        { file: data },
      );
    const copyStamp = await stampOf(poolPaths.data(poolPaths.movingVolume(target.path, manifest.id)));
    const baseStamp = await stampOf(cloneFiles(pool.path, manifest.id).base);
    if (record.move !== null && copyStamp !== null && copyStamp === record.move.copyStamp && baseStamp === record.move.baseStamp)
      return copyStamp;
    throw new RsError(
      'E_BUSY',
      `The files of job ${record.id} have changed, because a pool was restored or copied meanwhile: the move begins again`,
    );
  }

  /**
   * Removes the mark from the manifest in the old pool. Called only if the commit was not tried, so that the new pool cannot have the
   * volume.
   */
  private async unmark(pool: PoolState, manifest: Manifest): Promise<void> {
    const { pools } = this;
    try {
      await pools.onDisk(pool, SWITCH_DISK_MS, (files) => files.replaceManifest(manifest));
      pools.put(pool, manifest);
    } catch {
      // `settleParts` tries again to remove the mark, both in this call of `run` and after each start.
    }
  }

  /**
   * Copies the differences between the served file and its last clone, while no client writes to the volume. Returns false if there are too
   * many differences.
   */
  protected async copyRest(found: Found, target: PoolState, maxBytes: number): Promise<boolean> {
    const { pool, manifest } = found;
    const { id, sizeBytes, thick } = manifest;
    const [base, data, copy] = [cloneFiles(pool.path, id).base, this.dataOf(found), poolPaths.movingVolume(target.path, id)];
    const files: FileHandle[] = [];
    try {
      for (const [file, flags] of [
        [base, 'r'],
        [data, 'r'],
        [poolPaths.data(copy), 'r+'],
      ] as const)
        files.push(await open(file, flags));
      const [from, now, to] = files as [FileHandle, FileHandle, FileHandle];
      // Sync first, because blocks that are not yet written back look unchanged in the extents.
      await now.datasync();
      const ranges: CopyRange[] = [];
      let bytes = 0;
      for await (const range of this.copying.changedData.ranges(from.fd, now.fd, 0, sizeBytes)) {
        ranges.push(range);
        if (!range.isHole) bytes += range.lengthBytes;
        if (bytes > maxBytes || ranges.length > SWITCH_RANGES_MAX) return false;
      }
      const { size } = await to.stat();
      if (size < sizeBytes && thick) return false;
      await this.pools.onDisk(pool, SWITCH_DISK_MS, (one) => new MoveFiles(one).spendBase(id));
      if (size < sizeBytes) await to.truncate(sizeBytes);
      const copier = new RangeCopy(now, to, this.copying.punch);
      for (const range of ranges)
        await copier.copy(
          range,
          () => Promise.resolve(),
          () => undefined,
        );
      await new VolumeContent([now]).checkLength(sizeBytes);
      await to.sync();
      return true;
    } finally {
      for (const file of files) await file.close();
    }
  }

  /** Makes the copy the volume of the new pool. Throws OutcomeUnknown if it is unknown whether the new pool has the volume. */
  private async commit(target: PoolState, manifest: Manifest): Promise<void> {
    const { pools, verbs } = this;
    try {
      await verbs.onDisk(target, SWITCH_DISK_MS, (files) => new MoveFiles(files).commit(manifest));
    } catch (thrown) {
      const now = pools.states.find(({ identity }) => identity?.id === target.identity?.id);
      if (now?.volumes.has(manifest.id) === true) return;
      if (now === undefined || now.trouble !== null)
        throw new OutcomeUnknown(
          `Whether volume ${manifest.name} is in pool ${target.name} is not known, because that pool does not answer`,
        );
      throw thrown;
    }
  }
}
