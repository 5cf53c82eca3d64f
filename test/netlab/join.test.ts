// From nothing to a working client, with real cards: a server has three interfaces, and the client reaches two of them by cable. `explore`
// finds all three interfaces. `join` uses two of the interfaces and names the reason why the third one cannot be used. rsiod runs with the
// file that `join` has written.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import { useNetlab } from '../support/netlab/netlab.ts';
import { SteadyIo } from '../support/netlab/load/steady-io.ts';
import { type TwoMachines, twoMachines } from '../support/netlab/two-machines.ts';

const VOLUMES = { oracle: { type: 'memory', size: '16m' } };
const FAR = '192.168.47.10';
const NODE = 'big-2';

const netlab = useNetlab();

/** Starts a server that also listens on a third card, in a subnet that the client cannot reach. */
async function serverWithThree(): Promise<TwoMachines> {
  const scene = await twoMachines(netlab, 2);
  const { server, network } = scene;
  await server.plug(await netlab.segment(), 'eth2', `${FAR}/24`);
  const text = serverConfig({ ...network, serverAddresses: [...network.serverAddresses, FAR] }, { volumes: VOLUMES });
  server.host.writeConfig('rssrv', text);
  await server.host.start('rssrv');
  return scene;
}

it('explore finds all three interfaces of the server, join uses two, with the reason against the third, and the client works', async (context) => {
  await netlab.need(context);
  const { client } = await serverWithThree();
  // The command asks by broadcast.
  const table = await client.host.rsconfigWell('explore');
  expect(table).toMatch(/^osl +200 +big-9 +1 +if1 +192\.168\.45\.10 +5000 .* eth0 +\d+\.\d+ ms$/m);
  expect(table).toMatch(/^osl +200 +big-9 +1 +if2 +192\.168\.46\.10 +5000 .* eth1 +\d+\.\d+ ms$/m);
  expect(table).toMatch(/^osl +200 +big-9 +1 +if3 +192\.168\.47\.10 +5000 .* - +-$/m);
  const keyFile = client.host.file('key');
  writeFileSync(keyFile, `${keyOf(NODE)}\n`, { mode: 0o600 });
  const { code, stdout, stderr } = await client.host.rsconfig('join', '192.168.45.10', '--name', NODE, '--key-file', keyFile);
  expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
  expect(`${stdout}${stderr}`).toMatch(/192\.168\.47\.10.*not on a common subnet/);
  const text = readFileSync(client.host.rsiodPaths.configFile, 'utf8');
  expect(text.match(/^\[interface .*\]$/gm)).toHaveLength(2);
  expect([...text.matchAll(/^\[server .*\]\naddress {7}= (.*)$/gm)].map(([, address]) => address)).toEqual([
    '192.168.45.10',
    '192.168.46.10',
  ]);
  // Joining has started rsiod.
  await client.host.pathsUp(2);
  await client.host.rsconfigWell('-a', 'oracle');
  const io = await SteadyIo.begin(client.host, 'osl/oracle');
  await io.progress();
  await io.end();
});
