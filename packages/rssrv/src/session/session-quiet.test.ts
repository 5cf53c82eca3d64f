// A client that keeps its connections open and sends nothing, as a machine that stands still does, is reported to the listener with the time
// since its last frame; and again when it is heard.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { SERVER_DEAD_AFTER_MS } from '@rsio/protocol/link/limits';
import { beforeEach, expect, test } from 'vitest';
import { SessionScene } from '../testing/raw-client.ts';
import { CLIENT_QUIET_MS } from './limits.ts';

let scene: SessionScene;

beforeEach(() => {
  scene = new SessionScene();
});

function pass(ms: number): void {
  for (let passed = 0; passed < ms; passed += HEARTBEAT_INTERVAL_MS) scene.clock.advance(HEARTBEAT_INTERVAL_MS);
}

test('a client is quiet when no path has received anything, and is told once', async () => {
  const [first, second] = [scene.path(), scene.path()];
  await scene.open(first);
  pass(2 * HEARTBEAT_INTERVAL_MS);
  second.io(OP.READ, { slot: 3, seq: 1 });
  await scene.turn();
  pass(2 * HEARTBEAT_INTERVAL_MS);
  expect(scene.quiet, 'one path is enough').toEqual([]);
  pass(4 * HEARTBEAT_INTERVAL_MS);
  expect(scene.quiet).toHaveLength(1);
  expect(scene.quiet[0]).toBeGreaterThan(CLIENT_QUIET_MS);
  expect(scene.quiet[0]).toBeLessThanOrEqual(3 * HEARTBEAT_INTERVAL_MS);
  first.io(OP.READ, { slot: 4, seq: 1 });
  await scene.turn();
  pass(HEARTBEAT_INTERVAL_MS);
  expect(scene.quiet.slice(1)).toEqual([null]);
});

test('when the paths of a quiet client are closed, it stays quiet until it has a new one', () => {
  scene.path();
  pass(SERVER_DEAD_AFTER_MS + 2 * HEARTBEAT_INTERVAL_MS);
  expect([scene.pathCounts.at(-1), scene.quiet.length]).toEqual([0, 1]);
  expect(scene.quiet[0]).toBeGreaterThanOrEqual(CLIENT_QUIET_MS);
  scene.path();
  expect(scene.quiet.slice(1)).toEqual([null]);
});
