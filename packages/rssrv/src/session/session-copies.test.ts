// Tests slots while the storage is busy: on which path each copy is answered, and what the end of a session waits for.
// test/conformance/server/ tests forbidden frames of a client, copies of finished requests, and fences. test/sim runs correct clients at
// random. Rules: G1.

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
