// A world of nodes and one application, in steps of two seconds, for the decider: nodes crash, hang, are cut off and return, the service breaks,
// and an administrator gives orders. Orders take some steps and may fail. Judges check each step. The servers act as one here: they
// grant a hold to one node, end it only by a detach or a take-over, and keep the note. Everything follows from the seed.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { decide, newMemory, startedNote } from '../decider/decide.ts';
import type { AppRules, Facts, Memory, Order } from '../decider/facts.ts';
import { changed, type Note } from '../decider/note.ts';
import { FAILED_AGAIN_MS } from '../limits.ts';

const STEP_MS = 2000;
const NODES = ['a', 'b', 'c'];
const FAULT_STEPS = 250;
/** Steps after the last fault; in the middle of them, the administrator moves the application. */
const CALM_STEPS = 150;
/** How long the application may be down although a node could run it, and how long remains may stay. */
const DOWN_MAX_MS = 160_000;
const LATE_MS = 30_000;
/** While a node is busy, it does not see the changes of a person; they are lost together with the note. */
const UNSEEN_CHANGES = 3;
/** Once for this many causes, a server may refuse a start because another node was faster. */
const CAUSES_EACH = 6;
const RESTARTS_MS = 100_000;
const REPAIR_MS = 60_000;

interface SimNode {
  readonly name: string;
  isOn: boolean;
  /** rsiod hangs, or the node has no path to the servers. */
  isCut: boolean;
  /** What the server said when the node was cut off from all other servers: the node hears only this minority. null: it hears nobody. */
  minority: { readonly holder: string | null; readonly note: Note | null } | null;
  isBroken: boolean;
  repairedMs: number;
  isDrained: boolean;
  /** A person has ordered a start here while this node was silent. */
  orderedFrom: string | null;
  bootedMs: number;
  /** Since when the servers have not seen it; null: they see it. */
  silentSinceMs: number | null;
  memory: Memory;
  /** It has the volumes attached. */
  isAttached: boolean;
  isUp: boolean;
  isRunning: boolean;
  failure: { why: string; final: boolean } | null;
  /** What the node is doing, and until when. */
  busy: { readonly order: Order; readonly untilMs: number } | null;
  lastWhy: string;
}

