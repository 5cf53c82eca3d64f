// A simulated client machine: the production namespace of rsiod with its servers, trunks, supervisors and volumes, and the users above.
// Its process can be killed, stopped or ended in order; a new one begins with the next instance number, and its users go on.
// Leaves doors, control socket and configuration files to the daemon's own tests.

import type { ClientNamespaceConfig } from '@rsio/protocol/config/types';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { Attachment } from '@rsio/protocol/trunk/attachment';
import type { LivenessTimes } from '@rsio/protocol/trunk/failover';
import { STATUS } from '@rsio/protocol/wire/status';
import { Namespace, type NamespacePorts } from '@rsio/rsiod/namespace';
import type { LocalInterface } from '@rsio/rsiod/route-plan';
import type { Server } from '@rsio/rsiod/server';
import { Volume } from '@rsio/rsiod/volume';
import { SimProcess, type SimClock } from './sim-clock.ts';
import type { SimNetwork } from './sim-network.ts';
import { simPools, type SimPools } from './sim-pools.ts';
import { NO_LOG } from './sim-session.ts';
import type { SimUser } from './sim-user.ts';
import { EVENT, type Trace } from './trace.ts';

export interface ClientPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly trace: Trace;
  readonly nodekey: string;
  readonly digest: boolean;
  readonly times: LivenessTimes;
  /** What this client breaks its own rules with. */
  breach(sentence: string): void;
  /** A path that was up is so no more. */
  pathFailed(): void;
}

/** A volume of a server, and who uses it. */
export interface Use {
  readonly serverid: number;
  readonly user: SimUser;
}

const REOPEN_MS = 100;
const STATES = ['down', 'connecting', 'proving', 'up', 'suspect', 'probation', 'retired'];

export class SimClient {
  readonly name: string;
  readonly uses: readonly Use[];
  process: SimProcess;
  namespace: Namespace;
  pools: SimPools = simPools();
  instance = 1;
  private readonly locals: readonly LocalInterface[];
  private readonly remotes: readonly { readonly name: string; readonly address: string }[];
  private readonly ports: ClientPorts;

  constructor(name: string, locals: readonly string[], remotes: SimClient['remotes'], uses: readonly Use[], ports: ClientPorts) {
    this.name = name;
    this.locals = locals.map((address, index) => ({ name: `if${index}`, address, prefixLength: null, portGiven: null }));
    this.remotes = remotes;
    this.uses = uses;
    this.ports = ports;
    this.process = new SimProcess(ports.clock);
    this.namespace = this.start();
  }

  get users(): readonly SimUser[] {
    return this.uses.map(({ user }) => user);
  }

  get isGood(): boolean {
    return !this.process.isKilled && !this.process.isPaused;
  }

  /** As by signal 9. The machine starts the next instance after `downMs`. */
  kill(downMs: number): void {
    if (this.process.isKilled) return;
    this.process.kill();
    this.pools.outputs.reclaim();
    for (const { user } of this.uses) user.detached();
    this.ports.clock.after(downMs, () => {
      this.instance++;
      this.process = new SimProcess(this.ports.clock);
      this.pools = simPools();
      this.namespace = this.start();
    });
  }

  /** Ends in order: what is out is answered with an error, the servers are told. */
  stop(reason: string): void {
    this.namespace.stop(STATUS.SHUTTING_DOWN, reason);
  }

  private start(): Namespace {
    const config = this.config();
    const identity = { machine: this.name, boot: 'boot', instance: this.instance };
    const namespace = new Namespace({ whole: { defaultPort: null }, config, locals: this.locals }, identity, this.namespacePorts());
    namespace.start();
    return namespace;
  }

  private config(): ClientNamespaceConfig {
    const { nodekey, digest, times } = this.ports;
    return {
      name: 'sim',
      namespaceid: 1,
      nodename: this.name,
      nodekey,
      namespacekey: null,
      port: null,
      stall: 'forever',
      attach: 'all',
      device: 'none',
      paths: 'all',
      ...times,
      digest,
      logSizeBytes: 0,
      servers: this.remotes.map(({ name, address }, position) => ({ name, address, port: null, serverkey: null, position })),
      volumes: [],
    };
  }

  private namespacePorts(): NamespacePorts {
    const { process, pools } = this;
    const { random, network, trace } = this.ports;
    return {
      clock: process,
      log: NO_LOG,
      connector: network.connectorOf(process),
      random: random.bytes,
      pools,
      pathChanged: (route, from, to, reason) => {
        trace.note(EVENT.PATH, STATES.indexOf(from), STATES.indexOf(to), route.supervisor.lastNumber);
        if (trace.isOn) trace.say(`${this.name}: path ${route.local.address} ${route.remote.address} ${from} -> ${to} ${reason}`);
        if ((from === 'up' || from === 'suspect') && (to === 'down' || to === 'probation')) this.ports.pathFailed();
      },
      events: {
        sessionBegan: (server, again) => {
          if (!again) this.attachAll(process, server);
        },
        opened: (server, attachment, again) => {
          if (!again) this.opened(process, server, attachment);
        },
        openFailed: (server, attachment, status, sentence) => {
          if (server.trunk.isEnded) return;
          if (attachment.volume !== null)
            this.ports.breach(`${this.name}: volume ${attachment.name} was lost, status ${status}: ${sentence}`);
          // Its first OPEN: another session of this server is just beginning.
          process.after(REOPEN_MS, () => this.attach(server, attachment.name));
        },
        openWaits: () => undefined,
      },
    };
  }

  private attachAll(process: SimProcess, server: Server): void {
    if (process !== this.process) return;
    for (const { serverid, user } of this.uses) if (serverid === server.serverid) this.attach(server, user.name);
  }

  private attach(server: Server, name: string): void {
    if (!server.trunk.isEnded) server.opener.add(new Attachment(name, 0, false));
  }

  private opened(process: SimProcess, server: Server, attachment: Attachment): void {
    const { user } = this.uses.find((use) => use.user.name === attachment.name)!;
    user.attached(new Volume('sim', attachment, server.trunk, process), process);
  }
}
