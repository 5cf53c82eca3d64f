// The faults of volumes. Host.startFaulty writes the faults into a file, by the name of the volume, and the server for tests reads this
// file when a client opens a volume. rssrv itself has no faults. Invariant: a volume that the file does not name gets the same backend as
// in rssrv.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { errnoName } from '@rsio/base/lib/errors';

export type FaultyOperation = 'any' | 'read' | 'write' | 'flush' | 'discard' | 'zero';

export interface DelayRule {
  readonly operation: FaultyOperation;
  readonly minMs: number;
  readonly maxMs: number;
  /** The rule applies only while this file exists. Absent: the rule always applies. */
  readonly whileFile?: string;
}

export interface ErrorRule {
  readonly operation: FaultyOperation;
  /** First and last 512-byte sector to which the rule applies; absent: the whole volume. */
  readonly sectors?: readonly [number, number];
  /** With the value N, every Nth matching operation fails. Absent: each matching operation fails. */
  readonly every?: number;
  readonly errno: string;
  readonly whileFile?: string;
}

export interface VolumeFaults {
  readonly delays?: readonly DelayRule[];
  readonly errors?: readonly ErrorRule[];
  /** All I/O on the volume stalls while this file exists. */
  readonly pauseFile?: string;
  readonly bytesPerSecond?: number;
  /** Only flushed data reaches the file or device. Other data stays in RUN, and a crash of the machine loses this other data. */
  readonly losesUnsynced?: true;
}

/** For each name of a volume: the faults of the volume. */
export type ServerFaults = Readonly<Record<string, VolumeFaults>>;

/** Environment variable with the root of the host under test. Each process of the host has this variable. */
const ROOT = 'RSIO_TEST_HOST';

/** Path of the file with the faults of the server of this host. */
export function faultsFile(root: string): string {
  return path.join(root, 'faults.json');
}

/** The faults of a volume of the server to which this process belongs. Throws if the file with the faults exists and cannot be read. */
export function faultsOf(volume: string): VolumeFaults {
  try {
    const all = JSON.parse(readFileSync(faultsFile(process.env[ROOT] ?? '/'), 'utf8')) as ServerFaults;
    return all[volume] ?? {};
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return {};
    throw thrown;
  }
}

/**
 * The log of a volume's unsynced writes. The log is in RUN. The boot after a crash of the machine therefore clears the log; a real crash
 * loses the kernel's cache in the same way.
 */
export function unsyncedFile(id: string): string {
  return path.join(process.env[ROOT] ?? '/', 'run/rsio/rssrv', `unsynced-${id}`);
}
