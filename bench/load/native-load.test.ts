// Tests the load generator in C against the epoll server in C. The generator reads the content of the file, detects a wrong byte, and
// writes data that can be read afterwards. No speed is checked.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, type TestContext } from 'vitest';
import { measure } from '../measure.ts';
import { nativeProgram } from '../native/compile.ts';
import { NBD_MAKERS } from '../servers/nbd-peers.ts';
import type { Server } from '../servers/server.ts';
import { needPrograms } from '@rsio/base/testing/needs';
import { LoadClient } from './load-client.ts';
import type { LoadShape } from './orders.ts';

const MIB = 1024 * 1024;
const BYTES = 8 * MIB;
const READS: LoadShape = { readPercent: 100, order: 'random', blockBytes: 8192, depth: 32 };
const ends: (() => Promise<void> | void)[] = [];
const exitListeners = process.listeners('exit');

// Every test ends its own children. Therefore the hooks that would end these children together with this process are removed.
afterAll(() => {
  for (const listener of process.listeners('exit')) if (!exitListeners.includes(listener)) process.off('exit', listener);
});

afterEach(async () => {
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
});

function makeFile(): string {
  const directory = mkdtempSync(join(os.tmpdir(), 'rsio-bench-'));
  ends.push(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'data.img');
  expect(spawnSync(nativeProgram('load'), ['make', file, String(BYTES)]).status).toBe(0);
  expect(statSync(file).size).toBe(BYTES);
  return file;
}

async function serve(file: string): Promise<Server> {
  const maker = NBD_MAKERS.find(({ id }) => id === 'epoll-server');
  const server = await maker!.start({ directory: os.tmpdir(), file, core: 0 });
  ends.push(() => server.stop());
  return server;
}

async function connect(server: Server, connections = 1): Promise<LoadClient> {
  const client = await LoadClient.open(server.target, { client: 0, connections, isReadonly: false, cores: [0] }, BYTES);
  ends.push(() => client.stop());
  return client;
}

function needCompiler(context: TestContext): void {
  needPrograms(context, 'cc', 'taskset');
}

test("half a second of load ends with figures, and every byte read equals the file's", async (context) => {
  needCompiler(context);
  const server = await serve(makeFile());
  const client = await connect(server, 4);
  const measured = await measure([client], READS, 1, { warmUpMs: 100, windowMs: 400 }, server.processes());
  expect(measured.iops).toBeGreaterThan(0);
  expect(measured.bytesPerSecond).toBeCloseTo(measured.iops * READS.blockBytes);
  expect(measured.p50Us).toBeGreaterThan(0);
  expect(measured.p50Us).toBeLessThanOrEqual(measured.p999Us);
  for (const blockBytes of [4096, 8192, 64 * 1024, MIB]) {
    for (const order of ['random', 'sequential', 'once'] as const) {
      const requests = BYTES / blockBytes;
      const figures = await client.checked({ ...READS, order, blockBytes, depth: 8 }, requests);
      expect(figures).toMatchObject({ requests, bytes: BYTES });
      expect(figures.histogram.reduce((sum, [, count]) => sum + count, 0)).toBe(requests);
    }
  }
});

test('one wrong byte anywhere in a block is detected', async (context) => {
  needCompiler(context);
  const file = makeFile();
  const server = await serve(file);
  await (await connect(server)).sweep('read');
  for (const at of [3 * MIB, 3 * MIB + 7, 5 * MIB + 4095]) {
    const client = await connect(server);
    spoil(file, at);
    await expect(client.sweep('read')).rejects.toThrow(`Byte ${at} of the file was read wrongly`);
    await (await connect(server)).sweep('write');
  }
});

test('written data is there afterwards, at its position', async (context) => {
  needCompiler(context);
  const file = makeFile();
  truncateSync(file, 0);
  truncateSync(file, BYTES);
  const client = await connect(await serve(file), 4);
  await client.checked({ readPercent: 0, order: 'once', blockBytes: 8192, depth: 32 }, BYTES / 8192);
  await client.sweep('read');
  await client.checked({ readPercent: 70, order: 'random', blockBytes: 64 * 1024, depth: 32 }, 500);
  await client.sweep('read');
});

test('a load with order once covers every block', async (context) => {
  needCompiler(context);
  const file = makeFile();
  truncateSync(file, 0);
  truncateSync(file, BYTES);
  const client = await connect(await serve(file));
  await client.checked({ readPercent: 0, order: 'once', blockBytes: 4096, depth: 4 }, BYTES / 4096 - 1);
  await expect(client.sweep('read')).rejects.toThrow('was read wrongly');
});

function spoil(file: string, at: number): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, Buffer.from([0xff, 0xff]), 0, 1, at);
  closeSync(descriptor);
}
