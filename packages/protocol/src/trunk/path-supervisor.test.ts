// When a path is tried again, and how soon: at once after a good life, ever more slowly at a server that breaks soon after WELCOME;
// which deaths count towards probation, and what ends that. The network and the server are the test's.

import { describe, expect, test } from 'vitest';
import { PATH_SETTLED_MS, PROBATION_DEATHS, PROBATION_MS, RECONNECT_FIRST_MS, RECONNECT_MAX_MS, RECONNECT_MIN_MS } from '../limits.ts';
import { TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { encodeFarewell } from '../wire/message-codec.ts';

function wellScene(paths: number): TrunkScene {
  const scene = new TrunkScene(paths);
  scene.server.answersPings = true;
  return scene.start();
}

/** The server resets path number `number`; one after another they are path 0, 1, ... */
function resetNewestOf(scene: TrunkScene, index: number): void {
  const number = scene.supervisors[index]!.lastNumber;
  scene.server.paths[number]!.connection.close('reset', true);
}

describe('the next try', () => {
  test('comes within 20 ms when a path that had settled is reset', () => {
    const scene = wellScene(1);
    scene.clock.advance(PATH_SETTLED_MS);
    resetNewestOf(scene, 0);
    scene.clock.advance(1);
    expect(scene.states).toEqual(['down']);
    scene.clock.advance(RECONNECT_FIRST_MS);
    expect([scene.states, scene.supervisors[0]!.retries]).toEqual([['up'], 0]);
  });

  test('is as slow as after any failure when that one fails', () => {
    const scene = wellScene(1);
    scene.clock.advance(PATH_SETTLED_MS);
    scene.network.routes[0]!.reach = 'refused';
    resetNewestOf(scene, 0);
    scene.clock.advance(10_000);
    const tries = scene.moves.filter((move) => move === '0: down > connecting').length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(10);
  });

  test('comes ever more slowly at a server that breaks right after WELCOME, however many paths lead there', () => {
    const scene = new TrunkScene(2);
    const triesMs: number[] = [];
    scene.server.decide = (path) => {
      triesMs.push(scene.clock.monotonicMs());
      scene.server.welcome(path);
      scene.clock.after(1, () => path.connection.close('broken', true));
    };
    for (const supervisor of scene.supervisors) supervisor.start();
    // As a namespace does: whenever the last path is gone, and when a session begins, the others are hastened.
    for (let passedMs = 0; passedMs < 60_000; passedMs += 10) {
      scene.clock.advance(10);
      for (const supervisor of scene.supervisors) supervisor.hasten();
    }
    const gaps = triesMs.slice(1).map((ms, index) => ms - triesMs[index]!);
    expect(triesMs.length).toBeLessThan(2 * (60_000 / (RECONNECT_MAX_MS * 0.75) + 6));
    expect(triesMs.length).toBeGreaterThan(10);
    expect(Math.max(...gaps.slice(-4))).toBeGreaterThan(RECONNECT_MIN_MS * 4);
  });

  test('a life that settles makes the failures before it forgotten', () => {
    const scene = wellScene(1);
    for (let times = 0; times < 4; times++) {
      resetNewestOf(scene, 0);
      scene.clock.advance(5000 * (times === 3 ? 0 : 1));
    }
    scene.clock.advance(10_000);
    expect(scene.states).toEqual(['up']);
    resetNewestOf(scene, 0);
    scene.clock.advance(1 + RECONNECT_FIRST_MS);
    expect(scene.states).toEqual(['up']);
  });
});

describe('probation', () => {
  function flap(scene: TrunkScene, index: number, times: number): void {
    for (let count = 0; count < times; count++) {
      resetNewestOf(scene, index);
      scene.clock.advance(PATH_SETTLED_MS + RECONNECT_FIRST_MS + 1);
    }
  }

  test('begins when a path has died too often while another lives, and ends by itself', () => {
    const scene = wellScene(2);
    scene.clock.advance(PATH_SETTLED_MS);
    flap(scene, 0, PROBATION_DEATHS - 1);
    expect(scene.states).toEqual(['up', 'up']);
    flap(scene, 0, 1);
    expect(scene.states).toEqual(['probation', 'up']);
    scene.clock.advance(PROBATION_MS);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('ends at once when it is hastened', () => {
    const scene = wellScene(2);
    scene.clock.advance(PATH_SETTLED_MS);
    flap(scene, 0, PROBATION_DEATHS);
    scene.supervisors[0]!.hasten();
    scene.clock.advance(1);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('of a path whose last life was short is shortened to the wait it had without', () => {
    const scene = wellScene(2);
    scene.clock.advance(PATH_SETTLED_MS);
    flap(scene, 0, PROBATION_DEATHS - 1);
    resetNewestOf(scene, 0);
    scene.clock.advance(1);
    // That one had settled; now a short one.
    scene.supervisors[0]!.hasten();
    scene.clock.advance(1);
    resetNewestOf(scene, 0);
    scene.clock.advance(1);
    expect(scene.states[0]).toBe('probation');
    scene.supervisors[0]!.hasten();
    scene.clock.advance(RECONNECT_MIN_MS / 2);
    expect(scene.states[0]).toBe('probation');
    scene.clock.advance(RECONNECT_MIN_MS);
    expect(scene.states[0]).toBe('up');
  });

  test('does not come of a BYE', () => {
    const scene = wellScene(2);
    for (let times = 0; times < PROBATION_DEATHS + 1; times++) {
      scene.clock.advance(PATH_SETTLED_MS);
      const number = scene.supervisors[0]!.lastNumber;
      scene.server.paths[number]!.say(OP.BYE, 0, encodeFarewell({ code: 'E_SHUTTING_DOWN', sentence: 'Good bye' }));
      scene.clock.advance(RECONNECT_FIRST_MS + 1);
    }
    expect([scene.states, scene.supervisors[0]!.deaths]).toEqual([['up', 'up'], PROBATION_DEATHS + 1]);
  });

  // The process of a session dies: its paths die one after the other, and all but the last while another seems to live.
  test('does not come of a session that ends', () => {
    const scene = wellScene(2);
    for (let times = 0; times < PROBATION_DEATHS + 1; times++) {
      scene.clock.advance(PATH_SETTLED_MS);
      scene.server.loseSession();
      scene.clock.advance(500);
      expect(scene.states).toEqual(['up', 'up']);
    }
    expect(scene.sessions.length).toBe(PROBATION_DEATHS + 2);
    expect(scene.moves.join('\n')).not.toContain('probation');
  });
});

describe('what is known from elsewhere', () => {
  test('an address that is gone ends its path at once', () => {
    const scene = wellScene(2);
    scene.clock.advance(PATH_SETTLED_MS);
    scene.network.routes[0]!.reach = 'refused';
    scene.supervisors[0]!.cut('Address 192.168.10.1 is gone from eth0');
    expect(scene.states).toEqual(['down', 'up']);
    expect(scene.supervisors[0]!.lastError?.message).toBe('Address 192.168.10.1 is gone from eth0');
    scene.clock.advance(8000);
    expect(scene.states[0]).toBe('down');
    scene.network.routes[0]!.heal();
    scene.supervisors[0]!.hasten();
    scene.clock.advance(1);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('means nothing to a path that was retired while it connected', () => {
    const scene = new TrunkScene(1);
    const [supervisor] = scene.supervisors;
    supervisor!.start();
    supervisor!.retire('Not wanted any more');
    for (const word of ['wayOpened', 'hasten', 'start'] as const) supervisor![word]();
    scene.clock.advance(60_000);
    expect([scene.states, scene.server.connections.length, scene.clock.timersPending]).toEqual([['retired'], 0, 0]);
  });

  test('means nothing to a path that is not up', () => {
    const scene = new TrunkScene(1);
    scene.supervisors[0]!.distrust('no carrier');
    scene.supervisors[0]!.cut('gone');
    expect(scene.states).toEqual(['down']);
  });
});

describe('E_NO_SESSION, which anybody can say before a proof,', () => {
  /** Who answers at the second path's address now knows of no session. */
  function refuseSecond(scene: TrunkScene): void {
    const { session } = scene.server;
    scene.server.decide = (path, proven) => {
      if (proven.kind === 'join' && session.equals(proven.session)) path.refuse('E_NO_SESSION', 'No such session');
      else {
        scene.server.session = Buffer.alloc(16, 9);
        scene.server.welcome(path);
      }
    };
    resetNewestOf(scene, 1);
  }

  test('does not end a session whose other path answers', () => {
    const scene = wellScene(2);
    refuseSecond(scene);
    scene.clock.advance(60_000);
    expect(scene.sessions).toEqual([false]);
    expect(scene.states[0]).toBe('up');
  });

  test('is believed when the other path has fallen silent', () => {
    const scene = wellScene(2);
    scene.server.answersPings = false;
    refuseSecond(scene);
    scene.clock.advance(3000);
    expect(scene.sessions).toEqual([false, true]);
  });
});
