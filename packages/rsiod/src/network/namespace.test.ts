// Tests a namespace with a network in memory: events of one path affect the server's other paths, a change of an interface reaches the
// paths from its address, and a server is identified only by its proof. namespace-routes.test.ts tests which paths exist,
// path-supervisor.test.ts tests a single path, and trunk.test.ts tests how a trunk uses its paths. Rules: G2.

import { DEAD_AFTER_MS, SUSPECT_AFTER_MS } from '@rsio/common/config/schema/limits';
import { RECONNECT_FIRST_MS } from '@rsio/protocol/client/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import { describe, expect, test } from 'vitest';
import { namespaceView } from '../control/views.ts';
import { LOCALS, NamespaceScene, named, REMOTES } from '../testing/namespace-scene.ts';

describe('the last path of a server', () => {
  test('is lost: probation of the others ends at once', () => {
    const scene = new NamespaceScene();
    scene.flap();
    scene.network.routes[1]!.reach = 'refused';
    scene.reset(1);
    scene.clock.advance(2);
    expect(scene.states[0]).toBe('up');
  });

  // Regression: when the only path in use fell silent, I/O stalled for the three seconds until that path was dead, because the other path
  // was still on probation.
  test('falls silent: probation of the others ends before it is dead', () => {
    const scene = new NamespaceScene();
    scene.flap();
    scene.network.routes[1]!.stand('back', true);
    scene.clock.advance(SUSPECT_AFTER_MS + 200);
    expect(scene.states).toEqual(['up', 'suspect']);
  });

  test('is not lost while another is up: probation continues', () => {
    const scene = new NamespaceScene();
    scene.flap();
    scene.clock.advance(2000);
    expect(scene.states[0]).toBe('probation');
  });
});

describe('a server whose process crashes soon after each WELCOME', () => {
  // Regression: if a server accepted paths and soon closed them, the end of each path made the other paths retry at once, and the client
  // began hundreds of sessions per second.
  test('is contacted ever more rarely', () => {
    const scene = new NamespaceScene();
    const before = scene.server.connections.length;
    scene.server.loseSession();
    const welcome = scene.server.decide;
    scene.server.decide = (path, proven) => {
      welcome(path, proven);
      scene.clock.after(2, () => scene.server.loseSession());
    };
    scene.clock.advance(60_000);
    expect(scene.server.connections.length - before).toBeLessThan(100);
    expect(scene.server.connections.length - before).toBeGreaterThan(10);
    scene.server.decide = welcome;
    scene.clock.advance(10_000);
    expect(scene.states).toEqual(['up', 'up']);
  });
});

// Regression: `rsconfig -q` showed a server whose paths were all lost as `connecting` whenever the client tried to connect again.
test('a server whose paths are lost is down, also while they are tried again', () => {
  const scene = new NamespaceScene();
  const shown = (): string | undefined => namespaceView(scene.namespace, 0).servers[0]?.state;
  expect(shown()).toBe('connected');
  for (const index of [0, 1]) {
    scene.network.routes[index]!.reach = 'silent';
    scene.reset(index);
  }
  const seen = new Set<string>();
  for (let step = 0; step < 1000; step++) {
    scene.clock.advance(10);
    seen.add(`${shown()} ${scene.states.join(' ')}`);
  }
  expect(seen).toContain('down connecting connecting');
  expect([...seen].filter((one) => !one.startsWith('down '))).toEqual([]);
});

