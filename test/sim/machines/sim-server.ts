// A simulated server machine: its listener authenticates connections, and after a while hands each connection to the process of its
// session. Listener and processes can be killed, stopped and ended cleanly, and the machine can crash. The server keeps three rules. S9: a
// new session of a node begins only after the process of the old session has ended. The sockets on their way to the old process end with
// this process. S10: a new listener admits no client until the processes of the earlier listener have ended. H4: a replaced instance of a
// node is refused forever. sim-holds.ts has the holds.

import { type Proven, ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import { SESSION_SILENT_MS } from '@rsio/rssrv/volumes/limits';
import { HOLDER_RETURN_MS, OLD_SESSION_WAIT_MS } from '@rsio/rssrv/server/limits';
import { Moments } from '@rsio/rssrv/snapshots/moments';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { isCurrent } from '@rsio/rssrv/volumes/holds/instances';
import { NO_LOG } from '../base/no-log.ts';
import { SimProcess, type SimClock } from '../base/sim-clock.ts';
import { type SimClaimant, SimHolds } from './sim-holds.ts';
import { proveConnection, type Refuse } from './sim-handshake.ts';
import { claimantOf, identityOf, interfaceAt } from './sim-identity.ts';
import type { SimEnd, SimLink } from '../network/sim-link.ts';
import type { GrownVolume } from '@rsio/rssrv/storage/io/served-volume';
import { admissionOf } from '@rsio/rssrv/session/server-path';
import { type Order, SimPool } from '../pools/sim-pool.ts';
import type { SimStore } from '../pools/sim-store.ts';
import type { SimMachine } from './sim-machine.ts';
import type { SimVolume } from './sim-volume.ts';
import type { SimHost } from '../network/sim-network.ts';
import { type SimList, SimSession, type SessionHost } from './sim-session.ts';
import { EVENT, type Trace } from '../base/trace.ts';

export interface ServerPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly nodekey: string;
  readonly machine: SimMachine;
  readonly sessions: Omit<SessionHost, 'listener' | 'holds' | 'machine' | 'moments' | 'snapshots' | 'lost'>;
  /** Called when the listener of the server is about to restart. The callee may change the volumes that the new listener will serve. */
  starts(server: SimServer): void;
  /** Called after each step of a take-over. */
  stepped(server: SimServer): void;
  /** Longest time in ms until a proven socket reaches the process of its session. */
  readonly handOverMs: number;
  /** Whether the server knows REVOKE. */
  readonly revokes: boolean;
  readonly tls: boolean;
  readonly snapshots: boolean;
  readonly mirrors: boolean;
  /** Whether the server supports data processes of clients. */
  readonly dataProcesses: boolean;
}

const KILL_MAX_MS = 50;

export class SimServer implements SimHost {
  readonly name: string;
  readonly serverid: number;
  /** The sessions, by keyOf. */
  readonly sessions = new Map<string, SimSession>();
  /** For each node: time at which the server last told the node to retry. */
  readonly slowSaidMs = new Map<string, number>();
  isListening = true;
  listener: SimProcess;
  readonly machine: SimMachine;
  holds: SimHolds;
  private pool: SimPool | null;
  moments: Moments | null;
  /** Pools of this listener on simulated file systems; null: the machine has none. */
  store: SimStore | null = null;
  private readonly ports: ServerPorts;
  /**
   * `addresses`: the interfaces on which the server listens. `unlisted`: addresses that were removed from the server's list of interfaces.
   * `generation`: the number of the list.
   */
  readonly addresses: readonly string[];
  private readonly unlisted = new Set<string>();
  private generation = 1;
  private instance = 0;
  private listeningSinceMs = 0;
  /** For each node without a session: its last session. */
  private readonly departed = new Map<string, Pick<SimSession, 'claimant' | 'silentSinceMs'>>();
  /**
   * For each data process whose instance is being recorded, or for which old sessions are ending: node and number of the client process. If
   * a further new connection of the data process or of another client process arrives in this state, the server tells it to retry.
   */
  private readonly inTransition = new Map<string, { readonly node: string; readonly client: number }>();
  /** For each node whose instance is being noted: the last note. */
  private readonly notes = new Map<string, Promise<void>>();
  /** Processes of earlier listeners that have not ended yet. */
  private leftOver = new Set<SimSession>();
  /**
   * Facts for the judges. `replaced`: client processes whose session was ended by another process of the same node. `served`: the client
   * process of each node that was admitted last.
   */
  private readonly replaced = new Set<number>();
  /** Client processes that have proved themselves. */
  private readonly known = new Map<number, SimClaimant>();
  private readonly served = new Map<string, number>();

