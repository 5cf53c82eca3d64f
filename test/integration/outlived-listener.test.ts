// A server process outlives its listener, because it is stopped. Another server with the same pools must not serve the volumes of this
// process until the process has ended. Afterwards the other server must serve these volumes without a command. kill-combinations.test.ts
// tests the same for files of sections [volume]. Also tests a process that must not outlive its listener. Rules: N11 in docs/GUARANTEES.md.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { startTicksOf } from '@rsio/base/daemon/process-facts';
import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 20_000;
const WORKER = fileURLToPath(new URL('../../packages/rssrv/dist/program/worker.js', import.meta.url));

const hosts = useHosts();

const shown = (host: Host, name: string): Promise<string> => host.rsadmWell('volume', 'show', name);
const isServed = async (host: Host, name: string): Promise<boolean> => (await shown(host, name)).includes('state:     served');

it('a server process that outlives its listener keeps the volumes of pools that it has open', async () => {
  const [server, client, second] = [hosts.host(), hosts.host(), hosts.host()];
  const network = await hosts.network(1);
  const pools = { a: { path: await emptyPool(server, 'a') }, b: { path: await emptyPool(server, 'b') } };
  await startServer(server, network, { volumes: {}, pools });
  await server.rsadmWell('volume', 'create', 'db', '--size', '4m', '--pool', 'a');
  await server.rsadmWell('volume', 'create', 'wide', '--size', '4m', '--stripe', '64k', '--pools', 'b,a');
  await server.rsadmWell('volume', 'create', 'idle', '--size', '4m', '--pool', 'a');
  await startClient(client, network);
  await client.rsconfigWell('-a', 'db');
  await client.rsconfigWell('-a', 'wide');
  const pid = server.worker('big-2');
  process.kill(pid, 'SIGSTOP');
  process.kill(server.pid('rssrv'), 'SIGKILL');

  await startServer(second, await hosts.network(1), { volumes: {}, pools });
  expect(await isServed(second, 'idle')).toBe(true);
  for (const name of ['db', 'wide']) {
    expect(await shown(second, name)).toMatch(
      new RegExp(`state: {5}unavailable: Volume ${name}: /.*/data is still open in server process ${pid} of another rssrv: stop`),
    );
  }
  // A reload does not make the server serve the volume.
  await second.rsadmWell('reload');
  await second.rsadmWell('volume', 'grow', 'db', '8m');
  // The ledger of the pool names the holder, also at the second server.
  expect((await second.rsadm('volume', 'remove', 'wide', '--yes')).stderr).toMatch(/is in use: node big-2 at \S+ has held it since/);
  for (const name of ['db', 'wide']) expect(await isServed(second, name)).toBe(false);
  expect(startTicksOf(pid)).toBeDefined();

  process.kill(pid, 'SIGKILL');
  for (const name of ['db', 'wide']) await waitFor(() => isServed(second, name), WAIT_MS, `${name} is served`);
  await second.logged('rssrv', /The state of volume db@0 was unavailable and is served/);
});

it('a server process whose listener ends before it has loaded its program ends, too', async () => {
  const worker = spawn(process.execPath, [WORKER, JSON.stringify({ user: null })], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'ignore', 'pipe'],
  });
  hosts.onClean(() => worker.kill('SIGKILL'));
  const ended = once(worker, 'exit', { signal: AbortSignal.timeout(WAIT_MS) });
  (worker.stdio[3] as Socket).destroy();
  expect(await ended).toEqual([expect.any(Number), null]);
});
