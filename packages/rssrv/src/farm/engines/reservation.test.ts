// Tests the engine with persistent reservations, on a target in memory that answers as SPC-4 says. Its writes go to a file that refuses
// nothing, so these tests are about keys and reservations. reservation-lun.test.ts has a real target. Rule: F13.

import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { temporaryDirectory } from '../../testing/backend-scene.ts';
import { ReservationTarget } from '../../testing/reservation-target.ts';
import type { StorageClient } from '../engine.ts';
import { firstRecord, taken, type Writer } from '../farm-record.ts';
import { prepareDisk } from './prepare-disk.ts';
import { ReservationEngine } from './reservation.ts';

const OWNERS = ['big-9', 'big-8'];
const directory = temporaryDirectory();
const disk = path.join(directory, 'disk');
const NOTE = { generation: 0, count: 1, wants: null, refusal: null };

let target: ReservationTarget;
const engines: ReservationEngine[] = [];
const clients: StorageClient[] = [];

beforeEach(async (context) => {
  context.skip(process.getuid?.() !== 0 || !fs.existsSync('/dev/loop-control'), 'needs root, and the module loop');
  target = new ReservationTarget();
  fs.writeFileSync(disk, '');
  fs.truncateSync(disk, 8 * 1024 * 1024);
  await prepareDisk(systemClock, disk, OWNERS, firstRecord(OWNERS, 1));
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const engine of engines.splice(0)) await engine.close();
  fs.rmSync(disk, { force: true });
});
afterAll(() => removeFolder(directory));

function engineOf(server: string): ReservationEngine {
  const engine = new ReservationEngine({ clock: systemClock, random: Math.random, disk, server }, target.of(server));
  engines.push(engine);
  return engine;
}

async function connected(engine: ReservationEngine, generation: number): Promise<StorageClient> {
  const client = await engine.connect(generation);
  clients.push(client);
  return client;
}

function writer(server: string, generation: number, { name }: StorageClient): Writer {
  return { server, generation, client: name };
}

it.each([true, false])(
  'a fence ends the key for ever: its client cannot open, and its server writes nothing until it is closed; keys readable: %s',
  async (canRead) => {
    target.canRead = canRead;
    const [one, other] = [engineOf('big-9'), engineOf('big-8')];
    const old = await connected(one, 1);
    await old.open();
    const taker = await connected(other, 2);
    await other.fence(writer('big-9', 1, old));
    expect(target.log).toEqual(['big-8 preempts big-9']);
    expect(target.holder).toBe('big-8');
    await other.fence(writer('big-9', 1, old));
    await taker.open();
    // Unlike a reserved disk, the file refuses no write, so the engine notices the loss of its key only at the first refused reservation
    // command.
    target.registered.delete('big-9');
    await expect(one.fence(writer('big-8', 2, taker))).rejects.toMatchObject({ code: 'E_FENCE', message: /another server has fenced it/ });
    await expect(one.post(NOTE)).rejects.toThrow('another server has fenced it');
    await expect(one.connect(3)).rejects.toThrow('has another client');
    expect(target.registered.has('big-9')).toBe(false);
    await old.close();
    await one.post(NOTE);
    expect(target.registered.has('big-9')).toBe(true);
    expect(target.log).toEqual(['big-8 preempts big-9']);
  },
);

it('a client that was fenced before it opened never opens', async () => {
  const [one, other] = [engineOf('big-9'), engineOf('big-8')];
  await (await connected(other, 1)).open();
  const slow = await connected(one, 2);
  await other.fence(writer('big-9', 2, slow));
  await expect(slow.open()).rejects.toThrow('another server has fenced it');
  await expect(one.post(NOTE)).rejects.toThrow('another server has fenced it');
});

