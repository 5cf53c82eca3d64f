// Tests that questions about claims share runs of the helper. The orders of the helper are tested with real devices in
// test/integration/device-users.test.ts.

import { expect, test } from 'vitest';
import { Claims } from './loop-commands.ts';

test('questions that arrive during a run share the next run, and each gets an answer that is not older than the question', async () => {
  const asked: (readonly string[])[] = [];
  let isHeld = true;
  const ends: (() => void)[] = [];
  const claims = new Claims(async (devices) => {
    asked.push(devices);
    await new Promise<void>((resolve) => (isHeld ? ends.push(resolve) : resolve()));
    return devices.filter((device) => device !== '/dev/loop2');
  });
  const first = claims.has('/dev/loop1');
  const others = ['/dev/loop1', '/dev/loop2', '/dev/loop3'].map((device) => claims.has(device));
  isHeld = false;
  for (const end of ends) end();
  expect(await first).toBe(true);
  expect(await Promise.all(others)).toEqual([true, false, true]);
  expect(asked).toEqual([['/dev/loop1'], ['/dev/loop1', '/dev/loop2', '/dev/loop3']]);
});
