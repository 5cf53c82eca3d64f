// Tests copies that fail one after another, for example because the source's server was killed. Each failure moves the time of the next
// attempt. Invariant: the next attempt begins when its time has come, without an event from a user, a view or a session.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expect, test } from 'vitest';
import { MirrorCopyWorld } from '../../testing/mirror-copy-world.ts';
import type { SimReplica } from '../../testing/mirror-replicas.ts';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import { STATUS } from '../../wire/status.ts';
import { COPY_RETRY_MAX_MS, COPY_RETRY_MS } from '../limits.ts';

const REGIONS = 4;
const APART_MS = 10;

interface Scene {
  readonly world: MirrorCopyWorld;
  readonly random: SeededRandom;
}

function newScene(): Scene {
  const random = new SeededRandom(1);
  return { world: new MirrorCopyWorld(random, 2, REGIONS * MIRROR_REGION_BYTES), random };
}

/** Executes all requests in flight, and the requests that follow them, until a request of this kind waits at the replica. */
function proceedTo(kind: 'read' | 'flush', at: SimReplica, { world, random }: Scene): void {
  for (let step = 0; step < 1_000; step++) {
    world.clock.advance(0);
    if (at.queue.some((one) => one.kind === kind)) return;
    for (const replica of world.replicas) replica.step(random);
  }
  throw new Error(`no ${kind} was sent to ${at.identity}`);
}

/** Answers the requests of this kind with a failure, each of them `apartMs` after the previous one. */
function failAll(kind: 'read' | 'flush', replica: SimReplica, world: MirrorCopyWorld, apartMs: number, status: number): number {
  const failing = replica.queue.filter((one) => one.kind === kind);
  for (const request of failing) {
    replica.queue.splice(replica.queue.indexOf(request), 1);
    request.done(status);
    world.clock.advance(apartMs);
  }
  return failing.length;
}

const waiting = (replica: SimReplica, kind: string): number => replica.queue.filter((one) => one.kind === kind).length;

test('a copy to a replica that returns is tried again after failures that came one after the other', () => {
  const scene = newScene();
  const { world } = scene;
  const [source, target] = world.replicas as [SimReplica, SimReplica];
  for (let region = 0; region < REGIONS; region++) for (const replica of world.replicas) replica.map.add(region);
  world.setReturning(target);
  target.open();
  world.begin(true);
  proceedTo('read', source, scene);
  expect(failAll('read', source, world, APART_MS, STATUS.OUTCOME_UNKNOWN)).toBeGreaterThan(1);
  world.clock.advance(2 * COPY_RETRY_MS);
  expect(waiting(source, 'read')).toBeGreaterThan(0);
});

test('regions are settled again after failures that came one after the other', () => {
  const scene = newScene();
  const { world } = scene;
  for (let region = 0; region < REGIONS; region++) for (const replica of world.replicas) replica.map.add(region);
  world.begin(false);
  const reads = (): number => world.replicas.reduce((sum, replica) => sum + waiting(replica, 'read'), 0);
  for (let step = 0; step < 1_000 && reads() === 0; step++) {
    for (const replica of world.replicas) replica.step(scene.random);
    world.clock.advance(0);
  }
  let failed = 0;
  // If one replica cannot read a range, the copier asks the other replica.
  for (let round = 0; round < 10 && reads() > 0; round++)
    for (const replica of world.replicas) failed += failAll('read', replica, world, APART_MS, STATUS.OUTCOME_UNKNOWN);
  expect(reads()).toBe(0);
  expect(failed).toBeGreaterThan(1);
  world.clock.advance(2 * COPY_RETRY_MS);
  expect(reads()).toBeGreaterThan(0);
});

test('a READ of one region does not wait until another one, which cannot be read, is tried again', () => {
  const scene = newScene();
  const { world, random } = scene;
  for (const replica of world.replicas) replica.map.add(0);
  world.begin(false);
  const reads = (): number => world.replicas.reduce((sum, replica) => sum + waiting(replica, 'read'), 0);
  // Only region 0 is unsettled, and the wait before its next attempt grows to COPY_RETRY_MAX_MS.
  for (let waitedMs = 0; waitedMs < 4 * COPY_RETRY_MAX_MS; waitedMs += COPY_RETRY_MS) {
    for (const replica of world.replicas) {
      failAll('read', replica, world, 0, STATUS.IO_ERROR);
      replica.step(random);
    }
    world.clock.advance(COPY_RETRY_MS);
  }
  for (const replica of world.replicas) failAll('read', replica, world, 0, STATUS.IO_ERROR);
  expect(world.copier.unreadable.first).not.toBeNull();
  const other = 2 * MIRROR_REGION_BYTES;
  world.unsettled.addRange(other, other + 1);
  world.copier.hurry(2);
  world.clock.advance(COPY_RETRY_MS);
  expect(reads()).toBeGreaterThan(0);
  for (let step = 0; step < 1_000 && world.unsettled.has(2); step++) {
    for (const replica of world.replicas) {
      const request = replica.queue[0];
      if (request?.kind === 'read' && request.begin < 8) failAll('read', replica, world, 0, STATUS.IO_ERROR);
      else replica.step(random);
    }
    world.clock.advance(1);
  }
  expect([world.unsettled.has(0), world.unsettled.has(2)]).toEqual([true, false]);
});
