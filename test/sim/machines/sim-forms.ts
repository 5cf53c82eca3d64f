// Volumes that return with other properties when their server restarts: read-only, shared, another block size; a later start restores them.
// In some worlds, servers compare nothing, and clients have to wait. In others, servers compare as ours do (sim-facts.ts); there, a volume
// may also return from another file, or shorter, which no client could detect. Until the volume is restored, no new client gets it, and its
// holder has to wait. Draws from its own randomness, so that a world is otherwise unchanged.

import { SeededRandom } from '@rsio/common/testing/seeded-random';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { SimClock } from '../base/sim-clock.ts';
import type { SimServer } from './sim-server.ts';
import { EVENT, type Trace } from '../base/trace.ts';

export interface Form {
  /** Properties that the server announces. */
  readonly says?: Partial<Pick<ServedVolume, 'readonly' | 'shared' | 'blockSizeBytes'>>;
  /** Whether the storage is another file. */
  readonly isOther?: boolean;
  /** Whether the storage has lost its second half. */
  readonly isHalved?: boolean;
}

/** Share of the worlds with such volumes, and of the starts of a listener in them. */
const WORLD_CHANCE = 0.4;
const START_CHANCE = 0.6;
/** Shortest time with other properties. */
const MIN_MS = 300;
const MAX_MS = 4_000;
const DOWN_MS = 20;
/** Added to the seed, so that these draws differ from those of the world. */
const SALT = 1_000_003;
/** Share of the worlds whose servers compare. */
const COMPARING_CHANCE = 0.5;
const COMPARING_SALT = 1_000_037;

const FORMS: readonly Form[] = [
  { says: { readonly: true } },
  { says: { readonly: true } },
  { says: { shared: true } },
  { says: { blockSizeBytes: 4096 } },
];
const COMPARED_FORMS: readonly Form[] = [...FORMS, { isOther: true }, { isOther: true }, { isHalved: true }];

export class SimForms {
  private readonly random: SeededRandom;
  private readonly clock: SimClock;
  private readonly trace: Trace;
  /** Whether servers compare volumes with their former properties. */
  readonly areCompared: boolean;
  private isOver: boolean;

  constructor(seed: number, clock: SimClock, trace: Trace) {
    this.random = new SeededRandom(seed * SALT + 1);
    this.clock = clock;
    this.trace = trace;
    this.areCompared = new SeededRandom(seed * COMPARING_SALT).chance(COMPARING_CHANCE);
    this.isOver = !this.random.chance(WORLD_CHANCE);
  }

  /** A listener is about to start; chooses the properties of its volumes. */
  starts(server: SimServer): void {
    const { random, clock, trace } = this;
    const volumes = [...server.machine.volumes.values()].filter(({ isPooled, replica }) => !isPooled && replica === null);
    const changed = volumes.filter(({ form }) => form !== null);
    for (const volume of changed) volume.form = null;
    if (changed.length > 0 || this.isOver || volumes.length === 0 || !random.chance(START_CHANCE)) return;
    const volume = random.pick(volumes);
    volume.form = random.pick(this.areCompared ? COMPARED_FORMS : FORMS);
    trace.note(EVENT.FAULT, -1, 0, 0);
    if (trace.isOn) trace.say(`-- ${volume.name} comes back as ${JSON.stringify(volume.form)}`);
    // A fault that stops the listener before that also restarts it.
    clock.after(MIN_MS + random.unit() * MAX_MS, () => {
      if (volume.form !== null) server.killListener(DOWN_MS);
    });
  }

  /** No other volume changes any more; changed ones return to their first form at the next start. */
  heal(): void {
    this.isOver = true;
  }
}
