// What the screens of the server's part show: the page or form of the state, its hint, what is in progress, and the keys that have an effect.
// frame.ts draws it. Pure. Invariant: what rssrv has not answered yet is named, with the time that has passed and the limit.

import type { Signs } from '../widgets/border.ts';
import { LOOK_SILENT_MS, LOOK_WAIT_MS } from '../widgets/limits.ts';
import { formHint } from '../view/form-view.ts';
import { type Drawn, drawPicture } from '../view/frame.ts';
import { doingOf } from './model/order-text.ts';
import { type ServerState, topOf } from './model/state.ts';
import { serverPageOf } from './pages/pages.ts';
import { hasOffers } from './update/perform.ts';

export function drawServerState(state: ServerState, signs: Signs): Drawn {
  const screen = topOf(state);
  const page = serverPageOf(state);
  const words = screen.kind === 'form' ? formHint(screen.form) : { style: 'plain' as const, text: page.hint };
  return drawPicture(
    {
      size: state.size,
      mark: markOf(state),
      title: page.title,
      content: screen.kind === 'form' ? { kind: 'form', form: screen.form } : { kind: 'rows', rows: page.rows, focus: screen.focus },
      words: state.note === null ? words : { style: 'bold', text: state.note },
      keys: keysOf(state),
      popup: state.popups.at(-1) ?? null,
    },
    signs,
  );
}

/** What is in progress. */
function markOf({ pending, nowMs, askingSinceMs }: ServerState): string {
  const seconds = (sinceMs: number): number => Math.floor((nowMs - sinceMs) / 1000);
  const last = pending.at(-1);
  if (last !== undefined) {
    const others = pending.length === 1 ? '' : ` and ${pending.length - 1} more`;
    return `${doingOf(last.order)}${others} ... ${seconds(last.sinceMs)} s `;
  }
  if (askingSinceMs === null || nowMs - askingSinceMs < LOOK_SILENT_MS) return '';
  return `asking rssrv ... ${seconds(askingSinceMs)} s, at most ${LOOK_WAIT_MS / 1000} s `;
}

function keysOf(state: ServerState): string {
  const popup = state.popups.at(-1);
  if (popup?.marks !== undefined) return 'Up Down choose   Space mark   Enter take   Esc close';
  if (popup !== undefined) return popup.choices.length > 0 ? 'Up Down choose   Enter take   Esc close' : 'Up Down scroll   Esc close';
  const screen = topOf(state);
  const keys: readonly (readonly [boolean, string])[] = [
    [true, 'F1 Help'],
    [screen.kind === 'form', 'F3 Apply'],
    [screen.kind === 'form' && hasOffers(screen), 'F4 Choose'],
    [true, 'F7 Action'],
    [serverPageOf(state).rows.some(({ remove }) => remove !== null), 'F8 Remove'],
    [true, 'F10 Leave'],
    [state.screens.length > 1 || state.hasStart, 'Esc Back'],
  ];
  return keys.flatMap(([isThere, text]) => (isThere ? [text] : [])).join('   ');
}
