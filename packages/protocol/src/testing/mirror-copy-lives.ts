// Runs random simulations of a mirror with a copier. A simulation begins with the state that an earlier holder has left. Users write,
// replicas crash, lose sessions, leave and return, and writes are abandoned. The world checks its rules after each step.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { MIRROR_REGION_BYTES } from '../wire/limits.ts';
import { MirrorCopyWorld } from './mirror-copy-world.ts';
import { BLOCK_BYTES } from './mirror-replicas.ts';

/**
 * Added to the seed for the choice of a replica that may lack writes, so that this choice does not draw the same random numbers as the
 * others.
 */
const LOSSES = 1_000_003;

/**
 * Makes the state that an earlier holder has left: replicas whose caches and disks differ, but only in regions that their intent maps
 * contain.
 */
function leave(world: MirrorCopyWorld, random: SeededRandom, isClean: boolean): void {
  const regions = Math.ceil((world.blocks * BLOCK_BYTES) / MIRROR_REGION_BYTES);
  for (let region = 0; region < regions; region++) {
    if (random.chance(0.4)) continue;
    for (const replica of world.replicas) {
      if (random.chance(0.2)) continue;
      replica.map.add(region);
      for (let block = region * 8; block < Math.min((region + 1) * 8, world.blocks); block++) {
        if (isClean || random.chance(0.5)) continue;
        replica.cache[block] = 1_000_000 + random.int(0, 1_000);
        if (random.chance(0.5)) replica.disk[block] = replica.cache[block]!;
      }
    }
  }
}

/** Puts one replica out of sync, and gives it different content in regions that only its own intent map contains. */
function estrange(world: MirrorCopyWorld, random: SeededRandom): void {
  const replica = world.replicas.at(-1)!;
  world.setReturning(replica);
  for (let block = 0; block < world.blocks; block++) if (random.chance(0.3)) replica.write(block, 2_000_000 + block);
}

/** Runs the simulation with this seed. Returns the violated rule; null if no rule was violated. `grows`: true if the volume also grows. */
export function live(seed: number, grows = false): string | null {
  const growth = new SeededRandom(seed);
  const losses = new SeededRandom(seed + LOSSES);
  const random = new SeededRandom(seed);
  const isClean = random.chance(0.3);
  const world = new MirrorCopyWorld(random, random.int(1, 3), MIRROR_REGION_BYTES * random.int(1, 2) + BLOCK_BYTES * random.int(0, 7));
  leave(world, random, isClean);
  if (world.replicas.length > 1 && random.chance(0.3)) estrange(world, random);
  if (seed % 2 === 0) world.kept.lacking.add(losses.pick(world.replicas).identity);
  if (random.chance(0.3)) world.copier.setRate(random.int(1, 64) * 1024 * 1024);
  world.begin(isClean);
  const faults = random.pick([0, 0.01, 0.04]);
  const writes = random.pick([0, 0.02, 0.2]);
  const flushes = random.pick([0, 0.05]);
  for (let step = 0; step < 250; step++) {
    if (random.chance(writes)) world.write();
    if (random.chance(faults)) world.crash();
    if (random.chance(faults)) world.loseSession();
    if (random.chance(faults)) world.remove();
    if (random.chance(faults)) world.abandonWrite();
    if (random.chance(flushes)) world.flush();
    if (random.chance(0.05)) world.squeeze();
    if (random.chance(0.05)) world.hurry();
    if (random.chance(0.03)) world.setPending(random.chance(0.3));
    if (random.chance(0.05)) world.settleRoles();
    if (random.chance(0.02)) world.pause();
    if (grows && growth.chance(0.02)) world.grow(growth.int(1, 3));
    if (world.isPaused && random.chance(0.1)) world.resume();
    world.proceed();
    const wrong = world.check();
    if (wrong !== null) return `seed ${seed}, step ${step}: ${wrong}`;
  }
  const isQuiet = world.quiesce();
  const wrong = world.check();
  if (wrong !== null) return `seed ${seed}, at the end: ${wrong}`;
  if (!isQuiet)
    return `seed ${seed}: does not come to rest: ${[...world.roles.values()].join(' ')}, ${world.unsettled.count} unsettled, ${world.touched.count} touched`;
  return null;
}
