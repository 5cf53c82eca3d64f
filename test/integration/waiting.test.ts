// rsconfig --wait with real daemons: the command returns when the awaited state is reached. If the state is not reached within the given
// time, the command reports this. Ctrl-C ends the wait and undoes nothing. The unit test of packages/rsconfig/src/cli/waiting.ts covers the
// display on a terminal and all ways in which waiting ends.

import { beforeEach, expect, it } from 'vitest';
import { clientConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { startPair } from '../support/hosts/pair.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const hosts = useHosts();
let server: Host;
let client: Host;
let network: TestNetwork;

beforeEach(async () => {
  const volumes = (host: Host) => ({ oracle: { path: host.file('oracle.img'), size: '16m' } });
  ({ server, client, network } = await startPair(hosts, volumes, { subnets: 1 }));
});

it('-a --wait and -m status --wait return when the server is back, and draw nothing without a terminal', async () => {
  await server.stop('rssrv');
  const attaching = client.beside('rsconfig', ['-a', '--wait=50s', 'oracle']);
  const status = client.beside('rsconfig', ['-m', 'status', '--wait=50s']);
  const all = client.beside('rsconfig', ['-a', '--wait']);
  const late = await client.rsconfig('-a', 'oracle', '--wait=1s');
  expect(late).toMatchObject({ code: 1, stdout: '' });
  expect(late.stderr).toMatch(
    /^rsconfig: Timed out after 1 s: .+\nrsconfig: (osl:)?oracle(@0)?: .+ \[E_(NO_PATH|UNKNOWN_VOLUME)\]\nrsconfig: Server .+ of osl is (down|connecting): .+ \[E_NO_PATH\]\n$/,
  );
  await server.start('rssrv');
  const attached = `osl:oracle@0 attached ${client.nbdUri('osl/oracle')}\n`;
  expect(await attaching.ended).toMatchObject({ code: 0, stdout: attached, stderr: '' });
  expect(await all.ended).toMatchObject({ code: 0, stdout: attached, stderr: '' });
  expect(await status.ended).toMatchObject({ code: 0, stderr: '' });
});

it('-d --wait returns when the last user has ended', async () => {
  await client.rsconfigWell('-a');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  expect((await client.rsconfig('-d', '--wait=1s', 'oracle')).stderr).toContain('[E_IN_USE]');
  const detaching = client.beside('rsconfig', ['-d', '--wait', 'oracle']);
  await nbd.verify(0, 4_096);
  nbd.close();
  expect(await detaching.ended).toMatchObject({ code: 0, stdout: 'osl:oracle@0 detached\n', stderr: '' });
});

it('Ctrl-C ends only the waiting: what was attached meanwhile stays attached', async () => {
  const waiting = client.beside('rsconfig', ['-a', '--wait', 'oracle', 'nosuch']);
  await waitFor(async () => (await client.call('local', {})).attachments.length === 1, 10_000, 'oracle is attached');
  waiting.kill('SIGINT');
  const { code, stdout, stderr } = await waiting.ended;
  // Before the first answer arrives, there is nothing to print.
  expect(['', `osl:oracle@0 attached ${client.nbdUri('osl/oracle')}\n`]).toContain(stdout);
  expect(code).toBe(1);
  expect(stderr).toContain('Interrupted: what was attached stays attached');
  expect((await client.call('local', {})).attachments).toHaveLength(1);
});

it('reload --wait returns when the paths of the new file are up', async () => {
  const more = await hosts.network(1);
  client.writeConfig(
    'rsiod',
    clientConfig(network).replace('[namespace osl]', `[interface if7]\naddress = ${more.clientAddresses()[0]}\n\n[namespace osl]`),
  );
  const { code, stdout } = await client.rsconfig('reload', '--wait=60s');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'interface if7: - -> added\n' });
});
