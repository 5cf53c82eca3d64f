// Makes GrantPorts (holds.ts) with which every step of an OPEN succeeds at once. A test of take-overs replaces only the functions of steps
// that must fail.

import type { GrantPorts } from '../volumes/holds/holds.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';

export function unhinderedPorts(volume: ServedVolume): GrantPorts {
  return {
    find: () => volume,
    role: () => null,
    incarnation: () => 'life',
    revokeHold: () => Promise.resolve(true),
    sync: () => Promise.resolve(),
    incarnationEnded: () => Promise.resolve(),
    isWanted: () => true,
    promiseOf: () => null,
    tookOver: () => undefined,
    disputedMs: () => 0,
    pause: () => Promise.resolve(),
  };
}
