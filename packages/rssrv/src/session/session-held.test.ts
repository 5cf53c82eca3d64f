// Tests a session whose changes are held and guarded for a snapshot: which requests wait, and which end when a handle or the session ends.
// moment-plan.test.ts tests when a moment begins and ends. Rules: P1.

import { OP } from '@rsio/protocol/wire/frames';
import { FLAG } from '@rsio/protocol/wire/frames';
import { OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { beforeEach, expect, test } from 'vitest';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const CHUNK_SECTORS = 8;
const STALE = STATUS.STALE;

let scene: SessionScene;
let path: RawPath;
let slot: number;

beforeEach(async () => {
  scene = new SessionScene();
  path = scene.path();
  await scene.open(path);
  scene.storage.begun.length = 0;
  slot = 0;
});

function hold(number = 0, ...volumeIds: string[]): void {
  scene.session.volumes.gates.receive({ type: 'hold', number, volumeIds: volumeIds.length === 0 ? ['id'] : volumeIds });
}

/** Ends the hold. `chunks` is the number of chunks that are guarded after the hold; null if no chunk is guarded. */
function goOn(chunks: number | null = null, number = 0): void {
  const guards = chunks === null ? [] : [{ volumeId: 'id', chunkBytes: CHUNK_SECTORS * 512, chunks }];
  scene.session.volumes.gates.receive({ type: 'go-on', number, guards });
}

/** Sends a request in a slot that no earlier request has used. */
async function io(op: number, lba = 0, flags = 0, count = op === OP.FLUSH ? 0 : 1, handle = 1): Promise<void> {
  path.io(op, { slot: slot++, seq: 1 }, lba, count, handle, flags);
  await scene.turn();
}

async function finish(): Promise<void> {
  scene.storage.finish();
  await scene.turn();
}

/** Returns the operations that the storage has begun since the last call. */
function begun(): string[] {
  return scene.storage.begun.splice(0);
}

function heard(): string[] {
  return path.heard.splice(0);
}

/** Returns the ranges of chunks that the session has asked to be cloned. */
function asked(): string[] {
  return scene.clones.map(({ request: { from, to } }) => `${from}-${to}`);
}

async function cloned(isCloned = true): Promise<void> {
  scene.clones.shift()!.answer(isCloned);
  await scene.turn();
}

test('a hold is answered when the changes in progress have ended; reads and flushes do not count', async () => {
  await io(OP.READ);
  await io(OP.FLUSH);
  await io(OP.WRITE);
  await io(OP.DISCARD, 8);
  hold(5);
  expect(scene.held).toEqual([]);
  await finish();
  await finish();
  await finish();
  expect(scene.held).toEqual([]);
  await finish();
  expect(scene.held).toEqual([5]);
});

test('changes wait in order, with FUA and without; reads and flushes pass', async () => {
  scene.storage.isFast = true;
  hold();
  expect(scene.held).toEqual([0]);
  await io(OP.WRITE);
  await io(OP.WRITE, 1, FLAG.FUA);
  await io(OP.DISCARD, 2, FLAG.FUA);
  await io(OP.ZERO, 3);
  expect(begun()).toEqual([]);
  await io(OP.READ);
  await io(OP.FLUSH);
  expect(begun()).toEqual(['READ', 'FLUSH']);
  await finish();
  expect(heard()).toEqual(['READ answer 4/1 status 0', 'FLUSH answer 5/1 status 0']);
  expect(scene.session.figures(true).volumes[0]).toMatchObject({ heldForSnapshot: 4, outstanding: 4 });
  goOn();
  expect(begun()).toEqual(['WRITE', 'WRITE', 'DISCARD', 'ZERO']);
  expect(scene.held).toEqual([0]);
  await io(OP.WRITE, 4);
  expect(begun()).toEqual(['WRITE']);
  expect(scene.session.figures(true).volumes[0]).toMatchObject({ heldForSnapshot: 0 });
});

test('a second hold is answered again', async () => {
  hold(0);
  await io(OP.WRITE);
  goOn();
  hold(1);
  expect(scene.held).toEqual([0]);
  await finish();
  expect(scene.held).toEqual([0, 1]);
});

test('a handle that is opened during the hold is held', async () => {
  hold();
  path.message(OP.OPEN, { slot: 254, seq: 1 }, OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false }));
  await scene.turn();
  expect(heard()).toEqual(['OPEN answer 254/1 status 0']);
  await io(OP.WRITE, 0, 0, 1, 2);
  expect(begun()).toEqual([]);
  goOn();
  expect(begun()).toEqual(['WRITE']);
});

