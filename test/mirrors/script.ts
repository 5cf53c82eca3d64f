// The script of a directed walk: a row of scenes, each of which forbids some steps, until a certain step was made. What it leaves open belongs to
// chance. A script leads to a situation that random walks hardly meet, such as a configuration that one certain voter alone has stored.

import type { Step } from './data-steps.ts';

export interface Scene {
  /** The step with which the scene ends. */
  readonly until: RegExp;
  /** Steps that are not made. */
  readonly never?: RegExp;
  /** If some of these are possible, one of them is made. */
  readonly first?: RegExp;
}

export class Script {
  readonly #scenes: readonly Scene[];
  #at = 0;

  constructor(scenes: readonly Scene[]) {
    this.#scenes = scenes;
  }

  /** The steps among which chance has the choice. */
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
