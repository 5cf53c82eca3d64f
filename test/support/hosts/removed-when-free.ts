// Removes volumes between tests that share their daemons. A removal is repeated while the volume is still in use. A volume is still in use
// if the server has just come back, because a detach by force does not wait until the server has handled CLOSE. Invariant: the volume is
// removed, or the test fails after a deadline.

import { waitFor } from '../programs/wait-for.ts';
import type { Host } from './host.ts';

const FREE_MS = 20_000;

export async function removedWhenFree(server: Host, name: string): Promise<void> {
  await waitFor(async () => (await server.rsadm('volume', 'remove', name, '--yes')).code === 0, FREE_MS, `Volume ${name} is free`);
}
