// The worlds of parts of a mirror, as the zoo uses them: the decider of memberships, the data path, the copier and
// the intent map, each alone with replicas and
// users in memory. A mutant names one of them if the simulator sees it late or not at all. A world is given by its seed, and by the options
// of the mutant. Invariant: all of them run production code, so that a mutant breaks it there as in the simulator.

import { live } from '@rsio/protocol/testing/mirror-copy-lives';
import { violationOf } from '@rsio/protocol/testing/mirror-data-worlds';
import { walk } from '@rsio/rssrv/testing/intent-scene';
import { limitedSeed } from './limited-seeds.ts';
import { ANY, type WalkOptions, World } from '../../../mirrors/world.ts';

/** `walks`: test/mirrors. `data`: the data path. `copies`: the copier. `maps`: the intent map of a replica. `limits`: seeds with limits. */
export type Explorer = 'walks' | 'data' | 'copies' | 'maps' | 'limits';

/** Worlds of an explorer take milliseconds: a mutant that passes this many of them has survived. */
export const EXPLORED_MAX = 3000;

/** Returns what is wrong in the world of this seed; null: nothing is. */
export async function explore(explorer: Explorer, options: Partial<WalkOptions>, seed: number): Promise<string | null> {
  try {
    if (explorer === 'walks') return new World(seed, { ...ANY, ...options }).walk();
    if (explorer === 'limits') return await limitedSeed(seed);
    if (explorer === 'maps') return await walk(seed);
    return explorer === 'data' ? await violationOf(seed) : live(seed);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
