// `npm start` as a stranger runs it: an empty HOME, a temporary folder of its own, hardly any tools. What it prints is looked at, and
// whatever way it ends, no process and no file of it is left. Its processes are found by TMPDIR, which is each lab's own.

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { endPrograms, type Running, run, start } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const START = fileURLToPath(new URL('../../scripts/start.mjs', import.meta.url));
const LAB_TIMEOUT_MS = 55_000;
/** What the launcher of the compiler needs; nothing of these knows NBD or ext4. */
const PLAIN_TOOLS = ['sh', 'env', 'sed', 'uname', 'dirname', 'basename'];
const STEPS = 7;

let folder = '';
let count = 0;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-l-'));
});

afterEach(async () => {
  await endPrograms();
  for (const pid of processes()) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** A home, a temporary folder and a PATH such as a machine has on which nothing was installed. */
class Machine {
  readonly env: Readonly<Record<string, string>>;
  private readonly bin: string;

  constructor() {
    count += 1;
    const home = path.join(folder, `m${count}`);
    this.bin = path.join(home, 'bin');
    const temporary = path.join(home, 't');
    for (const one of [this.bin, temporary]) mkdirSync(one, { recursive: true });
    symlinkSync(process.execPath, path.join(this.bin, 'node'));
    const folders = (process.env['PATH'] ?? '').split(path.delimiter);
    for (const tool of PLAIN_TOOLS) {
      const found = folders.find((one) => readdirOrNothing(one).includes(tool));
      if (found !== undefined) symlinkSync(path.join(found, tool), path.join(this.bin, tool));
    }
    this.env = { HOME: home, TMPDIR: temporary, PATH: this.bin };
  }

  /** Puts a program of this name into the PATH. */
  addTool(name: string, script: string): void {
    const file = path.join(this.bin, name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }

  lab(...args: string[]): Running {
    return start(process.execPath, [START, ...args], { env: this.env, timeoutMs: LAB_TIMEOUT_MS });
  }
}

function readdirOrNothing(where: string): string[] {
  try {
    return readdirSync(where);
  } catch {
    return [];
  }
}

/** Living processes whose environment or arguments name this test's folder. */
function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => ['environ', 'cmdline'].some((file) => readOrNothing(`/proc/${name}/${file}`).includes(`${folder}/`)))
    .map(Number);
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function expectNothingLeft(machine: Machine): void {
  expect(processes()).toEqual([]);
  expect(readdirSync(machine.env['TMPDIR'] ?? '')).toEqual([]);
}

function networkOf(output: string): string | undefined {
  return /^address {5}= (127\.\d+)\.0\.10$/m.exec(output)?.[1];
}

it('shows all steps and leaves nothing behind, two labs side by side, with tools and without', async () => {
  const bare = new Machine();
  const equipped = new Machine();
  const withTools = { ...equipped.env, PATH: `${process.env['PATH']}` };
  const results = await Promise.all([
    bare.lab('--once', '--bare').ended,
    run(process.execPath, [START, '--once'], { env: withTools, timeoutMs: LAB_TIMEOUT_MS }),
  ]);
  for (const { code, stdout, stderr } of results) {
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    for (let step = 1; step <= STEPS; step += 1) expect(stdout).toMatch(new RegExp(`^${step}\\. .+\\n[^]*?^\\(\\d+\\.\\d s\\)$`, 'm'));
    expect(stdout).toMatch(/^\$ bin\/rsconfig --root \S+ -q\n000 osl\n {2}clt: big-2\n {2}srv: 000 big-9\n/m);
    expect(stdout.match(/ -m status$/gm)).toHaveLength(4);
    // Cut: the only time that a path is not connected.
    expect(stdout.match(/^ {4}rep: .+ connected tx: ok rx: ok$/gm)).toHaveLength(7);
    expect(stdout).toContain('The copy is the image, byte for byte');
    expect(stdout).toMatch(/^Longest time without any completed I\/O: \d+ ms around the cut/m);
    expect(stdout).toMatch(/^[1-9]\d* writes, [1-9]\d* reads compared .+, 0 different, 0 errors$/m);
    expect(stdout).toMatch(/All done, nothing left behind \(\d+\.\d s\)\n$/);
    expect(stdout).not.toContain('\x1b');
  }
  const [first, second] = results.map(({ stdout }) => networkOf(stdout));
  expect(first).toBeDefined();
  expect(first).not.toBe(second);
  expect(results[0]?.stdout).toContain('every sector is numbered');
  expectNothingLeft(bare);
  expectNothingLeft(equipped);
});

it.each([
  ['the daemons start', '\n3. '],
  ['I/O runs', '\n6. '],
])('Ctrl-C while %s ends everything', async (_, heading) => {
  const machine = new Machine();
  const lab = machine.lab('--bare');
  await Promise.race([lab.ended, waitFor(() => lab.stdout().includes(heading), LAB_TIMEOUT_MS, `The lab comes to step ${heading.trim()}`)]);
  lab.kill('SIGINT');
  const { code, stdout } = await lab.ended;
  expect({ code, stdout }).toMatchObject({ code: 130, stdout: expect.stringMatching(/Interrupted, nothing left behind\n$/) });
  expectNothingLeft(machine);
});

it('a step that fails is named, both logs are shown, and nothing is left', async () => {
  const machine = new Machine();
  machine.addTool('nbdcopy', 'echo "no such luck" >&2; exit 3');
  const { code, stdout } = await machine.lab('--once').ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/^no such luck\n\nThis step failed: Command ended with exit code 3: nbdcopy .+ \[E_SYSTEM\]$/m);
  expect(stdout).toMatch(/^\$ bin\/rsslogcat --root .+\nbig-9@rsio /m);
  expect(stdout).toMatch(/^\$ bin\/rsclogcat --root .+\nbig-2@rsio /m);
  expect(stdout).toMatch(/Failed\n$/);
  expectNothingLeft(machine);
});

it('a folder with something in it is no root, and stays as it is', async () => {
  const machine = new Machine();
  const root = path.join(folder, 'root');
  mkdirSync(root);
  writeFileSync(path.join(root, 'thesis'), 'mine');
  const { code, stderr } = await machine.lab('--once', '--root', root).ended;
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: `lab: Folder ${root} is not empty: give --root an empty or new one [E_USAGE]\n`,
  });
  expect(readFileSync(path.join(root, 'thesis'), 'utf8')).toBe('mine');
});
