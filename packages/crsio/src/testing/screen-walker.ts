// A user of crsio without a terminal, for either part of it: presses keys, types text, and reads the screen as text. Everything between the
// keyboard and the ports is production code; what the ports answer belongs to walker.ts and server-walker.ts.

import { FakeClock } from '@rsio/common/testing/fake-clock';
import fc from 'fast-check';
import type { Session } from '../session.ts';
import { SIGNS } from '../widgets/border.ts';
import type { Canvas, Run, Size } from '../widgets/canvas.ts';
import type { KeyName } from '../widgets/keys.ts';

type Input = KeyName | { readonly text: string };

interface Screen {
  readonly popups: readonly { readonly text: string; readonly focus: number; readonly choices: readonly { readonly label: string }[] }[];
}

type ScreenAction =
  | { readonly kind: 'key'; readonly key: KeyName }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'resized'; readonly size: Size };

export abstract class ScreenWalker<State extends Screen, Action, Effect> {
  readonly clock = new FakeClock();
  readonly calls: { readonly method: string; readonly params: unknown }[] = [];
  hasLeft = false;
  atStart = false;
  /** Number of keys and characters so far. */
  keys = 0;
  protected abstract readonly session: Session<State, Action | ScreenAction, Effect>;
  protected abstract draw(signs: typeof SIGNS.ascii): { readonly canvas: Canvas };

  get state(): State {
    return this.session.state;
  }

  /** Presses keys, or types the text of `{text}`; then waits until all started effects have finished. */
  async press(...inputs: readonly Input[]): Promise<void> {
    for (const input of inputs) {
      this.keys += typeof input === 'string' ? 1 : input.text.length;
      this.session.dispatch(typeof input === 'string' ? { kind: 'key', key: input } : { kind: 'text', text: input.text });
      await settled();
    }
  }

  /** Uses the keyboard to select the line or choice that contains the text. */
  async choose(label: string): Promise<void> {
    const seen = new Set<string>();
    for (let marked = this.marked(); !marked.includes(label); marked = this.marked()) {
      if (seen.has(marked)) throw new Error(`No line to choose with ${label}:\n${this.screen()}`);
      seen.add(marked);
      await this.press('down');
    }
    await this.press('enter');
  }

  resize(size: Size): void {
    this.session.dispatch({ kind: 'resized', size });
  }

  /** Advances the clock. */
  async pass(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await settled();
  }

  rows(): readonly (readonly Run[])[] {
    return this.draw(SIGNS.ascii).canvas.rows();
  }

  /** Lines without trailing spaces. */
  screen(): string {
    const lines = this.rows().map((runs) => runs.map(({ text }) => text).join(''));
    return lines.map((line) => line.trimEnd()).join('\n');
  }

  /** Text of the screen as one line without the frame. */
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

/** Waits until every started effect has finished, except effects that wait for the clock or for a silent server. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const KEYS: readonly KeyName[] = [
  ...(['up', 'down', 'left', 'right', 'home', 'end', 'pageup', 'pagedown', 'tab', 'backtab', 'backspace', 'delete'] as const),
  ...(['cut-before', 'cut-after', 'cut-word', 'help', 'show', 'save', 'choose', 'action', 'remove', 'leave', 'escape'] as const),
];

/** Any keys and texts, some of these more often, and of the keys those that open something. */
export function anyInput(texts: readonly string[]): fc.Arbitrary<Input> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<KeyName>('enter', 'down') },
    { weight: 4, arbitrary: fc.constantFrom(...KEYS) },
    { weight: 2, arbitrary: fc.constantFrom(...texts).map((text) => ({ text })) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 5 }).map((text) => ({ text })) },
  );
}
