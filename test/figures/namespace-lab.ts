// `npm run drill -- namespace`: many servers and clients, and one file that makes all servers know all clients with their rights (G53). Then a
// client gets another key under I/O, two servers are away while the file changes, and a change by hand is found. Invariant: each step is an
// order of an administrator's client, and its outcome is read on every server.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defineDrill } from '../support/drills/harness.ts';
import { count } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { seconds } from '../support/drills/table.ts';
import { clientConfig, ENCRYPTED, keyOf, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { type RunResult, wellOf } from '../support/programs/programs.ts';

const [FIRST_SERVER, SERVERS_MAX, CLIENTS_MAX] = [10, 40, 150];
const AT_ONCE = 4;
const UP_MS = 300_000;
const GOAL_MS = 60_000;

interface Asked {
  readonly servers: number;
  readonly clients: number;
}

class NamespaceLab {
  private readonly on: Scene;
  private readonly asked: Asked;
  private readonly network: Awaited<ReturnType<Scene['hosts']['network']>>;
  private readonly addresses: readonly string[];
  private servers: readonly Host[] = [];
  private clients: readonly Host[] = [];
  private admin!: Host;
  private otherKeyOf = '';

  constructor(on: Scene, asked: Asked, network: Awaited<ReturnType<Scene['hosts']['network']>>) {
    this.on = on;
    this.asked = asked;
    this.network = network;
    this.addresses = numbers(asked.servers).map((number) => network.subnets[0]!.address(FIRST_SERVER + number));
  }

  async play(): Promise<void> {
    const { on, asked } = this;
    this.servers = await inLanes(numbers(asked.servers), (number) => this.startedServer(number));
    this.admin = this.client('big-2', keyOf('big-2'), 0);
    await this.admin.start('rsiod');
    await this.admin.pathsUp(asked.servers, UP_MS);
    // They are refused until the file names them.
    this.clients = await inLanes(numbers(asked.clients), async (number) => {
      const client = this.client(nameOf(number), keyOf(nameOf(number)), 1 + number);
      await client.start('rsiod');
      return client;
    });
    on.say(`${asked.servers} servers and ${asked.clients} clients run: ${memoryOf([...this.servers, ...this.clients, this.admin])}`);
    await this.fromNothing();
    await this.otherKey();
    await this.awayServers();
    await this.byHand();
  }

  private async startedServer(number: number): Promise<Host> {
    const host = this.on.hosts.host();
    await startServer(
      host,
      { ...this.network, serverAddresses: [this.addresses[number]!] },
      {
        name: serverName(number),
        server: { serverid: String(number + 1), processes: '1' },
        volumes: number === 0 ? { db: { type: 'memory', size: '16m' } } : {},
        clients: { 'big-2': keyOf('big-2') },
        rights: { 'big-2': 'admin' },
      },
    );
    return host;
  }

  private client(node: string, key: string, position: number): Host {
    const host = this.on.hosts.host();
    this.configure(host, node, key, position);
    return host;
  }

  private configure(host: Host, node: string, key: string, position: number): void {
    // Each client has an address of its own, above those of the servers.
    const network = { ...this.network, clientAddresses: () => [this.network.subnets[0]!.address(FIRST_SERVER + SERVERS_MAX + position)] };
    host.writeConfig('rsiod', clientConfig(network, { node, key, serverAddresses: this.addresses, defaults: ENCRYPTED }));
  }

  /** Writes the file of the namespace. `rights`: of each client. */
  private file(rights: string): string {
    const clients = numbers(this.asked.clients).map(
      (number) => `[client ${nameOf(number)}]\nkey = ${keyOf(nameOf(number))}\nrights = ${rights}\n`,
    );
    const admin = `[namespace osl]\nnamespaceid = 200\n[client big-2]\nkey = ${keyOf('big-2')}\nrights = admin\n`;
    const file = path.join(this.admin.root, 'osl.conf');
    writeFileSync(file, [admin, ...clients].join(''), { mode: 0o600 });
    return file;
  }

  /** The figure says how long it took, so that a machine with a high load only makes it larger. */
  private apply(file: string): Promise<RunResult> {
    return this.admin.run('rsconfig', ['apply', file], UP_MS);
  }

  /** One order, after which every server knows every client; then all paths come up. */
  private async fromNothing(): Promise<void> {
    const { on, asked, admin } = this;
    on.round('one file');
    const startMs = performance.now();
    const out = wellOf('rsconfig apply', await this.apply(this.file('manage')));
    const applyMs = performance.now() - startMs;
    const [added, wanted] = [out.split('is added').length - 1, asked.servers * asked.clients];
    if (added !== wanted) on.problem(`apply has added ${added} clients, not ${wanted}`);
    on.say(`rsconfig apply: 1 order instead of ${wanted}, ${seconds(applyMs)}${applyMs > GOAL_MS ? ' (goal: 60 s, missed)' : ''}`);
    await Promise.all(this.clients.map((client) => client.pathsUp(asked.servers, UP_MS)));
    on.say(`all ${wanted} paths are up ${seconds(performance.now() - startMs)} after the order`);
    on.say(`with all sessions: ${memoryOf([...this.servers, ...this.clients, admin])}`);
  }

  /** A client gets another key while it writes. */
  private async otherKey(): Promise<void> {
    const { on, admin, asked } = this;
    on.round('another key');
    const [client] = this.clients;
    const node = nameOf(0);
    await client!.rsconfigWell('-a', 'db');
    const io = await NbdIo.open(client!.rsiodPaths.nbdSocket, 'osl/db');
    let [isOn, writes, longestMs] = [true, 0, 0];
    const writing = (async () => {
      for (; isOn; writes++) {
        const beganMs = performance.now();
        await io.write((writes % 4096) * 4096, Buffer.alloc(4096, writes % 251));
        longestMs = Math.max(longestMs, performance.now() - beganMs);
      }
    })();
    const startMs = performance.now();
    const key = (await admin.rsconfigWell('client', 'rekey', node)).trim();
    this.otherKeyOf = key;
    this.configure(client!, node, key, 1);
    await client!.rsconfigWell('reload');
    const keyFile = admin.file('other.key');
    writeFileSync(keyFile, key, { mode: 0o600 });
    await admin.rsconfigWell('client', 'rekey', node, '--key-file', keyFile, '--finish');
    const tookMs = performance.now() - startMs;
    await client!.pathsUp(asked.servers, UP_MS);
    isOn = false;
    await writing;
    io.close();
    const late = this.servers.filter((server) => !configOf(server).includes(`${node} ${key}\n`));
    if (late.length > 0) on.problem(`${late.length} servers have the old key of ${node}`);
    on.say(
      `another key at all servers in ${seconds(tookMs)}, under ${writes} writes without an error; the longest took ${seconds(longestMs)}`,
    );
  }

  /** The file changes while two servers are away, and they follow by the same order. */
  private async awayServers(): Promise<void> {
    const { on, admin, asked } = this;
    on.round('two servers away');
    const away = this.servers.slice(-2);
    for (const server of away) await server.kill('rssrv');
    const file = this.file('use\niops = 5000');
    // The client has another key than at first.
    writeFileSync(file, readFileSync(file, 'utf8').replace(keyOf(nameOf(0)), this.otherKeyOf));
    const without = await this.apply(file);
    if (without.code !== 1 || without.stderr.split(' is away: ').length !== 3)
      on.problem(`apply did not name two servers: ${without.stderr}`);
    for (const server of away) await server.start('rssrv');
    await admin.pathsUp(asked.servers, UP_MS);
    const drift = await admin.rsconfig('drift');
    if (drift.stderr.split(': it has generation 1, and ').length !== 3) on.problem(`drift did not name two servers: ${drift.stderr}`);
    const startMs = performance.now();
    wellOf('rsconfig apply', await this.apply(file));
    on.say(`two servers that were away follow in ${seconds(performance.now() - startMs)}`);
    const late = this.servers.filter((server) => !configOf(server).includes('n1 use iops=5000\n'));
    if (late.length > 0) on.problem(`${late.length} servers do not have the new rights`);
  }

  private async byHand(): Promise<void> {
    const { on, admin, asked } = this;
    on.round('a change by hand');
    await admin.rsconfigWell('drift');
    const number = on.random.int(0, asked.servers - 1);
    await this.servers[number]!.rsadmWell('client', 'rights', nameOf(1), 'admin');
    const startMs = performance.now();
    const drift = await admin.rsconfig('drift');
    const found = `${serverName(number)}: applying the file again: client n1: the right admin iops=5000 -> use iops=5000`;
    if (drift.code !== 1 || !drift.stderr.includes(found)) on.problem(`drift did not find the change: ${drift.stderr}`);
    on.say(`drift finds a change by hand at ${serverName(number)} in ${seconds(performance.now() - startMs)}`);
  }
}

const numbers = (count_: number): number[] => Array.from({ length: count_ }, (_, number) => number);
const serverName = (number: number): string => `pi-${number}`;
const nameOf = (number: number): string => `n${number}`;

function configOf(host: Host): string {
  return readFileSync(host.rssrvPaths.configFile, 'utf8');
}

async function inLanes<T>(all: readonly number[], make: (number: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < all.length) {
      const number = next++;
      made[number] = await make(all[number]!);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return made;
}

/** Processes of the hosts, and the memory that is theirs alone or shared in parts. */
function memoryOf(hosts: readonly Host[]): string {
  const pids = hosts.flatMap((host) => host.processes());
  const kib = pids.map((pid) => Number(/^Pss:\s+(\d+)/m.exec(rollup(pid))?.[1] ?? 0)).reduce((sum, one) => sum + one, 0);
  return `${pids.length} processes, ${(kib / 1024 ** 2).toFixed(1)} GiB (PSS)`;
}

function rollup(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  } catch {
    return '';
  }
}

export const drill = defineDrill({
  about: `Starts N servers that know only an administrator's client, and M clients that they refuse. One rsconfig apply makes all servers know all
    clients. Then a client gets another key while it writes, two servers are killed while the file changes, and a change by hand is found.`,
  needs: [],
  unit: 'steps',
  endsAtOnce: true,
  options: {
    servers: count(20, `number of servers, at most ${SERVERS_MAX}`),
    clients: count(50, `number of clients, at most ${CLIENTS_MAX}`),
  },
  play: async (on: Scene, asked: Asked) => {
    if (asked.servers > SERVERS_MAX || asked.clients > CLIENTS_MAX) throw new Error('Too many servers or clients: see --help');
    return new NamespaceLab(on, asked, await on.hosts.network(1)).play();
  },
});
