// A volume on a block device: the file backend, starting in the pool because a device is seldom cached, with size and
// abilities from /sys.

import { RsError } from '@rsio/common/lib/errors';
import type { ServedVolume } from '../common/served-volume.ts';
import type { Backend } from '../common/backend.ts';
import { blockDeviceFacts } from './block-device.ts';
import { openFile } from './opened-file.ts';
import { InlinePolicy } from '../common/pace.ts';
import type { BackendPorts } from './backend-ports.ts';

/** Throws E_VOLUME naming volume and path. */
export function openBlockDevice(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  return openFile(
    volume,
    {
      type: 'block',
      inline: new InlinePolicy(ports.clock, 'pool', ports.sleeps),
      isVolatile: false,
      inspect: (stats) => {
        if (!stats.isBlockDevice()) {
          throw new RsError('E_VOLUME', `${volume.path} of volume ${volume.name} is no block device: set its type`);
        }
        return blockDeviceFacts(stats.rdev);
      },
    },
    ports,
  );
}
