// Volumes on files of two pools on one simulated server: an administrator takes snapshots of the volumes, removes snapshots, rolls
// volumes back, and writes to the volumes between these commands, while machines crash. No client uses the volumes. The store judge judges
// the snapshots. This file also judges that a snapshot has the content of all its files, and that a volume has this content after a
// rollback.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { LOCAL_ASKER } from '@rsio/rssrv/pools/asker';
import type { CreateRequest } from '@rsio/rssrv/pools/catalogue';
import { volumeConfigsOf } from '@rsio/rssrv/pools/pool-volume';
import type { Turn } from '@rsio/rssrv/pools/requests/turn';
import { contentAt, dataAt } from '../files/sim-calls.ts';
import type { StoreJudge } from '../judges/store-judge.ts';
import type { SimStore } from '../pools/sim-store.ts';

export interface SpreadPorts {
  readonly random: SeededRandom;
  readonly judge: StoreJudge;
  readonly pools: readonly [string, string];
  /** The store of the server; null: it cannot be used now. */
  readonly store: () => SimStore | null;
  /** Repeats an order until it is answered; returns null if it was refused. */
  readonly ask: <T>(what: string, work: (store: SimStore, request: string, turn: Turn) => Promise<T>) => Promise<T | null>;
  readonly newName: () => string;
}

interface Spread {
  readonly name: string;
  readonly id: string;
  readonly snapshots: string[];
}

/** Properties that all created volumes have in common. */
export const CREATED = {
  universe: 0,
  blockSizeBytes: 512,
  thick: false,
  readonly: false,
  shared: false,
  clients: null,
  takeOver: null,
  takeOverForce: true,
} as const;

const SNAPSHOTS_MAX = 4;
const WRITES_MAX = 6;
const CHUNK_BYTES = 4096;

export class SimSpread {
  private readonly ports: SpreadPorts;
  private readonly volumes: Spread[] = [];

  constructor(ports: SpreadPorts) {
    this.ports = ports;
  }

  async create(request: Omit<CreateRequest, 'pool'>): Promise<void> {
    const { random, pools } = this.ports;
    const all = { ...request, pool: null, pools: random.chance(0.5) ? pools : [...pools].toReversed() };
    const chunkBytes = random.chance(0.5) ? CHUNK_BYTES : null;
    const found = await this.ports.ask(`create ${request.name}`, (store, id) =>
      store.verbs.create({ ...all, chunkBytes }, LOCAL_ASKER, id),
    );
    if (found === null) return this.create(request);
    this.volumes.push({ name: request.name, id: found.manifest.id, snapshots: [] });
  }

  act(): Promise<void> {
    const { random } = this.ports;
    const one = random.pick(this.volumes);
    this.write(one);
    const draw = random.unit();
    if (one.snapshots.length === 0 || (draw < 0.5 && one.snapshots.length < SNAPSHOTS_MAX)) return this.snapshot(one);
    if (draw < 0.8) return this.drop(one, random.pick(one.snapshots));
    return this.rollback(one, random.pick(one.snapshots));
  }

  /** Writes to the files of the volume. A part of this data stays dirty. */
  private write({ id }: Spread): void {
    const { random } = this.ports;
    const paths = this.pathsOf(id);
    for (let left = random.int(0, WRITES_MAX); left > 0 && paths.length > 0; left--) {
      const data = dataAt(random.pick(paths));
      if (data === null) continue;
      const sector = random.int(0, data.sizeBytes / SECTOR_BYTES - 1);
      data.storage.cache.change(sector * SECTOR_BYTES, SECTOR_BYTES, random.bytes(SECTOR_BYTES), 0);
      if (random.chance(0.5)) data.storage.cache.writeThrough(sector, 1);
    }
  }

  private async snapshot({ name, id, snapshots }: Spread): Promise<void> {
    const { judge, ask, newName } = this.ports;
    const snapshot = newName();
    const key = `${id}@${snapshot}`;
    judge.asks([key]);
    const before = this.contentOf(id);
    const made = await ask(`snapshot ${name}@${snapshot}`, (store, request, turn) =>
      store.snapshots.snapshot([{ name, universe: 0, snapshot }], LOCAL_ASKER, request, turn),
    );
    const content = made === null ? null : this.snapshotContent(made[0]!.record.id);
    judge.answered(new Map(made === null ? [] : [[key, content ?? Buffer.alloc(0)]]));
    if (made === null) return;
    snapshots.push(snapshot);
    const now = this.contentOf(id);
    const isSure = before !== null && now !== null && before.equals(now);
    if (isSure && content?.equals(now) !== true) judge.breach(`P1: ${name}@${snapshot} does not have what its files had`);
  }

  private async drop({ name, id, snapshots }: Spread, snapshot: string): Promise<void> {
    const { judge, ask } = this.ports;
    judge.removes(`${id}@${snapshot}`);
    const wanted = { name, universe: 0, snapshot };
    const removed = await ask(`remove ${name}@${snapshot}`, (store, request) => store.snapshots.remove(wanted, LOCAL_ASKER, request));
    judge.removed(removed !== null);
    if (removed !== null) snapshots.splice(snapshots.indexOf(snapshot), 1);
  }

  private async rollback({ name, id, snapshots }: Spread, snapshot: string): Promise<void> {
    const { judge, ask } = this.ports;
    judge.rollsBack(id);
    const wanted = { name, universe: 0, snapshot };
    const done = await ask(`rollback ${name}@${snapshot}`, (store, request) => store.snapshots.rollback(wanted, LOCAL_ASKER, request));
    const kept = done?.kept ?? null;
    const before = judge.contentOf(`${id}@${snapshot}`);
    const now = this.contentOf(id);
    if (done !== null && now !== null && before?.equals(now) !== true)
      judge.breach(`P2: ${name} does not have the content of ${snapshot} after it was rolled back`);
    judge.answered(new Map(kept === null ? [] : [[`${id}@${kept.name}`, this.snapshotContent(kept.id) ?? Buffer.alloc(0)]]));
    if (kept !== null) snapshots.push(kept.name);
  }

  /** The content of all files of a snapshot, one after the other; null: a file is missing. */
  private snapshotContent(id: string): Buffer | null {
    const store = this.ports.store();
    return store === null ? null : spreadContent(store, id);
  }

  private contentOf(id: string): Buffer | null {
    const paths = this.pathsOf(id);
    return paths.length === 0 ? null : together(paths);
  }

  private pathsOf(id: string): string[] {
    const store = this.ports.store();
    const config = store === null ? undefined : volumeConfigsOf(store.pools.states).find((one) => one.id === id);
    return (config?.layout?.parts ?? []).flatMap(({ path }) => path ?? []);
  }
}

/** The content of all files of a snapshot, one after the other; null: a file is missing. */
export function spreadContent(store: SimStore, id: string): Buffer | null {
  const files = store.served.placeOf(id)?.files ?? [];
  const paths = files.flatMap(({ path }) => path ?? []);
  return paths.length < files.length || paths.length === 0 ? null : together(paths);
}

function together(paths: readonly string[]): Buffer | null {
  const contents = paths.flatMap((path) => contentAt(path) ?? []);
  return contents.length < paths.length ? null : Buffer.concat(contents);
}
