// Returns the addresses of this machine that the form of an interface offers, and the next free name for an interface. Pure. Invariant:
// neither the loopback nor an address that the file already has is offered.

import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { Offer } from './form.ts';

interface Present {
  readonly name: string;
  readonly address: string;
}

export function missingIn(present: readonly Present[], machine: readonly MachineInterface[]): readonly MachineInterface[] {
  const taken = new Set(present.map((each) => each.address));
  return machine.filter(({ address, isLoopback }) => !isLoopback && !taken.has(address));
}

export function addressOffers(
  { machine }: { readonly machine: readonly MachineInterface[] },
  present: readonly Present[],
): readonly Offer[] {
  return missingIn(present, machine).map((each) => ({ text: each.address, detail: machineDetails(each) }));
}

/** Yields the unused names in the sequence `if0`, `if1`, `if2`, and so on. */
export function* freeNames(present: readonly Present[]): Generator<string> {
  const taken = new Set(present.map((each) => each.name));
  for (let number = 0; ; number++) if (!taken.has(`if${number}`)) yield `if${number}`;
}

export function freeName(present: readonly Present[]): string {
  return freeNames(present).next().value ?? '';
}

/** Returns a text such as `eth0, /24, 1000 Mbit/s`. */
export function machineDetails({ device, prefixLength, linkMbps, hasCarrier }: MachineInterface): string {
  const facts = [device, `/${prefixLength}`];
  if (linkMbps !== null) facts.push(`${linkMbps} Mbit/s`);
  if (!hasCarrier) facts.push('no carrier');
  return facts.join(', ');
}
