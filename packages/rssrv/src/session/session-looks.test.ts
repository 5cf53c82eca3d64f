// Tests a volume of a shared pool: when an answer waits for a look at the owner of the pool, and what the client gets if another server owns
// the pool. Rules: F7, F8, G38.

import { beforeEach, expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { Ping, IOCTL, OpenAnswer, OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { LOOK_VALID_MS } from '../farm/limits.ts';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const POOL = { ids: ['pool-id'], isThick: false, ownership: { generation: 7, life: 5 } };
const EXTENTS = Buffer.from('82a36c626100a7736563746f727301', 'hex');
const ERROR = STATUS.IO_ERROR;
const STEP_MS = 500;

let scene: SessionScene;
let path: RawPath;
/** Looks that wait for their answers. */
let looks: ((isMine: boolean) => void)[];

beforeEach(() => {
  scene = new SessionScene();
  path = scene.path();
  looks = [];
});

async function open(changes: { readonly shared?: boolean; readonly readonly?: boolean } = {}): Promise<void> {
  scene.volumeChanges = { pool: POOL, ...changes };
  await scene.open(path);
  scene.looked = () => new Promise((resolve) => looks.push(resolve));
}

async function looked(isMine: boolean): Promise<void> {
  for (const look of looks.splice(0)) look(isMine);
  await scene.turn();
}

async function finish(status = 0): Promise<void> {
  scene.storage.finish(status);
  await scene.turn();
}

function heard(): string[] {
  return path.heard.splice(0).filter((line) => !line.startsWith('PONG'));
}

test('the I/O of the only client needs no look of its own while it succeeds', async () => {
  await open();
  scene.storage.isFast = true;
  path.io(OP.READ, { slot: 0, seq: 1 });
  path.io(OP.WRITE, { slot: 1, seq: 1 });
  path.io(OP.FLUSH, { slot: 2, seq: 1 });
  await scene.turn();
  await finish();
  expect(heard()).toEqual(['READ answer 0/1 status 0', 'WRITE answer 1/1 status 0', 'FLUSH answer 2/1 status 0']);
  expect(looks).toEqual([]);
});

/** Lets time pass, during which the listener answers no question. */
async function standStill(ms: number): Promise<void> {
  scene.lookAge = () => new Promise(() => undefined);
  await pass(ms);
}

/** Lets time pass, keeps the path alive, and ends the syncs that the session starts during this time. */
async function pass(ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= STEP_MS) {
    const { length } = scene.storage.begun;
    path.message(OP.PING, { slot: 0, seq: 0 }, Ping.encode({ number: 1, clockMs: 0, heard: 0, oldestMs: 0, generation: 0 }));
    scene.clock.advance(Math.min(leftMs, STEP_MS));
    await scene.turn();
    if (scene.storage.begun.length > length) scene.storage.waiting.pop()?.(0);
  }
}

test.each([
  ['READ', OP.READ, true],
  ['WRITE', OP.WRITE, true],
  ['READ', OP.READ, false],
  ['WRITE', OP.WRITE, false],
  ['FLUSH', OP.FLUSH, false],
  ['DISCARD', OP.DISCARD, false],
])('when the last look is too old, a %s of the only client waits for a look (cached: %s)', async (name, op, isFast) => {
  await open();
  scene.storage.isFast = isFast;
  await standStill(LOOK_VALID_MS);
  path.io(op, { slot: 0, seq: 1 });
  await scene.turn();
  await finish();
  expect([heard(), looks.length]).toEqual([[], 1]);
  await looked(true);
  expect(heard()).toEqual([`${name} answer 0/1 status 0`]);
  // This look is valid for the next requests.
  path.io(op, { slot: 0, seq: 2 });
  await scene.turn();
  await finish();
  expect([heard(), looks.length]).toEqual([[`${name} answer 0/2 status 0`], 0]);
});

test('a request that was executed in time and ends late waits for a look, and gets STALE if another server owns the pool', async () => {
  await open();
  path.io(OP.READ, { slot: 0, seq: 1 });
  await scene.turn();
  await standStill(LOOK_VALID_MS);
  await finish();
  expect([heard(), looks.length]).toEqual([[], 1]);
  await looked(false);
  expect(heard()).toEqual([`READ answer 0/1 status ${STATUS.STALE}`]);
});

test('a write that was executed while the process stood still is answered after a look', async () => {
  await open();
  scene.storage.isFast = true;
  const laterMs = scene.clock.monotonicMs() + LOOK_VALID_MS;
  scene.storage.whenTried = () => {
    scene.clock.monotonicMs = () => laterMs;
  };
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  await scene.turn();
  await finish();
  expect([heard(), looks.length]).toEqual([[], 1]);
  await looked(false);
  expect(heard()).toEqual([`WRITE answer 0/1 status ${STATUS.STALE}`]);
});

test('the session learns the age of the last look once a second, and an old look or none at all does not count', async () => {
  await open();
  const ages: (number | null)[] = [];
  scene.lookAge = () => Promise.resolve(ages.shift() ?? null);
  const isAnswered = async (seq: number): Promise<boolean> => {
    path.io(OP.READ, { slot: 0, seq });
    await scene.turn();
    await finish();
    const isSo = looks.length === 0;
    await looked(true);
    return isSo;
  };
  ages.push(0, 0, 0, 0, 0, 0, 0);
  await pass(7_000);
  expect([await isAnswered(1), ages]).toEqual([true, []]);
  ages.push(5_000);
  await pass(LOOK_VALID_MS);
  expect(await isAnswered(2)).toBe(false);
});

test('an answer that comes late does not make the look younger, and no second question is sent meanwhile', async () => {
  await open();
  const answers: ((ageMs: number) => void)[] = [];
  scene.lookAge = () => new Promise((resolve) => answers.push(resolve));
  await pass(LOOK_VALID_MS);
  expect(answers).toHaveLength(1);
  answers[0]!(0);
  await scene.turn();
  path.io(OP.READ, { slot: 0, seq: 1 });
  await scene.turn();
  await finish();
  // The question was sent one second after the handle was opened.
  expect([heard(), looks.length]).toEqual([['READ answer 0/1 status 0'], 0]);
  await standStill(1_000);
  path.io(OP.READ, { slot: 0, seq: 2 });
  await scene.turn();
  await finish();
  expect([heard(), looks.length]).toEqual([[], 1]);
});

test.each([
  ['READ', OP.READ],
  ['WRITE', OP.WRITE],
  ['FLUSH', OP.FLUSH],
  ['DISCARD', OP.DISCARD],
  ['ZERO', OP.ZERO],
])('a %s that has failed waits for a look: an error only if this server owns the pool', async (name, op) => {
  await open();
  path.io(op, { slot: 0, seq: 1 });
  await scene.turn();
  await finish(ERROR);
  expect([heard(), looks.length]).toEqual([[], 1]);
  await looked(true);
  expect(heard()).toEqual([`${name} answer 0/1 status ${ERROR}`]);
});

test('a request that has failed after another server has taken the pool gets STALE, and its handle is revoked', async () => {
  await open();
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  path.io(OP.WRITE, { slot: 1, seq: 1 });
  await scene.turn();
  await finish(ERROR);
  await looked(false);
  path.io(OP.READ, { slot: 2, seq: 1 });
  await scene.turn();
  expect(heard()).toEqual([`WRITE answer 0/1 status ${STATUS.STALE}`, `READ answer 2/1 status ${STATUS.STALE}`]);
  // A request that succeeds later gets STALE, too.
  await finish();
  expect(heard()).toEqual([`WRITE answer 1/1 status ${STATUS.STALE}`]);
});

test.each([
  ['shared', { shared: true }],
  ['read-only', { readonly: true }],
])('each answer of a %s volume waits for a look that began after the request was executed', async (_, changes) => {
  await open(changes);
  path.io(OP.READ, { slot: 0, seq: 1 });
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  expect(scene.storage.begun).toEqual(['READ', 'READ']);
  await finish();
  expect([heard(), looks.length]).toEqual([[], 1]);
  await finish();
  // The second READ ended during the first look, and therefore needs another look.
  await looked(true);
  expect([heard(), looks.length]).toEqual([['READ answer 0/1 status 0'], 1]);
  await looked(true);
  expect([heard(), looks.length]).toEqual([['READ answer 1/1 status 0'], 0]);
});

test('one look serves all requests that wait for it', async () => {
  await open({ shared: true });
  for (let slot = 0; slot < 20; slot++) path.io(OP.READ, { slot, seq: 1 });
  await scene.turn();
  for (let slot = 0; slot < 8; slot++) scene.storage.finish();
  await scene.turn();
  // These requests end in several events during the first look.
  for (let slot = 8; slot < 20; slot++) await finish();
  expect(looks).toHaveLength(1);
  await looked(true);
  expect([heard().length, looks.length]).toEqual([8, 1]);
  await looked(true);
  expect([heard().length, looks.length]).toEqual([12, 0]);
});

test('cached data is read at once, and all READs of one event share one look, after which their data is sent', async () => {
  await open({ readonly: true });
  scene.storage.isFast = true;
  scene.storage.fill = 1;
  for (let slot = 0; slot < 20; slot++) path.io(OP.READ, { slot, seq: 1 });
  await scene.turn();
  expect([scene.storage.begun.length, scene.storage.waiting.length, looks.length, heard()]).toEqual([20, 0, 1, []]);
  // This READ is executed during the first look, and therefore needs another look.
  scene.storage.fill = 2;
  path.io(OP.READ, { slot: 20, seq: 1 });
  await scene.turn();
  expect(looks).toHaveLength(1);
  await looked(true);
  expect([heard().length, looks.length]).toEqual([20, 1]);
  expect(
    path.bodies
      .splice(0)
      .slice(-20)
      .every((body) => body.length > 0 && body.every((byte) => byte === 1)),
  ).toBe(true);
  await looked(true);
  expect([heard(), looks.length]).toEqual([['READ answer 20/1 status 0'], 0]);
  expect(path.bodies.at(-1)!.every((byte) => byte === 2)).toBe(true);
  await scene.turn();
  expect(looks).toEqual([]);
});

test('READs that were executed at once get STALE if the look finds another owner', async () => {
  await open({ readonly: true });
  scene.storage.isFast = true;
  path.io(OP.READ, { slot: 0, seq: 1 });
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  await looked(false);
  expect(heard().toSorted()).toEqual([`READ answer 0/1 status ${STATUS.STALE}`, `READ answer 1/1 status ${STATUS.STALE}`]);
});

test('a write, a flush and the extents of a shared volume are not answered by a server that has lost the pool', async () => {
  await open({ shared: true });
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  path.io(OP.FLUSH, { slot: 1, seq: 1 });
  path.message(OP.IOCTL, { slot: 2, seq: 1 }, EXTENTS, 1, IOCTL.EXTENTS);
  await scene.turn();
  for (let times = 0; times < 3; times++) await finish();
  await looked(false);
  await looked(false);
  const all = ['WRITE answer 0/1', 'FLUSH answer 1/1', 'IOCTL answer 2/1'];
  expect(heard().toSorted()).toEqual(all.map((answer) => `${answer} status ${STATUS.STALE}`).toSorted());
});

test('an OPEN is granted only after a look', async () => {
  scene.volumeChanges = { pool: POOL };
  scene.looked = () => new Promise((resolve) => looks.push(resolve));
  const ask = (slot: number): void =>
    path.message(OP.OPEN, { slot, seq: 1 }, OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false }));
  ask(0);
  await scene.turn();
  expect([heard(), looks.length]).toEqual([[], 1]);
  await looked(false);
  expect(heard()).toEqual([`OPEN answer 0/1 status ${STATUS.MOVED}`]);
  expect(scene.storage.isClosed).toBe(true);
  ask(1);
  await scene.turn();
  await looked(true);
  expect(heard()).toEqual(['OPEN answer 1/1 status 0']);
  const body = path.bodies.at(-1)!;
  expect(OpenAnswer.decode(body, 0, body.length)).toMatchObject({ poolId: 'pool-id', poolGeneration: 7 });
});

test('after the listener has reported the loss of the pool, a READ of a read-only handle gets STALE without a look', async () => {
  await open({ readonly: true });
  scene.storage.isFast = true;
  path.io(OP.READ, { slot: 0, seq: 1 });
  await scene.turn();
  scene.session.volumes.lose('id');
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  // This READ ends in a later event, as all requests of a lost handle do.
  expect(scene.storage.waiting).toHaveLength(1);
  await finish();
  expect(heard().toSorted()).toEqual([`READ answer 0/1 status ${STATUS.STALE}`, `READ answer 1/1 status ${STATUS.STALE}`]);
  expect(looks).toHaveLength(1);
});

test('after the listener has reported the loss of the pool, requests under way get STALE', async () => {
  await open();
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  scene.session.volumes.lose('id');
  scene.storage.finish();
  scene.storage.finish();
  await scene.turn();
  expect(looks).toEqual([]);
  expect(heard()).toEqual([`WRITE answer 0/1 status ${STATUS.STALE}`, `READ answer 1/1 status ${STATUS.STALE}`]);
});
