// Tests how the server measures the used space of files while a file system does not answer. A stand-in inspects the files, and ends each
// inspection on request of the test. test/integration uses real files.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { USED_LANES, USED_SILENT_MS } from './limits.ts';
import { UsedBytes } from './used-bytes.ts';

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function files(place: string, count: number): { place: string; path: string }[] {
  return Array.from({ length: count }, (_, index) => ({ place, path: `${place}/${index}` }));
}

test('a place that hangs delays a call by its bound, keeps few threads over many calls, and hides no other place', async () => {
  const clock = new FakeClock();
  const hanging: (() => void)[] = [];
  const looked: string[] = [];
  const used = new UsedBytes(clock, (path) => {
    looked.push(path);
    return path.startsWith('slow/') ? new Promise((resolve) => hanging.push(() => resolve(7))) : Promise.resolve(512);
  });
  const first = used.of([...files('slow', 100), ...files('fast', 3)]);
  await turn();
  expect(hanging).toHaveLength(USED_LANES);
  clock.advance(USED_SILENT_MS);
  expect(await first).toEqual([...new Array<null>(100).fill(null), 512, 512, 512]);
  expect(await used.of([...files('slow', 5), ...files('fast', 1)])).toEqual([null, null, null, null, null, 512]);
  expect(hanging).toHaveLength(USED_LANES);
  for (const goOn of hanging.splice(0)) goOn();
  await turn();
  const again = used.of(files('slow', 1));
  await turn();
  hanging[0]!();
  expect([await again, clock.timersPending]).toEqual([[7], 0]);
});

test('all files of a place are looked at, a few at a time, and a file that cannot be inspected is unknown', async () => {
  let [running, most] = [0, 0];
  const used = new UsedBytes(new FakeClock(), async (path) => {
    most = Math.max(most, ++running);
    await turn();
    running--;
    if (path.endsWith('/3')) throw new Error('EIO');
    return Number(path.split('/')[1]);
  });
  const wanted = Array.from({ length: 50 }, (_, index) => (index === 3 ? null : index));
  expect(await used.of(files('fast', 50))).toEqual(wanted);
  expect(await used.of([{ place: 'fast', path: null }])).toEqual([null]);
  expect(await used.of([])).toEqual([]);
  expect([most, running]).toEqual([USED_LANES, 0]);
});
