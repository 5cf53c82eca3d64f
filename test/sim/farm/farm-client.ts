// A client of a simulated farm: the production namespace and attachments of rsiod, with a trunk to each server, and its users. The process
// can be killed; the next one is the next instance on the same machine. Volumes are attached and taken over as rsconfig does. Invariant: a
// user gets a volume only from an attach that has succeeded.

import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { defaultVolumeSettings } from '@rsio/common/config/schema/inherited';
import { LOG_TOTAL_BYTES } from '@rsio/common/config/schema/limits';
import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { LivenessTimes } from '@rsio/protocol/client/paths/path-verdict';
import { TAKE, type Take } from '@rsio/protocol/wire/messages';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import { AttachedVolumes } from '@rsio/rsiod/attachments/attached-volumes';
import { Attachments } from '@rsio/rsiod/attachments/attachments';
import { OfferList } from '@rsio/rsiod/attachments/offers';
import { UNCHECKED_ORIGINS } from '@rsio/rsiod/attachments/volume-origins';
import { Namespace, type NamespacePorts } from '@rsio/rsiod/network/namespace';
import { Frontends } from '@rsio/rsiod/frontends/frontends';
import { NO_LOG } from '../base/no-log.ts';
import { type SimClock, SimProcess } from '../base/sim-clock.ts';
import { simPools, type SimPools } from '../base/sim-pools.ts';
import { EVENT, type Trace } from '../base/trace.ts';
import { epochOf } from '../machines/sim-session.ts';
import type { SimNetwork } from '../network/sim-network.ts';
import type { FarmUser } from './farm-user.ts';

export interface FarmClientPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly trace: Trace;
  readonly nodekey: string;
  readonly times: LivenessTimes;
  readonly logSizeBytes: number;
  breach(sentence: string): void;
}

const REATTACH_MS = 500;

export class FarmClient {
  readonly number: number;
  readonly node: string;
  readonly users: readonly FarmUser[];
  process: SimProcess;
  attachments!: Attachments;
  namespace!: Namespace;
  /** How often volumes went to other servers. */
  moves = 0;
  private instance = 0;
  private pools: SimPools = simPools();
  private isStopped = false;
  readonly local: string;
  private readonly remotes: readonly { readonly name: string; readonly address: string }[];
  private readonly ports: FarmClientPorts;

  constructor(number: number, local: string, remotes: FarmClient['remotes'], users: readonly FarmUser[], ports: FarmClientPorts) {
    this.number = number;
    this.node = `node${number}`;
    this.local = local;
    this.remotes = remotes;
    this.users = users;
    this.ports = ports;
    this.process = new SimProcess(ports.clock);
    this.start();
  }

  /** Kills the process. The next instance starts after `downMs`. */
  kill(downMs: number): void {
    if (this.process.isKilled) return;
    this.process.kill();
    this.pools.outputs.reclaim();
    for (const user of this.users) user.killed();
    this.ports.clock.after(downMs, () => {
      if (!this.isStopped) this.start();
    });
  }

  stop(): void {
    this.isStopped = true;
    if (this.process.isKilled) return;
    this.attachments.logTrimmer.stop();
    this.namespace.stop(STATUS.SHUTTING_DOWN, 'The world ends');
  }

  /** Takes a volume over for a user that does not have it. */
  takeOver(user: FarmUser, take: Take): void {
    if (user.volume === null && !user.isAttaching && !this.process.isKilled && !this.isStopped) void this.attach(user, take);
  }

  private start(): void {
    const { clock, random } = this.ports;
    this.process = new SimProcess(clock);
    this.pools = simPools();
    this.instance++;
    const { process, node, instance } = this;
    const namespaces: { list: readonly Namespace[] } = { list: [] };
    this.attachments = new Attachments({
      clock: process,
      log: NO_LOG,
      instance,
      elsewhere: null,
      origins: UNCHECKED_ORIGINS,
      frontends: new Frontends([]),
      namespaces,
      offers: new OfferList(namespaces),
      volumes: new AttachedVolumes(),
      record: { save: async () => void this.moves++ },
      random: () => random.unit(),
      reports: {
        add: (object, from, to) => this.ports.trace.isOn && this.ports.trace.say(`${node}: ${object}: ${from} -> ${to}`),
        cut: () => undefined,
        stalled: () => undefined,
      },
    });
    this.attachments.logTotal.limitBytes = LOG_TOTAL_BYTES;
    this.namespace = new Namespace(
      {
        whole: { defaultPort: null },
        config: this.config(),
        locals: [{ name: 'if0', address: this.local, prefixLength: null, portGiven: null }],
      },
      { machine: node, boot: node, process: `${node}-${instance}`, instance, dataProcess: 0 },
      this.namespacePorts(this.attachments),
    );
    namespaces.list = [this.namespace];
    this.namespace.start();
    for (const user of this.users) void this.attach(user, TAKE.NO);
  }

