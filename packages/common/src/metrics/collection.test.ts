// Tests when metrics are collected: once for all simultaneous requests, in slices, and at most as often as the bound allows.
// test/integration/metrics.test.ts sends requests over HTTP.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { Collection, type Pause } from './collection.ts';
import { COLLECT_INTERVAL_MS, COLLECT_MAX_MS, SLICE_MS } from './limits.ts';
import { gauge } from './metric-table.ts';

const TABLE = { rsio_value: gauge('A value'), rsio_left_out: gauge('Left out') } as const;

class Scene {
  readonly clock = new FakeClock();
  collections = 0;
  work: (pause: Pause) => Promise<void> = async () => undefined;
  readonly collection = new Collection({
    clock: this.clock,
    table: TABLE,
    collect: async (out, pause) => {
      this.collections++;
      await this.work(pause);
      out.add('rsio_value', this.collections);
      out.add('rsio_value', 0);
    },
    summarize: (out, leftOut) => out.add('rsio_left_out', leftOut),
  });

  async value(): Promise<string | undefined> {
    return /^rsio_value (\d+)$/m.exec((await this.collection.text()).toString())?.[1];
  }
}

test('those who ask at the same time or soon after get one collection, with what it left out', async () => {
  const scene = new Scene();
  expect(await Promise.all([scene.value(), scene.value()])).toEqual(['1', '1']);
  scene.clock.advance(COLLECT_INTERVAL_MS - 1);
  expect(await scene.value()).toBe('1');
  scene.clock.advance(1);
  expect(await scene.value()).toBe('2');
  expect((await scene.collection.text()).toString()).toContain('rsio_left_out 1\n');
});

test('a collection that has used its slice lets other work go on', async () => {
  const scene = new Scene();
  let steps = 0;
  scene.work = async (pause) => {
    for (; steps < 3; steps++) {
      await pause();
      if (steps === 0) scene.clock.advance(SLICE_MS);
    }
  };
  const value = scene.value();
  await Promise.resolve();
  await Promise.resolve();
  expect(steps, 'the second step waits for the event loop').toBe(1);
  scene.clock.advance(0);
  expect(await value).toBe('1');
});

test('a collection that never ends fails those who ask, one after the other, and begins no second one', async () => {
  const scene = new Scene();
  scene.work = () => new Promise(() => undefined);
  for (let round = 0; round < 2; round++) {
    const failed = expect(scene.value()).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    scene.clock.advance(COLLECT_MAX_MS);
    await failed;
  }
  expect(scene.collections).toBe(1);
});
