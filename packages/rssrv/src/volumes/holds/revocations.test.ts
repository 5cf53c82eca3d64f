// Tests orders that take a volume away from a client: the order of the steps, refusals that keep the hold, and OPENs during and after an
// order. The simulator tests the orders under faults; test/integration/volume-revoke.test.ts tests the command. Rules: H6, G44.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { STATUS } from '@rsio/protocol/wire/status';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { BIG2, MARS, OPEN, QUIET, turns, VENUS, VOLUME } from '../../testing/contenders.ts';
import { unhinderedPorts } from '../../testing/grant-ports.ts';
import { NO_LEDGER } from '../../testing/no-ledgers.ts';
import { REVOCATION_WAIT_MS, REVOCATIONS_MAX } from '../limits.ts';
import { Holds } from './holds.ts';
import { Revocations } from './revocations.ts';

const LEFT = { id: 'id', name: 'oracle' };
const SNAPSHOT: ServedVolume = { ...VOLUME, id: 'monday', name: 'oracle@monday', shared: true, readonly: true, snapshotOf: 'id' };

let folder: string;
let clock: FakeClock;
let holds: Holds;
let steps: string[];
let revocations: Revocations;
/** The facts that the ports report. The tests change these facts. */
let facts: {
  life: string;
  clients: readonly string[] | null;
  revoke: () => Promise<boolean>;
  sync: () => Promise<void>;
  /** See GrantPorts.disputedMs. `disputedAfterMs` is the value after the pause. */
  disputedMs: number | null;
  disputedAfterMs: number | null;
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-revocations-'));
  clock = new FakeClock();
  holds = new Holds(join(folder, 'holders.json'), () => 1_284_476_552_000, QUIET, NO_LEDGER);
  steps = [];
  facts = {
    life: 'life',
    clients: ['big-2'],
    disputedMs: 0,
    disputedAfterMs: 0,
    revoke: () => Promise.resolve(true),
    sync: () => Promise.resolve(),
  };
  revocations = newRevocations();
  await holds.load();
  await holds.grant('id', BIG2, OPEN, unhinderedPorts(VOLUME));
});

afterEach(() => removeFolder(folder));

function newRevocations(): Revocations {
  return new Revocations({
    clock,
    log: QUIET,
    holds,
    isFenced: () => false,
    incarnation: () => facts.life,
    find: (id) => (id === 'id' ? { ...VOLUME, clients: facts.clients } : id === 'monday' ? { ...SNAPSHOT, clients: facts.clients } : null),
    readBy: (id, node) => (id === 'id' && holds.heldBy(node).includes('monday') ? ['monday'] : []),
    revoke: async (node, id, epoch) => {
      steps.push(`revoke ${id} of ${node} up to ${epoch}`);
      return facts.revoke();
    },
    sync: async ({ id }) => {
      steps.push(`sync ${id}, held by ${holders()}`);
      await facts.sync();
    },
    incarnationEnded: async () => {
      steps.push('new incarnation');
      facts.life = 'next';
    },
    disputedMs: () => facts.disputedMs,
    pause: async (_volume, ms) => {
      steps.push(`pause of ${ms} ms`);
      facts.disputedMs = facts.disputedAfterMs;
    },
    holdersChanged: () => void steps.push('new list'),
  });
}

function holders(id = 'id'): string {
  return holds
    .holdersOf(id)
    .map(({ node }) => node)
    .join();
}

function take(node = 'big-2'): Promise<{ wasHeld: boolean; left: string }> {
  return revocations.take(LEFT, node, async () => {
    steps.push(`unlist, held by ${holders()}`);
    facts.clients = [];
    return 'done';
  });
}

test('the requests end, the writes are durable, the hold ends durably, and only then does the list change', async () => {
  expect(await take()).toEqual({ wasHeld: true, left: 'done' });
  expect(steps).toEqual(['revoke id of big-2 up to 1', 'sync id, held by big-2', 'new list', 'unlist, held by ']);
  const fresh = new Holds(join(folder, 'holders.json'), () => 0, QUIET, NO_LEDGER);
  await fresh.load();
  expect(fresh.holdersOf('id')).toEqual([]);
});

test('while an earlier owner of the shared pool may still answer the client, its hold does not end', async () => {
  facts.disputedMs = 6_000;
  expect(await take()).toEqual({ wasHeld: true, left: 'done' });
  expect(steps.slice(0, 2)).toEqual(['pause of 6000 ms', 'revoke id of big-2 up to 1']);
});

test.each([7_000, null])('a pool that was lost and taken again during the pause ends no hold (%s)', async (after) => {
  Object.assign(facts, { disputedMs: 6_000, disputedAfterMs: after });
  await expect(take()).rejects.toMatchObject({ code: 'E_VOLUME' });
  expect([steps, holders()]).toEqual([['pause of 6000 ms'], 'big-2']);
});

