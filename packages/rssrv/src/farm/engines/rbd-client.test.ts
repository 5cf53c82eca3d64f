// Tests when a storage client on Ceph exports its image. test/integration/rbd-engine.test.ts tests the rest with Ceph. Rules: F4 in
// test/models/README.md.

import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { expect, it } from 'vitest';
import { RbdClient } from './rbd-client.ts';

it('the image is exported when the storage client has the map with all fences, and not before', async () => {
  const epochs = [5, 6, 7, 8];
  const done: string[] = [];
  const client = new RbdClient({
    clock: systemClock,
    folder: '/nowhere',
    bytes: 1,
    facts: () => Promise.resolve({ epoch: 7, bytes: 2, features: 1, watchers: [], settings: {} }),
    daemon: {
      hasEnded: false,
      address: '127.0.0.1:0/1',
      epoch: () => Promise.resolve(epochs.shift() ?? 0),
      grow: (sizeBytes) => Promise.resolve(void done.push(`grow to ${sizeBytes}`)),
      export: () => {
        done.push(`export at ${epochs.length} before the end`);
        return Promise.reject(new RsError('E_STORAGE', 'no export here'));
      },
      kill: () => Promise.resolve(),
      quit: () => Promise.resolve(),
    },
  });
  await expect(client.open()).rejects.toMatchObject({ message: 'no export here' });
  expect(done).toEqual(['grow to 2', 'export at 1 before the end']);
});
