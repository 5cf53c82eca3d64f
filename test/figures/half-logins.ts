// `npm run drill -- half-logins`: connections that end, stand still or lie at any byte of any handshake. Each life is a whole exchange of a
// client with a daemon through a proxy, which cuts it or changes a byte at a random place in one direction; a second rsiod connects through such
// a proxy all the time. Invariant: afterwards, the daemons are the same processes, with as many open files and processes as before and hardly
// more memory, everybody can log in, and no log has an internal error.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { SocketInitiator } from '@rsio/gates/iscsi/testing/socket-initiator';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { FEATURE } from '@rsio/protocol/wire/features';
import { OP } from '@rsio/protocol/wire/frames';
import { defineDrill } from '../support/drills/harness.ts';
import { count, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import type { TestNetwork } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { RawClient } from '../support/peers/raw-peer.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const NODES = ['mars', 'ceres', 'pluto', 'vesta'] as const;
const [SETTLE_MS, LIFE_MS] = [60_000, 5_000];
/** What memory may grow by: pooled buffers, and what Node has not freed. */
const GROWTH_MAX_KIB = 128 * 1024;
const FILES_MAX = 8;
const ALARM = /E_INTERNAL|AssertionError|TypeError|RangeError|Unhandled|\n\s+at /;

/** What happens to one connection: after `at` bytes of one direction, it is cut, or stands still, or a byte or a length is another one. */
interface Fate {
  readonly at: number;
  readonly fromClient: boolean;
  readonly how: (typeof HOWS)[number];
  readonly value: number;
}

const ENDINGS = ['end', 'reset', 'hold'] as const;
const HOWS = [...ENDINGS, 'flip', 'length'] as const;
const LENGTHS = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** Passes connections on. Each connection takes the next fate; without one, it is passed on whole. */
class FatefulProxy {
  readonly lengths = { client: 0, server: 0 };
  private readonly server: net.Server;
  private readonly sockets = new Set<net.Socket>();

  constructor(target: net.NetConnectOpts, nextFate: () => Fate | null) {
    this.server = net.createServer({ noDelay: true }, (client) => {
      const peer = net.connect({ ...target });
      const fate = nextFate();
      for (const one of [client, peer]) {
        this.sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => this.sockets.delete(one));
      }
      this.pipe(client, peer, fate?.fromClient === true ? fate : null, 'client');
      this.pipe(peer, client, fate?.fromClient === false ? fate : null, 'server');
    });
  }

  listen(at: string | number, address?: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      if (typeof at === 'string') this.server.listen(at, resolve);
      else this.server.listen(at, address, resolve);
    });
  }

  /** Ends all connections: their clients wait without a limit. */
  cut(): void {
    for (const one of this.sockets) one.destroy();
  }

  close(): void {
    this.server.close();
    this.cut();
  }

  private pipe(from: net.Socket, to: net.Socket, fate: Fate | null, side: 'client' | 'server'): void {
    let seen = 0;
    let isOver = false;
    from.on('data', (chunk: Buffer) => {
      if (isOver) return;
      const at = fate === null ? -1 : fate.at - seen;
      seen += chunk.length;
      this.lengths[side] = Math.max(this.lengths[side], seen);
      if (fate === null || at < 0 || at >= chunk.length) {
        to.write(chunk);
        return;
      }
      if (fate.how === 'flip') {
        chunk[at] = chunk[at]! ^ (1 + (fate.value % 255));
        to.write(chunk);
        return;
      }
      if (fate.how === 'length') {
        if (at + 4 <= chunk.length) chunk.writeUInt32BE(LENGTHS[fate.value % LENGTHS.length]!, at);
        to.write(chunk);
        return;
      }
      isOver = true;
      to.write(chunk.subarray(0, at));
      if (fate.how === 'end') to.end();
      else if (fate.how === 'reset' && to.remoteAddress !== undefined) to.resetAndDestroy();
      else if (fate.how === 'reset') to.destroy();
    });
    from.on('end', () => !isOver && to.end());
    from.on('close', () => !isOver && to.destroy());
  }
}

