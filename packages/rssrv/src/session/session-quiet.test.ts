// Tests a client that keeps its connections open but sends nothing, as a machine that stands still does. The session reports this client to
// the listener with the time since its last frame, and reports it again when it is heard.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { SERVER_DEAD_AFTER_MS } from '@rsio/protocol/link/limits';
import { beforeEach, expect, test } from 'vitest';
import { SessionScene } from '../testing/raw-client.ts';
import { CLIENT_QUIET_MS } from './limits.ts';
import { PathReports } from './path-reports.ts';

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

/** Makes reports about two paths. The test sets the clock, and the time of the last frame on each path. */
function reports() {
  let nowMs = 0;
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
  const quiet: (number | null)[] = [];
  const clock = { monotonicMs: () => nowMs, wallMs: () => nowMs, after: () => ({ cancel: () => undefined }), soon: () => undefined };
  const at = { name: 'if0', address: '127.0.0.1', port: 5000, isDraining: false };
  const paths = new Map([0, 1].map((number) => [number, { number, arrivedAt: at, lastReceivedMs: 0 }]));
  const all = new PathReports({ clock, log, pathsChanged: () => undefined, quietChanged: (ms) => quiet.push(ms) }, paths);
  const pass = (ms: number): void => {
    nowMs += ms;
    all.look();
  };
  return { all, paths, quiet, pass };
}

test('a client that was heard on a path that has ended since is not quiet because an older path is', () => {
  const { all, paths, quiet, pass } = reports();
  const first = paths.get(0)!;
  for (let second = 1; second <= 10; second++) {
    first.lastReceivedMs = second * HEARTBEAT_INTERVAL_MS;
    pass(HEARTBEAT_INTERVAL_MS);
  }
  paths.delete(0);
  all.changed(first, 'ended');
  expect(quiet).toEqual([]);
  pass(HEARTBEAT_INTERVAL_MS);
  expect(quiet).toEqual([]);
  pass(2 * HEARTBEAT_INTERVAL_MS);
  expect(quiet).toEqual([3 * HEARTBEAT_INTERVAL_MS]);
});

test('a server process that stood still does not take its clients for quiet when it goes on', () => {
  const { paths, quiet, pass } = reports();
  pass(HEARTBEAT_INTERVAL_MS);
  pass(60 * HEARTBEAT_INTERVAL_MS);
  expect(quiet).toEqual([]);
  paths.get(0)!.lastReceivedMs = 61 * HEARTBEAT_INTERVAL_MS;
  pass(HEARTBEAT_INTERVAL_MS);
  expect(quiet).toEqual([]);
});
