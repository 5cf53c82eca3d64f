// Tests the effect of limits, pauses and stops of a volume on the requests of a real session: which requests wait, in which order they
// continue, and which requests never wait. The tests in volumes/throttle/ test how limits are divided among sessions; the tests in
// test/integration use real processes. Rules: G37. docs/PROTOCOL.md, Limits.

import type { IoLimits } from '@rsio/common/config/schema/io-limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { Ping } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { beforeEach, expect, test } from 'vitest';
import { ALL_VOLUMES, type ThrottleSetting } from '../volumes/throttle/throttle-messages.ts';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const FREE: ThrottleSetting = { rates: null, reportMs: null, halt: null };
const TEN: ThrottleSetting = { ...FREE, rates: { iops: 10, bytesPerSecond: null, burstMs: 100 } };
let scene: SessionScene;
let path: RawPath;
let number: number;

beforeEach(async () => {
  scene = new SessionScene();
  scene.storage.isFast = true;
  number = 0;
  path = scene.path();
  await scene.open(path);
});

function tell(setting: ThrottleSetting): void {
  scene.session.volumes.throttles.receive({ type: 'throttle', volumeId: 'id', number: number++, setting });
}

/** Sends one request in each of the slots from 0 to `slots - 1`, at ascending positions. */
function send(op: number, slots: number, seq = 1): void {
  for (let slot = 0; slot < slots; slot++) path.io(op, { slot, seq }, slot * 8, op === OP.FLUSH ? 0 : 1);
}

/** Lets the storage end every operation that it has begun. */
async function settle(): Promise<void> {
  do {
    while (scene.storage.waiting.length > 0) scene.storage.finish();
    await scene.turn();
  } while (scene.storage.waiting.length > 0);
}

test('requests beyond the rate wait, and go on in order at the rate', async () => {
  tell(TEN);
  send(OP.WRITE, 4);
  await scene.turn();
  scene.storage.isFast = false;
  const begun = (): number => scene.storage.begun.length;
  // The bucket of the limit is empty at first, and gets its first token only after a time.
  expect(begun()).toBeLessThanOrEqual(1);
  scene.clock.advance(1_000);
  await scene.turn();
  await settle();
  expect(begun()).toBe(4);
  const order = path.heard.map((line) => line.replace(/^WRITE answer (\d+)\/1 status 0$/, '$1'));
  expect(order).toEqual(['0', '1', '2', '3']);
  expect(scene.pools.bodies.lent.size).toBe(0);
});

test('PING, FLUSH and CLOSE do not wait, and a request that waits has no age', async () => {
  tell({ ...FREE, halt: { kind: 'paused', leftMs: 60_000 } });
  send(OP.WRITE, 2);
  path.io(OP.FLUSH, { slot: 9, seq: 1 }, 0, 0);
  path.message(OP.PING, { slot: 0, seq: 0 }, Ping.encode({ number: 1, clockMs: 0, heard: 0, oldestMs: 0, generation: 1 }));
  scene.clock.advance(6_000);
  await scene.turn();
  await settle();
  expect(scene.storage.begun.filter((name) => name !== 'FLUSH')).toEqual([]);
  expect(path.heard).toContain('FLUSH answer 9/1 status 0');
  expect(path.heard.some((line) => line.startsWith('PONG'))).toBe(true);
  expect(scene.session.oldestMs()).toBe(0);
  expect(scene.session.figures(true).volumes[0]).toMatchObject({ heldByLimit: 2, heldBy: 'pause', outstanding: 0 });
});

test('a pause ends by itself after its time, even if the listener says nothing', async () => {
  tell({ ...FREE, halt: { kind: 'paused', leftMs: 5_000 } });
  send(OP.READ, 2);
  scene.clock.advance(4_900);
  await scene.turn();
  expect(scene.storage.begun).toEqual([]);
  scene.storage.isFast = false;
  scene.clock.advance(200);
  await scene.turn();
  expect(scene.storage.begun).toEqual(['READ', 'READ']);
});

test('a stop refuses what waits and what comes, but no FLUSH, and a start lets I/O through again', async () => {
  tell({ ...FREE, halt: { kind: 'paused', leftMs: 60_000 } });
  send(OP.WRITE, 1);
  await scene.turn();
  tell({ ...FREE, halt: { kind: 'stopped' } });
  path.io(OP.READ, { slot: 1, seq: 1 });
  path.io(OP.FLUSH, { slot: 2, seq: 1 }, 0, 0);
  await scene.turn();
  await settle();
  expect(path.heard.toSorted()).toEqual([
    'FLUSH answer 2/1 status 0',
    `READ answer 1/1 status ${STATUS.STOPPED}`,
    `WRITE answer 0/1 status ${STATUS.STOPPED}`,
  ]);
  tell(FREE);
  path.heard.length = 0;
  path.io(OP.READ, { slot: 1, seq: 2 });
  await scene.turn();
  expect(path.heard).toEqual(['READ answer 1/2 status 0']);
  expect(scene.pools.bodies.lent.size).toBe(0);
});

