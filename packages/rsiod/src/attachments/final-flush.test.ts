// The text for the administrator about the data that a forced detach loses.
// Flushing and closing are tested in detaching.test.ts.

import { expect, it } from 'vitest';
import { lossByForce } from './final-flush.ts';

it('the warning names the users of the volume, the next steps, and the writes that no flush has made durable', () => {
  expect(lossByForce([], 0, 'server big-9')).toBeNull();
  expect(lossByForce(['mount point /mnt', 'process 12 (dd)'], 0, 'server big-9')).toBe(
    'it was in use by mount point /mnt, process 12 (dd): unwritten data is lost, and I/O fails from now on; umount what is mounted, and mount it again when the volume is attached again',
  );
  expect(lossByForce(['nbd client'], 4096, 'server big-9')).toBe(
    'it was in use by nbd client: unwritten data is lost, and I/O fails from now on; 4096 written bytes were not flushed and are abandoned here: server big-9 may have them, but loses them if its machine crashes',
  );
});
