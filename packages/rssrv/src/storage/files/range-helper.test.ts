// Tests the range helper as a real process on sparse files; stat and read are the oracle. Other tests have a helper that dies, hangs,
// refuses or loses its parent. range-extents.test.ts tests the conversion to sectors.

import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { helperFile } from '../../machine/helper-files.ts';
import { promised, servedVolume, temporaryDirectory, testPorts } from '../../testing/backend-scene.ts';
import { takeLocks } from '../locks/file-locks.ts';
import { openBackend } from '../open-backend.ts';
import { RANGE_HELPER_RETRY_MAX_MS, RANGE_HELPER_RETRY_MS, RANGE_HELPER_TIMEOUT_MS, STEP_MAX_BYTES, ZERO_STEP_BYTES } from '../limits.ts';
import { RangeHelper, rangeScriptArguments } from './range-helper.ts';
import fs from 'node:fs';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const { DATA, HOLE } = EXTENT;
const CHUNK_BYTES = 256 * 1024;
const WAIT_MS = 5_000;
let directory = '';
let files = 0;

beforeEach((context) => needPrograms(context, 'perl'));

beforeAll(() => {
  directory = temporaryDirectory();
});
afterAll(() => removeFolder(directory));

/** Makes a file with three chunks: data, a hole, and data. */
function sparseFile(): string {
  const file = path.join(directory, `s${++files}`);
  fs.writeFileSync(file, Buffer.alloc(3 * CHUNK_BYTES, 7));
  const descriptor = fs.openSync(file, 'w+');
  fs.ftruncateSync(descriptor, 3 * CHUNK_BYTES);
  for (const chunk of [0, 2]) fs.writeSync(descriptor, Buffer.alloc(CHUNK_BYTES, 7), 0, CHUNK_BYTES, chunk * CHUNK_BYTES);
  fs.closeSync(descriptor);
  return file;
}

function script(name: string, text: string): string {
  const file = path.join(directory, name);
  fs.writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return file;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + WAIT_MS;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error(`Waited ${WAIT_MS} ms in vain until ${what}`);
    await pause(5);
  }
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(fs.readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

test('extents of a sparse file are reported to the sector', async () => {
  const file = sparseFile();
  const chunk = CHUNK_BYTES / 512;
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), testPorts());
  expect(backend.capabilities).toMatchObject({ canDiscard: true, canZeroFast: true, canExtents: true });
  const io = promised(backend);
  expect(await io.extents(0, 3 * CHUNK_BYTES)).toEqual([chunk, DATA, chunk, HOLE, chunk, DATA]);
  expect(await io.extents(CHUNK_BYTES + 512, CHUNK_BYTES)).toEqual([chunk - 1, HOLE, 1, DATA]);
  expect(await io.extents(2 * CHUNK_BYTES, 512)).toEqual([1, DATA]);
  await backend.close();
});

test('a discard and a zero make holes; a zero that must stay allocated does not', async () => {
  const file = sparseFile();
  const before = fs.statSync(file).blocks;
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), testPorts());
  const io = promised(backend);
  expect(await io.zero(0, CHUNK_BYTES, true, true)).toBe(STATUS.OK);
  expect(fs.statSync(file).blocks).toBeGreaterThanOrEqual(before);
  expect(await io.zero(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(await io.discard(2 * CHUNK_BYTES, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.statSync(file).blocks).toBe(0);
  expect(fs.statSync(file).size).toBe(3 * CHUNK_BYTES);
  expect(await io.extents(0, 3 * CHUNK_BYTES)).toEqual([(3 * CHUNK_BYTES) / 512, HOLE]);
  await backend.close();
});

test('opening a file does not change it', async () => {
  const file = sparseFile();
  const before = fs.statSync(file);
  const content = fs.readFileSync(file);
  await (await openBackend(servedVolume({ path: file, sizeBytes: 4096 }), testPorts())).close();
  expect(fs.statSync(file)).toMatchObject({ size: before.size, blocks: before.blocks });
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});

test.each([
  ['perl is missing', { command: '/nowhere/perl' }],
  ['the architecture is unknown', { architecture: 'mips' }],
])('where %s, everything is data, a discard does nothing, zeros are written', async (_, helper) => {
  const file = sparseFile();
  const ports = testPorts(helper);
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), ports);
  expect(backend.capabilities).toMatchObject({ canDiscard: false, canZeroFast: false, canExtents: false });
  const io = promised(backend);
  expect(await io.discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.readFileSync(file)[0]).toBe(7);
  expect(await io.extents(0, 3 * CHUNK_BYTES)).toEqual([(3 * CHUNK_BYTES) / 512, DATA]);
  expect(await io.zero(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.readFileSync(file).subarray(0, CHUNK_BYTES).equals(Buffer.alloc(CHUNK_BYTES))).toBe(true);
  expect(ports.errors).toEqual([]);
  expect(ports.lost).toHaveLength(1);
  await backend.close();
});

