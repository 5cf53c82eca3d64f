// The machine of a node in memory: devices with their content, mounts, and files. Programs have those effects of Linux on which the
// node service relies. A driver can be killed before, during and after mkfs. Invariant: the state outlives a killed driver.

import type { DeviceEnds, HostMount, NodeHost, PathKind, ProgramResult, Usage } from '../node/host.ts';
import type { Records, StageRecord } from '../node/records.ts';
import type { FakeRsiod } from './fake-rsiod.ts';

interface FakeDevice {
  readonly number: string;
  /** What blkid finds; null if it finds nothing. */
  signature: string | null;
  /** True if bytes at one of the ends are not zero. */
  hasBytes: boolean;
  /** True if a check finds errors. */
  isBroken: boolean;
  /** True while mkfs.xfs has not completed. */
  isXfsBegun: boolean;
  /** The volume on which a file system was begun. */
  begunFor: string | null;
  /** True if the journal must be replayed, which needs writes. */
  needsReplay: boolean;
  /** Error of a file system that has failed. */
  fault: string | null;
  errors: number;
  /** How often a file system was made. */
  made: number;
  /** Size of the file system after the last enlargement. */
  enlarged: number;
}

const OK: ProgramResult = { code: 0, stdout: '', stderr: '' };

export class FakeHost implements NodeHost {
  readonly mounted: HostMount[] = [];
  readonly paths = new Map<string, 'folder' | 'file'>();
  /** Time limits of the programs that were run, by name. */
  readonly limits = new Map<string, number | null>();
  /** Command lines that were run. */
  readonly ran: string[] = [];
  /** Fixed results by the name of the program; a program with a fixed result does nothing else. */
  readonly answers = new Map<string, ProgramResult>();
  /** Size that the kernel knows; null if the kernel knows the same size as rsiod. */
  kernelBytes: number | null = null;
  private readonly devices = new Map<string, FakeDevice>();
  private readonly rsiod: FakeRsiod;

  constructor(rsiod: FakeRsiod) {
    this.rsiod = rsiod;
  }

  device(path: string): FakeDevice {
    let device = this.devices.get(path);
    const fresh = {
      signature: null,
      hasBytes: false,
      isBroken: false,
      isXfsBegun: false,
      made: 0,
      enlarged: 0,
      begunFor: null,
      needsReplay: false,
      fault: null,
      errors: 0,
    };
    if (device === undefined) this.devices.set(path, (device = { number: `7:${this.devices.size}`, ...fresh }));
    return device;
  }

  run(program: string, args: readonly string[], limitMs: number | null): Promise<ProgramResult> {
    return this.rsiod.kills.through(() => {
      this.limits.set(program, limitMs);
      this.ran.push([program, ...args].join(' '));
      return this.answers.get(program) ?? this.effect(program, args);
    });
  }

  mounts(): Promise<readonly HostMount[]> {
    return this.rsiod.kills.through(() => [...this.mounted]);
  }

  async kindOf(path: string): Promise<PathKind> {
    const found = this.mounted.findLast(({ mountPoint, root }) => mountPoint === path && root !== '/');
    if (found !== undefined) return { kind: 'device', device: this.device(found.root).number };
    if (this.rsiod.attached.some(({ blockDevice }) => blockDevice === path)) return { kind: 'device', device: this.device(path).number };
    return { kind: this.paths.get(path) ?? 'missing' };
  }

  /** By default, the kernel knows the size that rsiod knows. */
  async sizeOf(device: string): Promise<number> {
    const view = this.rsiod.attached.find(({ blockDevice }) => blockDevice === device);
    return this.kernelBytes ?? (view === undefined ? 0 : view.blocks * view.blockSizeBytes);
  }

  async endsOf(device: string): Promise<DeviceEnds> {
    const { hasBytes, isXfsBegun, begunFor, needsReplay } = this.device(device);
    return { isEmpty: !hasBytes, isXfsBegun, begunFor, needsReplay, isRestoring: false };
  }

  mark(device: string, volumeId: string): Promise<void> {
    return this.rsiod.kills.through(() => void (this.device(device).begunFor = volumeId));
  }

  unmark(device: string): Promise<void> {
    return this.rsiod.kills.through(() => void (this.device(device).begunFor = null));
  }

  async probe(folder: string): Promise<string | null> {
    const mounted = this.mounted.findLast(({ mountPoint }) => mountPoint === folder);
    return [...this.devices.values()].find(({ number }) => number === mounted?.device)?.fault ?? null;
  }

  async errorsOf(device: string): Promise<number> {
    return this.device(device).errors;
  }

  async makeFolder(path: string): Promise<void> {
    this.paths.set(path, 'folder');
  }

  async makeFile(path: string): Promise<void> {
    this.paths.set(path, 'file');
  }

