// Removes volumes between the tests of a file that share their daemons. The removal is repeated while the volume is in use: if the server
// has just come back, a detach by force does not wait until the server has handled CLOSE. Invariant: the volume is removed, or the test
// fails after a deadline.

import { waitFor } from '../programs/wait-for.ts';
import type { Host } from './host.ts';

const FREE_MS = 20_000;

export async function removedWhenFree(server: Host, name: string): Promise<void> {
  await waitFor(async () => (await server.rsadm('volume', 'remove', name, '--yes')).code === 0, FREE_MS, `Volume ${name} is free`);
}
