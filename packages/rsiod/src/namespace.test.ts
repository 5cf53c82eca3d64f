// A namespace over a network in memory, with the server's end in the test's hands: that its paths help each other out, and that what
// happens to an interface reaches its paths. What one path does is the supervisor's test, what a trunk does with its paths the trunk's.

import { parseRscltConfig } from '@rsio/protocol/config/rscltcfg';
import { quietLog } from '@rsio/protocol/lib/log';
import { PATH_SETTLED_MS, PROBATION_DEATHS, RECONNECT_FIRST_MS } from '@rsio/protocol/limits';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/protocol/testing/fake-clock';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { ScriptedServer } from '@rsio/protocol/testing/scripted-server';
import { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { describe, expect, test } from 'vitest';
import { Namespace } from './namespace.ts';

const LOCALS = ['192.168.10.1', '192.168.20.1'];
const REMOTES = ['192.168.10.9', '192.168.20.9'];

class Scene {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  readonly server = new ScriptedServer(this.random);
  readonly network = new MemoryNetwork(this.clock, IDEAL_LINK, (end) => this.server.accept(end));
  readonly moves: string[] = [];
  readonly namespace: Namespace;

  constructor() {
    this.server.answersPings = true;
    for (const [index, local] of LOCALS.entries()) this.network.addRoute(local, REMOTES[index]!);
    const interfaces = LOCALS.map((address, index) => `[interface if${index}]\naddress = ${address}/24\n`);
    const servers = REMOTES.map((address, index) => `[server big-9-${index}]\naddress = ${address}\n`);
    const namespace = `[namespace n]\nnamespaceid = 1\nnodename = node\nnodekey = ${this.server.nodekey}\n`;
    const config = parseRscltConfig([...interfaces, namespace, ...servers].join('\n'), 'rscltcfg');
    const locals = config.interfaces.map(({ name, address, prefixLength, portGiven }) => ({ name, address, prefixLength, portGiven }));
    this.namespace = new Namespace(
      config,
      config.namespaces[0]!,
      locals,
      { instance: 1, machine: 'm', boot: 'b' },
      {
        clock: this.clock,
        log: quietLog,
        connector: this.network,
        random: this.random.bytes,
        pools: { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() },
        events: { sessionBegan: () => {}, opened: () => {}, openFailed: () => {}, openWaits: () => {} },
        pathChanged: ({ local }, from, to) => this.moves.push(`${local.name}: ${from} > ${to}`),
      },
    );
    this.namespace.start();
    this.clock.advance(PATH_SETTLED_MS * 2);
    expect(this.states).toEqual(['up', 'up']);
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
