// Makes the parts of a shared pool that reach its storage. Invariant: the disk of the configuration decides the engine.

import { join } from 'node:path';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { poolMount } from '../farm/pool-mount.ts';
import type { SharedPoolPorts } from '../farm/shared-pool.ts';

export function sharedPoolParts(
  config: PoolConfig,
  server: string,
  runDir: string,
  clock: Clock,
): Pick<SharedPoolPorts, 'engine' | 'mount'> {
  const directory = join(runDir, 'pools', config.name);
  throw new RsError('E_POOL', `No engine for ${directory} ${server} ${clock.wallMs()}`, { mount: poolMount(config.path) });
}
