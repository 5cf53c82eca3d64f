// Tests how the server records, saves, loads and forgets the volumes of pools, which it remembers while the pools are not mounted. A
// damaged file must not prevent a start of the server.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PoolState } from './catalogue.ts';
import { POOL_MEMORY_SAVE_MS } from './limits.ts';
import type { Manifest } from './disk/manifest.ts';
import { PoolMemory } from './pool-memory.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory = '';
let warnings: string[] = [];
const clock = new FakeClock();
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-memory-'));
  warnings = [];
});
afterEach(() => removeFolder(directory));

const file = (): string => path.join(directory, 'pools.json');
const memory = (): PoolMemory => new PoolMemory(file(), clock, { warn: (text) => void warnings.push(text) });

function pool(at: string, isOpen: boolean, ...names: string[]): PoolState {
  const volumes = new Map(
    names.map((name) => [name, { id: name, name, universe: 0, clients: ['big-2'], sizeBytes: 512 } as unknown as Manifest]),
  );
  return { path: at, isOpen, volumes } as unknown as PoolState;
}

test('a pool that is not mounted keeps its volumes over restarts, and one that is no longer configured is forgotten', async () => {
  const first = memory();
  first.update([pool('/fast', true, 'db', 'log'), pool('/slow', true, 'old')]);
  await first.close();
  const second = memory();
  await second.load();
  second.update([pool('/fast', false)]);
  expect(second.volumesOf('/fast')).toEqual([
    { name: 'db', universe: 0, clients: ['big-2'] },
    { name: 'log', universe: 0, clients: ['big-2'] },
  ]);
  expect(second.volumesOf('/slow')).toEqual([]);
  await second.close();
  const third = memory();
  await third.load();
  expect([third.volumesOf('/fast').length, third.volumesOf('/slow').length, warnings]).toEqual([2, 0, []]);
});

test('many changes are saved together', async () => {
  const one = memory();
  for (const name of ['a', 'b', 'c']) one.update([pool('/fast', true, name)]);
  expect([fs.existsSync(file()), clock.timersPending]).toEqual([false, 1]);
  clock.advance(POOL_MEMORY_SAVE_MS);
  await expect.poll(() => fs.existsSync(file()) && fs.readFileSync(file(), 'utf8')).toContain('"name":"c"');
});

test('a file that cannot be used is reported, and the server works without it', async () => {
  fs.writeFileSync(file(), '{');
  const one = memory();
  await one.load();
  expect(warnings).toEqual([
    expect.stringMatching(/pools\.json cannot be used: it is not JSON: rssrv writes it again .*it is now .*damaged/),
  ]);
  one.update([pool('/fast', true, 'db')]);
  await one.close();
  expect(fs.readFileSync(file(), 'utf8')).toContain('"db"');
});