/** An exchange with a daemon, through the proxy. It may fail if its connection has a fate. */
interface Door {
  readonly name: string;
  readonly proxy: FatefulProxy;
  fate: Fate | null;
  exchange(life: number): Promise<void>;
}

interface Site {
  readonly host: Host;
  readonly doors: readonly Door[];
  /** Lets the rsiod behind the fateful proxy connect without faults, and waits for its path; or lets the faults begin again. */
  calm(isCalm: boolean): Promise<void>;
}

/** Starts rssrv, and rsiod with volumes for the gates and for the NBD socket. */
async function startDaemons({ hosts }: Scene): Promise<{ readonly host: Host; readonly network: TestNetwork }> {
  const host = hosts.host();
  const network = await hosts.network(1);
  const size = '4m';
  const clients = Object.fromEntries(['big-2', 'venus', ...NODES].map((node) => [node, keyOf(node)]));
  const volumes = { oracle: { type: 'memory', size }, files: { type: 'memory', size }, common: { type: 'memory', size, shared: 'yes' } };
  host.writeConfig('rssrv', serverConfig(network, { clients, volumes, tls: 'allow' }));
  await host.start('rssrv');
  host.writeConfig('rsiod', clientConfig(network, { serverAddresses: network.serverAddresses }));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', 'oracle', 'files');
  return { host, network };
}

/** Starts a gate of each protocol, and returns what hosts have to know. */
async function startGates(host: Host) {
  const ports = { nvme: await freePort('127.0.0.1'), iscsi: await freePort('127.0.0.1') };
  const gate = (name: string, port: number, ...words: readonly string[]): Promise<string> =>
    host.rsconfigWell('gate', 'add', name, `127.0.0.1:${port}`, '--hosts', 'all', '--offers', 'oracle', ...words);
  await gate('plain', ports.nvme, '--reload');
  await gate('hv', ports.iscsi, '--iscsi', '--reload');
  const offered = await waitFor(
    async () => {
      const { gates } = await host.call('gates', {});
      return gates.length === 2 && gates.every(({ listening, volumes: shown }) => listening.length === 1 && shown.length === 1)
        ? gates
        : null;
    },
    SETTLE_MS,
    'The gates listen',
  );
  const [plain, hv] = ['plain', 'hv'].map((name) => offered.find((one) => one.name === name)!);
  return { ports, plain, hv };
}

