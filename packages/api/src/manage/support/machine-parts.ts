// The parts of the archive for support about the machine: files of the kernel, and outputs of its programs. Invariant: no part shows the
// environment or the arguments of a process, or an option of a mount that has a value, because these can have passwords.

import { readdir, readFile } from 'node:fs/promises';
import { release, version } from 'node:os';
import { programRunner } from '@rsio/common/triggers/run-program';
import { pidFileHolder } from '@rsio/base/daemon/pid-file';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { programVersion } from '@rsio/base/lib/version';
import type { SupportPart } from './archive.ts';
import { SUPPORT_OUTPUT_MAX_BYTES, SUPPORT_PART_MS } from './limits.ts';

const FIGURES = ['loadavg', 'uptime', 'meminfo', 'pressure/cpu', 'pressure/io', 'pressure/memory', 'net/snmp', 'net/netstat', 'net/dev'];
const DISK_COLUMNS = 'NAME,KNAME,MAJ:MIN,TYPE,SIZE,RO,FSTYPE,MOUNTPOINT,SCHED,RQ-SIZE';

/** `daemonRelease`: asks the daemon for its release. */
export function machineParts(clock: Clock, pidFile: string, daemonRelease: () => Promise<string>): SupportPart[] {
  const run = async (program: string, ...args: readonly string[]): Promise<string> => {
    const runner = programRunner(clock, SUPPORT_OUTPUT_MAX_BYTES);
    const { failure, output } = await runner(program, '', SUPPORT_PART_MS / 2, args);
    if (failure !== null && output === '') throw new RsError('E_SYSTEM', `${program} gives no output: ${failure}`);
    return `# ${[program, ...args].join(' ')}\n${withoutLogins(output)}${failure === null ? '' : `${failure}\n`}\n`;
  };
  return [
    {
      file: 'versions.txt',
      about: 'Releases of the program and the daemon, Node, kernel, distribution',
      collect: async () => {
        const lines = [`program ${programVersion()}`, `node ${process.version}`, `kernel ${release()} ${version()} ${process.arch}`];
        const system = await readFile('/etc/os-release', 'utf8').catch(() => 'PRETTY_NAME=unknown\n');
        const daemon = await daemonRelease().catch((thrown: unknown) => `unknown (${toRsError(thrown).message})`);
        return `${lines.join('\n')}\ndaemon ${daemon}\n${/^PRETTY_NAME=.*\n/m.exec(system)?.[0] ?? ''}`;
      },
    },
    {
      file: 'machine/figures.txt',
      about: 'Load, memory, pressure and network counters from /proc',
      collect: async () => {
        const texts = FIGURES.map(async (one) => `# /proc/${one}\n${await readFile(`/proc/${one}`, 'utf8').catch(String)}\n`);
        return (await Promise.all(texts)).join('');
      },
    },
    {
      file: 'machine/mounts.txt',
      about: 'Mounted file systems, without options that have values',
      collect: async () => openMounts(await readFile('/proc/mounts', 'utf8')),
    },
    { file: 'machine/space.txt', about: 'Free space of the file systems (df)', collect: () => run('df', '-kPT') },
    {
      file: 'machine/network.txt',
      about: 'Network devices with errors, addresses and routes (ip)',
      collect: async () => {
        const asked = [['-s', 'link'], ['address'], ['rule'], ['route', 'show', 'table', 'all']];
        return (await Promise.all(asked.map((args) => run('ip', ...args)))).join('');
      },
    },
    { file: 'machine/disks.txt', about: 'Block devices (lsblk)', collect: () => run('lsblk', '-o', DISK_COLUMNS) },
    {
      file: 'machine/daemon.txt',
      about: 'Limits, memory and open files of the daemon',
      collect: async () => {
        const pid = pidFileHolder(pidFile);
        if (pid === null) throw new RsError('E_NOT_RUNNING', `No process has ${pidFile}: the daemon does not run`);
        const of = `/proc/${pid}`;
        const [limits, status, files] = await Promise.all([
          readFile(`${of}/limits`, 'utf8'),
          readFile(`${of}/status`, 'utf8'),
          readdir(`${of}/fd`),
        ]);
        return `${limits}\n${status}\nopen files ${files.length}\n`;
      },
    },
  ];
}

/** Returns the mounts with the options that are single words, such as `ro`. */
export function openMounts(text: string): string {
  const lines = text.split('\n').map((line) => {
    const [source = '', place = '', type = '', options = ''] = line.split(' ');
    // What follows an option with a value may belong to this value, because a password can contain commas.
    const words = options.split(',');
    const first = words.findIndex((one) => one.includes('='));
    return `${source} ${place} ${type} ${words.slice(0, first < 0 ? words.length : first).join(',')}`.trim();
  });
  return withoutLogins(lines.join('\n'));
}

/** Leaves out the user and the password in the address of a network file system. */
function withoutLogins(text: string): string {
  return text.replaceAll(/[^\s/@]*:[^\s/]*@/g, '(left out)@');
}
