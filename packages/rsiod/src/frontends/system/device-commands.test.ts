// The errors when mount, umount and losetup fail or hang.
// The real programs' messages are tested with real devices.

import { DEVICE_COMMAND_TIMEOUT_MS } from '../limits.ts';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, it } from 'vitest';
import { noLoopDevice } from '../devices/loop-device.ts';
import { runCommand } from './device-commands.ts';

it('a command without end in time is reported as a busy machine, and losetup then blames no loop device', async () => {
  const clock = new FakeClock();
  const running = runCommand(clock, 'sleep', ['60']).catch(toRsError);
  clock.advance(DEVICE_COMMAND_TIMEOUT_MS);
  const late = await running;
  expect(late).toMatchObject({ code: 'E_SYSTEM', message: 'sleep: no end within 10 s: the machine is busy, try again' });
  expect(noLoopDevice('/dev/av0/roracle', late as RsError).message).toBe(
    'No free loop device for /dev/av0/roracle: sleep: no end within 10 s: the machine is busy, try again',
  );
});

it('a complaint of losetup is reported with a remedy', () => {
  const error = new RsError('E_SYSTEM', 'losetup: /dev/av0/roracle: failed to set up loop device: Device or resource busy');
  expect(noLoopDevice('/dev/av0/roracle', error).message).toBe(
    'No free loop device for /dev/av0/roracle (failed to set up loop device: Device or resource busy): see losetup --list, or use device = raw',
  );
});
