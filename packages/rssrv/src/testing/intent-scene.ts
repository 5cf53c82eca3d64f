// An IntentBackend whose storage ends changes when a test says so, and whose map is on a simulated disk that crashes, tears writes and
// fails. `walk` executes random steps. After each step, `walk` simulates crashes on copies of the disk: after each crash, the map on disk
// must have the bit of each region that was written to since the region was last cleared.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { IoDone } from '../storage/io/backend.ts';
import { WOULD_WAIT } from '../storage/io/backend.ts';
import { ForwardingBackend } from '../storage/io/forwarding-backend.ts';
import { NullBackend } from '../storage/null-backend.ts';
import { IntentBackend } from '../mirrors/intent-backend.ts';
import { MapWriter, readMap } from '../mirrors/map-writer.ts';
import { SimulatedMapDisk } from './map-disk.ts';

export const IDENTITY = 'a'.repeat(32);
export const EMPTY = Buffer.alloc(512);
/** Number of regions whose bits fill more than two pages. */
export const REGIONS = 70_000;

/** Storage whose changes end when the test says so. `began` is called when a change reaches the storage. */
export class SlowBackend extends ForwardingBackend {
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

export interface Scene {
  readonly disk: SimulatedMapDisk;
  readonly inner: SlowBackend;
  readonly backend: IntentBackend;
  readonly errors: string[];
  readonly trouble: string | null;
}

export async function open(disk = new SimulatedMapDisk(), regions = REGIONS): Promise<Scene> {
  const inner = new SlowBackend();
  const opened = await readMap(disk, IDENTITY, regions);
  const errors: string[] = [];
  const writer = new MapWriter(opened, disk, IDENTITY, (errno) => errors.push(errno));
  writer.sync(() => undefined);
  return { disk, inner, backend: new IntentBackend(inner, opened.map, writer, disk, () => undefined), errors, trouble: opened.trouble };
}

/** Clears all regions except the last one, and writes to the last region, so that the file of the map is synced. */
function clearAll(scene: Scene): void {
  const { regions } = scene.backend.intents;
  scene.disk.settle();
  scene.backend.intents.clear([0, regions]);
  scene.disk.settle();
  write(scene, regions - 1);
  scene.disk.settle();
  scene.inner.running.shift()?.done(STATUS.OK);
}

/** Opens a replica whose map on disk has only the bit of the last region set. */
export async function openClean(regions = REGIONS): Promise<Scene> {
  const scene = await open(new SimulatedMapDisk(), regions);
  clearAll(scene);
  return scene;
}

export function write({ backend }: Scene, region: number, done: IoDone = () => undefined, lengthBytes = 512): void {
  const at = region * MIRROR_REGION_BYTES;
  const status = backend.tryWrite(EMPTY, 0, lengthBytes, at);
  if (status === WOULD_WAIT) backend.write(EMPTY, 0, lengthBytes, at, false, done);
  else done(status);
}

/** Returns the regions of `wanted` whose bits are not set in the map that a server would read from the disk. */
export async function missing(disk: SimulatedMapDisk, wanted: Iterable<number>): Promise<number[]> {
  const { map } = await readMap(disk, IDENTITY, REGIONS);
  return [...wanted].filter((region) => !map.isSet(region));
}

/** Regions that the walk writes to. The bits of many of these regions share a byte, a sector or a page of the map. */
const PLACES = [0, 1, 7, 8, 9, 4_095, 4_096, 32_767, 32_768, 32_800, 65_535, 65_536, REGIONS - 1];
/**
 * Sizes to which the volume grows, in regions. With the first size, the map ends within a byte, and with the second size, within a page.
 */
const SIZES = [32_765, 40_000, 65_530, REGIONS];

const STEPS = 150;

/** Executes random steps. Returns the first step after which a crash could lose a bit; null if there is no such step. */
export async function walk(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const below = (limit: number): number => random.int(0, limit - 1);
  const chance = (share: number): boolean => random.chance(share);
  /** Regions that were written to since their bits were last cleared. */
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
  for (let step = 0; step < STEPS; step++) {
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
      // Added regions count as written.
      for (const place of PLACES) if (place >= regions && place < grown) touched.add(place);
      regions = grown;
      scene.backend.intents.grow(regions * MIRROR_REGION_BYTES);
    } else if (chance(0.3)) {
      const disk = chance(0.5) ? scene.disk.crash(below) : scene.disk.endProcess(() => chance(0.5));
      scene = await open(disk, regions);
      watch();
    }
    for (const chosen of [below, (): number => 0]) {
      const lost = await missing(scene.disk.fork().crash(chosen), touched);
      if (lost.length > 0) return `seed ${seed}, step ${step}: a crash loses the bits of the regions ${lost.join()}`;
    }
  }
  return null;
}