async function build(scene: Scene): Promise<Site> {
  const { hosts, random } = scene;
  const { host, network } = await startDaemons(scene);
  const behind = hosts.host();
  const { ports, plain, hv } = await startGates(host);
  const [address = ''] = network.serverAddresses;
  const { port } = network;

  const door = async (
    name: string,
    target: net.NetConnectOpts,
    exchange: (life: number, at: number | string) => Promise<void>,
  ): Promise<Door> => {
    const at = 'path' in target ? host.file(`proxy/${name.replaceAll(' ', '-')}`) : await freePort('127.0.0.1');
    const one: Door = { name, fate: null, proxy: new FatefulProxy(target, () => one.fate), exchange: (life) => exchange(life, at) };
    if (typeof at === 'string') rmSync(at, { force: true });
    await one.proxy.listen(at, '127.0.0.1');
    hosts.onClean(() => one.proxy.close());
    return one;
  };
  let instance = 0;
  const raw = (features: readonly string[]) => async (life: number, at: number | string) => {
    const node = NODES[life % NODES.length]!;
    const identity = { node, nodekey: keyOf(node), namespaceid: 200, hello: { features, instance: ++instance } };
    const to = { address: '127.0.0.1', port: Number(at) };
    const client = await RawClient.connect(to, identity);
    try {
      await client.greet();
      client.prove(null);
      await client.welcomedBy(null);
      await client.call({ op: OP.LIST });
      const { handle } = await client.open('common');
      await client.call({ op: OP.READ, handle, lba: 0, count: 8 });
    } finally {
      client.close();
    }
  };
  const lines = (method: string) => (_life: number, at: number | string) =>
    new Promise<void>((resolve, reject) => {
      const socket = net.connect(String(at));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('closed')));
      socket.on('data', () => {
        resolve();
        socket.destroy();
      });
      socket.write(`${JSON.stringify({ id: 1, method, params: {} })}\n`);
    });
  const from = { host: address, port };
  const doors = [
    await door('rssrv', from, raw([])),
    await door('rssrv, TLS', from, raw([FEATURE.TLS])),
    await door('NVMe gate', { host: '127.0.0.1', port: ports.nvme }, async (_life, at) => {
      const one = await SocketHost.login(Number(at), { nqn: plain!.nqn });
      one.close();
    }),
    await door('iSCSI gate', { host: '127.0.0.1', port: ports.iscsi }, async (life, at) => {
      const isid = `4000${(life % 0xffff).toString(16).padStart(4, '0')}0000`;
      const one = await SocketInitiator.login(Number(at), { target: hv!.nqn, lun: hv!.volumes[0]!.nsid, isid });
      one.close();
    }),
    await door('NBD socket', { path: host.rsiodPaths.nbdSocket }, async (_life, at) => {
      const nbd = await NbdIo.open(String(at), 'osl/files', LIFE_MS);
      await nbd.read(0, 4096).finally(() => nbd.close());
    }),
    await door('control of rssrv', { path: host.rssrvPaths.controlSocket }, lines('volume-list')),
    await door('control of rsiod', { path: host.rsiodPaths.controlSocket }, lines('gates')),
  ];

  let isCalm = true;
  const own = new FatefulProxy(from, () => (isCalm || random.chance(0.1) ? null : fateOf(random, 3_000, 3_000, true)));
  const ownPort = await freePort('127.0.0.1');
  await own.listen(ownPort, '127.0.0.1');
  hosts.onClean(() => own.close());
  const through = { ...network, port: ownPort, serverAddresses: ['127.0.0.1'], clientAddresses: () => ['127.0.0.1'] };
  behind.writeConfig('rsiod', clientConfig(through, { node: 'venus', serverAddresses: ['127.0.0.1'] }));
  await behind.start('rsiod');
  await behind.pathsUp(1, SETTLE_MS);
  scene.withLogs(() => behind.log('rsiod').split('\n').slice(-20).join('\n'));
  const calm = async (isWanted: boolean): Promise<void> => {
    isCalm = isWanted;
    if (!isCalm) return;
    await behind.pathsUp(1, SETTLE_MS);
    const alarm = ALARM.exec(behind.log('rsiod'));
    if (alarm !== null)
      scene.problem(`rsiod behind a lying path: ${behind.log('rsiod').slice(Math.max(0, alarm.index - 300), alarm.index + 300)}`);
  };
  return { host, doors, calm };
}

/** `areBothJudged`: whether the client is a program of RSIO, to which a server may lie. The clients of the other doors only end. */
function fateOf(random: SeededRandom, client: number, server: number, areBothJudged: boolean): Fate {
  const fromClient = random.chance(0.6);
  // Twice as many lives end early, where the handshakes are.
  const most = Math.max(1, fromClient ? client : server);
  const at = random.int(0, random.chance(0.5) ? Math.min(most, 400) - 1 : most - 1);
  return { at: Math.max(0, at), fromClient, how: random.pick(fromClient || areBothJudged ? HOWS : ENDINGS), value: random.int(0, 2 ** 30) };
}

/** What a daemon has: processes, open files of all of them, and memory. */
function possessions(host: Host): { readonly processes: number; readonly files: number; readonly kib: number } {
  const pids = host.processes().filter((pid) => /rssrv|rsiod/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')));
  const files = pids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
  const kib = pids.reduce((sum, pid) => sum + Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0), 0);
  return { processes: pids.length, files, kib };
}

