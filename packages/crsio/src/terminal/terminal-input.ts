// Converts the terminal's key events to inputs of the page machine: keys by name, typed text, and a bracketed paste as one text. Characters
// beyond the first Unicode plane arrive as two events and are joined here. Keys that no screen uses are dropped.

import type { Input, KeyName } from '../widgets/keys.ts';

export interface KeyEvent {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly code?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
  readonly shift?: boolean | undefined;
}

const KEYS: Readonly<Record<string, KeyName>> = {
  up: 'up',
  down: 'down',
  left: 'left',
  right: 'right',
  home: 'home',
  end: 'end',
  pageup: 'pageup',
  pagedown: 'pagedown',
  tab: 'tab',
  'S-tab': 'backtab',
  return: 'enter',
  escape: 'escape',
  // The event that blessed reports for two presses of Escape in one read.
  'M-escape': 'escape',
  backspace: 'backspace',
  delete: 'delete',
  f1: 'help',
  f2: 'show',
  f3: 'save',
  f4: 'choose',
  f7: 'action',
  f8: 'remove',
  f10: 'leave',
  // Esc followed by a digit replaces a function key that the terminal intercepts.
  'M-1': 'help',
  'M-2': 'show',
  'M-3': 'save',
  'M-4': 'choose',
  'M-7': 'action',
  'M-8': 'remove',
  'M-0': 'leave',
  'C-a': 'home',
  'C-b': 'left',
  'C-c': 'leave',
  'C-d': 'delete',
  'C-e': 'end',
  'C-f': 'right',
  'C-k': 'cut-after',
  'C-n': 'down',
  'C-p': 'up',
  'C-u': 'cut-before',
  'C-w': 'cut-word',
};
const PASTE_BEGINS = '[200~';
const PASTE_ENDS = '[201~';
/** A press of Escape that is directly followed by the beginning of another key's sequence. */
const ESCAPED_CODES = ['\x1b\x1b[', '\x1b\x1bO'];

export class TerminalInput {
  #pasted: string | null = null;
  #half = '';

  /** Returns the inputs that the event completes: none, one or two. Returns two inputs if Escape and another key arrived in one read. */
  take(character: string | undefined, event: KeyEvent | undefined): readonly Input[] {
    const input = this.#take(character, event);
    if (input === null) return [];
    return isBehindEscape(event) ? [{ kind: 'key', key: 'escape' }, input] : [input];
  }

  #take(character: string | undefined, event: KeyEvent | undefined): Input | null {
    if (event?.code === PASTE_BEGINS) {
      this.#pasted = '';
      return null;
    }
    if (this.#pasted !== null) return this.#paste(this.#pasted, character, event);
    const name = event === undefined ? undefined : KEYS[fullName(event)];
    if (name !== undefined) return { kind: 'key', key: name };
    if (character === undefined || event?.ctrl === true || event?.meta === true || isControl(character)) return null;
    return this.#type(character);
  }

  #paste(pasted: string, character: string | undefined, event: KeyEvent | undefined): Input | null {
    if (event?.code === PASTE_ENDS) {
      this.#pasted = null;
      return { kind: 'text', text: pasted };
    }
    // blessed reports each line end twice; the second report is named `enter`.
    const again = event?.name === 'enter' && event.sequence === '\r';
    if (!again) this.#pasted = pasted + (character ?? '');
    return null;
  }

  #type(character: string): Input | null {
    const text = this.#half + character;
    this.#half = /[\ud800-\udbff]$/.test(text) && text.length === 1 ? text : '';
    return this.#half === '' ? { kind: 'text', text } : null;
  }
}

function fullName({ name = '', ctrl, meta, shift }: KeyEvent): string {
  return `${ctrl === true ? 'C-' : ''}${meta === true ? 'M-' : ''}${shift === true && name === 'tab' ? 'S-' : ''}${name}`;
}

/**
 * True if Escape came before the given key in the same read. Arrow keys are excluded, because some terminals send an Escape before them
 * while Alt is held.
 */
function isBehindEscape(event: KeyEvent | undefined): boolean {
  const { name = '', sequence = '' } = event ?? {};
  return ESCAPED_CODES.includes(sequence.slice(0, 3)) && !['up', 'down', 'left', 'right'].includes(name);
}

function isControl(character: string): boolean {
  return /\p{Cc}/u.test(character);
}
