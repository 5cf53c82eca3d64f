// Tests silent paths over time: what makes a path suspect, what ends the suspicion, faults in one direction, and stalls of either end. The
// test plays the server. path-verdict.test.ts tests the verdict on a single path. Rules: G2.

import { describe, expect, test } from 'vitest';
import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS, SUSPECT_AFTER_MS } from '@rsio/common/config/schema/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { TrunkScene } from '../../testing/trunk-scene.ts';
import { OP } from '../../wire/frames.ts';
import { Ping } from '../../wire/messages.ts';
import { STATUS } from '../../wire/status.ts';
import type { Request } from '../requests/request.ts';

function read(scene: TrunkScene): Request {
  return scene.submit(OP.READ, { count: 1, bodyBytes: SECTOR_BYTES, buffer: Buffer.alloc(SECTOR_BYTES) });
}

/** Returns a scene with `paths` paths that are up, to a server that answers PINGs. */
function wellScene(paths: number): TrunkScene {
  const scene = new TrunkScene(paths);
  scene.server.answersPings = true;
  return scene.start();
}

/** Returns a scene with one request in flight on the first path. This path has just become silent in the given directions. */
function sceneWithSilence(paths: number, ...directions: readonly ('there' | 'back')[]): { scene: TrunkScene; request: Request } {
  const scene = wellScene(paths);
  scene.clock.advance(HEARTBEAT_INTERVAL_MS * 2);
  for (const path of scene.server.paths) path.pong();
  scene.clock.advance(0);
  for (const direction of directions) scene.network.routes[0]!.stand(direction, true);
  const request = read(scene);
  scene.clock.advance(1);
  return { scene, request };
}

/** Sends a PING from the server. The PING contains the number of PINGs that the server has received. */
function serverPing(scene: TrunkScene, index: number): void {
  const path = scene.server.paths[index]!;
  const heard = path.requests(OP.PING).length;
  path.say(OP.PING, 0, Ping.encode({ number: 1, clockMs: 0, heard, oldestMs: 0, generation: 0 }));
}

describe('a single request on a path that becomes silent', () => {
  for (const directions of [['there'], ['back'], ['there', 'back']] as const) {
    // Regression: the other path was idle and sent nothing for up to a heartbeat interval, so no path became suspect.
    test(`${directions.join(' and ')}: goes elsewhere soon, although the other path was idle`, () => {
      const { scene } = sceneWithSilence(2, ...directions);
      scene.clock.advance(SUSPECT_AFTER_MS + 100);
      expect(scene.states).toEqual(['suspect', 'up']);
      expect(scene.server.paths[1]!.requests(OP.READ).length).toBe(1);
    });
  }
});

describe('all paths quiet', () => {
  test('are reported once for each period, and not while one answers or nothing is in flight', () => {
    const scene = wellScene(2);
    for (const route of scene.network.routes) route.stand('back', true);
    scene.clock.advance(SUSPECT_AFTER_MS + 100);
    expect(scene.quietTimes).toBe(0);
    read(scene);
    read(scene);
    scene.clock.advance(SUSPECT_AFTER_MS - 50);
    expect(scene.quietTimes).toBe(0);
    scene.clock.advance(100);
    expect(scene.quietTimes).toBe(1);
    scene.clock.advance(500);
    expect(scene.quietTimes).toBe(1);
    for (const route of scene.network.routes) route.stand('back', false);
    scene.clock.advance(100);
    scene.network.routes[0]!.stand('back', true);
    read(scene);
    scene.clock.advance(SUSPECT_AFTER_MS + 100);
    expect(scene.quietTimes).toBe(1);
  });
});

