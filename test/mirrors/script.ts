// The script of a directed walk: a sequence of scenes. Each scene forbids some steps until its last step is made. Chance decides everything
// else. A script leads to a situation that random walks rarely reach, such as a configuration that only one particular voter has stored.

import type { Step } from './data-steps.ts';

export interface Scene {
  /** The step with which the scene ends. */
  readonly until: RegExp;
  /** Steps that are forbidden. */
  readonly never?: RegExp;
  /** If steps that match this pattern are possible, one of them is made before all other steps. */
  readonly first?: RegExp;
}

export class Script {
  readonly #scenes: readonly Scene[];
  #at = 0;

  constructor(scenes: readonly Scene[]) {
    this.#scenes = scenes;
  }

  /** Returns the steps from which chance may choose now. */
  of(steps: readonly Step[]): readonly Step[] {
    const scene = this.#scenes[this.#at];
    if (scene === undefined) return steps;
    const { never, first, until } = scene;
    const allowed = steps.filter(([, name]) => until.test(name) || never?.test(name) !== true);
    const wanted = allowed.filter(([, name]) => until.test(name) || first?.test(name) === true);
    return wanted.length > 0 ? wanted : allowed;
  }

  made(name: string): void {
    if (this.#scenes[this.#at]?.until.test(name) === true) this.#at += 1;
  }
}
