// A client of the explorer: the production decider, a driver that executes its orders, and an abstract data path that follows its view. The
// data path is that of test/models/members: one write, one read and one flush at a time, with one request for each block and replica. If a
// session ends before a request is executed, the server may still execute the request, until it starts another session of this client or
// promises a higher term.

import type {
  MembershipEvent,
  MembershipOrder,
  MirrorView,
  MirrorWish,
  ReplicaView,
  VoteRequest,
} from '@rsio/protocol/mirror/membership/interface';
import { Membership } from '@rsio/protocol/mirror/membership/membership';
import type { MembershipRules } from '@rsio/protocol/mirror/membership/rules';
import type { VoteAnswer } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { History, Operation } from './history.ts';
import { MIRROR, type Server } from './servers.ts';

type Settling = 'settled' | 'unsettled' | 'copying' | 'flushing';

interface Request {
  readonly kind: 'write' | 'copy' | 'replay';
  readonly value: number;
  isExecuted: boolean;
}

interface Session {
  readonly identity: string;
  readonly server: Server;
  isOpening: boolean;
  isUp: boolean;
  life: number;
  wasUp: boolean;
  needsFlush: boolean;
  /** Whether the flush with which the replica joins is executed, but not answered yet. */
  hasJoinFlush: boolean;
  readonly queue: (Request | null)[];
  readonly replays: boolean[];
  readonly dirty: boolean[];
}

interface Vote {
  readonly order: number;
  readonly request: VoteRequest;
  answer: VoteAnswer | null;
}

export interface Ghost {
  readonly server: Server;
  readonly block: number;
  readonly value: number;
  readonly term: number;
  readonly instance: number;
}

export interface LateVote {
  readonly server: Server;
  readonly instance: number;
  readonly request: VoteRequest;
}

interface Block {
  write: number;
  done: Set<string>;
  log: number;
  settling: Settling;
  unflushed: Set<string>;
}

export class Holder {
  readonly node: string;
  readonly servers: readonly Server[];
  readonly history: History;
  readonly rules: MembershipRules;
  instance = 0;
  membership: Membership | null = null;
  view: MirrorView | null = null;
  isServing = false;
  hasDetached = false;
  lastEnd = '';
  readonly cut = new Set<number>();
  readonly up = new Set<number>();
  readonly votes = new Map<number, Vote>();
  ghosts: Ghost[] = [];
  late: LateVote[] = [];
  sessions = new Map<string, Session>();
  blocks: Block[] = [];
  grows = new Map<string, number>();
  flush: { readonly covers: Operation[]; readonly logs: number[]; readonly done: Set<string> } | null = null;
  reading: { readonly block: number; operation: Operation; value: number; readonly confirmed: Set<Server> } | null = null;
  wish: number | null = null;
  isDetaching = false;
  #wishes = 0;

  constructor(node: string, servers: readonly Server[], history: History, rules: MembershipRules) {
    this.node = node;
    this.servers = servers;
    this.history = history;
    this.rules = rules;
  }

  start(takesOver: boolean): void {
    this.stop();
    this.instance += 1;
    const blocks = this.servers[0]?.blocks ?? 1;
    this.blocks = Array.from({ length: blocks }, () => ({ write: 0, done: new Set(), log: 0, settling: 'settled', unflushed: new Set() }));
    const servers = this.servers.map(({ serverid }) => ({ serverid, name: `s${serverid}` }));
    const me = { node: this.node, instance: this.instance };
    const seed = { mirror: MIRROR, name: 'db', universe: 0, me, takesOver, isAutomatic: false, servers };
    this.membership = new Membership(seed, this.rules);
  }

  /** The client crashes or ends. Its requests in flight may still be executed. */
  stop(): void {
    for (const session of this.sessions.values()) this.#abandon(session);
    this.membership = null;
    for (const serverid of [...this.up]) this.down(serverid, false);
    this.sessions.clear();
    this.grows.clear();
    Object.assign(this, { view: null, isServing: false, flush: null, reading: null, wish: null, isDetaching: false, blocks: [] });
  }

  send(event: MembershipEvent): void {
    for (const order of this.membership?.on(event) ?? []) this.#execute(order);
    this.settle();
  }

