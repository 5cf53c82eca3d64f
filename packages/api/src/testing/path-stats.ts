// Complete figures for a path, as a daemon reports them. Tests of displayed output start from these figures, and each test changes the
// figures that it examines.

import type { PathStats } from '../rsiod/methods.ts';
import { NO_LATENCY } from '@rsio/base/structures/latency-figures';

/** Returns the figures of an unused path, with `changes` applied. */
export function pathStats(changes: Partial<PathStats> = {}): PathStats {
  return {
    interface: 'if0',
    address: '192.168.10.9',
    port: 5000,
    state: 'up',
    requests: 0,
    sentBytes: 0,
    receivedBytes: 0,
    unansweredBytes: 0,
    resent: 0,
    hedged: 0,
    probed: 0,
    dropped: 0,
    deaths: 0,
    roundTripMs: null,
    receivingBytesPerSecond: null,
    sendingBytesPerSecond: null,
    readLatency: NO_LATENCY,
    writeLatency: NO_LATENCY,
    ...changes,
  };
}
