// Volumes that come back as another kind of thing when their server is started anew: read-only, shared, or in other blocks; a later start
// gives them back what they were. That is what a server may do which compares nothing; one of ours refuses it (packages/rssrv). Meanwhile
// nobody new gets such a volume: who holds it is to wait. Draws from a source of its own, so that a world is what it was but for this.

import { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import type { ServedVolume } from '@rsio/rssrv/served-volume';
import type { SimClock } from './sim-clock.ts';
import type { SimServer } from './sim-server.ts';
import { EVENT, type Trace } from './trace.ts';

export type Form = Partial<Pick<ServedVolume, 'readonly' | 'shared' | 'blockSizeBytes'>>;

/** Share of the worlds in which it happens, and of the starts of a listener there. */
const WORLD_CHANCE = 0.4;
const START_CHANCE = 0.6;
/** So long a volume is another thing. */
const MIN_MS = 300;
const MAX_MS = 4_000;
const DOWN_MS = 20;
/** As far as seeds go, other draws than those of the world. */
const SALT = 1_000_003;

const FORMS: readonly Form[] = [{ readonly: true }, { readonly: true }, { shared: true }, { blockSizeBytes: 4096 }];

export class SimForms {
  private readonly random: SeededRandom;
  private readonly clock: SimClock;
  private readonly trace: Trace;
  private isOver: boolean;

  constructor(seed: number, clock: SimClock, trace: Trace) {
    this.random = new SeededRandom(seed * SALT + 1);
    this.clock = clock;
    this.trace = trace;
    this.isOver = !this.random.chance(WORLD_CHANCE);
  }

  /** A listener is about to start: what it serves is settled now. */
  starts(server: SimServer): void {
    const { random, clock, trace } = this;
    const volumes = [...server.machine.volumes.values()];
    const changed = volumes.filter(({ form }) => form !== null);
    for (const volume of changed) volume.form = null;
    if (changed.length > 0 || this.isOver || volumes.length === 0 || !random.chance(START_CHANCE)) return;
    const volume = random.pick(volumes);
    volume.form = random.pick(FORMS);
    trace.note(EVENT.FAULT, -1, 0, 0);
    if (trace.isOn) trace.say(`-- ${volume.name} comes back as ${JSON.stringify(volume.form)}`);
    // Whoever stops the listener before that has it start anew, too.
    clock.after(MIN_MS + random.unit() * MAX_MS, () => {
      if (volume.form !== null) server.killListener(DOWN_MS);
    });
  }

  /** No other volume changes any more; those that have come back at the next start. */
  heal(): void {
    this.isOver = true;
  }
}
