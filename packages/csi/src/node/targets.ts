// NodePublishVolume and NodeUnpublishVolume: a bind mount from the staged volume to the folder or device file of a pod. Invariants: a
// read-only publication cannot write, even if the volume is attached read-write. No pod gets a file system that has failed. The bind mount and the check of its options may be
// repeated.

import { MOUNT_MAX_MS } from '../limits.ts';
import { filled, isReader, pathOf, useOf } from '../rpc/fields.ts';
import type { NodePublishRequest } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import type { HostMount } from './host.ts';
import { mountAt, type Staging, type StagingPorts } from './stage.ts';

export class Targets {
  private readonly ports: StagingPorts;
  private readonly staging: Staging;

  constructor(ports: StagingPorts, staging: Staging) {
    this.ports = ports;
    this.staging = staging;
  }

  async publish(request: NodePublishRequest): Promise<object> {
    const { host, devices, records } = this.ports;
    const volumeId = filled(request.volumeId, 'volume_id');
    const target = pathOf(request.targetPath, 'target_path');
    const use = useOf(request.volumeCapability);
    const stagingPath = pathOf(request.stagingTargetPath, 'staging_target_path');
    const record = await records.load(volumeId);
    const attached = record === null ? null : await devices.find(volumeId);
    if (record === null || attached === null)
      throw new CsiError('FAILED_PRECONDITION', `Volume ${volumeId} is not staged on this node: stage it first`);
    if (record.kind !== use.kind || record.stagingPath !== stagingPath)
      throw new CsiError(
        'FAILED_PRECONDITION',
        `Volume ${record.label} is staged at ${record.stagingPath} for ${record.kind}: unstage it first`,
      );
    const isReadonly = request.readonly || isReader(use) || attached.isReadonly;
    const { device } = await this.staging.deviceOf(attached);
    const isBlock = use.kind === 'block';
    if (isBlock && isReadonly && !attached.isReadonly)
      throw new CsiError(
        'FAILED_PRECONDITION',
        `Volume ${record.label} is attached read-write, and a device cannot be made read-only for one pod: publish it read-only to the node`,
      );
    const mounts = await host.mounts();
    const source = isBlock ? null : mountAt(mounts, stagingPath);
    if (!isBlock && source?.device !== device)
      throw new CsiError('FAILED_PRECONDITION', `Volume ${record.label} is not mounted at ${stagingPath}: stage it first`);
    if (source !== null && attached.waitsFor === null) {
      const fault = await this.staging.fileSystems.faultOf(source);
      if (fault !== null) await this.staging.mountAgain(attached, record, use.mountFlags, fault);
    }
    await this.refuseSecondTarget(mounts, use.mode, { volume: record.label, device, stagingPath, target, isBlock });
    await this.bind({ from: isBlock ? attached.device : stagingPath, target, device, isBlock, isReadonly });
    return {};
  }

  async unpublish(request: { readonly volumeId: string; readonly targetPath: string }): Promise<object> {
    filled(request.volumeId, 'volume_id');
    const target = pathOf(request.targetPath, 'target_path');
    await this.staging.unmount(target);
    await this.ports.host.remove(target);
    return {};
  }

  private async bind({
    from,
    target,
    device,
    isBlock,
    isReadonly,
  }: {
    from: string;
    target: string;
    device: string;
    isBlock: boolean;
    isReadonly: boolean;
  }): Promise<void> {
    const { host } = this.ports;
    let mounted = mountAt(await host.mounts(), target);
    if (mounted === null) {
      await (isBlock ? host.makeFile(target) : host.makeFolder(target));
      await this.staging.fileSystems.run('mount', ['--bind', from, target], MOUNT_MAX_MS);
      mounted = mountAt(await host.mounts(), target);
    }
    const isOwn = isBlock ? await this.staging.isDevice(target, device) : mounted?.device === device;
    if (!isOwn) throw new CsiError('FAILED_PRECONDITION', `Something else is mounted at ${target}: unmount it`);
    // A call that was killed between the two steps has left a mount that can write. The options of a device file have no effect.
    if (!isBlock && isReadonly && mounted?.isReadonly === false)
      await this.staging.fileSystems.run('mount', ['-o', 'remount,bind,ro', target], MOUNT_MAX_MS);
    if (!isBlock && !isReadonly && mounted?.isReadonly === true)
      throw new CsiError('ALREADY_EXISTS', `The volume is published read-only at ${target}: unpublish it first`);
  }

  /** Throws FAILED_PRECONDITION if the volume is for one pod, and another target has it. */
  private async refuseSecondTarget(
    mounts: readonly HostMount[],
    mode: string,
    {
      volume,
      device,
      stagingPath,
      target,
      isBlock,
    }: { volume: string; device: string; stagingPath: string; target: string; isBlock: boolean },
  ): Promise<void> {
    if (mode !== 'SINGLE_NODE_SINGLE_WRITER') return;
    const others = isBlock
      ? await this.staging.targetsOf(mounts, device)
      : mounts.filter((one) => one.device === device).map(({ mountPoint }) => mountPoint);
    const other = others.find((path) => path !== target && path !== stagingPath);
    if (other !== undefined)
      throw new CsiError('FAILED_PRECONDITION', `Volume ${volume} is for one pod, and is published at ${other}: unpublish it there first`);
  }
}
