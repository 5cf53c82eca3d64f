// What a listener does for an OPEN (holders.ts) where nothing hinders it: the volume is there, and every step succeeds at once.
// Leaves what fails, and when, to the tests of take-overs.

import type { GrantPorts } from '../holds/holders.ts';
import type { ServedVolume } from '../backends/common/served-volume.ts';

export function unhinderedPorts(volume: ServedVolume): GrantPorts {
  return {
    find: () => volume,
    incarnation: () => 'life',
    revokeHold: () => Promise.resolve(true),
    sync: () => Promise.resolve(),
    incarnationEnded: () => Promise.resolve(),
    isWanted: () => true,
    holdersChanged: () => undefined,
  };
}
