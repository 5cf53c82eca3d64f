// One session at a terminal: keeps the state, hands what happens to the model, lets effects be done and the screen be drawn.
// Invariant: things happen one after the other; what an effect answers at once is heard after what asked for it.

import type { Clock } from '@rsio/common/lib/clock';
import type { Action } from './model/action.ts';
import type { Effect } from './model/effect.ts';
import type { State } from './model/state.ts';
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

  /** Draws the first picture and begins what stands at the beginning. */
  begin(...effects: readonly Effect[]): void {
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

  /** Once for all that comes together, such as the letters of one read. */
  #draw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    this.#ports.clock.soon(() => {
      this.#isDrawing = false;
      this.#ports.draw(this.#state);
    });
  }
}
