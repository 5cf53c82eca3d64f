// The role of a part whose changes take effect at once, as in the parts for the server and for the appliance. Invariants: F3 only applies a
// form; leaving asks first while a change is in progress.

import { isTouched } from './form.ts';
import { acceptTop, dropForm } from './form-page.ts';
import { ask, end, type Leaving, type Machine, type Role, step, topOf } from './machine.ts';

/** `progress` returns the question before the user leaves during a change; null if no change is in progress. */
export function immediateRole<S extends Machine<S>>(
  own: Pick<Role<S>, 'mayEnd' | 'isUnsaved' | 'mark'>,
  progress: (state: S) => string | null,
  leaving: Leaving,
): Role<S> {
  return {
    save: (state) => (topOf(state).kind === 'form' ? acceptTop(state) : step({ ...state, note: 'Every change is in force at once' })),
    leave: (state) => {
      const top = topOf(state);
      if (top.kind === 'form' && isTouched(top.form)) return dropForm(state, top);
      const question = progress(state);
      if (question === null) return end(state);
      const answers = [['Stay', null] as const, ['Leave', end<S>] as const];
      return step(ask(state, 'Leave crsio', question, answers));
    },
    keys: null,
    saveKey: ({ kind }) => (kind === 'form' ? 'Apply' : null),
    ...own,
    ...leaving,
  };
}
