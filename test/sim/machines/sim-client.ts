// A simulated client machine: rsiod's production namespace and attachments with servers, trunks, supervisors and volumes, and the users of
// its volumes. The client's process can be killed, stopped or ended cleanly. The next process has the next instance number, and the users
// continue. Volumes are attached, taken over and detached as rsconfig does. A client may have data processes, which end together with its
// main process. Two clients may have the same nodename, either on one machine, or on two machines of which one is a clone of the other. The
// tests of the daemon cover frontends, control socket and configuration files.

import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import { PATH_STATES } from '@rsio/base/lib/path-states';
import { defaultVolumeSettings, noVolumeOverrides } from '@rsio/common/config/schema/inherited';
import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { LivenessTimes } from '@rsio/protocol/client/paths/path-verdict';
import type { Attachment } from '@rsio/protocol/client/attachment';
import { INSTANCE_MAX } from '@rsio/protocol/wire/limits';
import { TAKE, type Take } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { AttachedVolumes } from '@rsio/rsiod/attachments/attached-volumes';
import { Attachments } from '@rsio/rsiod/attachments/attachments';
import { OfferList } from '@rsio/rsiod/attachments/offers';
import { UNCHECKED_ORIGINS } from '@rsio/rsiod/attachments/volume-origins';
import type { Identity } from '@rsio/protocol/client-identity';
import { Namespace, type NamespacePorts } from '@rsio/rsiod/network/namespace';
import type { LocalInterface } from '@rsio/rsiod/network/route-plan';
import type { InterfaceChange } from '@rsio/rsiod/sys/interface-table';
import { Frontends } from '@rsio/rsiod/frontends/frontends';
import type { Volume } from '@rsio/rsiod/volumes/volume';
import { NO_LOG } from '../base/no-log.ts';
import { SimProcess, type SimClock } from '../base/sim-clock.ts';
import type { SimNetwork } from '../network/sim-network.ts';
import { simPools, type SimPools } from '../base/sim-pools.ts';
import { epochOf } from './sim-session.ts';
import type { SimUser } from './sim-user.ts';
import { EVENT, type Trace } from '../base/trace.ts';

export interface ClientPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  /** Separate random numbers, so that mirrors and data processes do not change the draws of other worlds. */
  readonly mirrorRandom: SeededRandom;
  /** Number of data processes besides the main process. */
  readonly dataProcesses: number;
  readonly network: SimNetwork;
  readonly trace: Trace;
  readonly nodekey: string;
  readonly digest: boolean;
  readonly tls: boolean;
  readonly times: LivenessTimes;
  /** Size of each volume's replay log. */
  readonly logSizeBytes: number;
  /** Size of all replay logs of this client. */
  readonly logTotalBytes: number;
  /** Called with a sentence that names the rule that this client has broken. */
  breach(sentence: string): void;
  /** Called when a path that was up ends. */
  pathFailed(): void;
  /** Returns the number of the next client process. */
  nextProcess(): number;
}

export interface ClientNames {
  /** Label of this client in traces. */
  readonly label: string;
  readonly node: string;
  readonly machine: SimMachineId;
}

/** The machine of a client. `instance` counts the starts of the client on this machine. */
export interface SimMachineId {
  readonly name: string;
  /** The machine never restarts; only its processes do. */
  readonly boot: string;
  instance: number;
}

/** A volume of a server, and its user. */
export interface Use {
  readonly serverid: number;
  readonly user: SimUser;
}

/** A user of snapshots. */
export interface ClientReader {
  /** The name by which the user has attached, or attaches, a snapshot. */
  readonly label: string;
  /** The client's process has ended. */
  killed(): void;
  lost(sentence: string): void;
}

/** A user that continues when the client has started again. */
export interface ClientFollower {
  begin(process: SimProcess): void;
  /** The client's process has ended. */
  killed(): void;
}

/** A data process of a client: its own trunks and attachments. */
type Part = readonly [namespace: Namespace, attachments: Attachments];

const REATTACH_MS = 100;
/** The state that events of a mirror report for a replica that is in sync. */
const IN_SYNC = 'in sync';

export class SimClient {
  readonly name: string;
  readonly names: ClientNames;
  readonly uses: Use[];
  readonly users: SimUser[];
  readonly readers = new Set<ClientReader>();
  readonly followers = new Set<ClientFollower>();
  readonly numbers = new Set<number>();
  /** Number of the latest process of this client. */
  number = 0;
  process: SimProcess;
  /** The main process and the data processes. */
  parts: readonly Part[];
  pools: SimPools = simPools();
  detached = 0;
  /** Number of times that a replica of a mirror left the set I of replicas in sync, and that a replica returned to it. */
  replicasLeft = 0;
  replicasReturned = 0;
  private readonly locals: readonly LocalInterface[];
  private readonly remotes: readonly { readonly name: string; readonly address: string }[];
  private readonly ports: ClientPorts;
  private readonly retrying = new Set<SimUser>();
  /** For each user: the part that has the volume. A user without a part gets a part at its next attach. */
  private readonly places = new Map<SimUser, Part>();
  private isStopped = false;
  /** Volumes that are being attached or detached. */

