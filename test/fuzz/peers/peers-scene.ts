// A server with its processes, a good client, and addresses for hostile peers. The scene also measures the resources of the server's
// processes. The test and the report use the scene. hostile-peers.ts has the peers. Invariant: after `clean`, no process or file is left.

import { readdirSync, readFileSync } from 'node:fs';
import { clientConfig, keyOf, serverConfig } from '../../support/hosts/configs.ts';
import { Host } from '../../support/hosts/host.ts';
import { freePort, type LoopbackSubnet, uniqueLoopbackSubnets } from '../../support/hosts/loopback.ts';
import { GoodLoad } from './good-load.ts';
import type { HostileTarget } from './hostile-peers.ts';

const NAMESPACEID = 200;
const GOOD = 'big-2';
const BAD = 'venus';
const HOSTILE_ADDRESSES = 24;
const FIRST_HOSTILE_HOST = 60;

/** The memory and descriptors of one process. */
export interface Held {
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly cpuMs: number;
}

const TICKS_PER_SECOND = 100;

/** Reads the resources of a process from /proc. Throws if the process has ended. */
export function heldBy(pid: number): Held {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [userTicks, systemTicks] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number) as [number, number];
  return {
    residentBytes: Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    cpuMs: ((userTicks + systemTicks) * 1000) / TICKS_PER_SECOND,
  };
}

export class PeersScene {
  readonly host = new Host();
  readonly target: HostileTarget;
  private readonly subnet: LoopbackSubnet;
  private load: GoodLoad | null = null;

  private constructor(subnet: LoopbackSubnet, port: number) {
    this.subnet = subnet;
    const from = Array.from({ length: HOSTILE_ADDRESSES }, (_, index) => subnet.address(FIRST_HOSTILE_HOST + index));
    this.target = { server: { address: subnet.address(10), port }, namespaceid: NAMESPACEID, from, node: BAD, nodekey: keyOf(BAD) };
  }

  /** Returns addresses that no hostile peer has used yet. */
  unblamed(count: number): string[] {
    return Array.from({ length: count }, (_, index) => this.subnet.address(FIRST_HOSTILE_HOST + HOSTILE_ADDRESSES + index));
  }

  static async begin(): Promise<PeersScene> {
    const [subnet] = await uniqueLoopbackSubnets(1);
    if (subnet === undefined) throw new Error('There is no free loopback subnet');
    const scene = new PeersScene(subnet, await freePort(subnet.address(10)));
    try {
      await scene.startDaemons();
    } catch (error) {
      await scene.clean();
      throw error;
    }
    return scene;
  }

  get goodLoad(): GoodLoad {
    if (this.load === null) throw new Error('The good client has not begun');
    return this.load;
  }

  /** The pids of the listener and of the good client's worker. */
  get servers(): { readonly listener: number; readonly worker: number } {
    return { listener: this.host.pid('rssrv'), worker: this.host.worker(GOOD) };
  }

  async clean(): Promise<void> {
    await this.load?.end().catch(() => undefined);
    await this.host.clean();
    await this.subnet.release();
  }

  private async startDaemons(): Promise<void> {
    const { host } = this;
    const { address, port } = this.target.server;
    const network = { port, serverAddresses: [address], clientAddresses: () => [this.subnet.address(20)] };
    const memory = { type: 'memory', size: '8m' };
    host.writeConfig('rssrv', serverConfig(network, { volumes: { oracle: memory, other: memory } }));
    await host.start('rssrv');
    host.writeConfig('rsiod', clientConfig(network, { node: GOOD }));
    await host.start('rsiod');
    await host.pathsUp(1);
    await host.rsconfigWell('-a', 'oracle');
    this.load = await GoodLoad.begin(host.rsiodPaths.nbdSocket, 'osl/oracle');
  }
}
