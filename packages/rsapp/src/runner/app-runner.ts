// Runs one application on this node: gathers the facts, asks the decider, and carries out its order, one at a time. holding.ts takes the volumes.
// Invariants: nothing starts before the servers have stored the note of this start; an order whose note could not be written keeps no volumes;
// volumes are detached only when nothing of the application is left on this machine; what could not be removed is tried again, and named.
// Rules: G46.

import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import type { ApplicationView } from '@rsio/api/rsapp/app-methods';
import type { Change } from '@rsio/common/events/event-history';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { decide, newMemory, whyAlone } from '../decider/decide.ts';
import type { AppRules, Facts, Local, Memory, Order, Seen } from '../decider/facts.ts';
import { changed, type Note } from '../decider/note.ts';
import { RULES } from '../decider/rules.ts';
import { CLEAN_RETRY_MS, MOVE_RENEW_MS } from '../limits.ts';
import type { Machine, Manner } from '../machine/machine.ts';
import { isNamed, type Sight, type Volumes } from '../sight/rsiod-sight.ts';
import { type AppFigures, AppNews, failedNodes } from './app-news.ts';
import { Commands } from './commands.ts';
import { Holding, isWaiting } from './holding.ts';

export interface RunnerPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly sight: Sight;
  /** Drained by a command. */
  isDrained(): boolean;
  /** Reports an event. */
  tell(change: Change): void;
}

type Phase = 'starting' | 'stopping' | null;

export class AppRunner {
  readonly app: ApplicationConfig;
  readonly commands: Commands;
  readonly news: AppNews;
  private readonly ports: RunnerPorts;
  private readonly machine: Machine;
  private readonly holding: Holding;
  private readonly rules: AppRules;
  private memory: Memory;
  private me = '';
  private seen: Seen | null = null;
  private local: Local = { holds: 'unknown', isUp: false, isRunning: false, failure: null };
  private failure: Local['failure'] = null;
  /** The service ran at the last look. If it has ended since then, this is a failure. */
  private ran = false;
  private checkedMs = -Infinity;
  /** A stop has left something behind. */
  private isUnfinished = false;
  private notBeforeMs = 0;
  /** Why the facts of the last look are not complete. */
  private trouble: RsError | null = null;
  /** The machine did not say which parts of the application are here. */
  private isBlind = false;
  /** The kind of order that failed last; its repetitions cause no log lines and no events about states. */
  private failed: Order['kind'] = 'none';
  private phase: Phase = null;
  private why = '';
  private shown = '';
  private sinceMs: number;

  constructor(app: ApplicationConfig, machine: Machine, ports: RunnerPorts) {
    this.app = app;
    this.machine = machine;
    this.ports = ports;
    this.holding = new Holding(app, ports.sight);
    this.news = new AppNews(app.name, (change) => ports.tell(change));
    const { name, nodes, silentMs, startDelayMs, restarts, failBack, onIsolation } = app;
    this.rules = { name, nodes, silentMs, startDelayMs, restarts, failBack, stopsInIsolation: onIsolation === 'stop' };
    this.memory = { ...newMemory(ports.clock.monotonicMs()), known: machine.known.read() };
    this.sinceMs = ports.clock.wallMs();
    this.commands = new Commands(this);
  }

  /** `volumes`: null if rsiod does not answer. Must not be called before an earlier call has ended. */
  async look(volumes: Volumes | null): Promise<void> {
    const { clock } = this.ports;
    await this.gatherAll(volumes);
    if (this.isBlind) {
      this.commands.settle();
      return this.noteShown();
    }
    const nowMs = clock.monotonicMs();
    if (this.seen?.isSure === true && (await this.commands.next())) return this.noteShown('');
    const { memory, order } = decide(this.rules, this.memory, this.facts(nowMs));
    await this.machine.known.keep(this.memory.known, memory.known);
    this.memory = memory;
    const isDue = order.kind !== 'none' && nowMs >= this.notBeforeMs;
    if (isDue) await this.execute(order);
    else if (order.kind === 'none' && !this.isUnfinished) this.why = this.trouble?.message ?? order.why;
    this.commands.settle();
    // The effect of an order is reported at a later look, when the servers have confirmed it.
    if (!isDue) this.noteShown();
  }

  get view(): ApplicationView {
    const { name, volumes, nodes } = this.app;
    const { seen, next } = this;
    return {
      name,
      state: this.state,
      on: seen?.isSure === true ? seen.holder : null,
      sinceMs: this.sinceMs,
      volumes: [...volumes],
      nodes: [...nodes],
      next,
      why: this.why || this.whyAlone,
      failed: this.hasFailed,
      remains: this.news.hasRemains,
    };
  }

