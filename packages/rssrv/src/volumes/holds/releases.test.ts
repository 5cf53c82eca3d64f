// Tests how an administrator ends the holds of absent clients: the order of the steps, and the conditions under which a hold stays.
// test/integration/fence.test.ts tests the command. Rules: G20, H2.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { STATUS } from '@rsio/protocol/wire/status';
import { BIG2, OPEN, QUIET, turns, VENUS, VOLUME } from '../../testing/contenders.ts';
import { unhinderedPorts } from '../../testing/grant-ports.ts';
import { Holds } from './holds.ts';
import { type ReleasePorts, releaseHold } from './releases.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { NO_LEDGER } from '../../testing/no-ledgers.ts';

let folder: string;
let holds: Holds;
let steps: string[];
/** The facts that the ports report. The tests change these facts. */
let facts: {
  isThere: boolean;
  isFenced: boolean;
  life: string;
  isServed: boolean;
  sync: () => Promise<void>;
  disputedMs: number | null;
  paused: () => void;
};

const PORTS: ReleasePorts = {
  find: () => (facts.isServed ? VOLUME : null),
  isThere: () => facts.isThere,
  isFenced: () => facts.isFenced,
  incarnation: () => facts.life,
  sync: async () => {
    steps.push(`sync, held by ${holdersNow()}`);
    await facts.sync();
  },
  incarnationEnded: async () => {
    steps.push('new incarnation');
    facts.life = 'next';
  },
  disputedMs: () => facts.disputedMs,
  pause: async (_volume, ms) => {
    steps.push(`pause ${ms}`);
    await turns();
    facts.disputedMs = 0;
    facts.paused();
  },
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-releases-'));
  holds = new Holds(join(folder, 'holders.json'), () => 1_284_476_552_000, QUIET, NO_LEDGER);
  steps = [];
  facts = {
    isThere: false,
    isFenced: false,
    life: 'life',
    isServed: true,
    sync: () => Promise.resolve(),
    disputedMs: 0,
    paused: () => undefined,
  };
  await holds.load();
  await holds.grant('id', BIG2, OPEN, unhinderedPorts(VOLUME));
});

afterEach(() => removeFolder(folder));

function holdersNow(): string {
  return holds
    .holdersOf('id')
    .map(({ node }) => node)
    .join();
}

function release(isForced = false, node = 'big-2'): Promise<boolean> {
  return releaseHold(holds, { id: 'id', name: 'oracle' }, node, isForced, PORTS);
}

test('the writes are durable before the hold ends, and it has ended after a restart', async () => {
  expect(holds.heldBy('big-2')).toEqual(['id']);
  expect(await release()).toBe(true);
  expect(steps).toEqual(['sync, held by big-2']);
  expect([holdersNow(), holds.heldBy('big-2')]).toEqual(['', []]);
  const fresh = new Holds(join(folder, 'holders.json'), () => 0, QUIET, NO_LEDGER);
  await fresh.load();
  expect(fresh.holdersOf('id')).toEqual([]);
  expect(await release()).toBe(false);
  expect(await release(false, 'venus')).toBe(false);
});

test('while an earlier owner of the pool may still answer the client, the release waits, and checks everything afterwards', async () => {
  facts.disputedMs = 5_200;
  expect(await release()).toBe(true);
  expect(steps).toEqual(['pause 5200', 'sync, held by big-2']);
});

test('after the wait, a hold that the client has got anew stays, and so does one of a pool that was lost meanwhile', async () => {
  facts.disputedMs = 5_200;
  facts.paused = () => void (facts.disputedMs = null);
  await expect(release()).rejects.toThrow('has another owner now, or was taken again');
  facts.disputedMs = 5_200;
  let opened = Promise.resolve<unknown>(null);
  facts.paused = () => {
    void holds.release('id', BIG2, 9);
    opened = holds.grant('id', BIG2, OPEN, unhinderedPorts(VOLUME));
  };
  await expect(release()).rejects.toThrow('has got volume oracle anew');
  await opened;
  expect(holdersNow()).toBe('big-2');
});

