// Carries out one replication at the server with the followers, one step after the other. nextStep decides. Invariants: at most one step
// runs. A failed step is tried again after growing delays, and its error is what the replication shows until a step succeeds. After `end`
// has resolved, the lane changes nothing.

import { type ReplicationOrder, type ReplicationReport, COPYING_METHODS } from '@rsio/api/rssrv/replication-methods';
import { assert } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { type Shape, misfit } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { RateMeter } from '@rsio/base/structures/rate-meter';
import { eventOf } from '../../events/event-log.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { volumeText } from '../../pools/catalogue.ts';
import { momentsIn } from '../../pools/follower-moments.ts';
import { following } from '../../pools/follower-rules.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import {
  GRANT_AGAIN_MS,
  REPLICATION_CALL_MS,
  REPLICATION_LOOK_MS,
  REPLICATION_RETRY_MAX_MS,
  REPLICATION_RETRY_MS,
  REPORT_TEXT_MAX_CHARS,
} from '../limits.ts';
import type { Peers } from '../peers/peers.ts';
import { type FollowerFacts, type FollowerStep, type HandOverOrder, type LaneNow, nextStep, type StuckWord } from './follower-plan.ts';
import type { FollowerVerbs, OrderingPeer } from './follower-verbs.ts';
import { MomentPull, type MomentPullPorts } from './moment-pull.ts';
import { earlierRelease } from './no-source.ts';
import type { PeerTurns } from './peer-turns.ts';
import { momentIdOf } from '../../pools/mirror-sources.ts';

export interface LanePorts extends Pick<MomentPullPorts, 'pullTurns'> {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'debug'>;
  readonly peers: Pick<Peers, 'call' | 'pull' | 'closeLeft'>;
  readonly verbs: FollowerVerbs;
  readonly snapshots: Pick<SnapshotVerbs, 'remove'>;
  readonly callTurns: PeerTurns;
  /** Returns true if a client has the snapshot with this id open. */
  isRead(snapshotId: string): boolean;
  /** Makes the followers the source of a replication in the other direction. */
  takeOver(order: ReplicationOrder, handOver: HandOverOrder): Promise<void>;
  /** Executes a change in its turn in the queue of changes. */
  change<T>(work: () => Promise<T>, what: string): Promise<T>;
}

export type LaneState = ReplicationReport['state'] | StuckWord | 'refused';

export class FollowerLane {
  readonly peer: string;
  order: ReplicationOrder;
  /** A lane begins with the look whether something is to be copied. */
  state: LaneState = 'copying';
  text = '';
  doneBytes = 0;
  totalBytes = 0;
  private readonly meter = new RateMeter();
  private readonly ports: LanePorts;
  private peerConfig: OrderingPeer;
  /** Time by which the clock of the source is ahead of the clock of this server. */
  private offsetMs = 0;
  /** Monotonic time at which the source made the last moment for this lane. */
  private momentGotMs: number | null = null;
  private gotGroup: string | null = null;
  /** Grows with each answer of the source to a step. */
  revision = 0;
  /** The order for the next step; null if it has not changed. */
  private newest: ReplicationOrder | null = null;
  private failures = 0;
  /** Why the source has refused the hand-over, and the monotonic time of the refusal; null: it has not. */
  private refusal: { readonly text: string; readonly atMs: number } | null = null;
  private hasEnded = false;
  private working: Promise<void> | null = null;
  private timer: Timer | null = null;
  private readonly stopping = new AbortController();
  /** Interrupts the pulls in progress, which go on with what the order says now; null: none is in progress. */
  private pulling: AbortController | null = null;
  /** Rejects when the lane is told to end. */
  private readonly stopped: Promise<never>;

  constructor(ports: LanePorts, peer: OrderingPeer, order: ReplicationOrder) {
    this.ports = ports;
    this.peer = peer.name;
    this.peerConfig = peer;
    this.order = order;
    this.stopped = new Promise((_, reject) => {
      this.stopping.signal.addEventListener('abort', () => reject(new RsError('E_BUSY', `${this.name} ends`)));
    });
    this.stopped.catch(() => undefined);
  }

