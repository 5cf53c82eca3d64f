// The lab itself: what it starts is found again, and nothing of it is left after cleaning. Everything else with real processes
// stands on that.

import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startClient, startServer } from './configs.ts';
import { Lab } from './lab.ts';
import { waitFor } from './wait-for.ts';

it('leaves no process, root or memory volume behind, also of daemons that were killed', async () => {
  const lab = new Lab();
  const host = lab.host();
  try {
    const network = await lab.network();
    const id = '5a0f6e0c-5c1d-4f2e-9d3b-0123456789ab';
    await startServer(host, network, { volumes: { oracle: { type: 'memory', size: '1m', id } } });
    await startClient(host, network);
    expect(host.processes()).toEqual(expect.arrayContaining([host.pid('rssrv'), host.pid('rsiod'), host.worker('big-2')]));
    expect(existsSync(`/dev/shm/rsio-${id}`)).toBe(true);
    await host.kill('rssrv');
    await lab.clean();
    expect(host.processes()).toEqual([]);
    expect(existsSync(host.root)).toBe(false);
    expect(existsSync(`/dev/shm/rsio-${id}`)).toBe(false);
  } finally {
    await lab.clean();
  }
});

it('says what it waited for', async () => {
  const failure = waitFor(() => false, 30, 'Pigs fly');
  await expect(failure).rejects.toThrow('Pigs fly: not so within 30 ms');
});
