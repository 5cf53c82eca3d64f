// NodeStageVolume and NodeUnstageVolume: attach by id, make a file system if none exists, mount; and back. Invariants: each call may be
// repeated after it was killed at any step. A volume whose unmount fails stays attached. A record blocks a call only while the mounts of the
// kernel confirm it: after a crash or a power cut, no call of the orchestrator would ever remove it.
// Rules: G45.

import { MOUNT_MAX_MS, STACKED_MOUNTS_MAX } from '../limits.ts';
import { FS_DEFAULT, FS_TYPES, filled, isReader, pathOf, useOf } from '../rpc/fields.ts';
import { FS_TYPE_KEY, READONLY_KEY, type StageRequest } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import type { Attached } from './devices.ts';
import { FileSystems, type FileSystemsPorts } from './file-systems.ts';
import type { HostMount } from './host.ts';
import type { Records, StageRecord } from './records.ts';

export interface StagingPorts extends FileSystemsPorts {
  readonly records: Records;
}

export class Staging {
  readonly fileSystems: FileSystems;
  private readonly ports: StagingPorts;

  constructor(ports: StagingPorts) {
    this.ports = ports;
    this.fileSystems = new FileSystems(ports);
  }

  async stage(request: StageRequest): Promise<object> {
    const { devices, records } = this.ports;
    const volumeId = filled(request.volumeId, 'volume_id');
    const stagingPath = pathOf(request.stagingTargetPath, 'staging_target_path');
    const use = useOf(request.volumeCapability);
    const isReadonly = isReader(use) || request.publishContext[READONLY_KEY] === 'yes';
    const fsType = use.fsType ?? FS_TYPES.find((one) => one === request.volumeContext[FS_TYPE_KEY]) ?? FS_DEFAULT;
    const before = await records.load(volumeId);
    if (before !== null) await this.dropIfStale(before, { kind: use.kind, isReadonly, stagingPath });
    const attached = await devices.attach(volumeId, isReadonly);
    const record = { volumeId, label: attached.label, kind: use.kind, fsType, isReadonly, mode: use.mode, stagingPath } as const;
    await records.save(record);
    if (use.kind === 'block') {
      // From now on, pods write to the device themselves, so it no longer holds only what mkfs has left.
      if (!isReadonly) await this.ports.host.unmark(attached.device);
      return {};
    }
    const mounted = await this.stagedMount(attached, record, use.mountFlags, before?.stagingPath === stagingPath);
    const now = mounted ?? (await this.mount(attached, record, use.mountFlags));
    // A clone can be larger than the file system of its source.
    if (!isReadonly) await this.fileSystems.enlarge(fsType, now.device, stagingPath);
    return {};
  }

  /** Mounts a file system that has failed again, after a check. Throws FAILED_PRECONDITION if pods still have it. */
  async mountAgain(attached: Attached, record: StageRecord, flags: readonly string[], fault: string): Promise<void> {
    const { device } = await this.deviceOf(attached);
    const mounts = await this.ports.host.mounts();
    const other = mounts.find((one) => one.device === device && one.mountPoint !== record.stagingPath);
    if (other !== undefined)
      throw new CsiError(
        'FAILED_PRECONDITION',
        `The file system of volume ${record.label} has failed, because ${fault}, and is still mounted at ${other.mountPoint}: ` +
          'delete the pods that use it on this node; it is then checked and mounted again',
      );
    await this.unmount(record.stagingPath);
    await this.mount(attached, record, flags);
  }

  async unstage(request: { readonly volumeId: string; readonly stagingTargetPath: string }): Promise<object> {
    const { devices, records } = this.ports;
    const volumeId = filled(request.volumeId, 'volume_id');
    const stagingPath = pathOf(request.stagingTargetPath, 'staging_target_path');
    await this.unmount(stagingPath);
    await devices.detach(volumeId);
    await records.remove(volumeId);
    return {};
  }

  /** Unmounts everything that is mounted at the path. */
  async unmount(path: string): Promise<void> {
    for (let times = 0; times < STACKED_MOUNTS_MAX; times++) {
      if (mountAt(await this.ports.host.mounts(), path) === null) return;
      await this.fileSystems.run('umount', [path], MOUNT_MAX_MS);
    }
    throw new CsiError('FAILED_PRECONDITION', `More than ${STACKED_MOUNTS_MAX} mounts lie on each other at ${path}: unmount them by hand`);
  }

