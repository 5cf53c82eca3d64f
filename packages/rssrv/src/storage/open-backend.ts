// Opens the backend of a volume after the listener has determined the volume's type and size. Invariant: if the backend cannot be opened,
// no file stays open.

import { unreachable } from '@rsio/base/lib/assert';
import type { Backend, PartBackend } from './io/backend.ts';
import type { ServedLayout, ServedVolume } from './io/served-volume.ts';
import type { BackendPorts } from './files/backend-ports.ts';
import { openBlockDevice, openMemory, openRegularFile } from './files/opened-file.ts';
import { LayoutBackend } from './files/layout-backend.ts';
import { LayoutMap } from './files/layout-map.ts';
import { NullBackend } from './null-backend.ts';
import { ThreadShareBackend } from './thread-share-backend.ts';

/**
 * Opens the backend. Throws E_VOLUME, naming volume, path and errno, if the storage cannot be opened or is not the storage that the
 * listener found.
 */
export async function openBackend(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  const { layout } = volume;
  return layout === undefined ? sharing(await openStorage(volume, ports), volume, ports) : openLayout(volume, layout, ports);
}

/**
 * Returns a backend that uses the volume's share of the threads. Memory and null volumes need no share, because their calls do not
 * hang.
 */
function sharing(backend: Backend, { type, id }: ServedVolume, { threads }: BackendPorts): Backend {
  return type === 'file' || type === 'block' ? new ThreadShareBackend(backend, threads, id) : backend;
}

/** Opens the files of a volume of several files. If a file cannot be opened, closes the files that are already open. */
async function openLayout(volume: ServedVolume, layout: ServedLayout, ports: BackendPorts): Promise<Backend> {
  const opened: PartBackend[] = [];
  try {
    for (const part of layout.parts) {
      const { path, sizeBytes } = part;
      const identity = part.storage === undefined ? {} : { storage: part.storage };
      const onError: BackendPorts['onError'] = (operation, errno) => ports.onError(operation, errno, part);
      opened.push(await openRegularFile({ ...volume, path, ...identity, sizeBytes }, { ...ports, onError }));
    }
  } catch (thrown) {
    for (const backend of opened) await backend.close();
    throw thrown;
  }
  const { id, sizeBytes } = volume;
  const lane = ports.threads.enter(id);
  return new LayoutBackend(opened, new LayoutMap(layout), sizeBytes, lane, () => ports.threads.leave(id));
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
