// One part of crsio at the terminal: keeps the state, passes actions to update(), starts effects and draws the screen. Invariant: actions
// are processed one at a time. If an effect answers immediately, its answer is processed after the action that started the effect.

import type { Clock } from '@rsio/base/lib/clock';
import { type Effect, type Failure, type Machine, reportFailure, step } from './machine.ts';
import { type Action, update } from './update.ts';

export class Session<S extends Machine<S>> {
  readonly #clock: Clock;
  readonly #draw: (state: S) => void;
  #state: S;
  #waiting: Action<S>[] = [];
  #isBusy = false;
  #isDrawing = false;

  constructor(state: S, clock: Clock, draw: (state: S) => void) {
    this.#state = state;
    this.#clock = clock;
    this.#draw = draw;
  }

  get state(): S {
    return this.#state;
  }

  isUnsaved(): boolean {
    return this.#state.role.isUnsaved(this.#state);
  }

  dispatch(action: Action<S>): void {
    this.#waiting.push(action);
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { state, effects } = update(this.#state, next);
      this.#state = state;
      for (const effect of effects) this.#run(effect);
    }
    this.#isBusy = false;
    this.redraw();
  }

  reportFailure(title: string, failure: Failure): void {
    this.dispatch((state) => step(reportFailure(state, title, failure)));
  }

  /** Draws once for all actions that arrive together, for example when one read returns several keys. */
  redraw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    this.#clock.soon(() => {
      this.#isDrawing = false;
      this.#draw(this.#state);
    });
  }

  #run(effect: Effect<S>): void {
    effect((command) => this.dispatch(command));
  }
}