  /**
   * Takes the order as the source has it now. `nowMs`: time of the clock of the source. `revision`: revision of this lane when the source was
   * asked; if the lane knows more by now, it ignores the order, and gets the next one.
   */
  update(peer: OrderingPeer, order: ReplicationOrder, nowMs: number, revision: number): void {
    this.peerConfig = peer;
    if (revision !== this.revision) return;
    this.newest = order;
    // A first copy may last for days, and its limit counts from the next poll on.
    if (order.limitBytes !== this.order.limitBytes) this.pulling?.abort();
    this.offsetMs = nowMs - this.ports.clock.wallMs();
    if (this.state !== 'failing' || this.timer === null) void this.look();
  }

  /** The order as the source had it at the last poll. */
  get lastOrder(): ReplicationOrder {
    return this.newest ?? this.order;
  }

  get bytesPerSecond(): number {
    return this.state === 'copying' ? this.meter.bytesPerSecond(this.ports.clock.monotonicMs(), this.doneBytes) : 0;
  }

  get report(): ReplicationReport {
    const { text, doneBytes, totalBytes } = this;
    const state = reported(this.state);
    return { replication: this.order.replication, state, text: text.slice(0, REPORT_TEXT_MAX_CHARS), doneBytes, totalBytes };
  }

  /** Ends the lane. Resolves when no step runs any more. */
  async end(): Promise<void> {
    this.hasEnded = true;
    this.timer?.cancel();
    this.stopping.abort();
    await this.working;
  }

  /** Carries steps out until there is nothing to do now, or until a step has failed. */
  look(): Promise<void> {
    if (this.hasEnded) return Promise.resolve();
    this.timer?.cancel();
    this.timer = null;
    this.working ??= this.steps().finally(() => {
      this.working = null;
    });
    return this.working;
  }

  private async steps(): Promise<void> {
    for (let waitMs = 0; !this.hasEnded && waitMs === 0; ) {
      const { log } = this.ports;
      this.order = this.newest ?? this.order;
      this.newest = null;
      try {
        waitMs = await this.step(nextStep(this.order, this.facts(), this.now));
        this.failures = 0;
      } catch (thrown) {
        if (this.hasEnded) return;
        const { message } = toRsError(thrown);
        const isNew = this.state !== 'failing' || this.text !== message;
        [this.state, this.text] = ['failing', message];
        if (isNew) log.warn(`${this.name} fails: ${message}`, eventOf(`replication ${this.order.replication}`, '-', 'failing', message));
        waitMs = Math.min(REPLICATION_RETRY_MAX_MS, REPLICATION_RETRY_MS * 2 ** Math.min(this.failures++, 10));
      }
      if (waitMs > 0 && !this.hasEnded) this.lookAfter(Math.min(waitMs, REPLICATION_LOOK_MS));
    }
  }

  private lookAfter(ms: number): void {
    this.timer = this.ports.clock.after(ms, () => {
      this.timer = null;
      void this.look();
    });
  }

  private get now(): LaneNow {
    const { peer } = this;
    const { clock } = this.ports;
    const sinceMomentMs = this.momentGotMs === null ? null : clock.monotonicMs() - this.momentGotMs;
    const { refusal } = this;
    const mayAskGrant = refusal === null || clock.monotonicMs() - refusal.atMs >= GRANT_AGAIN_MS;
    const times = { nowMs: clock.wallMs() + this.offsetMs, sinceMomentMs, gotGroup: this.gotGroup };
    return { peer, ...times, old: this.ports.verbs.oldSources(this.order, peer), mayAskGrant };
  }

  private get name(): string {
    return `Replication of ${this.order.members.map(volumeText).join(', ')} from ${this.peer}`;
  }

