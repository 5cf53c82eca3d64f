// Combines the client's configured interfaces with the machine's subnets, as route planning needs them. Pure. Invariant: an address that
// the machine no longer has keeps its last known subnet, so that the plan keeps the paths of this address until it returns.

import type { ClientInterfaceConfig } from '@rsio/common/config/schema/types';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import { prefixLengthOf } from '@rsio/common/lib/subnet';
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
