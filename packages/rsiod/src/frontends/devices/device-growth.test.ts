// Retries of the growth of devices after a failure, with a fake clock. The programs that grow real devices run in
// test/integration/block-devices.test.ts.

import { expect, it } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { type Log, quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { DeviceGrowth } from './device-growth.ts';
import { DEVICE_GROW_AGAIN_MS } from '../limits.ts';

const VOLUME = { name: 'oracle' } as FrontendVolume;

class Scene {
  readonly clock = new FakeClock();
  readonly said: string[] = [];
  attempts = 0;
  failures: number;
  readonly growth: DeviceGrowth;

  constructor(failures: number) {
    this.failures = failures;
    const log: Log = { ...quietLog, info: (text) => void this.said.push(text), warn: (text) => void this.said.push(`warning: ${text}`) };
    this.growth = new DeviceGrowth({
      clock: this.clock,
      log,
      label: ({ name }) => `osl:${name}@0`,
      grow: async () => {
        this.attempts++;
        if (this.failures-- > 0) throw new RsError('E_SYSTEM', 'losetup: no end within 10 s');
      },
    });
  }

  /** Advances the clock beyond all attempts of the tests. */
  async wait(): Promise<void> {
    for (let count = 0; count < 10; count++) {
      this.clock.advance(DEVICE_GROW_AGAIN_MS);
      await new Promise(setImmediate);
    }
  }
}

it('devices are grown again until it succeeds, and both are logged once', async () => {
  const scene = new Scene(3);
  await scene.growth.grow(VOLUME);
  await scene.wait();
  expect(scene.attempts).toBe(4);
  expect(scene.said).toEqual([
    'warning: The devices of osl:oracle@0 keep their old size: losetup: no end within 10 s; it is tried again every 5 s',
    'The devices of osl:oracle@0 have their new size now',
  ]);
});

it('a growth that succeeds at once is not repeated or logged', async () => {
  const scene = new Scene(0);
  await scene.growth.grow(VOLUME);
  await scene.wait();
  expect([scene.attempts, scene.said]).toEqual([1, []]);
});

it('the next growth of a volume replaces the attempt that waits', async () => {
  const scene = new Scene(1);
  await scene.growth.grow(VOLUME);
  await scene.growth.grow(VOLUME);
  await scene.wait();
  expect(scene.attempts).toBe(2);
});

it('nothing is tried again after the end', async () => {
  const scene = new Scene(9);
  await scene.growth.grow(VOLUME);
  scene.growth.stop();
  await scene.wait();
  expect(scene.attempts).toBe(1);
});
