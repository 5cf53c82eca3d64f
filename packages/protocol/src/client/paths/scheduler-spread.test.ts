// Tests how evenly requests spread over equal links, in virtual time, if the links are not the bottleneck. scheduler-links.test.ts tests
// links that differ or fail.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { LinkWorld, ModelUser } from '../../testing/link-world.ts';
import { OP } from '../../wire/frames.ts';

const KIB = 1024;
const EIGHT = Array.from({ length: 8 }, () => 1000);

/** Returns each path's throughput during `ms`, relative to the average of all paths. */
function shares(world: LinkWorld, ms: number): number[] {
  for (const path of world.paths) path.bodyBytes = 0;
  world.run(ms);
  const sum = world.paths.reduce((all, { bodyBytes }) => all + bodyBytes, 0);
  return world.paths.map(({ bodyBytes }) => (bodyBytes * world.paths.length) / sum);
}

describe.each([
  { name: 'reading', op: OP.READ },
  { name: 'writing', op: OP.WRITE },
])('$name', ({ op }) => {
  test.each([
    { where: 'client', clientMs: 0.012, serverMs: 0.001 },
    { where: 'server', clientMs: 0.001, serverMs: 0.012 },
    { where: 'client and the server', clientMs: 0.008, serverMs: 0.008 },
  ])('a busy processor of the $where leaves no link unused', ({ clientMs, serverMs }) => {
    for (let seed = 1; seed <= 2; seed++) {
      const world = new LinkWorld(EIGHT);
      const random = new SeededRandom(seed);
      for (const [processor, requestMs] of [
        [world.client, clientMs],
        [world.server, serverMs],
      ] as const) {
        processor.requestMs = requestMs;
        processor.awayMs = () => (random.chance(0.1) ? random.unit() : 0);
      }
      new ModelUser(world, op, 8 * KIB, 128);
      world.run(300);
      const spread = shares(world, 700);
      expect(Math.min(...spread), spread.join(' ')).toBeGreaterThan(0.5);
      expect(Math.max(...spread), spread.join(' ')).toBeLessThan(1.4);
    }
  });
});
