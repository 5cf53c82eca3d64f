// Tests errors of the storage while the file of a volume is changed and clients use the volume. The kernel reports an error of a sync only
// once, so the code that gets the error must start a new incarnation. Without the new incarnation, a later take-over would not learn that
// writes are lost. move-stops.test.ts tests whole moves. Rules: C5, H2.

import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { VolumeSwitch } from './volume-switch.ts';

const ID = 'v';

/** Runs a switch and returns its events, in order. */
async function switched(sync: (events: string[]) => Promise<void>, disputedMs: number | null = 0): Promise<string[]> {
  const events: string[] = [];
  const done = new VolumeSwitch({
    clock: systemClock,
    volumes: {
      served: [{ id: ID } as ServedVolume],
      suspend: (_id, reason) => void events.push(reason === null ? 'served' : 'not served'),
      sync: () => sync(events),
    },
    sessions: { closeHandles: async () => true },
    inForce: () => ({
      inForceById: () => ({ id: ID }) as ServerVolumeConfig,
      replaceVolume: async () => void events.push('replaced'),
    }),
    listChanged: () => undefined,
    incarnationOf: () => 'one',
    disputedMs: () => disputedMs,
    incarnationEnded: async ({ id }) => void events.push(`new incarnation of ${id}`),
  }).run(ID, 'why', async () => {
    events.push('work');
    return { id: ID } as ServerVolumeConfig;
  });
  await done.catch((thrown: RsError) => events.push(thrown.code));
  return events;
}

const well = (): Promise<void> => Promise.resolve();
const failed = (): Promise<void> => Promise.reject(new RsError('E_VOLUME', 'Its storage reported an error during a sync'));
const slow = (): Promise<void> => Promise.reject(new RsError('E_TIMEOUT', 'Its storage does not answer'));

/** Returns a sync with these results. The first sync runs before the clients wait, and the second while the clients wait. */
function syncs(...results: (() => Promise<void>)[]): () => Promise<void> {
  return () => (results.shift() ?? well)();
}

test('a failed sync starts a new incarnation, and the volume stays where it is', async () => {
  expect(await switched(syncs(well, failed))).toEqual(['not served', `new incarnation of ${ID}`, 'served', 'E_VOLUME']);
  expect(await switched(syncs(failed))).toEqual([`new incarnation of ${ID}`, 'E_VOLUME']);
});

test('a sync that takes too long starts none, because its failure is reported later', async () => {
  expect(await switched(syncs(well, slow))).toEqual(['not served', 'served', 'E_TIMEOUT']);
  expect(await switched(syncs(slow))).toEqual(['E_TIMEOUT']);
});

test.each([1, null])(
  'a volume does not change its pool while an earlier owner may answer for it, or its pool is lost (%s)',
  async (disputedMs) => {
    expect(await switched(well, disputedMs)).toEqual(['E_BUSY']);
  },
);

test('most is synced before the clients wait, and the rest before the work', async () => {
  expect(await switched(async (events) => void events.push('synced'))).toEqual(['synced', 'not served', 'synced', 'work', 'replaced']);
});
