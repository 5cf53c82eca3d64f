// Tests that many calls can share one signal: each call ends with it, and no listener is left behind. A real socket in a temporary folder
// answers; packages/rssrv/src/admin/group-socket.test.ts tests refusals.

import { getEventListeners } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { object, text } from '@rsio/base/lib/shape';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { callMethod } from './control-client.ts';
import { CONTROL_VERSION } from './method-table.ts';

const CALLS = 20;
const TABLE = { name: { help: '', params: {}, result: object({ name: text() }), waitMs: 5_000 } } as never;

let folder: string;
let server: Server;
let asking: Socket[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-cc-'));
  asking = [];
  server = createServer((socket) => void socket.once('data', () => asking.push(socket)));
  await new Promise<void>((resolve) => server.listen(join(folder, 'control'), resolve));
});

afterEach(async () => {
  for (const socket of asking) socket.destroy();
  server.close();
  await removeFolder(folder);
});

const calls = (signal: AbortSignal): Promise<unknown>[] =>
  Array.from({ length: CALLS }, () => callMethod(TABLE, join(folder, 'control'), 'name' as never, {} as never, { signal }));
const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

async function asked(): Promise<void> {
  await expect.poll(() => asking.length).toBe(CALLS);
}

test('many calls listen to one signal with one listener, which goes with the last of them', async () => {
  const { signal } = new AbortController();
  for (let round = 1; round <= 2; round++) {
    const all = calls(signal);
    await asked();
    expect(listeners(signal)).toBe(1);
    const line = `${JSON.stringify({ id: 1, version: CONTROL_VERSION, release: '1.0.0', result: { name: 'big-9' } })}\n`;
    for (const socket of asking.splice(0)) socket.write(line);
    await Promise.all(all);
    expect(listeners(signal)).toBe(0);
  }
});

test('each call ends with the signal', async () => {
  const end = new AbortController();
  const all = Promise.allSettled(calls(end.signal));
  await asked();
  end.abort();
  const codes = (await all).map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'answered'));
  expect(new Set(codes)).toEqual(new Set(['E_RESET']));
  expect(listeners(end.signal)).toBe(0);
});
