// All interfaces of this machine that the file does not have yet, added at once: each card once, without the loopback, up to what a file may
// have. Invariant: all of them are taken over or none, as with a form.

import { addInterface } from '@rsio/common/config/rscltcfg-edit';
import type { MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import { plural } from '@rsio/common/lib/units';
import { INTERFACES_MAX } from '@rsio/common/lib/limits';
import { tryEdit } from './accept.ts';
import { configOf, notice, pushPopup, type State } from './state.ts';
import { type Step, step } from './step.ts';

/** Empty: there is nothing to add. */
export function missingInterfaces(state: State): readonly MachineInterface[] {
  const { interfaces } = configOf(state);
  const known = new Set(interfaces.map(({ address }) => address));
  return state.machine.filter(({ address, isLoopback }) => !isLoopback && !known.has(address)).slice(0, INTERFACES_MAX - interfaces.length);
}

export function addAllInterfaces(state: State): Step {
  const missing = missingInterfaces(state);
  if (missing.length === 0) return step({ ...state, note: 'The file already has all interfaces of this machine' });
  const names = freeNames(state);
  const outcome = tryEdit(state, (before) =>
    missing.reduce((document, { address }) => addInterface(document, names.next().value ?? '', { address }), before),
  );
  if ('problem' in outcome) return step(pushPopup(state, notice('Not added', outcome.problem)));
  return step({
    ...state,
    document: outcome.document,
    note: `Added ${plural(missing.length, 'interface')}, F8 removes those that lead to no server`,
  });
}

function* freeNames(state: State): Generator<string> {
  const taken = new Set(configOf(state).interfaces.map(({ name }) => name));
  for (let number = 0; ; number++) if (!taken.has(`if${number}`)) yield `if${number}`;
}
