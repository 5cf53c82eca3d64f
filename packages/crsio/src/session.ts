// One session at a terminal: keeps the state, passes actions to the model, starts effects and draws the screen. Each part of crsio (start
// page, client, server) has a session. Invariant: actions are processed one at a time. If an effect answers immediately, its answer is
// processed after the action that started the effect.

import type { Clock } from '@rsio/common/lib/clock';

/** `S`: the state; `A`: what happens to it; `E`: the effects that it causes. */
export interface SessionPorts<S, A, E> {
  readonly clock: Clock;
  update(state: S, action: A): { readonly state: S; readonly effects: readonly E[] };
  draw(state: S): void;
  run(effect: E, dispatch: (action: A) => void): void;
}

export class Session<S, A, E> {
  readonly #ports: SessionPorts<S, A, E>;
  #state: S;
  #waiting: A[] = [];
  #isBusy = false;
  #isDrawing = false;

  constructor(state: S, ports: SessionPorts<S, A, E>) {
    this.#state = state;
    this.#ports = ports;
  }

  get state(): S {
    return this.#state;
  }

  start(...effects: readonly E[]): void {
    this.redraw();
    for (const effect of effects) this.#run(effect);
  }

  dispatch(action: A): void {
    this.#waiting.push(action);
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { state, effects } = this.#ports.update(this.#state, next);
      this.#state = state;
      for (const effect of effects) this.#run(effect);
    }
    this.#isBusy = false;
    this.redraw();
  }

  /** Draws once for all actions that arrive together, for example when one read returns several keys. */
  redraw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    this.#ports.clock.soon(() => {
      this.#isDrawing = false;
      this.#ports.draw(this.#state);
    });
  }

  #run(effect: E): void {
    this.#ports.run(effect, (action) => this.dispatch(action));
  }
}
