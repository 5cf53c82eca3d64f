// Makes a pool on a shared disk: a file system with an empty pool. Invariants: a disk with any other content never becomes a pool. The
// record names the server that makes the pool, so that the next attempt can fence an interrupted attempt before it changes the disk.

import { sleep } from '@rsio/base/lib/waiting';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { MAKER_LOOKS, WATCH_MS } from '../farm/limits.ts';
import { claimed, type FarmRecord, formatted, freed } from '../farm/farm-record.ts';
import { makeFileSystem } from '../farm/pool-mount.ts';
import type { SharedPoolPorts } from '../farm/shared-pool-ports.ts';
import type { PoolState } from './catalogue.ts';
import { makePool } from './make-pool.ts';

export interface MakerPorts extends Pick<SharedPoolPorts, 'engine' | 'mount' | 'server'> {
  readonly clock: Clock;
  readonly nowMs: number;
  /** The pools that the server has. */
  readonly pools: readonly Pick<PoolState, 'name' | 'path' | 'identity'>[];
}

/**
 * Makes the pool. Returns false if the disk already has the record of a pool with the same owners. Throws E_POOL, E_EXISTS, E_STORAGE,
 * E_FENCE or E_BUSY, which name the disk and the remedy.
 */
export async function makeSharedPool(config: PoolConfig, ports: MakerPorts): Promise<boolean> {
  const { engine, mount, server, nowMs, pools } = ports;
  const { path, shared } = config;
  const owners = shared?.owners ?? [];
  await engine.prepare(owners);
  const { record } = await engine.look();
  if (record !== null && record.state !== 'making' && record.state !== 'claimed') {
    if (record.owners.join() === owners.join()) return false;
    throw new RsError('E_POOL', `The disk has a pool whose owners are ${record.owners.join(', ')}: give the same owners`);
  }
  if (record !== null) await refuseLiving(record, ports);
  await mount.unmount();
  await engine.clear();
  const client = await engine.connect((record?.generation ?? 0) + 1);
  const posting = postNotes(ports);
  try {
    const claim = claimed(record, owners, server, client.name, nowMs);
    if (claim === null) throw new RsError('E_POOL', `Too many attempts to make pool ${config.name} wait for a fence: use another disk`);
    await stored(engine, record, claim, config.name);
    for (const writer of claim.writers) await engine.fence(writer);
    const device = await client.open();
    // Overwrite a file system only if an interrupted attempt has made it.
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
  } finally {
    posting.stop();
  }
}

/**
 * Throws E_BUSY if another server is making the pool and still posts notes, because a fence would also end the other pools of that server.
 */
async function refuseLiving({ owner }: FarmRecord, { engine, server, clock }: MakerPorts): Promise<void> {
  const count = async (): Promise<number | undefined> => (await engine.look()).notes.get(owner?.server ?? '')?.count;
  const before = await count();
  for (let looks = 0; looks < MAKER_LOOKS && owner?.server !== server; looks++) {
    await sleep(clock, WATCH_MS);
    if ((await count()) !== before)
      throw new RsError('E_BUSY', `Server ${owner?.server ?? '?'} makes the pool now: wait for it, and try again`);
  }
}

/** Posts notes until `stop` is called, so that other servers see that this server is still working. */
function postNotes({ engine, clock, server }: MakerPorts): { stop(): void } {
  let isOver = false;
  const post = async (): Promise<void> => {
    const count = ((await engine.look()).notes.get(server)?.count ?? 0) + 1;
    if (!isOver) await engine.post({ generation: 0, count, wants: null, refusal: null });
  };
  const next = (): void => {
    if (isOver) return;
    void post()
      .catch(() => undefined)
      .then(() => clock.after(WATCH_MS, next));
  };
  next();
  return { stop: () => void (isOver = true) };
}

async function stored(engine: MakerPorts['engine'], before: FarmRecord | null, next: FarmRecord, pool: string): Promise<void> {
  if (await engine.swap(before, next)) return;
  throw new RsError('E_BUSY', `Another server makes pool ${pool} on the disk, or has made it: see there, and try again`);
}
