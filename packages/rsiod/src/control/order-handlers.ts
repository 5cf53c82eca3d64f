// The control methods `order-attach` and `order-detach`: a command attaches a volume for its own work. Invariant: an order ends with
// `order-detach` or with the connection of `order-attach`, whichever comes first, so that a command that is killed leaves nothing attached.
// attachments/owners.ts decides who may have the volume.

import { randomUUID } from 'node:crypto';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { toRsError } from '@rsio/base/lib/errors';
import type { Order } from '../attachments/owners.ts';

export interface OrderPorts {
  attachFor(order: Order, name: string, readOnly: boolean, server: string | null): Promise<AttachOutcome>;
  /** `isGone`: the command has ended without a word. Does nothing if the order has ended already. Throws the errors of a detach. */
  endOrder(ticket: string, isGone: boolean): Promise<void>;
  readonly log: { warn(message: string): void };
}

export function orderHandlers(ports: OrderPorts): Pick<ControlHandlers, 'order-attach' | 'order-detach'> {
  return {
    'order-attach': async ({ name, readOnly, server, alone, what }, gone) => {
      const ticket = randomUUID();
      const outcome = await ports.attachFor({ kind: 'order', ticket, what, isAlone: alone }, name, readOnly, server);
      if (outcome.error !== null) return { ticket, outcome };
      const end = (): void =>
        void ports
          .endOrder(ticket, true)
          .catch((thrown: unknown) =>
            ports.log.warn(`${outcome.volume}, which ${what} had, is detached later: ${toRsError(thrown).message}`),
          );
      if (gone?.aborted === true) end();
      else gone?.addEventListener('abort', end, { once: true });
      return { ticket, outcome };
    },
    'order-detach': async ({ ticket }) => {
      await ports.endOrder(ticket, false);
      return {};
    },
  };
}
