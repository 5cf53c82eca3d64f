// The wrapper of replicas against a model, on a simulated disk that crashes, tears writes, and fails writes and syncs. At every moment, after
// whatever crash, the map that a server would read has the bit of each region into which anything was written since the region was cleared.
// With no sync, with the older page written last, or with a cleared region that is being changed, the random test is red.

import { SeededRandom } from '@rsio/common/testing/seeded-random';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { describe, expect, it } from 'vitest';
import type { IoDone } from '../backends/io/backend.ts';
import { WOULD_WAIT } from '../backends/io/backend.ts';
import { ForwardingBackend } from '../backends/io/forwarding-backend.ts';
import { NullBackend } from '../backends/null-backend.ts';
import { SimulatedMapDisk } from '../testing/map-disk.ts';
import { IntentBackend } from './intent-backend.ts';
import { MapWriter, readMap } from './map-writer.ts';

const IDENTITY = 'a'.repeat(32);
const EMPTY = Buffer.alloc(512);
/** Bits of more than two pages. */
const REGIONS = 70_000;

/** Storage whose changes end when the test says so. `began`: called when a change reaches it. */
class SlowBackend extends ForwardingBackend {
  readonly running: { readonly first: number; readonly last: number; readonly done: IoDone }[] = [];
  began: (first: number, last: number) => void = () => undefined;

  constructor() {
    super(new NullBackend(REGIONS * MIRROR_REGION_BYTES, false));
  }

  private begin(positionBytes: number, lengthBytes: number): [first: number, last: number] {
    const first = Math.floor(positionBytes / MIRROR_REGION_BYTES);
    const last = Math.floor((positionBytes + lengthBytes - 1) / MIRROR_REGION_BYTES);
    this.began(first, last);
    return [first, last];
  }

  override tryWrite(...[, , lengthBytes, positionBytes]: Parameters<ForwardingBackend['tryWrite']>): Status {
    this.begin(positionBytes, lengthBytes);
    return STATUS.OK;
  }

  override write(...[, , lengthBytes, positionBytes, , done]: Parameters<ForwardingBackend['write']>): void {
    const [first, last] = this.begin(positionBytes, lengthBytes);
    this.running.push({ first, last, done });
  }

  override discard(...[positionBytes, lengthBytes, done]: Parameters<ForwardingBackend['discard']>): void {
    const [first, last] = this.begin(positionBytes, lengthBytes);
    this.running.push({ first, last, done });
  }

  override zero(...[positionBytes, lengthBytes, , , done]: Parameters<ForwardingBackend['zero']>): void {
    const [first, last] = this.begin(positionBytes, lengthBytes);
    this.running.push({ first, last, done });
  }
}

interface Scene {
  readonly disk: SimulatedMapDisk;
  readonly inner: SlowBackend;
  readonly backend: IntentBackend;
  readonly errors: string[];
  readonly trouble: string | null;
}

async function open(disk = new SimulatedMapDisk(), regions = REGIONS): Promise<Scene> {
  const inner = new SlowBackend();
  const opened = await readMap(disk, IDENTITY, regions);
  const errors: string[] = [];
  const writer = new MapWriter(opened, disk, IDENTITY, (errno) => errors.push(errno));
  writer.sync(() => undefined);
  return { disk, inner, backend: new IntentBackend(inner, opened.map, writer, disk), errors, trouble: opened.trouble };
}

/** Clears all regions but the last one, and writes there, so that the file is synced. */
function clearAll(scene: Scene): void {
  const { regions } = scene.backend.intents;
  scene.disk.settle();
  scene.backend.intents.clear([0, regions]);
  scene.disk.settle();
  write(scene, regions - 1);
  scene.disk.settle();
  scene.inner.running.shift()?.done(STATUS.OK);
}

/** A replica whose map is on the disk, and all of whose regions but the last one are clear there. */
async function openClean(regions = REGIONS): Promise<Scene> {
  const scene = await open(new SimulatedMapDisk(), regions);
  clearAll(scene);
  return scene;
}