  constructor(names: ClientNames, locals: readonly string[], remotes: SimClient['remotes'], uses: Use[], ports: ClientPorts) {
    this.name = names.label;
    this.names = names;
    this.locals = locals.map((address, index) => ({ name: `if${index}`, address, prefixLength: null, portGiven: null }));
    this.remotes = remotes;
    this.uses = uses;
    this.users = uses.map(({ user }) => user);
    this.ports = ports;
    this.process = new SimProcess(ports.clock);
    this.parts = this.start();
    for (const user of this.users) void this.attach(user);
  }

  get namespace(): Namespace {
    return this.parts[0]![0];
  }

  get attachments(): Attachments {
    return this.parts[0]![1];
  }

  get namespaces(): Namespace[] {
    return this.parts.map(([namespace]) => namespace);
  }

  /** The namespace of the part that has the user's volume. */
  namespaceOf(user: SimUser): Namespace {
    return (this.places.get(user) ?? this.parts[0]!)[0];
  }

  /** Gives the client a further volume. */
  use(use: Use): void {
    this.uses.push(use);
    this.users.push(use.user);
    void this.attach(use.user);
  }

  get isGood(): boolean {
    return !this.process.isKilled && !this.process.isPaused;
  }

  /** Kills the process like SIGKILL. The machine starts the next instance after `downMs`. */
  kill(downMs: number): void {
    if (this.process.isKilled) return;
    this.process.kill();
    this.pools.outputs.reclaim();
    this.retrying.clear();
    for (const { user } of this.uses) user.killed();
    for (const reader of this.readers) reader.killed();
    for (const follower of this.followers) follower.killed();
    this.ports.clock.after(downMs, () => {
      if (this.isStopped) return;
      this.process = new SimProcess(this.ports.clock);
      this.pools = simPools();
      this.parts = this.start();
      for (const user of this.users) void this.attach(user);
      for (const follower of this.followers) follower.begin(this.process);
    });
  }

  /** Ends the process cleanly: I/O in flight gets an error, and the servers are notified. */
  stop(reason: string): void {
    this.isStopped = true;
    if (this.process.isKilled) return;
    for (const [namespace, attachments] of this.parts) {
      attachments.logTrimmer.stop();
      for (const { target } of attachments.list) void attachments.mirrors.stop(target);
      namespace.stop(STATUS.SHUTTING_DOWN, reason);
    }
  }

  /** Passes a report of the interface watcher to the client's process, if the process runs. */
  interfaceChanges(address: string, change: InterfaceChange): void {
    const { process } = this;
    for (const namespace of this.namespaces)
      process.after(0, () => {
        namespace.interfaceChanged({ address, change, sentence: `${address}: ${change}` });
        const trusted = namespace.routes.filter(({ local, supervisor }) => local.address === address && supervisor.state === 'up');
        if ((change === 'carrier-lost' || change === 'address-gone') && trusted.length > 0)
          this.ports.breach(`${this.name}: a path of ${address} is trusted after ${change}`);
      });
  }

  /** Detaches as rsconfig does. Attaches the volume again `awayMs` after the detach has ended. */
  async detach(user: SimUser, force: boolean, awayMs: number): Promise<void> {
    const { process } = this;
    if (user.volume === null || user.isLeaving || process.isKilled) return;
    const [, attachments] = this.placeOf(user);
    user.leaves(force);
    const name = user.attachedName;
    const outcome = await this.settled(() => attachments.detach([name], force, null));
    if (process.isKilled) return;
    this.ports.trace.note(EVENT.DETACHED, user.oracle.volume, outcome.done ? 1 : 0, force ? 1 : 0);
    if (this.ports.trace.isOn) this.ports.trace.say(`${user.name}: detach: ${outcome.error?.message ?? 'done'}`);
    if (attachments.list.some((volume) => volume.name === name)) {
      if (force) this.ports.breach(`${user.name} was not detached by force: ${outcome.error?.message ?? ''}`);
      user.stays();
      return;
    }
    this.detached++;
    const { last } = user.target.judge;
    if (!force && outcome.error === null && !outcome.already && last?.client === this.number && !last.released)
      this.ports.breach(`H1: ${user.name} is told at ${process.monotonicMs().toFixed(1)} ms that it is detached, and its hold stays`);
    // After a clean detach, this data process keeps nothing of the volume, so that another data process may open it.
    if (!force && outcome.done && outcome.error === null) this.places.delete(user);
    if (force) user.forgets();
    else if (outcome.done && user.isHolder) user.oracle.flushed(user.oracle.flushBegins());
    user.detached();
    process.after(awayMs, () => void this.attach(user));
  }

