// Executes the commands of the server's part: opens pages, forms and questions, and starts changes. Invariants: a command that needs the
// user's consent only asks, and the answer carries the change; the number of changes in progress is bounded.

import { plural } from '@rsio/common/lib/units';
import { fillField, focused, formText, isTouched } from '../../model/form.ts';
import { notice } from '../../model/state.ts';
import { ORDERS_OUT_MAX } from '../../widgets/limits.ts';
import type { MarksTarget, Order, ServerCommand } from '../model/command.ts';
import { dialogForm, orderOf, unknownClients } from '../model/dialogs.ts';
import { markedText, marksOf, marksPopup, toggled } from '../model/marks.ts';
import { questionPopup } from '../model/questions.ts';
import { doingOf } from '../model/order-text.ts';
import {
  closeScreen,
  type DialogScreen,
  openPopup,
  openScreen,
  type ServerPopup,
  type ServerState,
  topOf,
  volumeIn,
  withScreen,
} from '../model/state.ts';
import { type ServerStep, serverStep } from '../model/step.ts';
import { serverPageOf } from '../pages/pages.ts';
import { lookNow } from './answers.ts';

export function performServer(before: ServerState, command: ServerCommand): ServerStep {
  // Every command except `help` closes the top popup, and may then open another one.
  const state: ServerState = command.do === 'help' ? before : { ...before, popups: before.popups.slice(0, -1) };
  switch (command.do) {
    case 'open':
      return serverStep(openScreen(state, { kind: command.list, focus: 0, filter: '' }));
    case 'open-volume':
      return serverStep(openScreen(state, { kind: 'volume', volume: command.volume, focus: 0 }));
    case 'open-pool':
    case 'open-client':
      return serverStep(openScreen(state, { kind: command.do === 'open-pool' ? 'pool' : 'client', name: command.name, focus: 0 }));
    case 'edit':
      return serverStep(openScreen(state, { kind: 'form', dialog: command.dialog, form: dialogForm(state, command.dialog) }));
    case 'fill':
      return serverStep(fill(state, command.key, command.text));
    case 'mark-clients':
      return serverStep(openClientMarks(state, command.target));
    case 'toggle':
      return serverStep(toggle(before, command.index));
    case 'ask':
      return serverStep(openPopup(state, questionPopup(state, command.question)));
    case 'show':
      return serverStep(openPopup(state, notice(command.title, command.text)));
    case 'order':
      return order(state, command.order);
    case 'look':
      return lookNow({ ...state, note: 'Asking rssrv again' });
    case 'accept-form':
      return acceptDialog(state);
    case 'drop-form':
      return serverStep(closeScreen(state));
    case 'help': {
      const { title, text } = serverPageOf(state).help;
      return serverStep(openPopup(state, { title, text, choices: [], focus: 0 }));
    }
    case 'actions': {
      const choices = serverPageOf(state).actions;
      return serverStep(openPopup(state, { title: 'Action', text: '', choices, focus: 0 }));
    }
    case 'close-popup':
      return serverStep(state);
    case 'leave':
      return leaveServer(state);
    case 'end':
      return serverStep(state, { kind: 'end' });
  }
}

function fill(state: ServerState, key: string, text: string): ServerState {
  const screen = topOf(state);
  return screen.kind === 'form' ? withScreen(state, { ...screen, form: fillField(screen.form, key, text) }) : state;
}

function toggle(state: ServerState, index: number): ServerState {
  const popup = state.popups.at(-1);
  if (popup?.marks === undefined) return state;
  return { ...state, popups: [...state.popups.slice(0, -1), marksPopup(toggled(popup.marks, index), index)] };
}

/** Opens the list of clients, in which the clients of the field or of the volume are marked. */
export function openClientMarks(state: ServerState, target: MarksTarget): ServerState {
  const clients = state.view?.clients ?? [];
  const screen = topOf(state);
  const text = screen.kind === 'form' ? formText(screen.form, 'clients') : '';
  const typed = text === '' ? undefined : text === 'all' ? null : text.split(/[\s,]+/).filter((each) => each !== '');
  const marked = target.kind === 'field' ? typed : (volumeIn(state, target.volume)?.clients ?? null);
  const marks = marksOf(clients, marked, target);
  // The first client has the focus, because "all" is what an empty field means anyway.
  return openPopup(state, marksPopup(marks, marks.entries.length > 1 ? 1 : 0));
}

