// Tests that the listener is notified of failed syncs, once for each handle. Other tests in this file check the server's own syncs, which
// reveal write-back errors of the kernel. test/integration tests how the listener reacts to a failed sync. Rules: V1, G4.

import { beforeEach, expect, test } from 'vitest';
import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { SELF_SYNC_MS } from '@rsio/protocol/link/limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const NOTHING = Buffer.alloc(0);
const { OK, IO_ERROR } = STATUS;

let scene: SessionScene;
let path: RawPath;
let seq: number;

beforeEach(async () => {
  scene = new SessionScene();
  path = scene.path();
  await scene.open(path);
  seq = 0;
});

async function send(op: number, flags = 0): Promise<void> {
  path.io(op, { slot: 0, seq: ++seq }, 0, op === OP.FLUSH ? 0 : 1, 1, flags);
  await scene.turn();
}

async function finish(status = 0): Promise<void> {
  scene.storage.finish(status);
  await scene.turn();
}

/** Advances the clock by `ms`, and lets the due timers of the session run. */
async function pass(ms: number): Promise<void> {
  scene.clock.advance(ms);
  await scene.turn();
}

function syncs(): number {
  return scene.storage.begun.filter((name) => name === 'FLUSH').length;
}

test('a FLUSH that fails is answered with the error, and the listener is notified once', async () => {
  await send(OP.FLUSH);
  await finish(IO_ERROR);
  expect([path.heard, scene.lost]).toEqual([[`FLUSH answer 0/1 status ${IO_ERROR}`], ['id']]);
  await send(OP.FLUSH);
  await finish(IO_ERROR);
  expect([path.heard.length, scene.lost]).toEqual([2, ['id']]);
});

test('a FLUSH that succeeds notifies nothing', async () => {
  await send(OP.FLUSH);
  await finish();
  expect([path.heard, scene.lost]).toEqual([[`FLUSH answer 0/1 status ${OK}`], []]);
});

test.each([
  ['a WRITE', OP.WRITE, 0],
  ['a ZERO', OP.ZERO, 0],
  ['a DISCARD', OP.DISCARD, 0],
])('%s is synced by the server itself when no FLUSH comes, and a failure is said', async (_name, op, flags) => {
  await send(op, flags);
  await finish();
  await pass(HEARTBEAT_INTERVAL_MS);
  await pass(SELF_SYNC_MS - HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(0);
  await pass(HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(1);
  await pass(2 * SELF_SYNC_MS);
  expect(syncs(), 'one at a time').toBe(1);
  await finish(IO_ERROR);
  expect([scene.lost, path.heard.length]).toEqual([['id'], 1]);
});

test('a WRITE that runs at once is synced too; once, if nothing else is written', async () => {
  scene.storage.isFast = true;
  await send(OP.WRITE);
  for (let ms = 0; ms < 2 * SELF_SYNC_MS; ms += HEARTBEAT_INTERVAL_MS) await pass(HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(1);
  await finish();
  for (let ms = 0; ms < 2 * SELF_SYNC_MS; ms += HEARTBEAT_INTERVAL_MS) await pass(HEARTBEAT_INTERVAL_MS);
  expect([syncs(), scene.lost]).toEqual([1, []]);
});

test('a new handle is synced, too: a killed process may have left changes', async () => {
  for (let ms = 0; ms < SELF_SYNC_MS; ms += HEARTBEAT_INTERVAL_MS) await pass(HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(0);
  await pass(HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(1);
  await finish(IO_ERROR);
  expect(scene.lost).toEqual(['id']);
});

test('a failed FUA change during a sync by the server is followed by another sync', async () => {
  for (let ms = 0; ms <= SELF_SYNC_MS; ms += HEARTBEAT_INTERVAL_MS) await pass(HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(1);
  await send(OP.WRITE, FLAG.FUA);
  scene.storage.waiting.pop()?.(IO_ERROR);
  await scene.turn();
  await finish();
  for (let ms = 0; ms <= SELF_SYNC_MS; ms += HEARTBEAT_INTERVAL_MS) await pass(HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(2);
});

test('data written during a sync is not covered by that sync', async () => {
  scene.storage.isFast = true;
  await send(OP.WRITE);
  await send(OP.FLUSH);
  path.io(OP.WRITE, { slot: 1, seq: 1 });
  await scene.turn();
  await finish();
  for (let ms = 0; ms < 2 * SELF_SYNC_MS; ms += HEARTBEAT_INTERVAL_MS) await pass(HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(2);
});

test('without unsynced data there is no sync: after reads, FUA writes, or a FLUSH', async () => {
  scene.storage.isFast = true;
  await send(OP.READ);
  await send(OP.WRITE, FLAG.FUA);
  await finish();
  await send(OP.WRITE);
  await send(OP.FLUSH);
  await finish();
  for (let ms = 0; ms < 2 * SELF_SYNC_MS; ms += HEARTBEAT_INTERVAL_MS) await pass(HEARTBEAT_INTERVAL_MS);
  expect(syncs()).toBe(1);
});

test('a failed FUA change is followed by a sync, which shows whether anything else is lost', async () => {
  await send(OP.WRITE, FLAG.FUA);
  await finish(STATUS.NO_SPACE);
  expect([path.heard, syncs(), scene.lost]).toEqual([[`WRITE answer 0/1 status ${STATUS.NO_SPACE}`], 1, []]);
  await finish();
  expect(scene.lost).toEqual([]);
  await send(OP.WRITE, FLAG.FUA);
  await finish(IO_ERROR);
  await finish(IO_ERROR);
  expect(scene.lost).toEqual(['id']);
});

test("the last sync of a handle counts too, at CLOSE and at the end; the server's own sync is waited for", async () => {
  scene.storage.isFast = true;
  await send(OP.WRITE);
  for (let ms = 0; ms <= SELF_SYNC_MS; ms += HEARTBEAT_INTERVAL_MS) await pass(HEARTBEAT_INTERVAL_MS);
  path.message(OP.CLOSE, { slot: 8, seq: 1 }, NOTHING, 1);
  await scene.turn();
  expect(syncs()).toBe(1);
  await finish();
  expect(syncs()).toBe(2);
  await finish(IO_ERROR);
  expect([path.heard.at(-1), scene.lost, scene.storage.isClosed]).toEqual([`CLOSE answer 8/1 status ${IO_ERROR}`, ['id'], true]);
});

test('a revoked handle reports a loss once, whatever its last sync returns', async () => {
  await send(OP.FLUSH);
  await finish(IO_ERROR);
  const revoked = scene.session.revoke('id', 1);
  await scene.turn();
  await finish(IO_ERROR);
  expect([await revoked, scene.lost]).toEqual([false, ['id']]);
});