it('the reservation outlives its process, a clean end, and the next owner takes it over', async () => {
  const [one, other] = [engineOf('big-9'), engineOf('big-8')];
  const first = await connected(one, 1);
  await first.open();
  await first.close();
  expect(target.holder).toBe('big-9');
  const again = engineOf('big-9');
  await again.clear();
  expect(target.holder).toBe('big-9');
  await other.look();
  await (await connected(other, 2)).open();
  expect(target.holder).toBe('big-8');
});

it('the next owner takes the reservation over from a standby key that it cannot read', async () => {
  target.canRead = false;
  const [one, other] = [engineOf('big-9'), engineOf('big-8')];
  const first = await connected(one, 1);
  await first.open();
  await first.close();
  await other.look();
  await (await connected(other, 2)).open();
  expect(target.holder).toBe('big-8');
  // The standby server was preempted, too, and comes back by itself.
  target.log.length = 0;
  await one.clear();
  await one.post(NOTE);
  expect(target.holder).toBe('big-8');
});

it('a slow taker does not take the reservation from the owner that came after it', async () => {
  const [one, other] = [engineOf('big-9'), engineOf('big-8')];
  const slow = await connected(one, 1);
  const owner = await connected(other, 2);
  const { record } = await other.look();
  expect(await other.swap(record, taken(record!, 'big-8', owner.name, 1)!)).toBe(true);
  await owner.open();
  await expect(slow.open()).rejects.toThrow('is for server big-8, which has taken the pool meanwhile');
  expect(target.holder).toBe('big-8');
  expect(target.registered.size).toBe(2);
});

it('a key that nobody has is proven only after the disk has aborted everything, unless it is of this machine', async () => {
  const [one, other, third] = [engineOf('big-9'), engineOf('big-8'), engineOf('big-8')];
  const old = await connected(one, 1);
  await old.open();
  await other.fence(writer('big-9', 1, old));
  await third.fence(writer('big-9', 1, old));
  expect(target.log).toEqual(['big-8 preempts big-9', 'big-8 resets']);
  await old.close();
  const again = engineOf('big-9');
  await again.clear();
  await again.fence(writer('big-9', 1, old));
  expect(target.log).toHaveLength(2);
});

it('a fence makes a reservation if an administrator has cleared it', async () => {
  const [one, other] = [engineOf('big-9'), engineOf('big-8')];
  const old = await connected(one, 1);
  await old.open();
  target.registered.clear();
  target.holder = null;
  await other.fence(writer('big-9', 1, old));
  expect(target.holder).toBe('big-8');
});

it('after a clear, a client that was never closed is over, and another one can be connected', async () => {
  const one = engineOf('big-9');
  const left = await connected(one, 1);
  await one.clear();
  const next = await connected(one, 2);
  await expect(left.open()).rejects.toThrow('another server has fenced it');
  await left.close();
  await next.open();
  expect(target.registered.get('big-9')).toBe(BigInt(`0x${next.name.split('/')[2]}`));
});

it('nothing is registered while a loop device of this server is left', async () => {
  const one = engineOf('big-9');
  const first = await connected(one, 1);
  await first.open();
  target.registered.clear();
  const again = engineOf('big-9');
  await expect(again.post(NOTE)).rejects.toThrow('still has a loop device');
  await expect(again.connect(2)).rejects.toThrow('still has a loop device');
  await expect(again.fence(writer('big-9', 1, first))).rejects.toMatchObject({ code: 'E_FENCE' });
  expect(target.registered.size).toBe(0);
});

it('a client of another engine is no proof', async () => {
  const other = engineOf('big-8');
  const name = `${'0'.repeat(32)}/00000000-0000-0000-0000-000000000000//00000000-0000-0000-0000-000000000000`;
  await expect(other.fence({ server: 'big-9', generation: 1, client: name })).rejects.toMatchObject({
    code: 'E_FENCE',
    message: /has no key/,
  });
  await expect(other.fence({ server: 'big-9', generation: 1, client: 'x' })).rejects.toMatchObject({ code: 'E_FENCE' });
});
