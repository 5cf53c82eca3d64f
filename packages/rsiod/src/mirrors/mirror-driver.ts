// Drives one attached mirror: executes the orders of the decider (protocol/mirror/membership), and passes events to the decider. Opens the
// replicas through the openers of their servers, and reports a replica that has been unreachable for too long. Invariants: the decider gets
// one event at a time; while a trunk handles an event, the decider gets only answers to votes. A replica has one session at a time; reports
// of an older session are ignored.

// Design.
// The decider uses neither clocks nor trunks, and the data path does not vote. The driver connects the two: it makes events for the
// decider, and executes the decider's orders as calls. Every decision that needs no clock belongs to the decider, because the explorer
// (test/mirrors) tests the decider.
//
//   servers connected and lost (look) -----.
//   answers to votes (vote-calls.ts) ------|
//   replicas opened, failed, lost ---------|                                  .--> vote: one at a time to each server
//   patience over, replica returned -------+--> queue --> decider --> orders -|--> open, give-up: opener and data path
//   a replica has grown -------------------|    one event at a time           |--> grow: replica-growth.ts (M21)
//   caught up, flushed; wishes ------------|                                  |--> serve, view: data path and copier
//   retry, from a timer -------------------'                                  '--> wished, detached, end: the owner
//
//   none --order `open`--> opening --granted--> open --large enough--> used: the data path has it      the session of a replica
//    ^                       |                   |                      |
//    |                       |                   '--too small: grows----^
//    '-- give-up, lost, failed, stop: the data path gives it up, and CLOSE is sent unless the server has refused it
//
// Rules of docs/PROTOCOL.md: wait before a replica is removed (M11); copy a replica again if it is not in sync yet and its storage may have
// lost copied data (M12); have voters confirm the term (M15); end after a higher term (M16); grow a replica before use (M21).
//
// Never done here:
// - The driver never removes a replica. It only reports a replica that has been unreachable for too long, and the decider may keep the
//   replica.
// - The driver never repeats a vote on its own initiative. If no answer to a vote arrives, the decider gets the answer null and orders the
//   vote again later.
// - Retries have no fixed rhythm: each waits RETRY_MIN_MS and a random part of RETRY_SPREAD_MS.
// - After `stop`, no event reaches the decider and no order is executed, even if trunks still report events.

import { assert } from '@rsio/base/lib/assert';
import { isMajority } from '@rsio/protocol/mirror/membership/quorums';
import type { Timer } from '@rsio/base/lib/clock';
import { Attachment } from '@rsio/protocol/client/attachment';
import type { MembershipEvent, MembershipOrder, MirrorView } from '@rsio/protocol/mirror/membership/interface';
import { TAKE } from '@rsio/protocol/wire/messages';
import { VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Decider, DriverPorts, DriverServer } from './driver-ports.ts';
import { CONFIRM_WAIT_MS, RETRY_MIN_MS, RETRY_SPREAD_MS } from './limits.ts';
import { changesOf } from './replica-changes.ts';
import { ReplicaGrowth } from './replica-growth.ts';
import { Patience, type Reach } from './patience.ts';
import { VoteCalls } from './vote-calls.ts';

interface ReplicaSession {
  readonly identity: string;
  readonly attachment: Attachment;
  readonly server: DriverServer;
  isOpen: boolean;
  /** True if the data path uses the replica. A replica that is smaller than the mirror must grow first (M21). */
  isUsed: boolean;
}

type OpenFailed = Extract<MembershipEvent, { kind: 'open-failed' }>;
type OpenOrder = Extract<MembershipOrder, { kind: 'open' }>;
type VoteOrder = Extract<MembershipOrder, { kind: 'vote' }>;

/** Why an OPEN failed, by its status; any other status means that the server refused it. */
const REASONS: ReadonlyMap<number, OpenFailed['reason']> = new Map([
  [STATUS.UNCLAIMED, 'unclaimed'],
  [STATUS.TAKEN, 'taken'],
  [STATUS.UNKNOWN_VOLUME, 'barred'],
]);

