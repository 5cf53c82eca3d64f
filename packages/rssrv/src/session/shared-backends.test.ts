// Tests that the handles of one hold share a backend, and that each of them gives it up once.

import { AssertionError } from '@rsio/base/lib/assert';
import { expect, test } from 'vitest';
import type { Backend } from '../storage/io/backend.ts';
import { servedVolume } from '../testing/backend-scene.ts';
import { SharedBackends } from './shared-backends.ts';

const GRANT = { volume: servedVolume({ id: 'id' }), epoch: 1, incarnation: 'life' };

test('the last handle closes the backend, and a release too many is a mistake of the server', async () => {
  let closes = 0;
  const backends = new SharedBackends(() => Promise.resolve({ close: () => Promise.resolve(void closes++) } as unknown as Backend));
  const [one, other] = await Promise.all([backends.open(GRANT), backends.open({ ...GRANT })]);
  expect(one).toBe(other);
  await backends.release(one);
  expect(closes).toBe(0);
  await backends.release(other);
  expect(closes).toBe(1);
  await expect(backends.release(one)).rejects.toThrow(AssertionError);
});

test('one backend for two holds is a mistake of the server', async () => {
  const backend = { close: () => Promise.resolve() } as unknown as Backend;
  const backends = new SharedBackends(() => Promise.resolve(backend));
  await backends.open(GRANT);
  await expect(backends.open({ ...GRANT, epoch: 2 })).rejects.toThrow(AssertionError);
});
