// Machines that are containers of this kernel with a systemd of their own: they boot in seconds, even without virtualization. They need
// root and control groups of version 2. A power cut kills all of their processes, but loses no cached data. Invariant: when this process
// ends, no container runs, and no network namespace, mount or loop device of a container is left.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Image } from '../image.ts';
import type { Guest, Outcome } from '../machine.ts';
import { type Cable, macOf } from '../play.ts';
import { waitFor } from '../../support/programs/wait-for.ts';

const PROGRAM = fileURLToPath(new URL('container.sh', import.meta.url));
const GROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((folder) => existsSync(path.join(folder, 'cgroup.procs')));
const BOOT_MS = 120_000;
const KILLED_MS = 60_000;
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;
const ENVIRONMENT = [
  'HOME=/root',
  'LANG=C.UTF-8',
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'DEBIAN_FRONTEND=noninteractive',
];

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'ignore' });
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // It was not there.
  }
}

/** Removes what a run in `folder` has left, even if that run was killed. */
export function removed(folder: string, cables: readonly Cable[]): void {
  for (const name of new Set(cables.flatMap(({ ends }) => ends))) quietly(() => ip('netns', 'del', `rsio-${name}`));
  quietly(() => execFileSync('umount', ['-l', path.join(folder, 'root')], { stdio: 'ignore' }));
}

/** Mounts the image for containers below `folder`, and connects their network namespaces. `removed` removes both. */
export function prepared(image: Image, folder: string, cables: readonly Cable[]): void {
  const root = path.join(folder, 'root');
  mkdirSync(root, { recursive: true });
  execFileSync('mount', ['-o', 'loop,ro', image.disk, root]);
  const names = [...new Set(cables.flatMap(({ ends }) => ends))];
  for (const name of names) ip('netns', 'add', `rsio-${name}`);
  for (const { number, ends } of cables) {
    const [one, other] = ends.map((name) => `rsio-${name}`);
    ip('link', 'add', `card${number}`, 'netns', one!, 'type', 'veth', 'peer', 'name', `card${number}`, 'netns', other!);
    for (const [end, name] of [one!, other!].entries()) ip('-n', name, 'link', 'set', `card${number}`, 'address', macOf(number, end), 'up');
  }
}

export class Container implements Guest {
  readonly name: string;
  private readonly folder: string;
  private readonly cables: readonly Cable[];
  private readonly group: string;

  constructor(name: string, folder: string, cables: readonly Cable[]) {
    if (GROUPS === undefined || process.getuid?.() !== 0) throw new Error('Containers need root, and control groups of version 2');
    this.name = name;
    this.folder = folder;
    this.cables = cables.filter(({ ends }) => ends.includes(name));
    this.group = path.join(GROUPS, `rsio-vm-${name}`);
    const own = path.join(folder, name);
    for (const one of ['up/etc/systemd/system', 'work', 'all']) mkdirSync(path.join(own, one), { recursive: true });
    mkdirSync(this.group, { recursive: true });
    writeFileSync(path.join(own, 'up/etc/fstab'), '');
    // The agent of virtual machines has no port here.
    rmSync(path.join(own, 'up/etc/systemd/system/agent.service'), { force: true });
    symlinkSync('/dev/null', path.join(own, 'up/etc/systemd/system/agent.service'));
  }

  /** Pid of the first process of the container; empty: the container does not run. */
  private get pid(): string {
    try {
      return readFileSync(path.join(this.group, 'init.scope/cgroup.procs'), 'utf8').split('\n')[0] ?? '';
    } catch {
      return '';
    }
  }

  private async booted(before: string): Promise<void> {
    const isUp = async (): Promise<boolean> => {
      const { pid } = this;
      return pid !== '' && pid !== before && /running|degraded/.test((await this.try('systemctl is-system-running --wait')).text);
    };
    await waitFor(isUp, BOOT_MS, `${this.name} has booted`);
  }

  async powerOn(): Promise<void> {
    spawn('bash', [PROGRAM, this.name, this.folder, this.group], { detached: true, stdio: 'ignore' }).unref();
    await this.booted('');
  }

  try(script: string): Promise<Outcome> {
    const { pid } = this;
    const args = [
      '-t',
      pid,
      '-m',
      '-u',
      '-i',
      '-n',
      '-p',
      '-C',
      '/usr/bin/env',
      '-i',
      ...ENVIRONMENT,
      'bash',
      '-c',
      `cd; exec 2>&1; ${script}`,
    ];
    return new Promise((resolve) => {
      if (pid === '') return resolve({ code: 1, text: `${this.name} does not run` });
      execFile('nsenter', args, { maxBuffer: OUTPUT_MAX_BYTES }, (error, stdout) =>
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, text: stdout }),
      );
    });
  }

  async run(script: string): Promise<string> {
    const { code, text } = await this.try(script);
    if (code !== 0) throw new Error(`${this.name}: ${script}\nexit code ${code}: ${text}`);
    return text.trimEnd();
  }

  async reboot(): Promise<number> {
    const [startMs, before] = [performance.now(), this.pid];
    await this.try('systemctl reboot --no-block');
    await this.booted(before);
    return performance.now() - startMs;
  }

  async cut(): Promise<void> {
    const { text } = await this.try('find -L /dev/av0 -type b -exec stat -L -c %Lr {} + 2> /dev/null');
    // If rsiod were the last process of its mount namespace, the kernel would unmount the file systems on volumes in it, and wait for it for
    // ever. The namespace therefore outlives the processes; then nothing answers its devices any more, and the unmounts end with errors.
    const mounts = this.pid === '' ? null : openSync(`/proc/${this.pid}/ns/mnt`, 'r');
    writeFileSync(path.join(this.group, 'cgroup.kill'), '1');
    const isEmpty = (): boolean => readFileSync(path.join(this.group, 'cgroup.events'), 'utf8').includes('populated 0');
    await waitFor(isEmpty, KILLED_MS, `${this.name} has ended`);
    if (mounts !== null) closeSync(mounts);
    // The loop devices of this kernel outlive the container.
    for (const number of text.split('\n').filter(Boolean))
      quietly(() => execFileSync('losetup', ['-d', `/dev/loop${number}`], { stdio: 'ignore' }));
    for (const { number } of this.cables) quietly(() => ip('-4', '-n', `rsio-${this.name}`, 'address', 'flush', 'dev', `card${number}`));
    execFileSync('find', [this.group, '-mindepth', '1', '-depth', '-type', 'd', '-exec', 'rmdir', '{}', '+'], { stdio: 'ignore' });
  }

  freeze(isFrozen: boolean): Promise<void> {
    writeFileSync(path.join(this.group, 'cgroup.freeze'), isFrozen ? '1' : '0');
    return Promise.resolve();
  }

  remove(): void {
    quietly(() => rmdirSync(this.group));
  }
}
