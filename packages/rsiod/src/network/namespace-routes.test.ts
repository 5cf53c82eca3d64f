// Tests that a namespace starts and ends paths as the server's list of interfaces and the configuration demand, and that paths that end
// leave no state behind. route-plan.test.ts tests the plan of routes, and namespace.test.ts tests events of existing paths.

import { RATE_LIMITED_LOG_MS } from '@rsio/base/log/limits';
import { PATH_SETTLED_MS } from '@rsio/protocol/client/limits';
import { END_POINTS_REMEMBERED_MAX } from './limits.ts';
import { OP } from '@rsio/protocol/wire/frames';
import { describe, expect, test } from 'vitest';
import { remember } from './server.ts';
import { LOCALS, NamespaceScene, named, REMOTES } from '../testing/namespace-scene.ts';

describe("the server's list", () => {
  test('WELCOME names an interface without a section: it becomes a path by itself', () => {
    const scene = new NamespaceScene({ sections: 1, names: REMOTES });
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 server-e1 up']);
    expect(scene.namespace.routes.map(({ server }) => server?.serverid)).toEqual([1, 1]);
  });

  test('an interface that is added to the list becomes a path, and a removed one is retired', () => {
    const scene = new NamespaceScene({ sections: 1, names: [REMOTES[0]!] });
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
    scene.list(REMOTES);
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 server-e1 up']);
    scene.list([REMOTES[0]!]);
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
    expect(scene.moves.at(-1)).toBe('if1: up > retired');
    expect(scene.server.paths[1]!.closedReason).not.toBe(null);
  });

  test('a section whose interface leaves the list is retired, and tried again when the server is lost', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    scene.list([REMOTES[1]!]);
    expect(scene.routes).toEqual(['if1 big-9-1 up']);
    scene.server.interfaces = named([REMOTES[0]!]);
    scene.network.routes[1]!.reach = 'refused';
    scene.server.loseSession();
    scene.clock.advance(1000);
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
  });

  test('a server that moves to another address always has a path', () => {
    const scene = new NamespaceScene({ sections: 1, names: [REMOTES[0]!] });
    let fewest = 2;
    const server = [...scene.namespace.servers.values()][0]!;
    const watch = (): void => {
      fewest = Math.min(fewest, server.trunk.paths.length);
      scene.clock.after(1, watch);
    };
    watch();
    scene.list([REMOTES[1]!]);
    expect([scene.routes, fewest]).toEqual([['if1 server-e1 up'], 1]);
  });

  test('changes nothing if it is empty, or with paths = configured', () => {
    const scene = new NamespaceScene({ sections: 1, names: REMOTES, keys: 'paths = configured\n' });
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
    scene.list([REMOTES[1]!]);
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
    const other = new NamespaceScene({ sections: 1, names: REMOTES });
    other.list([]);
    expect(other.routes).toEqual(['if0 big-9-0 up', 'if1 server-e1 up']);
  });

  test('that is older and arrives late over another path changes nothing', () => {
    const scene = new NamespaceScene({ names: [REMOTES[0]!] });
    scene.list(REMOTES);
    scene.server.interfaces = named([REMOTES[0]!]);
    scene.server.generation = 1;
    scene.reset(1);
    scene.clock.advance(1000);
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 big-9-1 up']);
    expect([...scene.namespace.servers.values()][0]!.interfaces).toHaveLength(2);
  });

  test('that changes during a request is requested again, and a server that lies about it is not asked forever', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    const [path] = scene.server.paths;
    const asked = (): number => scene.server.paths.flatMap((one) => one.requests(OP.LIST)).length;
    expect(asked()).toBe(1);
    for (const generation of [7, 9]) path!.say(OP.NOTIFY, generation);
    scene.clock.advance(5);
    scene.list(REMOTES);
    scene.clock.advance(1000);
    expect(asked()).toBe(2);
  });
});

describe('another configuration', () => {
  test('creates paths for a new interface, and retires those of a removed one', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    scene.namespace.change(scene.setup([LOCALS[1]!]));
    expect(scene.routes).toEqual(['if0 big-9-1 up']);
    scene.namespace.change(scene.setup(LOCALS));
    scene.clock.advance(50);
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 big-9-1 up']);
    expect(scene.moves.slice(-4)).toEqual([
      'if0: up > retired',
      'if0: down > connecting',
      'if0: connecting > proving',
      'if0: proving > up',
    ]);
  });

  test('without a section keeps the paths that the server lists; without any section for it, the server is forgotten', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    const { length } = scene.server.connections;
    scene.namespace.change(scene.setup(LOCALS, { sections: 1 }));
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 server-e1 up']);
    scene.namespace.change(scene.setup(LOCALS, { sections: 0 }));
    scene.clock.advance(1000);
    expect([scene.routes, scene.namespace.servers.size, scene.server.connections.length]).toEqual([[], 0, length]);
  });

  test('with the same content changes nothing', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    const before = scene.namespace.routes.map(({ supervisor }) => supervisor);
    const { length } = scene.moves;
    scene.namespace.change(scene.setup(LOCALS));
    scene.clock.advance(1000);
    expect(scene.namespace.routes.map(({ supervisor }) => supervisor)).toEqual(before);
    expect(scene.moves).toHaveLength(length);
  });

  test('with other liveness times applies to existing paths', () => {
    const scene = new NamespaceScene({ names: REMOTES });
    scene.namespace.change(scene.setup(LOCALS, { keys: 'heartbeat = 100ms\nsuspect = 50ms\ndead = 300ms\n' }));
    scene.server.answersPings = false;
    scene.clock.advance(400);
    expect(scene.moves.filter((move) => move.endsWith('up > down'))).toHaveLength(2);
  });
});

test('that retires and recreates paths hundreds of times leaves nothing behind, and the session survives', () => {
  const scene = new NamespaceScene({ names: REMOTES });
  const picture = (): unknown => {
    scene.clock.advance(PATH_SETTLED_MS);
    const { timersPending } = scene.clock;
    const links = scene.network.routes.map(({ living }) => living.length);
    const { bodies, outputs } = scene.pools;
    return [timersPending, links, bodies.lent.size, outputs.lent.size, scene.namespace.servers.size, scene.states];
  };
  const before = picture();
  for (let times = 0; times < 250; times++) {
    scene.list([REMOTES[0]!]);
    scene.list(REMOTES);
    scene.namespace.change(scene.setup([LOCALS[1]!]));
    // Each pass of the loop replaces the path at another moment: while it connects or during its handshake.
    scene.clock.advance(times % 4);
    scene.namespace.change(scene.setup(LOCALS));
    scene.clock.advance(times % 3);
  }
  // The log limits the rate of lines about paths, so some lines are only counted and reported later.
  scene.clock.advance(RATE_LIMITED_LOG_MS);
  expect(picture()).toEqual(before);
  expect(scene.server.connections.filter(({ proven }) => proven?.kind === 'new')).toHaveLength(1);
});

test('that lasts keeps a bounded number of the names from servers, the newest ones', () => {
  const keys = new Set<string>();
  for (let number = 0; number < 3 * END_POINTS_REMEMBERED_MAX; number++) {
    remember(keys, 'often');
    remember(keys, `10.0.0.${number}/5000`);
  }
  expect([keys.size, keys.has('often'), keys.has('10.0.0.0/5000')]).toEqual([END_POINTS_REMEMBERED_MAX, true, false]);
});