  constructor(name: string, serverid: number, addresses: readonly string[], ports: ServerPorts) {
    this.addresses = addresses;
    this.name = name;
    this.serverid = serverid;
    this.ports = ports;
    this.machine = ports.machine;
    this.listener = new SimProcess(ports.clock);
    this.holds = this.newHolds();
    this.pool = this.newPool();
    this.moments = this.newMoments();
  }

  /**
   * Executes an administrator's order. Resolves with the id of the volume. If the listener dies before the answer, the promise never
   * resolves. Throws RsError.
   */
  async order(order: Order, request: string): Promise<string> {
    const { pool, listener } = this;
    const [there, back] = [1, 2].map(() => (this.machine.pool?.random.unit() ?? 0) * this.ports.sessions.controlMs);
    await new Promise<void>((resolve) => listener.after(there!, resolve));
    try {
      const { id } = (await pool!.execute(order, request)).manifest;
      if (order.verb === 'revoke') this.revoked(id, order.client);
      return id;
    } finally {
      await new Promise<void>((resolve) => listener.after(back!, resolve));
    }
  }

  private revoked(id: string, node: string): void {
    const isHeld = this.holds.holders.holdersOf(id).some((holder) => holder.node === node);
    this.machine.volumes.get(id)!.judge.revoked(node, isHeld);
  }

  /** Marks the file of a volume as truncated or as whole again. */
  cut(volume: SimVolume, isCut: boolean): void {
    volume.isCut = isCut;
    if (isCut && this.isListening) this.lost(volume.id);
    else this.listChanged();
  }

  /** Gives the machine a pool. */
  openPool(): void {
    this.pool = this.newPool();
    this.store = this.newStore();
  }

  /** Whether the server listens, is not stopped, and is not ending a session. */
  get isGood(): boolean {
    if (!this.isListening || this.listener.isPaused || this.inTransition.size > 0 || this.leftOver.size > 0) return false;
    for (const session of this.sessions.values()) if (session.process.isPaused || session.isEnding) return false;
    return true;
  }

  /** The last client process of this node that the server has admitted. Null: the server has admitted no process of the node. */
  servedClient(node: string): number | null {
    return this.served.get(node) ?? null;
  }

  /**
   * Whether the server refuses the client forever. A client is refused if another instance of the node has ended the client's session or
   * got one of the client's holds, or if the server recorded a newer instance and crashed before it could serve the newer instance.
   */
  isReplaced(client: number): boolean {
    if (this.replaced.has(client) || this.isOutlived(client)) return true;
    for (const { judge } of this.machine.volumes.values()) if (judge.replaced.has(client)) return true;
    return false;
  }

  private isOutlived(client: number): boolean {
    const claimant = this.known.get(client);
    if (claimant === undefined) return false;
    return this.machine.notesOf(claimant.node).some((notes) => !isCurrent(notes, claimant));
  }

  /** Removes an interface from the list, and returns its address. Null: only one interface is left, which stays in the list. */
  unlist(): string | null {
    const listed = this.addresses.filter((address) => !this.unlisted.has(address));
    if (listed.length < 2) return null;
    const address = this.ports.random.pick(listed);
    this.unlisted.add(address);
    this.listChanged();
    return address;
  }

  list(address: string): void {
    this.unlisted.delete(address);
    this.listChanged();
  }

  listChanged(grown: readonly GrownVolume[] = []): void {
    this.generation++;
    for (const session of this.sessions.values()) session.listChanged(grown);
  }

  accept(link: SimLink): void {
    const { listener } = this;
    link.server.owner = listener;
    listener.after(0, () => this.prove(link.server));
  }

  /** Kills the listener. The session processes notice the end of the listener and exit (S10). Another listener starts after `downMs`. */
  killListener(downMs: number): void {
    if (!this.isListening) return;
    const { clock, random } = this.ports;
    this.listenerDies(downMs);
    for (const id of this.machine.volumes.keys()) this.machine.incarnationEnded(id);
    for (const session of this.leftOver) clock.after(random.unit() * KILL_MAX_MS, () => session.kill());
  }

