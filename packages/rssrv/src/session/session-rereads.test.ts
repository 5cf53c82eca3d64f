// Tests READs that are executed again for late copies: one execution answers all copies of a request, the bytes of all executions are
// bounded, and copies that would exceed the bound count as not yet received. No correct client loses a path because of the bound.
// session-copies.test.ts tests copies of other requests.

import { describe, expect, test, vi } from 'vitest';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { IO_MAX_SECTORS } from '@rsio/protocol/wire/limits';
import { REREAD_MAX_BYTES } from './limits.ts';
import { OP } from '@rsio/protocol/wire/frames';
import { Ping } from '@rsio/protocol/wire/messages';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

/** seq wraps after 4 values in these tests, so that a tag soon repeats. */
const MODULUS = 4;
vi.mock('@rsio/protocol/link/limits', async (original) => ({ ...(await original<object>()), SEQ_MODULUS: 4 }));

const RUNS_MAX = REREAD_MAX_BYTES / BODY_MAX_BYTES;

/** Returns a scene in which READs of the largest size in slots 0 to `count - 1` are done and were answered on the first path. */
async function sceneWithDoneReads(paths: number, count: number): Promise<{ scene: SessionScene; paths: RawPath[] }> {
  const scene = new SessionScene();
  const list = Array.from({ length: paths }, () => scene.path());
  await scene.turn();
  await scene.open(list[0]!);
  for (let slot = 0; slot < count; slot++) {
    list[0]!.io(OP.READ, { slot, seq: 1 }, 0, IO_MAX_SECTORS);
    await scene.turn();
    scene.storage.finish();
    await scene.turn();
  }
  scene.storage.begun.length = 0;
  return { scene, paths: list };
}

async function copies(scene: SessionScene, path: RawPath, count: number, seq = 1): Promise<void> {
  for (let slot = 0; slot < count; slot++) path.io(OP.READ, { slot, seq }, 0, IO_MAX_SECTORS);
  await scene.turn();
}

async function finishAll(scene: SessionScene): Promise<void> {
  while (scene.storage.waiting.length > 0) {
    scene.storage.finish();
    await scene.turn();
  }
}

describe('late copies of a READ', () => {
  test('are read again once, and each is answered on its own path', async () => {
    const { scene, paths } = await sceneWithDoneReads(3, 1);
    await copies(scene, paths[1]!, 1);
    await copies(scene, paths[2]!, 1);
    expect(scene.storage.begun).toEqual(['READ']);
    await finishAll(scene);
    expect(paths.slice(1).map(({ heard }) => heard)).toEqual([['READ answer 0/1 status 0'], ['READ answer 0/1 status 0']]);
    await copies(scene, paths[1]!, 1);
    expect(scene.storage.begun).toEqual(['READ', 'READ']);
  });

  test('beyond the bound wait, keep their path, take no memory, and delay neither heartbeats nor writes', async () => {
    const { scene, paths } = await sceneWithDoneReads(2, RUNS_MAX + 3);
    await copies(scene, paths[1]!, RUNS_MAX + 3);
    expect(scene.storage.begun).toHaveLength(RUNS_MAX);
    expect([...scene.pools.bodies.lent].reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(REREAD_MAX_BYTES);
    const ping = Ping.encode({ number: 1, clockMs: 0, heard: 0, oldestMs: 0, generation: 0 });
    paths[1]!.message(OP.PING, { slot: 0, seq: 0 }, ping);
    paths[1]!.io(OP.WRITE, { slot: 100, seq: 1 });
    await scene.turn();
    expect(paths[1]!.heard).toEqual(['PONG 0']);
    expect(scene.storage.begun.at(-1)).toBe('WRITE');
    await finishAll(scene);
    const answers = Array.from({ length: RUNS_MAX + 3 }, (_unused, slot) => `READ answer ${slot}/1 status 0`);
    expect(paths[1]!.heard.filter((line) => line.startsWith('READ'))).toEqual(answers);
    expect(paths[1]!.closedReason).toBeNull();
    expect(scene.pools.bodies.lent.size).toBe(0);
  });

  test('on several paths share the bound, and all are answered', async () => {
    const { scene, paths } = await sceneWithDoneReads(4, RUNS_MAX + 2);
    const slots = RUNS_MAX + 2;
    for (const path of paths.slice(1)) await copies(scene, path, slots);
    expect(scene.storage.begun).toHaveLength(RUNS_MAX);
    await finishAll(scene);
    expect(paths.slice(1).map(({ heard }) => heard.length)).toEqual([slots, slots, slots]);
  });

  test('that wait are forgotten with their path, and others take their turn', async () => {
    const { scene, paths } = await sceneWithDoneReads(3, RUNS_MAX + 1);
    await copies(scene, paths[1]!, RUNS_MAX + 1);
    paths[0]!.connection.encoder.message(OP.FENCE, 0, 0, 0, 0, 1, Buffer.alloc(0));
    paths[0]!.connection.encoder.flush();
    await scene.turn();
    await finishAll(scene);
    expect(scene.storage.begun).toHaveLength(RUNS_MAX);
    expect(paths[1]!.heard).toEqual([]);
    await copies(scene, paths[2]!, 1);
    await finishAll(scene);
    expect(paths[2]!.heard).toEqual(['READ answer 0/1 status 0']);
  });

  test('sent twice on one path before its answer close the path', async () => {
    const { scene, paths } = await sceneWithDoneReads(2, 1);
    await copies(scene, paths[1]!, 1);
    await copies(scene, paths[1]!, 1);
    expect(paths[1]!.closedReason).not.toBeNull();
  });

  test("that wait do not delay the session's end", async () => {
    const { scene, paths } = await sceneWithDoneReads(2, RUNS_MAX + 1);
    await copies(scene, paths[1]!, RUNS_MAX + 1);
    let hasEnded = false;
    void scene.session.end('E_SHUTTING_DOWN', 'over').then(() => {
      hasEnded = true;
    });
    await finishAll(scene);
    await scene.turn();
    expect([scene.storage.begun.filter((op) => op === 'READ').length, hasEnded]).toEqual([RUNS_MAX, true]);
  });

  test('do not join an execution of an earlier request with the same tag', async () => {
    const { scene, paths } = await sceneWithDoneReads(3, 1);
    // The READ is executed again for a late copy, and hangs in the storage. Before the READ ends, the path of the copy ends, so that the
    // client may use the slot again.
    scene.storage.fill = 1;
    await copies(scene, paths[1]!, 1);
    paths[0]!.connection.encoder.message(OP.FENCE, 0, 0, 0, 0, 1, Buffer.alloc(0));
    paths[0]!.connection.encoder.flush();
    await scene.turn();
    scene.storage.fill = 2;
    scene.storage.isFast = true;
    for (let use = 2; use <= MODULUS + 1; use++) {
      paths[0]!.io(OP.READ, { slot: 0, seq: use % MODULUS }, 0, IO_MAX_SECTORS);
      await scene.turn();
    }
    scene.storage.isFast = false;
    await copies(scene, paths[2]!, 1);
    await finishAll(scene);
    expect(paths[2]!.heard).toEqual(['READ answer 0/1 status 0']);
    expect([paths[2]!.bodies[0]?.[0], scene.pools.bodies.lent.size, paths[0]!.closedReason]).toEqual([2, 0, null]);
  });
});