test('a client that comes back cannot resume its hold, and another one can have the volume', async () => {
  const grant = await holds.grant('id', BIG2, OPEN, unhinderedPorts(VOLUME));
  const identity = grant.granted ? grant.identity : '';
  await release();
  const resumed = await holds.grant('id', BIG2, { ...OPEN, resume: identity }, unhinderedPorts(VOLUME));
  expect(resumed).toMatchObject({ granted: false, status: STATUS.TAKEN });
  expect(await holds.grant('id', VENUS, OPEN, unhinderedPorts(VOLUME))).toMatchObject({ granted: true });
});

describe('the hold stays', () => {
  test('while its client is there, also if it comes back during the sync', async () => {
    facts.isThere = true;
    await expect(release()).rejects.toMatchObject({ code: 'E_IN_USE' });
    expect(steps).toEqual([]);
    facts.isThere = false;
    facts.sync = async () => void (facts.isThere = true);
    await expect(release()).rejects.toMatchObject({ code: 'E_IN_USE' });
    expect(holdersNow()).toBe('big-2');
  });

  test('if the storage does not answer, also by force; nothing is lost then', async () => {
    facts.isFenced = true;
    facts.sync = () => Promise.reject(new RsError('E_TIMEOUT', 'Its sync takes longer than 10 s'));
    for (const isForced of [false, true])
      await expect(release(isForced)).rejects.toMatchObject({
        code: 'E_TIMEOUT',
        message: 'Volume oracle is still held by big-2. Its sync takes longer than 10 s: try again when the storage answers',
      });
    expect(holdersNow()).toBe('big-2');
    expect(steps.includes('new incarnation')).toBe(false);
  });

  test('if the sync fails; from then on only force ends it, and only if the client is fenced', async () => {
    facts.sync = () => Promise.reject(new RsError('E_VOLUME', 'Its sync failed (EIO)'));
    await expect(release()).rejects.toMatchObject({
      code: 'E_VOLUME',
      message: expect.stringContaining('may have lost acknowledged writes'),
    });
    expect(steps.at(-1)).toBe('new incarnation');
    facts.sync = () => Promise.resolve();
    await expect(release()).rejects.toMatchObject({
      code: 'E_HELD',
      message: expect.stringMatching(/give them up: run rsadm client fence big-2, then rsadm client release big-2 --force$/),
    });
    await expect(release(true)).rejects.toThrow('Client big-2 is not fenced, and may come back: run rsadm client fence big-2 first');
    facts.isFenced = true;
    await expect(release()).rejects.toThrow(/give them up: rsadm client release big-2 --force$/);
    expect(holdersNow()).toBe('big-2');
    expect(await release(true)).toBe(true);
    expect(steps.at(-1)).toBe('sync, held by big-2');
  });

  test('if the volume is not served, because nothing could be synced', async () => {
    facts.isServed = false;
    await expect(release()).rejects.toMatchObject({ code: 'E_VOLUME', message: expect.stringContaining('is not served') });
    expect(holdersNow()).toBe('big-2');
  });

  test('if the change cannot be saved', async () => {
    facts.sync = async () => {
      rmSync(folder, { recursive: true });
      writeFileSync(folder, '');
    };
    await expect(release()).rejects.toMatchObject({ code: 'E_SYSTEM' });
    expect(holdersNow()).toBe('big-2');
  });
});

test('a hold that only reads needs no sync', async () => {
  await holds.grant('id2', VENUS, { ...OPEN, readonly: true }, unhinderedPorts({ ...VOLUME, id: 'id2' }));
  expect(await releaseHold(holds, { id: 'id2', name: 'oracle' }, 'venus', false, PORTS)).toBe(true);
  expect(steps).toEqual([]);
});

test('an OPEN that has waited for its turn is refused if its session has begun to end', async () => {
  let isWanted = true;
  const ports = { ...unhinderedPorts(VOLUME), isWanted: () => isWanted };
  let end: () => void = () => undefined;
  facts.sync = () => new Promise((resolve) => (end = resolve));
  const releasing = release();
  const queued = holds.grant('id', BIG2, OPEN, ports);
  await expect.poll(() => steps.length).toBe(1);
  isWanted = false;
  end();
  expect(await releasing).toBe(true);
  expect(await queued).toMatchObject({
    granted: false,
    status: STATUS.SHUTTING_DOWN,
    sentence: 'The session ended before volume oracle was opened',
  });
  expect(holdersNow()).toBe('');
});
