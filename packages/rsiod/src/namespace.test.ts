// A namespace over a network in memory, with the server's end in the test's hands: that its paths help each other out, that they follow the
// server's list and the configuration, and that what happens to an interface reaches its paths. What one path does is the supervisor's test, what a trunk does with its paths the trunk's.

import { parseRscltConfig } from '@rsio/protocol/config/rscltcfg';
import { quietLog } from '@rsio/protocol/lib/log';
import {
  DEAD_AFTER_MS,
  END_POINTS_REMEMBERED_MAX,
  PATH_SETTLED_MS,
  PORT_DEFAULT,
  PROBATION_DEATHS,
  RECONNECT_FIRST_MS,
} from '@rsio/protocol/limits';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/protocol/testing/fake-clock';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { type HeardFrame, type ScriptedPath, ScriptedServer } from '@rsio/protocol/testing/scripted-server';
import { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { OP } from '@rsio/protocol/wire/frames';
import { encodeListAnswers } from '@rsio/protocol/wire/message-codec';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { describe, expect, test } from 'vitest';
import { Namespace, type NamespaceSetup } from './namespace.ts';
import { remember } from './server.ts';

const LOCALS = ['192.168.10.1', '192.168.20.1'];
const REMOTES = ['192.168.10.9', '192.168.20.9'];

interface SceneOptions {
  /** Lines of the namespace's section. */
  readonly keys?: string;
  /** Remotes with a section; default: all. */
  readonly sections?: number;
  /** Remotes that the server names. */
  readonly names?: readonly string[];
}

class Scene {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  readonly server = new ScriptedServer(this.random);
  readonly network = new MemoryNetwork(this.clock, IDEAL_LINK, (end) => this.server.accept(end));
  readonly moves: string[] = [];
  readonly pools = { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() };
  private readonly answered = new Set<HeardFrame>();
  readonly namespace: Namespace;

  constructor(options: SceneOptions = {}) {
    const { names = [] } = options;
    this.server.answersPings = true;
    this.server.interfaces = named(names);
    for (const [index, local] of LOCALS.entries()) this.network.addRoute(local, REMOTES[index]!);
    this.namespace = new Namespace(
      this.setup(LOCALS, options),
      { instance: 1, machine: 'm', boot: 'b' },
      {
        clock: this.clock,
        log: quietLog,
        connector: this.network,
        random: this.random.bytes,
        pools: this.pools,
        events: { sessionBegan: () => {}, opened: () => {}, openFailed: () => {}, openWaits: () => {}, grown: () => {} },
        pathChanged: ({ local }, from, to) => this.moves.push(`${local.name}: ${from} > ${to}`),
      },
    );
    this.namespace.start();
    this.clock.advance(PATH_SETTLED_MS * 2);
    expect(this.states.every((state) => state === 'up')).toBe(true);
  }

  setup(addresses: readonly string[], { sections = REMOTES.length, keys = '' }: SceneOptions = {}): NamespaceSetup {
    const interfaces = addresses.map((address, index) => `[interface if${index}]\naddress = ${address}/24\n`);
    const servers = REMOTES.slice(0, sections).map((address, index) => `[server big-9-${index}]\naddress = ${address}\n`);
    const namespace = `[namespace n]\nnamespaceid = 1\nnodename = node\nnodekey = ${this.server.nodekey}\n${keys}`;
    const config = parseRscltConfig([...interfaces, namespace, ...servers].join('\n'), 'rscltcfg');
    const locals = config.interfaces.map(({ name, address, prefixLength, portGiven }) => ({ name, address, prefixLength, portGiven }));
    return { whole: config, config: config.namespaces[0]!, locals };
  }

  /** Routes as `if0 big-9-0 up`. */
  get routes(): string[] {
    return this.namespace.routes.map(({ local, remote, supervisor }) => `${local.name} ${remote.name} ${supervisor.state}`);
  }

  /** The server has another list and says so on a path; the client asks for it there or elsewhere. */
  list(names: readonly string[]): void {
    this.server.interfaces = named(names);
    this.server.generation++;
    const living = this.server.paths.filter(({ closedReason }) => closedReason === null);
    living[0]!.say(OP.NOTIFY, this.server.generation);
    this.clock.advance(5);
    for (const path of living) this.answerLists(path);
    this.clock.advance(50);
  }

  answerLists(path: ScriptedPath): void {
    const { generation, interfaces } = this.server;
    const [body] = encodeListAnswers({ generation, interfaces, volumes: [] });
    for (const request of path.requests(OP.LIST)) {
      if (this.answered.has(request)) continue;
      this.answered.add(request);
      path.answerMessage(request, STATUS.OK, body!);
    }
  }

  get states(): string[] {
    return this.namespace.routes.map(({ supervisor }) => supervisor.state);
  }

  reset(index: number): void {
    const { lastNumber } = this.namespace.routes[index]!.supervisor;
    this.server.paths[lastNumber]!.connection.close('reset', true);
  }

  /** The first path dies so often that it is put on probation. */
  flap(): void {
    for (let times = 0; times < PROBATION_DEATHS; times++) {
      this.reset(0);
      this.clock.advance(PATH_SETTLED_MS + RECONNECT_FIRST_MS + 1);
    }
    expect(this.states).toEqual(['probation', 'up']);
  }
}

function named(addresses: readonly string[]): ServerInterface[] {
  return addresses.map((address) => ({ name: `e${REMOTES.indexOf(address)}`, address, port: PORT_DEFAULT }));
}

describe('the last path of a server', () => {
  test('is lost: probation of the others ends at once', () => {
    const scene = new Scene();
    scene.flap();
    scene.network.routes[1]!.reach = 'refused';
    scene.reset(1);
    scene.clock.advance(2);
    expect(scene.states[0]).toBe('up');
  });

  test('is not lost while another lives: probation goes on', () => {
    const scene = new Scene();
    scene.flap();
    scene.network.routes[1]!.stand('back', true);
    scene.clock.advance(2000);
    expect(scene.states[0]).toBe('probation');
  });
});

describe('a server whose process breaks soon after each WELCOME', () => {
  // Once each path's death hastened the other: hundreds of sessions a second.
  test('is met ever more rarely', () => {
    const scene = new Scene();
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

describe('an interface', () => {
  const event = (change: 'carrier-lost' | 'carrier-back' | 'address-gone' | 'address-back') =>
    ({ address: LOCALS[0]!, change, sentence: 'as it is' }) as const;

  test('that loses its carrier makes its paths suspect, no others', () => {
    const scene = new Scene();
    scene.namespace.interfaceChanged(event('carrier-lost'));
    expect(scene.states).toEqual(['suspect', 'up']);
    expect(scene.namespace.routes[0]!.supervisor.lastErrorSentence).toBe('Suspect: as it is');
  });

  test('whose address goes loses its paths; they are tried at once when it is back', () => {
    const scene = new Scene();
    scene.network.routes[0]!.reach = 'refused';
    scene.namespace.interfaceChanged(event('address-gone'));
    expect(scene.states).toEqual(['down', 'up']);
    scene.clock.advance(30_000);
    scene.network.routes[0]!.heal();
    scene.namespace.interfaceChanged(event('address-back'));
    scene.clock.advance(2);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('that has its carrier back is tried at once, also while an attempt still waits for an answer', () => {
    const scene = new Scene();
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

describe("the server's list", () => {
  test('WELCOME names an interface without a section: it becomes a path, by itself', () => {
    const scene = new Scene({ sections: 1, names: REMOTES });
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 server-e1 up']);
    expect(scene.namespace.routes.map(({ server }) => server?.serverid)).toEqual([1, 1]);
  });

  test('an interface that comes into the list becomes a path, and one that goes is retired', () => {
    const scene = new Scene({ sections: 1, names: [REMOTES[0]!] });
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
    scene.list(REMOTES);
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 server-e1 up']);
    scene.list([REMOTES[0]!]);
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
    expect(scene.moves.at(-1)).toBe('if1: up > retired');
    expect(scene.server.paths[1]!.closedReason).not.toBe(null);
  });

  test('a section whose interface goes from the list is retired, and tried again when the server is lost', () => {
    const scene = new Scene({ names: REMOTES });
    scene.list([REMOTES[1]!]);
    expect(scene.routes).toEqual(['if1 big-9-1 up']);
    scene.server.interfaces = named([REMOTES[0]!]);
    scene.network.routes[1]!.reach = 'refused';
    scene.server.loseSession();
    scene.clock.advance(1000);
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
  });

  test('a server that moves to another address is never without a path', () => {
    const scene = new Scene({ sections: 1, names: [REMOTES[0]!] });
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

  test('changes nothing when it is empty, or with paths = configured', () => {
    const scene = new Scene({ sections: 1, names: REMOTES, keys: 'paths = configured\n' });
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
    scene.list([REMOTES[1]!]);
    expect(scene.routes).toEqual(['if0 big-9-0 up']);
    const other = new Scene({ sections: 1, names: REMOTES });
    other.list([]);
    expect(other.routes).toEqual(['if0 big-9-0 up', 'if1 server-e1 up']);
  });

  test('an older list, which comes late over another path, changes nothing', () => {
    const scene = new Scene({ names: [REMOTES[0]!] });
    scene.list(REMOTES);
    scene.server.interfaces = named([REMOTES[0]!]);
    scene.server.generation = 1;
    scene.reset(1);
    scene.clock.advance(1000);
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 big-9-1 up']);
    expect([...scene.namespace.servers.values()][0]!.interfaces).toHaveLength(2);
  });

  test('a list that changes while it is asked for is asked for again, and a server that lies about it is not asked for ever', () => {
    const scene = new Scene({ names: REMOTES });
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
  test('makes paths of a new interface, and retires those of one that is gone', () => {
    const scene = new Scene({ names: REMOTES });
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

  test('without a section: what the server lists remains a path; without any, the server is forgotten', () => {
    const scene = new Scene({ names: REMOTES });
    const { length } = scene.server.connections;
    scene.namespace.change(scene.setup(LOCALS, { sections: 1 }));
    expect(scene.routes).toEqual(['if0 big-9-0 up', 'if1 server-e1 up']);
    scene.namespace.change(scene.setup(LOCALS, { sections: 0 }));
    scene.clock.advance(1000);
    expect([scene.routes, scene.namespace.servers.size, scene.server.connections.length]).toEqual([[], 0, length]);
  });

  test('that is the same changes nothing', () => {
    const scene = new Scene({ names: REMOTES });
    const before = scene.namespace.routes.map(({ supervisor }) => supervisor);
    const { length } = scene.moves;
    scene.namespace.change(scene.setup(LOCALS));
    scene.clock.advance(1000);
    expect(scene.namespace.routes.map(({ supervisor }) => supervisor)).toEqual(before);
    expect(scene.moves).toHaveLength(length);
  });

  test('with other times of liveness counts for paths that live', () => {
    const scene = new Scene({ names: REMOTES });
    scene.namespace.change(scene.setup(LOCALS, { keys: 'heartbeat = 100ms\nsuspect = 50ms\ndead = 300ms\n' }));
    scene.server.answersPings = false;
    scene.clock.advance(400);
    expect(scene.moves.filter((move) => move.endsWith('up > down'))).toHaveLength(2);
  });
});

test('shorter times of liveness do not end paths that were silent as long as the longer ones allowed', () => {
  const scene = new Scene({ names: REMOTES, keys: 'heartbeat = 30s\nsuspect = 5s\ndead = 100s\n' });
  // Nothing is owed any more, so that nobody asks but the heartbeat.
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

test('another server at an address that a server names as its own is refused, with both', () => {
  const scene = new Scene({ sections: 1, names: [REMOTES[0]!] });
  scene.server.serverid = 2;
  scene.list(REMOTES);
  expect(scene.namespace.routes[1]?.supervisor.lastErrorSentence).toBe(
    'Server server (serverid 2) answers at 192.168.20.9, which serverid 1 names as its own: correct [interface] in the rssrvcfg of one of them [E_PROTOCOL]',
  );
});

describe('who answers at one address of a server that lives on the other', () => {
  test('with its name and serverid, but is another, does not take the session over', () => {
    const scene = new Scene({ names: REMOTES });
    scene.server.instance = 'b'.repeat(32);
    scene.reset(1);
    scene.clock.advance(60_000);
    const begun = scene.server.connections.filter(({ proven }) => proven?.kind === 'new');
    expect([begun.length, scene.states[0]]).toEqual([1, 'up']);
    expect(scene.namespace.routes[1]!.supervisor.lastErrorSentence).toBe(
      'Server server (serverid 1) answers here as another process than on its paths that live: if it stays so, two servers have this serverid, give each its own in rssrvcfg [E_PROTOCOL]',
    );
  });

  test('takes the session over when nothing is heard of the one before', () => {
    const scene = new Scene({ names: REMOTES });
    scene.server.answersPings = false;
    scene.server.instance = 'b'.repeat(32);
    scene.reset(1);
    scene.clock.advance(DEAD_AFTER_MS + 1000);
    expect(scene.server.connections.filter(({ proven }) => proven?.kind === 'new')).toHaveLength(2);
  });

  test('and cannot prove itself does not rename it', () => {
    const scene = new Scene({ names: REMOTES });
    scene.server.name = 'liar';
    scene.server.decide = (path) => path.refuse('E_AUTH', 'Who are you');
    scene.reset(1);
    scene.clock.advance(10_000);
    expect([...scene.namespace.servers.values()].map(({ name }) => name)).toEqual(['server']);
  });
});

test('a server that was started anew under another name is called by that', () => {
  const scene = new Scene({ names: REMOTES });
  scene.server.name = 'renamed';
  scene.server.instance = 'b'.repeat(32);
  scene.server.loseSession();
  scene.clock.advance(5000);
  expect([...scene.namespace.servers.values()].map(({ name }) => name)).toEqual(['renamed']);
});

test('paths that are retired and made anew a thousand times leave nothing behind, and the session lives on', () => {
  const scene = new Scene({ names: REMOTES });
  const picture = (): unknown => {
    scene.clock.advance(PATH_SETTLED_MS);
    const { timersPending } = scene.clock;
    const links = scene.network.routes.map(({ living }) => living.length);
    const { bodies, outputs } = scene.pools;
    return [timersPending, links, bodies.lent.size, outputs.lent.size, scene.namespace.servers.size, scene.states];
  };
  const before = picture();
  for (let times = 0; times < 500; times++) {
    scene.list([REMOTES[0]!]);
    scene.list(REMOTES);
    scene.namespace.change(scene.setup([LOCALS[1]!]));
    // In the middle of connecting, or of a handshake.
    scene.clock.advance(times % 4);
    scene.namespace.change(scene.setup(LOCALS));
    scene.clock.advance(times % 3);
  }
  expect(picture()).toEqual(before);
  expect(scene.server.connections.filter(({ proven }) => proven?.kind === 'new')).toHaveLength(1);
});

test('a namespace that was stopped does nothing any more', () => {
  const scene = new Scene({ sections: 1, names: [REMOTES[0]!] });
  const [path] = scene.server.paths;
  scene.server.interfaces = named(REMOTES);
  scene.namespace.stop(STATUS.IO_ERROR, 'The end');
  const { length } = scene.server.connections;
  scene.clock.advance(60_000);
  expect([path!.closedReason !== null, scene.server.connections.length]).toEqual([true, length]);
  expect(scene.routes).toEqual(['if0 big-9-0 retired']);
});

test('of what servers named only so much is remembered, the newest', () => {
  const keys = new Set<string>();
  for (let number = 0; number < 3 * END_POINTS_REMEMBERED_MAX; number++) {
    remember(keys, 'often');
    remember(keys, `10.0.0.${number}/5000`);
  }
  expect([keys.size, keys.has('often'), keys.has('10.0.0.0/5000')]).toEqual([END_POINTS_REMEMBERED_MAX, true, false]);
});
