// Creates crsio's part for the appliance. The pages are in pages/. Invariant: changes take effect at once, so F3 only applies a form; while a
// change is in progress, the title line names it, and leaving asks first.

import { isTouched } from '../machine/form.ts';
import { acceptTop, dropForm } from '../machine/form-page.ts';
import { ask, end, hasTouchedForm, type Leaving, type Role, type Step, step, topOf } from '../machine/machine.ts';
import { type ApplianceState, startApplianceState } from './model/state.ts';
import { APPLIANCE_MENU } from './pages/menu-page.ts';

/** Returns the first state of the part. The first command of the session is `tick`. */
export function appliancePart(given: Omit<Parameters<typeof startApplianceState>[0], 'role'>, leaving: Leaving): ApplianceState {
  const role: Role<ApplianceState> = {
    save: (state) => (topOf(state).kind === 'form' ? acceptTop(state) : step({ ...state, note: 'Every change is in force at once' })),
    leave,
    mayEnd: ({ pending }) => pending === null,
    isUnsaved: (state) => hasTouchedForm(state) || state.pending !== null,
    mark: ({ pending, nowMs }) => (pending === null ? '' : `${pending.order.doing} ... ${Math.floor((nowMs - pending.sinceMs) / 1000)} s `),
    keys: null,
    saveKey: ({ kind }) => (kind === 'form' ? 'Apply' : null),
    ...leaving,
  };
  return startApplianceState({ ...given, role }, APPLIANCE_MENU);
}

function leave(state: ApplianceState): Step<ApplianceState> {
  const top = topOf(state);
  if (top.kind === 'form' && isTouched(top.form)) return dropForm(state, top);
  if (state.pending === null) return end(state);
  // Without crsio, the change would stop half-way.
  return step(
    ask(state, 'Leave crsio', `In progress: ${state.pending.order.doing}. Leaving stops it before its end`, [
      ['Stay', null],
      ['Leave', end],
    ]),
  );
}
