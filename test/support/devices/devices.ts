// A host whose programs have their own mount namespace. No other namespace gets copies of the mounts of this host, because a copy would
// keep the file system busy. The mounts end with the last process of the host. Loop devices belong to the whole machine, so the cleanup
// detaches the loop devices on files of the host before it ends the processes. The test's own process never touches the devices, because a
// dead device would block it.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { TestContext } from 'vitest';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { RELEASE } from '../programs/reaper.ts';
import { needTool, type RunResult, run, wellOf } from '../programs/programs.ts';

const RELEASE_MS = 20_000;
const SHELL_SECONDS = '60';
const SHELL_MS = 70_000;

/** For each feature that a machine needs: a command that succeeds if the machine has it, and the text for a machine that lacks it. */
const ABILITIES: readonly (readonly [command: string, missing: string])[] = [
  ['unshare --mount true', 'mounts of its own (root, CAP_SYS_ADMIN)'],
  ['exec 3<> /dev/fuse', '/dev/fuse that can be opened (modprobe fuse)'],
  ['losetup --find', 'a free loop device (modprobe loop)'],
];

export function whyNoDevices(): string | null {
  const lacking = ABILITIES.find(([command]) => spawnSync('sh', ['-c', command], { stdio: 'ignore', timeout: RELEASE_MS }).status !== 0);
  return lacking === undefined ? null : `needs ${lacking[1]}`;
}

/** Skips the test if this machine cannot have devices. */
export function needDevices(context: TestContext): void {
  const reason = whyNoDevices();
  context.skip(reason !== null, reason ?? '');
}

/** Skips the test if the kernel cannot send outstanding requests again to the next process of rsiod. */
export function needResend(context: TestContext): void {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  context.skip(major < 6 || (major === 6 && minor < 9), `needs Linux 6.9, this is ${release()}`);
  needTool(context, 'perl', 'perl-base');
}

/** Removes this namespace's copies of the mounts of other tests' shared pools: a pool with copies cannot move to another server. */
const OWN_ONLY = `while read -r _ at _; do case "$at" in */rsio-*/srv-*) umount -lc "$at";; esac; done < /proc/self/mounts`;

export class DeviceHost {
  readonly host: Host;
  /** The prefix that runs a program with the mounts of this host. */
  readonly command: readonly string[];
  private readonly holder: number;

  /**
   * `within`: the prefix that puts a program into another network (`ip netns exec NAME`). Each prefix of a command line replaces its own
   * process with the program (exec).
   */
  constructor(hosts: Hosts, within: readonly string[] = []) {
    const [first, ...rest] = [...within, 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', `${OWN_ONLY}; echo; read -r _`];
    const keeper = spawn(first, rest, { stdio: ['pipe', 'pipe', 'ignore'] });
    this.holder = keeper.pid ?? 0;
    this.command = ['nsenter', '--target', String(this.holder), '--mount', '--net'];
    this.host = hosts.host(this.command);
    // rsconfig and rsadm need no mounts of the host, because both reach the daemons by sockets in the folder of the host, and touch no
    // device.
    if (within.length === 0) this.host.useNoPrefixForCommands();
    hosts.onClean(() => {
      spawnSync('nsenter', [...this.command.slice(1), 'sh', '-c', RELEASE, 'sh', this.host.root], { stdio: 'ignore', timeout: RELEASE_MS });
      keeper.stdin.end();
    });
    this.ready = new Promise((resolve) => keeper.stdout.once('data', () => resolve()));
  }

  /** Resolves when programs can run on the host. */
  readonly ready: Promise<void>;

  /** Runs a shell command with a time-out. In the command, `words` are `$1`, `$2` and so on. */
  shell(command: string, ...words: readonly string[]): Promise<RunResult> {
    const [first = '', ...rest] = this.command;
    return run(first, [...rest, 'timeout', '-k', '1', SHELL_SECONDS, 'sh', '-ec', command, 'sh', ...words], { timeoutMs: SHELL_MS });
  }

  /** Runs a shell command that must succeed; returns stdout. */
  async well(command: string, ...words: readonly string[]): Promise<string> {
    return wellOf(command, await this.shell(command, ...words));
  }

  mounts(): string[] {
    const lines = readFileSync(`/proc/${this.holder}/mountinfo`, 'utf8').split('\n');
    return lines.map((line) => line.split(' ')[4] ?? '').filter((place) => place.startsWith(`${this.host.root}/`));
  }
}
