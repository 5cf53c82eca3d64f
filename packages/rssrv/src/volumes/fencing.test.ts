// Tests the order of the steps of a kick and of a fence, and the error when the client's session does not end in time.
// test/integration/fence.test.ts uses real processes and writes. Rules: G20.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fences } from './fences.ts';
import { type EndingSession, Fencing } from './fencing.ts';
import { SESSION_END_WAIT_MS } from './limits.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let folder: string;
let clock: FakeClock;
let fences: Fences;
let said: string[];
let session: EndingSession | null;
let end: (isClean: boolean) => void;
let fencing: Fencing;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-fencing-'));
  clock = new FakeClock();
  fences = new Fences(clock, join(folder, 'fences.json'), { hasHadFences: false, noteFences: async () => void said.push('noted') }, () =>
    Promise.resolve(),
  );
  said = [];
  const ended = new Promise<boolean>((resolve) => (end = resolve));
  session = { pid: 4711, blockedMs: null, ended };
  fencing = new Fencing({
    clock,
    fences,
    endSession: (node, code) => {
      said.push(`session of ${node}: ${code}, ${fences.has(node) ? 'fenced' : 'not fenced'}`);
      return session;
    },
    endProbes: (node, code) => void said.push(`probes of ${node}: ${code}`),
  });
});

afterEach(() => removeFolder(folder));

/** Resolves when `endSession` was called for the client. */
async function told(): Promise<void> {
  await expect.poll(() => said.some((line) => line.startsWith('session'))).toBe(true);
}

describe('fence', () => {
  test('first keeps the client out, durably, then ends what it does, and then answers', async () => {
    let isAnswered = false;
    const fence = fencing.fence('big-2', null).finally(() => (isAnswered = true));
    expect(fences.has('big-2')).toBe(true);
    await told();
    expect(said).toEqual(['noted', 'probes of big-2: E_FENCED', 'session of big-2: E_FENCED, fenced']);
    expect(isAnswered).toBe(false);
    end(true);
    expect(await fence).toEqual({ wasConnected: true, isClean: true, unrecorded: null });
  });

  test('of a client without a session is answered at once, and says when the process had to be killed', async () => {
    const killed = fencing.fence('big-2', null);
    await told();
    end(false);
    expect(await killed).toEqual({ wasConnected: true, isClean: false, unrecorded: null });
    session = null;
    expect(await fencing.fence('venus', null)).toEqual({ wasConnected: false, isClean: true, unrecorded: null });
  });

  test('waits for an order of the client that is in execution', async () => {
    session = null;
    let orderEnds: () => void = () => undefined;
    void fences.order('big-2', () => new Promise<void>((resolve) => (orderEnds = resolve)));
    const fence = fencing.fence('big-2', null);
    await told();
    clock.advance(SESSION_END_WAIT_MS);
    await expect(fence).rejects.toThrow(
      /^Client big-2 is not fenced yet, do not rely on it: one of its orders is still being executed after 30 s/,
    );
    const again = fencing.fence('big-2', null);
    orderEnds();
    expect(await again).toEqual({ wasConnected: false, isClean: true, unrecorded: null });
  });

  test('that takes too long says so, stays, and can be waited for again', async () => {
    const fence = fencing.fence('big-2', null);
    await told();
    clock.advance(SESSION_END_WAIT_MS);
    await expect(fence).rejects.toMatchObject({
      code: 'E_TIMEOUT',
      message:
        'Client big-2 is not fenced yet, do not rely on it: server process 4711 still has its I/O in progress after 30 s; ' +
        'repeat the command to go on waiting, and check the storage',
    });
    expect(fences.has('big-2')).toBe(true);
    const again = fencing.fence('big-2', null);
    end(false);
    expect(await again).toEqual({ wasConnected: true, isClean: false, unrecorded: null });
  });

  test('does not claim success if the client was let in meanwhile', async () => {
    const fence = fencing.fence('big-2', null);
    await told();
    await fences.lift('big-2');
    end(true);
    await expect(fence).rejects.toMatchObject({ code: 'E_FENCED', message: expect.stringContaining('it is not fenced') });
  });

  test('that cannot be saved ends nothing', async () => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    await expect(fencing.fence('big-2', null)).rejects.toMatchObject({ code: 'E_SYSTEM' });
    expect(said).toEqual([]);
    expect(fences.has('big-2')).toBe(false);
  });
});

test('kick ends the session, and lets the client come back', async () => {
  const kick = fencing.kick('big-2');
  await told();
  expect(said).toEqual(['session of big-2: E_NO_SESSION, not fenced']);
  end(true);
  expect(await kick).toEqual({ wasConnected: true, isClean: true });
  session = null;
  expect(await fencing.kick('big-2')).toEqual({ wasConnected: false, isClean: true });
});

test('a kick that takes too long names the process and its storage', async () => {
  session = { pid: 4711, blockedMs: 9_000, ended: new Promise(() => undefined) };
  const kick = fencing.kick('big-2');
  clock.advance(SESSION_END_WAIT_MS);
  await expect(kick).rejects.toThrow(
    'The session of client big-2 has not ended yet: server process 4711 still has its I/O in progress, blocked in a call to the storage, after 30 s',
  );
});
