// Tests how soon a path reconnects: at once after a long connection, and after growing delays if the server closes soon after WELCOME. Also
// tests which failures count towards probation, and how probation ends. The test plays the network and the server.

import { describe, expect, test } from 'vitest';
import { HANDSHAKE_PATIENCE_MS, PROOF_TIMEOUT_MS } from '../auth/limits.ts';
import {
  PATH_SETTLED_MS,
  PROBATION_DEATHS,
  PROBATION_MS,
  RECONNECT_FIRST_MS,
  RECONNECT_GROWTH,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  WRONG_KEY_RETRY_MAX_MS,
  WRONG_KEY_RETRY_MIN_MS,
} from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { Farewell } from '../wire/messages.ts';
import { PathSupervisor } from './path-supervisor.ts';
import type { Connector } from '../link/path-transport.ts';

function wellScene(paths: number): TrunkScene {
  const scene = new TrunkScene(paths);
  scene.server.answersPings = true;
  return scene.start();
}

/** Makes the server reset the newest connection of the path with this index. */
function resetNewestOf(scene: TrunkScene, index: number): void {
  const number = scene.supervisors[index]!.lastNumber;
  scene.server.paths[number]!.connection.close('reset', true);
}

describe('the next attempt', () => {
  test('comes within 20 ms when a path that had settled is reset', () => {
    const scene = wellScene(1);
    scene.clock.advance(PATH_SETTLED_MS);
    resetNewestOf(scene, 0);
    scene.clock.advance(1);
    expect(scene.states).toEqual(['down']);
    scene.clock.advance(RECONNECT_FIRST_MS);
    expect([scene.states, scene.supervisors[0]!.retries]).toEqual([['up'], 0]);
  });

  test('comes within 20 ms, however often a settled path is reset', () => {
    const scene = wellScene(1);
    for (let times = 0; times < 20; times++) {
      scene.clock.advance(PATH_SETTLED_MS);
      resetNewestOf(scene, 0);
      scene.clock.advance(1 + RECONNECT_FIRST_MS);
      expect(scene.states).toEqual(['up']);
    }
  });

  test('is measured from the start of the last one: after a connection longer than the wait, it comes at once', () => {
    const scene = wellScene(1);
    scene.clock.advance(RECONNECT_MIN_MS);
    resetNewestOf(scene, 0);
    scene.clock.advance(1 + RECONNECT_FIRST_MS);
    expect(scene.states).toEqual(['up']);
    scene.clock.advance(RECONNECT_MIN_MS / 4);
    resetNewestOf(scene, 0);
    scene.clock.advance(1 + RECONNECT_FIRST_MS);
    expect(scene.states).toEqual(['down']);
    scene.clock.advance(RECONNECT_MIN_MS * RECONNECT_GROWTH);
    expect(scene.states).toEqual(['up']);
  });

  test('at an absent server is repeated, so that a returning server is found after a twentieth of its absence', () => {
    const scene = wellScene(1);
    scene.clock.advance(PATH_SETTLED_MS);
    scene.network.routes[0]!.reach = 'refused';
    resetNewestOf(scene, 0);
    const triesMs: number[] = [];
    for (let awayMs = 0; awayMs < 60_000; awayMs += 5) {
      const before = scene.moves.length;
      scene.clock.advance(5);
      if (scene.moves.slice(before).includes('0: down > connecting')) triesMs.push(awayMs);
    }
    for (const [index, ms] of triesMs.slice(1).entries()) {
      const pauseMs = ms - triesMs[index]!;
      expect(pauseMs).toBeLessThan(RECONNECT_MIN_MS + triesMs[index]! * 0.08);
      expect(pauseMs).toBeGreaterThan(RECONNECT_MIN_MS / 2);
    }
    expect(triesMs.length).toBeLessThan(90);
  });

  test('comes ever more slowly at a server that crashes right after WELCOME, however many paths lead there', () => {
    const scene = new TrunkScene(2);
    const triesMs: number[] = [];
    scene.server.decide = (path) => {
      triesMs.push(scene.clock.monotonicMs());
      scene.server.welcome(path);
      scene.clock.after(1, () => path.connection.close('broken', true));
    };
    for (const supervisor of scene.supervisors) supervisor.start();
    // Calls `retrySoon` when the last path is lost and when a session begins, as a namespace does in production.
    for (let passedMs = 0; passedMs < 60_000; passedMs += 10) {
      scene.clock.advance(10);
      for (const supervisor of scene.supervisors) supervisor.retrySoon();
    }
    const gaps = triesMs.slice(1).map((ms, index) => ms - triesMs[index]!);
    const growing = Math.log(RECONNECT_MAX_MS / RECONNECT_MIN_MS) / Math.log(RECONNECT_GROWTH);
    expect(triesMs.length).toBeLessThan(2 * (60_000 / (RECONNECT_MAX_MS * 0.75) + growing));
    expect(triesMs.length).toBeGreaterThan(10);
    expect(Math.max(...gaps.slice(-4))).toBeGreaterThan(RECONNECT_MIN_MS * 4);
  });

  // Regression: on a link that loses packets, a second attempt began during the first attempt. When one attempt succeeded, the program
  // crashed.
  test('is the only one if the receiver of the failure asks for it at once', () => {
    const clock = new FakeClock();
    const failures: ((reason: string) => void)[] = [];
    const connector: Connector = {
      connect: (_local, _address, _port, _opened, failed) => {
        failures.push(failed);
        return { cancel: () => undefined };
      },
    };
    const { server, pools, trunk, random } = new TrunkScene(1);
    const hello = {
      versions: [1],
      features: [],
      namespaceid: 1,
      node: 'node',
      instance: 1,
      machine: 'm',
      boot: 'b',
      process: 'p',
      interface: 'if0',
    };
    const supervisor: PathSupervisor = new PathSupervisor(
      { localAddress: '127.45.0.1', address: '127.45.1.1', port: 5000 },
      { nodekey: server.nodekey, serverkey: null, hello },
      {
        clock,
        connector,
        random: random.bytes,
        pools,
        trunkFor: () => trunk,
        stateChanged: (_supervisor, _from, to) => {
          if (to === 'down') heard();
        },
      },
      null,
    );
    let heard = (): void => supervisor.start();
    supervisor.start();
    failures[0]!('ECONNREFUSED');
    clock.advance(RECONNECT_MAX_MS * 2);
    expect([supervisor.state, failures.length]).toEqual(['connecting', 2]);
    heard = () => supervisor.retire('not wanted any more');
    failures[1]!('ECONNREFUSED');
    clock.advance(RECONNECT_MAX_MS * 2);
    expect([supervisor.state, failures.length]).toEqual(['retired', 2]);
  });

  test('a settled connection resets the failures before it', () => {
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

  test('begins when a path has failed too often while another is up, and ends by itself', () => {
    const scene = wellScene(2);
    scene.clock.advance(PATH_SETTLED_MS);
    flap(scene, 0, PROBATION_DEATHS - 1);
    expect(scene.states).toEqual(['up', 'up']);
    flap(scene, 0, 1);
    expect(scene.states).toEqual(['probation', 'up']);
    scene.clock.advance(PROBATION_MS);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('ends at once by retrySoon', () => {
    const scene = wellScene(2);
    scene.clock.advance(PATH_SETTLED_MS);
    flap(scene, 0, PROBATION_DEATHS);
    scene.supervisors[0]!.retrySoon();
    scene.clock.advance(1);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('of a path whose last connection was short is shortened to the wait without probation', () => {
    const scene = wellScene(2);
    scene.clock.advance(PATH_SETTLED_MS);
    flap(scene, 0, PROBATION_DEATHS - 1);
    resetNewestOf(scene, 0);
    scene.clock.advance(1);
    // The last connection lasted long. A short connection follows.
    scene.supervisors[0]!.retrySoon();
    scene.clock.advance(1);
    resetNewestOf(scene, 0);
    scene.clock.advance(1);
    expect(scene.states[0]).toBe('probation');
    scene.supervisors[0]!.retrySoon();
    scene.clock.advance(RECONNECT_MIN_MS / 2);
    expect(scene.states[0]).toBe('probation');
    scene.clock.advance(RECONNECT_MIN_MS);
    expect(scene.states[0]).toBe('up');
  });

  test('is not caused by a BYE', () => {
    const scene = wellScene(2);
    for (let times = 0; times < PROBATION_DEATHS + 1; times++) {
      scene.clock.advance(PATH_SETTLED_MS);
      const number = scene.supervisors[0]!.lastNumber;
      scene.server.paths[number]!.say(OP.BYE, 0, Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Good bye' }));
      scene.clock.advance(RECONNECT_FIRST_MS + 1);
    }
    expect([scene.states, scene.supervisors[0]!.deaths]).toEqual([['up', 'up'], PROBATION_DEATHS + 1]);
  });

  // When the process of a session ends, its paths die one after another. Every path but the last one therefore dies while another path
  // still seems to be up.
  test('is not caused by the end of a session', () => {
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

describe('a wrong key', () => {
  const AUTH = "Server big-9 does not accept this node's proof";
  const LIMIT = 'Server big-9 has received too many wrong proofs of node big-2';

  /**
   * Starts a scene whose server refuses proofs until `isKeyRight` is set: the first proof because of the wrong key (E_AUTH), and each later
   * proof because there were too many wrong proofs (E_LIMIT).
   */
  function refusing(): { scene: TrunkScene; tries: number[]; isKeyRight: boolean } {
    const scene = new TrunkScene(1);
    const self = { scene, tries: [] as number[], isKeyRight: false };
    scene.server.decide = (path) => {
      self.tries.push(scene.clock.monotonicMs());
      if (self.isKeyRight) scene.server.welcome(path);
      else if (self.tries.length === 1) path.refuseUnproved('E_AUTH', AUTH);
      else path.refuseUnproved('E_LIMIT', LIMIT);
    };
    scene.start();
    return self;
  }

  // Regression: the client retried within 100 ms, which used up the permitted attempts. After the key had been corrected, recovery
  // therefore took 38 s.
  test('is retried so rarely that the server does not count it as guessing', () => {
    const { scene, tries } = refusing();
    scene.clock.advance(600_000);
    const gaps = tries.slice(1).map((ms, index) => ms - tries[index]!);
    expect(Math.min(...gaps)).toBeGreaterThan(WRONG_KEY_RETRY_MIN_MS / 2);
    expect(Math.max(...gaps)).toBeLessThan(WRONG_KEY_RETRY_MAX_MS + 100);
    expect(Math.min(...gaps.slice(4))).toBeGreaterThan(WRONG_KEY_RETRY_MAX_MS / 2);
  });

  test('is the error shown, even if the server then reports too many wrong proofs', () => {
    const { scene, tries } = refusing();
    scene.clock.advance(60_000);
    expect(tries.length).toBeGreaterThan(2);
    expect(scene.supervisors[0]!.lastErrorSentence).toBe(`Server refused the connection: ${AUTH} [E_AUTH]`);
  });

  test('is tried at once when it was corrected', () => {
    const self = refusing();
    self.scene.clock.advance(60_000);
    self.isKeyRight = true;
    self.scene.supervisors[0]!.routeOpened();
    self.scene.clock.advance(5);
    expect(self.scene.states).toEqual(['up']);
  });

  test('leaves no trace: a limit without a wrong key is shown', () => {
    const self = refusing();
    self.isKeyRight = true;
    self.scene.clock.advance(WRONG_KEY_RETRY_MIN_MS + 5);
    expect([self.scene.states, self.scene.supervisors[0]!.retries]).toEqual([['up'], 0]);
    self.scene.clock.advance(PATH_SETTLED_MS);
    self.isKeyRight = false;
    resetNewestOf(self.scene, 0);
    self.scene.clock.advance(5_000);
    expect(self.scene.supervisors[0]!.lastErrorSentence).toBe(`Server refused the connection: ${LIMIT} [E_LIMIT]`);
  });
});

describe('reports from other parts of the client', () => {
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
    scene.supervisors[0]!.retrySoon();
    scene.clock.advance(1);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('have no effect on a path that was retired while it connected', () => {
    const scene = new TrunkScene(1);
    const [supervisor] = scene.supervisors;
    supervisor!.start();
    supervisor!.retire('Not wanted any more');
    for (const word of ['routeOpened', 'retrySoon', 'start'] as const) supervisor![word]();
    scene.clock.advance(60_000);
    expect([scene.states, scene.server.connections.length, scene.clock.timersPending]).toEqual([['retired'], 0, 0]);
  });

  test('have no effect on a path that is not up', () => {
    const scene = new TrunkScene(1);
    scene.supervisors[0]!.distrust('no carrier');
    scene.supervisors[0]!.cut('gone');
    expect(scene.states).toEqual(['down']);
  });
});

describe('E_NO_SESSION', () => {
  /** Makes the peer at the second path's address refuse the session with E_NO_SESSION. `isProved`: whether the refusal has a valid mac. */
  function refuseSecond(scene: TrunkScene, isProved: boolean): void {
    const { session } = scene.server;
    scene.server.decide = (path, proven) => {
      const isKnown = proven.kind !== 'join' || !session.equals(proven.session);
      if (isKnown) {
        scene.server.session = Buffer.alloc(16, 9);
        scene.server.welcome(path);
      } else if (isProved) path.refuse('E_NO_SESSION', 'No such session');
      else path.refuseUnproved('E_NO_SESSION', 'No such session');
    };
    resetNewestOf(scene, 1);
  }

  test('without authentication does not end a session with another live path', () => {
    const scene = wellScene(2);
    refuseSecond(scene, false);
    scene.clock.advance(60_000);
    expect(scene.sessions).toEqual([false]);
    expect(scene.states[0]).toBe('up');
  });

  test('without authentication is believed if no path of the session is live', () => {
    const scene = wellScene(2);
    scene.server.answersPings = false;
    refuseSecond(scene, false);
    scene.clock.advance(4000);
    expect(scene.sessions).toEqual([false, true]);
  });

  test('with authentication is believed at once, even if a reset was lost and another path seems to be live', () => {
    const scene = wellScene(2);
    scene.clock.advance(PATH_SETTLED_MS);
    refuseSecond(scene, true);
    scene.clock.advance(RECONNECT_FIRST_MS * 2 + 2);
    expect(scene.sessions).toEqual([false, true]);
    expect(scene.server.paths[0]!.closedReason).not.toBeNull();
  });

  test('costs a client with one path two short attempts', () => {
    const scene = wellScene(1);
    scene.clock.advance(PATH_SETTLED_MS);
    scene.server.loseSession();
    scene.clock.advance(RECONNECT_FIRST_MS * 2 + 2);
    expect([scene.sessions, scene.states]).toEqual([[false, true], ['up']]);
  });
});

describe('a handshake without answers', () => {
  /** Discards everything that the client sends on the next connections, as if the network failed right after the TCP connect. */
  function swallow(scene: TrunkScene): number[] {
    const beganMs: number[] = [];
    scene.server.accept = (end) => {
      beganMs.push(scene.clock.monotonicMs());
      end.events = { onBytes: () => {}, onClosed: () => {} };
    };
    return beganMs;
  }

  test('is restarted soon, with growing patience', () => {
    const scene = new TrunkScene(1);
    const beganMs = swallow(scene);
    scene.supervisors[0]!.start();
    scene.clock.advance(30_000);
    const gapsMs = beganMs.slice(1).map((ms, index) => ms - beganMs[index]!);
    const patienceMs = [1, 2, 4].map((times) => HANDSHAKE_PATIENCE_MS * times).concat(PROOF_TIMEOUT_MS);
    for (const [index, ms] of patienceMs.entries()) {
      const waitMs = RECONNECT_MIN_MS * RECONNECT_GROWTH ** index;
      expect(gapsMs[index]).toBeGreaterThan(ms + waitMs / 2);
      expect(gapsMs[index]).toBeLessThan(ms + waitMs + 2);
    }
  });

  test('allows a new session the time that the end of an old one may take, and a join no more than CHALLENGE', () => {
    const scene = wellScene(2);
    scene.server.decide = () => {};
    scene.server.loseSession();
    scene.clock.advance(PROOF_TIMEOUT_MS - 100);
    expect(scene.states).toContain('proving');
    const joining = wellScene(2);
    joining.clock.advance(PATH_SETTLED_MS);
    joining.server.decide = () => {};
    resetNewestOf(joining, 1);
    joining.clock.advance(RECONNECT_FIRST_MS + 1);
    expect(joining.states).toEqual(['up', 'proving']);
    joining.clock.advance(HANDSHAKE_PATIENCE_MS);
    expect(joining.states).toEqual(['up', 'down']);
    expect(joining.supervisors[1]!.lastError?.message).toBe('127.45.1.2 port 5000 did not finish the handshake within 1000 ms');
  });
});
