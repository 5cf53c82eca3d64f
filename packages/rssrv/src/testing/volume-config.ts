// A complete, parsed `[volume]` section for tests.
// Each test changes only the settings under test.

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
