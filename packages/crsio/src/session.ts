// One session at a terminal: keeps the state, passes actions to the model, starts effects and draws the screen. Invariant: actions are
// processed one at a time. If an effect answers immediately, its answer is processed after the action that started the effect.

import type { Clock } from '@rsio/common/lib/clock';
import type { State } from './model/state.ts';
import type { Action, Effect } from './model/step.ts';
import { update } from './update/update.ts';

export interface SessionPorts {
  readonly clock: Clock;
  draw(state: State): void;
  run(effect: Effect, dispatch: (action: Action) => void): void;
}

export class Session {
  readonly #ports: SessionPorts;
  #state: State;
  #waiting: Action[] = [];
  #isBusy = false;
  #isDrawing = false;

  constructor(state: State, ports: SessionPorts) {
    this.#state = state;
    this.#ports = ports;
  }

  get state(): State {
    return this.#state;
  }

  start(...effects: readonly Effect[]): void {
    this.#draw();
    for (const effect of effects) this.#run(effect);
  }

  dispatch(action: Action): void {
    this.#waiting.push(action);
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { state, effects } = update(this.#state, next);
      this.#state = state;
      for (const effect of effects) this.#run(effect);
    }
    this.#isBusy = false;
    this.#draw();
  }

  #run(effect: Effect): void {
    this.#ports.run(effect, (action) => this.dispatch(action));
  }

  /** Draws once for all actions that arrive together, for example when one read returns several keys. */
  #draw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    this.#ports.clock.soon(() => {
      this.#isDrawing = false;
      this.#ports.draw(this.#state);
    });
  }
}