describe('a suspect path', () => {
  test('is neither cleared nor kept alive by unsolicited frames of the server', () => {
    const { scene } = sceneWithSilence(2, 'there');
    scene.clock.advance(SUSPECT_AFTER_MS + 100);
    for (let times = 0; times < 10; times++) {
      serverPing(scene, 0);
      scene.server.paths[0]!.say(OP.NOTIFY, 1);
      scene.clock.advance(200);
      expect(scene.states).toEqual(['suspect', 'up']);
    }
    serverPing(scene, 0);
    scene.clock.advance(DEAD_AFTER_MS - 2300 + 100);
    expect(scene.moves).not.toContain('0: suspect > up');
    expect(scene.states[0]).not.toBe('suspect');
    expect(scene.supervisors[0]!.lastError?.message).toMatch(/received nothing on this path for \d+ ms, although it sends \(tx\)$/);
  });

  test('is still asked, and cleared by the PONG', () => {
    const { scene } = sceneWithSilence(2, 'there');
    scene.clock.advance(1000);
    expect(scene.states[0]).toBe('suspect');
    scene.network.routes[0]!.stand('there', false);
    scene.clock.advance(1);
    expect(scene.server.paths[0]!.requests(OP.PING).length).toBeGreaterThan(5);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('is cleared by an answer', () => {
    const scene = new TrunkScene(2).start();
    read(scene);
    scene.clock.advance(1);
    const [first, second] = scene.server.paths;
    for (let times = 0; times < 6; times++) {
      second!.pong();
      scene.clock.advance(50);
    }
    expect(scene.states).toEqual(['suspect', 'up']);
    first!.answerIo(first!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
    scene.clock.advance(1);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('is cleared in the same way if another source made it suspect', () => {
    const scene = wellScene(2);
    read(scene);
    scene.clock.advance(1);
    scene.network.routes[0]!.stand('back', true);
    scene.supervisors[0]!.distrust('Interface eth0 has lost its carrier');
    scene.clock.advance(1);
    expect(scene.states).toEqual(['suspect', 'up']);
    expect(scene.server.paths[1]!.requests(OP.READ).length).toBe(1);
    expect(scene.supervisors[0]!.lastErrorSentence).toBe('Suspect: Interface eth0 has lost its carrier');
    scene.network.routes[0]!.stand('back', false);
    scene.clock.advance(SUSPECT_AFTER_MS);
    expect(scene.states).toEqual(['up', 'up']);
  });
});

describe('tx and rx', () => {
  function directionsAfter(ms: number, direction: 'there' | 'back'): unknown {
    const { scene } = sceneWithSilence(2, direction);
    // The server continues to send its own PINGs.
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      if (scene.server.paths[0]!.closedReason === null) serverPing(scene, 0);
      scene.clock.advance(500);
    }
    return { state: scene.states[0], ...scene.supervisors[0]!.directions };
  }

  test('distinguish a fault of one direction from the other while the path is suspect', () => {
    expect(directionsAfter(2500, 'there')).toEqual({ state: 'suspect', tx: 'fail', rx: 'ok' });
    expect(directionsAfter(2500, 'back')).toEqual({ state: 'suspect', tx: '-', rx: 'fail' });
  });

  test('and after it dies, until it is up again', () => {
    const { scene } = sceneWithSilence(2, 'there');
    scene.network.routes[0]!.reach = 'silent';
    for (let times = 0; times < 8; times++) {
      if (scene.trunk.paths.length === 2) serverPing(scene, 0);
      scene.clock.advance(500);
    }
    expect(scene.states).toEqual(['connecting', 'up']);
    expect(scene.supervisors[0]!.directions).toEqual({ tx: 'fail', rx: '-' });
    scene.network.routes[0]!.heal();
    scene.clock.advance(5000);
    expect([scene.states[0], scene.supervisors[0]!.directions]).toEqual(['up', { tx: 'ok', rx: 'ok' }]);
  });
});

describe('a slow link', () => {
  test('is neither suspect nor deaf while its queued output moves, but deaf after that output has left without effect', () => {
    const stepMs = 1000;
    let busyUntilMs = 0;
    let isSlow = false;
    const scene: TrunkScene = new TrunkScene(2, {
      takeMs: () => {
        if (!isSlow) return 0;
        busyUntilMs = Math.max(busyUntilMs, scene.clock.monotonicMs()) + stepMs;
        return busyUntilMs - scene.clock.monotonicMs();
      },
      travelMs: () => 0,
      cut: (lengthBytes) => lengthBytes,
      restMs: () => 0,
    }).start();
    scene.supervisors[1]!.retire('Only one path is looked at');
    const count = 2048;
    isSlow = true;
    for (let lba = 0; lba < 4 * count; lba += count) {
      scene.submit(OP.WRITE, { lba, count, bodyBytes: count * SECTOR_BYTES, buffer: Buffer.alloc(count * SECTOR_BYTES) });
    }
    scene.clock.advance(1);
    isSlow = false;
    const passUp = (ms: number): void => {
      for (let passedMs = 0; passedMs < ms; passedMs += 500) {
        serverPing(scene, 0);
        scene.clock.advance(500);
      }
    };
    passUp(6500);
    expect(scene.states[0]).toBe('up');
    expect(scene.server.paths[0]!.requests(OP.WRITE).length).toBe(4);
    scene.network.routes[0]!.stand('there', true);
    passUp(4000);
    expect(scene.supervisors[0]!.deaths).toBe(1);
  });
});

describe('our own process is stopped', () => {
  test('for 10 s: no path becomes suspect or dies', () => {
    const scene = wellScene(2);
    scene.clock.advance(3000);
    const requests = [read(scene), read(scene)];
    scene.clock.advance(1);
    scene.clientClock.stall();
    for (const route of scene.network.routes) route.stand('back', true);
    for (const path of scene.server.paths) path.answerIo(path.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
    const moves = scene.moves.length;
    scene.clock.advance(10_000);
    // After a stall, a process runs the timers that are due before it reads its sockets.
    scene.clientClock.goOn();
    for (const route of scene.network.routes) route.stand('back', false);
    scene.clock.advance(1);
    expect(requests.map((request) => scene.statusOf(request))).toEqual([STATUS.OK, STATUS.OK]);
    scene.clock.advance(5000);
    expect(scene.moves.slice(moves)).toEqual([]);
  });

  test('while a path is silent: the stopped time does not count, the rest does', () => {
    const { scene } = sceneWithSilence(2, 'back');
    scene.clock.advance(1000);
    scene.clientClock.stall();
    scene.clock.advance(10_000);
    scene.clientClock.goOn();
    scene.clock.advance(DEAD_AFTER_MS - 1000 - 200);
    expect(scene.states[0]).toBe('suspect');
    scene.clock.advance(250);
    expect(scene.supervisors[0]!.deaths).toBe(1);
  });
});

describe('the server is stopped', () => {
  /**
   * Makes the server behave as after SIGSTOP: all paths are silent in both directions. The kernel still accepts connections, but proofs
   * stay unanswered.
   */
  function standStill(scene: TrunkScene, ms: number): void {
    const held: (typeof scene.server.paths)[number][] = [];
    const welcome = scene.server.decide;
    scene.server.decide = (path) => held.push(path);
    for (const route of scene.network.routes) route.stand('back', true);
    scene.clock.advance(ms);
    scene.server.decide = welcome;
    for (const route of scene.network.routes) route.stand('back', false);
    for (const path of held) if (path.closedReason === null) scene.server.welcome(path);
  }

  test('for 10 s: all paths close and recover together, none is suspect or on probation, and few connections are made', () => {
    const scene = wellScene(3);
    scene.clock.advance(3000);
    const request = read(scene);
    scene.clock.advance(1);
    const connections = scene.server.connections.length;
    const moves = scene.moves.length;
    standStill(scene, 10_000);
    scene.clock.advance(7000);
    expect(scene.states).toEqual(['up', 'up', 'up']);
    const words = scene.moves.slice(moves).join('\n');
    expect(words).not.toMatch(/suspect|probation/);
    expect(scene.supervisors.map(({ deaths }) => deaths)).toEqual([1, 1, 1]);
    expect(scene.server.connections.length - connections).toBeLessThanOrEqual(12);
    expect(scene.sessions).toEqual([false]);
    scene.clock.advance(1);
    const asked = scene.server.paths.flatMap((path) => path.requests(OP.READ));
    expect([asked.length, scene.statusOf(request)]).toEqual([2, null]);
  });

  test('repeatedly: no path is put on probation for it', () => {
    const scene = wellScene(2);
    for (let times = 0; times < 5; times++) {
      scene.clock.advance(4000);
      standStill(scene, 3500);
      scene.clock.advance(1000);
    }
    expect(scene.supervisors[0]!.deaths).toBe(5);
    expect([scene.states, scene.moves.join('\n').includes('probation')]).toEqual([['up', 'up'], false]);
  });
});
