// `npm start` as a new user runs it, with an empty HOME, its own temporary folder and hardly any tools. The test checks the output. However
// a demo ends, it must leave no process, file, mount or loop device behind. The test finds the processes of a demo by their TMPDIR, which
// is unique to each demo. If the machine can have devices, one demo runs with all steps, and the demo that is interrupted has its own mount
// namespace.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { DeviceHost, needDevices } from '../support/devices/devices.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { endPrograms, needTool, type Running, type RunResult, start } from '../support/programs/programs.ts';
import { RELEASE } from '../support/programs/reaper.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const RUN = fileURLToPath(new URL('../../scripts/run.mjs', import.meta.url));
const DEMO_TIMEOUT_MS = 170_000;
/** Tools that the launcher of the compiler needs. The demo cannot use these tools for NBD or ext4. */
const PLAIN_TOOLS = ['sh', 'env', 'sed', 'uname', 'dirname', 'basename'];
/** Number of steps of a demo without block devices. With block devices, the demo has one or two steps more. */
const STEPS = 7;
const RELEASE_MS = 20_000;

const hosts = useHosts();

let folder = '';
let count = 0;

beforeEach(() => {
  folder = newFolder();
});

afterEach(async () => {
  await endPrograms();
  clean(folder);
});

function newFolder(): string {
  return mkdtempSync(path.join(tmpdir(), 'rsio-l-'));
}

/** Cleans up after a demo. Devices are removed first, while a daemon still answers their I/O. */
function clean(where: string): void {
  spawnSync('sh', ['-c', RELEASE, 'sh', where], { stdio: 'ignore', timeout: RELEASE_MS });
  for (const pid of processes(where)) process.kill(pid, 'SIGKILL');
  rmSync(where, { recursive: true, force: true });
}

/** A home, a temporary folder and a PATH like those of a freshly installed machine. */
class Machine {
  readonly env: Readonly<Record<string, string>>;
  private readonly where: string;
  private readonly bin: string;

  /** `tools`: a PATH with more programs, which replaces the usual one. */
  constructor(where: string, tools?: string) {
    count += 1;
    this.where = where;
    const home = path.join(where, `m${count}`);
    this.bin = path.join(home, 'bin');
    const temporary = path.join(home, 't');
    for (const one of [this.bin, temporary]) mkdirSync(one, { recursive: true });
    symlinkSync(process.execPath, path.join(this.bin, 'node'));
    const folders = (process.env['PATH'] ?? '').split(path.delimiter);
    for (const tool of PLAIN_TOOLS) {
      const found = folders.find((one) => readdirOrNothing(one).includes(tool));
      if (found !== undefined) symlinkSync(path.join(found, tool), path.join(this.bin, tool));
    }
    this.env = { HOME: home, TMPDIR: temporary, PATH: tools === undefined ? this.bin : `${this.bin}${path.delimiter}${tools}` };
  }

  addTool(name: string, script: string): void {
    const file = path.join(this.bin, name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }

  demo(...args: string[]): Running {
    return this.demoBy([], ...args);
  }

  demoBy(command: readonly string[], ...args: string[]): Running {
    const [program = '', ...words] = [...command, process.execPath, RUN, 'start', ...args];
    return start(program, words, { env: this.env, timeoutMs: DEMO_TIMEOUT_MS });
  }

  expectNothingLeft(): void {
    expect(processes(this.where)).toEqual([]);
    expect(readdirSync(this.env['TMPDIR'] ?? '')).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(this.where);
    expect(loopFiles().filter((file) => file.startsWith(this.where))).toEqual([]);
  }
}

function readdirOrNothing(where: string): string[] {
  try {
    return readdirSync(where);
  } catch {
    return [];
  }
}

/** Pids of processes whose environment or arguments name this folder. */
function processes(where: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => ['environ', 'cmdline'].some((file) => readOrNothing(`/proc/${name}/${file}`).includes(`${where}/`)))
    .map(Number);
}

/** Skips the test if this machine lacks a requirement of the steps with devices. */
function needFileSystems(context: TestContext): void {
  needDevices(context);
  needTool(context, 'mkfs.ext4', 'e2fsprogs');
  needTool(context, 'mkfs.xfs', 'xfsprogs');
  const isKnown = spawnSync('sh', ['-c', 'grep -qw xfs /proc/filesystems || modprobe -q xfs'], { stdio: 'ignore' }).status === 0;
  context.skip(!isKnown, 'needs a kernel with xfs');
}

