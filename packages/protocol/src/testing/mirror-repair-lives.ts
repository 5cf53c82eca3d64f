// Runs random simulations of a mirror whose replicas are compared and repaired while one of three replicas is out of sync. Some replicas
// have wrong blocks on disk in regions that no intent map contains. After each step, blocks that the report calls repaired must be equal.
// Only the first bytes of a block have its content, so repairs of other bytes are not checked.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { CopyBuffers } from '../mirror/copy/copy-buffers.ts';
import { Verifier } from '../mirror/verify/verifier.ts';
import { MIRROR_REGION_BYTES } from '../wire/limits.ts';
import { MirrorCopyWorld } from './mirror-copy-world.ts';
import { BLOCK_BYTES } from './mirror-replicas.ts';

const WRONG = 7_000_000;
const MIB = 1 << 20;
const STEPS = 800;

/** Runs the simulation with this seed. Returns the violated rule; null if no rule was violated. */
export function repairLife(seed: number): string | null {
  const random = new SeededRandom(seed);
  const world = new MirrorCopyWorld(random, 3, MIRROR_REGION_BYTES + BLOCK_BYTES * random.int(0, 7));
  const [, wrong, away] = world.replicas;
  for (let block = 0; block < world.blocks; block++) {
    if (random.chance(0.7)) continue;
    for (const replica of random.chance(0.5) ? [wrong!, away!] : [wrong!]) {
      replica.cache[block] = WRONG + block;
      replica.disk[block] = WRONG + block;
    }
  }
  world.setReturning(away!);
  if (random.chance(0.7)) away!.map.addFirst(2);
  world.copier.setRate(random.int(1, 8) * MIB);
  world.begin(true);
  const order = { isRepair: true, source: random.chance(0.5) ? 'r0' : null };
  const verifier = new Verifier(world.clock, world.io, new CopyBuffers(), order, {
    lost: (identity, why) => {
      throw new Error(`${identity} is lost: ${why}`);
    },
  });
  world.follow((view) => verifier.setView(view));
  const faults = random.pick([0, 0.005, 0.02]);
  const writes = random.pick([0, 0.02, 0.2]);
  const returns = random.pick([0, 0.03]);
  const repaired = (): string | null => {
    const ranges = verifier.report.ranges.filter(({ isRepaired }) => isRepaired);
    for (const { beginBytes, endBytes } of ranges)
      for (let block = Math.ceil(beginBytes / BLOCK_BYTES); block * BLOCK_BYTES < endBytes; block++) {
        const sentence = world.wrongBlock(block);
        if (sentence !== null) return sentence;
      }
    return null;
  };
  for (let step = 0; step < STEPS; step++) {
    if (random.chance(writes)) world.write();
    if (random.chance(faults)) world.crash();
    if (random.chance(faults)) world.loseSession();
    if (random.chance(faults)) world.remove();
    if (random.chance(returns)) world.settleRoles();
    world.proceed();
    const sentence = repaired();
    if (sentence !== null) return `seed ${seed}, step ${step}: ${sentence}`;
  }
  world.quiesce();
  const sentence = repaired();
  return sentence === null ? null : `seed ${seed}, at the end: ${sentence}`;
}
