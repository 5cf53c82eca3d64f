// One data process as the main process sees it: starts it, calls it, watches it, ends it, and restarts it after a crash. Invariants: each
// number has at most one live operating-system process; the next process with the number starts only after the previous one has exited, and
// gets the volumes that the previous one last reported. Each call is answered, or fails when the process ends.

import type { ChildEvents } from '@rsio/base/lib/watched-child';
import type { Socket } from 'node:net';
import { AssertionError } from '@rsio/base/lib/assert';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import type { AttachedContent } from '../attachments/attached-file.ts';
import type { PassedConnection } from '../frontends/nbd/passed-connection.ts';
import type { NbdExport } from '../frontends/nbd/wire/nbd-export.ts';
import { INHERITED_FD } from '../keeper/inherit-command.ts';
import type { Kept } from '../keeper/keeper-link.ts';
import type { HeldDevices } from './held-devices.ts';
import {
  PROCESS_CALLS_MAX,
  PROCESS_END_MS,
  PROCESS_HAND_OVER_MS,
  PROCESS_KILL_MS,
  PROCESS_PAUSE_MAX_MS,
  PROCESS_PAUSE_MIN_MS,
  PROCESS_QUIET_MS,
  PROCESS_SETTLED_MS,
  PROCESS_SILENCE_MS,
} from './limits.ts';
import { type Begin, checkedMessage, type FromProcess, OWN_METHODS, type ToProcess } from './messages.ts';

/** A started process. Events are reported through the handlers that were passed when the process was started. */
export interface Spawned {
  readonly pid: number;
  send(message: ToProcess): void;
  /** Sends a message with a connection, and closes the connection in this process. */
  sendConnection(message: ToProcess, socket: Socket): void;
  kill(): void;
}

export interface DataProcessPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /**
   * `places`: the keeper's numbers for the descriptors of the process's devices; null if there is no keeper. In the process, the numbers of
   * the descriptors begin with INHERITED_FD.
   */
  spawn(number: number, places: readonly number[] | null, events: ChildEvents): Spawned;
  begin(number: number, attached: AttachedContent, kept: readonly Kept[] | null): Begin;
  /** The devices that the keeper holds for data processes; null if there is no keeper. */
  readonly devices: HeldDevices | null;
  /** Called with each change that becomes an event of this client. */
  event(change: Extract<FromProcess, { type: 'event' }>): void;
  warning(sentence: string): void;
  /** Called when a process has reached a server. */
  reached(): void;
  /** Saves the lists of all data processes. */
  saveLists(): Promise<void>;
}

interface Pending {
  readonly resolve: (result: Readonly<Record<string, unknown>>) => void;
  readonly reject: (error: RsError) => void;
}

export class DataProcess {
  readonly number: number;
  /** Number of restarts of the process. */
  restarts = 0;
  /** The volumes that are attached in this process, or wait to be attached again. */
  content: AttachedContent;
  /** The volumes that the process exports over NBD. */
  exports: readonly NbdExport[] = [];
  private readonly ports: DataProcessPorts;
  /** Maps the number of each NBD connection of the process to the function to call when the connection has ended. */
  private readonly connections = new Map<number, () => void>();
  private spawned: Spawned | null = null;
  private readonly calls = new Map<number, Pending>();
  private lastCall = 0;
  /** Changes with each start and each exit, so that results of an earlier process are ignored. */
  private life = 0;
  private startedMs = 0;
  private quick = 0;
  /** Number of `alive?` messages that were sent since the last message of the process. */
  private unheard = 0;
  private timer: Timer | null = null;
  private isEnding = false;
  private whenReady: (() => void)[] = [];
  private isReady = false;
  private whenExited: (() => void)[] = [];

  constructor(number: number, content: AttachedContent, ports: DataProcessPorts) {
    this.number = number;
    this.content = content;
    this.ports = ports;
  }

  /** Process id; null while the process is not running. */
  get pid(): number | null {
    return this.spawned?.pid ?? null;
  }