function write({ backend }: Scene, region: number, done: IoDone = () => undefined, lengthBytes = 512): void {
  const at = region * MIRROR_REGION_BYTES;
  const status = backend.tryWrite(EMPTY, 0, lengthBytes, at);
  if (status === WOULD_WAIT) backend.write(EMPTY, 0, lengthBytes, at, false, done);
  else done(status);
}

function isSet(backend: IntentBackend, region: number): boolean {
  const first = region - (region % 8);
  return (backend.intents.read(first, 1)[0]! & (1 << (region % 8))) !== 0;
}

/** The regions of `wanted` that a server would not find in the map. */
async function missing(disk: SimulatedMapDisk, wanted: Iterable<number>): Promise<number[]> {
  const { map } = await readMap(disk, IDENTITY, REGIONS);
  return [...wanted].filter((region) => !map.isSet(region));
}

describe('a change', () => {
  it('passes in the same turn if its bit is durable, and waits for a sync if not', async () => {
    const scene = await openClean();
    const ended: Status[] = [];
    write(scene, 5, (status) => ended.push(status));
    expect(scene.inner.running).toHaveLength(0);
    scene.disk.step();
    expect(scene.inner.running).toHaveLength(0);
    scene.disk.step();
    expect(scene.inner.running).toHaveLength(1);
    scene.inner.running[0]!.done(STATUS.OK);
    expect(ended).toEqual([STATUS.OK]);
    expect(scene.backend.tryWrite(EMPTY, 0, 512, 5 * MIRROR_REGION_BYTES)).toBe(STATUS.OK);
    expect(scene.disk.isBusy).toBe(false);
  });

  it('shares its sync with all that wait', async () => {
    const scene = await openClean();
    const { syncs } = scene.disk;
    write(scene, 1);
    scene.disk.step();
    for (const region of [2, 3, 40_000]) write(scene, region);
    scene.backend.discard(8 * MIRROR_REGION_BYTES, 3 * MIRROR_REGION_BYTES, () => undefined);
    scene.backend.zero(12 * MIRROR_REGION_BYTES, 512, false, true, () => undefined);
    scene.disk.settle();
    expect(scene.disk.syncs - syncs).toBe(2);
    expect(scene.inner.running.map(({ first, last }) => [first, last])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
      [40_000, 40_000],
      [8, 10],
      [12, 12],
    ]);
  });

  it.each([
    ['write', 'EIO', STATUS.IO_ERROR],
    ['sync', 'EIO', STATUS.IO_ERROR],
    ['write', 'ENOSPC', STATUS.NO_SPACE],
  ])('fails if the %s of its bit fails with %s, and a later one tries again', async (what, errno, expected) => {
    const scene = await openClean();
    const ended: Status[] = [];
    write(scene, 5, (status) => ended.push(status));
    if (what === 'sync') scene.disk.step();
    scene.disk.step(errno);
    expect(ended).toEqual([expected]);
    expect(scene.inner.running).toHaveLength(0);
    expect(scene.errors).toEqual([errno]);
    write(scene, 5);
    scene.disk.settle();
    expect(scene.inner.running).toHaveLength(1);
    expect(
      await missing(
        scene.disk.crash(() => 0),
        [5],
      ),
    ).toEqual([]);
  });

  it('behind the end of the map finds it grown, with ones', async () => {
    const scene = await openClean();
    expect(scene.backend.intents.regions).toBe(REGIONS);
    scene.backend.intents.grow((REGIONS + 9) * MIRROR_REGION_BYTES);
    expect(scene.backend.intents.regions).toBe(REGIONS + 9);
    const bits = scene.backend.intents.read(REGIONS, 100);
    expect([...bits]).toEqual([0xff, 0x01]);
    write(scene, REGIONS + 3);
    expect(scene.inner.running).toHaveLength(0);
    scene.disk.settle();
    expect(scene.inner.running).toHaveLength(1);
    scene.backend.intents.clear([REGIONS, 3, REGIONS + 4, 100]);
    scene.disk.settle();
    const { map, trouble } = await readMap(scene.disk, IDENTITY, REGIONS + 9);
    expect(trouble).toBeNull();
    expect([0, 3, 8].map((more) => map.isSet(REGIONS + more))).toEqual([false, true, false]);
  });
});

