// Compares the limit on open files with the number of files that the listener and each worker may need. If the limit is too low, the server
// later fails to open volumes and refuses clients. All of the module is pure except the function that reads the limit. If descriptors run
// out nevertheless, descriptor-watch.ts reports the shortage.

import { readFileSync } from 'node:fs';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import { DESCRIPTORS_PER_BACKEND, DESCRIPTORS_RESERVED, UNPROVEN_MAX } from './limits.ts';
import { plural } from '@rsio/base/lib/units';

type Counted = Pick<RssrvConfig, 'volumes' | 'clients' | 'interfaces' | 'server'>;

/**
 * Returns this process's soft limit on open files; null if the limit is not known. Child processes inherit the limit. Node.js has already
 * raised the soft limit to the hard limit.
 */
export function openFilesLimit(text: string | null = readLimits()): number | null {
  const soft = /^Max open files\s+(\d+)/m.exec(text ?? '')?.[1];
  return soft === undefined ? null : Number(soft);
}

/** Returns a warning if the limit is too low, or null if the limit is high enough. */
export function openFilesWarning({ volumes, clients, interfaces, server: { processes } }: Counted, limit: number | null): string | null {
  const together = Math.ceil(clients.length / processes);
  const inProcess = together * (volumes.length * DESCRIPTORS_PER_BACKEND + PATHS_PER_TRUNK_MAX) + DESCRIPTORS_RESERVED;
  const inListener = volumes.length + interfaces.length + UNPROVEN_MAX + Math.min(clients.length, processes) + DESCRIPTORS_RESERVED;
  const needed = Math.max(inProcess, inListener);
  if (limit === null || limit >= needed) return null;
  const where = inProcess >= inListener ? `a process with ${together} of ${plural(clients.length, 'client')}` : 'the listener';
  return (
    `The limit of open files is ${limit}, but ${where} may need ${needed} for ${plural(volumes.length, 'volume')}: ` +
    `raise it (LimitNOFILE=${needed} in its unit, ulimit -n ${needed}) and restart rssrv, or raise processes`
  );
}

function readLimits(): string | null {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return null;
  }
}
