// A namespace with two interfaces on an in-memory network, and a scripted server that reports interfaces, sends lists and loses paths on
// request. The tests of namespace.ts use this scene.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { quietLog } from '@rsio/base/log/log';
import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import { PATH_SETTLED_MS, PROBATION_DEATHS, RECONNECT_FIRST_MS } from '@rsio/protocol/client/limits';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { type HeardFrame, type ScriptedPath, ScriptedServer } from '@rsio/protocol/testing/scripted-server';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { OP } from '@rsio/protocol/wire/frames';
import { encodeListAnswers, type ServerInterface } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { expect } from 'vitest';
import { Namespace, type NamespaceSetup } from '../network/namespace.ts';

export const LOCALS = ['192.168.10.1', '192.168.20.1'];
export const REMOTES = ['192.168.10.9', '192.168.20.9'];

interface SceneOptions {
  readonly keys?: string;
  /** Number of remote addresses that have a `[server]` section. By default, each remote address has a section. */
  readonly sections?: number;
  readonly names?: readonly string[];
}

export class NamespaceScene {
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
      { instance: 1, machine: 'm', boot: 'b', process: 'p', dataProcess: 0 },
      {
        clock: this.clock,
        log: quietLog,
        connector: this.network,
        random: this.random.bytes,
        pools: this.pools,
        events: { sessionBegan: () => {}, opened: () => {}, openFailed: () => {}, openWaits: () => {}, listed: () => {}, grown: () => {} },
        serverCount: () => 0,
        hasDataProcesses: false,
        known: { of: () => [], serveridAt: () => null, learned: () => {} },
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

  /** The routes and their states, as texts such as `if0 big-9-0 up`. */
  get routes(): string[] {
    return this.namespace.routes.map(({ local, remote, supervisor }) => `${local.name} ${remote.name} ${supervisor.state}`);
  }

  /** Makes the server change its list and announce the change on one path. The client then requests the list on any path. */
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

  /** Makes the first path fail so often that it is put on probation. */
  flap(): void {
    for (let times = 0; times < PROBATION_DEATHS; times++) {
      this.reset(0);
      this.clock.advance(PATH_SETTLED_MS + RECONNECT_FIRST_MS + 1);
    }
    expect(this.states).toEqual(['probation', 'up']);
  }
}

export function named(addresses: readonly string[]): ServerInterface[] {
  return addresses.map((address) => ({ name: `e${REMOTES.indexOf(address)}`, address, port: PORT_DEFAULT }));
}
