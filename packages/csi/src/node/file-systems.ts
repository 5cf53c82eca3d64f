// Makes, checks, mounts and judges the file system of a volume. Invariants: only format-rules.ts decides whether a device is formatted. An ext4
// that is not mounted is checked before it is mounted for writing. A journal is replayed, never skipped, because a file system without its
// journal shows older data. A file system that has failed is never given to a further pod.
// Rules: G45.

import { within } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { BLKID_MAX_MS, MKFS_MAX_MS, MOUNT_MAX_MS, RESIZE_MAX_MS, STATFS_MAX_MS } from '../limits.ts';
import type { FsType } from '../rpc/fields.ts';
import { CsiError } from '../rpc/status.ts';
import type { Attached, Devices } from './devices.ts';
import { checkMeaning, formatStep } from './format-rules.ts';
import type { HostMount, NodeHost } from './host.ts';
import type { StageRecord } from './records.ts';

/** Programs that make each file system. The device is the last argument. */
const PROGRAMS: Readonly<Record<FsType, { readonly make: readonly string[]; readonly mountFlags: readonly string[] }>> = {
  // The volume is new, so there is nothing to discard.
  ext4: { make: ['mkfs.ext4', '-q', '-F', '-m', '0', '-E', 'nodiscard'], mountFlags: [] },
  // A clone has the UUID of its source, which may be mounted on the same node.
  xfs: { make: ['mkfs.xfs', '-q', '-f', '-K'], mountFlags: ['nouuid'] },
};
const BLKID_NOTHING = 2;
/** Options that the kernel shows after an error, in addition to `ro`. */
const FAILED_OPTIONS = ['shutdown', 'emergency_ro'];

export interface FileSystemsPorts {
  readonly clock: Clock;
  readonly host: NodeHost;
  readonly devices: Devices;
}

/** A volume, its file system, and where it is mounted. */
type Staged = Pick<StageRecord, 'volumeId' | 'label' | 'fsType' | 'isReadonly' | 'stagingPath'>;

export class FileSystems {
  private readonly ports: FileSystemsPorts;
  private readonly probes = new Map<string, Promise<string | null>>();

  constructor(ports: FileSystemsPorts) {
    this.ports = ports;
  }

  /** Makes the file system if the device has nothing, checks it, and mounts it. Returns the attached volume, which may have another device. */
  async mount(attached: Attached, staged: Staged, flags: readonly string[], isMounted: boolean): Promise<Attached> {
    await this.prepare(attached, staged, isMounted);
    await this.ports.host.makeFolder(staged.stagingPath);
    try {
      await this.mountDevice(attached.device, staged, flags);
      return attached;
    } catch (thrown) {
      if (!staged.isReadonly || !(await this.needsReplay(attached, staged.fsType, thrown))) throw thrown;
      const replayed = await this.replay(staged, thrown);
      await this.mountDevice(replayed.device, staged, flags);
      return replayed;
    }
  }

  /** Returns how a mounted file system has failed; null if it is well, or does not answer. */
  async faultOf({ mountPoint, options, isReadonly }: HostMount): Promise<string | null> {
    // After an error, the file system is read-only although its mount is not.
    const option = FAILED_OPTIONS.find((one) => options.includes(one)) ?? (!isReadonly && options.includes('ro') ? 'ro' : undefined);
    if (option !== undefined) return `the kernel has ended its writes after an error (${option})`;
    const error = await this.probe(mountPoint);
    return error === null ? null : `it answers with ${error}`;
  }

  /** Enlarges a mounted file system to the size of its device. */
  async enlarge(fsType: FsType, device: string, mountPoint: string): Promise<void> {
    if (fsType === 'ext4') await this.run('resize2fs', [device], RESIZE_MAX_MS);
    else await this.run('xfs_growfs', [mountPoint], RESIZE_MAX_MS);
  }

  /** Throws INTERNAL, or DEADLINE_EXCEEDED if the program does not end in time. */
  async run(program: string, args: readonly string[], limitMs: number): Promise<void> {
    const { code, stdout, stderr } = await this.ports.host.run(program, args, limitMs);
    if (code === 0) return;
    const said = [stderr, stdout].map((text) => text.trim()).find((text) => text !== '') ?? 'it printed nothing';
    const sentence = `${program} ${args.join(' ')} ended with ${code ?? 'no exit code'}: ${said.replaceAll(/\s*\n\s*/g, '; ')}`;
    throw new CsiError(code === null ? 'DEADLINE_EXCEEDED' : 'INTERNAL', sentence);
  }