test('a request that waits is kept when its path closes, and answered where its copy comes', async () => {
  tell({ ...FREE, halt: { kind: 'paused', leftMs: 60_000 } });
  send(OP.WRITE, 1);
  await scene.turn();
  path.connection.close('gone', true);
  const other = scene.path([0]);
  await scene.turn();
  other.io(OP.WRITE, { slot: 0, seq: 1 }, 0);
  await scene.turn();
  expect(scene.storage.begun).toEqual([]);
  scene.storage.isFast = false;
  tell(FREE);
  await scene.turn();
  expect(scene.storage.begun).toEqual(['WRITE']);
  scene.storage.finish();
  await scene.turn();
  expect(other.heard.filter((line) => line.startsWith('WRITE'))).toEqual(['WRITE answer 0/1 status 0']);
});

test('the end of a handle ends what waits with STALE, unexecuted, and waits for none of it', async () => {
  tell({ ...FREE, halt: { kind: 'paused', leftMs: 60_000 } });
  send(OP.WRITE, 3);
  await scene.turn();
  const revoked = scene.session.revoke('id', 1);
  await scene.turn();
  await settle();
  expect(await revoked).toBe(true);
  expect(path.heard).toEqual([0, 1, 2].map((slot) => `WRITE answer ${slot}/1 status ${STATUS.STALE}`));
  scene.clock.advance(6_000);
  await scene.turn();
  expect(scene.storage.begun.filter((name) => name === 'WRITE')).toEqual([]);
  expect(scene.pools.bodies.lent.size).toBe(0);
});

test('a session ends with what waits, and leaves no timer', async () => {
  tell(TEN);
  send(OP.READ, 5);
  await scene.turn();
  const ended = scene.session.end('E_SHUTTING_DOWN', 'The server ends');
  await scene.turn();
  await settle();
  await ended;
  expect(path.heard.filter((line) => line.includes(`status ${STATUS.STALE}`)).length).toBeGreaterThanOrEqual(4);
  scene.clock.advance(10_000);
  expect(scene.clock.timersPending).toBe(0);
});

test('a limit that ends lets all go on, and the handle has no throttle any more', async () => {
  tell(TEN);
  send(OP.DISCARD, 6);
  await scene.turn();
  tell(FREE);
  await scene.turn();
  expect(scene.storage.begun.filter((name) => name === 'DISCARD')).toHaveLength(6);
  expect(scene.session.volumes.get(1)?.throttle).toBeNull();
});

test('the limit of a client holds over volumes that have none', async () => {
  const tellAll = (rates: IoLimits | null, reportMs: number | null): void =>
    scene.session.volumes.throttles.receive({
      type: 'throttle',
      volumeId: ALL_VOLUMES,
      number: 7,
      setting: { rates, reportMs, halt: null },
    });
  tellAll({ iops: null, bytesPerSecond: 512 * 10, burstMs: 100 }, 50);
  expect(scene.throttled).toEqual([{ what: 'in-force', volumeId: ALL_VOLUMES, number: 7 }]);
  scene.clock.advance(1_000);
  path.io(OP.WRITE, { slot: 0, seq: 1 }, 0, 1, 1, FLAG.FUA);
  for (let slot = 1; slot < 4; slot++) path.io(OP.READ, { slot, seq: 1 }, slot * 8);
  await scene.turn();
  expect(scene.session.figures(true).volumes[0]).toMatchObject({ heldBy: 'client-bandwidth' });
  scene.clock.advance(50);
  expect(scene.throttled.at(-1)).toMatchObject({
    what: 'used',
    volumes: [{ volumeId: ALL_VOLUMES, requests: 2, bytes: 2 * 512, isHungry: true }],
  });
  tellAll(null, null);
  await scene.turn();
  expect(scene.session.figures(true).volumes[0]).toMatchObject({ heldByLimit: 0, heldBy: null });
  expect(scene.session.volumes.get(1)?.throttle).toBeNull();
});

test('each setting is confirmed, a divided one is reported on, and a volume without a handle is forgotten', async () => {
  tell({ ...TEN, reportMs: 50 });
  expect(scene.throttled).toEqual([{ what: 'in-force', volumeId: 'id', number: 0 }]);
  send(OP.READ, 4);
  await scene.turn();
  scene.clock.advance(60);
  const [, used] = scene.throttled;
  expect(used).toMatchObject({ what: 'used', volumes: [{ volumeId: 'id', isHungry: true }] });
  void scene.session.revoke('id', 1);
  await scene.turn();
  await settle();
  scene.clock.advance(3_000);
  expect(scene.throttled.at(-1)).toEqual({ what: 'unused', volumeId: 'id', number: 0 });
});
