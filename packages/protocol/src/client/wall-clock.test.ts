// Tests that no wait becomes shorter or longer if the machine's clock is set back or forward while paths are in use.
// Every seed of the simulator tests I/O while the clock jumps.

import { expect, test } from 'vitest';
import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';

const HOUR_MS = 3_600_000;
const STEP_MS = 10;

/**
 * Runs a scene in which two paths lead to a server that answers PINGs. One path falls silent during a READ, and then the clock jumps by
 * `jumpMs`. Returns the events with their times.
 */
function storyWithJump(jumpMs: number): string[] {
  const scene = new TrunkScene(2);
  scene.server.answersPings = true;
  scene.start();
  scene.clock.advance(HEARTBEAT_INTERVAL_MS * 2);
  scene.network.routes[0]?.stand('back', true);
  scene.submit(OP.READ, { count: 1, bodyBytes: SECTOR_BYTES, buffer: Buffer.alloc(SECTOR_BYTES) });
  scene.clock.advance(1);
  scene.clock.jumpWall(jumpMs);
  const story: string[] = [];
  const isOver = (): boolean => scene.clock.monotonicMs() > DEAD_AFTER_MS * 5;
  for (let reported = 0; !isOver(); scene.clock.advance(STEP_MS)) {
    for (; reported < scene.moves.length; reported++) story.push(`${scene.clock.monotonicMs()} ms: ${scene.moves[reported]}`);
  }
  return [...story, `${scene.server.connections.length} connections`, `${scene.supervisors.map(({ deaths }) => deaths).join(' ')} deaths`];
}

test.each([
  ['back by an hour', -HOUR_MS],
  ['on by an hour', HOUR_MS],
  ['back by forty years', -40 * 365 * 24 * HOUR_MS],
])('set %s: a silent path is suspected, dead and tried again at the same moments', (_how, jumpMs) => {
  const without = storyWithJump(0);
  expect(without.join('\n')).toMatch(/up > suspect[^]*1 0 deaths/);
  expect(storyWithJump(jumpMs)).toEqual(without);
});
