// NodeStageVolume and NodeUnstageVolume: attach by id, make a file system if none exists, mount; and back. Invariants: each call may be
// repeated after it was killed at any step. Only format-rules.ts decides whether a device is formatted. A volume whose unmount fails stays attached.
// Rules: G45.

import { quoteText } from '@rsio/common/lib/units';
import { BLKID_MAX_MS, MKFS_MAX_MS, MOUNT_MAX_MS, RESIZE_MAX_MS, STACKED_MOUNTS_MAX } from '../limits.ts';
import { FS_DEFAULT, type FsType, FS_TYPES, filled, isReader, pathOf, useOf } from '../rpc/fields.ts';
import { FS_TYPE_KEY, READONLY_KEY, type StageRequest } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import type { Attached, Devices } from './devices.ts';
import { formatStep } from './format-rules.ts';
import type { HostMount, NodeHost } from './host.ts';
import type { Records, StageRecord } from './records.ts';

/** Programs that make, check and enlarge each file system. The device, or for xfs_growfs the folder, is the last argument. */
const PROGRAMS: Readonly<
  Record<FsType, { readonly make: readonly string[]; readonly check: readonly string[]; readonly mountFlags: readonly string[] }>
> = {
  // The volume is new, so there is nothing to discard.
  ext4: { make: ['mkfs.ext4', '-q', '-F', '-m', '0', '-E', 'nodiscard'], check: ['e2fsck', '-f', '-n'], mountFlags: [] },
  // A clone has the UUID of its source, which may be mounted on the same node.
  xfs: { make: ['mkfs.xfs', '-q', '-f', '-K'], check: ['xfs_repair', '-n'], mountFlags: ['nouuid'] },
};
const BLKID_NOTHING = 2;

export interface StagingPorts {
  readonly host: NodeHost;
  readonly devices: Devices;
  readonly records: Records;
}

export class Staging {
  private readonly ports: StagingPorts;

  constructor(ports: StagingPorts) {
    this.ports = ports;
  }

