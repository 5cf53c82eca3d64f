// Computes the next state and the effects from the current state and an action. Pure, so that whole sessions can be tested without a
// terminal. Invariant: while the terminal is too small, only the key that leaves crsio works, and only if there are no unsaved changes.

import type { Command } from '../model/command.ts';
import { focused, offerChoices, pressForm } from '../model/form.ts';
import {
  configOf,
  type FormScreen,
  isUnsaved,
  type ListScreen,
  popScreen,
  type Popup,
  pushPopup,
  type State,
  topScreen,
  withTop,
} from '../model/state.ts';
import { type Action, type Step, step } from '../model/step.ts';
import { pageOf } from '../pages/pages.ts';
import { markedRow, pageFocus } from '../view/page-view.ts';
import { popupFocus } from '../view/popup-view.ts';
import { isLargeEnough, pageSize } from '../widgets/border.ts';
import type { Input, KeyName } from '../widgets/keys.ts';
import { explored, found, runFailed, searched, searching, tested, tried } from './exploring.ts';
import { mirrorsDue, mirrorsHeard } from './mirrors.ts';
import { accept, dropForm, perform } from './perform.ts';
import { fileRead, leave, notSaved, saved, reloaded } from './saving.ts';
import { done, failed, sampled, sampleDue } from './watching.ts';

export function update(state: State, action: Action): Step {
  switch (action.kind) {
    case 'key':
    case 'text':
      return press(state, action);
    case 'resized':
      return step({ ...state, size: action.size });
    case 'machine':
      return step({ ...state, machine: action.interfaces });
    case 'saved':
      return saved(state, action.stored);
    case 'not-saved':
      return notSaved(state, action.failure, action.theirs);
    case 'reloaded':
      return reloaded(state, action.outcome);
    case 'file-read':
      return fileRead(state, action.stored);
    case 'failed':
      return failed(state, action.what, action.failure);
    case 'done':
      return done(state, action.sentence);
    default:
      return hear(state, action);
  }
}

function hear(state: State, action: Extract<Action, { readonly run: number }>): Step {
  switch (action.kind) {
    case 'found':
      return found(state, action.run, action.server);
    case 'explored':
      return explored(state, action.run, action.exploration);
    case 'searching':
      return searching(state, action.run, action.doing);
    case 'tried':
      return tried(state, action.run, action.report);
    case 'searched':
      return searched(state, action.run, action.servers, action.findings);
    case 'run-failed':
      return runFailed(state, action.run, action.failure);
    case 'sampled':
      return sampled(state, action.run, action.sample);
    case 'sample-due':
      return sampleDue(state, action.run);
    case 'mirrors-heard':
      return mirrorsHeard(state, action.run, action.answer);
    case 'mirrors-due':
      return mirrorsDue(state, action.run);
    case 'tested':
      return tested(state, action.run, action.lines);
  }
}

function press(before: State, input: Input): Step {
  if (!isLargeEnough(before.size)) {
    return step(before, ...(input.kind === 'key' && input.key === 'leave' && !isUnsaved(before) ? [{ kind: 'end' } as const] : []));
  }
  const state: State = { ...before, note: null };
  const popup = state.popups.at(-1);
  if (popup !== undefined) return input.kind === 'text' ? step(state) : pressPopup(state, popup, input.key);
  if (input.kind === 'key') {
    switch (input.key) {
      case 'help':
        return perform(state, { do: 'help' });
      case 'save':
        return perform(state, { do: 'save' });
      case 'action':
        return perform(state, { do: 'actions' });
      case 'leave':
        return leave(state);
      default:
    }
  }
  const screen = topScreen(state);
  if (screen.kind === 'form') return pressFormScreen(state, screen, input);
  return input.kind === 'text' ? step(state) : pressList(state, screen, input.key);
}

function pressPopup(state: State, popup: Popup, key: KeyName): Step {
  const closed: State = { ...state, popups: state.popups.slice(0, -1) };
  const choice = popup.choices[popup.focus];
  // While a popup is open, F10 and Ctrl-C close only the popup.
  if (key === 'escape' || key === 'leave') return step(closed);
  if (key === 'enter') return choice === undefined ? step(closed) : perform(state, choice.command);
  const focus = popupFocus(popup, state.size, key);
  return step({ ...closed, popups: [...closed.popups, { ...popup, focus }] });
}

function pressFormScreen(state: State, screen: FormScreen, input: Input): Step {
  if (input.kind === 'key' && input.key === 'choose') return step(openOffers(state, screen));
  const pressed = pressForm(screen.form, input);
  switch (pressed.kind) {
    case 'form':
      return step(withTop(state, { ...screen, form: pressed.form }));
    case 'ok':
      return accept(state);
    case 'cancel':
      return dropForm(state, screen);
  }
}

function openOffers(state: State, { form }: FormScreen): State {
  const here = focused(form);
  if (here.kind !== 'field' || here.field.offers.length === 0) return state;
  const { key } = here.field;
  return pushPopup(state, { title: `Choose ${key}`, text: '', choices: offerChoices(here.field), focus: 0 });
}

function pressList(state: State, screen: ListScreen, key: KeyName): Step {
  const { rows } = pageOf(state);
  const row = markedRow(rows, screen.focus);
  switch (key) {
    case 'escape':
      if (state.hasStart && state.screens.length === 1) return step(state, { kind: 'start-page' });
      return step(atNextStep(popScreen(state)));
    case 'enter':
      return performOr(state, row?.command ?? null);
    case 'delete':
    case 'remove':
      return performOr(state, row?.remove ?? null);
    default:
      return step(withTop(state, { ...screen, focus: pageFocus(rows, screen.focus, pageSize(state.size), key) }));
  }
}

function performOr(state: State, command: Command | null): Step {
  return command === null ? step(state) : perform(state, command);
}

export const MENU = { interfaces: 0, namespaces: 1, newNamespace: 2, defaults: 3, mirrors: 4, status: 5, save: 6, leave: 7 } as const;

/** Marks the line of the next step in the menu; leaves any other screen unchanged. */
export function atNextStep(state: State): State {
  const screen = topScreen(state);
  return screen.kind === 'menu' ? withTop(state, { ...screen, focus: nextLine(state) }) : state;
}

function nextLine(state: State): number {
  const { interfaces, namespaces } = configOf(state);
  if (interfaces.length === 0) return MENU.interfaces;
  if (namespaces.length === 0) return MENU.newNamespace;
  if (namespaces.every(({ servers }) => servers.length === 0)) return MENU.namespaces;
  return isUnsaved(state) ? MENU.save : MENU.status;
}
