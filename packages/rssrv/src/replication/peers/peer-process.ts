// The process of one peer, as the listener sees it: starts it again after a back-off, and keeps its calls and pulls. Invariant: each call
// and each pull ends once. A pull ends only when its process has stopped to write, or has exited. Snapshots that a process has left open at
// the peer are closed by a later one.

import { assert } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { Backoff } from '@rsio/base/lib/backoff';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { fieldsOf } from '@rsio/base/lib/shape';
import { snapshotName } from '@rsio/base/lib/volume-name';
import { plural, printDuration } from '@rsio/base/lib/units';
import { programVersion } from '@rsio/base/lib/version';
import type { Log } from '@rsio/base/log/log';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { Identity } from '@rsio/protocol/client-identity';
import {
  CALLS_PER_PEER_MAX,
  PEER_ANSWER_GRACE_MS,
  PEER_RELEASE_AFTER_MS,
  PEER_RESTART_MAX_MS,
  PEER_RESTART_MIN_MS,
  PEER_SETTLED_MS,
  PEER_STOP_MS,
  PULL_CANCEL_MS,
  PULLS_PER_PEER_MAX,
} from '../limits.ts';
import { CONNECTION, type FromPeer, messageFromPeer, receivedError } from './messages.ts';
import { isSameSnapshot, type OpenSnapshot, type OpenSnapshots } from './open-snapshots.ts';
import type { PeerState, Pull, PullProgress } from './peers.ts';
import type { SpawnedPeer, SpawnPeer } from './spawn-peer.ts';

export interface PeerProcessPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly spawn: SpawnPeer;
  /** Instance of this server in its CHALLENGE. */
  readonly instance: string;
  /** Returns the identity of this server as the client with this name. */
  identity(node: string): Promise<Identity>;
  /** Records the process, so that the next listener waits until it has exited. */
  started(pid: number): Promise<void>;
  ended(pid: number): Promise<void>;
  /** Snapshots that may be open at peers. */
  readonly opens: Pick<OpenSnapshots, 'add' | 'remove' | 'of'>;
  /** Called when the peer is connected, so that its orders are asked for at once. */
  connected(): void;
  /** Returns random numbers in [0, 1). */
  unit(): number;
  /** Logs a line of this kind, unless there were too many of this kind. */
  note(kind: string, write: () => void): void;
}

interface WaitingCall {
  readonly timer: Timer;
  resolve(result: unknown): void;
  reject(error: RsError): void;
}

interface RunningPull {
  readonly order: Pull;
  readonly progress: (progress: PullProgress) => void;
  readonly finish: (error: RsError | null) => void;
  positionBytes: number;
}

export class PeerProcess {
  readonly config: PeerConfig;
  private readonly ports: PeerProcessPorts;
  private readonly backoff: Backoff;
  /** The process; `child` is null until it has its first message. */
  private spawned: SpawnedPeer | null = null;
  private child: SpawnedPeer | null = null;
  private exit: Promise<void> = Promise.resolve();
  private timer: Timer | null = null;
  private isEnding = false;
  private lastNumber = 0;
  private readonly calls = new Map<number, WaitingCall>();
  private readonly pulls = new Map<number, RunningPull>();
  /** Snapshots that the present process opens or has open, by the numbers of pulls and releases. */
  private readonly opened = new Map<number, OpenSnapshot>();
  private releaseTimer: Timer | null = null;
  /** Monotonic time at which the present process was connected for the first time; null before. */
  private connectedMs: number | null = null;
  private current: PeerState;

  constructor(config: PeerConfig, ports: PeerProcessPorts) {
    this.config = config;
    this.ports = ports;
    this.backoff = new Backoff(PEER_RESTART_MIN_MS, PEER_RESTART_MAX_MS, () => ports.unit());
    this.current = { name: config.name, isConnected: false, pathsUp: 0, sinceMs: ports.clock.wallMs(), trouble: null };
  }

  get state(): PeerState {
    return this.current;
  }

  start(): void {
    this.exit = this.run().catch((thrown: unknown) => this.endedEarly(toRsError(thrown).message));
  }

  /** Ends the process. Resolves when it has exited. */
  async end(): Promise<void> {
    this.isEnding = true;
    this.timer?.cancel();
    this.releaseTimer?.cancel();
    this.child?.send({ type: 'end' });
    const killing = this.ports.clock.after(PEER_STOP_MS, () => this.spawned?.kill());
    await this.exit;
    killing.cancel();
  }

