// Ordinary seeds of the simulator, with limits: each session has a limit on each of its volumes, and sometimes pauses a volume for a while
// when it is opened. Faults, users and the oracle are those of the simulator. Invariant: the limits need no random draws, so that the rest
// of a seed stays the same.

import { SessionThrottles } from '@rsio/rssrv/volumes/throttle/session-throttles';
import type { ThrottledHandle } from '@rsio/rssrv/volumes/throttle/volume-throttle';
import { override } from '../../base/override.ts';
import { runSeed } from '../../runner/run-seed.ts';

/** The limit of each volume in I/Os per second. The limit is so low that users often wait. */
const IOPS = 40;
const BURST_MS = 20;
const PAUSE_MS = 1_500;

/** Runs the seed with limits. Returns the fault as a sentence; null: no fault. */
export async function limitedSeed(seed: number): Promise<string | null> {
  const undo = limitSessions();
  try {
    return (await runSeed(seed, { isHunt: true })).breaches[0] ?? null;
  } finally {
    undo();
  }
}

function limitSessions(): () => void {
  return override<SessionThrottles, [ThrottledHandle], void>(SessionThrottles, 'opened', (original) => (self, open) => {
    const rates = { iops: IOPS, bytesPerSecond: null, burstMs: BURST_MS };
    const halt = open.handle % 2 === 0 ? ({ kind: 'paused', leftMs: PAUSE_MS } as const) : null;
    self.receive({ type: 'throttle', volumeId: open.volume.id, number: open.handle, setting: { rates, reportMs: null, halt } });
    original(self, open);
  });
}
