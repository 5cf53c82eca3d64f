// One random walk of the explorer, with three or four servers and two clients. The steps and faults of servers and clients come in random
// order. After each step, the state is checked as in test/models/members. The seed determines the walk. After the last step all faults end,
// and the mirror must become usable again.

import { highestOf, isMajority } from '@rsio/protocol/mirror/membership/quorums';
import { type MembershipRules, RULES } from '@rsio/protocol/mirror/membership/rules';
import type { MirrorConfig } from '@rsio/protocol/wire/mirror-messages';
import { DataSteps, type Step } from './data-steps.ts';
import { type Ghost, Holder } from './holder.ts';
import { Judge } from './judge.ts';
import { History } from './history.ts';
import { type Scene, Script } from './script.ts';
import { GARBAGE, nameOfVote, Server } from './servers.ts';

export interface WalkOptions {
  readonly replicas: number;
  /** Number of servers that vote. The first servers have the replicas. */
  readonly voters: number;
  readonly servers: number;
  readonly blocks: number;
  readonly writes: number;
  readonly steps: number;
  readonly faults: number;
  readonly changes: number;
  readonly starts: number;
  /** Whether there are faults that lose disks or records for good. */
  readonly losses: boolean;
  /** Whether network splits are the only faults. */
  readonly onlyCuts: boolean;
  /** Whether client y tries to take the mirror over without being allowed to. */
  readonly barred: boolean;
  readonly wishes: readonly ('remove' | 'add' | 'voters' | 'grow')[];
  /** Scenes that lead the walk to a certain situation; empty: only chance decides. */
  readonly script: readonly Scene[];
}

export const ANY: WalkOptions = {
  replicas: 2,
  voters: 3,
  servers: 4,
  blocks: 1,
  writes: 5,
  steps: 300,
  faults: 4,
  changes: 3,
  starts: 4,
  losses: true,
  onlyCuts: false,
  barred: false,
  wishes: ['remove', 'add', 'voters', 'grow'],
  script: [],
};

const MEND_STEPS = 3_000;
const LIKINGS = [1, 2, 6, 20];

export class World {
  readonly options: WalkOptions;
  readonly servers: Server[];
  readonly holders: Holder[];
  readonly history: History;
  readonly trace: string[] = [];
  readonly #judge: Judge;
  readonly #data: DataSteps;
  readonly #script: Script;
  readonly isTraced: boolean;
  #random: number;
  #faults = 0;
  #changes = 0;
  #starts = 0;
  #lostRecords = 0;
  #lostDisks = 0;
  #isMending = false;
  #favourite: number[] = [];
  readonly #likings = new Map<string, number>();

  constructor(seed: number, options: WalkOptions, rules: Partial<MembershipRules> = {}, isTraced = false) {
    this.options = options;
    this.isTraced = isTraced;
    this.#random = (seed * 2_654_435_761 + 12_345) >>> 0;
    this.history = new History(options.writes);
    this.servers = Array.from({ length: options.servers }, (_, serverid) => new Server(serverid, options.blocks));
    if (options.barred) for (const server of this.servers) server.barred = 'y';
    this.#found();
    this.holders = ['x', 'y'].map((node) => new Holder(node, this.servers, this.history, { ...RULES, ...rules }));
    this.#judge = new Judge(this.servers, this.holders, this.history, options.blocks, { ...RULES, ...rules });
    this.#script = new Script(options.script);
    this.#data = new DataSteps(this.history, (bound) => this.#below(bound));
    this.#favourite = [this.#below(this.servers.length), this.#below(3), this.#below(3), this.#below(3)];
  }

