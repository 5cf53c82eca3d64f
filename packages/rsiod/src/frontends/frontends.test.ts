// Several frontends combined: their order, and the handling of a refusal. The frontends are fakes that record their calls. Real frontends
// are tested in nbd-frontend.test.ts and in integration/block-devices.test.ts.

import { expect, it } from 'vitest';
import { type Frontend, inUse, type ShownAs } from './frontend.ts';
import { Frontends } from './frontends.ts';
import { MemoryVolume } from './nbd/testing/memory-volume.ts';

const volume = new MemoryVolume();

function fake(calls: string[], name: string, shown: ShownAs | null, users: readonly string[] = []): Frontend {
  const record = async (call: string): Promise<void> => void calls.push(`${call} ${name}`);
  return {
    needsUnused: name === 'devices',
    leftVolumes: [],
    start: () => record('start'),
    show: () => record('show'),
    shownAs: () => shown,
    grown: () => record('grown'),
    incarnationChanged: () => undefined,
    usersOf: () => Promise.resolve(users),
    hide: async (_volume, force) => {
      if (users.length > 0 && !force) throw inUse(users);
      await record('hide');
    },
    drop: () => record('drop'),
    release: () => record('release'),
    releaseLeft: () => record('releaseLeft'),
    close: () => record('close'),
    handOver: () => record('handOver'),
    stop: () => record('stop'),
  };
}

it('the preferred frontend starts first, and takes away, hands over and ends last', async () => {
  const calls: string[] = [];
  const both = new Frontends([fake(calls, 'devices', null), fake(calls, 'nbd', null)]);
  await both.start();
  await both.hide(volume, false);
  await both.handOver();
  await both.close();
  await both.stop();
  const ends = ['hide', 'handOver', 'close', 'stop'].flatMap((call) => [`${call} nbd`, `${call} devices`]);
  expect(calls).toEqual(['start devices', 'start nbd', ...ends]);
});

it.each([
  [
    { raw: '/dev/av0/rv', block: '/dev/av0/v' },
    { raw: null, block: 'nbd+unix:' },
    '/dev/av0/v',
    { raw: '/dev/av0/rv', block: '/dev/av0/v' },
  ],
  [{ raw: '/dev/av0/rv', block: null }, { raw: null, block: 'nbd+unix:' }, '/dev/av0/rv', { raw: '/dev/av0/rv', block: 'nbd+unix:' }],
  [null, { raw: null, block: 'nbd+unix:' }, 'nbd+unix:', { raw: null, block: 'nbd+unix:' }],
  [null, null, null, null],
])('devices %j and NBD %j are shown as %s and %j', (devices, nbd, device, shown) => {
  const both = new Frontends([fake([], 'devices', devices), fake([], 'nbd', nbd)]);
  expect([both.deviceOf(volume), both.shownAs(volume)]).toEqual([device, shown]);
});

it('users are named from the last frontend to the first; only those who need it keep the daemon from ending', async () => {
  const calls: string[] = [];
  const both = new Frontends([fake(calls, 'devices', null, ['swap']), fake(calls, 'nbd', null, ['1 NBD connection'])]);
  expect(await both.usersOf(volume)).toEqual(['1 NBD connection', 'swap']);
  expect(await both.usersAtEnd(volume)).toEqual(['swap']);
  await expect(both.hide(volume, false)).rejects.toMatchObject({ code: 'E_IN_USE' });
  await both.hide(volume, true);
  expect(calls).toEqual(['hide nbd', 'hide devices']);
});