async function play(scene: Scene, { lives }: { readonly lives: number; readonly seed: number | null }): Promise<void> {
  const { random } = scene;
  const site = await build(scene);
  const { host, doors } = site;
  for (const one of ['rssrv', 'rsiod'] as const) scene.withLogs(() => host.log(one).split('\n').slice(-20).join('\n'));
  const daemons = [host.pid('rssrv'), host.pid('rsiod')];
  const whole = async (): Promise<void> => {
    for (const one of doors) {
      one.fate = null;
      one.proxy.cut();
      // Each node has a session afterwards, which waits for its client.
      for (const life of NODES.keys()) await waitFor(async () => (await one.exchange(life), true), SETTLE_MS, `Login at ${one.name}`);
    }
  };
  await whole();
  const settled = async (): Promise<ReturnType<typeof possessions>> => {
    let last = possessions(host);
    await waitFor(
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        const now = possessions(host);
        const isStill = now.files === last.files && now.processes === last.processes;
        last = now;
        return isStill;
      },
      SETTLE_MS,
      'Open files and processes stay the same',
    );
    return last;
  };
  const outcomes = new Map<string, number>();
  scene.atEnd(() => [...outcomes].map(([what, times]) => `${what}: ${times}`).toSorted((a, b) => (a < b ? -1 : 1)));
  /** Each door has one life at a time, because its proxy gives the fate to whatever connects. */
  const batch = async (from: number, to: number): Promise<void> => {
    let next = from;
    const lane = async (one: Door): Promise<void> => {
      while (next < to && !scene.isEnding) {
        const life = next++;
        scene.round(`life ${life}, ${one.name}`);
        one.fate = fateOf(random, one.proxy.lengths.client, one.proxy.lengths.server, false);
        const late = new Promise<string>((resolve) =>
          setTimeout(() => resolve('stands still'), one.fate?.how === 'hold' ? 30 : 400).unref(),
        );
        const how = await Promise.race([
          one.exchange(life).then(
            () => 'whole',
            () => 'ended',
          ),
          late,
        ]);
        const what = `${one.name}, ${how}`;
        outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
      }
    };
    await Promise.all(doors.map(lane));
  };
  // The first lives fill pools and caches.
  const warm = Math.min(Math.ceil(lives / 5), 2_000);
  await site.calm(false);
  await batch(0, warm);
  await whole();
  await site.calm(true);
  const before = await settled();
  await site.calm(false);
  await batch(warm, lives);
  scene.at('afterwards');
  await whole();
  await site.calm(true);
  const fits = (): boolean => {
    const now = possessions(host);
    return now.files <= before.files + FILES_MAX && now.processes <= before.processes && now.kib <= before.kib + GROWTH_MAX_KIB;
  };
  await waitFor(fits, SETTLE_MS, 'Open files, processes and memory are those of before').catch(() => undefined);
  const after = possessions(host);
  scene.say(`before: ${JSON.stringify(before)}, after: ${JSON.stringify(after)}`);
  if (!fits()) scene.problem(`The daemons have more than before: ${JSON.stringify(before)} ${JSON.stringify(after)}`);
  if (host.pid('rssrv') !== daemons[0] || host.pid('rsiod') !== daemons[1]) scene.problem('A daemon is another process');
  for (const daemon of ['rssrv', 'rsiod'] as const) {
    const found = ALARM.exec(host.log(daemon));
    if (found !== null)
      scene.problem(`The log of ${daemon} has ${host.log(daemon).slice(Math.max(0, found.index - 300), found.index + 300)}`);
  }
}

export const drill = defineDrill({
  about: `Starts rssrv with TLS, and rsiod with an NBD socket and gates for NVMe/TCP and iSCSI. Each life is a login with some requests at one of them, or at a
    control socket, through a proxy that ends, resets or holds the connection, or changes a byte or a length, at a random place of one direction. Another rsiod
    connects through such a proxy all the time.`,
  needs: [],
  unit: 'lives',
  options: { lives: count(2_000, 'number of connections'), seed: seed() },
  play,
});