test('perl is found through PATH', async () => {
  const before = process.env['PATH'];
  const file = sparseFile();
  const ports = testPorts();
  try {
    process.env['PATH'] = directory;
    const backend = await openBackend(servedVolume({ path: file, sizeBytes: 4096 }), ports);
    expect(backend.capabilities.canDiscard).toBe(false);
    await backend.close();
  } finally {
    process.env['PATH'] = before;
  }
  expect(ports.lost[0]).toContain('ENOENT');
});

test('a helper that does not answer is killed, and its requests are answered only once it is dead', async () => {
  const pidFile = path.join(directory, 'pid');
  const clock = new FakeClock();
  const lost: string[] = [];
  const command = script('silent', `echo $$ > ${pidFile}.new; mv ${pidFile}.new ${pidFile}; read line; echo 0 1 1; exec sleep 60`);
  const helper = new RangeHelper({ clock, command, onLost: (reason) => lost.push(reason) });
  const descriptor = fs.openSync(sparseFile(), 'r+');
  const range = await helper.attach(descriptor, true, 'probe');
  const pid = Number(fs.readFileSync(pidFile, 'latin1'));
  const answers: [string | null, boolean][] = [];
  for (let request = 0; request < 2; request++) range?.punch(0, 4096, (errno) => answers.push([errno, isRunning(pid)]));
  clock.advance(RANGE_HELPER_TIMEOUT_MS - 1);
  expect(lost).toEqual([]);
  clock.advance(1);
  expect(lost).toEqual([`it did not answer within ${RANGE_HELPER_TIMEOUT_MS} ms`]);
  // The second request was never sent to the helper.
  expect(answers.map(([errno]) => errno)).toEqual(['LOST']);
  // The killed helper may still hang in the storage. No other helper starts before the killed helper has exited.
  clock.advance(RANGE_HELPER_RETRY_MS);
  expect(await helper.attach(descriptor, true, 'probe')).toBeNull();
  await until('the helper is dead', () => answers.length === 2);
  expect(answers[1]).toEqual(['LOST', false]);
  expect(clock.timersPending, 'for the next helper').toBe(1);
  fs.closeSync(descriptor);
});

/** The real helper, which first prints its process id so that the test can kill the helper. */
function mortal(): { command: string; kill: () => Promise<void>; starts: () => number } {
  const pidFile = path.join(directory, `mortal${++files}`);
  const pids = (): number[] => (fs.existsSync(pidFile) ? fs.readFileSync(pidFile, 'latin1').trim().split('\n').map(Number) : []);
  return {
    command: script(`mortal${files}.sh`, `echo $$ >> ${pidFile}; exec perl "$@"`),
    kill: async () => {
      const pid = pids().at(-1) ?? 0;
      process.kill(pid, 'SIGKILL');
      await until('it is dead', () => !isRunning(pid));
    },
    starts: () => pids().length,
  };
}