test('a client that does not hold the volume only leaves the list', async () => {
  expect(await take('venus')).toEqual({ wasHeld: false, left: 'done' });
  expect([steps, holders()]).toEqual([['unlist, held by big-2'], 'big-2']);
});

test('a reader and the snapshots of the volume lose their holds without a sync; other clients keep theirs', async () => {
  const ports = unhinderedPorts(SNAPSHOT);
  for (const client of [BIG2, MARS]) await holds.grant('monday', client, { ...OPEN, name: 'oracle@monday', readonly: true }, ports);
  await holds.release('id', BIG2, 1);
  for (const client of [BIG2, VENUS]) await holds.grant('id', client, { ...OPEN, readonly: true }, unhinderedPorts(VOLUME));
  expect(await take()).toMatchObject({ wasHeld: true });
  expect(steps.filter((step) => step.startsWith('sync'))).toEqual([]);
  expect([holders(), holders('monday')]).toEqual(['venus', 'mars']);
});

test.each<[string, () => void, string, RegExp]>([
  ['has lost writes before', () => (facts.life = 'next'), 'E_HELD', /big-2 has not yet recovered the writes to volume oracle/],
  ['loses writes during the order', () => (facts.sync = async () => void (facts.life = 'next')), 'E_HELD', /has not yet recovered/],
  ['could not flush', () => (facts.revoke = async () => false), 'E_HELD', /has not yet recovered/],
  ['cannot be synced', () => (facts.sync = () => Promise.reject(new RsError('E_VOLUME', 'Disk'))), 'E_VOLUME', /still held by big-2.*Disk/],
  ['does not answer', () => (facts.sync = () => Promise.reject(new RsError('E_TIMEOUT', 'Slow'))), 'E_TIMEOUT', /Slow: try again/],
])('the hold and the list stay if the storage %s', async (_what, prepare, code, message) => {
  prepare();
  await expect(take()).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  expect([holders(), steps.some((step) => step.startsWith('unlist'))]).toEqual(['big-2', false]);
  // The client opens the volume again, and may resend the lost writes.
  const again = { ...OPEN, resume: 'id.1' };
  expect(await holds.grant('id', BIG2, again, unhinderedPorts(VOLUME))).toMatchObject({ granted: true, identity: 'id.1' });
});

test('an order that fails because requests do not end takes nothing later', async () => {
  let end: (isFlushed: boolean) => void = () => undefined;
  facts.revoke = () => new Promise((resolve) => (end = resolve));
  const taken = take();
  taken.catch(() => undefined);
  await turns();
  clock.advance(REVOCATION_WAIT_MS);
  await expect(taken).rejects.toMatchObject({ code: 'E_TIMEOUT', message: expect.stringMatching(/after 30 s; repeat/) as string });
  end(true);
  await turns();
  expect([holders(), revocations.isLeaving('id', 'big-2')]).toEqual(['big-2', false]);
});

test('orders that wait are bounded, and one volume is taken from a client once at a time', async () => {
  facts.revoke = () => new Promise(() => undefined);
  const first = take();
  first.catch(() => undefined);
  await expect(take()).rejects.toMatchObject({ code: 'E_BUSY' });
  for (let number = 1; number < REVOCATIONS_MAX; number++)
    void revocations.take(LEFT, `node-${number}`, () => new Promise(() => undefined)).catch(() => undefined);
  await expect(take('venus')).rejects.toMatchObject({ code: 'E_LIMIT' });
});

test('during the order, the client may resume its hold, and begins no new one; afterwards, resuming says that the volume was taken', async () => {
  const resuming = { ...OPEN, resume: 'id.1' };
  const barred = (open = OPEN, volume = VOLUME, node = 'big-2'): boolean => revocations.isBarred(volume, node, open);
  let during: unknown[] = [];
  facts.revoke = () => {
    during = [barred(), barred(resuming), barred(OPEN, SNAPSHOT), barred(OPEN, VOLUME, 'venus')];
    return Promise.resolve(true);
  };
  await revocations.take(LEFT, 'big-2', async () => {
    expect([barred(), barred(resuming)]).toEqual([true, true]);
    expect(revocations.refusalOf('big-2', resuming, VOLUME)).toMatchObject({ status: STATUS.TAKEN, sentence: /taken away from/ });
    expect(revocations.refusalOf('big-2', OPEN, VOLUME)).toMatchObject({ status: STATUS.HELD });
    facts.clients = [];
  });
  expect([during, barred()]).toEqual([[true, false, true, false], false]);
  expect(revocations.refusalOf('big-2', resuming, null)).toMatchObject({ status: STATUS.TAKEN, sentence: /taken away from client big-2/ });
  expect(revocations.refusalOf('big-2', OPEN, null)).toBeNull();
  await holds.grant('id', MARS, OPEN, unhinderedPorts(VOLUME));
  // A holder that is not in the list, for example because the manifest was edited, must not lose its writes.
  expect(revocations.refusalOf('mars', { ...OPEN, resume: 'id.3' }, null)).toBeNull();
});
