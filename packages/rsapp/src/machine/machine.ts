// What one application has on this machine: file systems, address and service, brought up and taken down in order. Invariants: bringing up
// skips steps that are done already, and can be repeated after a crash of rsapp; taking down goes on after a failure, and reports all
// failures.

import { statSync } from 'node:fs';
import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { Addresses } from './address.ts';
import { ControlGroup } from './control-group.ts';
import { KnownNote } from './known-note.ts';
import { Mounts, mountsFile } from './mounts.ts';
import type { RunProgram } from './programs.ts';
import { type AppService, failedCheck, ProgramService, UnitService } from './service.ts';

export interface MachinePorts {
  readonly clock: Clock;
  readonly run: RunProgram;
  /** Folder of the control groups of this rsapp; null if the machine has none of version 2. */
  readonly groups: string | null;
  /** Folder for files that do not outlive a reboot. */
  readonly runDir: string;
}

/** `mounted`: how many of the mounts are there. */
export interface MachineState {
  readonly mounted: number;
  readonly hasAddress: boolean;
  readonly service: 'stopped' | 'running' | 'failed';
}

/** How a stop treats the service: it may end in its own time, or is killed at once. */
export type Manner = 'orderly' | 'at once';

export interface Machine {
  /** Keeps the note that this node saw last. */
  readonly known: Pick<KnownNote, 'read' | 'keep'>;
  state(): Promise<MachineState>;
  /** Why the service is not well according to its check; null if it is well, or if there is no check. */
  check(): Promise<string | null>;
  /** `deviceOf`: the device of an attached volume. Returns warnings. */
  up(deviceOf: (volume: string) => string | null): Promise<string[]>;
  restart(): Promise<void>;
  /** Throws E_IN_USE with all failures. */
  down(manner: Manner): Promise<void>;
}

export class AppMachine implements Machine {
  readonly known: KnownNote;
  private readonly app: ApplicationConfig;
  private readonly run: RunProgram;
  private readonly mounts: Mounts;
  private readonly addresses: Addresses;
  private readonly service: AppService;

  constructor(app: ApplicationConfig, { clock, run, groups, runDir }: MachinePorts) {
    this.app = app;
    this.run = run;
    this.mounts = new Mounts(run, clock, mountsFile(runDir, app.name));
    this.known = new KnownNote(`${runDir}/note-${app.name}`, app.name);
    this.addresses = new Addresses(run, clock);
    this.service =
      app.service.kind === 'unit'
        ? new UnitService(app.service.unit, run)
        : new ProgramService(app.service, new ControlGroup(`${groups ?? '/no-control-groups'}/app-${app.name}`), run, clock);
  }

  async state(): Promise<MachineState> {
    const { mounts, address } = this.app;
    const there = await Promise.all(mounts.map(({ path }) => this.mounts.isMounted(path)));
    return {
      mounted: there.filter(Boolean).length,
      hasAddress: address !== null && (await this.addresses.isHere(address)),
      service: await this.service.state(),
    };
  }

  async check(): Promise<string | null> {
    const { check, checkTimeoutMs } = this.app;
    return check === null ? null : await failedCheck(check, this.run, checkTimeoutMs);
  }

  async up(deviceOf: (volume: string) => string | null): Promise<string[]> {
    const { mounts, mountOptions, volumes, address, startTimeoutMs } = this.app;
    for (const { volume, path } of mounts) {
      const device = deviceOf(volume ?? volumes[0] ?? '');
      if (device === null || !device.startsWith('/'))
        throw new RsError('E_CONFIG', `${volume ?? volumes[0] ?? ''} has no block device here to mount: set device = block in rscltcfg`);
      if (await this.isMountOf(path, device)) await this.mounts.adopt(path);
      else await this.mounts.mount({ device, path, options: mountOptions }, startTimeoutMs);
    }
    const warning = address === null ? null : await this.addresses.add(address);
    if ((await this.service.state()) !== 'running') await this.service.start(startTimeoutMs);
    const why = await this.wellWithin(startTimeoutMs);
    if (why !== null) throw new RsError('E_SYSTEM', why);
    return warning === null ? [] : [warning];
  }

  async restart(): Promise<void> {
    const { stopTimeoutMs, startTimeoutMs } = this.app;
    await this.service.stop(stopTimeoutMs);
    await this.service.start(startTimeoutMs);
    const why = await this.wellWithin(startTimeoutMs);
    if (why !== null) throw new RsError('E_SYSTEM', why);
  }

  async down(manner: Manner): Promise<void> {
    const { address, mounts, stopTimeoutMs } = this.app;
    const failures: string[] = [];
    const step = async (work: () => Promise<void>): Promise<void> => {
      await work().catch((thrown: unknown) => failures.push(toRsError(thrown).message));
    };
    const removeAddress = (): Promise<void> => (address === null ? Promise.resolve() : this.addresses.remove(address));
    // Another node may already have the address, so an immediate stop removes the address first.
    if (manner === 'at once') await step(removeAddress);
    await step(() => this.service.stop(manner === 'at once' ? 0 : stopTimeoutMs));
    if (manner === 'orderly') await step(removeAddress);
    for (const { path } of mounts.toReversed()) await step(() => this.mounts.unmount(path));
    if (failures.length > 0) throw new RsError('E_IN_USE', failures.join('; '));
  }

  private async isMountOf(path: string, device: string): Promise<boolean> {
    const number = await this.mounts.deviceAt(path);
    if (number === null) return false;
    // Some file systems, such as btrfs, have device numbers of their own.
    return number === numberOf(device) || (number.startsWith('0:') && (await this.mounts.isMounted(path)));
  }

  /** A service that has just been started may need some time before its check succeeds. */
  private async wellWithin(timeoutMs: number): Promise<string | null> {
    const endMs = this.mounts.nowMs + timeoutMs;
    for (;;) {
      const state = await this.service.state();
      if (state !== 'running') return `The service has ${state === 'failed' ? 'failed' : 'ended'} at its start`;
      const why = await this.check();
      if (why === null || this.mounts.nowMs >= endMs) return why;
      await this.mounts.pause();
    }
  }
}

/** The number of a block device, as in mountinfo. */
function numberOf(device: string): string | null {
  try {
    const { rdev } = statSync(device);
    return `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`;
  } catch {
    return null;
  }
}
