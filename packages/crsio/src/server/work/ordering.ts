// Starts changes of the server, including changes that a form describes, and reports the outcome of each change. Invariants: the number of
// changes in progress is bounded; a form closes only after rssrv has made the change that the form requested.

import { plural } from '@rsio/base/lib/units';
import { fillField, type Form, formText } from '../../machine/form.ts';
import { openOrder, withForm } from '../../machine/form-page.ts';
import {
  ask,
  type Failure,
  failureText,
  onTop,
  popped,
  report,
  request,
  type Step,
  step,
  topOf,
  withPopup,
} from '../../machine/machine.ts';
import { ORDERS_OUT_MAX } from '../../widgets/limits.ts';
import { SERVER_HELP } from '../model/help-text.ts';
import { marksPopup } from '../model/marks.ts';
import type { Outcome, Pending, ServerCommand, Order, ServerState } from '../model/state.ts';
import { lookNow } from './looking.ts';

type ServerStep = Step<ServerState>;

/** Returns a command that starts a change. */
export function ordering(order: Order): ServerCommand {
  return (state) => started(state, order, null);
}

/** Starts a change. `owner`: that of the form that asks for it; null if none does. */
export function started(state: ServerState, order: Order, owner: object | null): ServerStep {
  if (owner !== null && state.pending.some((each) => each.owner === owner))
    return step({ ...state, note: `${order.doing}: rssrv has not answered yet` });
  if (state.pending.length >= ORDERS_OUT_MAX) {
    const text = `${plural(state.pending.length, 'change')} are in progress. Wait until rssrv has completed one of them, then try again`;
    return step(report(state, 'Not done', text));
  }
  const pending: Pending = { order, owner, sinceMs: state.nowMs };
  const effect = request<ServerState, Outcome>(
    () => order.make(state.ports),
    (outcome) => (now) => made(now, pending, outcome),
    (failure) => (now) => refused(now, pending, failure),
  );
  return step({ ...state, pending: [...state.pending, pending] }, effect);
}

function made(before: ServerState, pending: Pending, outcome: Outcome): ServerStep {
  const state = followed(without(before, pending), pending);
  if (typeof outcome === 'string') return lookNow({ ...state, note: outcome });
  if ('show' in outcome) return lookNow(outcome.show(state));
  return lookNow(report<ServerState>({ ...state, note: outcome.sentence }, outcome.title, outcome.text));
}

/** Shows the whole refusal. The form stays open, so that the user can correct the entries. */
function refused(before: ServerState, pending: Pending, failure: Failure): ServerStep {
  return lookNow(report(without(before, pending), 'Not done', `${pending.order.doing}: ${failureText(failure)}`));
}

function without(state: ServerState, pending: Pending): ServerState {
  return { ...state, pending: state.pending.filter((each) => each !== pending) };
}

/** Closes the form that asked for the change, or the page of the object that the change removed. */
function followed(state: ServerState, { order, owner }: Pending): ServerState {
  const top = topOf(state);
  if (top.kind !== 'form') return order.removes !== undefined && onTop(state, order.removes) !== null ? popped(state) : state;
  if (top.owner !== owner) return state;
  return order.follow === undefined ? popped(state) : order.follow(popped(state));
}

/** A question that is asked before a form becomes a change. Each answer starts its own change, or none if the order is null. */
export interface OrderQuestion {
  readonly title: string;
  readonly text: string;
  readonly answers: readonly (readonly [label: string, order: Order | null])[];
}

/**
 * Returns a command that opens a form. `toOrder` is called with a form that checkForm() has accepted. `toOrder` returns the change that the
 * form describes, or a question that must be answered before the change, or the form with the problem that prevents the change.
 */
export function orderForm(
  make: (state: ServerState) => Form,
  toOrder: (form: Form, state: ServerState) => Order | OrderQuestion | Form,
  help = SERVER_HELP,
): ServerCommand {
  const owner = {};
  const take = (state: ServerState, form: Form): ServerStep => {
    const wanted = toOrder(form, state);
    if ('fields' in wanted) return step(withForm(state, () => wanted));
    if ('doing' in wanted) return started(state, wanted, owner);
    const answers = wanted.answers.map(([label, order]) => {
      const command: ServerCommand | null = order === null ? null : (now) => started(now, order, owner);
      return [label, command] as const;
    });
    return step(ask(state, wanted.title, wanted.text, answers));
  };
  const page = { owner, take, help, fieldHelp: () => help, choosers: { clients: markFieldClients } };
  return (state) => step(openOrder(state, { ...page, form: make(state) }));
}

/** Opens the list of clients for the field `clients` of the form on top. */
function markFieldClients(state: ServerState): ServerStep {
  const top = topOf(state);
  const text = top.kind === 'form' ? formText(top.form, 'clients') : '';
  const typed = text === '' ? undefined : text === 'all' ? null : text.split(/[\s,]+/).filter((each) => each !== '');
  return markClients(state, typed, (names) => (now) => step(withForm(now, (form) => fillField(form, 'clients', names))));
}

/**
 * Opens the list of clients. `marked`: the clients that are marked at first; null if all clients are marked; undefined if no client is
 * marked.
 */
export function markClients(
  state: ServerState,
  marked: readonly string[] | null | undefined,
  take: (names: string) => ServerCommand,
): ServerStep {
  return step(withPopup(state, marksPopup(state.view?.clients ?? [], marked, take)));
}
