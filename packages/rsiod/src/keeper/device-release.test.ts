// Tests the release of several fake devices: a failure is logged, and a release that never ends does not delay the other releases.
// test/integration/keeper.test.ts tests real devices.

import { type Log, quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { STOP_WAIT_MAX_MS } from '../sys/limits.ts';
import { expect, it } from 'vitest';
import type { LeftDevice } from './kept-devices.ts';
import { releaseAll } from './device-release.ts';

function device(name: string): LeftDevice {
  const file = { mode: 0, uid: 0, gid: 0, madeMs: 0, canResend: true };
  const place = { raw: `/dev/av0/r${name}`, block: `/dev/av0/${name}`, loop: null };
  const volume = { namespace: 'osl', name, universe: 0, id: name, readonly: false, sizeBytes: 0, blockSizeBytes: 512, canDiscard: false };
  return { id: 1, fd: -1, note: { ...volume, ...place, file, life: '' } };
}

function scene(release: (name: string) => Promise<void>) {
  const clock = new FakeClock();
  const said: string[] = [];
  const log: Log = { ...quietLog, warn: (sentence) => said.push(sentence) };
  const done = releaseAll(['a', 'b', 'c'].map(device), { clock, log, release: ({ note }) => release(note.name) });
  return { clock, said, done };
}

it('all devices are released, and a failure is reported', async () => {
  const gone: string[] = [];
  const { clock, said, done } = scene(async (name) => {
    if (name === 'b') throw new Error('no umount');
    gone.push(name);
  });
  await done;
  expect([gone, said, clock.timersPending]).toEqual([['a', 'c'], ['/dev/av0/rb: no umount'], 0]);
});

it('a release that never ends does not delay the shutdown', async () => {
  const { clock, said, done } = scene(async (name) => {
    if (name === 'b') await new Promise(() => undefined);
  });
  clock.advance(STOP_WAIT_MAX_MS);
  await done;
  expect(said).toEqual(['Some devices of the previous process could not be removed within 45 s']);
});
