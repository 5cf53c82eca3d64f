// Tests the backend of a replica over real files. The map of the replica is opened by the listener in some tests, and by the process itself
// in other tests. The backend of an ordinary volume is returned unchanged. A map has one writer: a new handle waits, for a bounded time,
// until an earlier handle is closed.

import fs from 'node:fs';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PassedFiles } from '../storage/files/volume-files.ts';
import type { Backend } from '../storage/io/backend.ts';
import { ForwardingBackend } from '../storage/io/forwarding-backend.ts';
import { NullBackend } from '../storage/null-backend.ts';
import { promised, servedVolume, temporaryDirectory, testPorts } from '../testing/backend-scene.ts';
import { MAP_CLOSE_WAIT_MS } from './limits.ts';
import { makeMap } from './map-file.ts';
import { openMap } from './map-file.ts';
import { withIntents } from './open-intents.ts';

const REGIONS = 20;
const SIZE = REGIONS * MIRROR_REGION_BYTES;
const IDENTITY = 'd'.repeat(32);

let directory = '';
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => removeFolder(directory));

class CountedBackend extends ForwardingBackend {
  closed = 0;

  constructor() {
    super(new NullBackend(SIZE, false));
  }

  override async close(): Promise<void> {
    this.closed++;
    await super.close();
  }
}

function scene(name: string, files?: PassedFiles) {
  const mapPath = path.join(directory, name);
  const volume = servedVolume({ sizeBytes: SIZE, replica: { mirror: 'c'.repeat(32), identity: IDENTITY, mapPath } });
  const clock = new FakeClock();
  const log: string[] = [];
  const inner = new CountedBackend();
  const byPath = { open: async () => ({ descriptor: await openMap(volume.replica!), synced: null }) };
  const ports = { ...testPorts(), clock, files: files ?? byPath };
  const open = (backend: Backend = inner): Promise<Backend> =>
    withIntents(backend, volume, ports, { warn: (text: string) => void log.push(text) });
  return { mapPath, clock, log, inner, open };
}

const setIn = (backend: Backend): number[] => {
  const bits = backend.intents!.read(0, 100);
  return Array.from({ length: REGIONS }, (_, region) => region).filter((region) => (bits[region >> 3]! & (1 << (region & 7))) !== 0);
};

it('a volume that is no replica keeps its backend', async () => {
  const inner = new CountedBackend();
  expect(await withIntents(inner, servedVolume({ sizeBytes: SIZE }), testPorts(), { warn: () => undefined })).toBe(inner);
  expect(inner.intents).toBeUndefined();
});

it.each(['by its path', 'as a descriptor of the listener'])(
  'a map that is opened %s has what was changed when it is opened again',
  async (how) => {
    const mapPath = path.join(directory, 'mirror.map');
    await makeMap(mapPath, { identity: IDENTITY, regions: REGIONS });
    const files = (): PassedFiles | undefined => (how === 'by its path' ? undefined : new PassedFiles([fs.openSync(mapPath, 'r+')]));
    const first = scene('mirror.map', files());
    const backend = await first.open();
    backend.intents!.clear([0, REGIONS]);
    expect(await promised(backend).write(Buffer.alloc(512), 0, 512, 3 * MIRROR_REGION_BYTES)).toBe(STATUS.OK);
    await backend.close();
    expect(first.inner.closed).toBe(1);
    const second = scene('mirror.map', files());
    const again = await second.open();
    expect(setIn(again)).toEqual([3]);
    expect([...first.log, ...second.log]).toEqual([]);
    await again.close();
  },
);

it('a map that is gone is one of ones, which the log says', async () => {
  const { open, log } = scene('gone.map');
  const backend = await open();
  expect(setIn(backend)).toHaveLength(REGIONS);
  expect(log.join('\n')).toContain('gone.map of replica oracle is not used, because it is too short: all of its regions count as changed');
  await backend.close();
});

it('a second handle waits until the first one is closed, and is refused if that takes too long', async () => {
  const { open, clock, inner } = scene('busy.map');
  const first = await open();
  const late = new CountedBackend();
  const refused = open(late);
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(MAP_CLOSE_WAIT_MS);
  await expect(refused).rejects.toThrow(
    'Volume oracle: an earlier handle of it is still being closed, because its storage does not answer: try again',
  );
  expect(late.closed).toBe(1);
  const waiting = open(new CountedBackend());
  await first.close();
  expect(inner.closed).toBe(1);
  const second = await waiting;
  expect(second.intents?.regions).toBe(REGIONS);
  await second.close();
});
