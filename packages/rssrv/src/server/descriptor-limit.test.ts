// Tests when rssrv warns that the limit on open files is too low, and which numbers the warning contains. The tests in test/integration run
// the daemon.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { expect, test } from 'vitest';
import { openFilesWarning, openFilesLimit } from './descriptor-limit.ts';
import { volumeConfig } from '../testing/volume-config.ts';

function counted(volumes: number, clients: number, processes: number): Parameters<typeof openFilesWarning>[0] {
  return {
    volumes: Array.from({ length: volumes }, () => volumeConfig()),
    clients: Array.from({ length: clients }, (_, index) => ({ name: `c${index}` })) as unknown as RssrvConfig['clients'],
    interfaces: [],
    server: { processes } as RssrvConfig['server'],
  };
}

test('a limit that a shared process may reach is reported at the start, with the necessary limit', () => {
  expect(openFilesWarning(counted(500, 32, 8), 4096)).toBe(
    'The limit of open files is 4096, but a process with 4 of 32 clients may need 4384 for 500 volumes: ' +
      'raise it (LimitNOFILE=4384 in its unit, ulimit -n 4384) and restart rssrv, or raise processes',
  );
  expect(openFilesWarning(counted(500, 32, 8), 4384)).toBeNull();
  expect(openFilesWarning(counted(500, 32, 32), 4096)).toBeNull();
});

test('the listener keeps each volume open itself; without a limit there is no warning', () => {
  expect(openFilesWarning(counted(2000, 0, 8), 1024)).toContain('but the listener may need 2384 for 2000 volumes');
  expect(openFilesWarning(counted(2000, 100, 1), null)).toBeNull();
});

test("the limit is read in the kernel's form", () => {
  expect(
    openFilesLimit('Limit   Soft Limit  Hard Limit Units\nMax open files            1024                 4096                 files\n'),
  ).toBe(1024);
  expect(openFilesLimit('Max open files            unlimited            unlimited            files\n')).toBeNull();
  expect(openFilesLimit()).toBeGreaterThan(0);
});