describe('a bit that was written without a sync', () => {
  it('does not count, although an earlier change had failed for it', async () => {
    const scene = await openClean();
    write(scene, 5);
    scene.disk.step();
    scene.disk.step('EIO');
    scene.backend.intents.clear([9, 1, 10, 1]);
    scene.disk.settle();
    write(scene, 5);
    expect(scene.inner.running).toHaveLength(0);
    scene.disk.settle();
    expect(
      await missing(
        scene.disk.crash(() => 0),
        [5],
      ),
    ).toEqual([]);
  });

  it('does not count when the header begins to count its region', async () => {
    const small = await openClean(32_765);
    small.backend.intents.grow(REGIONS * MIRROR_REGION_BYTES);
    small.backend.intents.clear([2, 1]);
    small.disk.settle();
    write(small, 1);
    small.disk.step();
    let sectors = 0;
    small.disk.step('EIO', () => ++sectors < 17);
    write(small, 1);
    small.disk.settle();
    expect(small.inner.running).toHaveLength(1);
    expect(
      await missing(
        small.disk.crash(() => 0),
        [1, 32_765, 40_000, REGIONS - 1],
      ),
    ).toEqual([]);
  });
});

describe('a region', () => {
  it('is not cleared while a change of it waits or runs', async () => {
    const scene = await openClean();
    write(scene, 5);
    scene.backend.intents.clear([0, REGIONS]);
    expect(isSet(scene.backend, 5)).toBe(true);
    scene.disk.settle();
    scene.backend.intents.clear([4, 1, 5, 1]);
    expect(isSet(scene.backend, 5)).toBe(true);
    scene.inner.running[0]!.done(STATUS.OK);
    scene.backend.intents.clear([4, 2]);
    expect(isSet(scene.backend, 5)).toBe(false);
  });
});

describe('a map', () => {
  it('that an earlier process has only written counts after a sync of this one', async () => {
    const first = await openClean();
    write(first, 7);
    first.disk.step();
    const scene = await open(first.disk.endProcess(() => true));
    expect(isSet(scene.backend, 7)).toBe(true);
    write(scene, 7);
    expect(scene.inner.running).toHaveLength(0);
    scene.disk.settle();
    expect(scene.inner.running).toHaveLength(1);
    expect(
      await missing(
        scene.disk.crash(() => 0),
        [7],
      ),
    ).toEqual([]);
  });

  it.each([
    ['of other data', 'it is the map of other data'],
    ['that is empty', 'it is too short'],
    ['with a torn header', 'its header is damaged'],
    ['that lacks bits', 'it is too short'],
  ])('%s is one of ones', async (what, trouble) => {
    const scene = await openClean();
    const whole = await scene.disk.read(1 << 20, 0);
    const file = new SimulatedMapDisk();
    const content = what === 'that is empty' ? whole.subarray(0, 0) : what === 'that lacks bits' ? whole.subarray(0, 8_000) : whole;
    if (what === 'with a torn header') content[30]! ^= 1;
    file.write(content, 0, () => undefined);
    file.settle();
    const { map, trouble: said } = await readMap(file, what === 'of other data' ? 'b'.repeat(32) : IDENTITY, REGIONS);
    expect(said).toContain(trouble);
    expect([0, 5, REGIONS - 1].map((region) => map.isSet(region))).toEqual([true, true, true]);
  });

  it('that cannot be read is one of ones, and is written anew before anything else', async () => {
    const { disk } = await openClean();
    const failing = Object.assign(Object.create(disk) as SimulatedMapDisk, {
      read: () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })),
    });
    const opened = await readMap(failing, IDENTITY, REGIONS);
    expect(opened.trouble).toBe('it cannot be read (EIO)');
    const writer = new MapWriter(opened, disk, IDENTITY, () => undefined);
    const inner = new SlowBackend();
    const backend = new IntentBackend(inner, opened.map, writer, disk);
    backend.write(EMPTY, 0, 512, 9 * MIRROR_REGION_BYTES, false, () => undefined);
    expect(inner.running).toHaveLength(0);
    disk.settle();
    expect(inner.running).toHaveLength(1);
    expect(
      await missing(
        disk.crash(() => 0),
        [9],
      ),
    ).toEqual([]);
  });
});