  /** Attaches the volume, and repeats this unless another client holds the volume. */
  private async attach(user: FarmUser, take: Take): Promise<void> {
    const { process } = this;
    const { judge } = user;
    if (process.isKilled || this.isStopped || user.isAttaching || user.volume !== null) return;
    user.isAttaching = true;
    if (take !== TAKE.NO) judge.asks(this.number, take === TAKE.FORCE);
    const [outcome] = (await this.attachments.attach([judge.volume.id], false, null, take)) as [AttachOutcome];
    if (process.isKilled || this.isStopped) return;
    user.isAttaching = false;
    const volume = this.attachments.list.find(({ name }) => name === judge.volume.id);
    if (this.ports.trace.isOn) this.ports.trace.say(`${user.name}: attach ${take}: ${outcome.error?.message ?? 'done'}`);
    if (volume === undefined) {
      const code = outcome.error?.code;
      if (judge.isFought && !user.insists && (code === 'E_HELD' || code === 'E_TAKEN')) return;
      process.after(REATTACH_MS, () => void this.attach(user, user.insists ? TAKE.FORCE : take));
      return;
    }
    judge.granted(epochOf(volume.target.volume?.identity ?? ''), this.number);
    user.attached(volume, process);
  }

  private lost(name: string, status: number, sentence: string): void {
    const user = this.users.find(({ judge }) => judge.volume.id === name);
    if (user === undefined) return;
    if (this.ports.trace.isOn) this.ports.trace.say(`${user.name}: lost, ${statusEntry(status).name}: ${sentence}`);
    // The client that has taken the volume over may not know this yet.
    if (status !== STATUS.TAKEN || !user.judge.isFought)
      this.ports.breach(`${user.name} has lost its volume, ${statusEntry(status).name}: ${sentence}`);
    if (user.volume !== null) user.lost();
    if (user.insists) this.process.after(REATTACH_MS, () => void this.attach(user, TAKE.FORCE));
  }

  private config(): ClientNamespaceConfig {
    const { nodekey, times, logSizeBytes } = this.ports;
    return {
      name: 'sim',
      namespaceid: 1,
      nodename: this.node,
      nodekey,
      namespacekey: null,
      port: null,
      ...defaultVolumeSettings(),
      stall: 'forever',
      attach: 'none',
      device: 'none',
      paths: 'all',
      ...times,
      digest: false,
      tls: false,
      logSizeBytes,
      volumes: [],
      servers: this.remotes.map(({ name, address }, position) => ({ name, address, port: null, serverkey: null, position })),
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
      hasDataProcesses: false,
      known: { of: () => [], serveridAt: () => null, learned: () => {} },
      serverCount: () => 0,
      pathChanged: (route, from, to, reason) => {
        attachments.mirrors.look();
        attachments.farm.look();
        trace.note(EVENT.PATH, route.supervisor.lastNumber, 0, 0);
        if (trace.isOn) trace.say(`${this.node}: path to ${route.remote.address} ${from} -> ${to} ${reason}`);
      },
      events: {
        sessionBegan: (server) => {
          attachments.mirrors.look();
          void server.refresh(LIST_WAIT_MS);
        },
        opened: (server, attachment, again, newLife) => {
          attachments.opened(attachment, newLife);
          if (trace.isOn)
            trace.say(
              `${this.node}: ${attachment.name} is open at ${server.name}${again ? ' again' : ''}${newLife ? ', in a new life' : ''}`,
            );
        },
        openFailed: (server, attachment, status, sentence) => {
          attachments.failed(attachment, status, sentence);
          if (attachment.volume !== null && !server.trunk.isEnded) this.lost(attachment.name, status, sentence);
        },
        openWaits: (server, attachment, sentence) => {
          if (trace.isOn) trace.say(`${this.node}: ${attachment.name} waits for ${server.name}: ${sentence}`);
        },
        listed: () => attachments.farm.look(),
        grown: () => undefined,
      },
    };
  }
}
