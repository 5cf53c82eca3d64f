// The faults of volumes that the server for tests reads when a client opens one: by name, in a file that Host.startFaulty writes. rssrv itself
// knows none of this. Invariant: a volume that the file does not name has the backend that every server gives it.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { errnoName } from '@rsio/common/lib/errors';

export type FaultyOperation = 'any' | 'read' | 'write' | 'flush' | 'discard' | 'zero';

export interface DelayRule {
  readonly operation: FaultyOperation;
  readonly minMs: number;
  readonly maxMs: number;
  /** File that must exist for the rule to apply; absent: it always applies. */
  readonly whileFile?: string;
}

export interface ErrorRule {
  readonly operation: FaultyOperation;
  /** First and last 512-byte sector to which the rule applies; absent: the whole volume. */
  readonly sectors?: readonly [number, number];
  /** With the value N, every Nth matching operation fails; absent: each. */
  readonly every?: number;
  readonly errno: string;
  readonly whileFile?: string;
}

export interface VolumeFaults {
  readonly delays?: readonly DelayRule[];
  readonly errors?: readonly ErrorRule[];
  /** All I/O on the volume stalls for as long as this file exists. */
  readonly pauseFile?: string;
  readonly bytesPerSecond?: number;
  /** Only flushed data reaches the file or device; other data stays in RUN, and a crash of the machine loses it. */
  readonly losesUnsynced?: true;
}

/** Name of a volume -> its faults. */
export type ServerFaults = Readonly<Record<string, VolumeFaults>>;

/** The root of the host under test, in the environment of each of its processes. */
const ROOT = 'RSIO_TEST_HOST';

/** Where a server below this root finds its faults. */
export function faultsFile(root: string): string {
  return path.join(root, 'faults.json');
}

/** Of this process's server. Throws if the file is there and cannot be read. */
export function faultsOf(volume: string): VolumeFaults {
  try {
    const all = JSON.parse(readFileSync(faultsFile(process.env[ROOT] ?? '/'), 'utf8')) as ServerFaults;
    return all[volume] ?? {};
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return {};
    throw thrown;
  }
}

/** The log of a volume's unsynced writes. It is in RUN, so that the boot after a crash of the machine clears it, as a kernel's cache is lost. */
export function unsyncedFile(id: string): string {
  return path.join(process.env[ROOT] ?? '/', 'run/rsio/rssrv', `unsynced-${id}`);
}
