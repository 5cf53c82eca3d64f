// Executes the methods about shared pools. farm/shared-pool.ts does the work. Invariant: a view shows the result of the last look at the
// record, and never waits for storage.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { FARM_METHODS } from '@rsio/api/rssrv/farm-methods';
import type { SharedPoolView } from '@rsio/api/views/views';
import { diskText, fenceText } from '@rsio/common/config/schema/shared-disk-text';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import * as types from '@rsio/common/config/schema/value-types';
import { TAKE_OVER_MS } from '@rsio/common/config/schema/limits';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Farms } from '../farm/farms.ts';
import type { SharedPool } from '../farm/shared-pool.ts';
import { makeSharedPool } from '../pools/make-shared-pool.ts';
import type { Pools } from '../pools/pools.ts';

export function farmHandlers(clock: Clock, farms: Farms, pools: Pools, server: string): HandlersOf<typeof FARM_METHODS> {
  return {
    'farm-show': () => ({ server, pools: farms.list.map((pool) => sharedPoolView(pool, server)) }),
    'pool-move': async ({ name, to }) => {
      const sinceMs = clock.monotonicMs();
      await farms.move(name, to);
      return { server: to, tookMs: clock.monotonicMs() - sinceMs };
    },
    'pool-grow': async ({ name }) => {
      const sizeOf = async (): Promise<number | null> => {
        await pools.measure();
        return pools.states.find((pool) => pool.name === name)?.space?.totalBytes ?? null;
      };
      const pool = farms.find(name);
      const beforeBytes = await sizeOf();
      await pool.grow();
      return { beforeBytes, sizeBytes: await sizeOf() };
    },
    'pool-release': async ({ name }) => {
      await farms.find(name).giveUpToNone();
      return {};
    },
    'farm-make': async ({ name, path, disk, fence, owners }) => {
      const shared = {
        disk: types.disk.parse(disk),
        fence: types.fence.parse(fence),
        fencesSelf: false,
        owners: types.serverNames.parse(owners),
        takeOverMs: TAKE_OVER_MS,
      };
      if (!shared.owners.includes(server))
        throw new RsError('E_USAGE', `This server, ${server}, is not one of the owners: run the command on an owner`);
      const config: PoolConfig = { name, path, limitBytes: null, reserve: 0, overcommit: 'allow', shared, line: 0 };
      if (farms.list.some((pool) => pool.name === name))
        throw new RsError('E_EXISTS', `Pool ${name} is a shared pool of this server already`);
      if (pools.makingAt.has(path)) throw new RsError('E_BUSY', `A pool is being made at ${path}: try again when that has ended`, { path });
      pools.makingAt.add(path);
      const parts = farms.partsOf(config);
      try {
        return { isNew: await makeSharedPool(config, { ...parts, clock, server, nowMs: clock.wallMs(), pools: pools.states }) };
      } finally {
        await parts.engine.close();
        pools.makingAt.delete(path);
      }
    },
  };
}

export function sharedPoolView(pool: SharedPool, server: string): SharedPoolView {
  const { sight, why, ownership, servedBy, standing } = pool.status;
  const { takeOverMs } = pool.settings;
  const record = sight?.record ?? null;
  const owner = record?.owner?.server ?? null;
  const note = sight?.notes.get(owner ?? '');
  const isInterrupted = record?.state === 'serving' && ownership === null && servedBy === null;
  const owners = pool.settings.owners.map((one) => ({ server: one, isThere: one === server || pool.isThere(one) }));
  return {
    name: pool.name,
    disk: diskText(pool.settings.disk),
    fence: fenceText(pool.settings.fence),
    state: isInterrupted ? 'interrupted' : (record?.state ?? 'unknown'),
    owner,
    isHere: ownership !== null,
    standing,
    generation: record?.generation ?? 0,
    sinceMs: record?.sinceMs ?? null,
    heartbeatMs: owner === null ? null : pool.silentMs(owner),
    next: takeOverMs === null ? null : (owners.find((one) => one.isThere && one.server !== owner)?.server ?? null),
    takeOverMs,
    load: note?.generation === record?.generation ? (note?.load ?? null) : null,
    why,
    owners,
    unfenced: (record?.writers ?? []).map((writer) => ({ server: writer.server, generation: writer.generation })),
  };
}
