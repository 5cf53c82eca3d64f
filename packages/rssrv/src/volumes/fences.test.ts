// Tests which clients stay fenced over restarts and failures of the disk, and which orders may begin. fencing.test.ts tests how a fence
// ends a session. Rules: G20.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fences } from './fences.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let folder: string;
let file: string;
let hasHadFences: boolean;

let saves = 0;

beforeEach(() => {
  saves = 0;
  folder = mkdtempSync(join(tmpdir(), 'rsio-fences-'));
  file = join(folder, 'fences.json');
  hasHadFences = false;
});

afterEach(() => removeFolder(folder));

function make(path = file, noteFences = (): Promise<void> => Promise.resolve()): Fences {
  const note = {
    get hasHadFences() {
      return hasHadFences;
    },
    noteFences: async () => {
      await noteFences();
      hasHadFences = true;
    },
  };
  return new Fences(new FakeClock(), path, note, async () => void saves++);
}

async function loaded(): Promise<Fences> {
  const fences = make();
  await fences.load();
  return fences;
}

test('a fence counts at once, and outlasts a restart; it is lifted for good', async () => {
  const fences = await loaded();
  const setting = fences.set('big-2', null);
  expect(() => fences.check('big-2')).toThrow(/^Node big-2 is fenced since .*: rsadm client unfence big-2 on the server lets it in again$/);
  await setting;
  await fences.set('venus', 'ops');
  const next = await loaded();
  expect(next.names).toEqual(['big-2', 'venus']);
  expect(next.get('venus')).toEqual({ sinceMs: new FakeClock().wallMs(), by: 'ops' });
  expect(await next.lift('big-2')).toBe(true);
  expect(await next.lift('big-2')).toBe(false);
  expect((await loaded()).names).toEqual(['venus']);
  expect(() => next.check('big-2')).not.toThrow();
});

test('a client is let in only when that is on disk, and a fence that is asked for meanwhile wins', async () => {
  const fences = await loaded();
  await fences.set('big-2', null);
  const lifting = fences.lift('big-2');
  expect(fences.has('big-2')).toBe(true);
  await Promise.all([lifting, fences.set('big-2', null)]);
  expect(fences.has('big-2')).toBe(true);
  expect((await loaded()).has('big-2')).toBe(true);
});

describe('a disk that fails', () => {
  test('fences nobody, and lets nobody in', async () => {
    writeFileSync(join(folder, 'nowhere'), '');
    const lost = make(join(folder, 'nowhere/fences.json'));
    await expect(lost.set('big-2', null)).rejects.toMatchObject({ code: 'E_SYSTEM' });
    expect(lost.has('big-2')).toBe(false);
    const fences = await loaded();
    await fences.set('big-2', null);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    await expect(fences.lift('big-2')).rejects.toMatchObject({ code: 'E_SYSTEM' });
    expect(fences.has('big-2')).toBe(true);
  });

  test('fences nobody if it cannot be noted that there are fences', async () => {
    const fences = make(file, () => Promise.reject(new Error('full')));
    await expect(fences.set('big-2', null)).rejects.toThrow('full');
    expect(fences.has('big-2')).toBe(false);
    // Fencing a fenced client again keeps the fence, even if a save fails.
    writeFileSync(file, JSON.stringify({ version: 1, content: { clients: { venus: { sinceMs: 1, by: null } } } }));
    await fences.load();
    await expect(fences.set('venus', null)).rejects.toThrow('full');
    expect(fences.has('venus')).toBe(true);
  });
});

test.each([
  ['not JSON', '{'],
  ['of another version', '{"version":9,"content":{"clients":{}}}'],
  ['with a wrong name', '{"version":1,"content":{"clients":{"a b":{"sinceMs":1,"by":null}}}}'],
  ['with a wrong time', '{"version":1,"content":{"clients":{"a":{"sinceMs":-1,"by":null}}}}'],
])('a file that is %s stops the start, because nobody would know whom to keep out', async (_what, text) => {
  writeFileSync(file, text);
  await expect(make().load()).rejects.toMatchObject({ code: 'E_SYSTEM', message: expect.stringContaining('fences.json cannot be used') });
  expect(readFileSync(file, 'utf8')).toBe(text);
});

test('a missing file stops the start only if clients have ever been fenced', async () => {
  const fences = await loaded();
  await fences.set('big-2', null);
  rmSync(file);
  await expect(make().load()).rejects.toMatchObject({ code: 'E_SYSTEM', message: expect.stringContaining('is gone') });
  hasHadFences = false;
  expect((await loaded()).names).toEqual([]);
});

describe('orders of clients', () => {
  test('of a fenced one do not begin, also if they have waited; those of others and of administrators do', async () => {
    const fences = await loaded();
    await fences.set('big-2', null);
    await expect(fences.order('big-2', () => Promise.resolve(1))).rejects.toMatchObject({ code: 'E_FENCED' });
    expect(await fences.order('venus', () => Promise.resolve(2))).toBe(2);
    expect(await fences.order(null, () => Promise.resolve(3))).toBe(3);
  });

  test('in execution are waited for, whether they succeed or fail', async () => {
    const fences = await loaded();
    const ends: (() => void)[] = [];
    const first = fences.order('big-2', () => new Promise<void>((resolve) => ends.push(resolve)));
    const second = fences.order('big-2', () => new Promise<void>((_, reject) => ends.push(() => reject(new Error('no')))));
    let isIdle = false;
    const idle = fences.idle('big-2').then(() => (isIdle = true));
    await fences.idle('venus');
    ends[0]?.();
    await first;
    expect(isIdle).toBe(false);
    ends[1]?.();
    await expect(second).rejects.toThrow('no');
    await idle;
    expect(isIdle).toBe(true);
  });
});
