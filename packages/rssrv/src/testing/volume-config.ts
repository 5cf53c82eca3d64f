// A `[volume]` section as the reader gives it, for the tests of what is made of one.
// Complete; a test changes what it is about.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';

export function volumeConfig(changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig {
  return {
    name: 'oracle',
    type: 'auto',
    path: null,
    sizeBytes: null,
    blockSizeBytes: 512,
    readonly: false,
    universe: 0,
    clients: null,
    shared: false,
    takeOver: null,
    takeOverForce: false,
    id: null,
    sameContent: null,
    line: 1,
    ...changes,
  };
}