  async stage(request: StageRequest): Promise<object> {
    const { devices, host, records } = this.ports;
    const volumeId = filled(request.volumeId, 'volume_id');
    const stagingPath = pathOf(request.stagingTargetPath, 'staging_target_path');
    const use = useOf(request.volumeCapability);
    const isReadonly = isReader(use) || request.publishContext[READONLY_KEY] === 'yes';
    const fsType = use.fsType ?? FS_TYPES.find((one) => one === request.volumeContext[FS_TYPE_KEY]) ?? FS_DEFAULT;
    const before = await records.load(volumeId);
    if (before !== null && (before.kind !== use.kind || before.isReadonly !== isReadonly || before.stagingPath !== stagingPath))
      throw new CsiError('ALREADY_EXISTS', `Volume ${before.label} is staged at ${before.stagingPath} in another way: unstage it first`);
    const attached = await devices.attach(volumeId, isReadonly);
    const record = { volumeId, label: attached.label, kind: use.kind, fsType, isReadonly, mode: use.mode, stagingPath } as const;
    const wasBegun = before?.phase === 'formatting';
    if (use.kind === 'block') {
      await records.save({ ...record, phase: 'ready' });
      return {};
    }
    const { device } = await this.deviceOf(attached);
    const mounted = mountAt(await host.mounts(), stagingPath);
    if (mounted === null) {
      await this.prepare(attached, record, wasBegun);
      await host.makeFolder(stagingPath);
      const flags = [...use.mountFlags, ...PROGRAMS[fsType].mountFlags, ...(isReadonly ? ['ro'] : [])];
      await this.run(
        'mount',
        ['-t', fsType, ...(flags.length > 0 ? ['-o', flags.join(',')] : []), attached.device, stagingPath],
        MOUNT_MAX_MS,
      );
    } else if (mounted.device !== device) {
      throw new CsiError('FAILED_PRECONDITION', `Something else is mounted at ${stagingPath}: unmount it`);
    }
    await records.save({ ...record, phase: 'ready' });
    // A clone can be larger than the file system of its source.
    if (!isReadonly) await this.enlarge(fsType, attached.device, stagingPath);
    return {};
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
      await this.run('umount', [path], MOUNT_MAX_MS);
    }
    throw new CsiError('FAILED_PRECONDITION', `More than ${STACKED_MOUNTS_MAX} mounts lie on each other at ${path}: unmount them by hand`);
  }

  /** Enlarges a mounted file system to the size of its device. */
  async enlarge(fsType: FsType, device: string, mountPoint: string): Promise<void> {
    if (fsType === 'ext4') await this.run('resize2fs', [device], RESIZE_MAX_MS);
    else await this.run('xfs_growfs', [mountPoint], RESIZE_MAX_MS);
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

  /** Throws INTERNAL, or DEADLINE_EXCEEDED if the program does not end in time. */
  async run(program: string, args: readonly string[], limitMs: number): Promise<void> {
    const { code, stdout, stderr } = await this.ports.host.run(program, args, limitMs);
    if (code === 0) return;
    const said = [stderr, stdout].map((text) => text.trim()).find((text) => text !== '') ?? 'it printed nothing';
    const sentence = `${program} ${args.join(' ')} ended with ${code ?? 'no exit code'}: ${said.replaceAll(/\s*\n\s*/g, '; ')}`;
    throw new CsiError(code === null ? 'DEADLINE_EXCEEDED' : 'INTERNAL', sentence);
  }

  /** Makes the file system if the device has nothing. */
  private async prepare(attached: Attached, record: Omit<StageRecord, 'phase'>, wasBegun: boolean): Promise<void> {
    const { host, records } = this.ports;
    const { fsType, isReadonly } = record;
    const look = { ...(await host.endsOf(attached.device)), signature: await this.signatureOf(attached.device) };
    const step = formatStep(look, { label: attached.label, fsType, isReadonly, wasBegun });
    const { make, check } = PROGRAMS[fsType];
    const [maker = '', ...makeArgs] = make;
    const [checker = '', ...checkArgs] = check;
    if (step === 'format') {
      await records.save({ ...record, phase: 'formatting' });
      await this.run(maker, [...makeArgs, attached.device], MKFS_MAX_MS);
      await records.save({ ...record, phase: 'ready' });
    }
    if (step !== 'check') return;
    const { code, stdout } = await host.run(checker, [...checkArgs, attached.device], MKFS_MAX_MS);
    if (code !== 0)
      throw new CsiError(
        'FAILED_PRECONDITION',
        `Volume ${attached.label} has a file system that ${maker} may not have completed (${checker}: ${stdout.trim().split('\n').at(-1) ?? ''}): ` +
          'wipefs -a on its device removes it, if the volume has no data',
      );
    await records.save({ ...record, phase: 'ready' });
  }

  /** Returns the type of the file system; `?` for another signature; null if blkid finds nothing. */
  private async signatureOf(device: string): Promise<string | null> {
    const { code, stdout, stderr } = await this.ports.host.run('blkid', ['-p', '-o', 'export', device], BLKID_MAX_MS);
    if (code === BLKID_NOTHING) return null;
    const [, usage] = /^USAGE=(.*)$/m.exec(stdout) ?? [];
    const [, type] = /^TYPE=(.*)$/m.exec(stdout) ?? [];
    if (code === 0) return usage === 'filesystem' && type !== undefined ? type : '?';
    // Code 8: several signatures contradict each other. Anything else is an error of the device.
    if (code === 8) return '?';
    throw new CsiError(
      'UNAVAILABLE',
      `blkid cannot read ${quoteText(device)} (${code ?? 'it does not end'}): ${stderr.trim() || 'see the log of rsiod'}`,
    );
  }
}

/** Returns the last mount at the path; null if nothing is mounted there. */
export function mountAt(mounts: readonly HostMount[], path: string): HostMount | null {
  return mounts.findLast(({ mountPoint }) => mountPoint === path) ?? null;
}
