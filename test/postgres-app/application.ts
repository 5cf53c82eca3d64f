// PostgreSQL as an application of three nodes: its programs, its section in rscltcfg, and what rsapp says about it. The moving address is
// in a network of its own, so that a node without servers can still be reached by the clients of the database. Invariant: while a node has
// the application, every other machine lacks the mount and the address of the application, or drops them within a time limit.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { APP_METHODS, type ApplicationView } from '@rsio/api/rsapp/app-methods';
import { callMethod } from '@rsio/common/control/control-client';
import { Database, PORT } from '../postgres-mirror/database.ts';
import type { Ledger } from '../postgres-mirror/ledger.ts';
import { type ClientMachine, MIRROR, type Site } from '../postgres-mirror/machines.ts';
import type { Segment } from '../support/netlab/netlab.ts';
import { wellOf } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

export const NODES = ['big-2', 'big-6', 'big-7'];
export const APPLICATION = 'postgres';
export const ADDRESS = '10.0.0.100';
export const SILENT_MS = 4_000;
const PREFIX = 'setpriv --reuid=postgres --regid=postgres --init-groups';
/** Card of a node in the network of the clients. */
const CARD = 'eth9';
const TIMES = `
silent = ${SILENT_MS / 1000}s
start-delay = 2s
check-interval = 1s
restarts = 1
start-timeout = 30s
stop-timeout = 10s
`;
const SETTLED_MS = 30_000;

/** One node, with the database as it is mounted there. */
interface Place {
  readonly client: ClientMachine;
  readonly database: Database;
}

export class Application {
  private readonly places: readonly Place[];

  constructor({ clients }: Site, ledger: Ledger) {
    this.places = clients.map((client) => ({ client, database: new Database(client, ledger) }));
  }

  databaseOf(client: ClientMachine): Database {
    return this.places.find((place) => place.client === client)!.database;
  }

  /** Adds the application on all nodes, and starts rsapp. `segment`: network of the clients of the database. */
  async add(segment: Segment): Promise<void> {
    for (const [index, { client, database }] of this.places.entries()) {
      await client.machine.plug(segment, CARD, `10.0.0.${index + 1}/24`);
      await database.prepare();
      // `ip netns exec` has mounted a /sys without control groups.
      await client.devices.well('mount -t cgroup2 none /sys/fs/cgroup');
      const { host } = client;
      const [start, stop, check] = Object.entries(programs(client, database)).map(([name, text]) => {
        const file = host.file(`app/${name}`);
        writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
        return file;
      });
      const service = ['--program', start!, '--stop-program', stop!, '--check-program', check!];
      const where = ['--on', MIRROR, '--nodes', NODES.join(','), '--mounts', mountOf(database), '--moving-address', `${ADDRESS}/24`];
      await host.rsconfigWell('app', 'add', APPLICATION, ...where, ...service);
      const { configFile } = host.rsiodPaths;
      host.writeConfig('rsiod', `${readFileSync(configFile, 'utf8').trimEnd()}${TIMES}`);
      await this.startDaemon(client);
    }
  }

  /** Starts a machine that was lost. */
  async boot(client: ClientMachine): Promise<void> {
    await client.start();
    await this.startDaemon(client);
  }

  /** All processes of a machine end at once, and its moving address is gone. */
  async crash(client: ClientMachine): Promise<void> {
    await client.end();
    await client.devices.shell(`ip address del ${ADDRESS}/24 dev ${CARD}`);
  }

  async view(client: ClientMachine): Promise<ApplicationView> {
    const socket = daemonPaths(client.host.root, 'rsapp').controlSocket;
    const { applications } = await callMethod(APP_METHODS, socket, 'applications', {}, {});
    return applications.find(({ name }) => name === APPLICATION)!;
  }

  /** Waits until all nodes agree which node runs the application, and only this node has the mount and the address. Returns this node. */
  async settled(): Promise<ClientMachine> {
    let said = '';
    const only = async (): Promise<ClientMachine | null> => {
      const views = await Promise.all(this.places.map(({ client }) => this.view(client)));
      const traces = await Promise.all(this.places.map((place) => tracesOf(place)));
      said = JSON.stringify({ views, traces });
      const holder = this.places.findIndex(({ client }) => client.name === views[0]?.on);
      const isSettled = views.every(
        ({ state, on }, index) => state === 'running' && on === views[0]!.on && (traces[index] === '') !== (index === holder),
      );
      return isSettled ? (this.places[holder]?.client ?? null) : null;
    };
    return await waitFor(only, SETTLED_MS, 'One node runs it, and the others have nothing of it').catch((error: Error) => {
      throw new Error(`${error.message}: ${said}`, { cause: error.cause });
    });
  }

  order(client: ClientMachine, ...words: readonly string[]): Promise<string> {
    const [order = '', ...rest] = words;
    return client.host.rsconfigWell('app', order, APPLICATION, ...rest);
  }

  /** Lets the service fail on a node, or work again. */
  setBroken(client: ClientMachine, isBroken: boolean): void {
    const file = brokenFile(client);
    if (isBroken) writeFileSync(file, '');
    else rmSync(file, { force: true });
  }

  /** Kills the first process of the database. */
  async killService(client: ClientMachine): Promise<void> {
    await client.devices.well('kill -9 "$(head -n 1 "$1/pg/postmaster.pid")"', mountOf(this.databaseOf(client)));
  }

  private async startDaemon({ host }: ClientMachine): Promise<void> {
    wellOf('rsapp', await host.run('rsapp'));
  }
}

function programs(client: ClientMachine, { bin, work }: Database): Readonly<Record<'start' | 'stop' | 'check', string>> {
  const [data, run, broken] = [`${work}/mnt/pg`, `${work}/run`, brokenFile(client)];
  const options = `-p ${PORT} -k ${run} -c listen_addresses='*' -c cluster_name=${client.name}`;
  return {
    // Another machine has left the file with a process id, which may belong to a living process here.
    start: `test -e ${broken} && exit 1\nrm -f ${data}/postmaster.pid\nexec ${PREFIX} ${bin}/postgres -D ${data} ${options} >> ${run}/service-log 2>&1`,
    stop: `exec ${PREFIX} ${bin}/pg_ctl -s -w -m fast -D ${data} stop`,
    check: `test -e ${broken} && exit 1\nexec ${PREFIX} ${bin}/psql -qtAX -h ${run} -p ${PORT} -d bench -c 'insert into beats default values'`,
  };
}

function brokenFile({ host }: ClientMachine): string {
  return path.join(host.root, 'app/broken');
}

function mountOf({ work }: Database): string {
  return path.join(work, 'mnt');
}

/** Returns the mount and the address of the application that this machine has; empty: it has neither. */
async function tracesOf({ client, database }: Place): Promise<string> {
  const mounts = client.devices.mounts().filter((place) => place === mountOf(database));
  const isHere = (await client.machine.ip('-o', 'address', 'show', 'dev', CARD)).includes(` ${ADDRESS}/`);
  return [...mounts, ...(isHere ? [ADDRESS] : [])].join(' ');
}