export class MirrorDriver {
  readonly mirror: string;
  /** The last view of the mirror that the decider has made; null before the first view. */
  view: MirrorView | null = null;
  private readonly decider: Decider;
  private readonly ports: DriverPorts;
  private readonly votes: VoteCalls;
  private readonly confirms: VoteCalls;
  private readonly patience: Patience;
  private readonly growth: ReplicaGrowth;
  private readonly sessions = new Map<string, ReplicaSession>();
  private readonly up = new Map<number, DriverServer['trunk']['session']>();
  private readonly events: MembershipEvent[] = [];
  private isTaking = false;
  private isOver = false;
  private isLookDue = false;
  private retry: Timer | null = null;
  private readonly wishes = new Map<number, (sentence: string) => void>();
  private wishesMade = 0;

  constructor(mirror: string, decider: Decider, ports: DriverPorts) {
    this.mirror = mirror;
    this.decider = decider;
    this.ports = ports;
    this.votes = new VoteCalls(mirror, ports.clock);
    this.confirms = new VoteCalls(mirror, ports.clock);
    this.growth = new ReplicaGrowth(mirror, {
      clock: ports.clock,
      grown: (identity, sizeBytes) => this.grown(identity, sizeBytes),
      failed: (identity, sentence) => this.report({ kind: 'grow-failed', identity, sentence }),
    });
    this.patience = new Patience({
      clock: ports.clock,
      patienceMs: () => ports.patienceMs(),
      reach: () => this.reach(),
      over: (identity) => this.take({ kind: 'silent', identity, sentence: this.silence(identity) }),
      returned: (identity) => this.returned(identity),
    });
  }

  get hasEnded(): boolean {
    return this.isOver;
  }

  get attachments(): Attachment[] {
    return [...this.sessions.values()].map(({ attachment }) => attachment);
  }

  start(): void {
    this.look();
  }

  /** Must be called whenever a server may have been connected or lost, or a replica's session may have changed. */
  look(): void {
    if (this.isLookDue || this.isOver) return;
    this.isLookDue = true;
    this.ports.clock.soon(() => {
      this.isLookDue = false;
      if (this.isOver) return;
      this.lookAtServers();
      this.growth.look();
      this.patience.look();
    });
  }

  /** Called when an attachment has been opened or reopened. Returns false if the attachment does not belong to this mirror. */
  opened(attachment: Attachment, newLife: boolean): boolean {
    const session = this.sessionOf(attachment);
    if (session === null) return false;
    this.ports.clock.soon(() => this.takeOpened(session, newLife));
    return true;
  }

  /** Called when an attachment has failed and the opener has removed it. Returns false if the attachment does not belong to this mirror. */
  failed(attachment: Attachment, status: number, sentence: string): boolean {
    const session = this.sessionOf(attachment);
    if (session === null) return false;
    this.sessions.delete(session.identity);
    this.growth.drop(session.identity);
    this.ports.clock.soon(() => this.takeFailed(session, status, sentence));
    return true;
  }

  /**
   * Called when a replica lacks writes again after the copier has reported the replica as caught up. If the replica is joining, it must be
   * copied from the start (M12).
   */
  fellBack(identity: string, sentence: string): void {
    const role = this.view?.replicas.find((one) => one.identity === identity)?.role;
    if (role !== 'returning') this.lost(identity, sentence);
  }

  /** Called when the data path has found that the replica differs from the others. */
  lost(identity: string, sentence: string): void {
    const session = this.sessions.get(identity);
    if (session === undefined) return;
    this.ports.clock.soon(() => {
      if (this.isOver || this.sessions.get(identity) !== session) return;
      this.close(session);
      this.take({ kind: 'lost', identity, sentence });
    });
  }

