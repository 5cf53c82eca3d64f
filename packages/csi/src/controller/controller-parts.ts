// What the calls of the controller share. controller-service.ts makes it. Invariant: all calls give their orders to the same rsiod, in the
// same namespace.

import type { Orders } from '../product/orders.ts';
import type { Volumes } from '../product/volumes.ts';

export interface ControllerParts {
  readonly orders: Orders;
  readonly volumes: Volumes;
  /** Makes a new id for a request, so that the request does not get the remembered answer of an earlier one. */
  readonly newId: () => string;
}
