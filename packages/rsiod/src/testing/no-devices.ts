// A client without devices, for tests of attaching that have no machine to make them on.
// Leaves devices themselves to test/integration/block-devices.test.ts.

import type { VolumeDevices } from '../volumes/frontend-volume.ts';

export const noDevices: VolumeDevices = {
  show: () => Promise.resolve(),
  usersOf: () => Promise.resolve([]),
  hide: () => Promise.resolve(),
  drop: () => Promise.resolve(),
};
