// Creates crsio's part for the appliance. The pages are in pages/. Invariant: changes take effect at once, so F3 only applies a form; while a
// change is in progress, the title line names it, and leaving asks first.

import { immediateRole } from '../machine/immediate-role.ts';
import { hasTouchedForm, type Leaving } from '../machine/machine.ts';
import { type ApplianceState, startApplianceState } from './model/state.ts';
import { APPLIANCE_MENU } from './pages/menu-page.ts';

/** Returns the first state of the part. The first command of the session is `tick`. */
export function appliancePart(given: Omit<Parameters<typeof startApplianceState>[0], 'role'>, leaving: Leaving): ApplianceState {
  const role = immediateRole<ApplianceState>(
    {
      mayEnd: ({ pending }) => pending === null,
      isUnsaved: (state) => hasTouchedForm(state) || state.pending !== null,
      mark: ({ pending, nowMs }) =>
        pending === null ? '' : `${pending.order.doing} ... ${Math.floor((nowMs - pending.sinceMs) / 1000)} s `,
    },
    // Without crsio, the change would stop half-way.
    ({ pending }) => (pending === null ? null : `In progress: ${pending.order.doing}. Leaving stops it before its end`),
    leaving,
  );
  return startApplianceState({ ...given, role }, APPLIANCE_MENU);
}
