// The orders of an administrator for one application. Each becomes a change of the note, which the decider then follows; the order is answered
// when its result is there. Invariants: orders for an application are given at the node that holds it, except a start while the servers do
// not see the holder; every order is answered within COMMAND_WAIT_MS; a start or a move is reported as done only if the application runs.

import { randomUUID } from 'node:crypto';
import type { AppOrder } from '@rsio/api/rsapp/app-methods';
import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { startedNote } from '../decider/decide.ts';
import { changed, newNote, type Note } from '../decider/note.ts';
import { COMMAND_WAIT_MS, COMMANDS_WAITING_MAX } from '../limits.ts';

/** The part of an application's runner that an order needs. */
export interface CommandTarget {
  readonly app: Pick<ApplicationConfig, 'name' | 'nodes' | 'volumes'>;
  readonly node: string;
  readonly note: Note | null;
  readonly holder: string | null;
  readonly isHeld: boolean;
  readonly isRunning: boolean;
  readonly isUp: boolean;
  readonly isDrained: boolean;
  /** Node that would take it over. */
  readonly next: string | null;
  readonly wallMs: number;
  readonly nowMs: number;
  /** Why nothing goes on at the moment; '' if no reason is known. */
  readonly reason: string;
  isSilent(node: string): boolean;
  writeAs(note: Note, keeps: boolean): Promise<void>;
}

interface Waiting {
  readonly order: AppOrder;
  /** A move without a node gets one when it begins. */
  to: string | null;
  /** The silent node that a start takes it from. */
  from: string | null;
  readonly untilMs: number;
  readonly resolve: () => void;
  readonly reject: (error: RsError) => void;
  isGiven: boolean;
}

export class Commands {
  private readonly target: CommandTarget;
  private readonly waiting = new Set<Waiting>();

  constructor(target: CommandTarget) {
    this.target = target;
  }

  /** Resolves when the result of the order is there. */
  give(order: AppOrder, to: string | null): Promise<void> {
    if (this.waiting.size >= COMMANDS_WAITING_MAX)
      return Promise.reject(
        new RsError('E_LIMIT', `${COMMANDS_WAITING_MAX} orders for ${this.target.app.name} wait already: try again later`),
      );
    return new Promise((resolve, reject) => {
      this.waiting.add({ order, to, from: null, untilMs: this.target.nowMs + COMMAND_WAIT_MS, resolve, reject, isGiven: false });
    });
  }

  /** A start waits for the take-over from a silent holder. */
  get takesOver(): boolean {
    const { holder } = this.target;
    return holder !== null && [...this.waiting].some(({ from }) => from === holder);
  }

  /** Called with fresh facts: begins the next order. Returns true if it has changed the note. */
  async next(): Promise<boolean> {
    const one = [...this.waiting].find(({ isGiven }) => !isGiven);
    if (one === undefined) return false;
    one.isGiven = true;
    try {
      one.from = this.silentHolderFor(one.order);
      if (one.from !== null) return false;
      const note = this.noteFor(one.order, one.to);
      const keeps = one.order === 'start' || this.target.isHeld;
      if (one.order === 'move') one.to = note?.preferred ?? null;
      if (note !== null) await this.target.writeAs(note, keeps);
      return note !== null;
    } catch (thrown) {
      this.end(one, toRsError(thrown));
      return false;
    }
  }

  /** Answers the orders whose result is there, and those that have waited too long. */
  settle(): void {
    for (const one of this.waiting) {
      if (!one.isGiven) this.expire(one, 'rsiod or too few servers answer, so that it was not begun');
      else if (this.hasResult(one)) this.end(one, null);
      else {
        const why = this.failureOf(one);
        if (why !== null) this.end(one, new RsError('E_SYSTEM', why));
        else this.expire(one, 'it goes on: rsconfig app list shows how');
      }
    }
  }

  /** rsapp ends, or the application leaves the configuration. */
  stop(why: string): void {
    for (const one of this.waiting) this.end(one, new RsError('E_SHUTTING_DOWN', why));
  }

  private expire(one: Waiting, why: string): void {
    const { nowMs, reason } = this.target;
    if (nowMs < one.untilMs) return;
    const because = reason === '' ? '' : ` (${reason})`;
    this.end(one, new RsError('E_TIMEOUT', `The order was not done within ${COMMAND_WAIT_MS / 1000} s${because}; ${why}`));
  }

  private end(one: Waiting, error: RsError | null): void {
    this.waiting.delete(one);
    if (error === null) one.resolve();
    else one.reject(error);
  }