  /** Passes an event to the decider after the current event of the trunk. */
  report(event: MembershipEvent): void {
    this.ports.clock.soon(() => this.take(event));
  }

  /** Resolves with '' when the wish is fulfilled, or with the reason if it is refused. */
  wish(wish: Extract<MembershipEvent, { kind: 'wish' }>['wish']): Promise<string> {
    if (this.isOver) return Promise.resolve('The mirror is not attached any more');
    const id = ++this.wishesMade;
    return new Promise((resolve) => {
      this.wishes.set(id, resolve);
      this.report({ kind: 'wish', id, wish });
    });
  }

  /**
   * Asks the voters to confirm the term (M15). Resolves with true when a majority of each set of voters has confirmed the term, or with
   * false after CONFIRM_WAIT_MS.
   */
  confirmByVoters(): Promise<boolean> {
    const { view } = this;
    if (view === null || this.isOver || view.voterSets.length === 0) return Promise.resolve(false);
    const { term, voterSets } = view;
    const servers = this.ports.servers();
    const confirmed = new Set<string>();
    return new Promise((resolve) => {
      const timer = this.ports.clock.after(CONFIRM_WAIT_MS, () => resolve(false));
      const isConfirmed = (): boolean => voterSets.every((set) => isMajority(set, (voter) => confirmed.has(voter)));
      for (const serverid of new Set(voterSets.flat().map((one) => one.serverid))) {
        const server = servers.find((one) => one.serverid === serverid);
        this.confirms.send(server, { kind: 'confirm', number: term }, (answer) => {
          // The event makes the decider ask the voter for its record, and end the mirror if another client has taken it (M16).
          if (answer?.voted === VOTED.SUPERSEDED && server !== undefined)
            this.take({ kind: 'server-up', server: serverid, name: server.name });
          if (answer?.voted !== VOTED.DONE || answer.voter === null) return;
          const { voter } = answer;
          if (!voterSets.some((set) => set.some((one) => one.voter === voter && one.serverid === serverid))) return;
          confirmed.add(voter);
          if (!isConfirmed()) return;
          timer.cancel();
          resolve(true);
        });
      }
    });
  }

  /** Ends all sessions. The mirror stays claimed by this client, unless the wish `detach` has been fulfilled. */
  stop(): Promise<void> {
    this.isOver = true;
    this.votes.end();
    this.confirms.end();
    this.patience.stop();
    this.growth.stop();
    this.retry?.cancel();
    for (const resolve of this.wishes.values()) resolve('The mirror is not attached any more');
    this.wishes.clear();
    const closed = [...this.sessions.values()].map((session) => new Promise<void>((resolve) => this.close(session, () => resolve())));
    return Promise.all(closed).then(() => undefined);
  }

  private take(event: MembershipEvent): void {
    if (this.isOver) return;
    this.events.push(event);
    if (this.isTaking) return;
    this.isTaking = true;
    try {
      for (let next = this.events.shift(); next !== undefined && !this.isOver; next = this.events.shift()) {
        for (const order of this.decider.on(next)) if (!this.isOver) this.execute(order);
      }
    } finally {
      this.isTaking = false;
    }
    this.retryLater();
  }

  private execute(order: MembershipOrder): void {
    const { data } = this.ports;
    switch (order.kind) {
      case 'vote':
        return this.vote(order);
      case 'open':
        return this.open(order);
      case 'give-up': {
        const session = this.sessions.get(order.identity);
        if (session !== undefined) this.close(session);
        return;
      }
      case 'grow': {
        const session = this.sessions.get(order.identity);
        if (session !== undefined) this.growth.start(session, order.sizeBytes);
        return;
      }
      case 'serve':
        return data.serve(order.isClean);
      case 'view':
        return this.setView(order.view);
      case 'wished': {
        const resolve = this.wishes.get(order.id);
        this.wishes.delete(order.id);
        resolve?.(order.sentence);
        return;
      }
      case 'detached':
        return this.ports.detached();
      case 'end':
        data.end(STATUS.TAKEN, order.sentence);
        void this.stop();
        return this.ports.ended(order.code, order.sentence);
    }
  }

