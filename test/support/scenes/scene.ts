// The scene of the tests in which peers misbehave towards rssrv: a running server, a well-behaved rsiod that uses a volume over two paths,
// and addresses for the offenders. VOLUMES has the volumes of the server. The tests make the misbehaving peers, and call `wellBehaved`
// after each test.

import { expect } from 'vitest';
import { PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { clientConfig, keyOf, serverConfig } from '../hosts/configs.ts';
import { emptyPool } from '../hosts/empty-pool.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts, TestNetwork } from '../hosts/hosts.ts';
import { NbdIo } from '../io/nbd-io.ts';
import { type RawAddress, RawClient, type RawIdentity } from '../peers/raw-peer.ts';
import { deathsOfPaths } from '../io/volume-stats.ts';
import { waitFor } from '../programs/wait-for.ts';

export const NAMESPACEID = 200;

/** Names of the nodes as which raw clients log in. A test with several clients uses several names. */
export const RAW_NODES = ['venus', 'mars', 'ceres', 'pluto'] as const;
const GOOD_NODE = 'big-2';

const SECTORS = 4096;

/** The first path that joins a session gets the slot with this number, and each further path gets the next slot. */
const FIRST_JOIN_SLOT = 128;
const CHECK_BYTES = 64 * 1024;
const LOGGED_DEADLINE_MS = 5_000;
/** Host number, in the first subnet, of the interface that a reload adds to the server. */
const FURTHER_HOST = 12;

export class Scene {
  readonly host: Host;
  readonly server: RawAddress;
  private readonly network: TestNetwork;
  private readonly nbd: NbdIo;
  private readonly serverFile: string;
  private readonly listenerPid: number;
  private offenders = 0;
  private logRead = 0;

  private constructor(host: Host, network: TestNetwork, nbd: NbdIo, serverFile: string) {
    this.serverFile = serverFile;
    this.host = host;
    this.network = network;
    this.nbd = nbd;
    this.server = { address: network.serverAddresses[0] ?? '', port: network.port };
    this.listenerPid = host.pid('rssrv');
  }

  /**
   * `namespaceKeys`: further lines of the server's section `[namespace]`. `hasPool`: whether the server has a pool with the volume
   * `replica`.
   */
  static async begin(hosts: Hosts, namespaceKeys = '', hasPool = false): Promise<Scene> {
    const host = hosts.host();
    const network = await hosts.network(2);
    const pools = hasPool ? { fast: { path: await emptyPool(host), reserve: '0%' } } : {};
    const size = String(SECTORS * 512);
    const memory = { type: 'memory', size };
    const config = serverConfig(network, {
      clients: Object.fromEntries([GOOD_NODE, ...RAW_NODES].map((node) => [node, keyOf(node)])),
      volumes: {
        oracle: { ...memory, clients: GOOD_NODE },
        plain: memory,
        other: memory,
        spare: memory,
        conform: { path: host.file('storage/conform.img'), size: '8m' },
        common: { type: 'memory', size: '8m', shared: 'yes' },
        big: { type: 'memory', size: '64m' },
        blocks: { ...memory, blocksize: '4096' },
        constant: { ...memory, readonly: 'yes' },
        file: { path: host.file('storage/file.img'), size: '64m' },
        moving: { path: host.file('storage/moving.img'), size },
      },
      pools,
      // The first node has the right `manage`, because it makes the volume a replica. The other nodes have the right `use`.
      ...(hasPool ? { rights: { [RAW_NODES[0]]: 'manage pool=fast' } } : {}),
    });
    // At the level `debug`, rssrv also logs why it dropped a connection before the proof.
    const text = config
      .replace('serverid = 1', 'serverid = 1\nlog-level = debug\nwitness = yes')
      .replace('protocol = tcp', `protocol = tcp\n${namespaceKeys}`);
    host.writeConfig('rssrv', text);
    await host.start('rssrv');
    if (hasPool) await host.rsadmWell('volume', 'create', 'replica', '--size', '16m');
    // The client uses only the addresses of its file, so that the client stays unchanged when a test changes the server's list. The key
    // `dead` is long, because a slow machine may be silent for three seconds. Therefore only a long fault ends a path.
    host.writeConfig('rsiod', clientConfig(network, { serverAddresses: network.serverAddresses, defaults: { dead: '12s' } }));
    await host.start('rsiod');
    await host.pathsUp(2);
    await host.rsconfigWell('-a', 'oracle');
    const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
    hosts.onClean(() => nbd.close());
    return new Scene(host, network, nbd, text);
  }

  /** Returns the server's address, with a new source address for the offender, so that penalties for this address affect no other test. */
  fromElsewhere(): RawAddress {
    const subnet = this.network.subnets[0];
    return { ...this.server, from: subnet?.address(60 + (this.offenders++ % 180)) ?? '' };
  }

  identity(node: string = RAW_NODES[0], hello: RawIdentity['hello'] = {}): RawIdentity {
    return { node, nodekey: keyOf(node), namespaceid: NAMESPACEID, hello };
  }

  /** Logs in with a new session. Retries while the previous session of the node is ending, as clients do. */
  login(node: string = RAW_NODES[0]): Promise<RawClient> {
    return RawClient.begin(this.server, this.identity(node));
  }

  /** Adds a path to a client's session, with its own slot. */
  async join(session: RawClient): Promise<RawClient> {
    const path = await RawClient.login(this.server, session.identity, session);
    path.homeSlot = FIRST_JOIN_SLOT + (path.welcome.path % PATHS_PER_TRUNK_MAX);
    return path;
  }

  /** Connects a raw client, which has sent nothing yet. */
  connect(from: RawAddress = this.fromElsewhere(), identity: RawIdentity = this.identity()): Promise<RawClient> {
    return RawClient.connect(from, identity);
  }

  /** Makes the server reload its file, with or without a further interface. */
  async reload(hasFurtherInterface: boolean): Promise<void> {
    const address = this.network.subnets[0]?.address(FURTHER_HOST) ?? '';
    const more = hasFurtherInterface ? `[interface if9]\naddress = ${address}\n` : '';
    this.host.writeConfig('rssrv', `${more}${this.serverFile}`);
    process.kill(this.host.pid('rssrv'), 'SIGHUP');
  }

  /** Restarts the server. Returns how long the old server took to end, in ms. */
  async restart(): Promise<number> {
    const endMs = await this.host.stop('rssrv');
    await this.host.start('rssrv');
    return endMs;
  }

  /**
   * Expects that the server process is alive and answers HELLO, that the I/O of the well-behaved rsiod continues over both paths, and that
   * neither path ever died.
   */
  async wellBehaved(): Promise<void> {
    await this.nbd.verify(0, CHECK_BYTES);
    expect(await deathsOfPaths(this.host, 2)).toEqual([0, 0]);
    expect(this.host.pid('rssrv')).toBe(this.listenerPid);
    const newClient = await this.connect();
    await newClient.greet();
    newClient.close();
    const alarms = this.host
      .log('rssrv')
      .split('\n')
      .filter((line) => / died|E_INTERNAL|AssertionError|TypeError/.test(line));
    expect(alarms).toEqual([]);
  }

  /** Expects that a new client gets a session and can open a volume. */
  async servesNewcomers(): Promise<void> {
    const newClient = await this.login('pluto');
    const { handle } = await newClient.open('spare');
    await newClient.verify(handle, 0, 8);
    await newClient.call({ op: OP.CLOSE, handle });
    newClient.close();
  }

  /** Expects that the server closes this path for this reason, without an answer. */
  async expectClosed(path: RawClient, reason: RegExp): Promise<void> {
    await path.ended();
    expect(path.frames.filter(({ op }) => op !== OP.PING)).toEqual([]);
    await this.logged(reason);
  }

  /** Waits for a line of the server's log. Lines that an earlier call has read do not count. */
  async logged(line: RegExp): Promise<void> {
    const news = (): string => this.host.log('rssrv').slice(this.logRead);
    const found = await waitFor(() => line.exec(news()), LOGGED_DEADLINE_MS, `The server's log says ${line}`);
    this.logRead += found.index + found[0].length;
  }
}