  /** Crashes the machine: all its processes die at once, and unsynced data may be lost. The machine boots after `downMs`. */
  crash(downMs: number): void {
    if (!this.isListening) return;
    this.listenerDies(downMs);
    for (const session of [...this.leftOver]) session.kill();
    this.machine.crashed();
  }

  private listenerDies(downMs: number): void {
    this.isListening = false;
    this.instance++;
    this.listener.kill();
    this.holds.stop();
    this.machine.file.crashed();
    for (const ledger of this.machine.ledgers.values()) ledger.crashed();
    this.inTransition.clear();
    this.notes.clear();
    for (const session of this.sessions.values()) {
      session.isOrphan = true;
      this.leftOver.add(session);
    }
    this.sessions.clear();
    this.ports.clock.after(downMs, () => this.startListener());
  }

  private startListener(): void {
    // A new listener ends all processes of the earlier listener before it admits a client. The new listener also kills stopped processes.
    for (const session of this.leftOver) session.kill();
    this.ports.starts(this);
    this.listener = new SimProcess(this.ports.clock);
    this.listeningSinceMs = this.listener.monotonicMs();
    this.departed.clear();
    this.holds = this.newHolds();
    this.pool = this.newPool();
    this.moments = this.newMoments();
    this.store = this.newStore();
    this.isListening = true;
  }

  /**
   * A sync of a volume failed: the storage of the volume starts a new incarnation, the server revokes all handles of the volume, and
   * clients ask for the list of volumes.
   */
  private lost(volume: string): void {
    this.machine.lost(volume);
    const epoch = this.holds.holders.epochOf(volume);
    for (const session of this.sessions.values()) session.revokeLost(volume, epoch);
    // The message waits its turn, because messages reach a process in the order of sending.
    this.listener.after(this.ports.sessions.controlMs, () => this.listChanged());
  }

  private newHolds(): SimHolds {
    const { machine, sessions } = this.ports;
    return new SimHolds({
      machine,
      process: this.listener,
      controlMs: sessions.controlMs,
      sessionsOf: (node) => this.sessionsOf(node),
      snapshots: () => (this.store?.isReady === true ? this.store.served : null),
      holdersChanged: () => this.listChanged(),
      stepped: () => this.ports.stepped(this),
    });
  }

  private newMoments(): Moments | null {
    const { machine, listener, holds, sessions } = this;
    if (!this.ports.snapshots) return null;
    return new Moments({
      clock: listener,
      log: NO_LOG,
      sessions: {
        get all() {
          return [...sessions.values()];
        },
      },
      volumes: {
        nameOf: (id) => id,
        sync: async (id) => {
          const volume = machine.volumes.get(id);
          // Skips volumes over several pools, which no client uses.
          if (volume !== undefined) await holds.sync(volume);
        },
      },
      holds: { unsettledNode: (id, incarnation) => holds.holders.unsettledNode(id, incarnation) },
      incarnationOf: (id) => machine.incarnationOf(id),
      lost: (id) => this.lost(id),
    });
  }

  private newPool(): SimPool | null {
    const { machine } = this;
    if (machine.pool === null) return null;
    return new SimPool({
      pool: machine.pool,
      volumes: machine.volumes,
      process: this.listener,
      holds: () => this.holds.holders,
      revocations: () => this.holds.revocations,
      sessions: () => this.sessions.values(),
      listChanged: (grown) => this.listChanged(grown),
      startIncarnation: (id) => this.lost(id),
    });
  }

  private newStore(): SimStore | null {
    const { machine, moments, listener: process, holds } = this;
    if (moments === null) return null;
    return machine.newStore({
      process,
      moments,
      holds: () => holds.holders,
      sessions: () => this.sessions.values(),
      listChanged: (grown) => this.listChanged(grown),
      startIncarnation: (id) => this.lost(id),
      opened: (volume) => holds.opened(volume),
      sync: (volume) => holds.sync(volume),
    });
  }

  private prove(end: SimEnd): void {
    proveConnection(end, {
      listener: this.listener,
      handshake: new ServerHandshake(identityOf(this, this.instance, this.ports), this.ports.random.bytes),
      nodekey: this.ports.nodekey,
      secretOf: (session, node) => this.secretOf(session, node),
      saysSlow: (node) => this.slowSaidMs.set(node, this.listener.monotonicMs()),
      proven: (proven, refuse) => this.proven(end, proven, refuse),
    });
  }