  get figures(): AppFigures {
    const { restarts, failures, moves } = this.news;
    const failed = this.readNote === null ? 0 : failedNodes(this.rules, this.readNote, this.wallMs);
    const isMissing = ['waiting', 'starting'].includes(this.state) || this.hasFailed;
    return { restarts, failures, moves, failedNodes: failed, isMissing };
  }

  get node(): string {
    return this.me;
  }

  /** Why no order can be carried out until an administrator has changed something; null if no such reason is known. */
  get refusal(): RsError | null {
    return this.isBlind || this.trouble?.code === 'E_UNKNOWN_VOLUME' ? this.trouble : null;
  }

  // --- for commands

  /** The note at the first volume, or the last one if that was lost, so that an order changes what was there. */
  get note(): Note | null {
    return this.storedNote ?? this.memory.known?.note ?? null;
  }

  private get storedNote(): Note | null {
    if (this.seen?.note === 'unreadable')
      throw new RsError('E_VOLUME', `The note of ${this.app.name} cannot be read: see the log of rsapp`);
    return this.readNote;
  }

  get holder(): string | null {
    return this.seen?.holder ?? null;
  }

  /** Null also for a note that cannot be read. */
  private get readNote(): Note | null {
    const note = this.seen?.note ?? null;
    return note === 'unreadable' ? null : note;
  }

  private get hasFailed(): boolean {
    return this.state === 'stopped' && (this.readNote?.why ?? '') !== '';
  }

  get next(): string | null {
    const { seen, readNote: note } = this;
    return seen === null || note === null ? null : RULES.next(this.rules, { me: seen.holder ?? '', wallMs: this.wallMs }, seen, note);
  }

  private get whyAlone(): string {
    const { seen, readNote: note } = this;
    const isOn = this.state === 'running' || this.state === 'starting';
    return !isOn || seen === null || note === null ? '' : whyAlone(this.rules, this.wallMs, seen, note);
  }

  get isHeld(): boolean {
    return this.local.holds === true;
  }

  get isRunning(): boolean {
    return this.local.isRunning;
  }

  get isUp(): boolean {
    return this.local.isUp;
  }

  /** True if a part of the application is here or will be. Until that ends, a drain waits, and the section of the application stays. */
  get isHere(): boolean {
    const note = this.seen?.isSure === true ? this.seen.note : 'unreadable';
    if (note === null) return false;
    return this.local.isUp || (this.isHeld && note !== 'unreadable' && RULES.isWanted(note));
  }

  get isDrained(): boolean {
    return this.ports.isDrained();
  }

  get wallMs(): number {
    return this.ports.clock.wallMs();
  }

  get reason(): string {
    return this.trouble?.message ?? this.view.why;
  }

  get nowMs(): number {
    return this.ports.clock.monotonicMs();
  }

  /** True if the servers do not see the node. */
  isSilent(node: string): boolean {
    return this.seen === null || RULES.isSilent(this.rules, this.seen, node);
  }

  /** Writes a note as the holder. If no node holds the first volume, attaches it for this, and detaches it again unless `keeps`. */
  async writeAs(note: Note, keeps: boolean): Promise<void> {
    const { holding } = this;
    if (this.isHeld) return await this.write(note);
    await holding.takeFirst(null, this.storedNote);
    try {
      await this.write(note);
    } catch (thrown) {
      await holding.detach([holding.first]);
      throw thrown;
    }
    if (!keeps) await holding.detach([holding.first]);
    this.notBeforeMs = 0;
  }

  // --- facts

  private get state(): ApplicationView['state'] {
    if (this.phase !== null) return this.phase;
    const { seen, local } = this;
    if (local.isRunning && local.holds !== false) return 'running';
    if (seen === null || !seen.isSure || seen.note === 'unreadable') return 'unknown';
    const isElsewhere = seen.holder !== null && seen.holder !== this.me && !RULES.isOpen(this.rules, this.facts(0), seen);
    if (this.isBlind && !isElsewhere) return 'unknown';
    if (seen.note === null) return 'new';
    if (!seen.note.enabled) return 'disabled';
    if (!seen.note.started) return 'stopped';
    if (!isElsewhere) return 'waiting';
    return seen.note.runs === false ? 'starting' : 'running';
  }

