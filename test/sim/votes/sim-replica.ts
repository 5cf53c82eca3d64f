// The state of a replica at a simulated server, without its data. The mark as a replica is durable at once. The intent map has its own
// small storage, and a crash of the machine loses its unsynced data. The map itself, its writer and the wrapper of the backend are
// production code. Invariant: a process that opens the map waits until the map that it opened before is closed.

import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Backend } from '@rsio/rssrv/storage/io/backend';
import { IntentBackend } from '@rsio/rssrv/mirrors/intent-backend';
import { bytesOf } from '@rsio/rssrv/mirrors/intent-map';
import { MAP_HEADER_BYTES, MAP_PAGE_BYTES } from '@rsio/rssrv/mirrors/limits';
import { encodeHeader } from '@rsio/rssrv/mirrors/map-file';
import { type MapDisk, MapWriter, readMap } from '@rsio/rssrv/mirrors/map-writer';
import type { SimClock, SimProcess } from '../base/sim-clock.ts';
import { SimStorage, type StorageShape } from '../storage/sim-storage.ts';

export interface Mark {
  readonly mirror: string;
  readonly identity: string;
}

const ONES = 0xff;

export class SimReplica {
  readonly id: string;
  readonly map: SimStorage;
  mark: Mark | null = null;
  private readonly random: SeededRandom;
  private readonly regions: number;
  /** For each process: a promise that resolves when the map that the process opened last is closed. */
  private readonly closed = new WeakMap<SimProcess, Promise<void>>();

  constructor(id: string, sizeBytes: number, shape: StorageShape, random: SeededRandom, clock: SimClock) {
    this.id = id;
    this.random = random;
    this.regions = Math.ceil(sizeBytes / MIRROR_REGION_BYTES);
    this.map = new SimStorage((MAP_HEADER_BYTES + MAP_PAGE_BYTES) / SECTOR_BYTES, shape, random, clock);
  }

  /** Makes two things durable: first an intent map whose bits are all set, then the mark as a replica. */
  async place(process: SimProcess, mirror: string): Promise<{ readonly identity: string }> {
    const identity = this.random.bytes(16).toString('hex');
    await this.step(process, () => {
      const { cache } = this.map;
      const header = encodeHeader({ identity, regions: this.regions });
      cache.change(0, header.length, header, 0);
      cache.change(MAP_HEADER_BYTES, MAP_PAGE_BYTES, Buffer.alloc(MAP_PAGE_BYTES, ONES), 0);
      cache.writeBack();
    });
    await this.step(process, () => {
      this.mark = { mirror, identity };
    });
    return { identity };
  }

  async unplace(process: SimProcess): Promise<void> {
    await this.step(process, () => {
      this.mark = null;
    });
  }

  async open(inner: Backend, process: SimProcess): Promise<Backend> {
    const { mark, regions } = this;
    if (mark === null) return inner;
    await this.closed.get(process);
    let closed = (): void => undefined;
    this.closed.set(process, new Promise((resolve) => (closed = resolve)));
    const disk = this.diskFor(process);
    const opened = await readMap(disk, mark.identity, regions);
    const writer = new MapWriter(opened, disk, mark.identity, () => undefined);
    writer.sync(() => undefined);
    return new IntentBackend(inner, opened.map, writer, disk, closed);
  }

  /** Whether no bit of the map is set, in the state that processes see. */
  get isClear(): boolean {
    const bits = this.map.content.subarray(MAP_HEADER_BYTES, MAP_HEADER_BYTES + bytesOf(this.regions));
    return (bits[0]! & ((1 << this.regions) - 1)) === 0;
  }

  private diskFor(process: SimProcess): MapDisk {
    const { map } = this;
    const descriptor = map.cache.open();
    return {
      write: (source, positionBytes, end) => {
        const bytes = Buffer.from(source);
        void this.step(process, () => {
          const whole = Buffer.alloc(Math.ceil(bytes.length / SECTOR_BYTES) * SECTOR_BYTES);
          map.content.copy(whole, 0, positionBytes, positionBytes + whole.length);
          bytes.copy(whole);
          map.cache.change(positionBytes, whole.length, whole, 0);
        }).then(() => end(null));
      },
      sync: (end) => {
        const beganMs = process.monotonicMs();
        void this.step(process, () => map.syncs(descriptor, beganMs)).then(end);
      },
      read: (lengthBytes, positionBytes) =>
        this.step(process, () => Buffer.from(map.content.subarray(positionBytes, positionBytes + lengthBytes))),
      close: () => Promise.resolve(),
    };
  }

  private step<T>(process: SimProcess, act: () => T): Promise<T> {
    const { random, map } = this;
    return new Promise((resolve) => {
      process.after(random.unit() * map.shape.effectMs, () => resolve(act()));
    });
  }
}
