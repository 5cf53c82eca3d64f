// Tests an interface that leaves the server's list: the client gets NOTIFY, has time to close its paths on this interface, and then gets
// BYE on the paths that remain there; other paths stay. test/integration tests how the listener notifies a session.

import { expect, test } from 'vitest';
import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { UNLISTED_PATH_MS } from './limits.ts';
import { OP } from '@rsio/protocol/wire/frames';
import { AT, type RawPath, SessionScene } from '../testing/raw-client.ts';

const OTHER = { name: 'if1', address: '127.46.0.10', port: 5000 };

async function twoPaths(): Promise<{ scene: SessionScene; first: RawPath; second: RawPath }> {
  const scene = new SessionScene();
  scene.session.listChanged([AT, OTHER], 2);
  const first = scene.path();
  const second = scene.path([], OTHER);
  await scene.turn();
  return { scene, first, second };
}

test("every path is sent the new number; the unlisted one ends with a message, after the client's time", async () => {
  const { scene, first, second } = await twoPaths();
  scene.session.listChanged([AT], 3);
  await scene.turn();
  expect([first.heard, second.heard]).toEqual([['NOTIFY 3'], ['NOTIFY 3']]);
  scene.clock.advance(UNLISTED_PATH_MS - HEARTBEAT_INTERVAL_MS);
  expect(second.closedReason).toBeNull();
  scene.clock.advance(2 * HEARTBEAT_INTERVAL_MS);
  expect(second.heard).toEqual(['NOTIFY 3', 'BYE 0']);
  expect(second.bodies[1]?.toString()).toContain('E_DRAINING');
  expect(second.closedReason).not.toBeNull();
  expect(first.heard).toEqual(['NOTIFY 3']);
  expect(first.closedReason).toBeNull();
});

test('requests on the unlisted path are executed and answered meanwhile', async () => {
  const { scene, second } = await twoPaths();
  await scene.open(second);
  scene.session.listChanged([AT], 3);
  second.io(OP.WRITE, { slot: 1, seq: 1 });
  await scene.turn();
  scene.storage.finish();
  await scene.turn();
  expect(second.heard).toEqual(['NOTIFY 3', 'WRITE answer 1/1 status 0']);
});

test('a further change of the list does not extend the time', async () => {
  const { scene, second } = await twoPaths();
  for (let generation = 3; scene.clock.monotonicMs() < UNLISTED_PATH_MS + 2 * HEARTBEAT_INTERVAL_MS; generation++) {
    scene.session.listChanged([AT], generation);
    scene.clock.advance(HEARTBEAT_INTERVAL_MS);
  }
  expect(second.closedReason).not.toBeNull();
});

test('an interface that returns in time keeps its paths, whatever its spelling and name', async () => {
  const { scene, second } = await twoPaths();
  scene.session.listChanged([AT], 3);
  scene.clock.advance(UNLISTED_PATH_MS / 2);
  scene.session.listChanged([AT, { ...OTHER, name: 'lan1' }], 4);
  scene.clock.advance(2 * UNLISTED_PATH_MS);
  expect(second.closedReason).toBeNull();
});

test('another port is another interface, and a path that joins late by the old one ends too', async () => {
  const { scene, first } = await twoPaths();
  scene.session.listChanged([{ ...AT, port: 6000 }, OTHER], 3);
  const late = scene.path();
  scene.clock.advance(UNLISTED_PATH_MS + 2 * HEARTBEAT_INTERVAL_MS);
  expect([first.closedReason, late.closedReason]).not.toContain(null);
});
