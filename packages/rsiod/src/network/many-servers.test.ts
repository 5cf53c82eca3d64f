// Tests a client with nearly SERVERS_PER_CLIENT_MAX servers: servers in any namespace are accepted until the maximum is reached, and one
// more server is refused with an error. test/integration/many-servers.test.ts tests the maximum with eight interfaces per server and real
// sockets.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { quietLog } from '@rsio/base/log/log';
import { SERVERS_PER_CLIENT_MAX } from '@rsio/common/config/schema/limits';
import { PATH_SETTLED_MS, RECONNECT_MAX_MS } from '@rsio/protocol/client/limits';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { ScriptedServer } from '@rsio/protocol/testing/scripted-server';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expect, test } from 'vitest';
import { Namespace, type NamespaceSetup } from './namespace.ts';

const LOCAL = '10.0.0.1';
const SERVERS = ['srv-0', 'srv-1', 'srv-2'];
/** Number of servers in other namespaces, which the scene only counts. */
const ELSEWHERE = SERVERS_PER_CLIENT_MAX - 2;

function remote(order: number): string {
  return `10.0.0.${10 + order}`;
}

class Scene {
  readonly clock = new FakeClock();
  readonly namespaces: Namespace[];
  private readonly random = new SeededRandom(1);
  readonly servers = SERVERS.map((name, serverid) =>
    Object.assign(new ScriptedServer(this.random), { name, serverid, answersPings: true }),
  );

  /** `groups`: the numbers of the servers in each namespace. */
  constructor(...groups: readonly (readonly number[])[]) {
    const network = new MemoryNetwork(this.clock, IDEAL_LINK, (end, { address }) =>
      this.servers.find((_, order) => remote(order) === address)?.accept(end),
    );
    for (const order of SERVERS.keys()) network.addRoute(LOCAL, remote(order));
    const ports = {
      clock: this.clock,
      log: quietLog,
      connector: network,
      random: this.random.bytes,
      pools: { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() },
      events: { sessionBegan: () => {}, opened: () => {}, openFailed: () => {}, openWaits: () => {}, listed: () => {}, grown: () => {} },
      hasDataProcesses: false,
      known: { of: () => [], serveridAt: () => null, learned: () => {} },
      serverCount: () => this.namespaces.reduce((sum, { provedServers }) => sum + provedServers, ELSEWHERE),
      pathChanged: () => {},
    };
    const identity = { instance: 1, machine: 'm', boot: 'b', process: 'p', dataProcess: 0 };
    this.namespaces = groups.map((orders, index) => new Namespace(this.setup(`n${index}`, orders), identity, ports));
    for (const namespace of this.namespaces) namespace.start();
    this.clock.advance(PATH_SETTLED_MS);
  }

  setup(name: string, orders: readonly number[]): NamespaceSetup {
    const sections = orders.map((order) => `[server ${SERVERS[order]}]\naddress = ${remote(order)}\n`);
    const keys = `namespaceid = 1\nnodename = node\nnodekey = ${this.servers[0]!.nodekey}\n`;
    const config = parseRscltConfig(`[interface if0]\naddress = ${LOCAL}/24\n[namespace ${name}]\n${keys}${sections.join('')}`, 'rscltcfg');
    return { whole: config, config: config.namespaces[0]!, locals: config.interfaces };
  }
}

test('the 257th server over all namespaces is refused with the remedy, and a removed server makes room', () => {
  const scene = new Scene([0], [1]);
  const [first, second] = scene.namespaces;
  expect([first!.servers.size, second!.servers.size]).toEqual([1, 1]);
  second!.change(scene.setup('n1', [1, 2]));
  scene.clock.advance(PATH_SETTLED_MS);
  expect(second!.servers.size).toBe(1);
  const refused = second!.routes.find((route) => route.remote.name === 'srv-2')!.supervisor;
  expect([refused.state, refused.lastErrorSentence]).toEqual([
    'down',
    'Server srv-2 of namespace n1 would be one more than the 256 servers that a client may have: remove its [server] sections, or those of another one, and run rsconfig reload [E_LIMIT]',
  ]);
  first!.change(scene.setup('n0', []));
  scene.clock.advance(RECONNECT_MAX_MS + PATH_SETTLED_MS);
  expect([first!.servers.size, second!.servers.size, refused.state]).toEqual([0, 2, 'up']);
});

// Regression: an unproven CHALLENGE registered a server, so a hostile peer at one address reached the maximum within minutes.
test('a peer that claims a new identity each time and proves none uses up no place', () => {
  const scene = new Scene([0], []);
  const liar = scene.servers[1]!;
  liar.decide = (path) => {
    liar.serverid = 10 + (liar.connections.length % 200);
    path.connection.close('no proof', true);
  };
  const [namespace] = scene.namespaces;
  namespace!.change(scene.setup('n0', [0, 1]));
  for (let seconds = 0; seconds < 1_000; seconds++) scene.clock.advance(1_000);
  expect(liar.connections.length).toBeGreaterThan(100);
  expect(namespace!.servers.size).toBeLessThanOrEqual(2);
  namespace!.change(scene.setup('n0', [0, 1, 2]));
  scene.clock.advance(PATH_SETTLED_MS);
  expect(namespace!.routes.find((route) => route.remote.name === 'srv-2')!.supervisor.state).toBe('up');
});
