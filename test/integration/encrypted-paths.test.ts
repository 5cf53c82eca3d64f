// Encrypted paths between real processes: they come up, carry I/O, come back after faults, and can be probed. If only one end requires
// encryption, this end refuses the other end, and names the line of the configuration to change. Unit tests in packages/protocol/src/auth
// cover the keys, and middleman.test.ts covers attacks.

import { beforeEach, expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import type { RunResult } from '../support/programs/programs.ts';

const hosts = useHosts();
const VOLUMES = { oracle: { type: 'memory', size: '32m' } };
const IO_BYTES = 1024 * 1024;

let server: Host;
let client: Host;
let network: TestNetwork;

beforeEach(async () => {
  server = hosts.host();
  client = hosts.host();
  network = await hosts.network(2);
});

async function begin(tls: 'off' | 'allow' | 'require', clientTls: 'off' | 'on'): Promise<RunResult> {
  server.writeConfig('rssrv', serverConfig(network, { volumes: VOLUMES, tls }));
  await server.start('rssrv');
  client.writeConfig('rsiod', clientConfig(network, { defaults: { tls: clientTls } }));
  return client.tryStart('rsiod');
}

it('paths are encrypted, carry data, and come back after their server process was killed', async () => {
  await begin('require', 'on');
  await client.pathsUp(2);
  await client.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  await nbd.verify(0, IO_BYTES);
  process.kill(server.worker('big-2'), 'SIGKILL');
  await nbd.verify(IO_BYTES, IO_BYTES);
  await client.pathsUp(2);
  expect(client.log('rssrv') + client.log('rsiod')).not.toMatch(/E_PROTOCOL|E_INTERNAL/);
  nbd.close();
});

it.each([
  ['off', 'on', /does not encrypt.* tls = allow in section \[namespace\] .*\[E_TLS\]/],
  ['require', 'off', /accepts encrypted connections only: set tls = on in section \[namespace\] .*\[E_TLS\]/],
] as const)('server %s, client %s: refused, and the message names the line to change', async (tls, clientTls, message) => {
  const { code, stderr } = await begin(tls, clientTls);
  expect([code, stderr]).toEqual([0, expect.stringMatching(message)]);
  expect((await client.rsconfig('-q')).stderr).toMatch(message);
});
