// A volume in memory: a file that the listener made in a memory file system, so that it survives the worker. Always at once,
// and a flush does nothing, because nothing here survives the machine.

import type { ServedVolume } from '../common/served-volume.ts';
import type { Backend } from '../common/backend.ts';
import { openFile } from './opened-file.ts';
import type { BackendPorts } from './backend-ports.ts';

/** Throws E_VOLUME naming volume and path. */
export function openMemory(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  const inspect = (stats: { readonly size: bigint }) => ({ sizeBytes: Number(stats.size), canPunch: 'probe' as const });
  return openFile(volume, { type: 'memory', inline: null, isVolatile: true, inspect }, ports);
}