  call(method: string, params: object, withinMs: number): Promise<unknown> {
    const { child, current } = this;
    if (child === null || !current.isConnected) return Promise.reject(this.absent(`${method} was not sent`, false));
    if (this.calls.size >= CALLS_PER_PEER_MAX) return Promise.reject(tooMany(current.name, `${CALLS_PER_PEER_MAX} calls`));
    const number = ++this.lastNumber;
    return new Promise((resolve, reject) => {
      const timer = this.ports.clock.after(withinMs + PEER_ANSWER_GRACE_MS, () => {
        this.calls.delete(number);
        const text = `Peer ${current.name} did not answer ${method} within ${printDuration(withinMs)}: whether it was executed is unknown`;
        reject(new RsError('E_TIMEOUT', text, { isOutcomeUnknown: true }));
      });
      this.calls.set(number, { timer, resolve, reject });
      child.send({ type: 'call', number, method, params: { ...params }, withinMs: Math.max(1, Math.ceil(withinMs)) });
    });
  }

  pull(order: Pull, progress: (progress: PullProgress) => void, cancel: AbortSignal): Promise<void> {
    const { child, current } = this;
    if (cancel.aborted) return Promise.reject(new RsError('E_RESET', 'The copy was cancelled before it began'));
    if (child === null) return Promise.reject(this.absent('nothing was copied', null));
    if (this.pulls.size >= PULLS_PER_PEER_MAX) return Promise.reject(tooMany(current.name, `${PULLS_PER_PEER_MAX} copies`));
    const number = ++this.lastNumber;
    return new Promise((resolve, reject) => {
      let killing: Timer | null = null;
      const stop = (): void => {
        child.send({ type: 'cancel', number });
        killing = this.ports.clock.after(PULL_CANCEL_MS, () => child.kill());
      };
      const finish = (error: RsError | null): void => {
        this.pulls.delete(number);
        killing?.cancel();
        cancel.removeEventListener('abort', stop);
        if (error === null) resolve();
        else reject(error);
      };
      this.pulls.set(number, { order, progress, finish, positionBytes: order.fromBytes });
      const { volume, snapshot } = order;
      const place = { peer: current.name, name: snapshotName(volume.name, snapshot.name), universe: volume.universe };
      const send = (): void => {
        // The process may have exited in the meantime, which has ended the pull.
        if (!this.pulls.has(number)) return;
        if (cancel.aborted) return finish(new RsError('E_RESET', 'The copy was cancelled before it began'));
        cancel.addEventListener('abort', stop, { once: true });
        this.opened.set(number, place);
        child.send({ type: 'pull', number, pull: order });
      };
      this.ports.opens.add(place).then(send, (thrown: unknown) => finish(toRsError(thrown)));
    });
  }

  /** Closes soon what an earlier process has left open, or this server at another peer, unless a pull has opened them again. */
  releaseLater(): void {
    this.releaseTimer?.cancel();
    this.releaseTimer = this.ports.clock.after(
      PEER_RELEASE_AFTER_MS,
      () => void this.release().catch((thrown: unknown) => this.complain(thrown)),
    );
  }

  private async release(): Promise<void> {
    const { child } = this;
    const left = await this.ports.opens.of(this.config.name);
    if (child === null || child !== this.child) return;
    const used = [...this.opened.values()];
    for (const one of left.filter((place) => !used.some((other) => isSameSnapshot(other, place)))) {
      const number = ++this.lastNumber;
      this.opened.set(number, one);
      child.send({ type: 'release', number, name: one.name, universe: one.universe });
    }
  }

  /** If `isReleased` is false, the snapshot stays in the file, and is closed after the next connection. */
  private released({ number, isReleased }: Extract<FromPeer, { type: 'released' }>): void {
    const place = this.opened.get(number);
    this.opened.delete(number);
    if (place === undefined || !isReleased || [...this.opened.values()].some((other) => isSameSnapshot(other, place))) return;
    this.ports.opens.remove(place).catch((thrown: unknown) => this.complain(thrown));
  }

  private complain(thrown: unknown): void {
    this.ports.log.warn(`Peer ${this.config.name}: ${toRsError(thrown).message}`);
  }

  private async run(): Promise<void> {
    const { ports } = this;
    const identity = await ports.identity(this.config.nodename);
    if (this.isEnding) return;
    assert(this.spawned === null && this.pulls.size === 0, 'A peer gets a process beside its earlier one');
    this.connectedMs = null;
    let exited: (how: string) => void = () => undefined;
    const exit = new Promise<string>((resolve) => (exited = resolve));
    const child = ports.spawn({ message: (value) => this.received(child, value), exited: (how) => exited(how) });
    this.spawned = child;
    try {
      // The process does nothing before it is recorded.
      if (child.pid !== 0) await ports.started(child.pid);
      this.begin(child, identity);
    } catch (thrown) {
      child.kill();
      ports.log.error(`Peer ${this.config.name}: its process cannot be recorded: ${toRsError(thrown).message}`);
    }
    const how = await exit;
    [this.child, this.spawned] = [null, null];
    this.lost(how);
    if (child.pid !== 0) await ports.ended(child.pid);
    const { connectedMs } = this;
    if (connectedMs !== null && ports.clock.monotonicMs() - connectedMs >= PEER_SETTLED_MS) this.backoff.reset();
    this.endedEarly(`its process ended (${how})`);
  }

