// Tests that an error names the missing right and the drop-in if, and only if, the machine has refused a call. The drop-in itself is tested
// in test/packaging/packaging.test.ts.

import { systemClock } from '@rsio/base/lib/clock';
import { expect, test } from 'vitest';
import { runProgram } from './engines/device-programs.ts';
import { run } from './pool-mount.ts';
import { DROP_IN, withRights } from './rights.ts';

test.each([
  'mount: /storage/fast: permission denied.',
  'umount: /storage/fast: must be superuser to unmount.',
  'losetup: cannot find an unused loop device: Operation not permitted',
  "EPERM: operation not permitted, open '/dev/loop-control'",
  'EACCES',
  'Failed to mount FUSE session to export',
])('%s', (reason) => {
  expect(withRights(reason, 'CAP_SYS_ADMIN')).toBe(
    `${reason}; rssrv needs CAP_SYS_ADMIN: under systemd, enable ${DROP_IN} as its first lines say`,
  );
});

test('other reasons stay as they are', () => {
  for (const reason of ['mount: /storage/fast: wrong fs type', 'EBUSY', 'it has ended']) expect(withRights(reason, 'a right')).toBe(reason);
});

test('programs that mount and make loop devices report it', async () => {
  const script = 'test "$LC_ALL" = C && echo "x: permission denied." >&2; exit 32';
  const named = { message: expect.stringMatching(/x: permission denied\.; rssrv needs CAP_SYS_ADMIN.*rssrv-farm\.conf/) as string };
  await expect(run('sh', ['-c', script], '/storage/fast cannot be mounted')).rejects.toMatchObject({ code: 'E_POOL', ...named });
  await expect(runProgram(systemClock, 'sh', ['-c', script])).rejects.toMatchObject({ code: 'E_STORAGE', ...named });
});
