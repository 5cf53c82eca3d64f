// Makes a pool on a shared disk: a file system with an empty pool. Invariants: a disk with any other content never becomes a pool. The record
// names the server that makes the pool, so that an attempt that was interrupted is fenced before the next one touches the disk.

import type { PoolConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { claimed, type FarmRecord, formatted, freed } from '../farm/farm-record.ts';
import { makeFileSystem } from '../farm/pool-mount.ts';
import type { SharedPoolPorts } from '../farm/shared-pool.ts';
import type { PoolState } from './catalogue.ts';
import { makePool } from './make-pool.ts';

export interface MakerPorts extends Pick<SharedPoolPorts, 'engine' | 'mount' | 'server'> {
  readonly nowMs: number;
  /** The pools that the server has. */
  readonly pools: readonly Pick<PoolState, 'name' | 'path' | 'identity'>[];
}

/**
 * Makes the pool. Returns false if the disk has the record of a pool with the same owners already. Throws E_POOL, E_EXISTS, E_STORAGE,
 * E_FENCE or E_BUSY, which name the disk and the remedy.
 */
export async function makeSharedPool(config: PoolConfig, { engine, mount, server, nowMs, pools }: MakerPorts): Promise<boolean> {
  const { path, shared } = config;
  const owners = shared?.owners ?? [];
  await engine.prepare(owners);
  const { record } = await engine.look();
  if (record !== null && record.state !== 'making' && record.state !== 'claimed') {
    if (record.owners.join() === owners.join()) return false;
    throw new RsError('E_POOL', `The disk has a pool whose owners are ${record.owners.join(', ')}: give the same owners`);
  }
  await mount.unmount();
  await engine.clear();
  const client = await engine.connect((record?.generation ?? 0) + 1);
  try {
    const claim = claimed(record, owners, server, client.name, nowMs);
    if (claim === null) throw new RsError('E_POOL', `Too many attempts to make pool ${config.name} wait for a fence: use another disk`);
    await stored(engine, record, claim, config.name);
    for (const writer of claim.writers) await engine.fence(writer);
    const device = await client.open();
    // Only what an interrupted attempt has made is overwritten.
    await makeFileSystem(device, claim.state === 'making');
    const ours = formatted(claim);
    await stored(engine, claim, ours, config.name);
    await mount.mount(device);
    await makePool(path, nowMs, pools, false);
    await mount.unmount();
    await client.close();
    await stored(engine, ours, freed(ours, null, nowMs), config.name);
    return true;
  } catch (thrown) {
    await mount
      .unmount()
      .then(() => client.close())
      .catch(() => undefined);
    throw toRsError(thrown);
  }
}

async function stored(engine: MakerPorts['engine'], before: FarmRecord | null, next: FarmRecord, pool: string): Promise<void> {
  if (await engine.swap(before, next)) return;
  throw new RsError('E_BUSY', `Another server makes pool ${pool} on the disk, or has made it: see there, and try again`);
}
