// Runs random simulations of a mirror with one replica that is larger than the mirror and has old content beyond the mirror's end. The
// mirror grows over this content while users write and replicas crash, leave and return. The world checks its rules after each step.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { regionsOf } from '../mirror/region-set.ts';
import { MIRROR_REGION_BYTES } from '../wire/limits.ts';
import { MirrorCopyWorld } from './mirror-copy-world.ts';
import { BLOCK_BYTES } from './mirror-replicas.ts';

const OLD = 9_000_000;
const STEPS = 300;

/** Runs the simulation with this seed. Returns the violated rule; null if no rule was violated. */
export function beyondLife(seed: number): string | null {
  const random = new SeededRandom(seed);
  const world = new MirrorCopyWorld(random, random.int(2, 3), MIRROR_REGION_BYTES + BLOCK_BYTES * random.int(0, 7));
  const larger = random.pick(world.replicas);
  for (let left = random.int(1, 12); left > 0; left--) larger.cache.push(OLD + left);
  larger.disk = [...larger.cache];
  larger.open();
  for (const { map, cache } of world.replicas) map.addFirst(regionsOf(cache.length * BLOCK_BYTES));
  if (larger !== world.replicas[0] && random.chance(0.3)) world.setReturning(larger);
  world.begin(true);
  const faults = random.pick([0, 0.01, 0.03]);
  const writes = random.pick([0, 0.02, 0.2]);
  for (let step = 0; step < STEPS; step++) {
    if (random.chance(writes)) world.write();
    if (random.chance(faults)) world.crash();
    if (random.chance(faults)) world.loseSession();
    if (random.chance(faults)) world.remove();
    if (random.chance(0.05)) world.settleRoles();
    if (random.chance(0.01)) world.grow(random.int(1, 3));
    world.proceed();
    const wrong = world.check();
    if (wrong !== null) return `seed ${seed}, step ${step}: ${wrong}`;
  }
  world.grow(Math.max(1, larger.cache.length - world.blocks));
  const isQuiet = world.quiesce();
  const wrong = world.check();
  if (wrong !== null) return `seed ${seed}, at the end: ${wrong}`;
  return isQuiet ? null : `seed ${seed}: does not come to rest`;
}
