// Looks at the appliance at intervals, and starts changes. Invariants: one look and one change are in progress at a time; a form closes only
// after the change that it requested has been made.

import { type Form, formText } from '../../machine/form.ts';
import { openOrder, withForm } from '../../machine/form-page.ts';
import { askBefore, type Effect, failureOf, failureText, popped, report, request, type Step, step, topOf } from '../../machine/machine.ts';
import { LOOK_INTERVAL_MS, TICK_MS } from '../../widgets/limits.ts';
import type { ApplianceCommand, ApplianceLook, ApplianceState, Order } from '../model/state.ts';
import { APPLIANCE_HELP } from '../model/help-text.ts';

type ApplianceStep = Step<ApplianceState>;

/** Notes the time, and looks at the appliance if a look is due. Repeats itself. */
export function tick(before: ApplianceState): ApplianceStep {
  const state: ApplianceState = { ...before, nowMs: before.ports.clock.monotonicMs() };
  const later: Effect<ApplianceState> = (tell) => void state.ports.clock.after(TICK_MS, () => tell(tick));
  const { state: next, effects } = state.nowMs < state.nextLookMs || state.isLooking ? step<ApplianceState>(state) : look(state, false);
  return step(next, ...effects, later);
}

/** `isWhole`: the slots are read again too. */
function look(state: ApplianceState, isWhole: boolean): ApplianceStep {
  const { ports, view } = state;
  const looked = (change: Partial<ApplianceState>): ApplianceCommand => {
    return (now) => step({ ...now, ...change, isLooking: false, nextLookMs: ports.clock.monotonicMs() + LOOK_INTERVAL_MS });
  };
  const effect = request<ApplianceState, ApplianceLook>(
    // A trial ends while crsio looks on.
    () => ports.look(isWhole || view?.slots?.isTrial !== false ? null : view.slots),
    (found) => looked({ view: found, failure: null }),
    (failure) => looked({ failure }),
  );
  return step({ ...state, isLooking: true }, effect);
}

function started(state: ApplianceState, order: Order, owner: object | null): ApplianceStep {
  if (state.pending !== null) return step(report(state, 'Not done', `In progress: ${state.pending.order.doing}. Wait for its end`));
  const ended = (change: (now: ApplianceState) => ApplianceState): ApplianceCommand => {
    return (now) => look(change({ ...now, pending: null }), true);
  };
  const effect = request<ApplianceState, string | void>(
    () => order.make(state.ports),
    (version) => ended((now) => report(closed(now, owner), 'Done', order.done(version ?? ''))),
    (failure) => ended((now) => report(now, 'Not done', `${order.doing}: ${failureText(failure)}`)),
  );
  return step({ ...state, pending: { order, owner, sinceMs: state.nowMs } }, effect);
}

/** Closes the form that requested the change. */
function closed(state: ApplianceState, owner: object | null): ApplianceState {
  const top = topOf(state);
  return top.kind === 'form' && top.owner === owner ? popped(state) : state;
}

/** Asks before a change. */
export function asking(label: string, text: string, order: Order): ApplianceCommand {
  return (state) => askBefore(state, label, text, (now) => started(now, order, null));
}

/** A change that a form requests. `question`: the text of the question before the change; null: the change needs no question. */
export interface FormOrder extends Order {
  readonly question: string | null;
}

/**
 * Returns a command that opens a form. `toOrder` gets the texts of a form that checkForm() has accepted. If it throws, the form stays open and
 * shows why.
 */
export function orderForm(
  make: (state: ApplianceState) => Form,
  toOrder: (text: (key: string) => string, state: ApplianceState) => FormOrder,
  choosers: Readonly<Record<string, ApplianceCommand>> = {},
): ApplianceCommand {
  const owner = {};
  const take = (state: ApplianceState, form: Form): ApplianceStep => {
    try {
      const order = toOrder((key) => formText(form, key), state);
      if (order.question === null) return started(state, order, owner);
      return askBefore<ApplianceState>(state, 'Yes, do it', order.question, (now) => started(now, order, owner));
    } catch (thrown) {
      return step(withForm(state, () => ({ ...form, problem: failureOf(thrown).message })));
    }
  };
  const page = { owner, take, help: APPLIANCE_HELP, fieldHelp: () => 'Enter moves to the next field, F3 applies the form', choosers };
  return (state) => step(openOrder(state, { ...page, form: make(state) }));
}