  /** Returns the attached volume with the number of its device. */
  async deviceOf(attached: Attached): Promise<Attached & { readonly device: string; readonly path: string }> {
    const found = await this.ports.host.kindOf(attached.device);
    if (found.kind !== 'device')
      throw new CsiError(
        'UNAVAILABLE',
        `${attached.device} of volume ${attached.label} is no block device on this node: mount /dev of the host into the pod`,
      );
    return { ...attached, path: attached.device, device: found.device };
  }

  private async mount(attached: Attached, record: StageRecord, flags: readonly string[]): Promise<Attached> {
    const { device } = await this.deviceOf(attached);
    const isMounted = (await this.ports.host.mounts()).some((one) => one.device === device);
    return this.fileSystems.mount(attached, record, flags, isMounted);
  }

  /** Returns the volume if its file system is mounted at the staging path and well; null if it must be mounted. */
  private async stagedMount(
    attached: Attached,
    record: StageRecord,
    flags: readonly string[],
    isOwnPath: boolean,
  ): Promise<Attached | null> {
    const { device } = await this.deviceOf(attached);
    const mounted = mountAt(await this.ports.host.mounts(), record.stagingPath);
    if (mounted === null) return null;
    if (mounted.device !== device) {
      // The record proves that the path is the driver's. The mount is of a device that the volume had before its devices were lost.
      if (!isOwnPath) throw new CsiError('FAILED_PRECONDITION', `Something else is mounted at ${record.stagingPath}: unmount it`);
      await this.unmount(record.stagingPath);
      return null;
    }
    const fault = attached.waitsFor === null ? await this.fileSystems.faultOf(mounted) : null;
    if (fault !== null) await this.mountAgain(attached, record, flags, fault);
    return attached;
  }

  /**
   * Throws ALREADY_EXISTS if the record differs from the call and is true: the volume is attached, and mounted where the record says or
   * published. A volume that is only attached is detached, so that it can be attached in another way; rsiod refuses that while anything uses
   * the device.
   */
  private async dropIfStale(record: StageRecord, wanted: Pick<StageRecord, 'kind' | 'isReadonly' | 'stagingPath'>): Promise<void> {
    const { devices, host, records } = this.ports;
    const attached = await devices.find(record.volumeId);
    const isSame = (['kind', 'isReadonly', 'stagingPath'] as const).every((key) => record[key] === wanted[key]);
    if (isSame && (attached === null || attached.isReadonly === record.isReadonly)) return;
    if (attached !== null) {
      const { device } = await this.deviceOf(attached);
      const mounts = (await host.mounts()).filter((one) => one.device === device);
      const paths =
        record.kind === 'block' ? await this.targetsOf(await host.mounts(), device) : mounts.map(({ mountPoint }) => mountPoint);
      // The driver was killed while it replayed a journal for a read-only mount.
      const isReplaying = record.isReadonly && !attached.isReadonly && paths.every((path) => path === record.stagingPath);
      if (isReplaying) await this.unmount(record.stagingPath);
      else if (paths.length > 0)
        throw new CsiError('ALREADY_EXISTS', `Volume ${record.label} is staged at ${record.stagingPath} in another way: unstage it first`);
      await devices.detach(record.volumeId);
    }
    await records.remove(record.volumeId);
  }

  /** Returns the files on which a device is mounted. */
  async targetsOf(mounts: readonly HostMount[], device: string): Promise<string[]> {
    const files = mounts.filter(({ root }) => root !== '/').map(({ mountPoint }) => mountPoint);
    const found = await Promise.all(files.map(async (path) => ((await this.isDevice(path, device)) ? path : null)));
    return found.flatMap((path) => (path === null ? [] : [path]));
  }

  async isDevice(path: string, device: string): Promise<boolean> {
    const found = await this.ports.host.kindOf(path);
    return found.kind === 'device' && found.device === device;
  }
}

/** Returns the last mount at the path; null if nothing is mounted there. */
export function mountAt(mounts: readonly HostMount[], path: string): HostMount | null {
  return mounts.findLast(({ mountPoint }) => mountPoint === path) ?? null;
}
