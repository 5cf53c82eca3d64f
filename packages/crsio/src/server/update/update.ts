// Computes the next state and the effects of crsio's part for the server from the current state and an action. Pure, so that whole sessions
// can be tested without a terminal. Invariant: no action waits for rssrv, so that keys always work.

import { focused, offerChoices, pressForm } from '../../model/form.ts';
import { markedRow, pageFocus } from '../../view/page-view.ts';
import { popupFocus } from '../../view/popup-view.ts';
import { isLargeEnough, pageSize } from '../../widgets/border.ts';
import type { Input, KeyName } from '../../widgets/keys.ts';
import { graphemesOf } from '../../widgets/text-width.ts';
import type { ServerCommand } from '../model/command.ts';
import { marksPopup, toggled } from '../model/marks.ts';
import {
  closeScreen,
  type DialogScreen,
  openPopup,
  type PageScreen,
  type ServerPopup,
  type ServerState,
  topOf,
  withScreen,
} from '../model/state.ts';
import { type ServerAction, type ServerStep, serverStep } from '../model/step.ts';
import { serverPageOf } from '../pages/pages.ts';
import { looked, ordered, refused, ticked } from './answers.ts';
import { acceptDialog, dropDialog, leaveServer, openClientMarks, performServer, takeMarks } from './perform.ts';

export function updateServer(state: ServerState, action: ServerAction): ServerStep {
  switch (action.kind) {
    case 'key':
    case 'text':
      return press(state, action);
    case 'resized':
      return serverStep({ ...state, size: action.size });
    case 'tick':
      return ticked(state, action.nowMs, action.wallMs);
    case 'looked':
      return looked(state, action.look);
    case 'ordered':
      return ordered(state, action.id, action.outcome);
    case 'refused':
      return refused(state, action.id, action.failure);
  }
}

function press(before: ServerState, input: Input): ServerStep {
  if (!isLargeEnough(before.size)) {
    return input.kind === 'key' && input.key === 'leave' ? serverStep(before, { kind: 'end' }) : serverStep(before);
  }
  const state: ServerState = { ...before, note: null, isUsed: true };
  const popup = state.popups.at(-1);
  if (popup !== undefined) return pressPopup(state, popup, input);
  const screen = topOf(state);
  if (input.kind === 'key') {
    switch (input.key) {
      case 'help':
        return performServer(state, { do: 'help' });
      case 'action':
        return performServer(state, { do: 'actions' });
      case 'save':
        return screen.kind === 'form' ? acceptDialog(state) : serverStep({ ...state, note: 'Every change is in force at once' });
      case 'leave':
        return leaveServer(state);
      default:
    }
  }
  if (screen.kind === 'form') return pressDialog(state, screen, input);
  return input.kind === 'text' ? type(state, screen, input.text) : pressPage(state, screen, input.key);
}

function pressPopup(state: ServerState, popup: ServerPopup, input: Input): ServerStep {
  const closed: ServerState = { ...state, popups: state.popups.slice(0, -1) };
  const marks = popup.marks;
  if (input.kind === 'text') {
    if (marks === undefined || input.text !== ' ') return serverStep(state);
    return serverStep(openPopup(closed, marksPopup(toggled(marks, popup.focus), popup.focus)));
  }
  const { key } = input;
  // While a popup is open, F10 and Ctrl-C close only the popup.
  if (key === 'escape' || key === 'leave') return serverStep(closed);
  const choice = popup.choices[popup.focus];
  if (key === 'enter') {
    if (marks !== undefined) return takeMarks(closed, popup);
    return choice === undefined ? serverStep(closed) : performServer(state, choice.command);
  }
  const focus = popupFocus(popup, state.size, key);
  return serverStep(openPopup(closed, { ...popup, focus }));
}

function pressDialog(state: ServerState, screen: DialogScreen, input: Input): ServerStep {
  if (input.kind === 'key' && input.key === 'choose') return serverStep(openOffers(state, screen));
  const pressed = pressForm(screen.form, input);
  switch (pressed.kind) {
    case 'form':
      return serverStep(withScreen(state, { ...screen, form: pressed.form }));
    case 'ok':
      return acceptDialog(state);
    case 'cancel':
      return dropDialog(state, screen);
  }
}

function openOffers(state: ServerState, { form }: DialogScreen): ServerState {
  const here = focused(form);
  if (here.kind !== 'field') return state;
  const { key, offers } = here.field;
  if (key === 'clients') return openClientMarks(state, { kind: 'field' });
  if (offers.length === 0) return state;
  return openPopup(state, { title: `Choose ${key}`, text: '', choices: offerChoices(here.field), focus: 0 });
}

/** Typed text narrows a list down. */
function type(state: ServerState, screen: PageScreen, text: string): ServerStep {
  if (serverPageOf(state).filter === null || !('filter' in screen)) return serverStep(state);
  return serverStep(withScreen(state, { ...screen, filter: screen.filter + text.replaceAll(/\p{Cc}/gu, ''), focus: 0 }));
}

function pressPage(state: ServerState, screen: PageScreen, key: KeyName): ServerStep {
  const { rows, filter } = serverPageOf(state);
  const row = markedRow(rows, screen.focus);
  switch (key) {
    case 'escape':
      if (filter !== null && filter !== '' && 'filter' in screen) return serverStep(withScreen(state, { ...screen, filter: '', focus: 0 }));
      if (state.screens.length === 1) return serverStep(state, ...(state.hasStart ? [{ kind: 'start-page' } as const] : []));
      return serverStep(closeScreen(state));
    case 'backspace':
      if (filter === null || !('filter' in screen)) return serverStep(state);
      return serverStep(withScreen(state, { ...screen, filter: graphemesOf(screen.filter).slice(0, -1).join(''), focus: 0 }));
    case 'enter':
      return performOr(state, row?.command ?? null);
    case 'delete':
    case 'remove':
      return performOr(state, row?.remove ?? null);
    default:
      return serverStep(withScreen(state, { ...screen, focus: pageFocus(rows, screen.focus, pageSize(state.size), key) }));
  }
}

function performOr(state: ServerState, command: ServerCommand | null): ServerStep {
  return command === null ? serverStep(state) : performServer(state, command);
}
