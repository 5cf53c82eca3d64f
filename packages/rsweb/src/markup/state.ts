// Shows states as a sign, a word and a colour, so that a state never depends on its colour alone. Pure. Invariant: an unknown state is
// shown with its own word and the neutral colour.

import { type Html, html } from './html.ts';

export type Tone = 'good' | 'bad' | 'warn' | 'idle';

const TONES: Readonly<Record<string, Tone>> = {
  up: 'good',
  connected: 'good',
  served: 'good',
  ready: 'good',
  listening: 'good',
  running: 'good',
  'in sync': 'good',
  answers: 'good',
  known: 'good',
  starting: 'warn',
  stopping: 'warn',
  connecting: 'warn',
  proving: 'warn',
  suspect: 'warn',
  probation: 'warn',
  copying: 'warn',
  paused: 'warn',
  stopped: 'warn',
  waiting: 'warn',
  unfinished: 'warn',
  down: 'bad',
  silent: 'bad',
  unavailable: 'bad',
  behind: 'bad',
  fenced: 'bad',
  failing: 'bad',
  absent: 'bad',
  refused: 'bad',
  closed: 'bad',
  diverged: 'bad',
  split: 'bad',
  stops: 'bad',
  moves: 'warn',
  degraded: 'warn',
  error: 'bad',
  warning: 'warn',
};
/** The signs differ in shape, for readers who cannot distinguish the colours. */
const SIGNS: Readonly<Record<Tone, string>> = { good: '\u25cf', bad: '\u2716', warn: '\u25b2', idle: '\u25cb' };

export function toneOf(state: string): Tone {
  return (Object.hasOwn(TONES, state) ? TONES[state] : undefined) ?? 'idle';
}

export function stateBadge(state: string): Html {
  const tone = toneOf(state);
  return html`<span class="state ${tone}"><span aria-hidden="true">${SIGNS[tone]}</span> ${state}</span>`;
}
