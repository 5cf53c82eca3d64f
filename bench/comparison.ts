// The comparison of servers: starts the servers on one file and loads them one after another in each round. Other programs on the machine
// therefore disturb all servers equally. Verifies before and after the rows that each server returns the bytes of the file. Invariant: a
// process is in `endings` as soon as it has started.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { LoadClient } from './load/load-client.ts';
import type { Measured } from './load/orders.ts';
import { measure, warmUp } from './measure.ts';
import { memoryOf, type ServerMemory } from './memory.ts';
import { makeDataFile } from './native/compile.ts';
import type { Absent, Present } from './servers/makers.ts';
import type { Server } from './servers/server.ts';
import { figuresOf, type RowFigures } from './summary.ts';
import type { Plan, Row } from './workload.ts';

export interface Cores {
  readonly server: number;
  readonly load: number;
}

/**
 * Warm-up: a measurement begins only after the server has used this much CPU time for each client. `row` applies before each row,
 * `connections` before the first row on new connections.
 */
const WARM_CPU_MS = { row: 250, connections: 700 };
const WARMING = { windowMs: 250, windowsMax: 8 };

type Endings = (() => Promise<void> | void)[];

/** The clients of each server, in the order in which the servers are measured. */
type Opened = Map<Server, LoadClient[]>;

export class ServerComparison {
  readonly absent: Absent[] = [];
  /** Congestion control of the last connection that was opened. */
  congestion = 'unknown';
  private readonly file: string;
  private readonly cores: Cores;
  private readonly servers: Server[] = [];
  private opened: Opened = new Map();
  private openedAs = '';
  /** True while the current connections have carried no load except the check. */
  private isCold = true;

  private constructor(file: string, cores: Cores) {
    this.file = file;
    this.cores = cores;
  }

  /** Starts the servers. `directory`: folder of the data file. */
  static async start(directory: string, present: readonly Present[], cores: Cores, endings: Endings): Promise<ServerComparison> {
    const file = join(directory, 'data.img');
    makeDataFile(file);
    const made = new ServerComparison(file, cores);
    endings.push(() => made.stop());
    for (const { maker } of present) {
      try {
        const server = await maker.start({ directory, file, core: cores.server });
        made.servers.push(server);
      } catch (error) {
        if (maker.id === 'rssrv') throw error;
        made.absent.push({ id: maker.id, reason: `it did not start: ${toRsError(error).message}` });
      }
    }
    return made;
  }

  /** Verifies that every server returns the bytes of the file. */
  async check(): Promise<void> {
    await this.open({ connections: 1, clients: 1, cores: 'pinned' }, this.servers);
    for (const [server, [client]] of this.opened) {
      await client?.sweep('read').catch((error: unknown) => {
        throw new RsError('E_INTERNAL', `${server.title} does not give the data of its file: ${toRsError(error).message}`);
      });
    }
  }

  /** Returns the memory of rssrv. Must be called after `check`, which makes a client open the file. */
  memory(): ServerMemory | null {
    const rssrv = this.servers.find(({ id }) => id === 'rssrv');
    return rssrv === undefined ? null : memoryOf(rssrv.processes(), this.file);
  }

  async measureRow(row: Row, plan: Plan): Promise<RowFigures> {
    await this.open(row, this.servers);
    await this.warm(row, row.clients * (this.isCold ? WARM_CPU_MS.connections : WARM_CPU_MS.row));
    this.isCold = false;
    const rounds = new Map<Server, Measured[]>(
      row.servers.flatMap((id) => this.servers.filter((one) => one.id === id).map((one) => [one, []])),
    );
    for (let round = 1; round <= plan.rounds; round++) {
      // The order alternates, because a server that always follows the same server would be measured under other conditions.
      for (const [server, results] of round % 2 === 1 ? rounds : [...rounds].toReversed()) {
        if (!row.isCached) this.dropCache();
        results.push(await measure(this.opened.get(server) ?? [], row, round, plan, server.processes()));
      }
    }
    return { row, servers: [...rounds].map(([{ id, title }, results]) => figuresOf(id, title, results)) };
  }

  /** The connections close before the servers end. */
  async stop(): Promise<void> {
    await this.close();
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  private async close(): Promise<void> {
    const { opened } = this;
    this.opened = new Map();
    this.openedAs = '';
    await Promise.all([...opened.values()].flat().map((client) => client.stop()));
  }

  private async open(
    { connections, clients, cores }: Pick<Row, 'connections' | 'clients' | 'cores'>,
    servers: readonly Server[],
  ): Promise<void> {
    const as = `${connections} ${clients} ${cores} ${servers.map(({ id }) => id).join(' ')}`;
    if (as === this.openedAs) return;
    await this.close();
    const both = [this.cores.server, this.cores.load];
    for (const server of servers) {
      server.pin(cores === 'all' ? both : [this.cores.server]);
      const opened: LoadClient[] = [];
      this.opened.set(server, opened);
      for (let client = 0; client < clients; client++) {
        const plan = {
          client,
          connections,
          isReadonly: clients > 1,
          cores: cores === 'all' ? both : [this.cores.load],
          dropped: this.file,
        };
        const made = await LoadClient.open(server.target, plan);
        opened.push(made);
        this.congestion = made.congestion;
      }
    }
    this.openedAs = as;
    this.isCold = true;
  }

  /**
   * Loads a server until it has used `cpuMs` of CPU time. A fixed duration is not enough, because a busy machine may give the server little
   * CPU time.
   */
  private async warm(row: Row, cpuMs: number): Promise<void> {
    for (const [server, clients] of this.opened) {
      if (row.servers.includes(server.id)) await warmUp(clients, row, server.processes(), { ...WARMING, cpuMs });
    }
  }

  /** Drops the pages of the data file, and no others, from the cache. */
  private dropCache(): void {
    const { status, stderr } = spawnSync('dd', [`if=${this.file}`, 'iflag=nocache', 'count=0', 'status=none'], { encoding: 'utf8' });
    if (status !== 0) throw new RsError('E_SYSTEM', `Cannot drop the data file from the page cache: ${stderr}`);
  }
}
