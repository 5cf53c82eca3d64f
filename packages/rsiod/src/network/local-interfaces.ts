// Adds the machine's subnets to the client's configured interfaces, for the planning of routes. Pure. Invariant: a configured address that
// the machine has lost keeps its last known subnet, so that the plan still contains the paths from that address.

import type { ClientInterfaceConfig } from '@rsio/common/config/schema/types';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { prefixLengthOf } from '@rsio/base/lib/subnet';
import type { LocalInterface } from './route-plan.ts';

/** `before` is the previous result of this function. */
export function localInterfaces(
  configured: readonly ClientInterfaceConfig[],
  machine: readonly MachineInterface[],
  before: readonly LocalInterface[],
): LocalInterface[] {
  return configured.map(({ name, address, prefixLength, portGiven }) => {
    const seen = interfaceOf(address, machine)?.prefixLength ?? before.find((one) => one.address === address)?.prefixLength ?? null;
    return { name, address, portGiven, prefixLength: prefixLengthOf(address, prefixLength, seen) };
  });
}
