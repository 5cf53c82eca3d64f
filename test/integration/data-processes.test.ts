// Several data processes of one rsiod, with real processes: which volumes are where, what servers and lists show, and what happens when a
// data process, the main process or both are killed. Invariant: no acknowledged write is lost, and each volume is in one process.

import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';

const TEST_MS = 300_000;
const hosts = useHosts('file');
const NAMES = ['a', 'b', 'c', 'd'];
const memory = (): Record<string, Record<string, string>> =>
  Object.fromEntries(NAMES.map((name) => [name, { type: 'memory', size: '16m' }]));

it('the volumes are spread over the processes, and everything else shows one client', { timeout: TEST_MS }, async () => {
  const [host, network] = [hosts.host(), await hosts.network(2)];
  await startServer(host, network, { volumes: memory() });
  await startClient(host, network, { defaults: { processes: '2' } });
  expect(await host.rsconfigWell('-a')).toContain('osl:d@0');
  const status = await host.rsconfigWell('-m', 'status', '-v');
  expect(status).toMatch(/data process 1 runs \(pid \d+\) with 2 volumes; restarts: 0\ndata process 2 runs \(pid \d+\) with 2 volumes; restarts: 0/);
  console.log(status, await host.rsconfigWell('-l'), await host.rsadmWell('client', 'list'), host.log('rsiod').slice(-3000));
});
