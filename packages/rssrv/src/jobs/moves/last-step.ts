// The last step of a move: while the clients wait, copies what is left, and changes the pools. The old pool's manifest first names the new
// pool; then the copy becomes the volume, by one rename, the commit point; then the old pool loses the volume. Invariants: what is served is
// in one pool; before the commit point, the volume is that of the old pool.

import { type FileHandle, open } from 'node:fs/promises';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { isSameStamp } from '../../storage/files/storage-identity.ts';
import type { JobRecord } from '../job-record.ts';
import { type Found, type PoolState, volumeText } from '../../pools/catalogue.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { cloneFiles, MoveFiles, stampOf } from '../../pools/moves/move-files.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import type { Pools } from '../../pools/pools.ts';
import { NO_SNAPSHOTS } from '../../pools/snapshots/snapshot-scan.ts';
import { type ChangedData, type CopyRange, RangeCopy } from './changed-data.ts';
import { SWITCH_DISK_MS, SWITCH_RANGES_MAX } from './limits.ts';
import { switchMaxBytes } from './move-plan.ts';
import { snapshotsIn } from './move-rules.ts';
import { OutcomeUnknown, type VolumeSwitch } from './volume-switch.ts';

export interface LastStepPorts {
  readonly pools: Pools;
  readonly verbs: PoolVerbs;
  readonly volumeSwitch: Pick<VolumeSwitch, 'run'>;
  readonly changedData: ChangedData;
  readonly punch: (descriptor: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>;
  configOf(pool: PoolState, manifest: Manifest): ServerVolumeConfig;
}

/** More was written since the last round than the clients should wait for, or a snapshot was made. Nothing has changed. */
export class TooMuchLeft extends Error {}

export interface Step {
  readonly found: Found;
  readonly target: PoolState;
}

export class LastStep {
  protected readonly ports: LastStepPorts;

  constructor(ports: LastStepPorts) {
    this.ports = ports;
  }

  /** Returns how long clients had to wait, in ms. The caller makes no other change meanwhile. */
  async run({ found, target }: Step, record: JobRecord, bytesPerSecond: number): Promise<number> {
    const { pools, verbs, volumeSwitch } = this.ports;
    const { pool, manifest } = found;
    const { id } = manifest;
    const copyStamp = await this.checkFiles({ found, target }, record, manifest.stamps[0] ?? null);
    const snapshots = snapshotsIn(pool, id).list;
    const carried = await pools.onDisk(target.name, SWITCH_DISK_MS, (files) => new MoveFiles(files).carried(id));
    if (snapshots.some((one) => !carried.has(one.id))) throw new TooMuchLeft();
    // Some may have been removed since they were carried.
    await pools.onDisk(target.name, SWITCH_DISK_MS, (files) => new MoveFiles(files).keepOnly(id, snapshots));
    const marked: Manifest = { ...manifest, movedTo: target.identity?.id ?? '' };
    let isTried = false;
    try {
      await verbs.onDisk(pool, SWITCH_DISK_MS, (files) => files.replaceManifest(marked));
      pools.put(pool.name, marked);
      const reason = `it is changing to pool ${target.name}: its clients wait a moment`;
      return await volumeSwitch.run(id, reason, async () => {
        const maxBytes = switchMaxBytes(bytesPerSecond);
        if (!(await pools.onDisk(target.name, SWITCH_DISK_MS, () => this.copyRest(found, target, maxBytes)))) throw new TooMuchLeft();
        isTried = true;
        const { movedTo: _to, ...others } = marked;
        const moved: Manifest = { ...others, stamps: [copyStamp], movedFrom: pool.identity?.id ?? '' };
        await this.commit(target, moved);
        pools.putSnapshots(target.name, id, () => ({ ...NO_SNAPSHOTS, list: snapshots }));
        pools.put(target.name, moved);
        return this.ports.configOf(target, moved);
      });
    } catch (thrown) {
      if (!isTried) await this.unmark(pool, manifest);
      throw thrown;
    } finally {
      // The new pool tells which of the two has the volume; the other one loses it, or its mark.
      await pools.settleParts();
    }
  }

  /** The file that moves, in the old pool. */
  protected dataOf({ pool, manifest: { id } }: Found): string {
    return poolPaths.data(poolPaths.volume(pool.path, id));
  }

  /** Throws unless the files are those that the volume and the job name. Returns the stamp of the copy. */
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

  /** The new pool cannot have the volume, even if it does not answer now. */
  private async unmark(pool: PoolState, manifest: Manifest): Promise<void> {
    const { pools } = this.ports;
    try {
      await pools.onDisk(pool.name, SWITCH_DISK_MS, (files) => files.replaceManifest(manifest));
      pools.put(pool.name, manifest);
    } catch {
      // `settleParts` tries it again, now and after each start.
    }
  }

  /** Copies what differs from the last clone. Nobody writes to the volume. Returns false if it is too much. */
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
      // Blocks that are not written back yet still look unchanged.
      await now.datasync();
      const ranges: CopyRange[] = [];
      let bytes = 0;
      for await (const range of this.ports.changedData.ranges(from.fd, now.fd, 0, sizeBytes)) {
        ranges.push(range);
        if (!range.isHole) bytes += range.lengthBytes;
        if (bytes > maxBytes || ranges.length > SWITCH_RANGES_MAX) return false;
      }
      const { size } = await to.stat();
      if (size < sizeBytes && thick) return false;
      await this.ports.pools.onDisk(pool.name, SWITCH_DISK_MS, (one) => new MoveFiles(one).spendBase(id));
      if (size < sizeBytes) await to.truncate(sizeBytes);
      const copier = new RangeCopy(now, to, this.ports.punch);
      for (const range of ranges)
        await copier.copy(
          range,
          () => Promise.resolve(),
          () => undefined,
        );
      await to.sync();
      return true;
    } finally {
      for (const file of files) await file.close();
    }
  }

  /** Throws OutcomeUnknown if the new pool does not tell whether it has the volume. */
  private async commit(target: PoolState, manifest: Manifest): Promise<void> {
    const { pools, verbs } = this.ports;
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
