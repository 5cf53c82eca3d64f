// A simulated client machine: the production namespace and attachments of rsiod with servers, trunks, supervisors and volumes, and the
// users above. Its process can be killed, stopped or ended in order; a new one begins with the next instance number, and its users go on.
// Volumes are attached and detached as by rsconfig. Leaves doors, control socket and configuration files to the daemon's own tests.

import type { AttachOutcome } from '@rsio/protocol/control/methods';
import type { ClientNamespaceConfig } from '@rsio/protocol/config/types';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import type { LivenessTimes } from '@rsio/protocol/trunk/failover';
import { STATUS } from '@rsio/protocol/wire/status';
import { Attachments } from '@rsio/rsiod/attachments';
import { Namespace, type NamespacePorts } from '@rsio/rsiod/namespace';
import type { LocalInterface } from '@rsio/rsiod/route-plan';
import type { InterfaceChange } from '@rsio/rsiod/sys/interface-table';
import type { Volume } from '@rsio/rsiod/volume';
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
  /** Attaching or detaching begins: promises may move at every event until the function it gives is called. */
  waits(): () => void;
}

/** A volume of a server, and who uses it. */
export interface Use {
  readonly serverid: number;
  readonly user: SimUser;
}

const REATTACH_MS = 100;
const STATES = ['down', 'connecting', 'proving', 'up', 'suspect', 'probation', 'retired'];

export class SimClient {
  readonly name: string;
  readonly uses: readonly Use[];
  process: SimProcess;
  namespace: Namespace;
  attachments: Attachments;
  pools: SimPools = simPools();
  instance = 1;
  /** Detaches that were done. */
  detached = 0;
  private readonly locals: readonly LocalInterface[];
  private readonly remotes: readonly { readonly name: string; readonly address: string }[];
  private readonly ports: ClientPorts;
  private isStopped = false;
  /** Of what is being attached and detached. */
  private readonly settles: (() => void)[] = [];

  constructor(name: string, locals: readonly string[], remotes: SimClient['remotes'], uses: readonly Use[], ports: ClientPorts) {
    this.name = name;
    this.locals = locals.map((address, index) => ({ name: `if${index}`, address, prefixLength: null, portGiven: null }));
    this.remotes = remotes;
    this.uses = uses;
    this.ports = ports;
    this.process = new SimProcess(ports.clock);
    [this.namespace, this.attachments] = this.start();
    for (const user of this.users) void this.attach(user);
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
    for (const settle of this.settles.splice(0)) settle();
    for (const { user } of this.uses) user.killed();
    this.ports.clock.after(downMs, () => {
      this.instance++;
      this.process = new SimProcess(this.ports.clock);
      this.pools = simPools();
      [this.namespace, this.attachments] = this.start();
      for (const user of this.users) void this.attach(user);
    });
  }

  /** Ends in order: what is out is answered with an error, the servers are told. */
  stop(reason: string): void {
    this.isStopped = true;
    this.namespace.stop(STATUS.SHUTTING_DOWN, reason);
  }

  /** What the interface watcher says, as soon as the process runs. */
  interfaceChanges(address: string, change: InterfaceChange): void {
    const { process, namespace } = this;
    process.after(0, () => {
      namespace.interfaceChanged({ address, change, sentence: `${address}: ${change}` });
      const trusted = namespace.routes.filter(({ local, supervisor }) => local.address === address && supervisor.state === 'up');
      if ((change === 'carrier-lost' || change === 'address-gone') && trusted.length > 0)
        this.ports.breach(`${this.name}: a path of ${address} is trusted after ${change}`);
    });
  }

  /** As by rsconfig; when it is done, the volume is attached again after `awayMs`. */
  async detach(user: SimUser, force: boolean, awayMs: number): Promise<void> {
    const { process, attachments } = this;
    if (user.volume === null || user.isLeaving || process.isKilled) return;
    user.leaves(force);
    const outcome = await this.settled(() => attachments.detach([user.name], force));
    if (process.isKilled) return;
    this.ports.trace.note(EVENT.DETACHED, user.oracle.volume, outcome.done ? 1 : 0, force ? 1 : 0);
    if (this.ports.trace.isOn) this.ports.trace.say(`${user.name}: detach: ${outcome.error?.message ?? 'done'}`);
    if (attachments.list.some(({ name }) => name === user.name)) {
      if (force) this.ports.breach(`${user.name} was not detached by force: ${outcome.error?.message ?? ''}`);
      user.stays();
      return;
    }
    this.detached++;
    user.detached();
    process.after(awayMs, () => void this.attach(user));
  }

  /** Asks again and again until it is attached. */
  private async attach(user: SimUser): Promise<void> {
    const { process, attachments } = this;
    if (this.isStopped) return;
    const outcome = await this.settled(() => attachments.attach([user.name], false, null));
    if (process.isKilled || this.isStopped) return;
    const volume = attachments.list.find(({ name }) => name === user.name);
    if (volume !== undefined) user.attached(volume, process);
    else process.after(REATTACH_MS, () => void this.attach(user));
    if (volume === undefined && this.ports.trace.isOn) this.ports.trace.say(`${user.name}: attach: ${outcome.error?.message ?? '?'}`);
  }

  private async settled(ask: () => Promise<AttachOutcome[]>): Promise<AttachOutcome> {
    const settle = this.ports.waits();
    this.settles.push(settle);
    const [outcome] = await ask();
    const at = this.settles.indexOf(settle);
    if (at >= 0) this.settles.splice(at, 1);
    settle();
    return outcome!;
  }

  private start(): [Namespace, Attachments] {
    const { process } = this;
    const config = this.config();
    const identity = { machine: this.name, boot: 'boot', instance: this.instance };
    const attachments: Attachments = new Attachments({
      clock: process,
      log: NO_LOG,
      namespaces: () => [namespace],
      doors: () => [],
      deviceOf: () => null,
      stalled: (volume, word) => this.userOf(volume).stalled(word),
    });
    const namespace: Namespace = new Namespace(
      { whole: { defaultPort: null }, config, locals: this.locals },
      identity,
      this.namespacePorts(attachments),
    );
    namespace.start();
    return [namespace, attachments];
  }

  private userOf({ name }: Volume): SimUser {
    return this.users.find((user) => user.name === name)!;
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
      volumes: this.users.map((user) => ({
        name: user.name,
        stall: user.policy,
        attach: null,
        device: null,
        logSizeBytes: null,
        readonly: null,
        path: null,
      })),
    };
  }

  private namespacePorts(attachments: Attachments): NamespacePorts {
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
        sessionBegan: () => undefined,
        opened: (_server, attachment) => attachments.opened(attachment),
        openFailed: (server, attachment, status, sentence) => {
          attachments.failed(attachment, status, sentence);
          if (attachment.volume !== null && !server.trunk.isEnded)
            this.ports.breach(`${this.name}: volume ${attachment.name} was lost, status ${status}: ${sentence}`);
        },
        openWaits: () => undefined,
        grown: () => undefined,
      },
    };
  }
}
