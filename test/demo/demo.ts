// The demo's steps, in order, and its end. main.ts handles arguments, signals and exit codes. Invariant: `end` may be called at any time,
// even before or during the steps, and leaves no process, file, mount or loop device behind.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { rsiodPaths, rssrvPaths } from '@rsio/common/config/root-paths';
import { callControl } from '@rsio/api/rsiod/call-rsiod';
import { RsError } from '@rsio/base/lib/errors';
import { type Claim, claimAddresses } from './addresses.ts';
import { BlockDeviceStep, mountPointOf } from './devices/block-device-step.ts';
import { clientConfig, DOCS, NAMESPACE, SCRATCH, serverConfig } from './config-files.ts';
import { copyExport } from './io/copy.ts';
import { THIS_MACHINE, whyNoDevices } from './devices/device-needs.ts';
import { releaseDevices, releaseMounts, stillMounted } from './devices/device-release.ts';
import { hintLines, nbdUri } from './hints.ts';
import { EXT4, type FileSystem, XFS } from './devices/file-systems.ts';
import { makeImage, sha256 } from './io/image.ts';
import type { DemoRoot } from './demo-root.ts';
import { findTool, systemPath } from './machine/machine-tools.ts';
import { NbdClient } from '../support/io/nbd-client.ts';
import { endTree, pidOf } from './machine/processes.ts';
import type { Screen } from './machine/screen.ts';
import { Shell } from './machine/shell.ts';
import { VerifiedIo } from './io/verified-io.ts';

/** Duration of each of the three phases of I/O: before the cut, while the cable is cut, and after it is mended. */
const PHASE_MS = 1_000;
const CUT_MS = 2_000;
const PATH_TIMEOUT_MS = 20_000;
const POLL_MS = 50;
const LOG_LINES = 20;
const DISKS = [EXT4, XFS];
/** Time limit of a step with devices. A step with devices takes a few seconds, and a few more on a busy machine. */
const DEVICE_STEP_MS = 60_000;
/** Limit for each command of the clean-up. */
const END_COMMAND_MS = 30_000;

export interface DemoOptions {
  readonly root: DemoRoot;
  readonly repository: string;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  /** Whether the demo uses no program except Node. */
  readonly bare: boolean;
}

export class Demo {
  private readonly options: DemoOptions;
  private readonly shell: Shell;
  private readonly server;
  private readonly client;
  private readonly docsFile: string;
  private claim: Claim | undefined;
  private isExt4 = false;
  /** Why the demo has no block devices; null: it has block devices. */
  private noDevices: string | null = 'nothing is configured yet';
  private readonly filled: FileSystem[] = [];

  constructor(options: DemoOptions) {
    this.options = options;
    const root = options.root.path;
    this.shell = this.shellUntil(options.signal);
    this.server = rssrvPaths(root);
    this.client = rsiodPaths(root);
    this.docsFile = this.fileOf(DOCS);
  }

  async runSteps(): Promise<void> {
    const { screen, signal } = this.options;
    const step = (title: string, work: () => Promise<void>): Promise<void> => {
      signal.throwIfAborted();
      return screen.step(title, work);
    };
    await step('The configuration files of server and client', () => this.configure());
    await step('An image to serve', () => this.makeImage());
    await step('Server and client start', () => this.start());
    await step('Attaching the volumes', () => this.attach());
    await step('Copying the image through the client', () => this.copy());
    await step('Verified writes while a cable is cut', () => this.writeThroughCut());
    await step('Detaching and attaching again', () => this.reattach());
    if (this.noDevices !== null) {
      await step('Block devices', async () => screen.line(`Skipped: ${this.noDevices}`));
      return;
    }
    await step('A volume is a disk: ext4 on its block device', () => this.useDisk(EXT4));
    await step('The same with XFS', () => this.useDisk(XFS));
  }

