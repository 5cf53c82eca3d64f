// The events of one application, and the counts for its metrics. Invariants: a failure to remove something is reported once, until the
// removal succeeds or fails in another way; a move is counted when the node has changed, whatever happened in between.

import type { Change } from '@rsio/common/events/event-history';
import type { AppRules } from '../decider/facts.ts';
import type { Note } from '../decider/note.ts';
import { RULES } from '../decider/rules.ts';

/** Counts since rsapp was started, and present faults. */
export interface AppFigures {
  readonly restarts: number;
  readonly failures: number;
  readonly moves: number;
  /** How many of its nodes have failed too often. */
  readonly failedNodes: number;
  /** True if the application runs nowhere, and is either wanted or has failed on all nodes. */
  readonly isMissing: boolean;
}

export class AppNews {
  restarts = 0;
  failures = 0;
  moves = 0;
  private readonly tell: (change: Change) => void;
  private readonly object: string;
  private lastNode: string | null = null;
  private remains: string | null = null;

  constructor(name: string, tell: (change: Change) => void) {
    this.object = `application ${name}`;
    this.tell = tell;
  }

  get hasRemains(): boolean {
    return this.remains !== null;
  }

  /** The state or the node has changed. `from`: empty at the first look, which is not an event. */
  changed(from: string, to: string, node: string | null, why: string): void {
    if (node !== null) {
      if (this.lastNode !== null && this.lastNode !== node) this.moves++;
      this.lastNode = node;
    }
    if (from !== '') this.tell({ object: this.object, from, to, reason: why });
  }

  failed(why: string): void {
    this.failures++;
    this.add('failed', why);
  }

  startFailed(why: string): void {
    this.failures++;
    this.add('start failed', why);
  }

  restarted(why: string): void {
    this.restarts++;
    this.add('restart', why);
  }

  notRemoved(why: string): void {
    if (this.remains !== why) this.add('not removed', why);
    this.remains = why;
  }

  removed(): void {
    this.remains = null;
  }

  /** An administrator has given an order. */
  ordered(order: string): void {
    this.add('order', order);
  }

  private add(to: string, reason: string): void {
    this.tell({ object: this.object, from: '-', to, reason });
  }
}

/** Returns how many nodes have failed too often: now, or at the last failure if the application is stopped. */
export function failedNodes({ nodes, restarts }: Pick<AppRules, 'nodes' | 'restarts'>, note: Note, wallMs: number): number {
  const atMs = note.started ? wallMs : (note.failures.at(-1)?.atMs ?? wallMs);
  return nodes.filter((node) => RULES.isExhausted({ restarts }, note, node, atMs)).length;
}