  private setView(view: MirrorView): void {
    const before = this.view;
    this.view = view;
    this.giveUpSmall(view);
    this.ports.data.setView(view);
    for (const { replica, from, to, sentence } of changesOf(before, view))
      this.ports.note(`replica on server ${this.nameOf(replica.server)}`, from, to, sentence);
    this.look();
  }

  private vote({ server, order, request }: VoteOrder): void {
    this.votes.send(this.serverOf(server), request, (answer) => this.take({ kind: 'voted', server, order, answer }));
  }

  private open({ identity, server: serverid, volume, universe, number }: OpenOrder): void {
    const server = this.serverOf(serverid);
    if (server === undefined || this.sessions.has(identity)) {
      this.report({ kind: 'open-failed', identity, reason: 'refused', sentence: 'Its server is not connected' });
      return;
    }
    const attachment = new Attachment(volume, universe, false, TAKE.NO, this.ports.newLog());
    attachment.mirror = { mirror: this.mirror, number };
    this.sessions.set(identity, { identity, attachment, server, isOpen: false, isUsed: false });
    server.opener.add(attachment);
    this.look();
  }

  private takeOpened(session: ReplicaSession, newLife: boolean): void {
    const { identity, attachment } = session;
    if (this.isOver || this.sessions.get(identity) !== session || attachment.volume === null) return;
    if (!session.isOpen) {
      session.isOpen = true;
      if (!this.isSmall(session)) this.use(session);
      this.take({ kind: 'opened', identity, sizeBytes: attachment.volume.sizeBytes });
    } else if (newLife && this.mustStartAgain(identity)) {
      this.close(session);
      this.take({ kind: 'lost', identity, sentence: 'Its storage has lost what was copied and not yet flushed' });
    }
    this.look();
  }

  private use(session: ReplicaSession): void {
    const { identity, attachment, server } = session;
    assert(session.isOpen && !session.isUsed, 'The data path gets a replica twice, or before it is open');
    session.isUsed = true;
    this.ports.data.opened(identity, attachment, server);
  }

  /** True if the replica is smaller than the mirror, because it was unreachable while the mirror grew. */
  private isSmall({ attachment }: ReplicaSession): boolean {
    return (attachment.volume?.sizeBytes ?? 0) < (this.view?.sizeBytes ?? 0);
  }

  /**
   * Gives up replicas that are not in sync and are smaller than the mirror, because they would refuse writes beyond their end. The driver
   * opens the replicas again, and grows them before use.
   */
  private giveUpSmall({ replicas }: MirrorView): void {
    for (const session of this.sessions.values()) {
      const role = replicas.find(({ identity }) => identity === session.identity)?.role;
      if (session.isUsed && role === 'returning' && this.isSmall(session))
        this.lost(session.identity, 'It has not grown with the mirror yet');
    }
  }

  private grown(identity: string, sizeBytes: number): void {
    this.ports.clock.soon(() => {
      const session = this.sessions.get(identity);
      if (this.isOver || session === undefined || !session.isOpen) return;
      if (!session.isUsed && !this.isSmall(session)) this.use(session);
      this.take({ kind: 'grown', identity, sizeBytes });
    });
  }

  /** True if the replica is not in sync yet, so that it must be copied from the start if its storage may have lost copied data (M12). */
  private mustStartAgain(identity: string): boolean {
    const role = this.view?.replicas.find((one) => one.identity === identity)?.role;
    return role === 'returning' || role === 'joining';
  }