test('a killed helper is restarted, reopens its files, and makes holes', async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const { command, kill, starts } = mortal();
  const helper = new RangeHelper({
    clock,
    command,
    onLost: (_, retryMs) => said.push(`lost for ${retryMs}`),
    onBack: () => said.push('back'),
  });
  const [file, gone] = [sparseFile(), sparseFile()];
  const ports = { ...testPorts(), helper };
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), ports);
  const other = await openBackend(servedVolume({ path: gone, sizeBytes: 3 * CHUNK_BYTES }), ports);
  const io = promised(backend);
  const { blocks } = fs.statSync(file);
  for (const waitMs of [RANGE_HELPER_RETRY_MS, 2 * RANGE_HELPER_RETRY_MS]) {
    await kill();
    await until('it is said', () => said.at(-1) === `lost for ${waitMs}`);
    expect(await io.discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
    expect(await io.zero(0, CHUNK_BYTES), 'by the fallback').toBe(STATUS.OK);
    expect(fs.statSync(file).blocks).toBe(blocks);
    clock.advance(waitMs - 1);
    expect(await io.extents(0, 3 * CHUNK_BYTES)).toEqual([(3 * CHUNK_BYTES) / 512, DATA]);
    clock.advance(1);
    expect((await io.extents(0, 3 * CHUNK_BYTES)).length).toBeGreaterThan(2);
  }
  expect([said, starts()]).toEqual([['lost for 1000', 'back', 'lost for 2000', 'back'], 3]);
  expect(await io.discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.statSync(file).blocks).toBeLessThan(blocks);
  expect(await promised(other).discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.readFileSync(gone)[0]).toBe(0);
  await backend.close();
  await other.close();
});

test('the next helper starts and marks the files again, although no operation needs it', async () => {
  const clock = new FakeClock();
  const { command, kill, starts } = mortal();
  const lost: string[] = [];
  const helper = new RangeHelper({ clock, command, onLost: (reason) => lost.push(reason) });
  const file = sparseFile();
  const [descriptor, other] = [fs.openSync(file, 'r+'), fs.openSync(file, 'r')];
  const look = (): Promise<string[]> => takeLocks([{ descriptor: other, shared: true, isLook: true }]);
  const range = await helper.attach(descriptor, true, 'probe');
  expect(await look()).toEqual(['marked']);
  await kill();
  await until('it is said', () => lost.length === 1);
  clock.advance(RANGE_HELPER_RETRY_MS);
  await until('the next one has started', () => starts() === 2);
  await expect.poll(look, { timeout: WAIT_MS }).toEqual(['marked']);
  await range?.detach();
  expect(clock.timersPending).toBe(0);
  fs.closeSync(descriptor);
  expect(await look()).toEqual(['held']);
  fs.closeSync(other);
});

test('a helper that is lost repeatedly is restarted more and more rarely, and promptly after one that lasted', async () => {
  const clock = new FakeClock();
  const retries: (number | null)[] = [];
  const helper = new RangeHelper({ clock, command: '/nowhere/perl', onLost: (_, retryMs) => retries.push(retryMs) });
  for (let loss = 1; loss <= 9; loss++) {
    expect(await helper.attach(0, true, false)).toBeNull();
    expect(await helper.attach(0, true, false), 'not at once').toBeNull();
    expect(retries).toHaveLength(loss);
    clock.advance(retries.at(-1) ?? 0);
  }
  expect(retries).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  const lasting = mortal();
  const lived: (number | null)[] = [];
  const other = new RangeHelper({ clock, command: lasting.command, onLost: (_, retryMs) => lived.push(retryMs) });
  const descriptor = fs.openSync(sparseFile(), 'r+');
  for (const livedMs of [0, RANGE_HELPER_RETRY_MAX_MS - 1, RANGE_HELPER_RETRY_MAX_MS]) {
    expect(await other.attach(descriptor, true, 'probe')).not.toBeNull();
    clock.advance(livedMs);
    const losses = lived.length;
    await lasting.kill();
    await until('it is said', () => lived.length > losses);
    clock.advance(lived.at(-1) ?? 0);
  }
  fs.closeSync(descriptor);
  expect(lived).toEqual([1000, 2000, 1000]);
  const unknown: (number | null)[] = [];
  const never = new RangeHelper({ clock, architecture: 'mips', onLost: (_, retryMs) => unknown.push(retryMs) });
  for (let times = 0; times < 2; times++) {
    expect(await never.attach(0, true, 'probe')).toBeNull();
    clock.advance(RANGE_HELPER_RETRY_MAX_MS);
  }
  expect(unknown).toEqual([null]);
});

