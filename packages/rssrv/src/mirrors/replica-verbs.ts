// Turns volumes of pools into replicas of mirrors, and back into ordinary volumes. Invariants: the commit point is the manifest with the
// mark. The map of ones with the new identity is on disk before the manifest, so that a stop at any step leaves either no mark or a
// complete replica. A volume that a client uses is not changed, except by a split of a replica whose file was replaced, for example by an
// old backup: nothing that a client wrote is in such a file, and no start serves it. The volume is not served during the change, so that no
// handle stays open while the identity of the data changes.

import { rm, stat } from 'node:fs/promises';
import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { isSameStamp, storageStamp } from '../storage/files/storage-identity.ts';
import { type Asker, LOCAL_ASKER } from '../pools/asker.ts';
import { type Found, unusable, type VolumeName, volumeText } from '../pools/catalogue.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import { checkSettled } from '../pools/repair/image-repair.ts';
import { POOL_CHANGE_MS } from '../pools/limits.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import { checkPlace } from '../pools/replica-rules.ts';
import { checkVerb } from '../pools/verb-table.ts';
import { makeMap, regionsOf } from './map-file.ts';

/** Executes a change of pools in its turn in the queue of changes. `what`: see ChangeInProgress. */
type Change = <T>(work: () => Promise<T>, what: string) => Promise<T>;

export interface ReplicaHolders {
  /** True if the server serves the volume now, also from a file that has another name or none by now. */
  isServed(volumeId: string): boolean;
  /** Durably ends all holds on a volume. */
  end(volumeId: string): Promise<void>;
}

export class ReplicaStore {
  private readonly verbs: PoolVerbs;
  private readonly newIdentity: () => string;
  private readonly change: Change;
  private readonly log: Pick<Log, 'info'>;
  private readonly holders: ReplicaHolders;

  /** `newIdentity` returns a new random identity of data: 32 hexadecimal digits. */
  constructor(verbs: PoolVerbs, newIdentity: () => string, change: Change, log: Pick<Log, 'info'>, holders: ReplicaHolders) {
    this.verbs = verbs;
    this.newIdentity = newIdentity;
    this.change = change;
    this.log = log;
    this.holders = holders;
  }

  /**
   * Makes a volume a replica of the mirror, with a new identity and a map of ones. When the promise resolves, the change is durable and the
   * volume is served as a replica. Throws E_UNKNOWN_VOLUME, E_USAGE, E_BUSY or E_HELD, or the error of the pool.
   */
  place(volumeId: string, mirror: string): Promise<{ readonly identity: string }> {
    const { verbs, log, newIdentity } = this;
    return this.change(async () => {
      const found = this.find(volumeId);
      const { pool, manifest: was } = found;
      checkSettled(was);
      checkVerb('become a replica', found, { pools: verbs.pools.states, asker: LOCAL_ASKER });
      checkPlace(was, mirror, pool.isShared);
      const identity = newIdentity();
      await verbs.whileUnserved(found, async () => {
        const manifest = await verbs.onDisk(pool, POOL_CHANGE_MS, async (files) => {
          const folder = poolPaths.volume(files.directory, was.id);
          const header = { identity, regions: regionsOf(was.sizeBytes) };
          await makeMap(poolPaths.map(folder), header, (step) => files.ports.reached?.(step));
          // The identity belongs to the content of the current data file. The manifest therefore gets the stamp of this file together with
          // the identity.
          const data = poolPaths.data(folder);
          const stamps = [storageStamp(await stat(data, { bigint: true }), data)];
          const marked = { ...was, stamps, replica: { mirror, identity } };
          await files.replaceManifest(marked);
          return marked;
        });
        verbs.pools.put(pool, manifest);
      });
      log.info(`Volume ${volumeText(was)} is a replica of mirror ${mirror} now; its data is ${identity}`, { audit: true });
      return { identity };
    }, `a volume becoming a replica of mirror ${mirror}`);
  }

  /** Makes a replica an ordinary volume. Does nothing for an ordinary volume. Throws like `place`. */
  unplace(volumeId: string): Promise<void> {
    return this.change(async () => {
      const found = this.find(volumeId);
      if (found.manifest.replica !== undefined) await this.unmark(found, found.manifest.request);
    }, 'a replica becoming an ordinary volume');
  }

  /**
   * Like `unplace`, for an administrator's command. The caller has already begun the change in which this method runs. Returns null if no
   * replica has this name. Throws E_RIGHTS if the asker is not an administrator.
   */
  async split(wanted: VolumeName, asker: Asker, request: string | null): Promise<Found | null> {
    for (const pool of this.verbs.pools.states) {
      for (const manifest of pool.volumes.values()) {
        const isIt = manifest.name === wanted.name && manifest.universe === wanted.universe;
        if (!isIt || manifest.replica === undefined || !asker.mayAttach(manifest.clients)) continue;
        asker.needs('admin', 'take replicas away from mirrors');
        if (pool.trouble !== null) throw unusable(pool);
        if (!this.holders.isServed(manifest.id) && (await this.isReplaced({ pool, manifest }))) await this.holders.end(manifest.id);
        return { pool, manifest: await this.unmark({ pool, manifest }, request) };
      }
    }
    return null;
  }

  /** True if the file is not the one that became the replica, so that no start serves it (volumes/volume-failures.ts). */
  private isReplaced({ pool, manifest }: Found): Promise<boolean> {
    return this.verbs.onDisk(pool, POOL_CHANGE_MS, async (files) => {
      const data = poolPaths.data(poolPaths.volume(files.directory, manifest.id));
      return !isSameStamp(storageStamp(await stat(data, { bigint: true }), data), manifest.stamps[0] ?? null);
    });
  }

  private async unmark(found: Found, request: string | null): Promise<Manifest> {
    const { verbs, log } = this;
    const { pool, manifest } = found;
    // The other servers of the mirror go on with its replication.
    const { replica, replication: _order, ...others } = manifest;
    const plain = { ...others, request };
    await verbs.whileUnserved(found, async () => {
      await verbs.onDisk(pool, POOL_CHANGE_MS, async (files) => {
        await files.replaceManifest(plain);
        // If the server stops before this step, a map without a mark is left. The next start removes this map.
        await rm(poolPaths.map(poolPaths.volume(files.directory, plain.id)), { force: true });
        files.ports.reached?.('unplace: map');
      });
      verbs.pools.put(pool, plain);
    });
    log.info(`Volume ${volumeText(plain)} is no replica of mirror ${replica?.mirror ?? ''} any more`, { audit: true });
    return plain;
  }

  private find(volumeId: string): Found {
    for (const pool of this.verbs.pools.states) {
      const manifest = pool.volumes.get(volumeId);
      if (manifest === undefined) continue;
      if (pool.trouble !== null) throw unusable(pool);
      return { pool, manifest };
    }
    throw new RsError(
      'E_UNKNOWN_VOLUME',
      `No pool of this server has a volume with id ${volumeId}: only volumes of pools can be replicas`,
      {
        volume: volumeId,
      },
    );
  }
}