  private secretOf(session: Uint8Array, node: string): Buffer | null {
    return this.find(session, node)?.secret ?? null;
  }

  private find(session: Uint8Array, node: string): SimSession | undefined {
    const id = Buffer.from(session).toString('hex');
    return this.sessionsOf(node).find((one) => one.id === id);
  }

  /** The sessions of all data processes of a client. */
  sessionsOf(node: string): SimSession[] {
    return [...this.sessions.values()].filter((session) => session.node === node);
  }

  private proven(end: SimEnd, proven: Proven, refuse: Refuse): void {
    const { node } = proven.hello;
    const old = this.sessionsOf(node);
    if (proven.kind === 'join') {
      const session = this.find(proven.session, node);
      if (session === undefined) refuse({ code: 'E_NO_SESSION', sentence: 'The session has just ended' });
      else this.handOver(session, end, proven);
      return;
    }
    const claimant = claimantOf(proven, end.remoteAddress);
    const isOther = [...this.inTransition.values()].some((one) => one.node === node && one.client !== claimant.client);
    if (isOther || this.inTransition.has(keyOf(proven))) {
      refuse({ code: 'E_DRAINING', sentence: 'The last session is just being ended' });
      return;
    }
    this.known.set(claimant.client, claimant);
    if (!this.holds.holders.isCurrent(claimant)) {
      refuse({ code: 'E_REPLACED', sentence: 'This instance was replaced by a later one' });
      return;
    }
    if (this.mayReplace(old, claimant)) this.note(end, proven, old, refuse);
    else refuse({ code: 'E_OTHER_MACHINE', sentence: `Node ${node} is in use elsewhere` });
  }

  /**
   * Whether a new client may replace this session (H4). If the session belongs to another machine, or to a copy of the machine, it must
   * have been silent for a while.
   */
  private mayReplace(old: readonly SimSession[], claimant: SimClaimant): boolean {
    const { holders } = this.holds;
    const nowMs = this.listener.monotonicMs();
    const departed = this.departed.get(claimant.node);
    const all = [...old, ...(departed === undefined ? [] : [departed])];
    const [before] = all;
    if (before === undefined) {
      const last = nowMs - this.listeningSinceMs < HOLDER_RETURN_MS ? holders.lastHolding(claimant.node) : null;
      return last === null || holders.mayReplace(last, claimant, 0);
    }
    const silentMs = Math.min(...all.map(({ silentSinceMs }) => nowMs - (silentSinceMs ?? nowMs)));
    const may = holders.mayReplace(before.claimant, claimant, silentMs);
    if (may) this.judgeReplacing(before.claimant, claimant, silentMs);
    return may;
  }

  /** Judges H4: a client that may run on a copy of the machine must not replace a live instance. */
  private judgeReplacing(old: SimClaimant, { client, node, machine, boot, instance }: SimClaimant, silentMs: number): void {
    if (old.client === client || silentMs >= SESSION_SILENT_MS) return;
    if (old.machine === machine && old.boot === boot && old.instance < instance) return;
    this.ports.sessions.breach(`H4: ${this.name} replaces process ${old.client} of ${node}, which is heard, by ${client} from elsewhere`);
  }

  /**
   * Records the new instance. The server tells an older instance that it was replaced, and serves the new instance, only after the record
   * is durable.
   */
  private note(end: SimEnd, proven: Proven & { kind: 'new' }, old: readonly SimSession[], refuse: Refuse): void {
    const { listener } = this;
    const claimant = claimantOf(proven, end.remoteAddress);
    const replaced = old.find((one) => one.claimant.client !== claimant.client)?.claimant ?? null;
    // Notes about the starts of one client are recorded one after another, as in the production listener.
    const earlier = this.notes.get(claimant.node);
    const noted =
      earlier === undefined ? this.holds.noteInstance(claimant, replaced) : earlier.then(() => this.holds.noteInstance(claimant, replaced));
    if (proven.hello.dataProcess !== undefined || earlier !== undefined || this.ports.dataProcesses) this.notes.set(claimant.node, noted);
    this.inTransition.set(keyOf(proven), claimant);
    void noted.then(() =>
      listener.after(0, () => {
        if (this.notes.get(claimant.node) === noted) this.notes.delete(claimant.node);
        if (replaced !== null) this.replaced.add(replaced.client);
        this.served.set(claimant.node, claimant.client);
        const ending = this.sessionsOf(claimant.node).filter((one) => one.claimant.client !== claimant.client || one.key === keyOf(proven));
        if (ending.length > 0) this.replace(ending, end, proven, refuse);
        else this.begin(end, proven);
      }),
    );
  }

