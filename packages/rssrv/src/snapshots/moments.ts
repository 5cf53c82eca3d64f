// Establishes the moments of snapshots (rule P1): executes the orders of moment-plan.ts through the sessions, the copier and the clock, and
// checks that the volumes contain all acknowledged writes. Invariants: only one moment at a time holds changes, and a volume is guarded by
// at most one moment. When `take` has rejected, no change is held and no clone is running. When `take` has resolved, the storage of each
// volume had one incarnation during the whole moment, and the clients had already resent the writes that earlier incarnations may have
// lost.

import { assert } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { plural, printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { ChunkedCopy, Moments as MomentsOfPools } from '../pools/snapshots/moment.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { Cloned, CloneRequest, GuardedVolume, HoldMessage } from './hold-messages.ts';
import {
  CLONE_MAX_MS,
  GUARD_CHUNKS_MAX,
  GUARDING_MAX,
  HOLD_LIMIT_MS,
  HOLD_MAX_MS,
  MOMENT_VOLUMES_MAX,
  MOMENT_WAIT_MS,
  REST_MAX_MS,
  REST_MIN_MS,
} from './limits.ts';
import { type Failure, MomentPlan, type Order } from './moment-plan.ts';

export interface MomentSession {
  readonly id: string;
  readonly client: { readonly node: string };
  /** `has` returns true if the session has the volume open, or is opening it. */
  readonly uses: { has(volumeId: string): boolean };
  readonly workerSession: { send(message: HoldMessage): void };
}

export interface MomentPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** The sessions that have not ended. */
  readonly sessions: { readonly all: readonly MomentSession[] };
  readonly volumes: Pick<Volumes, 'nameOf' | 'sync'>;
  readonly holds: Pick<Holds, 'unsettledNode'>;
  incarnationOf(volumeId: string): string;
  /** Starts a new incarnation of the volume's storage, because a sync has failed. */
  lost(volumeId: string): void;
}

/** A moment that is being taken. */
interface Current {
  readonly number: number;
  readonly copies: readonly ChunkedCopy[];
  readonly plan: MomentPlan;
  /** Sessions that were told of the moment, keyed by the id of the session. */
  readonly told: Map<string, MomentSession>;
  readonly asks: Map<number, (answer: Cloned) => void>;
  readonly ended: (failure: Failure | null) => void;
  readonly sinceMs: number;
  /** Time in ms for which changes were held; null during the hold. */
  heldMs: number | null;
  /**
   * `lastMs`: duration of the last clone. `slowestMs`: duration of the longest clone so far. `waitedMs`: longest wait of a session for
   * chunks.
   */
  lastMs: number;
  slowestMs: number;
  waitedMs: number;
  timer: Timer | null;
  rest: Timer | null;
}

const OVER: Cloned = { isCloned: false };

export class Moments implements MomentsOfPools {
  private readonly ports: MomentPorts;
  private isStopped = false;
  /** Ids of the volumes of all moments that are being taken or wait for their turn. */
  private readonly taken = new Set<string>();
  private readonly inProgress = new Map<number, Current>();
  /** Moments that wait for their turn, in order. */
  private readonly waiting: (() => void)[] = [];
  /** True while a waiting moment has its turn, but has not begun. */
  private isBeginning = false;
  private numbers = 0;
  private asks = 0;

  constructor(ports: MomentPorts) {
    this.ports = ports;
  }

  /**
   * Implements `take` of pools/snapshots/moment.ts. Throws E_BUSY if the volumes cannot be copied now, E_LIMIT if a bound is exceeded,
   * and the error of a clone that fails.
   */
  async take(copies: readonly ChunkedCopy[]): Promise<void> {
    this.check(copies);
    if (this.isStopped) throw stopped();
    const busy = copies.find(({ volumeId }) => this.taken.has(volumeId));
    if (busy !== undefined)
      throw new RsError(
        'E_BUSY',
        `Another snapshot of volume ${this.ports.volumes.nameOf(busy.volumeId)} is being taken: try again when it is there`,
      );
    for (const { volumeId } of copies) this.taken.add(volumeId);
    try {
      if (!this.mayBegin) await this.turn();
      this.isBeginning = false;
      // The server may have ended between the turn and now.
      if (this.isStopped) throw stopped();
      const incarnations = copies.map(({ volumeId }) => this.settledIncarnation(volumeId));
      await this.run(copies);
      await Promise.all(copies.map(({ volumeId }) => this.sync(volumeId)));
      for (const [index, { volumeId }] of copies.entries())
        if (this.ports.incarnationOf(volumeId) !== incarnations[index]) throw this.lost(volumeId);
    } finally {
      for (const { volumeId } of copies) assert(this.taken.delete(volumeId), 'A moment gives up a volume that it does not have');
      this.next();
    }
  }