  private facts(nowMs: number): Facts {
    const { me, seen, local } = this;
    return { me, nowMs, seen, local, wallMs: this.wallMs, isDrained: this.isDrained, isOrdered: this.commands.takesOver };
  }

  /** A trouble that lasts is logged once. */
  private async gatherAll(volumes: Volumes | null): Promise<void> {
    const before = this.trouble?.message;
    [this.trouble, this.isBlind] = [null, false];
    try {
      await this.gather(volumes);
    } catch (thrown) {
      // The state of this machine is not known, so nothing is decided.
      this.isBlind = true;
      this.trouble = toRsError(thrown);
      this.why = this.trouble.message;
    }
    if (this.trouble !== null && this.trouble.message !== before) this.ports.log.error(`${this.app.name}: ${this.trouble.message}`);
  }

  private async gather(volumes: Volumes | null): Promise<void> {
    const isThere = (list: readonly { readonly label: string }[]): boolean => list.some((one) => isNamed(this.holding.first, one));
    const isUnknown = volumes === null || (!isThere(volumes.attached) && isThere(volumes.awaited));
    const holds = isUnknown ? 'unknown' : isThere(volumes.attached);
    this.seen = volumes === null ? null : await this.see(holds === true);
    const { mounts, address } = this.app;
    const { mounted, hasAddress, service } = await this.machine.state();
    const isComplete = mounted === mounts.length && (address === null || hasAddress);
    let isRunning = service === 'running' && isComplete;
    if (isRunning && holds === true) {
      const why = await this.checked();
      if (why !== null) {
        this.fails(why);
        isRunning = false;
      }
    } else if (this.ran && holds === true && service !== 'running' && this.failure === null)
      this.fails(service === 'failed' ? 'The service has failed' : 'The service has ended');
    this.ran = isRunning;
    const isUp = mounted > 0 || hasAddress || service !== 'stopped' || this.isUnfinished;
    this.local = { holds, isUp, isRunning, failure: holds === true ? this.failure : null };
  }

  private fails(why: string): void {
    if (this.failure?.why !== why) this.news.failed(why);
    this.failure = { why, final: false };
  }

  private async checked(): Promise<string | null> {
    const nowMs = this.ports.clock.monotonicMs();
    if (nowMs - this.checkedMs < this.app.checkIntervalMs) return null;
    const why = await this.machine.check();
    this.checkedMs = this.ports.clock.monotonicMs();
    return why;
  }

  private async see(holds: boolean): Promise<Seen | null> {
    try {
      const { node, seen, trouble } = await this.holding.seen(holds);
      this.me = node;
      if (trouble !== null) this.trouble = trouble;
      return seen;
    } catch (thrown) {
      this.trouble = toRsError(thrown);
      return null;
    }
  }

  // --- orders

  private async execute(order: Order): Promise<void> {
    const { log, clock } = this.ports;
    const { name } = this.app;
    this.phase = order.kind === 'start' || order.kind === 'restart' ? 'starting' : order.kind === 'save' ? null : 'stopping';
    const isAgain = this.failed === order.kind;
    if (!isAgain) this.noteShown('why' in order ? order.why : '');
    try {
      if (!isAgain && 'why' in order && order.why !== '') log.warn(`${name}: ${order.why}`);
      if (order.kind === 'restart') this.news.restarted(order.why);
      await this.carryOut(order);
      this.isUnfinished = false;
      this.failed = 'none';
      this.news.removed();
      this.why = order.kind === 'none' || !('why' in order) ? '' : order.why;
    } catch (thrown) {
      const { message } = toRsError(thrown);
      // A failure that comes again is logged once.
      if (this.why !== message) log.error(`${name}: ${message}`);
      this.why = message;
      if (this.isUnfinished) this.news.notRemoved(message);
      // After a failed start or restart of the service, the next order is a different one and needs no pause.
      const isSameAgain = this.failure === null || (order.kind !== 'start' && order.kind !== 'restart');
      if (isSameAgain) this.notBeforeMs = clock.monotonicMs() + CLEAN_RETRY_MS;
      this.failed = isSameAgain ? order.kind : 'none';
    } finally {
      this.phase = null;
    }
  }

  private async carryOut(order: Order): Promise<void> {
    switch (order.kind) {
      case 'none':
        return;
      case 'save':
        return await this.write(order.note);
      case 'start':
        return await this.start(order.from, order.note);
      case 'restart':
        return await this.restart(order.note);
      case 'stop':
        if (order.note !== null && this.isHeld) await this.tryToWrite(order.note);
        return await this.giveBack();
      case 'halt':
        return await this.takeDown('at once', false);
      case 'clean':
        return await this.clean();
    }
  }