describe('at every moment', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))('a crash leaves the bits of all that was written, seed %i', async (seed) => {
    await walk(new SeededRandom(seed), 150);
  });
});

/** Regions that are likely to share bytes, sectors and pages. */
const PLACES = [0, 1, 7, 8, 9, 4_095, 4_096, 32_767, 32_768, 32_800, 65_535, 65_536, REGIONS - 1];
/** Sizes to which the volume grows. The first ends inside of a byte, and the second inside of a page. */
const SIZES = [32_765, 40_000, 65_530, REGIONS];

async function walk(random: SeededRandom, steps: number): Promise<void> {
  const below = (limit: number): number => random.int(0, limit - 1);
  const chance = (share: number): boolean => random.chance(share);
  /** Regions that were written to since they were cleared. */
  let touched = new Set<number>();
  let regions = SIZES[below(SIZES.length)]!;
  let scene = await open(new SimulatedMapDisk(), regions);
  const watch = (): void => {
    scene.inner.began = (first, last) => {
      for (let region = first; region <= last; region++) touched.add(region);
    };
  };
  watch();
  if (chance(0.7)) clearAll(scene);
  for (let step = 0; step < steps; step++) {
    const region = Math.min(regions - 1, PLACES[below(PLACES.length)]!);
    const lengthBytes = chance(0.2) && region < regions - 9 ? (1 + below(8)) * MIRROR_REGION_BYTES : 512;
    const what = below(20);
    if (what < 6) write(scene, region, () => undefined, lengthBytes);
    else if (what < 7) scene.backend.discard(region * MIRROR_REGION_BYTES, lengthBytes, () => undefined);
    else if (what < 12) scene.disk.step(chance(0.2) ? 'EIO' : null, () => chance(0.5));
    else if (what < 15) scene.inner.running.shift()?.done(chance(0.1) ? STATUS.IO_ERROR : STATUS.OK);
    else if (what < 18) {
      const count = chance(0.3) ? REGIONS : 1 + below(10);
      scene.backend.intents.clear([region, count]);
      const isBusy = (one: number): boolean => scene.inner.running.some(({ first, last }) => one >= first && one <= last);
      touched = new Set([...touched].filter((one) => one < region || one >= region + count || isBusy(one)));
    } else if (chance(0.2)) {
      const grown = SIZES.find((size) => size > regions) ?? regions;
      // What is added counts as written.
      for (const place of PLACES) if (place >= regions && place < grown) touched.add(place);
      regions = grown;
      scene.backend.intents.grow(regions * MIRROR_REGION_BYTES);
    } else if (chance(0.3)) {
      const disk = chance(0.5) ? scene.disk.crash(below) : scene.disk.endProcess(() => chance(0.5));
      scene = await open(disk, regions);
      watch();
    }
    expect(await missing(scene.disk.fork().crash(below), touched), `step ${step}`).toEqual([]);
    expect(
      await missing(
        scene.disk.fork().crash(() => 0),
        touched,
      ),
      `step ${step}, nothing but what was synced`,
    ).toEqual([]);
  }
}