test('a range of terabytes is discarded in a few steps', async () => {
  const file = path.join(directory, 'large');
  const sizeBytes = 4096 * STEP_MAX_BYTES;
  fs.closeSync(fs.openSync(file, 'w'));
  fs.truncateSync(file, sizeBytes);
  const ports = testPorts();
  const asked: string[] = [];
  const ask = ports.helper.ask.bind(ports.helper);
  ports.helper.ask = (words, answer) => {
    asked.push(String(words[0]));
    ask(words, answer);
  };
  const backend = await openBackend(servedVolume({ path: file, sizeBytes }), ports);
  expect(await promised(backend).discard(0, sizeBytes)).toBe(STATUS.OK);
  const steps = asked.filter((verb) => verb === 'punch').length;
  expect(steps).toBeLessThan(sizeBytes / ZERO_STEP_BYTES / 16);
  await backend.close();
  fs.rmSync(file);
});

test('when a helper dies in the middle, the fallback does the work', async () => {
  const file = sparseFile();
  const ports = testPorts({ command: script('dying', 'read line; echo 0 1 1; read line; exit 3') });
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), ports);
  expect(await promised(backend).zero(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.readFileSync(file).subarray(0, CHUNK_BYTES).equals(Buffer.alloc(CHUNK_BYTES))).toBe(true);
  expect(ports.lost).toEqual(['it ended with status 3']);
  expect(ports.errors).toEqual([]);
  await backend.close();
});

test('when a restarted helper cannot open the file, the fallback does the work', async () => {
  const [file, second] = [sparseFile(), path.join(directory, 'second')];
  // The first helper dies at its second request. The next helper answers as if it had no file open.
  const command = script(
    'forgetful',
    `if [ -e ${second} ]; then while read line; do echo 9; done; fi; : > ${second}; read line; echo 0 1 1; read line; exit 3`,
  );
  const clock = new FakeClock();
  const ports = testPorts({ command, clock });
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), ports);
  expect(await promised(backend).discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
  clock.advance(RANGE_HELPER_RETRY_MS);
  expect(await promised(backend).zero(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.readFileSync(file).subarray(0, CHUNK_BYTES).equals(Buffer.alloc(CHUNK_BYTES))).toBe(true);
  expect([ports.lost, ports.errors]).toEqual([['it ended with status 3'], []]);
  await backend.close();
});

test('a request that the storage refuses uses the fallback; one that fails is an error', async () => {
  const file = sparseFile();
  const answering = (errno: number) => script(`errno${errno}`, `read line; echo 0 1 1; while read line; do echo ${errno}; done`);
  const refused = testPorts({ command: answering(95) });
  const refusing = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), refused);
  for (const keep of [true, false]) expect(await promised(refusing).zero(0, 512, keep)).toBe(STATUS.OK);
  expect(await promised(refusing).discard(0, 512)).toBe(STATUS.OK);
  expect(await promised(refusing).extents(0, 1024)).toEqual([2, DATA]);
  expect(refused.errors).toEqual([]);
  await refusing.close();
  const failed = testPorts({ command: answering(5) });
  const failing = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), failed);
  expect(await promised(failing).zero(0, 512)).toBe(STATUS.IO_ERROR);
  expect(await promised(failing).discard(0, 512)).toBe(STATUS.IO_ERROR);
  await expect(promised(failing).extents(0, 512)).rejects.toThrow(String(STATUS.IO_ERROR));
  expect(failed.errors).toEqual(['zero EIO', 'discard EIO', 'extents EIO']);
  await failing.close();
});

