// Executes the effects of the server's part, and reports each result to the model as an action. Invariant: every effect except those that
// leave this part produces one action, and no exception reaches the event loop.

import { TICK_MS } from '../../widgets/limits.ts';
import type { ServerAction, ServerEffect } from '../model/step.ts';
import { failureFrom, look } from './look.ts';
import { carryOut } from './orders.ts';
import type { ServerPorts } from './ports.ts';

export function runServerEffect(effect: ServerEffect, ports: ServerPorts, dispatch: (action: ServerAction) => void): void {
  const { clock } = ports;
  switch (effect.kind) {
    case 'tick-later':
      clock.after(TICK_MS, () => dispatch({ kind: 'tick', nowMs: clock.monotonicMs(), wallMs: clock.wallMs() }));
      return;
    case 'look':
      void look(ports).then((found) => dispatch({ kind: 'looked', look: found }));
      return;
    case 'order': {
      const { id, order } = effect;
      carryOut(order, ports).then(
        (outcome) => dispatch({ kind: 'ordered', id, outcome }),
        (thrown: unknown) => dispatch({ kind: 'refused', id, failure: failureFrom(thrown) }),
      );
      return;
    }
    case 'start-page':
      return ports.showStart();
    case 'end':
      return ports.end();
  }
}
