// From a volume as the listener settled it to its backend. The one place that knows all kinds.
// Leaves finding out the kind, creating, growing and locking to volume-storage.ts.

import { unreachable } from '@rsio/common/lib/assert';
import type { ServedVolume } from './common/served-volume.ts';
import type { Backend } from './common/backend.ts';
import { openBlockDevice } from './files/block-backend.ts';
import { openMemory } from './files/memory-backend.ts';
import { NullBackend } from './null-backend.ts';
import type { BackendPorts } from './files/backend-ports.ts';
import { openRegularFile } from './files/regular-file.ts';
import { SharingBackend } from './sharing-backend.ts';
import { withFaults } from './faults/wrapped.ts';

/** Throws E_VOLUME naming volume, path and errno when the storage cannot be opened or is not what the listener found. */
export async function openBackend(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  return withFaults(sharing(await openStorage(volume, ports), volume, ports), volume, ports);
}

/** Memory does not hang. */
function sharing(backend: Backend, { type, id }: ServedVolume, { threads }: BackendPorts): Backend {
  return type === 'file' || type === 'block' ? new SharingBackend(backend, threads, id) : backend;
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
