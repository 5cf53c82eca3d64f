// A pool in a temporary directory with the verbs that change its volumes, and a stand-in for the listener that records which volumes are
// served. The tests of pools use this scene, including the property test.

import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Overcommit, PoolConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { ImageVerbs } from '../jobs/images/image-verbs.ts';
import { type Asker, LOCAL_ASKER } from '../pools/asker.ts';
import type { CreateRequest } from '../pools/catalogue.ts';
import type { Allocate, Reflink } from '../pools/disk/data-file.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { PoolFiles } from '../pools/disk/pool-files.ts';
import { findingsOf } from '../pools/pool-content.ts';
import { PoolVerbs, type PoolVerbsPorts } from '../pools/pool-verbs.ts';
import { volumeConfigsOf } from '../pools/pool-volume.ts';
import { Pools } from '../pools/pools.ts';
import type { Moments } from '../pools/snapshots/moment.ts';
import { SnapshotVerbs } from '../snapshots/snapshot-verbs.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import { NO_HOLD, PLAIN_CLONES } from './plain-clones.ts';
import { NO_LEDGERS } from './no-ledgers.ts';

/** Ids of the pools, in the order of their names. */
export const POOL_IDS = ['a', 'b', 'c'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}` as const);

export interface SceneOptions {
  readonly clock: Clock;
  /** Called after each step on disk. */
  readonly reached?: (step: string) => void;
  readonly limitBytes?: number;
  readonly overcommit?: Overcommit;
  readonly allocate?: Allocate;
  /** Functions of the listener; by default, stand-ins of the scene. */
  readonly check?: PoolVerbsPorts['check'];
  readonly apply?: PoolVerbsPorts['apply'];
  /** Returns new ids; without this function, ids are random. */
  readonly newId?: PoolVerbsPorts['newId'];
  readonly moments?: Moments;
  /** Clones files; without this function, clones are plain copies. */
  readonly reflink?: Reflink;
  /** Maps the node name of each client to the client's limit in bytes. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Names of the pools. The directory of each pool has the name of the pool. */
  readonly names?: readonly string[];
  /**
   * Names of pools that are absent: if the directory of such a pool is missing, the scene does not make it, as if the pool's file system
   * were not mounted.
   */
  readonly absent?: readonly string[];
}

/** Returns a request for volume db of 1 MiB in any pool. */
export function createRequest(changes: Partial<CreateRequest> = {}): CreateRequest {
  return {
    name: 'db',
    universe: 0,
    sizeBytes: 1_048_576,
    blockSizeBytes: 512,
    pool: null,
    thick: false,
    readonly: false,
    shared: false,
    clients: null,
    takeOver: null,
    takeOverForce: false,
    ...changes,
  };
}

export class PoolScene {
  readonly directory: string;
  readonly pools: Pools;
  readonly verbs: PoolVerbs;
  readonly snapshots: SnapshotVerbs;
  readonly images: ImageVerbs;
  readonly logged: string[] = [];
  /** Maps the key of each served volume (volumeKey) to its configuration. */
  readonly served = new Map<string, ServerVolumeConfig>();
  /** Ids of volumes that a client uses. */
  readonly used = new Set<string>();
  readonly configs: readonly PoolConfig[];

  private constructor(directory: string, options: SceneOptions) {
    this.directory = directory;
    const { clock, reached, limitBytes = null, overcommit = 'warn', names = ['fast'] } = options;
    const write = (text: string): void => void this.logged.push(text);
    const log = { info: write, warn: write, error: write };
    const settings = { limitBytes, overcommit, reserve: 0, shared: null, line: 1 };
    this.configs = names.map((name) => ({ name, path: path.join(directory, name), ...settings }));
    this.pools = new Pools({
      ownershipOf: () => null,
      storageFailed: () => undefined,
      ledgers: NO_LEDGERS,
      clock,
      log,
      takeLocks: async (requests) => requests.map(() => 'held' as const),
      allocate: options.allocate ?? (async () => undefined),
      reflink: options.reflink ?? PLAIN_CLONES,
      reached,
      answersAgain: (name) => void this.verbs.readAgain(name),
      changed: () => undefined,
    });
    this.verbs = new PoolVerbs({
      pools: this.pools,
      clock,
      log,
      newId: options.newId ?? randomUUID,
      configured: () => [],
      check:
        options.check ??
        ((was) => {
          if (was !== null && this.used.has(was.id ?? '')) throw new RsError('E_HELD', `Volume ${was.name} is in use`);
        }),
      apply:
        options.apply ??
        (async (was, now) => {
          if (was !== null) this.served.delete(volumeKey(was));
          if (now !== null) this.served.set(volumeKey(now), now);
        }),
    });
    this.snapshots = new SnapshotVerbs({
      verbs: this.verbs,
      moments: options.moments ?? NO_HOLD,
      log,
      limitOf: (node) => options.limits?.[node] ?? null,
      whileUnread: async ({ id }, name, work) => {
        if (this.used.has(id)) throw new RsError('E_HELD', `Snapshot ${name} is in use`);
        return work();
      },
    });
    this.images = new ImageVerbs(this.verbs, this.snapshots, log);
  }

  /** Opens the pools in `directory`. Makes pools that do not exist. */
  static async open(directory: string, options: SceneOptions): Promise<PoolScene> {
    const scene = new PoolScene(directory, options);
    for (const [index, { path: pool }] of scene.configs.entries()) {
      if (fs.existsSync(path.join(pool, 'pool.json')) || options.absent?.includes(path.basename(pool)) === true) continue;
      fs.mkdirSync(pool, { recursive: true });
      await new PoolFiles(pool, { allocate: async () => undefined }).makePool({ id: POOL_IDS[index]!, createdMs: 0 });
    }
    await (await scene.pools.prepare(scene.configs)).commit();
    for (const volume of volumeConfigsOf(scene.pools.states)) scene.served.set(volumeKey(volume), volume);
    return scene;
  }

  create(changes: Partial<CreateRequest> = {}, asker: Asker = LOCAL_ASKER, request: string | null = null): ReturnType<PoolVerbs['create']> {
    return this.verbs.create(createRequest(changes), asker, request);
  }

  /** Returns a text that describes the volumes and removed volumes according to the manifests on disk. Tests compare these texts. */
  static async picture(directory: string, options: SceneOptions): Promise<string> {
    const scene = await PoolScene.open(directory, options);
    try {
      return scene.picture();
    } finally {
      await scene.pools.close();
    }
  }

  picture(): string {
    const { states } = this.pools;
    const lines = states.flatMap((pool) => {
      const { name, trouble, volumes, removed, purging, parts } = pool;
      return [
        `pool ${name}: ${trouble ?? 'ready'}`,
        ...[...volumes.values()]
          .map((volume) => `volume ${inOrder({ ...volume, stamps: volume.stamps.length, ...withoutStamp(volume) })}`)
          .toSorted(),
        ...[...removed.values()].map(({ manifest, removal }) => `removed ${manifest.id} ${manifest.name} ${inOrder(removal)}`).toSorted(),
        ...[...purging.keys()].map((id) => `purging ${id}`).toSorted(),
        ...[...parts.values()].map(({ record, isNew }) => `part ${isNew ? 'new ' : ''}${record.fileId} of ${record.volumeId}`).toSorted(),
        ...[...pool.snapshots.values()]
          .flatMap(({ list, pending }) => [
            ...list.map((one) => `snapshot ${inOrder({ ...one, rollback: one.rollback !== null })}`),
            ...pending.map(({ name: text }) => `pending snapshot ${text}`),
          ])
          .toSorted(),
        ...findingsOf(pool, states).map((finding) => `finding ${finding}`),
      ];
    });
    return lines.join('\n');
  }
}

/** Returns the value as JSON with its keys in alphabetical order. */
function inOrder(value: object): string {
  return JSON.stringify(Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

/** Returns the manifest without the stamp of an image, because this stamp differs in each run. */
function withoutStamp({ image }: Manifest): object {
  return image?.next === undefined ? {} : { image: { ...image, next: { ...image.next, stamp: '' } } };
}
