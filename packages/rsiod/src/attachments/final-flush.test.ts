// The text for the administrator about the data that a forced detach loses.
// Also tests which volumes keep rsiod from being replaced. Flushing and closing are tested in detaching.test.ts.

import { expect, it } from 'vitest';
import type { Frontend } from '../frontends/frontend.ts';
import { Frontends } from '../frontends/frontends.ts';
import { MemoryVolume } from '../frontends/nbd/testing/memory-volume.ts';
import { lossByForce, whyNotReplaced } from './final-flush.ts';

it('the warning names the users of the volume, the next steps, and the writes that no flush has made durable', () => {
  expect(lossByForce([], 0, 'server big-9')).toBeNull();
  expect(lossByForce(['mount point /mnt', 'process 12 (dd)'], 0, 'server big-9')).toBe(
    'it was in use by mount point /mnt, process 12 (dd): unwritten data is lost, and I/O fails from now on; umount what is mounted, and mount it again when the volume is attached again',
  );
  expect(lossByForce(['nbd client'], 4096, 'server big-9')).toBe(
    'it was in use by nbd client: unwritten data is lost, and I/O fails from now on; 4096 written bytes were not flushed and are abandoned here: server big-9 may have them, but loses them if its machine crashes',
  );
});

it('a restart is refused only for a volume that is in use and whose device would end with the process', async () => {
  const why = (lack: string | null, users: readonly string[]): Promise<string | null> => {
    const devices = { needsUnused: true, usersOf: () => Promise.resolve(users), lackAtRestart: () => Promise.resolve(lack) };
    const nbd = { needsUnused: false, usersOf: () => Promise.resolve(['1 NBD connection']) };
    return whyNotReplaced([new MemoryVolume()], new Frontends([devices, nbd] as unknown as Frontend[]));
  };
  expect(await why('no keeper', ['mount point /mnt', 'swap'])).toMatch(
    /is in use by mount point \/mnt, swap, and a restart would cut it off \(no keeper\): end that first, and run rsconfig restart again/,
  );
  expect(await why('no keeper', [])).toBeNull();
  expect(await why(null, ['mount point /mnt'])).toBeNull();
});
