// Tests the backend wrapper of replicas against a model, on a simulated disk that crashes, tears writes, and fails writes and syncs. After
// a crash at any moment, the map on disk must have the bit of every region that was written to since its bit was last cleared. The random
// test fails if the wrapper leaves out syncs, writes an older page last, or clears a region during a change. Rules: M2.

import { createHash } from 'node:crypto';
import { AssertionError } from '@rsio/base/lib/assert';
import { MIRROR_ID_CHARS, MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { describe, expect, it } from 'vitest';
import { EMPTY, IDENTITY, missing, open, openClean, REGIONS, SlowBackend, walk, write } from '../testing/intent-scene.ts';
import { SimulatedMapDisk } from '../testing/map-disk.ts';
import { IntentBackend } from './intent-backend.ts';
import { MAP_HEADER_BYTES } from './limits.ts';
import { decodeHeader, encodeHeader } from './map-file.ts';
import { MapWriter, readMap } from './map-writer.ts';

/** Place of the checksum in the header, which covers all fields before it. */
const CHECKSUM_AT = 24 + MIRROR_ID_CHARS;
/** A crash that loses all data that was not synced. */
const NOTHING = (): number => 0;

function isSet(backend: IntentBackend, region: number): boolean {
  const first = region - (region % 8);
  return (backend.intents.read(first, 1)[0]! & (1 << (region % 8))) !== 0;
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

  it('that ends where a region ends leaves the next region alone', async () => {
    const scene = await openClean();
    write(scene, 5, () => undefined, MIRROR_REGION_BYTES);
    scene.disk.settle();
    expect([4, 5, 6].map((region) => isSet(scene.backend, region))).toEqual([false, true, false]);
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
    expect(await missing(scene.disk.crash(NOTHING), [5])).toEqual([]);
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
    expect(await missing(scene.disk.crash(NOTHING), [5])).toEqual([]);
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
    expect(await missing(small.disk.crash(NOTHING), [1, 32_765, 40_000, REGIONS - 1])).toEqual([]);
  });
});

it.each(['write', 'sync'])(
  'a region of a grown map does not count if the %s of the header fails, and a later change tries again',
  async (what) => {
    const scene = await openClean(32_765);
    scene.backend.intents.grow(REGIONS * MIRROR_REGION_BYTES);
    const ended: Status[] = [];
    const { syncs } = scene.disk;
    write(scene, REGIONS - 1, (status) => ended.push(status));
    while (scene.disk.syncs === syncs) scene.disk.step();
    if (what === 'sync') scene.disk.step();
    scene.disk.step('EIO');
    expect([ended, scene.errors, scene.disk.isBusy]).toEqual([[STATUS.IO_ERROR], ['EIO'], false]);
    write(scene, REGIONS - 1);
    expect(scene.inner.running).toHaveLength(0);
    scene.disk.settle();
    expect(scene.inner.running).toHaveLength(1);
    const header = await scene.disk.crash(NOTHING).read(MAP_HEADER_BYTES, 0);
    expect(decodeHeader(header, IDENTITY)).toEqual({ identity: IDENTITY, regions: REGIONS });
  },
);

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
    expect(await missing(scene.disk.crash(NOTHING), [7])).toEqual([]);
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

  it.each([
    ['of another program', 0, 'it has another format'],
    ['of another format', 11, 'it has another format'],
    ['with regions of another size', 15, 'it has regions of another size'],
  ])('%s is one of ones, although its checksum is right', (_, byte, trouble) => {
    const header = encodeHeader({ identity: IDENTITY, regions: REGIONS });
    expect(decodeHeader(header, IDENTITY)).toEqual({ identity: IDENTITY, regions: REGIONS });
    header[byte]! ^= 1;
    createHash('sha256').update(header.subarray(0, CHECKSUM_AT)).digest().copy(header, CHECKSUM_AT);
    expect(decodeHeader(header, IDENTITY)).toBe(trouble);
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
    const backend = new IntentBackend(inner, opened.map, writer, disk, () => undefined);
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
    expect(await walk(seed)).toBeNull();
  });
});

it('a storage that ends a change twice is a mistake of the server', async () => {
  const scene = await openClean();
  write(scene, 5);
  scene.disk.settle();
  const [change] = scene.inner.running;
  change!.done(STATUS.OK);
  expect(() => change!.done(STATUS.OK)).toThrow(AssertionError);
});
