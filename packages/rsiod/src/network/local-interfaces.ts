// The client's interfaces for path planning: the configured ones, completed with the machine's subnets. Pure. Invariant: an address that
// the machine has lost keeps its last subnet, so that its paths stay the same and wait for the address.

import type { ClientInterfaceConfig } from '@rsio/common/config/schema/types';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import { prefixLengthOf } from '@rsio/common/lib/subnet';
import type { LocalInterface } from './route-plan.ts';

/** `before`: the previous result of this function. */
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
