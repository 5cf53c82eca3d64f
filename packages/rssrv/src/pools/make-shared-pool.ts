// Makes a pool on a shared disk: a file system with an empty pool, and then the record. Invariants: a disk with any other content never
// becomes a pool. The record comes last, so that no server takes a pool that is not whole; an interrupted attempt is continued by the next.

import type { PoolConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { firstRecord } from '../farm/farm-record.ts';
import { makeFileSystem } from '../farm/pool-mount.ts';
import type { SharedPoolPorts } from '../farm/shared-pool.ts';
import type { PoolState } from './catalogue.ts';
import { makePool } from './make-pool.ts';

/**
 * Makes the pool. `pools`: the pools that the server has. Returns false if the disk has the record of a pool with the same owners already.
 * Throws E_POOL, E_EXISTS, E_STORAGE or E_BUSY, which name the disk and the remedy.
 */
export async function makeSharedPool(
  config: PoolConfig,
  { engine, mount }: Pick<SharedPoolPorts, 'engine' | 'mount'>,
  nowMs: number,
  pools: readonly Pick<PoolState, 'name' | 'path' | 'identity'>[],
): Promise<boolean> {
  const { path, shared } = config;
  const owners = shared?.owners ?? [];
  await engine.prepare(owners);
  const { record } = await engine.look();
  if (record !== null) {
    if (record.owners.join() === owners.join()) return false;
    throw new RsError('E_POOL', `The disk has a pool whose owners are ${record.owners.join(', ')}: give the same owners`);
  }
  await mount.unmount();
  await engine.clear();
  const client = await engine.connect(1);
  try {
    const device = await client.open();
    await mountNew(device, mount);
    const { isNew, volumes } = await makePool(path, nowMs, pools, false);
    if (!isNew && volumes > 0)
      throw new RsError(
        'E_EXISTS',
        `The disk has a pool with ${volumes} volumes, which some server may have mounted: move its volumes to a new shared pool instead`,
      );
  } finally {
    await mount.unmount();
    await client.close();
  }
  if (await engine.swap(null, firstRecord(owners, nowMs))) return true;
  throw new RsError('E_BUSY', `Another server makes a pool on the disk of pool ${config.name}: wait for it, and try again`);
}

/** Mounts a new file system. If the device has one, for example from an attempt that was interrupted, mounts that. */
async function mountNew(device: string, mount: SharedPoolPorts['mount']): Promise<void> {
  const failure = await makeFileSystem(device).then(
    () => null,
    (thrown: unknown) => toRsError(thrown),
  );
  try {
    await mount.mount(device);
  } catch (thrown) {
    throw failure ?? thrown;
  }
}
