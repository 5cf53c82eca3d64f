// Which card a device of the machine stands on: a VLAN on its card, as /sys tells. A bond or a bridge stands on several and counts as a
// card itself. Invariant: bounded, whatever /sys says; a device that tells nothing stands on nothing.

import { readdirSync } from 'node:fs';
import { DEVICE_LAYERS_MAX } from '../../cli/limits.ts';

const LOWER = 'lower_';

/** By device; those that are cards themselves are left out. */
export function cardsBelow(interfaces: readonly { readonly device: string }[], lowersOf = lowerDevices): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { device } of interfaces) {
    let card = device;
    for (let layer = 0; layer < DEVICE_LAYERS_MAX; layer++) {
      const [lower, ...others] = lowersOf(card);
      if (lower === undefined || others.length > 0) break;
      card = lower;
    }
    if (card !== device) found[device] = card;
  }
  return found;
}

function lowerDevices(device: string): string[] {
  try {
    const names = readdirSync(`/sys/class/net/${device}`);
    return names.filter((name) => name.startsWith(LOWER)).map((name) => name.slice(LOWER.length));
  } catch {
    return [];
  }
}
