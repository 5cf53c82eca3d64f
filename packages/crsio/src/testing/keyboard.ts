// Simulates a user without a terminal: presses keys, types text, and reads the screen of one part of crsio as text. Everything between the
// keyboard and the ports is production code. Invariant: each step waits until every started effect has finished, except effects that wait
// for the clock.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { draw } from '../machine/draw.ts';
import type { Command, Leaving, Machine } from '../machine/machine.ts';
import { Session } from '../machine/session.ts';
import { SIGNS } from '../widgets/border.ts';
import type { Run, Size } from '../widgets/canvas.ts';
import type { KeyName } from '../widgets/keys.ts';

export class Keyboard<S extends Machine<S>> {
  readonly clock = new FakeClock();
  /** The requests to the daemon. */
  readonly calls: { readonly method: string; readonly params: unknown }[] = [];
  hasLeft = false;
  atStart = false;
  /** Number of keys and characters that the user has pressed so far. */
  keys = 0;
  #session: Session<S> | null = null;

  /** The actions with which the user leaves the part. Here, each action only records that it was called. */
  protected readonly leaving: Leaving = {
    showStart: () => {
      this.atStart = true;
    },
    end: () => {
      this.hasLeft = true;
    },
  };

  protected begin(state: S, first: Command<S>): void {
    this.#session = new Session(state, this.clock, () => {});
    this.#session.dispatch(first);
  }

  get #open(): Session<S> {
    if (this.#session === null) throw new Error('The session has not begun');
    return this.#session;
  }

  get state(): S {
    return this.#open.state;
  }

  /** Presses the named keys. An input `{ text }` types the text. */
  async press(...inputs: readonly (KeyName | { readonly text: string })[]): Promise<void> {
    for (const input of inputs) {
      this.keys += typeof input === 'string' ? 1 : input.text.length;
      this.#open.dispatch(typeof input === 'string' ? { kind: 'key', key: input } : { kind: 'text', text: input.text });
      await settled();
    }
  }

  /** Uses the keyboard to select the line or choice that contains the text. Further texts are on the pages that open. */
  async choose(...labels: readonly string[]): Promise<void> {
    for (const label of labels) {
      const seen = new Set<string>();
      for (let marked = this.marked(); !marked.includes(label); marked = this.marked()) {
        if (seen.has(marked)) throw new Error(`No line to choose with ${label}:\n${this.screen()}`);
        seen.add(marked);
        await this.press('down');
      }
      await this.press('enter');
    }
  }

  resize(size: Size): void {
    this.#open.dispatch({ kind: 'resized', size });
  }

  /** Advances the clock. */
  async pass(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await settled();
  }

  rows(): readonly (readonly Run[])[] {
    return draw(this.state, SIGNS.ascii).canvas.rows();
  }

  /** Returns the lines of the screen without trailing spaces. */
  screen(): string {
    const lines = this.rows().map((runs) => runs.map(({ text }) => text).join(''));
    return lines.map((line) => line.trimEnd()).join('\n');
  }

  /** Returns the text of the screen as one line without the frame. */
  words(): string {
    return this.screen().replaceAll(/[|\s]+/g, ' ');
  }

  question(): string | null {
    return this.state.popups.at(-1)?.text ?? null;
  }

  marked(): string {
    const popup = this.state.popups.at(-1);
    if (popup !== undefined) return popup.choices[popup.focus]?.label ?? '';
    const lines = this.screen().split('\n');
    return lines.find((line) => line.startsWith('| > ')) ?? '';
  }
}

/** Resolves when every started effect has finished, except effects that wait for the clock or for a silent daemon. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
