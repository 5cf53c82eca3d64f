// The scene of the netlab: shaped links, a server with a memory volume, a client, a load on the client's NBD socket, and figures of I/O,
// links and processors for a period of time. Other files of this folder have the faults, the goals and the tables.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startClient, startServer } from '../../support/hosts/configs.ts';
import type { Link } from '../../support/netlab/link-faults.ts';
import { LoadClient } from '../../support/netlab/load/load-client.ts';
import type { LoadReport } from '../../support/netlab/load/load-process.ts';
import type { LoadShape } from '../../support/netlab/load/nbd-load.ts';
import type { Netlab } from '../../support/netlab/netlab.ts';
import { type ShapedLinks, shapedLinks } from '../../support/netlab/shaped-links.ts';
import { machineSeconds, processorSeconds } from '../../support/programs/processor-time.ts';

export const MEBIBYTE = 1024 * 1024;
export const VOLUME_BYTES = 256 * MEBIBYTE;
const EXPORT = 'osl/oracle';
const NODE = 'big-2';
/** Indices of the columns of /proc/net/dev. */
const RECEIVED_BYTES = 0;
const SENT_BYTES = 8;

export interface LinkBytes {
  readonly toServer: number;
  readonly toClient: number;
}

/** Figures of one period of time. A figure in cores is seconds of processor time per second. */
export interface Stretch {
  readonly load: LoadReport;
  /** For each link: its bytes, as the client's card counts them. */
  readonly links: readonly LinkBytes[];
  readonly clientCores: number;
  readonly serverCores: number;
  readonly loadCores: number;
  /** All processor time that no field above counts: the kernel's network code and other programs. */
  readonly otherCores: number;
}

/** Processes whose time is counted. */
export interface Processes {
  readonly client: readonly number[];
  readonly server: readonly number[];
  readonly load: readonly number[];
}

interface Sample {
  readonly links: readonly LinkBytes[];
  readonly client: number;
  readonly server: number;
  readonly load: number;
  readonly machine: number;
}

/** Bytes of answered requests per second. */
export function rate({ load }: Stretch): number {
  return load.bytes / load.seconds;
}

/** Measures a load for the next `ms` ms. */
export async function stretch({ links }: ShapedLinks, load: LoadClient, processes: Processes, ms: number): Promise<Stretch> {
  // /proc is read directly after the figures of the load. A command that reads /proc would be late on a busy machine.
  await load.take();
  const first = sample(links, processes);
  await sleep(ms);
  const report = await load.take();
  return difference(first, sample(links, processes), report);
}

function sample(links: readonly Link[], processes: Processes): Sample {
  const [pid] = [...processes.client, ...processes.load];
  if (pid === undefined) throw new Error('No process is on the client');
  return {
    links: cardBytes(
      pid,
      links.map(({ device }) => device),
    ),
    client: processorSeconds(processes.client),
    server: processorSeconds(processes.server),
    load: processorSeconds(processes.load),
    machine: machineSeconds(),
  };
}

/** Reads the byte counters of the cards in the network namespace of this process. The counters begin with 0 when a card is made. */
function cardBytes(pid: number, devices: readonly string[]): LinkBytes[] {
  const lines = readFileSync(`/proc/${pid}/net/dev`, 'latin1').split('\n');
  return devices.map((device) => {
    const line = lines.find((one) => one.trimStart().startsWith(`${device}:`)) ?? '';
    const counts = line
      .slice(line.indexOf(':') + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    return { toServer: counts[SENT_BYTES] ?? 0, toClient: counts[RECEIVED_BYTES] ?? 0 };
  });
}

function difference(first: Sample, last: Sample, load: LoadReport): Stretch {
  const cores = (what: 'client' | 'server' | 'load' | 'machine'): number => (last[what] - first[what]) / load.seconds;
  const [clientCores, serverCores, loadCores] = [cores('client'), cores('server'), cores('load')];
  return {
    load,
    links: last.links.map(({ toServer, toClient }, index) => ({
      toServer: toServer - (first.links[index]?.toServer ?? 0),
      toClient: toClient - (first.links[index]?.toClient ?? 0),
    })),
    clientCores,
    serverCores,
    loadCores,
    otherCores: Math.max(0, cores('machine') - clientCores - serverCores - loadCores),
  };
}

export class Stage {
  readonly scene: ShapedLinks;
  private load: LoadClient | null = null;

  private constructor(scene: ShapedLinks) {
    this.scene = scene;
  }

  /** Makes links of these rates and starts the server. `begin` starts the client. */
  static async open(netlab: Netlab, rates: readonly number[], congestion?: string): Promise<Stage> {
    const scene = await shapedLinks(netlab, rates, congestion);
    await startServer(scene.server.host, scene.network, { volumes: { oracle: { type: 'memory', size: String(VOLUME_BYTES) } } });
    return new Stage(scene);
  }

  /** Starts a new client, waits for all paths, and starts this load. */
  async begin(shape: LoadShape): Promise<LoadClient> {
    const { client, network } = this.scene;
    await startClient(client.host, network);
    await client.host.rsconfigWell('-a', 'oracle');
    const load = new LoadClient();
    this.load = load;
    await load.open([{ path: client.host.rsiodPaths.nbdSocket }], EXPORT);
    await load.begin(shape);
    return load;
  }

  /** Ends load and client. Returns the load's last figures, after all its requests were answered. */
  async end(): Promise<LoadReport> {
    const { load } = this;
    if (load === null) throw new Error('No load has begun');
    const report = await load.end();
    await this.drop();
    return report;
  }

  /** Ends load and client like `end`, but does not wait for the answers to requests in flight. */
  async drop(): Promise<void> {
    await this.load?.close();
    this.load = null;
    const { host } = this.scene.client;
    await host.rsconfigWell('-d');
    await host.stop('rsiod');
  }

  get processes(): Processes {
    const { client, server } = this.scene;
    return {
      client: [client.host.pid('rsiod')],
      server: [server.host.worker(NODE)],
      load: this.load === null ? [] : [this.load.pid],
    };
  }

  async stretch(ms: number): Promise<Stretch> {
    if (this.load === null) throw new Error('No load has begun');
    return stretch(this.scene, this.load, this.processes, ms);
  }
}
