// Tests requests in flight on a path that is very slow but answers often enough not to become suspect, while another path works.
// scheduler-links.test.ts tests READs that are late for a shorter time. Rules: S2, G2.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { HEDGES_MAX, LATE_LOOK_MS, LATE_MS } from './limits.ts';
import type { ScriptedPath } from '../testing/scripted-server.ts';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { ANSWER, OP } from '../wire/frames.ts';
import { STATUS } from '../wire/status.ts';
import type { Request } from './requests/request.ts';

const COUNT = 4 * HEDGES_MAX;
/** Interval between two answers of the slow path; shorter than the time after which the path would become suspect. */
const EACH_MS = 150;
const STEP_MS = 10;

/**
 * A scene in which all requests were sent over the first path. The first path answers one request at a time, and would answer PINGs only
 * after all requests.
 */
class Scene {
  readonly scene = new TrunkScene(2);
  readonly requests: Request[];
  private answeredOnFirst = 0;
  private answeredOnSecond = 0;

  constructor(submit: (scene: TrunkScene, index: number) => Request, handled = false) {
    const { scene } = this;
    scene.supervisors[0]!.start();
    scene.clock.advance(1);
    scene.trunk.addAttachment(scene.attachment);
    scene.attachment.opened(OPEN_ANSWER);
    this.requests = Array.from({ length: COUNT }, (_, index) => submit(scene, index));
    scene.clock.advance(1);
    // A PONG shows that the server has all requests, although its answers arrive slowly.
    if (handled) this.first.pong();
    scene.supervisors[1]!.start();
    scene.clock.advance(1);
  }

  get first(): ScriptedPath {
    return this.scene.server.paths[0]!;
  }

  get second(): ScriptedPath {
    return this.scene.server.paths[1]!;
  }

  heard(path: ScriptedPath): ScriptedPath['heard'] {
    return path.heard.filter(({ header }) => header.op >= OP.READ && (header.op & ANSWER) === 0 && header.op !== OP.PING);
  }

  /** Lets time pass. The first path answers one request every EACH_MS; the second path answers requests and PINGs at once. */
  pass(ms: number): void {
    for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
      this.scene.clock.advance(STEP_MS);
      if (passedMs % EACH_MS === 0) this.first.answerIo(this.heard(this.first)[this.answeredOnFirst++]!, STATUS.OK);
      this.second.pong();
      const heard = this.heard(this.second);
      while (this.answeredOnSecond < heard.length) this.second.answerIo(heard[this.answeredOnSecond++]!, STATUS.OK);
      this.scene.clock.advance(0);
    }
  }

  get unanswered(): number {
    return this.requests.filter((request) => this.scene.statusOf(request) === null).length;
  }
}

function write(scene: TrunkScene, index: number): Request {
  return scene.submit(OP.WRITE, { lba: index * 8, count: 8, bodyBytes: 8 * SECTOR_BYTES, buffer: Buffer.alloc(8 * SECTOR_BYTES, index) });
}

// Regression: the requests waited for their turn on the slow path, ten seconds in this test, and hours on a slower link.
test('WRITEs are sent again over the other path', () => {
  const world = new Scene(write);
  world.pass(LATE_MS + 3 * LATE_LOOK_MS);
  expect(world.scene.states).toEqual(['up', 'up']);
  expect([world.unanswered, world.second.closedReason, world.first.closedReason]).toEqual([0, null, null]);
  // Each copy has the same content as the original request.
  for (const { header, body } of world.heard(world.second)) expect(body).toEqual(Buffer.alloc(8 * SECTOR_BYTES, header.lba / 8));
});

test('and also if the server has them, and its answers trickle', () => {
  const world = new Scene(write, true);
  world.pass(1_000 + LATE_MS + 3 * LATE_LOOK_MS);
  expect([world.unanswered, world.scene.states]).toEqual([0, ['up', 'up']]);
});

test('flushes are, too', () => {
  const world = new Scene((scene) => scene.submit(OP.FLUSH, {}));
  world.pass(LATE_MS + 3 * LATE_LOOK_MS);
  expect(world.unanswered).toBe(0);
});

test('requests that wait for the storage are not sent twice: the path delivers PONGs', () => {
  const world = new Scene(write, true);
  for (let time = 0; time < 60; time++) {
    world.pass(100);
    world.first.pong();
  }
  expect(world.heard(world.second)).toEqual([]);
});