/** The user has closed the list of clients with Enter. */
export function takeMarks(state: ServerState, popup: ServerPopup): ServerStep {
  const target = popup.marks?.target ?? { kind: 'field' };
  const text = markedText(popup);
  if (target.kind === 'volume') return order(state, { kind: 'set', volume: target.volume, settings: [`clients=${text}`] });
  return serverStep(fill(state, 'clients', text));
}

/** Starts the change that the form describes. If the form names clients that the server does not know, asks first whether to add them. */
export function acceptDialog(state: ServerState): ServerStep {
  const screen = topOf(state);
  if (screen.kind !== 'form') return serverStep(state);
  const result = orderOf(screen.dialog, screen.form);
  if ('form' in result) return serverStep(withScreen(state, { ...screen, form: result.form }));
  const { order: wanted } = result;
  const unknown = wanted.kind === 'create' ? unknownClients(state, wanted.volume.clients) : [];
  if (wanted.kind !== 'create' || unknown.length === 0) return order(state, wanted);
  return serverStep(
    openPopup(state, {
      title: 'New clients',
      text: `${unknown.join(', ')}: not listed in [clients] of ${state.configFile}`,
      choices: [
        {
          label: `Create the volume, and add ${plural(unknown.length, 'client')}`,
          command: { do: 'order', order: { ...wanted, newClients: unknown } },
        },
        { label: 'Create only the volume', command: { do: 'order', order: wanted } },
        { label: 'Back to the form', command: { do: 'close-popup' } },
      ],
      focus: 0,
    }),
  );
}

function order(state: ServerState, wanted: Order): ServerStep {
  const screen = topOf(state);
  const dialog = screen.kind === 'form' ? screen.dialog : null;
  if (dialog !== null && state.pending.some((each) => each.dialog === dialog))
    return serverStep({ ...state, note: `${doingOf(wanted)}: rssrv has not answered yet` });
  if (state.pending.length >= ORDERS_OUT_MAX) {
    const text = `${plural(state.pending.length, 'change')} are in progress. Wait until rssrv has completed one of them, then try again`;
    return serverStep(openPopup(state, notice('Not done', text)));
  }
  const id = state.orders + 1;
  const pending = [...state.pending, { id, order: wanted, dialog, sinceMs: state.nowMs }];
  return serverStep({ ...state, orders: id, pending }, { kind: 'order', id, order: wanted });
}

/** Closes a form. If the form was changed, asks before discarding it. */
export function dropDialog(state: ServerState, screen: DialogScreen): ServerStep {
  if (!isTouched(screen.form)) return serverStep(closeScreen(state));
  return serverStep(
    openPopup(state, {
      title: 'Leave the form',
      text: 'The form has entries that are not applied',
      choices: [
        { label: 'Apply', command: { do: 'accept-form' } },
        { label: 'Discard', command: { do: 'drop-form' } },
        { label: 'Continue', command: { do: 'close-popup' } },
      ],
      focus: 0,
    }),
  );
}

export function leaveServer(state: ServerState): ServerStep {
  const screen = topOf(state);
  if (screen.kind === 'form' && isTouched(screen.form)) return dropDialog(state, screen);
  if (state.pending.length === 0) return serverStep(state, { kind: 'end' });
  const text = `In progress: ${state.pending.map((each) => doingOf(each.order)).join(', ')}. rssrv continues without crsio`;
  return serverStep(
    openPopup(state, {
      title: 'Leave crsio',
      text,
      choices: [
        { label: 'Stay', command: { do: 'close-popup' } },
        { label: 'Leave', command: { do: 'end' } },
      ],
      focus: 0,
    }),
  );
}

/** True if F4 offers values for the field with the focus. */
export function hasOffers({ form }: DialogScreen): boolean {
  const here = focused(form);
  return here.kind === 'field' && (here.field.key === 'clients' || here.field.offers.length > 0);
}
