// The rules of a session about slots, one by one: on which path each copy is answered, which path a fence closes, which requests close a
// path, and which requests the end of a session waits for. test/sim runs correct clients with random events.

import { describe, expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const TAG = { slot: 3, seq: 1 };

async function sceneWith(paths: number): Promise<{ scene: SessionScene; paths: RawPath[] }> {
  const scene = new SessionScene();
  const list = Array.from({ length: paths }, () => scene.path());
  await scene.turn();
  await scene.open(list[0]!);
  return { scene, paths: list };
}

describe('copies', () => {
  test('of an executing request are answered when it ends, each on its own path, and it runs once', async () => {
    const { scene, paths } = await sceneWith(3);
    for (const path of paths.slice(0, 2)) path.io(OP.WRITE, TAG);
    await scene.turn();
    expect(scene.storage.begun).toEqual(['WRITE']);
    scene.storage.finish();
    await scene.turn();
    expect(paths.map(({ heard }) => heard)).toEqual([['WRITE answer 3/1 status 0'], ['WRITE answer 3/1 status 0'], []]);
  });

  test('of a done request are answered from memory, with its own status', async () => {
    const { scene, paths } = await sceneWith(2);
    paths[0]!.io(OP.FLUSH, TAG);
    await scene.turn();
    scene.storage.finish(STATUS.NO_SPACE);
    paths[1]!.io(OP.FLUSH, TAG);
    await scene.turn();
    expect(scene.storage.begun).toEqual(['FLUSH']);
    expect(paths.map(({ heard }) => heard)).toEqual([
      [`FLUSH answer 3/1 status ${STATUS.NO_SPACE}`],
      [`FLUSH answer 3/1 status ${STATUS.NO_SPACE}`],
    ]);
  });

  test('of a done READ are read again; the slot may be reused meanwhile', async () => {
    const { scene, paths } = await sceneWith(2);
    scene.storage.fill = 1;
    paths[0]!.io(OP.READ, TAG);
    await scene.turn();
    scene.storage.finish();
    await scene.turn();
    scene.storage.fill = 2;
    paths[1]!.io(OP.READ, TAG);
    paths[0]!.io(OP.WRITE, { slot: 3, seq: 2 });
    await scene.turn();
    expect(scene.storage.begun).toEqual(['READ', 'READ', 'WRITE']);
    scene.storage.finish();
    scene.storage.finish();
    await scene.turn();
    expect(paths.map(({ heard }) => heard)).toEqual([
      ['READ answer 3/1 status 0', 'WRITE answer 3/2 status 0'],
      ['READ answer 3/1 status 0'],
    ]);
    expect([paths[0]!.bodies[0], paths[1]!.bodies[0]]).toEqual([Buffer.alloc(512, 1), Buffer.alloc(512, 2)]);
  });

  test('of an OPEN get the same handle, and the volume is opened once', async () => {
    const { scene, paths } = await sceneWith(2);
    const body = Buffer.from('83a46e616d65a66f7261636c65a8756e69766572736500a8726561646f6e6c79c2', 'hex');
    for (const path of paths) path.message(OP.OPEN, TAG, body);
    await scene.turn();
    paths[1]!.message(OP.OPEN, { slot: 4, seq: 1 }, body);
    await scene.turn();
    expect(paths[0]!.bodies[0]!.equals(paths[1]!.bodies[0]!)).toBe(true);
    expect(paths[1]!.bodies[0]!.equals(paths[1]!.bodies[1]!)).toBe(false);
  });

  test('get no answer when their path is gone, and no other path gets it', async () => {
    const { scene, paths } = await sceneWith(2);
    paths[0]!.io(OP.WRITE, TAG);
    await scene.turn();
    paths[0]!.connection.close('gone', true);
    await scene.turn();
    scene.storage.finish();
    await scene.turn();
    expect(paths[1]!.heard).toEqual([]);
    paths[1]!.io(OP.WRITE, TAG);
    await scene.turn();
    expect(paths[1]!.heard).toEqual(['WRITE answer 3/1 status 0']);
    expect(scene.storage.begun).toEqual(['WRITE']);
  });

  test('of an earlier seq are dropped', async () => {
    const { scene, paths } = await sceneWith(1);
    paths[0]!.io(OP.WRITE, { slot: 3, seq: 2 });
    paths[0]!.io(OP.WRITE, { slot: 3, seq: 0 });
    await scene.turn();
    expect([scene.storage.begun, paths[0]!.heard, paths[0]!.closedReason]).toEqual([[], [], null]);
  });
});

describe('a client that breaks the rules loses that path, nothing else', () => {
  const cases: readonly (readonly [string, (path: RawPath, other: RawPath) => void])[] = [
    ['a second unanswered copy on one path', (path) => [1, 2].forEach(() => path.io(OP.WRITE, TAG))],
    [
      'the next request in a slot before the last is answered',
      (path, other) => {
        other.io(OP.WRITE, TAG);
        path.io(OP.WRITE, { slot: 3, seq: 2 });
      },
    ],
    [
      'a copy that is another request',
      (path, other) => {
        other.io(OP.WRITE, TAG);
        path.io(OP.WRITE, TAG, 8);
      },
    ],
    ['a slot that was not granted', (path) => path.io(OP.WRITE, { slot: 256, seq: 1 })],
    ['an answer', (path) => path.io(OP.WRITE | 0x80, TAG)],
    ['a frame of the handshake', (path) => path.message(OP.HELLO, TAG, Buffer.alloc(0))],
    ["a frame of the server's", (path) => path.message(OP.NOTIFY, TAG, Buffer.alloc(0))],
    ['a PING that is none', (path) => path.message(OP.PING, TAG, Buffer.from('rubbish'))],
    ['a FENCE of itself', (path) => path.message(OP.FENCE, TAG, Buffer.alloc(0), 0, 1)],
    ['a FENCE of a path that never was', (path) => path.message(OP.FENCE, TAG, Buffer.alloc(0), 0, 7)],
  ];

  test.each(cases)('%s', async (_name, act) => {
    const { scene, paths } = await sceneWith(2);
    // paths[0] must be `other`, because its frames arrive before those of paths[1].
    act(paths[1]!, paths[0]!);
    await scene.turn();
    expect(paths.map(({ closedReason }) => closedReason !== null)).toEqual([false, true]);
    paths[0]!.io(OP.FLUSH, { slot: 9, seq: 1 });
    while (scene.storage.waiting.length > 0) scene.storage.finish();
    await scene.turn();
    scene.storage.finish();
    await scene.turn();
    expect(paths[0]!.heard.at(-1)).toBe('FLUSH answer 9/1 status 0');
  });
});

describe('fences', () => {
  test('FENCED is sent when the path is closed; unread requests of that path never run', async () => {
    const { scene, paths } = await sceneWith(2);
    paths[1]!.io(OP.WRITE, TAG);
    paths[0]!.message(OP.FENCE, TAG, Buffer.alloc(0), 0, 1);
    scene.clock.advance(0);
    await scene.turn();
    expect(paths[0]!.heard).toContain('FENCED 1');
    expect(paths[1]!.closedReason).not.toBeNull();
    const before = scene.storage.begun.length;
    await scene.turn();
    expect(scene.storage.begun.length).toBe(before);
  });

  test('a fence may be requested again', async () => {
    const { scene, paths } = await sceneWith(2);
    for (let times = 0; times < 2; times++) paths[0]!.message(OP.FENCE, TAG, Buffer.alloc(0), 0, 1);
    await scene.turn();
    expect(paths[0]!.heard).toEqual(['FENCED 1', 'FENCED 1']);
  });

  test('a join closes the paths it names before its WELCOME', async () => {
    const { scene, paths } = await sceneWith(2);
    const joined = scene.path([1, 77]);
    expect(Reflect.get(scene.session, 'paths').has(1)).toBe(false);
    await scene.turn();
    expect([paths[0]!.closedReason, paths[1]!.closedReason === null, joined.closedReason]).toEqual([null, false, null]);
  });
});

describe('the end of a session', () => {
  test('answers running requests, starts no new one, flushes, closes, and sends BYE', async () => {
    const { scene, paths } = await sceneWith(1);
    paths[0]!.io(OP.WRITE, TAG);
    await scene.turn();
    let isEnded = false;
    void scene.session.end('E_SHUTTING_DOWN', 'The server ends').then(() => (isEnded = true));
    paths[0]!.io(OP.WRITE, { slot: 4, seq: 1 }, 8);
    await scene.turn();
    expect([scene.storage.begun, isEnded]).toEqual([['WRITE'], false]);
    scene.storage.finish();
    await scene.turn();
    expect([scene.storage.begun, isEnded, scene.storage.isClosed]).toEqual([['WRITE', 'FLUSH'], false, false]);
    scene.storage.finish();
    await scene.turn();
    expect([isEnded, scene.storage.isClosed]).toEqual([true, true]);
    expect(paths[0]!.heard).toEqual(['WRITE answer 3/1 status 0', 'BYE 0']);
    expect([scene.clock.timersPending, scene.pools.bodies.lent.size, scene.pools.outputs.lent.size]).toEqual([0, 0, 0]);
  });

  // Regression: a second call of `end` resolved while the first call was still flushing, and the first call never resolved.
  test('is one end if it is requested twice', async () => {
    const { scene, paths } = await sceneWith(1);
    paths[0]!.io(OP.WRITE, TAG);
    await scene.turn();
    const ended: number[] = [];
    for (const which of [1, 2]) void scene.session.end('E_SHUTTING_DOWN', 'The server ends').then(() => ended.push(which));
    scene.storage.finish();
    await scene.turn();
    void scene.session.end('E_SHUTTING_DOWN', 'The server ends').then(() => ended.push(3));
    await scene.turn();
    expect([ended, scene.storage.begun]).toEqual([[], ['WRITE', 'FLUSH']]);
    scene.storage.finish();
    await scene.turn();
    expect(ended).toEqual([1, 2, 3]);
  });

  test('waits for a READ that is being read again', async () => {
    const { scene, paths } = await sceneWith(2);
    paths[0]!.io(OP.READ, TAG);
    await scene.turn();
    scene.storage.finish();
    paths[1]!.io(OP.READ, TAG);
    await scene.turn();
    let isEnded = false;
    void scene.session.end('E_SHUTTING_DOWN', 'The server ends').then(() => (isEnded = true));
    await scene.turn();
    expect(scene.storage.begun).toEqual(['READ', 'READ']);
    scene.storage.finish();
    await scene.turn();
    scene.storage.finish();
    await scene.turn();
    expect([isEnded, paths[1]!.heard[0]]).toEqual([true, 'READ answer 3/1 status 0']);
  });

  test('refuses a path that joins late', async () => {
    const { scene } = await sceneWith(1);
    const ended = scene.session.end('E_SHUTTING_DOWN', 'The server ends');
    await scene.turn();
    scene.storage.finish();
    await ended;
    const late = scene.path();
    await scene.turn();
    expect(late.heard).toEqual(['BYE 0']);
  });
});

describe('handles', () => {
  test('CLOSE waits for nothing: it is refused while requests of the handle are executing', async () => {
    const { scene, paths } = await sceneWith(1);
    paths[0]!.io(OP.WRITE, TAG);
    paths[0]!.message(OP.CLOSE, { slot: 4, seq: 1 }, Buffer.alloc(0), 1);
    await scene.turn();
    expect(paths[0]!.heard).toEqual([`CLOSE answer 4/1 status ${STATUS.BAD_REQUEST}`]);
    scene.storage.finish();
    paths[0]!.message(OP.CLOSE, { slot: 5, seq: 1 }, Buffer.alloc(0), 1);
    await scene.turn();
    // On a handle that is closing, no request is started.
    paths[0]!.io(OP.WRITE, { slot: 6, seq: 1 });
    await scene.turn();
    scene.storage.finish();
    await scene.turn();
    expect(paths[0]!.heard.slice(1)).toEqual([
      'WRITE answer 3/1 status 0',
      `WRITE answer 6/1 status ${STATUS.STALE}`,
      'CLOSE answer 5/1 status 0',
    ]);
    expect(scene.released).toEqual(['id']);
  });
});
