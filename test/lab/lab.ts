// The lab's steps, in order, and its end. Leaves arguments, signals and exit codes to main.ts.
// Invariant: `end` may be called at any time, also before or in the middle of the steps, and leaves neither process nor file.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { rsiodPaths, rssrvPaths } from '@rsio/protocol/config/root-paths';
import { callControl } from '@rsio/protocol/control/control-client';
import { RsError } from '@rsio/protocol/lib/errors';
import { type Claim, claimAddresses } from './addresses.ts';
import { clientConfig, DOCS, NAMESPACE, SCRATCH, serverConfig } from './config-files.ts';
import { copyExport } from './copy.ts';
import { hintLines, nbdUri } from './hints.ts';
import { makeImage, sha256 } from './image.ts';
import type { LabRoot } from './lab-root.ts';
import { NbdClient } from './nbd-client.ts';
import { endTree, pidOf } from './processes.ts';
import type { Screen } from './screen.ts';
import { findTool, Shell } from './shell.ts';
import { VerifiedIo } from './verified-io.ts';

/** How long I/O runs before the cut, while the cable is cut, and after it is mended. */
const PHASE_MS = 1_000;
const CUT_MS = 2_000;
const PATH_TIMEOUT_MS = 20_000;
const POLL_MS = 50;
const LOG_LINES = 20;

export interface LabOptions {
  readonly root: LabRoot;
  readonly repository: string;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  /** Use nothing but Node. */
  readonly bare: boolean;
}

export class Lab {
  private readonly options: LabOptions;
  private readonly shell: Shell;
  private readonly server;
  private readonly client;
  private readonly docsFile: string;
  private claim: Claim | undefined;
  private isExt4 = false;

  constructor(options: LabOptions) {
    this.options = options;
    const { screen, repository, signal } = options;
    const root = options.root.path;
    this.shell = new Shell({ screen, repository, root, signal });
    this.server = rssrvPaths(root);
    this.client = rsiodPaths(root);
    this.docsFile = join(root, 'storage/docs.img');
  }

  async runSteps(): Promise<void> {
    const { screen, signal } = this.options;
    const step = (title: string, work: () => Promise<void>): Promise<void> => {
      signal.throwIfAborted();
      return screen.step(title, work);
    };
    await step('Two configuration files, one of the server, one of the client', () => this.configure());
    await step('An image to serve', () => this.makeImage());
    await step('Server and client start', () => this.start());
    await step('What there is, made local', () => this.attach());
    await step('The image, copied through the client', () => this.copy());
    await step('Writes with verification, while a cable is cut', () => this.writeThroughCut());
    await step('Detached and attached again', () => this.reattach());
  }

  /** Both daemons stay; Enter cuts or mends the cable. Resolves when the signal comes. */
  async leaveRunning(): Promise<void> {
    const { screen, root, signal } = this.options;
    screen.good('\nAll steps done. Server and client are running; in another terminal, in this folder, try:');
    const { nbdSocket } = this.client;
    const lines = hintLines({ root: root.path, nbdSocket, docsFile: this.docsFile, hasTool: (name) => findTool(name) !== null });
    for (const line of lines) screen.line(`  ${line}`);
    screen.good('Enter cuts or mends the cable of if1. Ctrl-C ends everything and leaves nothing behind.');
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

  /** Ends both daemons, unplugs the cable, removes the root. Throws, when all that is done, if a daemon did not end by itself. */
  async end(): Promise<void> {
    const { screen, root } = this.options;
    const killed: number[] = [];
    for (const { pidFile } of [this.client, this.server]) {
      const pid = pidOf(pidFile);
      if (pid === null) continue;
      screen.command(`kill $(cat ${pidFile})`);
      killed.push(...(await endTree(pid)));
    }
    await this.claim?.cable.unplug();
    screen.command(`rm -r ${root.path}`);
    root.remove();
    if (killed.length > 0) throw new RsError('E_INTERNAL', `Processes ${killed.join(', ')} did not end by themselves and were killed`);
  }

  private async configure(): Promise<void> {
    const { screen, root } = this.options;
    this.claim = await claimAddresses();
    const { addresses } = this.claim;
    const files = { docs: this.docsFile, scratch: join(root.path, 'storage/scratch.img') };
    for (const [path, text] of [
      [this.server.configFile, serverConfig(addresses, files)],
      [this.client.configFile, clientConfig(addresses)],
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
      screen.line(`${bare ? '--bare' : 'No nbdcopy here (Debian: libnbd-bin)'}: the lab's own NBD client copies`);
      await copyExport(this.client.nbdSocket, `${NAMESPACE}/${DOCS}`, copy, signal);
    }
    const [served, copied] = [await sha256(this.docsFile), await sha256(copy)];
    screen.line(`sha256 ${served}  served: ${this.docsFile}`);
    screen.line(`sha256 ${copied}  copied: ${copy}`);
    if (served !== copied) throw new RsError('E_VOLUME', `The copy differs from ${this.docsFile}: see the logs below`);
    screen.good('The copy is the image, byte for byte');
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
    screen.good('Nothing was lost, and no error reached the program');
  }

  private async cutUnder(io: VerifiedIo): Promise<void> {
    const { screen, signal } = this.options;
    await after(PHASE_MS, undefined, { signal });
    await this.shell.run('rsconfig', '-m', 'status');
    const before = io.takeLongestGapMs();
    screen.bad(`The cable of if1 (a TCP relay of the lab) is cut: its connections are reset, new ones too, for ${CUT_MS / 1000} s`);
    this.cable.cut();
    await after(CUT_MS / 2, undefined, { signal });
    await this.shell.run('rsconfig', '-m', 'status');
    await after(CUT_MS / 2, undefined, { signal });
    this.cable.mend();
    screen.good('The cable is mended: the client finds its path again by itself');
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

  private get cable() {
    if (this.claim === undefined) throw new RsError('E_INTERNAL', 'The cable is used before it is plugged');
    return this.claim.cable;
  }

  private toggleCable(): void {
    const { screen } = this.options;
    if (this.cable.isCut) {
      this.cable.mend();
      screen.good('The cable of if1 is mended (a path that died three times in a minute stays in probation for half a minute)');
    } else {
      this.cable.cut();
      screen.bad('The cable of if1 is cut: see bin/rsconfig -m status');
    }
  }

  /** Waits until the path over the cable is up (or is not). */
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