  private begin(child: SpawnedPeer, identity: Identity): void {
    const connection = fieldsOf(CONNECTION, this.config);
    child.send({
      type: 'begin',
      version: programVersion(),
      connection,
      identity: { ...identity, dataProcess: 0 },
      instance: this.ports.instance,
    });
    if (this.isEnding) child.send({ type: 'end' });
    else this.child = child;
  }

  /** Starts the process again later, unless it was to end. */
  private endedEarly(why: string): void {
    if (this.isEnding) return;
    const { name } = this.config;
    const delayMs = this.backoff.nextMs();
    this.setState({
      isConnected: false,
      pathsUp: 0,
      trouble: `The connection begins again in ${printDuration(Math.round(delayMs))}: ${why}`,
    });
    this.ports.note(`Process of peer ${name}`, () => this.ports.log.error(`Peer ${name}: ${why}; it is started again`));
    this.timer = this.ports.clock.after(delayMs, () => this.start());
  }

  /** Called when the process has exited: nothing of it writes any more. */
  private lost(how: string): void {
    const error = this.absent(`its process ended (${how})`, true);
    for (const call of [...this.calls.values()]) {
      call.timer.cancel();
      call.reject(error);
    }
    this.calls.clear();
    this.opened.clear();
    this.releaseTimer?.cancel();
    for (const { finish } of [...this.pulls.values()]) finish(error);
    assert(this.pulls.size === 0, 'A pull outlives its process');
    this.setState({ isConnected: false, pathsUp: 0, trouble: null });
  }

  private received(child: SpawnedPeer, value: unknown): void {
    try {
      this.take(messageFromPeer(value));
    } catch (thrown) {
      this.ports.log.error(`The process of peer ${this.config.name} is killed: ${toRsError(thrown).message}`);
      child.kill();
    }
  }

  private take(message: FromPeer): void {
    switch (message.type) {
      case 'state': {
        const { type: _, ...state } = message;
        this.setState(state);
        return;
      }
      case 'answer': {
        const result: unknown = JSON.parse(message.result ?? 'null');
        const call = this.calls.get(message.number);
        this.calls.delete(message.number);
        call?.timer.cancel();
        if (message.error === null) call?.resolve(result);
        else call?.reject(receivedError(message.error));
        return;
      }
      case 'progress': {
        const pull = this.pulls.get(message.number);
        if (pull === undefined) return;
        const { positionBytes, doneBytes, totalBytes } = message;
        if (positionBytes < pull.positionBytes || positionBytes > pull.order.sizeBytes || doneBytes > totalBytes)
          throw new RsError('E_PROTOCOL', `it reports position ${positionBytes} after ${pull.positionBytes} of ${pull.order.sizeBytes}`);
        pull.positionBytes = positionBytes;
        pull.progress({ positionBytes, doneBytes, totalBytes });
        return;
      }
      case 'released':
        this.released(message);
        return;
      case 'ended':
        this.pulls.get(message.number)?.finish(message.error === null ? null : receivedError(message.error));
    }
  }

  private setState(next: Omit<PeerState, 'name' | 'sinceMs'>): void {
    const { current, ports } = this;
    const isChanged = current.isConnected !== next.isConnected;
    this.current = { name: current.name, ...next, sinceMs: isChanged ? ports.clock.wallMs() : current.sinceMs };
    if (isChanged && next.isConnected) {
      this.releaseLater();
      ports.connected();
    }
    if (next.isConnected) this.connectedMs ??= ports.clock.monotonicMs();
    const { name } = current;
    const isNews = isChanged || (!next.isConnected && next.trouble !== null && next.trouble !== current.trouble);
    if (!isNews || this.isEnding) return;
    ports.note(`Peer ${name}`, () => {
      if (next.isConnected) ports.log.info(`Peer ${name} is connected, with ${plural(next.pathsUp, 'path')}`);
      else ports.log.warn(`Peer ${name} is not connected${next.trouble === null ? '' : `: ${next.trouble}`}`);
    });
  }

  private absent(what: string, isOutcomeUnknown: boolean | null): RsError {
    const { name, trouble } = this.current;
    const why = trouble === null ? 'try again later' : trouble;
    return new RsError(
      'E_UNREACHABLE',
      `Peer ${name} is not connected, ${what}: ${why}`,
      isOutcomeUnknown === null ? {} : { isOutcomeUnknown },
    );
  }
}

function tooMany(name: string, what: string): RsError {
  return new RsError('E_LIMIT', `${what} of peer ${name} have not ended: try again later`);
}