  #found(): void {
    const { replicas, voters } = this.options;
    const first = this.servers.slice(0, voters);
    const named = first.map((server) => ({ voter: server.found('x').voter, serverid: server.serverid }));
    const members = first
      .slice(0, replicas)
      .map((server) => ({ ...server.place(0), serverid: server.serverid, volume: 'db', universe: 0 }));
    const config: MirrorConfig = {
      k: 1,
      inSync: members.map(({ identity }) => identity),
      clean: true,
      members: members.map(({ identity, serverid, volume, universe }) => ({ identity, serverid, volume, universe })),
      voters: named,
      nextVoters: null,
      sizeBytes: 1,
      clients: null,
    };
    const term = { number: 1, node: 'x', instance: 0 };
    for (const server of first) if (server.record !== null) server.record = { ...server.record, promise: term, stored: { term, config } };
  }

  #below(bound: number): number {
    // xorshift32
    let x = this.#random || 1;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random % bound;
  }

  /** Makes the walk. Returns the fault that the walk found; null: no fault. */
  walk(): string | null {
    for (let step = 0; step < this.options.steps; step += 1) {
      if (!this.#step()) break;
      const wrong = this.#judge.check() ?? this.#promised();
      if (wrong !== null) return wrong;
    }
    return this.#mend();
  }

  /**
   * Checks that no server has promised the mirror to a client that may not take it over. A promise to this client would end the current
   * holder.
   */
  #promised(): string | null {
    const server = this.options.barred ? this.servers.find(({ record }) => record?.promise?.node === 'y') : undefined;
    return server === undefined ? null : `Server s${server.serverid} has promised the mirror to a client that may not take it over`;
  }

  #step(): boolean {
    const steps = this.#isMending ? this.#steps() : this.#script.of(this.#steps());
    const weights = steps.map(([weight, name]) => (this.#isMending ? weight : weight * this.#taste(name)));
    let total = 0;
    for (const weight of weights) total += weight;
    if (total === 0) return false;
    let at = this.#below(total);
    for (const [index, [, name, run]] of steps.entries()) {
      at -= weights[index] ?? 0;
      if (at >= 0) continue;
      if (this.isTraced) this.trace.push(name);
      run();
      this.#script.made(name);
      if (this.isTraced) this.#traceViews();
      return true;
    }
    return false;
  }

  /**
   * Weight of a step. Each walk prefers some pairs of client and server and some kinds of steps, because many faults show only after a long
   * silence between two ends.
   */
  #taste(name: string): number {
    const space = name.indexOf(' ');
    const second = name.indexOf(' ', space + 1);
    return this.#liking(name.slice(0, space)) * this.#liking(name.slice(space, second < 0 ? undefined : second));
  }

  #liking(key: string): number {
    let liking = this.#likings.get(key);
    if (liking === undefined) {
      liking = LIKINGS[this.#below(LIKINGS.length)] ?? 1;
      this.#likings.set(key, liking);
    }
    return liking;
  }

  #traceViews(): void {
    const text = this.holders
      .map(
        ({ node, view, lastEnd }) => `${node}: ${view === null ? lastEnd : JSON.stringify({ ...view, voterSets: view.voterSets.length })}`,
      )
      .join('\n   ');
    if (!this.trace.includes(`   ${text}`)) this.trace.push(`   ${text}`);
  }

  /** Returns the possible steps. Each walk prefers one client, and disturbs one server more than the others. */
  #steps(): Step[] {
    const steps: Step[] = [];
    for (const [index, holder] of this.holders.entries()) {
      const weight = this.#favourite[1] === index ? 6 : 12;
      if (holder.membership === null) this.#starting(steps, holder);
      else {
        for (const server of this.servers) this.#network(steps, holder, server, weight);
        for (const session of holder.sessions.values()) this.#data.ofSession(steps, holder, session, weight);
        if (holder.isServing) this.#data.ofUsers(steps, holder);
        this.#wishes(steps, holder);
        if (!this.#isMending && this.#mayFail() && !this.options.onlyCuts)
          steps.push([1, `${holder.node} crashes`, () => this.#fail(() => holder.stop())]);
      }
      for (const ghost of holder.ghosts)
        steps.push([3, `${holder.node}: an old request reaches s${ghost.server.serverid}`, () => this.#ghost(holder, ghost)]);
      for (const late of holder.late) {
        steps.push([
          3,
          `${holder.node}: an old ${late.request.kind} reaches s${late.server.serverid}`,
          () => {
            holder.late = holder.late.filter((one) => one !== late);
            late.server.vote(holder.node, late.instance, late.request);
          },
        ]);
      }
    }
    if (this.#isMending || !this.#mayFail()) return steps;
    if (this.options.onlyCuts) steps.push([3, 'net splits', () => this.#fail(() => this.#split())]);
    else for (const server of this.servers) this.#faultsOf(steps, server);
    return steps;
  }

  #starting(steps: Step[], holder: Holder): void {
    if (this.#isMending || this.#starts >= this.options.starts) return;
    const start = (takesOver: boolean) => (): void => {
      this.#starts += 1;
      holder.start(takesOver);
    };
    const isBarred = this.options.barred && holder.node === 'y';
    if (!isBarred) steps.push([this.#starts === 0 ? 20 : 1, `${holder.node} attaches`, start(false)]);
    steps.push([this.options.onlyCuts ? 6 : 1, `${holder.node} takes over`, start(true)]);
  }

  #network(steps: Step[], holder: Holder, server: Server, weight: number): void {
    const { serverid } = server;
    const name = `${holder.node}-s${serverid}`;
    if (holder.cut.has(serverid)) {
      if (this.options.onlyCuts && !this.#isMending) return;
      const isFavourite = this.#favourite[0] === serverid && !this.#isMending;
      steps.push([isFavourite ? 1 : 3, `${name} heals`, () => void holder.cut.delete(serverid)]);
      return;
    }
    if (!holder.up.has(serverid)) {
      steps.push([weight, `${name} up`, () => holder.serverUp(server)]);
      return;
    }
    const vote = holder.votes.get(serverid);
    const what = vote === undefined ? '' : nameOfVote(vote.request);
    if (vote !== undefined && vote.answer === null)
      steps.push([weight, `${name} ${what}`, () => void (vote.answer = server.vote(holder.node, holder.instance, vote.request))]);
    else if (vote !== undefined) {
      const deliver = (): void => {
        holder.votes.delete(serverid);
        holder.send({ kind: 'voted', server: serverid, order: vote.order, answer: vote.answer });
      };
      steps.push([weight, `${name} ${what} answered ${vote.answer?.voted}`, deliver]);
    }
    if (!this.#isMending && this.#mayFail() && !this.options.onlyCuts) {
      const cut = (): void => {
        holder.cut.add(serverid);
        holder.down(serverid, false);
      };
      steps.push([this.#favourite[0] === serverid ? 2 : 1, `${name} cut`, () => this.#fail(cut)]);
    }
  }

  #ghost(holder: Holder, ghost: Ghost): void {
    holder.ghosts = holder.ghosts.filter((one) => one !== ghost);
    const promise = ghost.server.record?.promise ?? null;
    if (promise?.number === ghost.term && promise.node === holder.node && promise.instance === ghost.instance)
      ghost.server.write(ghost.block, ghost.value);
  }

  #wishes(steps: Step[], holder: Holder): void {
    const { membership, view } = holder;
    if (membership === null) return;
    if (view !== null && view.waitsFor !== null) steps.push([3, `${holder.node} retries`, () => holder.send({ kind: 'retry' })]);
    if (!holder.isServing || this.#isMending) return;
    if (holder.isQuiet() && !holder.isDetaching) steps.push([1, `${holder.node} detaches`, () => holder.ask({ kind: 'detach' })]);
    if (this.#changes >= this.options.changes || view === null || holder.isDetaching) return;
    const change = (wish: Parameters<Holder['ask']>[0]) => (): void => {
      this.#changes += 1;
      holder.ask(wish);
    };
    if (holder.wish !== null) {
      steps.push([1, `${holder.node} keeps the voters`, change({ kind: 'keep-voters' })]);
      return;
    }
    const { wishes } = this.options;
    if (wishes.includes('remove'))
      for (const { identity, server } of view.replicas)
        steps.push([1, `${holder.node} removes s${server}`, change({ kind: 'remove', identity })]);
    for (const { serverid } of this.servers) {
      if (serverid < 3 && wishes.includes('add'))
        steps.push([1, `${holder.node} adds s${serverid}`, change({ kind: 'add', server: serverid, volume: 'db', universe: 0 })]);
      const votes = (view.voterSets[0] ?? []).map((voter) => voter.serverid);
      for (const out of wishes.includes('voters') ? votes : []) {
        const servers = votes.map((one) => (one === out ? serverid : one));
        if (new Set(servers).size === servers.length)
          steps.push([1, `${holder.node} changes the voters to ${servers.join()}`, change({ kind: 'voters', servers })]);
      }
    }
    if (wishes.includes('grow'))
      steps.push([1, `${holder.node} grows the volume`, change({ kind: 'grow', sizeBytes: view.sizeBytes + 1 })]);
  }

  #mayFail(): boolean {
    return this.#faults < this.options.faults;
  }

  #fail(run: () => void): void {
    this.#faults += 1;
    run();
  }

  /** Splits the network. Until the next split, each server is reached by both clients or by only one of them. */
  #split(): void {
    for (const { serverid } of this.servers) {
      const side = this.#below(4);
      for (const [index, holder] of this.holders.entries()) {
        if (side === index) {
          holder.cut.add(serverid);
          if (holder.up.has(serverid)) holder.down(serverid, false);
        } else holder.cut.delete(serverid);
      }
    }
  }

  #faultsOf(steps: Step[], server: Server): void {
    const name = `s${server.serverid}`;
    const restart = (): void => {
      for (const holder of this.holders) {
        holder.ghosts = holder.ghosts.filter((ghost) => ghost.server !== server);
        if (holder.up.has(server.serverid)) holder.down(server.serverid, true);
        else holder.late = holder.late.filter((one) => one.server !== server);
      }
    };
    const unreachable = (): void => {
      for (const holder of this.holders) {
        holder.cut.add(server.serverid);
        if (holder.up.has(server.serverid)) holder.down(server.serverid, false);
      }
    };
    steps.push(
      [1, `${name}: the process restarts`, () => this.#fail(restart)],
      [1, `${name} is unreachable`, () => this.#fail(unreachable)],
    );
    const { replica } = server;
    if (replica !== null) {
      const crash = (): void => {
        for (const at of replica.cache.keys()) this.#crash(replica, at);
        replica.life += 1;
        restart();
      };
      steps.push([1, `${name}: the machine crashes`, () => this.#fail(crash)]);
    }
    if (!this.options.losses) return;
    if (replica !== null && this.#lostDisks === 0) {
      const lose = (): void => {
        this.#lostDisks += 1;
        server.place(GARBAGE);
        restart();
      };
      steps.push([1, `${name}: the disk is lost`, () => this.#fail(lose)]);
    }
    if (server.record !== null && this.#lostRecords === 0) {
      const lose = (): void => {
        this.#lostRecords += 1;
        server.record = null;
        for (const holder of this.holders) holder.reading?.confirmed.delete(server);
        restart();
      };
      steps.push([1, `${name}: the record is lost`, () => this.#fail(lose)]);
    }
  }

  #crash(replica: NonNullable<Server['replica']>, at: number): void {
    const values = [replica.disk[at] ?? 0];
    for (let value = 0; value <= GARBAGE; value += 1) if (((replica.dirty[at] ?? 0) >> value) & 1) values.push(value);
    const value = values[this.#below(values.length)] ?? 0;
    if (value !== replica.cache[at]) for (const one of this.history.writes) if (one.block === at) this.history.dropped.add(one.value);
    replica.cache[at] = value;
    replica.disk[at] = value;
    replica.dirty[at] = 0;
    const serving = this.holders.flatMap((holder) => (holder.isServing && holder.view?.isServing === true ? [holder.term] : []));
    this.history.excuse(Math.max(0, ...serving));
  }

  /**
   * Ends all faults and lets a client take the mirror over. The client must serve, and all replicas must return unless disks or records
   * were lost for good.
   */
  #mend(): string | null {
    const before = highestOf(this.servers.map(({ record }) => record?.stored ?? null))?.config;
    this.#isMending = true;
    this.#data.isMending = true;
    const [holder, other] = this.holders as [Holder, Holder];
    other.stop();
    holder.start(true);
    if (before === undefined || !this.#isUsable(before)) return null;
    for (let step = 0; step < MEND_STEPS; step += 1) {
      // An old claim of the other client may still arrive.
      if (holder.membership === null) holder.start(true);
      if (!this.#step()) break;
      const wrong = this.#judge.check();
      if (wrong !== null) return wrong;
      const { view } = holder;
      const isWell = view !== null && view.isServing && holder.blocks.every(({ settling }) => settling === 'settled');
      if (isWell && (view.waitsFor === null || this.#lostDisks + this.#lostRecords > 0)) return null;
    }
    return `Nothing goes on: ${holder.view?.waitsFor ?? holder.lastEnd} ${JSON.stringify(holder.view)}`;
  }

  /** Whether a majority of the voters still has the records, and one server of this majority has a replica in sync. */
  #isUsable({ voters, nextVoters, inSync }: MirrorConfig): boolean {
    const has = (voter: string): boolean => this.servers.some(({ record }) => record?.voter === voter);
    const isVoter = (voter: string): boolean => [...voters, ...(nextVoters ?? [])].some((one) => one.voter === voter);
    const isThere = this.servers.some(
      ({ replica, record }) => replica !== null && inSync.includes(replica.identity) && isVoter(record?.voter ?? ''),
    );
    return isThere && isMajority(voters, has) && (nextVoters === null || isMajority(nextVoters, has));
  }
}
