// One exploration: asks by broadcast and by address from every local interface, three times, listens for a bounded time, and tells which
// servers are there and what it did not believe. Which answers are believed is left to answers.ts. Invariant: it ends in time and leaves
// no socket and no timer behind.

import { RsError } from '../lib/errors.ts';
import type { Exploration, ExploreOptions } from './exploration.ts';

/** Never rejects for what the network does: that is among the findings. */
export function explore(options: ExploreOptions): Promise<Exploration> {
  return Promise.reject(new RsError('E_NOT_BUILT', `Exploration on port ${options.port} is not in this version`));
}