  private takeFailed({ identity, isOpen, isUsed, attachment }: ReplicaSession, status: number, sentence: string): void {
    if (this.isOver) return;
    if (isUsed) this.ports.data.giveUp(identity);
    const reason = REASONS.get(status) ?? 'refused';
    if (isOpen || attachment.volume !== null) this.take({ kind: 'lost', identity, sentence });
    this.take({ kind: 'open-failed', identity, reason, sentence });
  }

  private returned(identity: string): void {
    const volume = this.sessions.get(identity)?.attachment.volume ?? null;
    if (volume !== null) this.take({ kind: 'opened', identity, sizeBytes: volume.sizeBytes });
  }

  private close(session: ReplicaSession, closed: () => void = () => undefined): void {
    const { identity, attachment, server, isUsed } = session;
    assert(this.sessions.get(identity) === session, 'A session of a replica is closed twice');
    this.sessions.delete(identity);
    this.growth.drop(identity);
    // The data path first abandons its requests to this replica, so that users' requests are answered without the replica and their buffers
    // are no longer in use.
    if (isUsed) this.ports.data.giveUp(identity);
    server.opener.close(attachment, closed);
  }

  private lookAtServers(): void {
    for (const server of this.ports.servers()) {
      const { serverid, name, trunk } = server;
      const session = trunk.paths.length > 0 ? trunk.session : null;
      const before = this.up.get(serverid) ?? null;
      if (session === before) continue;
      if (before !== null) this.down(serverid);
      if (session === null) continue;
      this.up.set(serverid, session);
      this.take({ kind: 'server-up', server: serverid, name });
    }
    const known = new Set(this.ports.servers().map(({ serverid }) => serverid));
    for (const serverid of [...this.up.keys()]) if (!known.has(serverid)) this.down(serverid);
  }

  private down(serverid: number): void {
    this.up.delete(serverid);
    this.votes.serverDown(serverid);
    this.take({ kind: 'server-down', server: serverid });
  }

  private reach(): ReadonlyMap<string, Reach> {
    const replicas = this.view?.replicas ?? [];
    return new Map(replicas.map(({ identity, server }) => [identity, this.reachOf(identity, server)]));
  }

  private reachOf(identity: string, serverid: number): Reach {
    const session = this.sessions.get(identity);
    if (session === undefined) return this.up.has(serverid) && this.votes.isAsked(serverid) ? 'slow' : 'away';
    const { attachment, server } = session;
    if (server.trunk.isEnded) return 'away';
    if (attachment.standing === 'ready' || attachment.standing === 'recovering') return 'there';
    return server.trunk.paths.length > 0 && attachment.isOpenRequested ? 'slow' : 'away';
  }

  private silence(identity: string): string {
    const session = this.sessions.get(identity);
    const serverid = this.view?.replicas.find((one) => one.identity === identity)?.server;
    const name = session?.server.name ?? this.nameOf(serverid ?? -1);
    const isConnected = (session?.server ?? this.serverOf(serverid ?? -1))?.trunk.paths.length ?? 0;
    return isConnected > 0 && session !== undefined
      ? `Server ${name} does not open it: ${session.attachment.reason}`
      : `No path to server ${name}`;
  }

  private retryLater(): void {
    const isWaiting = this.view === null || this.view.waitsFor !== null;
    if (this.isOver || !isWaiting || this.retry !== null) return;
    const { ports } = this;
    this.retry = ports.clock.after(RETRY_MIN_MS + RETRY_SPREAD_MS * ports.random(), () => {
      this.retry = null;
      this.take({ kind: 'retry' });
    });
  }

  private sessionOf(attachment: Attachment): ReplicaSession | null {
    for (const session of this.sessions.values()) if (session.attachment === attachment) return session;
    return null;
  }

  private nameOf(serverid: number): string {
    return this.serverOf(serverid)?.name ?? `with serverid ${serverid}`;
  }

  private serverOf(serverid: number): DriverServer | undefined {
    return this.ports.servers().find((server) => server.serverid === serverid);
  }
}