  /** A mark is on the device from before mkfs until the file system is complete, so that each node and boot sees an incomplete one. */
  private async prepare({ device, label }: Attached, { volumeId, fsType, isReadonly }: Staged, isMounted: boolean): Promise<void> {
    const { host } = this.ports;
    const look = { ...(await host.endsOf(device)), signature: await this.signatureOf(device) };
    const step = formatStep(look, { volumeId, label, fsType, isReadonly });
    if (step === 'format') {
      const [maker = '', ...args] = PROGRAMS[fsType].make;
      await host.mark(device, volumeId);
      await this.run(maker, [...args, device], MKFS_MAX_MS);
    }
    if (isReadonly) return;
    if (step === 'format' || look.begunFor === volumeId) await host.unmark(device);
    if (step === 'mount' && fsType === 'ext4' && !isMounted) await this.check(device, label);
  }

  /**
   * Replays the journal and corrects errors that are safe to correct. Throws if errors are left. The check of a large file system takes as
   * long as it takes, because a killed check would start from the beginning at each call. Meanwhile, further calls about the volume get ABORTED.
   */
  private async check(device: string, label: string): Promise<void> {
    const { code, stdout, stderr } = await this.ports.host.run('e2fsck', ['-p', device], null);
    const meaning = checkMeaning(code);
    if (meaning === 'good') return;
    const said = (stdout.trim() || stderr.trim()).split('\n').at(-1) ?? '';
    if (meaning === 'broken')
      throw new CsiError(
        'FAILED_PRECONDITION',
        `The ext4 file system of volume ${label} has errors that e2fsck -p does not correct (${said}): ` +
          `make a snapshot, attach the volume on a node (rsconfig -a), run e2fsck ${device} there, and detach it`,
      );
    const why = meaning === 'killed' ? 'was killed' : `ended with ${code}`;
    throw new CsiError('UNAVAILABLE', `e2fsck -p ${device} of volume ${label} ${why} (${said}): repeat the call`);
  }

  private mountDevice(device: string, { fsType, isReadonly, stagingPath }: Staged, flags: readonly string[]): Promise<void> {
    const all = [...flags, ...PROGRAMS[fsType].mountFlags, ...(isReadonly ? ['ro'] : [])];
    return this.run('mount', ['-t', fsType, ...(all.length > 0 ? ['-o', all.join(',')] : []), device, stagingPath], MOUNT_MAX_MS);
  }

  private async needsReplay({ device }: Attached, fsType: FsType, thrown: unknown): Promise<boolean> {
    if (fsType === 'ext4') return (await this.ports.host.endsOf(device)).needsReplay;
    // xfs does not show in its superblock that its log is not empty.
    return /read-only/.test(toRsError(thrown).message);
  }

  /**
   * Replays the journal of a crash-consistent clone that is to be mounted read-only: for this, the volume is attached for writing, which no
   * other node may have done. Linux does the same for a read-only mount of a device that can be written.
   */
  private async replay(staged: Staged, mounting: unknown): Promise<Attached> {
    const { devices } = this.ports;
    const { volumeId, label, fsType, stagingPath } = staged;
    await devices.detach(volumeId);
    const writable = await devices.attach(volumeId, false).catch((thrown: unknown) => {
      throw new CsiError(
        'UNAVAILABLE',
        `Volume ${label} has a journal to replay before it can be mounted read-only (${toRsError(mounting).message}), and cannot be attached ` +
          `for writing (${toRsError(thrown).message}): repeat the call, or mount it once with ReadWriteOnce`,
      );
    });
    try {
      if (fsType === 'ext4') await this.check(writable.device, label);
      else {
        await this.mountDevice(writable.device, { ...staged, isReadonly: false }, []);
        await this.run('umount', [stagingPath], MOUNT_MAX_MS);
      }
    } finally {
      await devices.detach(volumeId);
    }
    return devices.attach(volumeId, true);
  }

  /** One probe of a file system runs at a time, because a probe that waits for I/O takes a thread. */
  private probe(folder: string): Promise<string | null> {
    const { clock, host } = this.ports;
    const running = this.probes.get(folder) ?? host.probe(folder).finally(() => this.probes.delete(folder));
    this.probes.set(folder, running);
    return within(clock, STATFS_MAX_MS, running, () => null);
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