test('a volume that is not held goes on', async () => {
  hold(0, 'other', 'another');
  expect(scene.held).toEqual([0]);
  await io(OP.WRITE);
  expect(begun()).toEqual(['WRITE']);
});

test('under guard, a change waits for its chunks only, and they are asked for once', async () => {
  goOn(4);
  await io(OP.WRITE, 0);
  await io(OP.WRITE, 1);
  await io(OP.DISCARD, CHUNK_SECTORS + 1);
  expect([begun(), asked()]).toEqual([[], ['0-0', '1-1']]);
  await cloned();
  expect(begun()).toEqual(['WRITE', 'WRITE']);
  await cloned();
  expect(begun()).toEqual(['DISCARD']);
  await io(OP.ZERO, 2, FLAG.NO_HOLE);
  expect(begun()).toEqual(['ZERO']);
});

test('a change over several chunks waits for all of them', async () => {
  goOn(4);
  await io(OP.WRITE, CHUNK_SECTORS);
  await io(OP.ZERO, 0, 0, 4 * CHUNK_SECTORS);
  expect(asked()).toEqual(['1-1', '0-3']);
  await cloned();
  expect(begun()).toEqual(['WRITE']);
  await cloned();
  expect(begun()).toEqual(['ZERO']);
});

test('changes at the edges of chunks: the last guarded sector waits, the first one beyond the copy does not', async () => {
  goOn(4);
  await io(OP.WRITE, 4 * CHUNK_SECTORS);
  expect(begun()).toEqual(['WRITE']);
  await io(OP.WRITE, 4 * CHUNK_SECTORS - 1, 0, 2);
  expect([begun(), asked()]).toEqual([[], ['3-3']]);
  await io(OP.WRITE, CHUNK_SECTORS - 1, 0, 2);
  expect(asked()).toEqual(['3-3', '0-1']);
});

test('waiting changes of a hold become waiting changes of the guard', async () => {
  hold();
  await io(OP.WRITE, 0);
  await io(OP.WRITE, 9 * CHUNK_SECTORS);
  goOn(4);
  expect([begun(), asked()]).toEqual([['WRITE'], ['0-0']]);
  goOn();
  expect(begun()).toEqual(['WRITE']);
  await cloned();
  expect(begun()).toEqual([]);
});

test('a moment that is over when chunks are asked for guards nothing', async () => {
  goOn(4);
  await io(OP.WRITE, 0);
  await io(OP.WRITE, CHUNK_SECTORS);
  await cloned(false);
  expect(begun()).toEqual(['WRITE', 'WRITE']);
});

test('a handle that is revoked ends its waiting changes with STALE, and reports that nothing is executed', async () => {
  await io(OP.WRITE);
  hold();
  await io(OP.WRITE, 1);
  let isRevoked = false;
  void scene.session.revoke('id', 1).then(() => (isRevoked = true));
  await scene.turn();
  expect(heard()).toEqual([`WRITE answer 1/1 status ${STALE}`]);
  await finish();
  expect(scene.held).toEqual([0]);
  await finish();
  expect([isRevoked, begun()]).toEqual([true, ['WRITE', 'FLUSH']]);
  goOn();
  expect(begun()).toEqual([]);
});

test('the end of the session does not wait for the end of the hold', async () => {
  hold();
  await io(OP.WRITE);
  let hasEnded = false;
  void scene.session.end('E_NO_SESSION', 'It ends').then(() => (hasEnded = true));
  await scene.turn();
  expect(heard()[0]).toBe(`WRITE answer 0/1 status ${STALE}`);
  await finish();
  expect(hasEnded).toBe(true);
  expect(scene.pools.bodies.lent.size).toBe(0);
});

test('a copy of a waiting change is not executed a second time', async () => {
  hold();
  await io(OP.WRITE);
  const other = scene.path();
  other.io(OP.WRITE, { slot: 0, seq: 1 });
  await scene.turn();
  goOn();
  await finish();
  expect(begun()).toEqual(['WRITE']);
  expect([heard(), other.heard]).toEqual([['WRITE answer 0/1 status 0'], ['WRITE answer 0/1 status 0']]);
});

test('one volume is guarded for a moment while another one is held for the next; each end concerns its own volume', async () => {
  hold(1);
  goOn(4, 1);
  hold(2, 'other');
  expect(scene.held).toEqual([1, 2]);
  await io(OP.WRITE, CHUNK_SECTORS);
  expect([begun(), scene.clones.map(({ request: { number } }) => number)]).toEqual([[], [1]]);
  goOn(null, 2);
  await io(OP.WRITE, 2 * CHUNK_SECTORS);
  expect(begun()).toEqual([]);
  goOn(null, 1);
  await scene.turn();
  expect(begun()).toHaveLength(2);
});
