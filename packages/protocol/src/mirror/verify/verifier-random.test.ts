// Tests the verifier in random simulations of a mirror, while users write and replicas crash, leave and return. The verifier never reports
// equal blocks as different, and it finds and repairs all blocks that the test has made different. A verifier that takes no lock fails
// these tests. Rules: M12, G36.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../testing/mirror-replicas.ts';
import { MirrorCopyWorld } from '../../testing/mirror-copy-world.ts';
import { repairLife } from '../../testing/mirror-repair-lives.ts';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import { CopyBuffers } from '../copy/copy-buffers.ts';
import { Verifier, type VerifyIo, type VerifyOrder } from './verifier.ts';

const SEEDS = Number(process.env['VERIFY_SEEDS'] ?? 25);
const CHECK: VerifyOrder = { isRepair: false, source: null };

interface Life {
  readonly world: MirrorCopyWorld;
  readonly verifier: Verifier;
  readonly random: SeededRandom;
}

function born(seed: number, order: VerifyOrder, ioOf: (io: VerifyIo) => VerifyIo = (io) => io): Life {
  const random = new SeededRandom(seed);
  const world = new MirrorCopyWorld(random, random.int(2, 3), MIRROR_REGION_BYTES + BLOCK_BYTES * random.int(0, 7));
  world.begin(true);
  const verifier = new Verifier(world.clock, ioOf(world.io), new CopyBuffers(), order, {
    lost: (identity, why) => {
      throw new Error(`${identity} is lost: ${why}`);
    },
  });
  if (random.chance(0.3)) verifier.setRate(random.int(8, 64) * 1024 * 1024);
  world.follow((view) => verifier.setView(view));
  return { world, verifier, random };
}

/** Runs the simulation with faults until the verifier has compared everything, and then without faults. */
function live({ world, verifier, random }: Life, faults: number, writes: number, removals = faults): void {
  for (let step = 0; step < 3_000 && verifier.report.isRunning; step++) {
    if (random.chance(writes)) world.write();
    if (random.chance(faults)) world.crash();
    if (random.chance(faults)) world.loseSession();
    if (random.chance(removals)) world.remove();
    if (random.chance(faults)) world.abandonWrite();
    if (random.chance(0.05)) world.settleRoles();
    world.proceed();
    if (random.chance(0.2)) world.clock.advance(random.int(0, 20));
  }
  for (let round = 0; round < 50 && verifier.report.isRunning; round++) world.quiesce();
  expect(verifier.report).toMatchObject({ isRunning: false, stopped: null });
}

test('replicas that are equal are never said to differ', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const life = born(seed, CHECK);
    live(life, life.random.pick([0, 0.01, 0.03]), life.random.pick([0.05, 0.3]));
    expect({ seed, ...life.verifier.report }).toMatchObject({ seed, differentBytes: 0, ranges: [] });
    expect(life.verifier.report.comparedBytes).toBe(life.verifier.report.sizeBytes);
  }
});

test('without the lock, they are', () => {
  const free = { release: (): void => undefined };
  const unlocked = (io: VerifyIo): VerifyIo => ({
    ...io,
    get outstanding() {
      return io.outstanding;
    },
    lock: (_begin, _end, granted) => {
      granted();
      return free;
    },
  });
  let alarms = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const life = born(seed, CHECK, unlocked);
    live(life, 0, 0.3);
    if (life.verifier.report.differentBytes > 0) alarms++;
  }
  expect(alarms).toBeGreaterThan(0);
});

/** Changes blocks of one replica, in its cache and on its disk, without setting their bits in an intent map. Returns these blocks. */
function corrupt({ world, random }: Life): number[] {
  const victim = random.pick(world.replicas);
  const blocks = [...victim.cache.keys()].filter(() => random.chance(0.2));
  for (const block of blocks) {
    victim.cache[block] = 7_000_000 + block;
    victim.disk[block] = 7_000_000 + block;
  }
  return blocks;
}