  remove(path: string): Promise<void> {
    return this.rsiod.kills.through(() => void this.paths.delete(path));
  }

  async usageOf(): Promise<Usage> {
    return { totalBytes: 1_000, availableBytes: 400, usedBytes: 600, totalInodes: 100, freeInodes: 90 };
  }

  private effect(program: string, args: readonly string[]): ProgramResult {
    const last = args.at(-1) ?? '';
    switch (program) {
      case 'blkid': {
        const { signature } = this.device(last);
        if (signature === null) return { code: 2, stdout: '', stderr: '' };
        const usage = ['ext4', 'xfs'].includes(signature) ? 'filesystem' : 'raid';
        return { code: 0, stdout: `DEVNAME=${last}\nTYPE=${signature}\nUSAGE=${usage}\n`, stderr: '' };
      }
      case 'mkfs.ext4':
      case 'mkfs.xfs':
        return this.format(last, program.slice('mkfs.'.length));
      case 'e2fsck':
        if (this.device(last).isBroken) return { code: 4, stdout: 'Errors found\n', stderr: '' };
        this.device(last).needsReplay = false;
        return OK;
      case 'mount':
        return this.mount(args);
      case 'umount':
        return this.umount(last);
      case 'resize2fs':
      case 'xfs_growfs':
        return this.enlarge(last);
      default:
        return { code: 127, stdout: '', stderr: `${program}: not found` };
    }
  }

  private format(path: string, type: string): ProgramResult {
    const device = this.device(path);
    if (this.mounted.some((one) => one.device === device.number)) return { code: 1, stdout: '', stderr: `${path} is mounted` };
    device.made++;
    [device.hasBytes, device.signature, device.isXfsBegun] = [true, type === 'xfs' ? 'xfs' : null, type === 'xfs'];
    this.rsiod.kills.pass();
    [device.signature, device.isXfsBegun] = [type, false];
    return OK;
  }

  private mount(args: readonly string[]): ProgramResult {
    const [from = '', to = ''] = args.slice(-2);
    const options = args[args.indexOf('-o') + 1] ?? '';
    if (options.startsWith('remount')) {
      const at = this.mounted.findLastIndex(({ mountPoint }) => mountPoint === to);
      this.mounted[at] = { ...this.mounted[at]!, isReadonly: options.includes('ro') };
      return OK;
    }
    const bound = this.mounted.findLast(({ mountPoint }) => mountPoint === from);
    if (args[0] === '--bind') {
      this.mounted.push(
        bound === undefined
          ? { device: '0:5', root: from, mountPoint: to, type: 'devtmpfs', isReadonly: false, options: ['rw'] }
          : { ...bound, mountPoint: to },
      );
      return OK;
    }
    const device = this.device(from);
    const type = args[args.indexOf('-t') + 1] ?? '';
    if (device.signature !== type || device.isXfsBegun) return { code: 32, stdout: '', stderr: `mount: ${to}: wrong fs type` };
    const isReadonly = options.split(',').includes('ro');
    const isFixed = this.rsiod.attached.some(({ blockDevice, readonly }) => blockDevice === from && readonly);
    if (device.needsReplay && isFixed) return { code: 32, stdout: '', stderr: `mount: ${to}: cannot mount ${from} read-only.` };
    // A new mount has forgotten the failure of an earlier one.
    [device.needsReplay, device.fault] = [false, null];
    this.mounted.push({ device: device.number, root: '/', mountPoint: to, type, isReadonly, options: [isReadonly ? 'ro' : 'rw'] });
    return OK;
  }

  private umount(path: string): ProgramResult {
    const at = this.mounted.findLastIndex(({ mountPoint }) => mountPoint === path);
    if (at < 0) return { code: 32, stdout: '', stderr: `umount: ${path}: not mounted` };
    this.mounted.splice(at, 1);
    return OK;
  }

  private enlarge(path: string): ProgramResult {
    const device = this.mounted.findLast(({ mountPoint }) => mountPoint === path)?.device;
    const found = [...this.devices].find(([name, { number }]) => name === path || number === device);
    if (found !== undefined) found[1].enlarged++;
    return OK;
  }
}

/** Records in memory. */
export class FakeRecords implements Records {
  readonly all = new Map<string, StageRecord>();
  private readonly rsiod: FakeRsiod;

  constructor(rsiod: FakeRsiod) {
    this.rsiod = rsiod;
  }

  async load(volumeId: string): Promise<StageRecord | null> {
    return this.all.get(volumeId) ?? null;
  }

  save(record: StageRecord): Promise<void> {
    return this.rsiod.kills.through(() => void this.all.set(record.volumeId, record));
  }

  remove(volumeId: string): Promise<void> {
    return this.rsiod.kills.through(() => void this.all.delete(volumeId));
  }

  async count(): Promise<number> {
    return this.all.size;
  }
}