  #execute(order: MembershipOrder): void {
    switch (order.kind) {
      case 'vote':
        this.votes.set(order.server, { order: order.order, request: order.request, answer: null });
        return;
      case 'open':
        return this.#openLater(order.identity, order.server);
      case 'give-up':
        return this.#close(order.identity);
      case 'grow':
        this.grows.set(order.identity, order.sizeBytes);
        return;
      case 'serve':
        this.isServing = true;
        for (const block of this.blocks) block.settling = order.isClean ? 'settled' : 'unsettled';
        this.history.excuse(this.term);
        return;
      case 'view':
        this.view = order.view;
        if (order.view.isServing) this.history.toldBytes = Math.max(this.history.toldBytes, order.view.sizeBytes);
        return;
      case 'wished':
        if (order.id === this.wish) Object.assign(this, { wish: null, isDetaching: false });
        return;
      case 'detached':
        this.hasDetached = true;
        this.lastEnd = 'detached';
        return this.stop();
      case 'end':
        this.lastEnd = order.sentence;
        return this.stop();
    }
  }

  get term(): number {
    return this.view?.term ?? this.membership?.view.term ?? 0;
  }

  promises(server: Server): boolean {
    const promise = server.record?.promise ?? null;
    return promise !== null && promise.number === this.term && promise.node === this.node && promise.instance === this.instance;
  }

  reaches(server: Server): boolean {
    return this.up.has(server.serverid) && !this.cut.has(server.serverid);
  }

  replicas(): readonly ReplicaView[] {
    return this.view?.replicas ?? [];
  }

  counting(): string[] {
    return this.replicas().flatMap(({ identity, counts }) => (counts ? [identity] : []));
  }

  /**
   * Sessions of replicas in sync. A replica is in sync if the configuration at a majority names it in I, and the next configuration, if
   * there is one, keeps it in I.
   */
  inSync(): Session[] {
    return this.replicas().flatMap(({ identity, role }) => (role === 'member' ? [this.session(identity)] : []));
  }

  session(identity: string, at: number | null = null): Session {
    const known = this.sessions.get(identity);
    if (known !== undefined) return known;
    const serverid = at ?? this.replicas().find((one) => one.identity === identity)?.server ?? 0;
    const none = this.blocks.map(() => false);
    const session: Session = {
      identity,
      server: this.servers[serverid] as Server,
      isOpening: false,
      isUp: false,
      life: 0,
      wasUp: false,
      needsFlush: false,
      hasJoinFlush: false,
      queue: this.blocks.map(() => null),
      replays: [...none],
      dirty: [...none],
    };
    this.sessions.set(identity, session);
    return session;
  }

  /** Whether the server executes requests of the session: it has the same incarnation and data, and the handle is not revoked. */
  works(session: Session): boolean {
    const { server, life, isUp, identity } = session;
    return isUp && this.reaches(server) && this.promises(server) && server.replica?.life === life && server.replica.identity === identity;
  }

  isIn(identity: string): boolean {
    return this.replicas().some(
      (one) => one.identity === identity && (one.role === 'member' || one.role === 'leaving' || (one.counts && one.role === 'joining')),
    );
  }

  #openLater(identity: string, serverid: number): void {
    this.session(identity, serverid).isOpening = true;
  }

  /** Closes a session for good, and forgets the data of its replica. */
  #close(identity: string): void {
    const session = this.sessions.get(identity);
    if (session === undefined) return;
    this.#abandon(session);
    this.sessions.delete(identity);
    this.grows.delete(identity);
    this.#unsettle(identity);
  }

  #abandon(session: Session): void {
    for (const [block, request] of session.queue.entries()) {
      if (request !== null && !request.isExecuted)
        this.ghosts.push({ server: session.server, block, value: request.value, term: this.term, instance: this.instance });
      session.queue[block] = null;
    }
    session.isUp = false;
    session.hasJoinFlush = false;
  }

  #unsettle(identity: string): void {
    const role = this.replicas().find((one) => one.identity === identity)?.role;
    if (role !== 'member' && role !== 'leaving') return;
    for (const block of this.blocks) {
      if (block.settling !== 'copying' && block.settling !== 'flushing') continue;
      block.settling = 'unsettled';
      block.unflushed.clear();
      for (const session of this.inSync()) session.dirty[this.blocks.indexOf(block)] = false;
    }
  }

  /** Breaks a session. A replica in I keeps its log; any other replica starts again (M12). */
  breakSession(session: Session, isServerToo: boolean): void {
    if (!session.isUp) return;
    if (isServerToo) session.queue.fill(null);
    this.#abandon(session);
    this.#unsettle(session.identity);
    const role = this.replicas().find(({ identity }) => identity === session.identity)?.role;
    if (role === 'member' || role === 'leaving') return;
    const isSent = this.view?.isPending === true && role === 'joining';
    if (!isSent || this.sessions.get(session.identity) !== session)
      this.send({ kind: 'lost', identity: session.identity, sentence: 'broken' });
  }

  /** Executes an OPEN, or continues the session after a break. */
  open(session: Session): void {
    const { identity, server } = session;
    const isSame = server.replica !== null && server.replica.identity === identity;
    if (!isSame || !this.promises(server)) {
      const promise = server.record?.promise ?? null;
      const isHigher = promise !== null && compareTerms(promise, { number: this.term, node: this.node, instance: this.instance }) > 0;
      const isUnclaimed = isSame && !isHigher;
      if (session.isOpening) {
        session.isOpening = false;
        this.send({ kind: 'open-failed', identity, reason: isHigher ? 'taken' : isUnclaimed ? 'unclaimed' : 'refused', sentence: 'no' });
      } else if (!isUnclaimed) this.send({ kind: 'lost', identity, sentence: 'no' });
      return;
    }
    this.ghosts = this.ghosts.filter((ghost) => ghost.server !== server);
    const { life, sizeBytes } = server.replica as NonNullable<Server['replica']>;
    const isFirst = !session.wasUp;
    const hasOtherLife = !isFirst && session.life !== life;
    Object.assign(session, { isOpening: false, isUp: true, wasUp: true, life });
    if (this.isIn(identity)) this.#resume(session, hasOtherLife);
    else this.#startCopy(session);
    this.send({ kind: 'opened', identity, sizeBytes });
  }

  #resume(session: Session, hasOtherLife: boolean): void {
    for (const [at, block] of this.blocks.entries()) {
      if (hasOtherLife) {
        if (block.log > 0) session.replays[at] = true;
        block.done.delete(session.identity);
      }
      if (block.log === 0) session.replays[at] = false;
      if (session.replays[at] === true) session.queue[at] = { kind: 'replay', value: block.log, isExecuted: false };
      else if (block.write > 0 && !block.done.has(session.identity))
        session.queue[at] = { kind: 'write', value: block.write, isExecuted: false };
    }
    if (hasOtherLife) session.needsFlush = true;
  }

  #startCopy(session: Session): void {
    const others = this.replicas().filter(
      ({ role, identity }) => (role === 'member' || role === 'leaving') && identity !== session.identity,
    );
    for (const [at, block] of this.blocks.entries()) {
      const isUnderWay = others.some(({ identity }) => this.session(identity).queue[at] !== null);
      const isSet = others.some(({ server }) => this.servers[server]?.replica?.map === true);
      session.dirty[at] = block.write > 0 || isUnderWay || isSet || session.server.replica?.map === true;
      session.replays[at] = false;
      block.done.delete(session.identity);
      if (block.write > 0) session.queue[at] = { kind: 'write', value: block.write, isExecuted: false };
    }
    session.needsFlush = true;
  }

  answer(session: Session, at: number): void {
    const request = session.queue[at] ?? null;
    const block = this.blocks[at];
    if (request === null || block === undefined) return;
    session.queue[at] = null;
    if (request.kind === 'write') {
      if (request.value === block.write) block.done.add(session.identity);
    } else if (request.kind === 'copy') {
      session.dirty[at] = false;
      if (block.settling === 'copying' && this.inSync().every((one) => one.dirty[at] !== true)) this.#copied(block);
    } else {
      session.replays[at] = false;
      if (block.write > 0 && !block.done.has(session.identity))
        session.queue[at] = { kind: 'write', value: block.write, isExecuted: false };
    }
    this.settle();
  }

  #copied(block: Block): void {
    block.settling = 'flushing';
    block.unflushed = new Set(this.inSync().map(({ identity }) => identity));
  }

  /** Begins settling: the block is copied from one replica in I to all others. */
  copyFrom(source: Session, at: number): void {
    const block = this.blocks[at] as Block;
    const value = source.server.replica?.cache[at] ?? 0;
    block.settling = 'copying';
    const others = this.inSync().filter((one) => one !== source);
    for (const session of others) {
      session.queue[at] = { kind: 'copy', value, isExecuted: false };
      session.dirty[at] = true;
    }
    if (others.length === 0) this.#copied(block);
  }

  /** Answers the user as soon as all counted replicas have answered. If the holder answered later, the judge would check less. */
  settle(): void {
    if (!this.isServing || this.view?.isServing !== true) return;
    const counting = this.counting();
    for (const block of this.blocks) {
      if (block.write === 0 || !counting.every((one) => block.done.has(one))) continue;
      this.history.acknowledge(block.write);
      block.log = block.write;
      block.write = 0;
      block.done.clear();
      this.history.excuse(this.term);
    }
    const { flush, reading } = this;
    if (flush !== null && counting.every((one) => flush.done.has(one))) {
      for (const { state, value } of flush.covers) if (state === 'answered') this.history.flushed.add(value);
      for (const [at, block] of this.blocks.entries()) if (block.log === flush.logs[at]) block.log = 0;
      this.flush = null;
    }
    if (reading !== null && reading.value >= 0 && this.isConfirmed(reading.confirmed)) {
      Object.assign(reading.operation, { state: 'answered', value: reading.value });
      this.reading = null;
      this.history.excuse(this.term);
    }
  }

  /** Whether a read is confirmed (M15): all replicas that confirm, or a majority of each set of voters, must be among the servers. */
  isConfirmed(servers: ReadonlySet<Server>): boolean {
    const here = [...servers];
    const all = this.replicas().every(({ identity, confirms }) => !confirms || here.some(({ replica }) => replica?.identity === identity));
    const sets = this.view?.voterSets ?? [];
    const isMajority = (voters: readonly { readonly voter: string }[]): boolean =>
      voters.filter(({ voter }) => here.some(({ record }) => record?.voter === voter)).length * 2 > voters.length;
    return all || (sets.length > 0 && sets.every(isMajority));
  }

  canRead(session: Session, at: number): boolean {
    const role = this.replicas().find(({ identity }) => identity === session.identity);
    const block = this.blocks[at];
    return (
      this.view?.isServing === true &&
      role?.reads === true &&
      this.works(session) &&
      session.replays[at] !== true &&
      block?.settling === 'settled'
    );
  }

  /** Whether no request is in flight or logged, nothing is unsettled, and no log is being replayed. */
  isQuiet(): boolean {
    if (!this.isServing || this.flush !== null || this.reading !== null) return false;
    if (this.blocks.some(({ write, log, settling }) => write > 0 || log > 0 || settling !== 'settled')) return false;
    return [...this.sessions.values()].every(({ queue, replays }) => queue.every((one) => one === null) && !replays.includes(true));
  }

  ask(wish: MirrorWish): void {
    this.#wishes += 1;
    this.wish = this.#wishes;
    this.isDetaching = wish.kind === 'detach';
    this.send({ kind: 'wish', id: this.#wishes, wish });
  }

  /** A server ends, and with it the sessions of this client. Votes without an answer may still be executed later. */
  down(serverid: number, isCrash: boolean): void {
    this.up.delete(serverid);
    const vote = this.votes.get(serverid);
    this.votes.delete(serverid);
    const server = this.servers[serverid] as Server;
    if (vote !== undefined && vote.answer === null && !isCrash) this.late.push({ server, instance: this.instance, request: vote.request });
    if (isCrash) this.late = this.late.filter((one) => one.server !== server);
    if (this.membership === null) return;
    if (vote !== undefined) this.send({ kind: 'voted', server: serverid, order: vote.order, answer: null });
    this.send({ kind: 'server-down', server: serverid });
    for (const session of [...this.sessions.values()]) if (session.server === server) this.breakSession(session, isCrash);
  }

  serverUp(server: Server): void {
    this.late = this.late.filter((one) => one.server !== server);
    this.up.add(server.serverid);
    this.send({ kind: 'server-up', server: server.serverid, name: `s${server.serverid}` });
  }
}