test('what was made to differ is found, and nothing else', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const life = born(seed, CHECK);
    const blocks = corrupt(life);
    live(life, 0, 0);
    const { ranges, differentBytes } = life.verifier.report;
    const found = blocks.filter((block) =>
      ranges.some((one) => one.beginBytes <= block * BLOCK_BYTES && block * BLOCK_BYTES < one.endBytes),
    );
    expect({ seed, found }).toEqual({ seed, found: blocks });
    expect({ seed, differentBytes }).toEqual({ seed, differentBytes: blocks.length * BLOCK_BYTES });
  }
});

test('a repair makes them equal to the replica that is named, while users write', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed);
    const source = random.chance(0.5) ? 'r1' : null;
    const life = born(seed, { isRepair: true, source });
    const blocks = corrupt(life);
    const right = life.world.replicas.find(({ identity }) => identity === (source ?? 'r0'))!;
    const before = [...right.cache];
    const hasUsers = random.chance(0.5);
    live(life, 0, hasUsers ? 0.05 : 0);
    life.world.quiesce();
    const { differentBytes, repairedBytes } = life.verifier.report;
    expect({ seed, repairedBytes }).toEqual({ seed, repairedBytes: differentBytes });
    if (!hasUsers && blocks.length > 0) expect(repairedBytes).toBeGreaterThan(0);
    for (const replica of life.world.replicas) expect({ seed, cache: replica.cache }).toEqual({ seed, cache: right.cache });
    if (!hasUsers) expect(right.cache).toEqual(before);
    expect(life.world.check()).toBeNull();
  }
});

// A replica that is out of sync during a comparison is skipped, so its differences remain.
test('a repair beside crashes and lost sessions leaves only what it says', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const life = born(seed, { isRepair: true, source: null });
    corrupt(life);
    live(life, 0.01, 0.05, 0);
    life.world.quiesce();
    const { ranges } = life.verifier.report;
    const isLeft = (block: number): boolean =>
      ranges.some((one) => !one.isRepaired && one.beginBytes <= block * BLOCK_BYTES && block * BLOCK_BYTES < one.endBytes);
    const [first, ...others] = life.world.replicas;
    const different = [...first!.cache.keys()].filter((block) => others.some(({ cache }) => cache[block] !== first!.cache[block]));
    expect({ seed, unsaid: different.filter((block) => !isLeft(block)) }).toEqual({ seed, unsaid: [] });
  }
});

test('what is repaired is so at a replica that returns, too, and for the next holder', () => {
  for (let seed = 1; seed <= SEEDS; seed++) expect(repairLife(seed)).toBeNull();
});

test('a place that a server cannot read is told, and the rest is compared', () => {
  const life = born(5, CHECK);
  life.world.replicas[1]!.badBlocks = [2];
  live(life, 0, 0);
  const { unread, unreadBytes, comparedBytes, sizeBytes } = life.verifier.report;
  expect(unread).toMatchObject({ replica: 'r1', beginBytes: 2 * BLOCK_BYTES });
  expect(unreadBytes).toBeGreaterThan(0);
  expect(comparedBytes).toBe(sizeBytes);
});

test('one that is stopped ends what is under way, and begins nothing', () => {
  const life = born(3, CHECK);
  life.world.clock.advance(1);
  let isIdle = false;
  life.verifier.stop('Detached', () => (isIdle = true));
  expect(isIdle).toBe(false);
  // A second call of `stop` must keep the callback of the first call, because a detach waits for this callback.
  life.verifier.stop('It was stopped');
  expect(life.verifier.report).toMatchObject({ isRunning: false, stopped: 'Detached' });
  for (let step = 0; step < 50; step++) life.world.proceed();
  expect(isIdle).toBe(true);
  life.world.clock.advance(60_000);
  expect(life.world.replicas.flatMap(({ queue }) => queue.filter(({ kind }) => kind === 'sums'))).toEqual([]);
});
