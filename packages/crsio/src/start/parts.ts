// The parts of crsio on this machine: client, server, and the start page if there are both. Shows one of them at a time, and keeps the others
// as the user left them. Invariant: leaving never loses unsaved changes of the client's file without a question, wherever the user is.

import { failureOf, type Leaving, reportFailure, step } from '../machine/machine.ts';
import type { Session } from '../machine/session.ts';
import type { Size } from '../widgets/canvas.ts';
import type { Input } from '../widgets/keys.ts';
import type { StartState } from './start-page.ts';

type PartAction = Input | { readonly kind: 'resized'; readonly size: Size };

/** A session of one part. */
interface Part {
  dispatch(action: PartAction): void;
  redraw(): void;
  /** True if leaving now would lose changes. */
  isUnsaved(): boolean;
}

interface PartMakers {
  readonly server: ((parts: Parts) => Part) | null;
  /** Throws if the client's file cannot be edited. */
  readonly client: ((parts: Parts) => Part) | null;
  readonly start: (parts: Parts) => Session<StartState>;
}

export type PartKind = 'server' | 'client' | 'start';

export class Parts {
  readonly #makers: PartMakers;
  readonly #leave: () => void;
  readonly #open = new Map<PartKind, Part>();
  #shown: PartKind;
  #size: Size | null = null;

  /** Throws what making the only part throws. `leave` ends crsio. */
  constructor(makers: PartMakers, leave: () => void) {
    this.#makers = makers;
    this.#leave = leave;
    this.#shown = makers.server === null ? 'client' : makers.client === null ? 'server' : 'start';
  }

  get hasStart(): boolean {
    return this.#makers.server !== null && this.#makers.client !== null;
  }

  /** True if leaving now would lose changes. */
  get isUnsaved(): boolean {
    return [...this.#open.values()].some((part) => part.isUnsaved());
  }

  /** True if this part is shown, and may draw. */
  isShown(kind: PartKind): boolean {
    return this.#shown === kind;
  }

  begin(): void {
    this.show(this.#shown);
  }

  dispatch(action: PartAction): void {
    if (action.kind !== 'resized') {
      this.#open.get(this.#shown)?.dispatch(action);
      return;
    }
    this.#size = action.size;
    for (const part of this.#open.values()) part.dispatch(action);
  }

  /** Shows a part; on the start page, says why it cannot be shown. */
  show(kind: PartKind): void {
    const before = this.#shown;
    try {
      // A part that is being made may draw.
      this.#shown = kind;
      const part = this.#open.get(kind) ?? this.#made(kind);
      part.redraw();
    } catch (thrown) {
      if (before !== 'start' || kind === 'start') throw thrown;
      this.#shown = 'start';
      const failure = failureOf(thrown);
      this.#startPage?.dispatch((state) => step(reportFailure(state, 'Not opened', failure)));
    }
  }

  leavingFrom(kind: PartKind): Leaving {
    return { showStart: () => this.show('start'), end: () => this.leaveFrom(kind) };
  }

  /** Leaves crsio. Unsaved changes of another part are shown, with its question. */
  leaveFrom(kind: PartKind): void {
    const other = [...this.#open].find(([each, part]) => each !== kind && part.isUnsaved());
    if (other === undefined) return this.#leave();
    this.show(other[0]);
    other[1].dispatch({ kind: 'key', key: 'leave' });
  }

  #startPage: ReturnType<PartMakers['start']> | null = null;

  #made(kind: PartKind): Part {
    const make = kind === 'start' ? null : this.#makers[kind];
    const part = kind === 'start' ? (this.#startPage ??= this.#makers.start(this)) : make?.(this);
    if (part === undefined) throw new Error(`This machine has no part ${kind}`);
    this.#open.set(kind, part);
    if (this.#size !== null) part.dispatch({ kind: 'resized', size: this.#size });
    return part;
  }
}
