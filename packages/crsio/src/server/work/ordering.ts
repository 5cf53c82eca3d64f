// Starts changes, and reports how they end: the commands that change the server, and the forms whose entries become a change. orders.ts makes the
// change. Invariants: the number of changes in progress is bounded; a form closes only after rssrv has accepted its change.

import { plural } from '@rsio/common/lib/units';
import { volumeText } from '@rsio/common/manage/server-tables';
import { checkForm, fillField, type Form, formText } from '../../machine/form.ts';
import { openForm, withForm } from '../../machine/form-page.ts';
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
import type { Order, Outcome } from '../model/order.ts';
import { doingOf } from '../model/order-text.ts';
import { configIn, type Follow, type Pending, type ServerCommand, type ServerState } from '../model/state.ts';
import { lookNow } from './looking.ts';
import { carryOut } from './orders.ts';

type ServerStep = Step<ServerState>;

const unchanged: Follow = (state) => state;

/** A command that starts a change. */
export function order(wanted: Order): ServerCommand {
  return (state) => started(state, wanted, null, unchanged);
}

function started(state: ServerState, wanted: Order, owner: object | null, follow: Follow): ServerStep {
  if (owner !== null && state.pending.some((each) => each.owner === owner))
    return step({ ...state, note: `${doingOf(wanted)}: rssrv has not answered yet` });
  if (state.pending.length >= ORDERS_OUT_MAX) {
    const text = `${plural(state.pending.length, 'change')} are in progress. Wait until rssrv has completed one of them, then try again`;
    return step(report(state, 'Not done', text));
  }
  const pending: Pending = { id: state.orders + 1, order: wanted, owner, follow, sinceMs: state.nowMs };
  const effect = request<ServerState, Outcome>(
    () => carryOut(wanted, state.ports),
    (outcome) => (now) => ordered(now, pending, outcome),
    (failure) => (now) => refused(now, pending, failure),
  );
  return step({ ...state, orders: pending.id, pending: [...state.pending, pending] }, effect);
}

function ordered(before: ServerState, pending: Pending, { sentence, shown }: Outcome): ServerStep {
  const done: ServerState = { ...followed(without(before, pending), pending), note: sentence };
  return lookNow(shown === null ? done : report(done, shown.title, shown.text));
}

/** Shows the whole refusal. An open form stays, so that the user can correct it. */
function refused(before: ServerState, pending: Pending, failure: Failure): ServerStep {
  return lookNow(report(without(before, pending), 'Not done', `${doingOf(pending.order)}: ${failureText(failure)}`));
}

function without(state: ServerState, { id }: Pending): ServerState {
  return { ...state, pending: state.pending.filter((each) => each.id !== id) };
}

/** The pages after a change: its form closes, and so does the page of a removed object. */
function followed(state: ServerState, { order: made, owner, follow }: Pending): ServerState {
  const top = topOf(state);
  if (top.kind === 'form') return top.owner === owner ? follow(popped(state), made) : state;
  return onTop(state, removedId(made) ?? '') === null ? state : popped(state);
}

/** The id of the page of an object that the change has removed. */
function removedId(made: Order): string | null {
  if (made.kind === 'remove') return `volume ${volumeText(made.volume)}`;
  if (made.kind === 'remove-pool') return `pool ${made.name}`;
  return made.kind === 'remove-client' ? `client ${made.name}` : null;
}

/** What a form of the server needs besides its fields. */
interface OrderForm {
  /** The change that the checked form describes, or the form with its problem. */
  readonly toOrder: (form: Form) => Order | Form;
  readonly help?: string;
  readonly follow?: Follow;
}

/** A command that opens a form, whose entries become a change. */
export function orderForm(
  make: (state: ServerState) => Form,
  { toOrder, help = SERVER_HELP, follow = unchanged }: OrderForm,
): ServerCommand {
  const owner = {};
  const accept: ServerCommand = (state) => {
    const top = topOf(state);
    if (top.kind !== 'form') return step(state);
    const form = checkForm(top.form);
    const wanted = form.problem === null ? toOrder(top.form) : form;
    if ('fields' in wanted) return step(withForm(state, () => wanted));
    const start =
      (which: Order): ServerCommand =>
      (now) =>
        started(now, which, owner, follow);
    return wanted.kind === 'create' ? createWithClients(state, wanted, start) : start(wanted)(state);
  };
  return (state) =>
    step(
      openForm(state, {
        owner,
        form: make(state),
        actions: [],
        applyLabel: 'Apply',
        accept,
        help,
        fieldHelp: () => help,
        choosers: { clients: markFieldClients },
        isKept: true,
        question: 'The form has entries that are not applied',
      }),
    );
}

/** If the order names clients that the server does not know, asks first whether to add them. */
function createWithClients(
  state: ServerState,
  wanted: Extract<Order, { readonly kind: 'create' }>,
  start: (order: Order) => ServerCommand,
): ServerStep {
  const unknown = unknownClients(state, wanted.volume.clients);
  if (unknown.length === 0) return start(wanted)(state);
  return step(
    ask(state, 'New clients', `${unknown.join(', ')}: not listed in [clients] of ${state.configFile}`, [
      [`Create the volume, and add ${plural(unknown.length, 'client')}`, start({ ...wanted, newClients: unknown })],
      ['Create only the volume', start(wanted)],
      ['Back to the form', null],
    ]),
  );
}

/** Names of clients that [clients] does not list. None if nothing is known about the clients. */
function unknownClients(state: ServerState, names: readonly string[] | null): readonly string[] {
  const known = state.view?.clients ?? configIn(state)?.clients;
  return known === undefined ? [] : (names ?? []).filter((each) => !known.some((client) => client.name === each));
}

/** Opens the list of clients for the field `clients` of the form on top. */
function markFieldClients(state: ServerState): ServerStep {
  const top = topOf(state);
  const text = top.kind === 'form' ? formText(top.form, 'clients') : '';
  const typed = text === '' ? undefined : text === 'all' ? null : text.split(/[\s,]+/).filter((each) => each !== '');
  return markClients(state, typed, (names) => (now) => step(withForm(now, (form) => fillField(form, 'clients', names))));
}

/** Opens the list of clients. `marked`: the clients that are marked; null for all clients; undefined for none. */
export function markClients(
  state: ServerState,
  marked: readonly string[] | null | undefined,
  take: (names: string) => ServerCommand,
): ServerStep {
  return step(withPopup(state, marksPopup(state.view?.clients ?? [], marked, take)));
}
