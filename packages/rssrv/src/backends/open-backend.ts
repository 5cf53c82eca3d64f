// Opens the backend of a volume after the listener has
// determined the volume's type and size.

import { unreachable } from '@rsio/common/lib/assert';
import type { Backend } from './io/backend.ts';
import type { ServedVolume } from './io/served-volume.ts';
import { withFaults } from './faults/with-faults.ts';
import type { BackendPorts } from './files/backend-ports.ts';
import { openBlockDevice, openMemory, openRegularFile } from './files/opened-file.ts';
import { NullBackend } from './null-backend.ts';
import { ThreadShareBackend } from './thread-share-backend.ts';

/**
 * Opens the backend. Throws E_VOLUME, naming volume, path and errno, if the storage cannot be opened or is not the storage that the
 * listener found.
 */
export async function openBackend(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  return withFaults(sharing(await openStorage(volume, ports), volume, ports), volume, ports);
}

/** Memory and null volumes do not hang, so their backends need no share of the threads. */
function sharing(backend: Backend, { type, id }: ServedVolume, { threads }: BackendPorts): Backend {
  return type === 'file' || type === 'block' ? new ThreadShareBackend(backend, threads, id) : backend;
}

async function openStorage(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  switch (volume.type) {
    case 'file':
      return openRegularFile(volume, ports);
    case 'block':
      return openBlockDevice(volume, ports);
    case 'memory':
      return openMemory(volume, ports);
    case 'null':
      return new NullBackend(volume.sizeBytes, volume.readonly);
    default:
      return unreachable(volume.type);
  }
}
