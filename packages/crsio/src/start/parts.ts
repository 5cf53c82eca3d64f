// The parts of crsio on this machine: client, server, and the start page if there are both. Shows one part at a time, and keeps the state
// of the other parts. Invariant: crsio never loses unsaved changes of the client's file without a question, whichever part is shown when
// the user leaves.

import { failureOf, type Failure, type Leaving } from '../machine/machine.ts';
import type { Size } from '../widgets/canvas.ts';
import type { Input } from '../widgets/keys.ts';

type PartAction = Input | { readonly kind: 'resized'; readonly size: Size };

/** A session of one part. */
interface Part {
  dispatch(action: PartAction): void;
  redraw(): void;
  /** True if leaving now would lose changes. */
  isUnsaved(): boolean;
  reportFailure(title: string, failure: Failure): void;
}

export type PartKind = 'appliance' | 'server' | 'client' | 'start';

export class Parts {
  readonly #makers: Readonly<Record<PartKind, () => Part>>;
  readonly #leave: () => void;
  readonly #open = new Map<PartKind, Part>();
  #shown: PartKind;
  #size: Size | null = null;

  /**
   * Each function in `makers` opens a part, and throws if the part cannot be opened, for example because the client's file has errors.
   * `leave` ends crsio.
   */
  constructor(makers: Readonly<Record<PartKind, () => Part>>, first: PartKind, leave: () => void) {
    this.#makers = makers;
    this.#leave = leave;
    this.#shown = first;
  }

  get isUnsaved(): boolean {
    return [...this.#open.values()].some((part) => part.isUnsaved());
  }

  /** True if this part is shown and may therefore draw. */
  isShown(kind: PartKind): boolean {
    return this.#shown === kind;
  }

  /** Shows the first part. Throws the error of the part's maker if the part cannot be opened. */
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

  /** Shows a part. If the part cannot be opened, the start page says why. */
  show(kind: PartKind): void {
    const start = this.#shown === 'start' ? this.#open.get('start') : undefined;
    try {
      // `#shown` is set before the part is made, because the part may draw while it is being made.
      this.#shown = kind;
      const part = this.#open.get(kind) ?? this.#made(kind);
      part.redraw();
    } catch (thrown) {
      if (start === undefined) throw thrown;
      this.#shown = 'start';
      start.reportFailure('Not opened', failureOf(thrown));
    }
  }

  leavingFrom(kind: PartKind): Leaving {
    return { showStart: () => this.show('start'), end: () => this.leaveFrom(kind) };
  }

  /** Leaves crsio. If another part has unsaved changes, shows that part and asks about these changes instead. */
  leaveFrom(kind: PartKind): void {
    const other = [...this.#open].find(([each, part]) => each !== kind && part.isUnsaved());
    if (other === undefined) return this.#leave();
    this.show(other[0]);
    other[1].dispatch({ kind: 'key', key: 'leave' });
  }

  #made(kind: PartKind): Part {
    const part = this.#makers[kind]();
    this.#open.set(kind, part);
    if (this.#size !== null) part.dispatch({ kind: 'resized', size: this.#size });
    return part;
  }
}