test('one helper serves several volumes, each with its own file, and a new one starts after all were closed', async () => {
  const [one, two] = [sparseFile(), sparseFile()];
  const ports = testPorts();
  for (let round = 0; round < 2; round++) {
    const first = await openBackend(servedVolume({ path: one, sizeBytes: 3 * CHUNK_BYTES }), ports);
    const second = await openBackend(servedVolume({ path: two, sizeBytes: 3 * CHUNK_BYTES }), ports);
    await first.close();
    expect(await promised(second).discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
    await second.close();
  }
  expect(fs.readFileSync(one)[0]).toBe(7);
  expect(fs.readFileSync(two)[0]).toBe(0);
  expect(ports.lost).toEqual([]);
});

test('the helper works on the opened file, even when another file has its name by now', async () => {
  const file = sparseFile();
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), testPorts());
  const moved = `${file}.moved`;
  fs.renameSync(file, moved);
  fs.copyFileSync(moved, file);
  expect(await promised(backend).discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
  await backend.close();
  expect(fs.readFileSync(file)[0]).toBe(7);
  expect(fs.readFileSync(moved)[0]).toBe(0);
});

test('the helper ends with the process that started it, however that ends', async () => {
  const [file, , ...calls] = rangeScriptArguments(process.arch, 0, false) ?? [];
  const fifo = path.join(directory, 'fifo');
  spawnSync('mkfifo', [fifo]);
  // The helper's input never ends, because the helper holds both ends of the pipe. Only the parent-death signal can end the helper.
  const program = `
    const [file, ...calls] = ${JSON.stringify([file, ...calls])};
    const input = require('node:fs').openSync(${JSON.stringify(fifo)}, 'r+');
    const { spawn } = require('node:child_process');
    const child = spawn('perl', [file, String(process.pid), ...calls], { stdio: [input, 'pipe', 'inherit'] });
    child.stdout.once('data', () => console.log(child.pid));
    require('node:fs').writeSync(input, 'close 1\\n');`;
  const parent = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let pid = 0;
  parent.stdout.on('data', (piece: Buffer) => {
    pid = Number(piece.toString());
  });
  try {
    await until('the helper has answered', () => pid > 0);
    expect(isRunning(pid)).toBe(true);
    parent.kill('SIGKILL');
    await until('the helper is gone', () => !isRunning(pid));
  } finally {
    parent.kill('SIGKILL');
    if (pid > 0 && isRunning(pid)) process.kill(pid, 'SIGKILL');
  }
});

test('ps shows file names, not program text, for every process that the server starts', async () => {
  const helper = new RangeHelper({ clock: new FakeClock(), onLost: (reason) => expect.fail(reason) });
  const descriptor = fs.openSync(sparseFile(), 'r+');
  const file = await helper.attach(descriptor, true, 'probe');
  const lines = childrenOf(process.pid).filter((line) => line.startsWith('perl '));
  await file?.detach();
  fs.closeSync(descriptor);
  expect(lines).toContainEqual(expect.stringMatching(/^perl \S+\/helpers\/ranges\.pl \d+ \d+ \d+ $/));
  for (const name of ['ranges.pl', 'locks.pl']) {
    expect(spawnSync('perl', ['-c', helperFile(name)], { encoding: 'utf8' }).stderr).toBe(`${helperFile(name)} syntax OK\n`);
  }
});

/** Returns the command lines of the children of the process `pid`, with words separated by spaces. */
function childrenOf(pid: number): string[] {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.map((child) => fs.readFileSync(`/proc/${child}/cmdline`, 'utf8').replaceAll('\0', ' '));
}

test('a helper whose parent is gone before it starts does nothing', () => {
  const args = rangeScriptArguments(process.arch, 1, false) ?? [];
  const child = spawnSync('perl', args, { input: 'close 1\n', timeout: WAIT_MS });
  expect(child.status).toBe(0);
  expect(child.stdout.toString()).toBe('');
});