  /** Executes a step. Returns the time in ms after which to look again; 0 for at once. */
  private async step(step: FollowerStep): Promise<number> {
    const { ports, order } = this;
    switch (step.kind) {
      case 'stuck':
        this.stuck(step.word, step.text);
        return REPLICATION_LOOK_MS;
      case 'take-over': {
        const what = `followers that become the source, because server ${this.peer} hands its volumes over`;
        await ports.change(() => ports.takeOver(order, step.handOver), what);
        return REPLICATION_LOOK_MS;
      }
      case 'follow':
        await ports.change(() => ports.verbs.followHanded(order, this.peer), `volumes that server ${this.peer} has taken over`);
        return 0;
      case 'grant':
        return this.grant(step.wanted);
      case 'release':
        await this.call('replication-release', { replication: order.replication, granted: step.granted });
        this.order = { ...order, handOver: null, granted: null };
        ports.log.info(`${this.name}: the hand-over is called off`);
        return 0;
      case 'problem':
        throw new RsError('E_BUSY', step.text);
      case 'wait':
        // A wish that was given up cannot be refused any more.
        if (this.facts().every((one) => one.wanted === null)) this.refusal = null;
        [this.state, this.text] = this.refusal === null ? ['waiting', step.text] : ['refused', this.refusal.text];
        return Math.max(1, step.ms);
      case 'adopt': {
        const { follower, from } = step;
        await ports.peers.closeLeft(this.peer, from);
        const what = `a follower whose source has moved from server ${from} to ${this.peer}`;
        await ports.change(() => ports.verbs.adopt(follower.volumeId, this.peer), what);
        ports.log.info(`${this.name} goes on: its source has moved there from ${from}`);
        return 0;
      }
      case 'create':
        await ports.change(() => ports.verbs.create(order, step.member, this.peerConfig), `the follower of volume ${step.member.name}`);
        return 0;
      case 'ask': {
        const { moment, nowMs } = await this.call('replication-moment', { replication: order.replication });
        this.order = { ...order, moments: [...order.moments.filter(({ group }) => group !== moment.group), moment] };
        this.offsetMs = nowMs - ports.clock.wallMs();
        this.momentGotMs = ports.clock.monotonicMs();
        this.gotGroup = moment.group;
        // A source that is closed makes no further one, which the next poll says.
        return order.moments.at(-1)?.group === moment.group ? REPLICATION_LOOK_MS : 0;
      }
      case 'confirm':
        await this.call('replication-confirm', { replication: order.replication, group: step.group });
        this.order = { ...order, confirmed: step.group };
        ports.log.debug(`${this.name} has its moment of ${new Date(order.moments.at(-1)?.momentMs ?? 0).toISOString()}`);
        return 0;
      case 'remove':
        await this.remove(step);
        return 0;
      case 'pull':
        await this.pull(step);
        return 0;
    }
  }

  /** Shows a state that only an order ends, and logs it once. */
  private stuck(word: StuckWord, text: string): void {
    const isNew = this.state !== word || this.text !== text;
    [this.state, this.text] = [word, text];
    if (isNew) this.ports.log.warn(`${this.name} is ${word}: ${text}`, eventOf(`replication ${this.order.replication}`, '-', word, text));
  }

  /**
   * Asks the source to close. A refusal does not keep the followers from getting moments meanwhile. Otherwise the next poll brings the last
   * moment. Returns the time until the next look.
   */
  private async grant(wanted: string): Promise<number> {
    const { order, ports } = this;
    try {
      await this.call('replication-grant', { replication: order.replication, wanted, checkOnly: false });
      this.refusal = null;
      [this.state, this.text] = ['waiting', ''];
      return REPLICATION_LOOK_MS;
    } catch (thrown) {
      if (this.hasEnded) throw thrown;
      const cancel = `rsadm volume reverse ${this.facts().map(volumeText).join(' ')} --cancel`;
      this.refusal = {
        text: `the source does not hand over: ${toRsError(thrown).message}; ${cancel} gives the wish up`,
        atMs: ports.clock.monotonicMs(),
      };
      return 0;
    }
  }

  private remove({ follower, snapshot }: FollowerStep & { kind: 'remove' }): Promise<unknown> {
    const { ports } = this;
    return ports.change(async () => {
      const { id } = ports.verbs.find(follower.volumeId).manifest;
      await ports.snapshots.remove({ id, snapshotId: snapshot.id }, LOCAL_ASKER, null);
    }, `moment ${snapshot.name}, which is not kept any more`);
  }