export class World {
  readonly problems: string[] = [];
  starts = 0;
  private causes = 2;
  private readonly random: SeededRandom;
  private readonly app: AppRules;
  private readonly nodes: SimNode[];
  private holder: string | null = null;
  private note: Note | null = null;
  private nowMs = 0;
  private readonly since = new Map<string, number>();
  private conflicts = 0;
  private restarts: { readonly node: string; readonly atMs: number }[] = [];
  /** What servers answer in this step. */
  private told: { holder: string | null; note: Note | null } = { holder: null, note: null };
  private target: string | null = null;
  /** Number of changes of the newest note that was lost. */
  private highest = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const { random } = this;
    this.app = {
      name: 'app',
      nodes: random.chance(0.3) ? ['b', 'a', 'c'] : NODES,
      silentMs: 10_000,
      startDelayMs: 10_000,
      restarts: random.int(0, 3),
      failBack: random.chance(0.4),
      stopsInIsolation: random.chance(0.7),
    };
    this.nodes = NODES.map((name) => this.newNode(name));
  }

  run(): readonly string[] {
    this.note = this.random.chance(0.1) ? null : startedNote('app', null, 'first');
    for (let step = 0; step < FAULT_STEPS; step++) {
      if (this.random.chance(0.03)) this.fault();
      this.step();
    }
    for (const node of this.nodes) this.heal(node);
    this.causes += NODES.length;
    const before = this.starts;
    for (let step = 0; step < CALM_STEPS; step++) {
      if (step === CALM_STEPS / 2) this.moveAtTheEnd();
      this.step();
    }
    this.judgeEnd(this.starts - before);
    return this.problems;
  }

  private newNode(name: string): SimNode {
    return {
      name,
      isOn: true,
      isCut: false,
      minority: null,
      isBroken: false,
      repairedMs: Infinity,
      isDrained: false,
      orderedFrom: null,
      bootedMs: 0,
      silentSinceMs: null,
      memory: newMemory(0),
      isAttached: false,
      isUp: false,
      isRunning: false,
      failure: null,
      busy: null,
      lastWhy: '',
    };
  }

  private step(): void {
    this.nowMs += STEP_MS;
    this.told = { holder: this.holder, note: this.note };
    for (const node of this.nodes) {
      const isSeen = node.isOn && !node.isCut;
      if (isSeen) node.silentSinceMs = null;
      else node.silentSinceMs ??= this.nowMs;
      if (this.nowMs >= node.repairedMs) Object.assign(node, { isBroken: false, repairedMs: Infinity });
      if (node.isOn) this.live(node);
    }
    this.judge();
  }

  private live(node: SimNode): void {
    if (node.busy !== null) {
      if (this.nowMs < node.busy.untilMs) return;
      const { order } = node.busy;
      node.busy = null;
      this.finish(node, order);
      return;
    }
    if (node.isRunning && node.isBroken && this.random.chance(0.3)) {
      node.isRunning = false;
      node.failure = { why: 'broken', final: false };
    }
    const { memory, order } = decide(this.app, node.memory, this.factsOf(node));
    node.memory = memory;
    node.lastWhy = 'why' in order ? order.why : '';
    if (order.kind === 'none') return;
    this.begin(node, order);
  }

  private factsOf(node: SimNode): Facts {
    const isReached = !node.isCut;
    const silentMs = Object.fromEntries(
      this.nodes.map(({ name, silentSinceMs }) => [name, silentSinceMs === null ? 0 : this.nowMs - silentSinceMs]),
    );
    const others = Object.fromEntries(NODES.map((name) => [name, name === node.name ? 0 : this.nowMs]));
    const stale = node.minority === null ? null : { isSure: false, volumeId: 'v', ...node.minority, silentMs: others };
    const isHeld = isReached ? node.isAttached && this.holder === node.name : stale === null ? 'unknown' : node.isAttached;
    return {
      me: node.name,
      nowMs: this.nowMs,
      wallMs: this.nowMs,
      isDrained: node.isDrained,
      isOrdered: node.orderedFrom !== null && node.orderedFrom === this.told.holder,
      seen: isReached ? { isSure: true, volumeId: 'v', ...this.told, silentMs } : stale,
      local: {
        holds: isHeld,
        isUp: node.isUp,
        isRunning: node.isRunning,
        failure: node.failure,
      },
    };
  }

  private begin(node: SimNode, order: Order): void {
    this.judgeOrder(node, order);
    if (order.kind === 'start') {
      this.judgeStart(node, order);
      if (node.isCut) return this.report(`${node.name} starts it by the word of a minority`);
      // The server decides: a hold of another node ends only by a take-over from that node.
      if (this.holder !== null && this.holder !== node.name && this.holder !== order.from) {
        if (++this.conflicts > 3 + this.causes / CAUSES_EACH) this.report(`${this.conflicts} starts were refused`);
        return;
      }
      this.holder = node.name;
      node.isAttached = true;
      this.note = order.note;
      this.starts++;
    } else if (node.isCut && order.kind !== 'halt' && order.kind !== 'clean')
      this.report(`${node.name}: ${order.kind} by the word of a minority`);
    else if ((order.kind === 'restart' || order.kind === 'save') && this.holder === node.name) this.note = order.note;
    else if (order.kind === 'stop' && order.note !== null && this.holder === node.name) this.note = order.note;
    if (order.kind !== 'save') node.isUp = true;
    if (order.kind !== 'start' && order.kind !== 'save') node.isRunning = false;
    node.busy = { order, untilMs: this.nowMs + STEP_MS * this.random.int(1, 5) };
  }

  private finish(node: SimNode, order: Order): void {
    switch (order.kind) {
      case 'start':
      case 'restart':
        node.failure = null;
        if (this.holder !== node.name || node.isCut) return;
        node.isRunning = !node.isBroken || this.random.chance(0.5);
        if (!node.isRunning) node.failure = { why: 'does not start', final: order.kind === 'start' && this.random.chance(0.5) };
        return;
      case 'stop':
        node.failure = null;
        if (node.isCut) return;
        node.isUp = false;
        node.isAttached = false;
        if (this.holder === node.name) this.holder = null;
        return;
      case 'halt':
      case 'clean':
        node.failure = null;
        node.isUp = false;
        return;
      default:
    }
  }

  private fault(): void {
    const node = this.random.pick(this.nodes);
    this.causes += 2;
    switch (this.random.int(0, 11)) {
      case 0:
        return this.turnOff(node);
      case 1:
        return this.turnOn(node);
      case 2:
        node.isCut = true;
        node.minority = this.random.chance(0.5) ? { holder: this.holder, note: this.note } : null;
        return;
      case 3:
        node.isCut = false;
        return;
      case 4:
        node.isBroken = !node.isBroken;
        this.causes += 4;
        return;
      case 5:
        node.isDrained = !node.isDrained;
        return;
      case 6:
        // The whole cluster loses its power.
        for (const one of this.nodes) this.turnOff(one);
        for (const one of this.nodes) this.turnOn(one);
        this.causes += NODES.length;
        return;
      case 7:
        // The service fails on the only node that is left, and is repaired there.
        for (const one of this.nodes) if (one !== node) this.turnOff(one);
        this.turnOn(node);
        Object.assign(node, { isCut: false, isDrained: false, isBroken: true, repairedMs: this.nowMs + REPAIR_MS });
        this.causes += 4;
        return;
      case 8:
        // Another writer of the record has overwritten the note.
        this.highest = Math.max(this.highest, this.note?.changes ?? 0);
        this.note = null;
        return;
      default:
        return this.administer();
    }
  }

  private turnOff(node: SimNode): void {
    Object.assign(node, { isOn: false, isAttached: false, isUp: false, isRunning: false, busy: null, failure: null });
  }

  private turnOn(node: SimNode): void {
    if (node.isOn) return;
    Object.assign(node, { isOn: true, isCut: false, memory: newMemory(this.nowMs), bootedMs: this.nowMs });
  }

  /** A command is given at the node that has the application, or anywhere if none has it. */
  private administer(): void {
    if (this.random.chance(0.3)) return this.orderTakeOver();
    const at = this.nodes.find(({ name, isOn, isCut }) => isOn && !isCut && (this.holder === null || this.holder === name));
    if (at === undefined || this.note === null) return;
    const { note } = this;
    this.restarts = [];
    switch (this.random.int(0, 3)) {
      case 0:
        this.note = changed(note, { enabled: !note.enabled });
        return;
      case 1:
        this.note = note.started ? changed(note, { started: false }) : startedNote('app', note, '');
        return;
      default:
        this.note = changed(note, { preferred: this.random.pick(NODES), preferredMs: this.nowMs });
    }
  }

  /** `app start` on a node while the holder is silent. */
  private orderTakeOver(): void {
    const gone = this.nodes.find(({ name, silentSinceMs }) => name === this.holder && silentSinceMs !== null);
    const node = this.nodes.find(({ isOn, isCut, name }) => isOn && !isCut && name !== this.holder);
    if (gone === undefined || node === undefined) return;
    node.orderedFrom = gone.name;
    this.restarts = [];
  }

  private heal(node: SimNode): void {
    this.turnOn(node);
    Object.assign(node, { isCut: false, isDrained: false, isBroken: node.isBroken && this.random.chance(0.5) });
  }

  private report(problem: string): void {
    if (this.problems.length < 5) this.problems.push(`${this.nowMs / 1000} s: ${problem}`);
  }

  private judgeStart(node: SimNode, { from }: Extract<Order, { kind: 'start' }>): void {
    if (this.note === null && node.orderedFrom === null) this.report(`${node.name} starts what nobody has started`);
    else if (this.note === null) return;
    else if (!this.note.enabled || !(this.note.started || node.orderedFrom !== null))
      this.report(`${node.name} starts what is disabled or stopped`);
    if (node.isDrained) this.report(`${node.name} starts although it is drained`);
    if (node.isUp && this.holder !== node.name) this.report(`${node.name} starts before it has removed its remains`);
    if (node.isRunning) this.report(`${node.name} starts what runs already`);
    if (this.rests(node.name) && this.hasFailed(node.name) && !node.isAttached && node.orderedFrom === null)
      this.report(`${node.name} starts it where it has just failed`);
    const gone = this.nodes.find(({ name }) => name === from);
    const silentMs = gone?.silentSinceMs === null || gone === undefined ? 0 : this.nowMs - gone.silentSinceMs;
    if (from !== null && silentMs < this.app.silentMs) this.report(`${node.name} takes over from ${from}, which the servers see`);
  }

  private judgeOrder({ name }: SimNode, order: Order): void {
    if (order.kind === 'restart') {
      this.restarts = [...this.restarts.filter(({ atMs }) => this.nowMs - atMs < RESTARTS_MS), { node: name, atMs: this.nowMs }];
      const own = this.restarts.filter(({ node }) => node === name).length;
      if (own > this.app.restarts + 1) this.report(`${name} restarts it ${own} times`);
    }
    const isGivenUp = order.kind === 'stop' && order.note?.started === false;
    const healthy = isGivenUp ? this.nodes.find((node) => this.failuresOf(node.name, order.note).length === 0) : undefined;
    if (healthy !== undefined) this.report(`${name} gives it up, and it has not failed on ${healthy.name}`);
    const to = order.kind === 'stop' ? order.note?.preferred : null;
    const target = this.nodes.find((node) => node.name === to);
    if (order.kind !== 'stop' || target === undefined) return;
    const failures = this.failuresOf(target.name, order.note).filter(({ atMs }) => this.nowMs - atMs < 500_000);
    if (failures.length > this.app.restarts) this.report(`${name} gives it to ${target.name}, where it has failed`);
    if (target.silentSinceMs !== null && this.nowMs - target.silentSinceMs > this.app.silentMs)
      this.report(`${name} gives it to ${target.name}, which is silent`);
  }

  private judge(): void {
    const isWanted = this.note !== null && this.note.enabled && this.note.started;
    for (const node of this.nodes) {
      const isThere = node.isOn && !node.isCut;
      const holds = this.holder === node.name;
      this.last(isThere && node.isUp && !holds, `${node.name} does not remove what it has lost`, LATE_MS);
      this.last(
        isThere && node.isRunning && holds && (!isWanted || node.isDrained),
        `${node.name} goes on with what is not wanted`,
        LATE_MS,
      );
      const isStopped = node.isOn && node.isCut && this.app.stopsInIsolation;
      this.last(isStopped && node.isRunning, `${node.name} runs on in isolation`, this.app.silentMs + LATE_MS);
    }
    if (this.note !== null && this.note.changes < this.highest - UNSEEN_CHANGES)
      this.report('it was taken for new after its note was lost');
    const runs = this.nodes.some(({ isRunning, name }) => isRunning && this.holder === name);
    this.last(isWanted && !runs && this.nodes.some((node) => this.isAble(node)), 'it does not run', DOWN_MAX_MS);
    if (this.starts > 3 * this.causes + 6) this.report(`${this.starts} starts for ${this.causes} causes`);
  }

  /** Reports what lasts too long. */
  private last(isSo: boolean, problem: string, longestMs: number): void {
    if (!isSo) this.since.delete(problem);
    else if (!this.since.has(problem)) this.since.set(problem, this.nowMs);
    else if (this.nowMs - this.since.get(problem)! > longestMs)
      this.report(`${problem}: ${this.nodes.map(({ name, lastWhy }) => `${name}: ${lastWhy}`).join('; ')} ${JSON.stringify(this.note)}`);
  }

  private isAble({ name, isOn, isCut, isBroken, isDrained }: SimNode): boolean {
    return isOn && !isCut && !isBroken && !isDrained && !this.rests(name);
  }

  private failuresOf(name: string, note = this.note): Note['failures'] {
    return note?.failures.filter(({ node, passed }) => node === name && passed !== true) ?? [];
  }

  private rests(name: string): boolean {
    return this.failuresOf(name).some(({ atMs }) => this.nowMs - atMs < FAILED_AGAIN_MS);
  }

  private hasFailed(name: string): boolean {
    const own = this.failuresOf(name).filter(({ atMs }) => this.nowMs - atMs < 500_000);
    return own.length > this.app.restarts || own.some(({ final }) => final);
  }

  private hasNotFailed({ name }: SimNode): boolean {
    return this.note?.failures.every(({ node }) => node !== name) === true;
  }

  private moveAtTheEnd(): void {
    const to = this.nodes.find((node) => this.isAble(node) && node.name !== this.holder && this.hasNotFailed(node));
    const from = this.nodes.find(({ name, isRunning }) => isRunning && this.holder === name);
    if (to === undefined || from === undefined || this.note === null || this.app.failBack) return;
    this.target = to.name;
    this.note = changed(this.note, { preferred: to.name, preferredMs: this.nowMs });
  }

  private judgeEnd(calmStarts: number): void {
    if (calmStarts > 3 + 3 * NODES.length) this.report(`${calmStarts} starts without a new fault`);
    if (this.note === null || !this.note.enabled || !this.note.started) return;
    const running = this.nodes.find(({ isRunning, name }) => isRunning && this.holder === name);
    if (
      this.target !== null &&
      running !== undefined &&
      running.name !== this.target &&
      this.note.failures.every(({ node }) => node !== this.target)
    )
      this.report(`it was not moved to ${this.target}`);
    const [first] = this.app.nodes;
    const firstNode = this.nodes.find(({ name }) => name === first);
    const hasFailed = this.note.failures.some(({ node }) => node === first);
    if (this.app.failBack && running !== undefined && running.name !== first && firstNode?.isBroken === false && !hasFailed)
      this.report(`it has not returned to ${first}`);
  }
}