  /** Detaches the user's volume, and does not attach it again before `callBack`. */
  async sendAway(user: SimUser): Promise<void> {
    user.isSentAway = true;
    await this.detach(user, false, 0);
  }

  callBack(user: SimUser): void {
    user.isSentAway = false;
    if (user.volume === null && !user.isAttaching && this.isGood) this.attachAgain(user);
  }

  takeOver(user: SimUser, take: Take): void {
    if (user.volume === null && !user.isAttaching && this.isGood && !this.isStopped) void this.attach(user, take);
  }

  /** Repeats the take-over until this client has the volume, whichever client holds it. */
  insist(user: SimUser): void {
    user.insists = true;
    this.takeOver(user, TAKE.FORCE);
  }

  /** Repeats the attach until it succeeds or another client holds the volume. */
  private async attach(user: SimUser, take: Take = TAKE.NO): Promise<void> {
    const { process } = this;
    // A client that is down attaches all its volumes at its next start.
    if (process.isKilled || this.isStopped) return;
    if (user.volume !== null || user.isAttaching || user.isSentAway || user.hasNoVolume) return;
    user.isAttaching = true;
    const [, attachments] = this.placeOf(user);
    const { name } = user.target;
    user.attachedName = name;
    const outcome = await this.settled(() => attachments.attach([name], false, null, take));
    if (process.isKilled || this.isStopped) return;
    user.isAttaching = false;
    const volume = attachments.list.find((one) => one.name === name);
    if (volume !== undefined && user.target.isRemoved) this.ports.breach(`C3: ${user.name} has attached a removed volume`);
    if (this.ports.trace.isOn) this.ports.trace.say(`${user.name}: attach ${take}: ${outcome.error?.message ?? 'done'}`);
    if (volume !== undefined) user.attached(volume, process);
    else if (user.insists || user.target.isPooled || outcome.error?.code !== 'E_HELD' || !user.target.isFought) this.attachAgain(user);
  }

  private attachAgain(user: SimUser): void {
    if (this.retrying.has(user)) return;
    this.retrying.add(user);
    this.process.after(REATTACH_MS, () => {
      this.retrying.delete(user);
      void this.attach(user, user.insists ? TAKE.FORCE : TAKE.NO);
    });
  }

  private async settled(ask: () => Promise<AttachOutcome[]>): Promise<AttachOutcome> {
    const [outcome] = await ask();
    return outcome!;
  }

  private placeOf(user: SimUser): Part {
    const { dataProcesses, mirrorRandom } = this.ports;
    const place = this.places.get(user) ?? this.parts[dataProcesses === 0 ? 0 : mirrorRandom.int(0, dataProcesses)]!;
    this.places.set(user, place);
    return place;
  }

  /** Starts the main process and the data processes as one instance. */
  private start(): Part[] {
    const { machine } = this.names;
    const number = this.ports.nextProcess();
    this.number = number;
    this.numbers.add(number);
    this.places.clear();
    const instance = nextInstance(machine);
    return Array.from({ length: 1 + this.ports.dataProcesses }, (_unused, dataProcess) =>
      this.startPart({ machine: machine.name, boot: machine.boot, process: String(number), instance, dataProcess }),
    );
  }

  private startPart(identity: Identity): Part {
    const { process } = this;
    const config = this.config();
    const namespaces: { list: readonly Namespace[] } = { list: [] };
    const attachments = new Attachments({
      clock: process,
      log: NO_LOG,
      namespaces,
      offers: new OfferList(namespaces),
      volumes: new AttachedVolumes(),
      record: { save: () => Promise.resolve() },
      frontends: new Frontends([]),
      reports: {
        add: (object, from, to) => this.noted(object, from, to),
        cut: () => undefined,
        stalled: (volume, word) => {
          // Passes on only the stall events of plain volumes. Other events need no judge: waiting for a slow server is not a breach, and an
          // error of the storage is the correct answer.
          if (isSnapshot(volume.name) || this.isMirrors(volume.name)) return;
          if (word === 'waits' || word === 'gave-up' || word === 'goes-on') this.userOf(volume).stalled(word);
        },
      },
      random: () => this.ports.mirrorRandom.unit(),
      instance: identity.instance,
      elsewhere: null,
      origins: UNCHECKED_ORIGINS,
    });
    attachments.logTotal.limitBytes = this.ports.logTotalBytes;
    const namespace = new Namespace(
      { whole: { defaultPort: null }, config, locals: this.locals },
      identity,
      this.namespacePorts(attachments),
    );
    namespaces.list = [namespace];
    namespace.start();
    return [namespace, attachments];
  }

