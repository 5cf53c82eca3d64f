// What the screens of the client's part show: the page or form of the state, its hint, and the keys that have an effect. frame.ts draws it.
// Pure. Invariant: the key line names no key without an effect.

import { focused, type Form } from '../model/form.ts';
import { isUnsaved, type State, topScreen } from '../model/state.ts';
import { pageOf } from '../pages/pages.ts';
import type { Signs } from '../widgets/border.ts';
import { formHint } from './form-view.ts';
import { type Drawn, drawPicture } from './frame.ts';

export function drawState(state: State, signs: Signs): Drawn {
  const screen = topScreen(state);
  const page = pageOf(state);
  const words = screen.kind === 'form' ? formHint(screen.form) : { style: 'plain' as const, text: page.hint };
  return drawPicture(
    {
      size: state.size,
      mark: isUnsaved(state) ? '* not saved ' : '',
      title: page.title,
      content: screen.kind === 'form' ? { kind: 'form', form: screen.form } : { kind: 'rows', rows: page.rows, focus: screen.focus },
      words: state.note === null ? words : { style: 'bold', text: state.note },
      keys: keysOf(state),
      popup: state.popups.at(-1) ?? null,
    },
    signs,
  );
}

function keysOf(state: State): string {
  const popup = state.popups.at(-1);
  if (popup !== undefined) return popup.choices.length > 0 ? 'Up Down choose   Enter take   Esc close' : 'Up Down scroll   Esc close';
  const screen = topScreen(state);
  const own = screen.kind === 'form' ? formKeys(screen.form) : { hasSecrets: false, hasChoices: false };
  const canRemove = pageOf(state).rows.some(({ remove }) => remove !== null);
  const keys: readonly (readonly [boolean, string])[] = [
    [true, 'F1 Help'],
    [own.hasSecrets, 'F2 Show keys'],
    [true, 'F3 Save'],
    [own.hasChoices, 'F4 Choose'],
    [true, 'F7 Action'],
    [canRemove, 'F8 Remove'],
    [true, 'F10 Leave'],
    [state.screens.length > 1 || state.hasStart, 'Esc Back'],
  ];
  return keys.flatMap(([isThere, text]) => (isThere ? [text] : [])).join('   ');
}

/** `hasSecrets` is true if F2 has an effect in this form; `hasChoices` is true if F4 has an effect on the focused field. */
function formKeys(form: Form): { readonly hasSecrets: boolean; readonly hasChoices: boolean } {
  const here = focused(form);
  return {
    hasSecrets: form.fields.some(({ entry }) => entry.type.isSecret),
    hasChoices: here.kind === 'field' && here.field.offers.length > 0,
  };
}
