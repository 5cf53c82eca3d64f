// Joining a server behind a router, which broadcasts do not reach: the command names the address of the server, and `join` uses only the
// card over which this address can be reached. join.test.ts tests servers in the client's own subnets.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import { useNetlab } from '../support/netlab/netlab.ts';
import { subnetsOf } from '../support/netlab/two-machines.ts';

const NODE = 'big-2';

const netlab = useNetlab();

it('a server behind a router is found by its address, and only the card that leads there is used', async (context) => {
  await netlab.need(context);
  const [server, router, client] = [await netlab.machine('server'), await netlab.machine('router'), await netlab.machine('client')];
  const [near, far, other] = [await netlab.segment(), await netlab.segment(), await netlab.segment()];
  await client.plug(other, 'eth0', '172.17.0.1/16');
  await client.plug(near, 'eth1', '10.1.1.20/24');
  await router.plug(near, 'eth0', '10.1.1.1/24');
  await router.plug(far, 'eth1', '192.168.45.1/24');
  await server.plug(far, 'eth0', '192.168.45.10/24');
  await router.shell('echo 1 > /proc/sys/net/ipv4/ip_forward');
  await client.ip('route', 'add', 'default', 'via', '10.1.1.1');
  await server.ip('route', 'add', 'default', 'via', '192.168.45.1');
  server.host.writeConfig('rssrv', serverConfig(subnetsOf(1), { volumes: { oracle: { type: 'memory', size: '16m' } } }));
  await server.host.start('rssrv');

  expect((await client.host.rsconfig('explore')).code).toBe(1);
  expect(await client.host.rsconfigWell('explore', '192.168.45.10')).toMatch(/^osl +200 +big-9 +1 +if1 +192\.168\.45\.10 .* eth1 +\d/m);
  const keyFile = client.host.file('key');
  writeFileSync(keyFile, `${keyOf(NODE)}\n`, { mode: 0o600 });
  const { code, stdout, stderr } = await client.host.rsconfig('join', '192.168.45.10', '--name', NODE, '--key-file', keyFile);
  expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
  expect(stdout).toContain('eth0 (172.17.0.1) is not used: no server answered on it\n');
  const text = readFileSync(client.host.rsiodPaths.configFile, 'utf8');
  expect(text.match(/^\[interface .*\]\naddress.*$/gm)).toEqual(['[interface eth1]\naddress       = 10.1.1.20']);
  await client.host.pathsUp(1);
  expect((await client.host.rsconfig('doctor')).code).toBe(0);
});
