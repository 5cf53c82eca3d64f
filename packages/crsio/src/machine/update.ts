// Computes the next state and the effects after a key, typed text, a new size or a command. Pure, so that whole sessions can be tested
// without a terminal. Invariant: while the terminal is too small, no key works except F10, and F10 works only if the part can be left
// without a question.

import { isLargeEnough, pageSize } from '../widgets/border.ts';
import type { Size } from '../widgets/canvas.ts';
import type { Input, KeyName } from '../widgets/keys.ts';
import { graphemesOf } from '../widgets/text-width.ts';
import { pressForm } from './form.ts';
import { acceptTop, dropForm, formContent, openOffers } from './form-page.ts';
import { type Command, end, type FormPage, type ListPage, type Machine, type Popup, popped, type Step, step } from './machine.ts';
import { topOf, withPopup, withTop } from './machine.ts';
import { popupFocus } from './popup-view.ts';
import type { Choice, Content } from './rows.ts';
import { markedRow, pageFocus } from './rows-view.ts';

export type Action<S> = Input | { readonly kind: 'resized'; readonly size: Size } | Command<S>;

export function update<S extends Machine<S>>(state: S, action: Action<S>): Step<S> {
  if (typeof action === 'function') return action(state);
  return action.kind === 'resized' ? step({ ...state, size: action.size }) : press(state, action);
}

export function contentOf<S extends Machine<S>>(state: S): Content<Command<S>> {
  const top = topOf(state);
  return top.kind === 'form' ? formContent(top) : top.content(state, top.filter ?? '');
}

function press<S extends Machine<S>>(before: S, input: Input): Step<S> {
  const { role } = before;
  if (!isLargeEnough(before.size)) return input.kind === 'key' && input.key === 'leave' && role.mayEnd(before) ? end(before) : step(before);
  const state: S = { ...before, note: null, isUsed: true };
  const popup = state.popups.at(-1);
  if (popup !== undefined) return pressPopup(state, popup, input);
  if (input.kind === 'key') {
    switch (input.key) {
      case 'help':
        return showHelp(state);
      case 'save':
        return role.save(state);
      case 'action':
        return step(showActions(state));
      case 'leave':
        return role.leave(state);
      default:
    }
  }
  const top = topOf(state);
  if (top.kind === 'form') return pressFormPage(state, top, input);
  return input.kind === 'text' ? step(typed(state, top, input.text)) : pressList(state, top, input.key);
}

export function showHelp<S extends Machine<S>>(state: S): Step<S> {
  return step(withPopup(state, { ...contentOf(state).help, choices: [], focus: 0 }));
}

function showActions<S extends Machine<S>>(state: S): S {
  const { actions } = contentOf(state);
  if (actions === null) return state;
  const choices: readonly Choice<Command<S>>[] = actions.length === 0 ? [{ label: 'Nothing to do here', command: null }] : actions;
  return withPopup(state, { title: 'Action', text: '', choices, focus: 0 });
}

function pressPopup<S extends Machine<S>>(state: S, popup: Popup<Command<S>>, input: Input): Step<S> {
  const closed: S = { ...state, popups: state.popups.slice(0, -1) };
  if (input.kind === 'text') return step(input.text === ' ' && popup.mark ? withPopup(closed, popup.mark(popup.focus)) : state);
  const { key } = input;
  // While a popup is open, F10 and Ctrl-C close only the popup.
  if (key === 'escape' || key === 'leave') return step(closed);
  if (key !== 'enter') return step(withPopup(closed, { ...popup, focus: popupFocus(popup, state.size, key) }));
  const { command = null, isStaying } = popup.choices[popup.focus] ?? {};
  return command === null ? step(closed) : command(isStaying === true ? state : closed);
}

function pressFormPage<S extends Machine<S>>(state: S, page: FormPage<S>, input: Input): Step<S> {
  if (input.kind === 'key' && input.key === 'choose') return openOffers(state, page);
  const pressed = pressForm(page.form, input);
  switch (pressed.kind) {
    case 'form':
      return step(withTop(state, { ...page, form: pressed.form }));
    case 'ok':
      return acceptTop(state);
    case 'cancel':
      return dropForm(state, page);
  }
}

/** Adds typed text to the filter of a list page, so that the page shows only rows that match. */
function typed<S extends Machine<S>>(state: S, page: ListPage<S>, text: string): S {
  return page.filter === null ? state : filtered(state, page, page.filter + text.replaceAll(/\p{Cc}/gu, ''));
}

function filtered<S extends Machine<S>>(state: S, page: ListPage<S>, filter: string): S {
  return withTop(state, { ...page, filter, focus: 0 });
}

function pressList<S extends Machine<S>>(state: S, page: ListPage<S>, key: KeyName): Step<S> {
  const { rows } = contentOf(state);
  const row = markedRow(rows, page.focus);
  switch (key) {
    case 'escape':
      return escape(state, page);
    case 'enter':
      return row?.command?.(state) ?? step(state);
    case 'delete':
    case 'remove':
      return row?.remove?.(state) ?? step(state);
    case 'backspace':
      if (page.filter !== null) return step(filtered(state, page, graphemesOf(page.filter).slice(0, -1).join('')));
      break;
    default:
  }
  return step(withTop(state, { ...page, focus: pageFocus(rows, page.focus, pageSize(state.size), key) }));
}

function escape<S extends Machine<S>>(state: S, page: ListPage<S>): Step<S> {
  if (page.filter !== null && page.filter !== '') return step(filtered(state, page, ''));
  if (state.hasStart && state.pages.length === 1) return step(state, () => state.role.showStart());
  const next = popped(state);
  const top = topOf(next);
  return step(top.kind === 'list' && top.focusOnReturn ? withTop(next, { ...top, focus: top.focusOnReturn(next) }) : next);
}