  /** Called when an attachment has lost its volume. Reports a breach unless another client has the volume now. */
  private lost({ name, volume }: Attachment, status: number, sentence: string): void {
    if (isSnapshot(name)) {
      for (const reader of this.readers) if (reader.label === name) reader.lost(sentence);
      return;
    }
    // This attach was in progress when the volume was removed for good: its user has ended, and another client may have a volume with this
    // name.
    if (this.isMirrors(name) && this.users.some(({ hasNoVolume }) => hasNoVolume)) return;
    // The client may have another volume with the name of the removed volume.
    if (this.users.some(({ hasNoVolume, target }) => hasNoVolume && target.id === volume?.id)) return;
    const user = this.userNamed(name);
    const isRight = status === STATUS.TAKEN && user.mayLose(epochOf(volume?.identity ?? ''));
    if (!isRight) this.ports.breach(`${this.name}: volume ${name} was lost, status ${status}: ${sentence}`);
    if (this.ports.trace.isOn) this.ports.trace.say(`${user.name}: lost, status ${status}: ${sentence}`);
    if (user.volume !== null) user.lost();
  }

  private noted(object: string, from: string, to: string): void {
    const { trace } = this.ports;
    if (trace.isOn) trace.say(`${this.name}: ${object}: ${from} -> ${to}`);
    if (from.endsWith(IN_SYNC)) this.replicasLeft++;
    if (to === IN_SYNC) this.replicasReturned++;
  }

  /** Whether this is the name of a mirror, which has no user in this list. */
  private isMirrors(name: string): boolean {
    return !this.users.some((user) => user.attachedName === name);
  }

  private userOf({ name }: Volume): SimUser {
    return this.userNamed(name);
  }

  private userNamed(name: string): SimUser {
    return this.users.find((user) => user.attachedName === name)!;
  }

  private config(): ClientNamespaceConfig {
    const { nodekey, digest, tls, times } = this.ports;
    return {
      name: 'sim',
      namespaceid: 1,
      nodename: this.names.node,
      nodekey,
      namespacekey: null,
      port: null,
      ...defaultVolumeSettings(),
      stall: 'forever',
      attach: 'all',
      device: 'none',
      paths: 'all',
      ...times,
      digest,
      tls,
      logSizeBytes: this.ports.logSizeBytes,
      servers: this.remotes.map(({ name, address }, position) => ({ name, address, port: null, serverkey: null, position })),
      volumes: this.users.map((user) => ({
        ...noVolumeOverrides(),
        name: user.target.name,
        stall: user.policy,
        attach: null,
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
      serverCount: () => 0,
      hasDataProcesses: false,
      known: { of: () => [], serveridAt: () => null, learned: () => {} },
      pathChanged: (route, from, to, reason) => {
        attachments.mirrors.look();
        attachments.farm.look();
        trace.note(EVENT.PATH, PATH_STATES.indexOf(from), PATH_STATES.indexOf(to), route.supervisor.lastNumber);
        if (trace.isOn) trace.say(`${this.name}: path ${route.local.address} ${route.remote.address} ${from} -> ${to} ${reason}`);
        if ((from === 'up' || from === 'suspect') && (to === 'down' || to === 'probation')) this.ports.pathFailed();
      },
      events: {
        sessionBegan: () => attachments.mirrors.look(),
        opened: (_server, attachment, _again, newLife) => attachments.opened(attachment, newLife),
        openFailed: (server, attachment, status, sentence) => {
          attachments.failed(attachment, status, sentence);
          const isPlain = attachment.mirror === null;
          if (isPlain && attachment.volume !== null && !server.trunk.isEnded) this.lost(attachment, status, sentence);
        },
        openWaits: () => undefined,
        listed: () => attachments.farm.look(),
        grown: (_server, attachment) => this.users.forEach((user) => user.grown(attachment)),
      },
    };
  }
}

/**
 * The next instance number, counted as a real client counts in its file: after the largest number that JavaScript represents exactly, the
 * same number is used again.
 */
function nextInstance(machine: SimMachineId): number {
  machine.instance = Math.min(machine.instance + 1, INSTANCE_MAX);
  return machine.instance;
}
