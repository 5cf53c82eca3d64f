// Creates, finds and removes the network namespaces of this test process. Every name contains the pid of the test process, so that a later
// test process recognizes the namespaces that a killed test process has left. netlab.ts makes the contents of namespaces (cards, cables,
// daemons). Invariant: this file touches only namespaces with such a name, and never the network of the machine itself.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { errnoName } from '@rsio/base/lib/errors';
import { type RunResult, run, runWell } from '../programs/programs.ts';

const PREFIX = 'rsio-netlab';
const NAME = new RegExp(`^${PREFIX}-(\\d+)-\\S+`);
let count = 0;
let reason: Promise<string | null> | undefined;

/**
 * Returns why no netlab can be made on this machine; null: a netlab can be made. The first call in a process tries to make a namespace, and
 * also removes the remains of killed tests.
 */
export function whyNoNetlab(): Promise<string | null> {
  reason ??= tryOut();
  return reason;
}

/** Removes the remains of dead test processes whose reapers were also killed. */
export async function removeLeftovers(): Promise<void> {
  for (const name of await namespaces()) {
    if (!existsSync(`/proc/${NAME.exec(name)?.[1]}`)) await removeNamespace(name);
  }
}

/** Sets the kernel's own defaults, because a new namespace inherits the settings that the administrator of the machine has made. */
const KERNEL_DEFAULTS =
  'for key in rp_filter arp_ignore arp_announce arp_filter; do for of in all default; do echo 0 > /proc/sys/net/ipv4/conf/$of/$key; done; done';

/** Makes a namespace with its loopback interface up; returns its name. */
export async function addNamespace(label: string): Promise<string> {
  count += 1;
  const name = `${PREFIX}-${process.pid}-${count}-${label}`;
  await runWell('ip', ['netns', 'add', name]);
  try {
    await runWell('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    await runWell('ip', ['netns', 'exec', name, 'sh', '-ec', KERNEL_DEFAULTS]);
  } catch (error) {
    await removeNamespace(name);
    throw error;
  }
  return name;
}

/** Ends the processes in a namespace and removes it with its content. A missing namespace is not an error. */
export async function removeNamespace(name: string): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'pids', name]);
  for (const pid of stdout.split('\n').filter((line) => line !== '')) endProcess(Number(pid));
  const { code, stderr } = await run('ip', ['netns', 'del', name]);
  if (code !== 0 && (await namespaces()).includes(name)) throw new Error(`Namespace ${name} could not be removed: ${stderr}`);
}

/** Names of all namespaces of netlabs on this machine. */
export async function namespaces(): Promise<string[]> {
  const { stdout } = await run('ip', ['netns', 'list']);
  return stdout.split('\n').flatMap((line) => NAME.exec(line)?.[0] ?? []);
}

/**
 * Starts a shell that removes the namespaces of this process when its input ends. The input ends when this process ends, for whatever
 * reason. The shell is not in the process group of the terminal, so that Ctrl-C does not reach it. The caller kills the shell after
 * cleaning.
 */
export function startNamespaceReaper(): ChildProcess {
  const script = `cat > /dev/null; sleep 1
for name in $(ip netns list | grep -o "^${PREFIX}-$1-[^ ]*"); do
  for pid in $(ip netns pids "$name"); do kill -KILL "$pid"; done
  ip netns del "$name"
done`;
  const shell = spawn('sh', ['-c', script, 'sh', String(process.pid)], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  shell.unref();
  return shell;
}

async function tryOut(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'needs root: network namespaces of its own';
  try {
    await removeLeftovers();
    const name = await addNamespace('probe');
    const link = ['-n', name, 'link', 'add'];
    const steps = [
      await run('ip', [...link, 'v0', 'type', 'veth', 'peer', 'name', 'v1']),
      await run('ip', [...link, 'b0', 'type', 'bridge']),
    ];
    await removeNamespace(name);
    const failed = steps.find(({ code }) => code !== 0);
    return failed === undefined ? null : `needs network namespaces with veth and bridge: ${sentenceOf(failed)}`;
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return 'needs ip: install iproute2';
    return `needs network namespaces: ${error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error)}`;
  }
}

function sentenceOf({ stderr }: RunResult): string {
  return stderr.trim().replaceAll('\n', ' ');
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errnoName(error) !== 'ESRCH') throw error;
  }
}