  /**
   * True if no moment holds changes, and fewer than GUARDING_MAX moments guard chunks. A moment in the phase `ending` does not count,
   * because a clone may hang in this phase.
   */
  private get mayBegin(): boolean {
    const phases = [...this.inProgress.values()].map(({ plan }) => plan.phase);
    if (this.isBeginning || phases.includes('holding') || phases.includes('cloning')) return false;
    return phases.filter((phase) => phase === 'guarding').length < GUARDING_MAX;
  }

  /** Waits for the turn of a moment. Throws E_BUSY after MOMENT_WAIT_MS. */
  private turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        timer.cancel();
        if (this.isStopped) reject(stopped());
        else resolve();
      };
      const timer = this.ports.clock.after(MOMENT_WAIT_MS, () => {
        this.waiting.splice(this.waiting.indexOf(begin), 1);
        reject(new RsError('E_BUSY', 'Other snapshots are being taken: try again when they are there'));
      });
      this.waiting.push(begin);
    });
  }

  /** Gives the next waiting moment its turn if it may begin. */
  private next(): void {
    if (this.isStopped) for (const begin of this.waiting.splice(0)) begin();
    if (this.waiting.length === 0 || !this.mayBegin) return;
    this.isBeginning = true;
    this.waiting.shift()?.();
  }

  /** Must be called before the session receives the grant, in the same event-loop turn in which `uses` gets the volume. */
  granted(session: MomentSession, volumeId: string): void {
    const current = [...this.inProgress.values()].find(({ copies }) => copies.some((copy) => copy.volumeId === volumeId));
    if (current === undefined) return;
    if (!current.told.has(session.id)) current.told.set(session.id, session);
    this.carryOut(current, current.plan.granted(session.id));
  }

  /** Called when a session has reported that it is running no change of the volumes of this moment. */
  held(sessionId: string, number: number): void {
    const current = this.inProgress.get(number);
    if (current !== undefined) this.carryOut(current, current.plan.held(sessionId));
  }

  /** Must be called when a session has ended and none of its requests is running. */
  sessionEnded(sessionId: string): void {
    for (const current of [...this.inProgress.values()]) {
      current.told.delete(sessionId);
      this.carryOut(current, current.plan.ended(sessionId));
    }
  }

  /** Called when the server ends. Ends all moments, and refuses new ones. */
  stop(): void {
    this.isStopped = true;
    for (const current of [...this.inProgress.values()]) this.carryOut(current, current.plan.stop());
    this.next();
  }

  /** Answers the request of a session whose change waits for chunks. Resolves when the chunks are cloned or the moment is over. */
  clone(sessionId: string, { number, volumeId, from, to }: CloneRequest): Promise<Cloned> {
    const current = this.inProgress.get(number);
    if (current === undefined) return Promise.resolve(OVER);
    const copy = current.copies.findIndex((one) => one.volumeId === volumeId);
    const ask = this.asks++;
    const { clock } = this.ports;
    const sinceMs = clock.monotonicMs();
    return new Promise((resolve) => {
      current.asks.set(ask, (answer) => {
        current.waitedMs = Math.max(current.waitedMs, clock.monotonicMs() - sinceMs);
        resolve(answer);
      });
      this.carryOut(current, current.plan.asked(sessionId, ask, copy, from, to));
    });
  }

  private check(copies: readonly ChunkedCopy[]): void {
    assert(new Set(copies.map(({ volumeId }) => volumeId)).size === copies.length, 'A volume is copied twice at one moment');
    if (copies.length > MOMENT_VOLUMES_MAX)
      throw new RsError('E_LIMIT', `More than ${MOMENT_VOLUMES_MAX} volumes for one moment: take fewer`);
    for (const { volumeId, chunks } of copies)
      if (chunks > GUARD_CHUNKS_MAX)
        throw new RsError(
          'E_LIMIT',
          `Volume ${this.ports.volumes.nameOf(volumeId)} would be copied in ${chunks} pieces, more than ${GUARD_CHUNKS_MAX}`,
        );
  }

  /** Returns the incarnation of the volume's storage. Throws E_BUSY if acknowledged writes may be missing. */
  private settledIncarnation(volumeId: string): string {
    const incarnation = this.ports.incarnationOf(volumeId);
    const node = this.ports.holds.unsettledNode(volumeId, incarnation);
    if (node === null) return incarnation;
    const name = this.ports.volumes.nameOf(volumeId);
    throw new RsError(
      'E_BUSY',
      `Client ${node} has not yet sent again the last writes of volume ${name}, which the server may have lost: try again when the client is back`,
      { volume: name, client: node },
    );
  }

  /** Syncs the volume after the clones, because a clone does not report that the storage has lost an earlier write. */
  private async sync(volumeId: string): Promise<void> {
    try {
      await this.ports.volumes.sync(volumeId);
    } catch (thrown) {
      const error = toRsError(thrown);
      // After E_TIMEOUT, the slow sync continues, and no writes are lost yet. If the sync fails later, that failure is reported
      // separately.
      if (error.code !== 'E_TIMEOUT') this.ports.lost(volumeId);
      throw error;
    }
  }

  private lost(volumeId: string): RsError {
    const name = this.ports.volumes.nameOf(volumeId);
    return new RsError(
      'E_BUSY',
      `The storage of volume ${name} may have lost writes meanwhile: try again when its clients have sent them again`,
      {
        volume: name,
      },
    );
  }

  private async run(copies: readonly ChunkedCopy[]): Promise<void> {
    const { clock } = this.ports;
    let resolveEnded: (failure: Failure | null) => void = () => undefined;
    const ended = new Promise<Failure | null>((resolve) => {
      resolveEnded = resolve;
    });
    const users = this.ports.sessions.all.filter(({ uses }) => copies.some(({ volumeId }) => uses.has(volumeId)));
    const current: Current = {
      number: this.numbers++,
      copies,
      plan: new MomentPlan(copies.map(({ chunks }) => chunks)),
      told: new Map(users.map((session) => [session.id, session])),
      asks: new Map(),
      ended: resolveEnded,
      sinceMs: clock.monotonicMs(),
      heldMs: null,
      lastMs: 0,
      slowestMs: 0,
      waitedMs: 0,
      timer: null,
      rest: null,
    };
    const others = [...this.inProgress.values()];
    assert(!others.some(({ plan: { phase } }) => phase === 'holding' || phase === 'cloning'), 'Two moments hold changes');
    const ids = new Set(copies.map(({ volumeId }) => volumeId));
    assert(!others.some((other) => other.copies.some(({ volumeId }) => ids.has(volumeId))), 'A volume is guarded by two moments');
    this.inProgress.set(current.number, current);
    this.carryOut(current, current.plan.begin([...current.told.keys()]));
    const failure = await ended;
    this.report(current, users, failure);
    if (failure !== null) throw this.errorOf(current, users, failure);
  }

  private carryOut(current: Current, orders: readonly Order[]): void {
    for (const order of orders) this.obey(current, order);
    this.next();
  }

  private obey(current: Current, order: Order): void {
    switch (order.order) {
      case 'hold':
        this.send(current, order.session, {
          type: 'hold',
          number: current.number,
          volumeIds: current.copies.map(({ volumeId }) => volumeId),
        });
        return;
      case 'go-on':
        current.heldMs ??= this.ports.clock.monotonicMs() - current.sinceMs;
        this.send(current, order.session, {
          type: 'go-on',
          number: current.number,
          guards: order.isGuarded ? guardsOf(current.copies) : [],
        });
        return;
      case 'clone':
        this.cloneChunk(current, order.copy, order.chunk);
        return;
      case 'answer':
        current.asks.get(order.ask)?.({ isCloned: order.isCloned });
        current.asks.delete(order.ask);
        return;
      case 'rest':
        this.rest(current);
        return;
      case 'timer':
        current.timer?.cancel();
        current.timer =
          order.afterMs === null ? null : this.ports.clock.after(order.afterMs, () => this.carryOut(current, current.plan.timeOver()));
        return;
      case 'end':
        current.rest?.cancel();
        assert(this.inProgress.delete(current.number), 'A moment ends twice');
        current.ended(order.failure);
    }
  }

  private rest(current: Current): void {
    current.rest?.cancel();
    const rested = (): void => this.carryOut(current, current.plan.rested());
    if (current.lastMs < REST_MIN_MS) rested();
    else current.rest = this.ports.clock.after(Math.min(current.lastMs, REST_MAX_MS), rested);
  }

  private send({ told }: Current, sessionId: string, message: HoldMessage): void {
    told.get(sessionId)?.workerSession.send(message);
  }

  private cloneChunk(current: Current, index: number, chunk: number): void {
    const { plan, copies } = current;
    const copy = copies[index];
    assert(copy !== undefined, 'A copy is cloned that is not there');
    const sinceMs = this.ports.clock.monotonicMs();
    copy.clone(chunk).then(
      () => {
        current.lastMs = this.ports.clock.monotonicMs() - sinceMs;
        current.slowestMs = Math.max(current.slowestMs, current.lastMs);
        this.carryOut(current, plan.cloned(index, chunk));
      },
      (error: unknown) => this.carryOut(current, plan.cloneFailed(index, chunk, error)),
    );
  }

  /** Makes no event: who ordered the snapshot does, and a replication makes a moment in each of its periods. */
  private report(
    { copies, sinceMs, heldMs, slowestMs, waitedMs }: Current,
    users: readonly MomentSession[],
    failure: Failure | null,
  ): void {
    const { clock, log } = this.ports;
    const allMs = clock.monotonicMs() - sinceMs;
    const heldText = `${(heldMs ?? 0).toFixed(1)} ms`;
    const volumes = copies.map(({ volumeId }) => this.ports.volumes.nameOf(volumeId)).join(', ');
    const chunks = copies.reduce((sum, one) => sum + one.chunks, 0);
    const facts = { volumes, heldMs: heldMs ?? 0, sessions: users.length, chunks, slowestMs, waitedMs, allMs };
    if (failure !== null) {
      const { message } = this.errorOf({ copies }, users, failure);
      log.warn(`No snapshot of ${volumes}: ${message}`, facts);
      return;
    }
    const text = `Copied ${volumes} at one moment: changes of ${plural(users.length, 'session')} were held for ${heldText}, ${plural(chunks, 'piece')} cloned in ${printDuration(Math.round(allMs))}`;
    log.info(text, facts);
  }

  private errorOf({ copies }: Pick<Current, 'copies'>, users: readonly MomentSession[], failure: Failure): RsError {
    switch (failure.why) {
      case 'late': {
        const nodes = [...new Set(users.filter(({ id }) => failure.sessions.includes(id)).map(({ client }) => client.node))];
        const text = `The changes of ${plural(nodes.length, 'client')} ${nodes.join(', ')} in progress did not end within ${printDuration(HOLD_LIMIT_MS)}`;
        return new RsError('E_BUSY', `${text}: try again when the storage is less busy`, { clients: nodes });
      }
      case 'slow': {
        const copy = copies[failure.copy];
        const name = copy === undefined ? '' : this.ports.volumes.nameOf(copy.volumeId);
        const limitMs = copy?.chunks === 1 ? HOLD_MAX_MS : CLONE_MAX_MS;
        return new RsError(
          'E_BUSY',
          `Volume ${name} could not be cloned within ${printDuration(limitMs)}: try again when the storage is less busy`,
        );
      }
      case 'clone':
        return toRsError(failure.error);
      case 'stopped':
        return stopped();
    }
  }
}

function guardsOf(copies: readonly ChunkedCopy[]): GuardedVolume[] {
  return copies.filter(({ chunks }) => chunks > 1).map(({ volumeId, chunkBytes, chunks }) => ({ volumeId, chunkBytes, chunks }));
}

function stopped(): RsError {
  return new RsError('E_SHUTTING_DOWN', 'The server is shutting down: take the snapshot when it is back');
}