  start(): void {
    const { clock, devices, log } = this.ports;
    const life = ++this.life;
    this.isReady = false;
    this.startedMs = clock.monotonicMs();
    this.unheard = 0;
    const failed = (thrown: unknown): void => {
      log.error(`Data process ${this.number} cannot be started: ${toRsError(thrown).message}`);
      // A process that exists despite the error must exit before the next process starts.
      if (life !== this.life || this.isEnding) return;
      if (this.spawned === null) this.startLater();
      else this.spawned.kill();
    };
    if (devices !== null) {
      devices
        .of(this.number)
        .then((held) => this.begin(life, held), failed)
        .catch(failed);
      return;
    }
    try {
      this.begin(life, null);
    } catch (thrown) {
      failed(thrown);
    }
  }

  private begin(life: number, held: Awaited<ReturnType<HeldDevices['of']>> | null): void {
    if (life !== this.life || this.isEnding) return;
    this.spawned = this.ports.spawn(this.number, held?.places ?? null, {
      message: (value) => void (life === this.life && this.receive(value)),
      exited: (how) => void (life === this.life && this.exited(how)),
    });
    const kept = held === null ? null : held.devices.map(({ id, note }, at) => ({ id, note, fd: INHERITED_FD + at }));
    this.send(this.ports.begin(this.number, this.content, kept));
    this.timer = this.ports.clock.after(PROCESS_QUIET_MS, () => this.watch());
  }

  /** Resolves when the process can attach volumes. Does not resolve while the process cannot be started. */
  ready(): Promise<void> {
    return this.isReady ? Promise.resolve() : new Promise((resolve) => this.whenReady.push(resolve));
  }

  send(message: ToProcess): void {
    this.spawned?.send(message);
  }

  /** Passes an NBD connection to the process. Calls `ended` when the connection, or the process, has ended. */
  pass(passed: PassedConnection, socket: Socket, ended: () => void): void {
    if (this.spawned === null) {
      ended();
      return;
    }
    this.connections.set(passed.number, ended);
    this.spawned.sendConnection({ type: 'nbd', passed }, socket);
  }

  /** Calls a method of the process. Throws the error of the method, and E_SYSTEM if the process ends before it answers. */
  async call(method: string, params: object): Promise<Readonly<Record<string, unknown>>> {
    if (this.spawned === null) throw this.gone();
    if (this.calls.size >= PROCESS_CALLS_MAX)
      throw new RsError('E_LIMIT', `Data process ${this.number} has ${this.calls.size} requests in progress: try again later`);
    const number = ++this.lastCall;
    return await new Promise((resolve, reject) => {
      this.calls.set(number, { resolve, reject });
      this.send({ type: 'call', number, method, params });
    });
  }

  /**
   * Ends the process by calling one of OWN_METHODS, and resolves when it has exited. Kills a process that has not exited in time. If even
   * the killed process does not exit, logs a warning, and the caller continues.
   */
  async end(method: typeof OWN_METHODS.end | typeof OWN_METHODS.handOver, reason: string): Promise<void> {
    const { clock, log } = this.ports;
    this.isEnding = true;
    this.timer?.cancel();
    const { spawned } = this;
    if (spawned === null) return;
    const limitMs = method === OWN_METHODS.end ? PROCESS_END_MS : PROCESS_HAND_OVER_MS;
    const exited = new Promise<void>((resolve) => this.whenExited.push(resolve));
    const name = `Data process ${this.number} (pid ${spawned.pid})`;
    const killed = new Promise<void>((resolve) => {
      this.timer = clock.after(limitMs, () => {
        log.warn(`${name} has not ended within ${limitMs / 1_000} s, and is killed`);
        spawned.kill();
        this.timer = clock.after(PROCESS_KILL_MS, () => {
          log.error(`${name} does not end although it was killed: it waits in the kernel`);
          resolve();
        });
      });
    });
    this.call(method, { reason }).catch(() => undefined);
    await Promise.race([exited, killed]);
    this.timer?.cancel();
  }

  private gone(): RsError {
    return new RsError('E_SYSTEM', `Data process ${this.number} of rsiod is being started again: try again (see the log of rsiod)`);
  }

  private receive(value: unknown): void {
    this.unheard = 0;
    try {
      this.take(checkedMessage(value));
    } catch (thrown) {
      if (thrown instanceof AssertionError) throw thrown;
      this.ports.log.error(`${toRsError(thrown).message}: data process ${this.number} is ended, and started again`);
      this.spawned?.kill();
    }
  }

