// A volume in a regular file: at once while its content is cached, through the pool while it is not.
// Leaves reading and writing to file-backend.ts; this says only what a regular file is to it.

import { RsError } from '@rsio/common/lib/errors';
import type { ServedVolume } from '../common/served-volume.ts';
import type { Backend } from '../common/backend.ts';
import { openFile } from './opened-file.ts';
import { InlinePolicy } from '../common/pace.ts';
import type { BackendPorts } from './backend-ports.ts';

/** Throws E_VOLUME naming volume and path. */
export function openRegularFile(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  return openFile(
    volume,
    {
      type: 'file',
      inline: new InlinePolicy(ports.clock, 'sync', ports.sleeps),
      isVolatile: false,
      inspect: (stats) => {
        if (!stats.isFile()) throw new RsError('E_VOLUME', `${volume.path} of volume ${volume.name} is no regular file: set its type`);
        return { sizeBytes: Number(stats.size), canPunch: 'probe' };
      },
    },
    ports,
  );
}