function loopFiles(): string[] {
  return readdirOrNothing('/sys/block').map((name) => readOrNothing(`/sys/block/${name}/loop/backing_file`));
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function sectionOf(stdout: string, step: number): string {
  return new RegExp(`^${step}\\. [^]*?^\\(\\d+\\.\\d s\\)$|^${step}\\. [^]*`, 'm').exec(stdout)?.[0] ?? '';
}

function networkOf(output: string): string | undefined {
  return /^address {5}= (127\.\d+)\.0\.10$/m.exec(output)?.[1];
}

describe('two demos side by side, with tools and without', () => {
  const machines: Machine[] = [];
  let where = '';
  let results: RunResult[] = [];

  beforeAll(async () => {
    where = newFolder();
    const bare = new Machine(where);
    const equipped = new Machine(where, process.env['PATH']);
    machines.push(bare, equipped);
    results = await Promise.all([bare.demo('--once', '--bare').ended, equipped.demo('--once').ended]);
  });

  afterAll(() => clean(where));

  it('both show all steps and leave nothing behind', () => {
    for (const { code, stdout, stderr } of results) {
      expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
      for (let step = 1; step <= STEPS + 1; step += 1)
        expect(stdout).toMatch(new RegExp(`^${step}\\. .+\\n[^]*?^\\(\\d+\\.\\d s\\)$`, 'm'));
      expect(stdout).toMatch(/^\$ bin\/rsconfig --root \S+ -q\n000 osl\n {2}clt: big-2\n {2}srv: 000 big-9\n/m);
      expect(stdout.match(/ -m status$/gm)).toHaveLength(4);
      // A path is only disconnected during the cut; on a busy machine, it may be suspect for a moment.
      expect(stdout.match(/^ {4}rep: .+ (?:connected|suspect) tx: \w+ rx: \w+$/gm), stdout).toHaveLength(7);
      expect(stdout).toContain('The copy equals the image, byte for byte');
      expect(stdout).toMatch(/^Longest time without any completed I\/O: \d+ ms around the cut/m);
      expect(stdout).toMatch(/^[1-9]\d* writes, [1-9]\d* reads compared .+, 0 different, 0 errors$/m);
      expect(stdout).toMatch(/All done, nothing left behind \(\d+\.\d s\)\n$/);
      expect(stdout).not.toContain('\x1b');
    }
    const [first, second] = results.map(({ stdout }) => networkOf(stdout));
    expect(first).toBeDefined();
    expect(first).not.toBe(second);
    expect(results[0]?.stdout).toContain('every sector is numbered');
    expect(results[0]?.stdout).toMatch(/^8\. Block devices\nSkipped: --bare\n/m);
    for (const machine of machines) machine.expectNothingLeft();
  });

  it('as root a volume is a disk, from mkfs to a clean fsck, with ext4 and XFS', (context) => {
    needFileSystems(context);
    const stdout = results[1]?.stdout ?? '';
    for (const [step, volume, check] of [
      [8, 'work', 'e2fsck'],
      [9, 'archive', 'xfs_repair'],
    ] as const) {
      const said = sectionOf(stdout, step);
      const commands = said.match(/^\$ \S+/gm)?.map((line) => line.slice(2));
      const made = step === 8 ? 'mkfs.ext4' : 'mkfs.xfs';
      const used = `ls blockdev lsblk ${made} mount cp dd umount dd cmp rm mount diff rm umount mount fstrim umount ${check}`;
      expect(commands?.join(' ')).toBe(used);
      expect(said).toMatch(new RegExp(`^lrwx.+/dev/av0/${volume} -> /dev/loop\\d+$`, 'm'));
      expect(said).toMatch(new RegExp(`^\\$ blockdev .+\\n${(step === 8 ? 64 : 320) * 1024 * 1024}$`, 'm'));
      expect(said).toContain("The first 64 MiB of the raw device equal the server's file, byte for byte\n");
      expect(said).toContain('The tree is unchanged after its way through the server\n');
      const [, after, before] = /takes ([\d.]+) MiB of the server's disk \(before: ([\d.]+) MiB\)$/m.exec(said) ?? [];
      expect(Number(before) - Number(after), said).toBeGreaterThan(20);
      expect(said).toContain(`\n${check} finds no errors\n`);
    }
    expect(stdout).toMatch(/^\$ bin\/rsconfig --root \S+ stop\nrsiod has ended\n/m);
  });
});

it('Ctrl-C while a file system is mounted leaves nothing behind, and a missing mkfs is reported and skipped', async (context) => {
  needFileSystems(context);
  const devices = new DeviceHost(hosts);
  await devices.ready;
  await devices.well('mount --bind /dev/null "$(command -v mkfs.ext4)"');
  const machine = new Machine(devices.host.root, process.env['PATH']);
  machine.addTool('cp', 'cd "$3" && echo Copying && exec sleep 100');
  const demo = machine.demoBy(devices.command, '--once');
  await Promise.race([demo.ended, waitFor(() => demo.stdout().includes('\nCopying\n'), DEMO_TIMEOUT_MS, 'A file system is mounted')]);
  const [, loop] = /archive -> \/dev\/(loop\d+)\n/.exec(demo.stdout()) ?? [];
  expect(loop).toBeDefined();
  expect(devices.mounts()).toHaveLength(3);
  demo.kill('SIGINT');
  const { code, stdout } = await demo.ended;
  expect({ code, stdout }).toMatchObject({ code: 130, stdout: expect.stringMatching(/Interrupted, nothing left behind\n$/) });
  expect(sectionOf(stdout, 8)).toMatch(/^Skipped: no mkfs\.ext4 here \(Debian: e2fsprogs\)$/m);
  // The daemons must have ended cleanly, so that no written data is lost.
  expect(stdout).toMatch(
    /^Copying\n\n\$ umount \S+\/mnt\/archive\n\$ bin\/rsconfig --root \S+ stop\nrsiod has ended\n\$ kill .+\n\$ rm -r /m,
  );
  expect(devices.mounts()).toEqual([]);
  // A `/` would mean that the file system of the loop device's file is no longer mounted.
  expect(readOrNothing(`/sys/block/${loop}/loop/backing_file`)).not.toBe('/\n');
  machine.expectNothingLeft();
});

it.each([
  ['the daemons start', '\n3. '],
  ['I/O runs', '\n6. '],
])('Ctrl-C while %s ends everything', async (_, heading) => {
  const machine = new Machine(folder);
  const demo = machine.demo('--bare');
  await Promise.race([
    demo.ended,
    waitFor(() => demo.stdout().includes(heading), DEMO_TIMEOUT_MS, `The demo comes to step ${heading.trim()}`),
  ]);
  demo.kill('SIGINT');
  const { code, stdout } = await demo.ended;
  expect({ code, stdout }).toMatchObject({ code: 130, stdout: expect.stringMatching(/Interrupted, nothing left behind\n$/) });
  machine.expectNothingLeft();
});

it('a failed step is named, both logs are shown, and nothing is left behind', async () => {
  const machine = new Machine(folder);
  machine.addTool('nbdcopy', 'echo "no such luck" >&2; exit 3');
  const { code, stdout } = await machine.demo('--once').ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/^no such luck\n\nThis step failed: Command ended with exit code 3: nbdcopy .+ \[E_SYSTEM\]$/m);
  expect(stdout).toMatch(/^\$ bin\/rsslogcat --root .+\nbig-9@rsio /m);
  expect(stdout).toMatch(/^\$ bin\/rsclogcat --root .+\nbig-2@rsio /m);
  expect(stdout).toMatch(/Failed\n$/);
  machine.expectNothingLeft();
});

it('a folder that is not empty is refused as a root and stays unchanged', async () => {
  const machine = new Machine(folder);
  const root = path.join(folder, 'root');
  mkdirSync(root);
  writeFileSync(path.join(root, 'thesis'), 'mine');
  const { code, stderr } = await machine.demo('--once', '--root', root).ended;
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: `demo: Folder ${root} is not empty: give --root an empty or new one [E_USAGE]\n`,
  });
  expect(readFileSync(path.join(root, 'thesis'), 'utf8')).toBe('mine');
});