describe('an interface', () => {
  const event = (change: 'carrier-lost' | 'carrier-back' | 'address-gone' | 'address-back') =>
    ({ address: LOCALS[0]!, change, sentence: 'as it is' }) as const;

  test('that loses its carrier makes its own paths suspect, and no others', () => {
    const scene = new NamespaceScene();
    scene.namespace.interfaceChanged(event('carrier-lost'));
    expect(scene.states).toEqual(['suspect', 'up']);
    expect(scene.namespace.routes[0]!.supervisor.lastErrorSentence).toBe('Suspect: as it is');
  });

  test('that loses its address loses its paths; they are tried at once when it returns', () => {
    const scene = new NamespaceScene();
    scene.network.routes[0]!.reach = 'refused';
    scene.namespace.interfaceChanged(event('address-gone'));
    expect(scene.states).toEqual(['down', 'up']);
    scene.clock.advance(30_000);
    scene.network.routes[0]!.heal();
    scene.namespace.interfaceChanged(event('address-back'));
    scene.clock.advance(2);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('that regains its carrier is tried at once, also while an attempt still waits for an answer', () => {
    const scene = new NamespaceScene();
    scene.network.routes[0]!.reach = 'silent';
    scene.reset(0);
    scene.clock.advance(RECONNECT_FIRST_MS + 10);
    expect(scene.states[0]).toBe('connecting');
    scene.network.routes[0]!.heal();
    scene.namespace.interfaceChanged(event('carrier-back'));
    scene.clock.advance(2);
    expect(scene.states).toEqual(['up', 'up']);
  });
});

test('shorter liveness times do not end paths that were silent only as long as the longer times allowed', () => {
  const scene = new NamespaceScene({ names: REMOTES, keys: 'heartbeat = 30s\nsuspect = 5s\ndead = 100s\n' });
  // All requests are answered, so only the heartbeat sends requests now.
  for (const path of scene.server.paths) scene.answerLists(path);
  scene.clock.advance(20_000);
  scene.moves.length = 0;
  scene.namespace.change(scene.setup(LOCALS));
  scene.clock.advance(20_000);
  expect(scene.moves).toEqual([]);
  scene.server.answersPings = false;
  scene.clock.advance(DEAD_AFTER_MS + 2000);
  expect(scene.moves.filter((move) => move.endsWith('up > down'))).toHaveLength(2);
});

test('a server at an address that another server names as its own is refused, naming both', () => {
  const scene = new NamespaceScene({ sections: 1, names: [REMOTES[0]!] });
  scene.server.serverid = 2;
  scene.list(REMOTES);
  expect(scene.namespace.routes[1]?.supervisor.lastErrorSentence).toBe(
    'Server server (serverid 2) answers at 192.168.20.9, which serverid 1 names as its own: correct [interface] in the rssrvcfg of one of them [E_PROTOCOL]',
  );
});

describe('a peer at one address of a server whose other path is up', () => {
  test('with the same name and serverid but another process does not take over the session', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    scene.server.instance = 'b'.repeat(32);
    scene.reset(1);
    scene.clock.advance(60_000);
    const begun = scene.server.connections.filter(({ proven }) => proven?.kind === 'new');
    expect([begun.length, scene.states[0]]).toEqual([1, 'up']);
    expect(scene.namespace.routes[1]!.supervisor.lastErrorSentence).toBe(
      'Server server (serverid 1) answers here as another process than on its other paths: if this persists, two servers have this serverid, so give each its own in rssrvcfg [E_PROTOCOL]',
    );
  });

  test('takes over the session when the previous process is silent', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    scene.server.answersPings = false;
    scene.server.instance = 'b'.repeat(32);
    scene.reset(1);
    scene.clock.advance(DEAD_AFTER_MS + 1000);
    expect(scene.server.connections.filter(({ proven }) => proven?.kind === 'new')).toHaveLength(2);
  });

  test('without a proof does not rename the server', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    scene.server.name = 'liar';
    scene.server.decide = (path) => path.refuse('E_AUTH', 'Who are you');
    scene.reset(1);
    scene.clock.advance(10_000);
    expect([...scene.namespace.servers.values()].map(({ name }) => name)).toEqual(['server']);
  });
});

test('a server that was restarted under another name is shown under that name', () => {
  const scene = new NamespaceScene({ names: REMOTES });
  scene.server.name = 'renamed';
  scene.server.instance = 'b'.repeat(32);
  scene.server.loseSession();
  scene.clock.advance(5000);
  expect([...scene.namespace.servers.values()].map(({ name }) => name)).toEqual(['renamed']);
});

test('a stopped namespace does nothing any more', () => {
  const scene = new NamespaceScene({ sections: 1, names: [REMOTES[0]!] });
  const [path] = scene.server.paths;
  scene.server.interfaces = named(REMOTES);
  scene.namespace.stop(STATUS.IO_ERROR, 'The end');
  const { length } = scene.server.connections;
  scene.clock.advance(60_000);
  expect([path!.closedReason !== null, scene.server.connections.length]).toEqual([true, length]);
  expect(scene.routes).toEqual(['if0 big-9-0 retired']);
});
