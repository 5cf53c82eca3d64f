// The orders of an administrator for one application. Each becomes a change of the note, which the decider then follows; the order is answered
// when its result is there. Invariants: an application that another node holds takes its orders there; every order is answered within
// COMMAND_WAIT_MS.

import type { AppOrder } from '@rsio/common/control/app-methods';
import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { quoteText } from '@rsio/common/lib/units';
import { startedNote } from '../decider/decide.ts';
import { changed, newNote, type Note } from '../decider/note.ts';
import { COMMAND_WAIT_MS, COMMANDS_WAITING_MAX } from '../limits.ts';

/** What an order needs of the runner of its application. */
export interface CommandTarget {
  readonly app: Pick<ApplicationConfig, 'name' | 'nodes'>;
  readonly node: string;
  readonly note: Note | null;
  readonly holder: string | null;
  readonly isHeld: boolean;
  readonly isRunning: boolean;
  readonly isUp: boolean;
  readonly wallMs: number;
  readonly nowMs: number;
  isSilent(node: string): boolean;
  writeAs(note: Note, keeps: boolean): Promise<void>;
}

interface Waiting {
  readonly order: AppOrder;
  /** A move without a node gets one when it begins. */
  to: string | null;
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
      this.waiting.add({ order, to, untilMs: this.target.nowMs + COMMAND_WAIT_MS, resolve, reject, isGiven: false });
    });
  }

  /** Called with fresh facts: begins the next order. Returns true if it has changed the note. */
  async next(): Promise<boolean> {
    const one = [...this.waiting].find(({ isGiven }) => !isGiven);
    if (one === undefined) return false;
    one.isGiven = true;
    try {
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
      else if (one.order === 'start' && this.target.note?.started === false)
        this.end(one, new RsError('E_SYSTEM', `It failed: ${this.target.note.why}`));
      else this.expire(one, 'it goes on: rsconfig app list shows how');
    }
  }

  /** rsapp ends, or the application leaves the configuration. */
  stop(why: string): void {
    for (const one of this.waiting) this.end(one, new RsError('E_SHUTTING_DOWN', why));
  }

  private expire(one: Waiting, why: string): void {
    if (this.target.nowMs < one.untilMs) return;
    this.end(one, new RsError('E_TIMEOUT', `The order was not done within ${COMMAND_WAIT_MS / 1000} s; ${why}`));
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
        return target.isRunning || (target.holder !== null && target.holder !== target.node);
      case 'move':
        // With its own note, the node has begun the start. A node that only has the volume may still lose it.
        return target.holder === to && target.note?.preferred !== to;
      case 'stop':
      case 'disable':
        return !target.isUp && !target.isHeld;
      case 'enable':
        return true;
    }
  }

  /** Returns the note after the order; null if it is as the order wants it already. Throws the refusal. */
  private noteFor(order: AppOrder, to: string | null): Note | null {
    const { target } = this;
    const { name, nodes } = target.app;
    const { note } = target;
    if (target.holder !== null && target.holder !== target.node)
      throw new RsError('E_HELD', `Node ${target.holder} has ${name}: give the order there`);
    switch (order) {
      case 'start':
        if (note?.enabled === false) throw new RsError('E_USAGE', `${name} is disabled: rsconfig app enable ${name}`);
        if (!nodes.includes(target.node)) throw new RsError('E_USAGE', `This node is not among the nodes of ${name}: ${nodes.join(', ')}`);
        return startedNote(name, note);
      case 'stop':
        return note?.started === false ? null : changed(note ?? newNote(name), { started: false, preferred: null, why: '' });
      case 'enable':
        return note?.enabled === true ? null : changed(note ?? { ...newNote(name), started: false }, { enabled: true });
      case 'disable':
        return note?.enabled === false ? null : changed(note ?? { ...newNote(name), started: false }, { enabled: false, preferred: null });
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
    return changed(note, { preferred: chosen, preferredMs: target.wallMs, failures });
  }
}
