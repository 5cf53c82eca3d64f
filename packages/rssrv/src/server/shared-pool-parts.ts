// Makes the parts of a shared pool that reach its storage, for the listener. Invariant: the disk and the fence of the configuration decide
// the engine.

import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { poolMount } from '../farm/pool-mount.ts';
import type { SharedPoolPorts } from '../farm/shared-pool.ts';

const UNIT_PARTS = 1_000_000;

export function sharedPoolParts(
  config: PoolConfig,
  server: string,
  runDir: string,
  clock: Clock,
): Pick<SharedPoolPorts, 'engine' | 'mount'> {
  const directory = join(runDir, 'pools', config.name);
  throw new RsError('E_POOL', `No engine for ${directory} ${server} ${clock.wallMs()}`, { mount: poolMount(config.path) });
}

/** Returns a random number from 0 to 1. */
export function randomUnit(): number {
  return randomInt(UNIT_PARTS) / UNIT_PARTS;
}