  private async clean(): Promise<void> {
    await this.takeDown('at once', false);
    this.isUnfinished = true;
    await this.holding.detach(await this.holding.held());
    this.isUnfinished = false;
  }

  /**
   * Stops the application in order. If this node has lost it since the look, the address and the service already belong to another node,
   * and are removed here at once.
   */
  private async giveBack(): Promise<void> {
    const { first } = this.holding;
    const held = await this.holding.held().catch(() => [first]);
    if (this.isHeld && !held.includes(first)) return await this.clean();
    await this.takeDown('orderly', true);
  }

  private async start(from: string | null, note: Note): Promise<void> {
    const { log } = this.ports;
    const { name } = this.app;
    if (this.isHeld) await this.holding.attachFirst(false);
    else {
      if (from !== null) log.warn(`${name}: node ${from} is silent, and its volumes are taken over`);
      await this.holding.takeFirst(from, this.storedNote);
    }
    try {
      await this.write(note);
    } catch (thrown) {
      await this.takeDown('at once', true).catch(() => undefined);
      throw thrown;
    }
    try {
      const attached = await this.holding.takeOthers();
      const warnings = await this.machine.up((volume) => attached.find((one) => isNamed(volume, one))?.device ?? null);
      for (const warning of warnings) log.warn(`${name}: ${warning}`);
    } catch (thrown) {
      // A temporary refusal of a server says nothing about this node, and another node would meet the same refusal.
      if (!isWaiting(thrown)) {
        this.failure = { why: toRsError(thrown).message, final: true };
        this.news.startFailed(this.failure.why);
      }
      throw thrown;
    }
    this.began();
    log.info(`${name} runs on this node`);
  }

  private async restart(note: Note): Promise<void> {
    try {
      await this.write(note);
    } catch (thrown) {
      await this.giveBack();
      throw thrown;
    }
    this.failure = null;
    try {
      await this.machine.restart();
    } catch (thrown) {
      this.fails(toRsError(thrown).message);
      throw thrown;
    }
    this.began();
  }

  /** A check that began before the start does not count. */
  private began(): void {
    this.failure = null;
    this.ran = true;
    this.local = { holds: true, isUp: true, isRunning: true, failure: null };
    this.checkedMs = this.ports.clock.monotonicMs();
  }

  private async takeDown(manner: Manner, detaches: boolean): Promise<void> {
    this.isUnfinished = true;
    this.ran = false;
    await this.machine.down(manner);
    if (detaches) {
      const { holding } = this;
      if (manner === 'orderly') await this.renewMove();
      const held = await holding.held();
      // After a reboot, the hold of the first volume may be all that is left.
      if (held.length === 0 && this.holder === this.me && this.seen?.isSure === true) {
        await holding.attachFirst(false);
        held.push(holding.first);
      }
      await holding.detach(held);
    }
    this.isUnfinished = false;
    this.failure = null;
    this.local = { holds: detaches ? false : this.local.holds, isUp: false, isRunning: false, failure: null };
  }

  /** The node that a move names has its turn as soon as the volumes are free, however long the stop has taken. */
  private async renewMove(): Promise<void> {
    const { note } = this;
    if (!this.isHeld || note === null || note.preferred === null || note.preferred === this.me) return;
    if (this.wallMs - note.preferredMs >= MOVE_RENEW_MS) await this.tryToWrite(changed(note, { preferredMs: this.wallMs }));
  }

  private async tryToWrite(note: Note): Promise<void> {
    await this.write(note).catch((thrown: unknown) => {
      this.ports.log.error(`${this.app.name} is stopped all the same: ${toRsError(thrown).message}`);
    });
  }

  private async write(note: Note): Promise<void> {
    const written = await this.holding.write(note, this.storedNote);
    if (this.seen !== null) this.seen = { ...this.seen, note: written };
  }

  private noteShown(why = this.why): void {
    const { state, on } = this.view;
    const shown = `${state}${on === null ? '' : ` on ${on}`}`;
    if (shown === this.shown) return;
    if (this.shown !== '') this.ports.log.info(`${this.app.name} is ${shown}${why === '' || this.phase !== null ? '' : `: ${why}`}`);
    this.news.changed(this.shown, shown, on, why);
    this.shown = shown;
    this.sinceMs = this.ports.clock.wallMs();
  }
}
