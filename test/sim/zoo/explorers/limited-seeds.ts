// Ordinary seeds of the simulator in which each session has a limit on each of its volumes, and opening a volume sometimes pauses it for a
// while. Faults, users and the oracle are those of the simulator. Invariant: nothing is drawn for the limits, so that a seed stays the
// same.

import { SessionThrottles } from '@rsio/rssrv/volumes/throttle/session-throttles';
import type { ThrottledHandle } from '@rsio/rssrv/volumes/throttle/volume-throttle';
import { override } from '../../base/override.ts';
import { runSeed } from '../../runner/run-seed.ts';

/** Limit that often makes users of the simulator wait. */
const IOPS = 40;
const BURST_MS = 20;
const PAUSE_MS = 1_500;

/** Returns the fault in the seed with limits; null: none. */
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
