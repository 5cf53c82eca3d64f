// Makes the objects through which the listener reaches the storage of a shared pool. Invariant: the configured disk and fence determine the
// engine.

import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { PoolConfig, SharedDiskConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Engine } from '../../farm/engine.ts';
import { CommandEngine } from '../../farm/engines/command.ts';
import { RbdEngine } from '../../farm/engines/rbd.ts';
import { ReservationEngine } from '../../farm/engines/reservation.ts';
import { poolMount } from '../../farm/pool-mount.ts';
import type { SharedPoolPorts } from '../../farm/shared-pool-ports.ts';

const UNIT_PARTS = 1_000_000;

/** `runDir`: directory for what the engines need while they run. Throws E_POOL if the pool is not shared. */
export function sharedPoolParts(
  { name, path, shared }: PoolConfig,
  server: string,
  runDir: string,
  clock: Clock,
): Pick<SharedPoolPorts, 'engine' | 'mount'> {
  if (shared === null) throw new RsError('E_POOL', `Pool ${name} has no shared disk`, { pool: name });
  return { engine: engineOf(name, shared, server, join(runDir, 'pools', name), clock), mount: poolMount(path, clock) };
}

function engineOf(pool: string, { disk, fence, fencesSelf }: SharedDiskConfig, server: string, directory: string, clock: Clock): Engine {
  if (disk.kind === 'rbd')
    return new RbdEngine({ pool: disk.pool, image: disk.image, server, folder: directory, clock, environment: process.env });
  if (fence.kind === 'reservation') return new ReservationEngine({ clock, random: randomUnit, disk: disk.path, server });
  // Without a configured fence, no server takes a pool by force. If an interrupted take has left a writer that must be fenced, this command
  // fails.
  const command: readonly [string, ...string[]] = fence.kind === 'command' ? [fence.program, ...fence.words] : ['/bin/false'];
  return new CommandEngine({ clock, random: randomUnit, disk: disk.path, server, pool, command, fencesSelf });
}

/** Returns a random number from 0 to 1. */
export function randomUnit(): number {
  return randomInt(UNIT_PARTS) / UNIT_PARTS;
}
