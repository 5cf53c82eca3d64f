// How many files the listener and each of its processes may come to have open, by the configuration: more than the system lets them have would
// show as volumes that cannot be opened and clients that cannot come in, one day when many are there. Pure but for the limit, which is read.
// Leaves running out of them all the same to descriptor-watch.ts. Invariant: what is counted is what the bounds of one session allow.

import { readFileSync } from 'node:fs';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import { DESCRIPTORS_PER_BACKEND, DESCRIPTORS_RESERVED, UNPROVEN_MAX } from './limits.ts';
import { plural } from '@rsio/common/lib/units';

type Counted = Pick<RssrvConfig, 'volumes' | 'clients' | 'interfaces' | 'server'>;

/** The soft limit of this process, which its children inherit; null: none, or not known. Node has raised it to the hard limit. */
export function openFilesLimit(text: string | null = readLimits()): number | null {
  const soft = /^Max open files\s+(\d+)/m.exec(text ?? '')?.[1];
  return soft === undefined ? null : Number(soft);
}

/** The sentence to say when that limit is too low; null: it is not. */
export function openFilesWarning({ volumes, clients, interfaces, server: { processes } }: Counted, limit: number | null): string | null {
  const together = Math.ceil(clients.length / processes);
  const inProcess = together * (volumes.length * DESCRIPTORS_PER_BACKEND + PATHS_PER_TRUNK_MAX) + DESCRIPTORS_RESERVED;
  const inListener = volumes.length + interfaces.length + UNPROVEN_MAX + Math.min(clients.length, processes) + DESCRIPTORS_RESERVED;
  const needed = Math.max(inProcess, inListener);
  if (limit === null || limit >= needed) return null;
  const where = inProcess >= inListener ? `a process with ${together} of ${plural(clients.length, 'client')}` : 'the listener';
  return (
    `A program may have ${limit} files open here, and ${where} may come to need ${needed} for ${plural(volumes.length, 'volume')}: ` +
    `raise the limit (LimitNOFILE=${needed} of its unit, ulimit -n ${needed}) and restart rssrv, or raise processes`
  );
}

function readLimits(): string | null {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return null;
  }
}
