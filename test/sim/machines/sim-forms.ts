// Volumes that return with other properties when their server restarts: read-only, shared, or with another block size. A later start
// restores the properties. In some worlds, servers compare no properties, and the clients must notice the change. In other worlds, servers
// compare as rssrv does (sim-facts.ts). Only in these worlds, a volume may also return shorter or from another file, because no client
// could detect this. Until the volume is restored, no new client gets the volume, and the holder waits. The random draws of this file have
// their own source, so that they change nothing else in a world.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
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

/**
 * WORLD_CHANCE: chance that a world has volumes that return with other properties. START_CHANCE: chance that a start of a listener in that
 * world changes a volume.
 */
const WORLD_CHANCE = 0.4;
const START_CHANCE = 0.6;
/** A volume keeps its other properties for at least this time. */
const MIN_MS = 300;
const MAX_MS = 4_000;
const DOWN_MS = 20;
/** Added to the seed, so that these draws differ from the world's. */
const SALT = 1_000_003;
/** Chance that the servers of a world compare volumes with their former properties. */
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

  /** Called before a listener starts: chooses the properties of its volumes. */
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
    // Restarts the listener, whose start restores the volume. If a fault has restarted the listener in the meantime, the volume is already
    // restored.
    clock.after(MIN_MS + random.unit() * MAX_MS, () => {
      if (volume.form !== null) server.killListener(DOWN_MS);
    });
  }

  /** After this call, no volume changes. A changed volume returns to its first form at the next start of its listener. */
  heal(): void {
    this.isOver = true;
  }
}