  private hasResult({ order, to }: Waiting): boolean {
    const { target } = this;
    switch (order) {
      case 'start':
        return this.runsOn !== null;
      case 'move':
        // Until a node has written its own note, it may still lose the volume that it has.
        return to !== null && this.runsOn === to && target.note?.preferred !== to;
      case 'stop':
      case 'disable':
        return !target.isUp && !target.isHeld;
      case 'enable':
        return true;
    }
  }

  /** The node on which the application runs. Another node says so in the note; a silent node may no longer run it. */
  private get runsOn(): string | null {
    const { holder, node, note, isRunning } = this.target;
    if (isRunning) return node;
    return holder === null || holder === node || this.target.isSilent(holder) || note?.runs === false ? null : holder;
  }

  /** Why the order cannot succeed any more; null if it still may. */
  private failureOf({ order, to, from }: Waiting): string | null {
    const { note, holder, node, app } = this.target;
    if (note === null || (from !== null && from === holder) || (order !== 'start' && order !== 'move')) return null;
    if (!note.started) return note.why === '' ? 'It was stopped meanwhile' : `It failed: ${note.why}`;
    const failed = (name: string | null): boolean => note.failures.some((one) => one.node === name && one.passed !== true);
    const isAway = holder === null && this.target.next === null;
    if (order === 'start') return isAway && failed(node) ? `It failed on ${node}, and no other node is ready: ${note.why}` : null;
    const { runsOn } = this;
    // Until the order is carried out, it still runs here.
    if (runsOn === null || runsOn === to || note.preferred === to) return null;
    return `${to ?? ''} did not take ${app.name}; it runs on ${runsOn}${failed(to) ? `: ${note.why}` : ''}`;
  }

  /** The silent node from which a start takes the application; null: none has it. Throws if the order cannot be given here. */
  private silentHolderFor(order: AppOrder): string | null {
    const { holder, node, note, app } = this.target;
    const { name, volumes, nodes } = app;
    if (order === 'start' && !nodes.includes(node))
      throw new RsError('E_USAGE', `This node is not among the nodes of ${name}: ${nodes.join(', ')}`);
    if (order === 'start' && this.target.isDrained) throw new RsError('E_USAGE', 'This node is drained: rsconfig node drain --end');
    if (holder === null || holder === node) return null;
    if (!this.target.isSilent(holder)) throw new RsError('E_HELD', `Node ${holder} has ${name}: give the order there`);
    const gone = `Node ${holder} has ${name}, and the servers do not see this node`;
    if (note?.enabled === false)
      throw new RsError('E_HELD', `${gone}. It is disabled: rsconfig -a --take-over ${volumes[0] ?? ''}, then rsconfig app enable ${name}`);
    if (order !== 'start') throw new RsError('E_HELD', `${gone}: rsconfig app start ${name} takes it over to this node, with proof`);
    return holder;
  }

  /** Returns the note after the order; null if the note already is as the order wants it. Throws the refusal. */
  private noteFor(order: AppOrder, to: string | null): Note | null {
    const { target } = this;
    const { name } = target.app;
    const { note } = target;
    const line = randomUUID();
    switch (order) {
      case 'start':
        if (note?.enabled === false) throw new RsError('E_USAGE', `${name} is disabled: rsconfig app enable ${name}`);
        return startedNote(name, note, line);
      case 'stop':
        return note?.started === false && note.why === ''
          ? null
          : changed(note ?? newNote(name, line), { started: false, preferred: null, why: '' });
      case 'enable':
        return note?.enabled === true ? null : changed(note ?? { ...newNote(name, line), started: false }, { enabled: true });
      case 'disable':
        return note?.enabled === false
          ? null
          : changed(note ?? { ...newNote(name, line), started: false }, { enabled: false, preferred: null });
      case 'move':
        return this.moved(note, to);
    }
  }

  private moved(note: Note | null, to: string | null): Note {
    const { target } = this;
    const { name, nodes } = target.app;
    const chosen = to ?? nodes.find((node) => node !== target.node && !target.isSilent(node)) ?? '';
    if (!target.isHeld || note === null || !note.started)
      throw new RsError('E_USAGE', `${name} does not run here: rsconfig app start ${name}`);
    if (!nodes.includes(chosen) || chosen === target.node)
      throw new RsError(
        'E_USAGE',
        `${name} cannot move to ${quoteText(chosen)}: its nodes are ${nodes.join(', ')}, and this is ${target.node}`,
      );
    if (target.isSilent(chosen)) throw new RsError('E_UNREACHABLE', `The servers have no path of node ${chosen}: choose another one`);
    const failures = note.failures.filter(({ node }) => node !== chosen);
    return changed(note, { preferred: chosen, preferredMs: target.wallMs, runs: false, failures });
  }
}