  private take(message: FromProcess): void {
    switch (message.type) {
      case 'alive':
        return;
      case 'ready':
        this.isReady = true;
        for (const resolve of this.whenReady.splice(0)) resolve();
        return;
      case 'attached':
        this.content = message.content as unknown as AttachedContent;
        void this.save(message.number);
        return;
      case 'keep':
        void this.keep(message);
        return;
      case 'note':
        this.ports.devices?.note(this.number, message.id, message.note);
        return;
      case 'drop':
        void this.answerKept(message.number, async () => {
          await this.ports.devices?.drop(this.number, message.id);
          return message.id;
        });
        return;
      case 'exports':
        this.exports = message.exports;
        return;
      case 'nbd-ended':
        this.connections.get(message.number)?.();
        this.connections.delete(message.number);
        return;
      case 'reached':
        this.ports.reached();
        return;
      case 'event':
        this.ports.event(message);
        return;
      case 'warning':
        this.ports.warning(message.sentence);
        return;
      case 'answer':
        this.answered(message);
    }
  }

  private async keep({ number, fd, note }: Extract<FromProcess, { type: 'keep' }>): Promise<void> {
    await this.answerKept(number, async () => {
      const { spawned } = this;
      if (spawned === null || this.ports.devices === null) throw new RsError('E_SYSTEM', 'There is no keeper');
      const id = await this.ports.devices.keep(this.number, spawned.pid, fd, note);
      // The next process has already received its devices, so no process would serve this device, and the I/O of the device would wait
      // forever.
      if (this.spawned !== spawned) await this.ports.devices.drop(this.number, id);
      return id;
    });
  }

  private async answerKept(number: number, work: () => Promise<number>): Promise<void> {
    const { life } = this;
    const answer = await work().then(
      (id) => ({ id, reason: '' }),
      (thrown: unknown) => ({ id: null, reason: toRsError(thrown).message }),
    );
    if (life === this.life) this.send({ type: 'kept', number, ...answer });
  }

  private async save(number: number): Promise<void> {
    const { spawned } = this;
    await this.ports.saveLists();
    if (this.spawned === spawned) this.send({ type: 'saved', number });
  }

  private answered({ number, result, error }: Extract<FromProcess, { type: 'answer' }>): void {
    const call = this.calls.get(number);
    this.calls.delete(number);
    if (error !== null) call?.reject(new RsError(error.code, error.message));
    else call?.resolve(result ?? {});
  }

  /**
   * Counts unanswered messages, not time: if this process was stopped and continued, the timer fires before the waiting answers of a
   * healthy process are read.
   */
  private watch(): void {
    const { clock, log } = this.ports;
    if (this.unheard * PROCESS_QUIET_MS >= PROCESS_SILENCE_MS) {
      log.error(
        `Data process ${this.number} (pid ${this.spawned?.pid}) hangs: it has not answered for ${PROCESS_SILENCE_MS / 1_000} s. It is killed, and started again when it has ended`,
      );
      this.unheard = 0;
      this.spawned?.kill();
    } else {
      this.unheard++;
      this.send({ type: 'alive?' });
    }
    this.timer = clock.after(PROCESS_QUIET_MS, () => this.watch());
  }

  private exited(how: string): void {
    const { log } = this.ports;
    this.life++;
    this.spawned = null;
    this.timer?.cancel();
    for (const { reject } of this.calls.values()) reject(this.gone());
    this.calls.clear();
    this.exports = [];
    for (const ended of this.connections.values()) ended();
    this.connections.clear();
    for (const resolve of this.whenExited.splice(0)) resolve();
    if (this.isEnding) return;
    log.error(`Data process ${this.number} has ended (${how}): its volumes wait until it is started again`);
    this.startLater();
  }

  private startLater(): void {
    const { clock } = this.ports;
    this.restarts++;
    this.quick = clock.monotonicMs() - this.startedMs > PROCESS_SETTLED_MS ? 1 : this.quick + 1;
    const pauseMs = this.quick < 2 ? 0 : Math.min(PROCESS_PAUSE_MAX_MS, PROCESS_PAUSE_MIN_MS * 2 ** (this.quick - 2));
    this.timer = clock.after(pauseMs, () => this.start());
  }
}
