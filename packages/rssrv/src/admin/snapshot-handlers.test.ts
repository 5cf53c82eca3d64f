// The command for a snapshot waits while another snapshot of the volume is being made, and begins no trigger and no change before.

import { expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { HAND_OVER_RETRY_MS } from '../replication/limits.ts';
import { snapshotHandlers } from './snapshot-handlers.ts';

test('a snapshot waits for the moment of a replication, and is made then', async () => {
  const clock = new FakeClock();
  const done: string[] = [];
  let isMaking = true;
  const snapshots = {
    isMaking: () => isMaking,
    check: () => {
      if (isMaking) throw new RsError('E_BUSY', 'Snapshot db@moment is being made');
      return [];
    },
    snapshot: async () => {
      done.push('made');
      return [];
    },
  };
  const around = (_facts: unknown, _check: unknown, make: () => unknown): unknown => {
    done.push('trigger');
    return make();
  };
  const changes = { by: 'root', run: (work: (turn: never) => unknown) => work(null as never) };
  const ports = { clock, changes, snapshots, triggers: { around }, inventory: { snapshotViews: async () => [] } };
  const handlers = snapshotHandlers(ports as never, LOCAL_ASKER);
  const answer = handlers['volume-snapshot']({ snapshots: [{ name: 'db', universe: 0, snapshot: 'monday' }], request: null } as never);
  for (let look = 0; look < 3; look++) {
    clock.advance(HAND_OVER_RETRY_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(done).toEqual([]);
  isMaking = false;
  clock.advance(HAND_OVER_RETRY_MS);
  expect(await answer).toEqual({ snapshots: [] });
  expect(done).toEqual(['trigger', 'made']);
});