  private async pull({ moment, pulls }: FollowerStep & { kind: 'pull' }): Promise<void> {
    const { ports, order, peer } = this;
    this.state = 'copying';
    assert(this.pulling === null, 'A lane pulls two moments at once');
    const pulling = new AbortController();
    this.pulling = pulling;
    const stopping = AbortSignal.any([this.stopping.signal, pulling.signal]);
    const work = new MomentPull(ports, { peer, order, pulls }, stopping, (shown) => {
      Object.assign(this, shown);
      this.meter.add(ports.clock.monotonicMs(), shown.doneBytes);
    });
    const { arrived, error } = await work.run();
    this.pulling = null;
    for (const { member, follower, snapshot, unknown } of arrived) {
      if (this.hasEnded) return;
      const what = `moment ${snapshot.snapshot} of volume ${volumeText(member)}`;
      await ports.change(() => ports.verbs.commit(follower.volumeId, moment, snapshot, unknown), what);
      if (unknown !== null) this.warnUnknown(volumeText(follower), follower.moments.find((one) => momentIdOf(one) === unknown)?.name ?? '');
    }
    if (error !== null && !pulling.signal.aborted) throw error;
  }

  private warnUnknown(volume: string, name: string): void {
    const text = `the mirror does not know the moment ${volume}@${name}, which stays: it has perhaps come back from an old backup`;
    this.ports.log.warn(`${this.name}: ${text}`, eventOf(`replication ${this.order.replication}`, '-', 'diverged', text));
  }

  /**
   * Calls a method at the source, and checks the answer like a frame of the network. The end of the lane does not wait for a source that
   * does not answer: a promotion is most urgent when the source is gone.
   */
  private async call<M extends keyof typeof RESULTS>(method: M, params: object): Promise<ResultOf<M>> {
    const { peers, callTurns } = this.ports;
    const turn = { peer: this.peer, isLong: false, cancel: this.stopping.signal };
    // The turn lasts until the peer has answered, even if the lane ends before.
    const asked = callTurns
      .run(turn, () => peers.call(this.peer, method, params, REPLICATION_CALL_MS))
      .catch((thrown: unknown) => {
        throw earlierRelease(this.peer, thrown);
      });
    const answer = await Promise.race([asked, this.stopped]);
    this.revision++;
    return checkedAnswer(this.peer, method, RESULTS[method] as Shape<ResultOf<M>>, answer);
  }

  private facts(): readonly FollowerFacts[] {
    const { ports } = this;
    return ports.verbs.of(this.order.replication).map((found) => {
      const { list } = snapshotsOf(found);
      const { id, name, universe, follower, replication } = found.manifest;
      const isPromoted = following(found.manifest) === null;
      return {
        name,
        universe,
        isPromoted,
        sourceId: follower?.sourceId ?? '',
        volumeId: id,
        peer: follower?.peer ?? '',
        snapshots: list,
        moments: follower === undefined ? [] : momentsIn(follower, list),
        members: follower?.members ?? [],
        wanted: (isPromoted ? replication?.id : follower?.wanted?.replication) ?? null,
        inUse: new Set(list.filter((one) => ports.isRead(one.id)).map((one) => one.id)),
      };
    });
  }
}

/** The word that servers of earlier releases know as well. */
function reported(state: LaneState): ReplicationReport['state'] {
  if (state === 'refused') return 'waiting';
  return state === 'diverged' ? 'failing' : state === 'split' || state === 'closed' ? 'promoted' : state;
}

const RESULTS = {
  'replication-moment': COPYING_METHODS['replication-moment'].result,
  'replication-confirm': COPYING_METHODS['replication-confirm'].result,
  'replication-grant': COPYING_METHODS['replication-grant'].result,
  'replication-release': COPYING_METHODS['replication-release'].result,
} as const;
type ResultOf<M extends keyof typeof RESULTS> = (typeof RESULTS)[M] extends Shape<infer R> ? R : never;

/** Returns the answer of a peer if it has the right shape. Throws E_PROTOCOL. */
export function checkedAnswer<T>(peer: string, method: string, shape: Shape<T>, answer: unknown): T {
  const found = misfit(shape, answer);
  if (found === null) return answer as T;
  throw new RsError('E_PROTOCOL', `Server ${peer} answered ${method} wrongly (${found}): check that it runs the same release of RSIO`);
}