  /** Keeps both daemons running; Enter cuts or mends the cable. Resolves when the signal aborts. */
  async leaveRunning(): Promise<void> {
    const { screen, root, signal } = this.options;
    screen.good('\nAll steps done. Server and client are running; in another terminal, in this folder, try:');
    const { nbdSocket } = this.client;
    const [first] = this.filled;
    const disk = first === undefined ? null : { device: this.deviceOf(first.volume), mountPoint: mountPointOf(root.path, first) };
    const lines = hintLines({ root: root.path, nbdSocket, docsFile: this.docsFile, hasTool: (name) => findTool(name) !== null, disk });
    for (const line of lines) screen.line(`  ${line}`);
    screen.good('Press Enter to cut or repair the cable of if1, and Ctrl-C to end everything. Nothing is left behind.');
    const onInput = (): void => this.toggleCable();
    process.stdin.on('data', onInput);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve());
    });
    process.stdin.off('data', onInput);
    process.stdin.pause();
  }

  async showLogs(): Promise<void> {
    await this.shell.showLogs(LOG_LINES);
  }

  /**
   * Removes the devices, ends both daemons, unplugs the cable and removes the root. At the end, throws if a daemon had to be killed or has
   * left a device.
   */
  async end(): Promise<void> {
    const { screen, root } = this.options;
    const shell = this.shellUntil(new AbortController().signal, END_COMMAND_MS);
    const killed: number[] = [];
    const left = this.noDevices === null ? await this.endDevices(shell) : [];
    for (const { pidFile } of [this.client, this.server]) {
      const pid = pidOf(pidFile);
      if (pid === null) continue;
      screen.command(`kill $(cat ${pidFile})`);
      killed.push(...(await endTree(pid)));
    }
    if (this.noDevices === null) left.push(...(await releaseDevices(root.path, shell)));
    await this.claim?.cable.unplug();
    const mounted = await stillMounted(root.path);
    if (mounted.length > 0)
      throw new RsError('E_IN_USE', `Still mounted: ${mounted.join(', ')}: end what uses it, umount it, then remove ${root.path}`);
    screen.command(`rm -r ${root.path}`);
    root.remove();
    if (left.length > 0) throw new RsError('E_INTERNAL', `Devices ${left.join(', ')} were left by rsiod and had to be taken away`);
    if (killed.length > 0) throw new RsError('E_INTERNAL', `Processes ${killed.join(', ')} did not end by themselves and were killed`);
  }

  /** Ends processes that wait for a device of an ended daemon. Returns the devices that a daemon has left. */
  private async endDevices(shell: Shell): Promise<string[]> {
    const { screen, root } = this.options;
    await releaseMounts(root.path, shell, screen);
    if (pidOf(this.client.pidFile) === null) return [];
    try {
      await shell.run('rsconfig', 'stop').catch(() => shell.run('rsconfig', 'stop', '--force'));
      return [];
    } catch {
      return await releaseDevices(root.path, shell);
    }
  }

  private async configure(): Promise<void> {
    const { screen, bare } = this.options;
    this.noDevices = await whyNoDevices(THIS_MACHINE, bare);
    const disks = this.noDevices === null ? DISKS : [];
    this.claim = await claimAddresses();
    const { addresses } = this.claim;
    const files = {
      docs: this.docsFile,
      scratch: this.fileOf(SCRATCH),
      disks: disks.map((disk) => [disk, this.fileOf(disk.volume)] as const),
    };
    for (const [path, text] of [
      [this.server.configFile, serverConfig(addresses, files)],
      [this.client.configFile, clientConfig(addresses, disks)],
    ] as const) {
      writeFileSync(path, text, { mode: 0o600 });
      screen.command(`cat ${path}`);
      screen.output(text);
    }
  }

  private async makeImage(): Promise<void> {
    const { screen, repository, bare } = this.options;
    this.isExt4 = await makeImage(this.docsFile, join(repository, 'docs'), this.shell, screen, bare);
  }

  private async start(): Promise<void> {
    await this.shell.start('rssrv');
    await this.shell.start('rsiod');
  }

  private async attach(): Promise<void> {
    await this.shell.run('rsconfig', '-q');
    await this.shell.run('rsconfig', '-a');
    await this.shell.run('rsconfig', '-lvv');
    await this.untilIf1(true);
    await this.shell.run('rsconfig', '-m', 'status');
  }

  private async copy(): Promise<void> {
    const { screen, root, signal, bare } = this.options;
    const copy = join(root.path, 'copy.img');
    const nbdcopy = bare ? null : findTool('nbdcopy');
    if (nbdcopy !== null) {
      await this.shell.tool(nbdcopy, nbdUri(DOCS, this.client.nbdSocket), copy);
    } else {
      screen.line(`${bare ? '--bare' : 'No nbdcopy here (Debian: libnbd-bin)'}: the demo's own NBD client copies`);
      await copyExport(this.client.nbdSocket, `${NAMESPACE}/${DOCS}`, copy, signal);
    }
    const [served, copied] = [await sha256(this.docsFile), await sha256(copy)];
    screen.line(`sha256 ${served}  served: ${this.docsFile}`);
    screen.line(`sha256 ${copied}  copied: ${copy}`);
    if (served !== copied) throw new RsError('E_VOLUME', `The copy differs from ${this.docsFile}: see the logs below`);
    screen.good('The copy equals the image, byte for byte');
    const e2fsck = bare || !this.isExt4 ? null : findTool('e2fsck');
    if (e2fsck !== null) await this.shell.tool(e2fsck, '-f', '-n', copy);
  }

  private async writeThroughCut(): Promise<void> {
    const { screen, signal } = this.options;
    const client = await NbdClient.open(this.client.nbdSocket, `${NAMESPACE}/${SCRATCH}`, signal);
    const io = new VerifiedIo(client);
    screen.line(`Eight lanes write 64 KiB blocks of ${NAMESPACE}:${SCRATCH}, read each back and compare`);
    const running = io.run();
    try {
      await this.cutUnder(io);
    } finally {
      io.stop();
      await running;
    }
    const blocks = await io.verifyAll();
    await client.close();
    const { writes, reads, different, errors } = io.counts;
    screen.line(
      `${writes} writes, ${reads} reads compared (at the end all ${blocks} blocks once more), ${different} different, ${errors} errors`,
    );
    io.check();
    screen.good('No data was lost, and the program saw no error');
  }

  private async cutUnder(io: VerifiedIo): Promise<void> {
    const { screen, signal } = this.options;
    await after(PHASE_MS, undefined, { signal });
    await this.shell.run('rsconfig', '-m', 'status');
    const before = io.takeLongestGapMs();
    screen.bad(`The cable of if1 (a TCP relay of the demo) is cut for ${CUT_MS / 1000} s: open and new connections are reset`);
    this.cable.cut();
    await after(CUT_MS / 2, undefined, { signal });
    await this.shell.run('rsconfig', '-m', 'status');
    await after(CUT_MS / 2, undefined, { signal });
    this.cable.mend();
    screen.good('The cable is repaired: the client reconnects the path by itself');
    await this.untilIf1(true);
    await after(PHASE_MS, undefined, { signal });
    const during = io.takeLongestGapMs();
    await this.shell.run('rsconfig', '-m', 'status');
    screen.line(`Longest time without any completed I/O: ${during.toFixed(0)} ms around the cut (${before.toFixed(0)} ms before it)`);
  }

  private async reattach(): Promise<void> {
    await this.shell.run('rsconfig', '-d');
    await this.shell.run('rsconfig', '-a');
  }

  private async useDisk(fileSystem: FileSystem): Promise<void> {
    const { screen, root, signal } = this.options;
    const deadline = new AbortController();
    const late = new RsError('E_TIMEOUT', `The step took longer than ${DEVICE_STEP_MS / 1000} s: see the logs below`);
    const timer = setTimeout(() => deadline.abort(late), DEVICE_STEP_MS);
    const { volume } = fileSystem;
    const step = new BlockDeviceStep({
      shell: this.shellUntil(AbortSignal.any([signal, deadline.signal])),
      screen,
      fileSystem,
      device: this.deviceOf(volume),
      rawDevice: this.deviceOf(`r${volume}`),
      file: this.fileOf(volume),
      tree: 'docs',
      folder: root.path,
    });
    try {
      if (await step.run()) this.filled.push(fileSystem);
    } finally {
      clearTimeout(timer);
    }
  }

  private shellUntil(signal: AbortSignal, timeoutMs?: number): Shell {
    const { screen, repository, root, bare } = this.options;
    // rsiod also runs programs from folders that only the PATH of administrators contains.
    const env = bare ? process.env : { ...process.env, PATH: systemPath() };
    return new Shell({ screen, repository, root: root.path, signal, env, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }

  private fileOf(volume: string): string {
    return join(this.options.root.path, `storage/${volume}.img`);
  }

  private deviceOf(name: string): string {
    return join(this.client.devDir, 'av0', name);
  }

  private get cable() {
    if (this.claim === undefined) throw new RsError('E_INTERNAL', 'The cable is used before it is plugged');
    return this.claim.cable;
  }

  private toggleCable(): void {
    const { screen } = this.options;
    if (this.cable.isCut) {
      this.cable.mend();
      screen.good('The cable of if1 is repaired. A path that failed three times within a minute stays on probation for half a minute.');
    } else {
      this.cable.cut();
      screen.bad('The cable of if1 is cut: see bin/rsconfig -m status');
    }
  }

  /** Waits until the path over the cable is up or down. */
  private async untilIf1(up: boolean): Promise<void> {
    const { signal } = this.options;
    const deadlineMs = performance.now() + PATH_TIMEOUT_MS;
    for (;;) {
      const { interfaces } = await callControl(this.client.controlSocket, 'status', {});
      const states = interfaces[1]?.reps.map(({ state }) => state) ?? [];
      if (states.includes('up') === up) return;
      if (performance.now() > deadlineMs) {
        throw new RsError('E_TIMEOUT', `The path of if1 is ${states.join(', ')} after ${PATH_TIMEOUT_MS / 1000} s: see the logs below`);
      }
      await after(POLL_MS, undefined, { signal });
    }
  }
}