  /**
   * Replaces sessions: the new session starts when the processes of the old sessions have ended (S9). If this takes too long, the new
   * connection is told to retry.
   */
  private replace(old: readonly SimSession[], end: SimEnd, proven: Proven & { kind: 'new' }, refuse: Refuse): void {
    const { instance } = this;
    let isSettled = false;
    const left = new Set(old);
    const timer = this.listener.after(OLD_SESSION_WAIT_MS, () => {
      isSettled = true;
      this.inTransition.delete(keyOf(proven));
      refuse({ code: 'E_DRAINING', sentence: 'The last session still has I/O running' });
    });
    for (const one of old) {
      one.whenGone.push(() => {
        left.delete(one);
        if (left.size > 0) return;
        timer.cancel();
        if (isSettled || this.instance !== instance) return;
        this.listener.after(0, () => this.begin(end, proven));
      });
      const isOther = one.claimant.client !== claimantOf(proven, '').client;
      one.end(isOther ? 'E_REPLACED' : 'E_NO_SESSION', 'The client began a new session');
    }
  }

  private begin(end: SimEnd, proven: Proven & { kind: 'new' }): void {
    const key = keyOf(proven);
    this.inTransition.delete(key);
    if (end.isClosed) return;
    const { node, instance } = proven.hello;
    const { trace, clock } = this.ports;
    const list = (): SimList => ({
      interfaces: this.addresses.filter((address) => !this.unlisted.has(address)).map(interfaceAt),
      generation: this.generation,
    });
    const claimant = claimantOf(proven, end.remoteAddress);
    this.judgeInstance(claimant);
    const host: SessionHost = {
      ...this.ports.sessions,
      listener: () => this.listener,
      holds: () => this.holds,
      machine: this.machine,
      moments: () => this.moments,
      snapshots: () => this.store?.answers ?? null,
      lost: (volume) => this.lost(volume),
    };
    const session = new SimSession(clock, host, list, claimant, proven.sessionSecret, proven.hello.dataProcess ?? 0, key);
    const other = this.sessionsOf(node).find((one) => one.claimant.client !== claimant.client);
    if (other !== undefined)
      this.ports.sessions.breach(`S9: ${this.name} serves processes ${other.claimant.client} and ${claimant.client} of ${node} at a time`);
    this.sessions.set(key, session);
    this.departed.delete(node);
    trace.note(EVENT.SESSION, this.serverid, session.processNumber, instance);
    if (trace.isOn) trace.say(`${this.name}: session of ${node} (process ${claimant.client}) begins, number ${session.processNumber}`);
    session.whenGone.push(() => {
      if (this.sessions.get(key) === session) {
        this.sessions.delete(key);
        const silentSinceMs = session.silentSinceMs ?? this.listener.monotonicMs();
        this.departed.set(node, { claimant, silentSinceMs: Math.max(silentSinceMs, this.departed.get(node)?.silentSinceMs ?? 0) });
      }
      this.leftOver.delete(session);
      if (this.moments !== null) this.listener.after(0, () => this.moments?.sessionEnded(session.id));
      if (trace.isOn) trace.say(`${this.name}: process of ${node}, number ${session.processNumber}, is gone`);
    });
    this.handOver(session, end, proven);
  }

  /** Judges H4: the server must not serve a replaced instance. */
  private judgeInstance({ node, client }: SimClaimant): void {
    if (this.isReplaced(client)) this.ports.sessions.breach(`H4: ${this.name} serves process ${client} of ${node}, which was replaced`);
  }

  private handOver(session: SimSession, end: SimEnd, proven: Proven): void {
    session.take(end, this.ports.random.unit() * this.ports.handOverMs, admissionOf(proven, interfaceAt(end.localAddress)));
  }
}

/** Identifies a data process of a node. The main process has the name of the node. */
function keyOf({ hello: { node, dataProcess = 0 } }: Proven): string {
  return dataProcess === 0 ? node : `${node}/${dataProcess}`;
}
