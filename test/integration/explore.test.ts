// rsconfig explore against real servers on 127.0.0.0/8: the table, signatures, silence, and remarks. Every command names its interfaces, so
// that no packet leaves this machine.

import { writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';

const hosts = useHosts('file');
let network: TestNetwork;
let client: Host;
let near: string[];

beforeAll(async () => {
  network = await hosts.network(2);
  client = hosts.host();
  near = network.clientAddresses().flatMap((address) => ['--interface', address]);
  const server = hosts.host();
  server.writeConfig('rssrv', serverConfig(network, { volumes: { oracle: { type: 'null', size: '1g' } } }));
  await server.start('rssrv');
});

function explore(...args: readonly string[]) {
  return client.rsconfig('explore', '--port', String(network.port), ...near, ...args);
}

/** Pattern for the line of the table about server interface `index`. `heard`: whether the interface has answered. */
function line(index: number, heard: boolean): RegExp {
  const way = heard ? String.raw`lo +\d+\.\d{3} ms` : '- +-';
  return new RegExp(`^osl +200 +big-9 +1 +if${index + 1} +${network.serverAddresses[index]} +${network.port} +- +${way}$`, 'm');
}

it('finds a server by broadcast, and each of its interfaces by address', async () => {
  const broadcast = await explore();
  expect(broadcast.code).toBe(0);
  expect(broadcast.stdout).toMatch(/^NAMESPACE +ID +SERVER +ID +INTERFACE +ADDRESS +PORT +LINK +HEARD ON +ROUND TRIP\nosl /);
  const { code, stdout, stderr } = await explore(...network.serverAddresses);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^rsconfig: Exploring on lo .*: listening for \d+ ms\n$/) as string,
  });
  for (const index of [0, 1]) expect(stdout).toMatch(line(index, true));
});

it('--json says what was asked, found and noticed', async () => {
  const { stdout } = await explore('--json', network.serverAddresses[0] ?? '');
  const found = JSON.parse(stdout) as { asked: unknown[]; servers: { server: string; interfaces: unknown[] }[]; findings: unknown[] };
  expect(found).toMatchObject({ servers: [{ namespaceid: 200, server: 'big-9', serverid: 1, isSigned: false }] });
  expect([found.asked.length, found.servers[0]?.interfaces.length, found.findings]).toEqual([2, 2, []]);
});

it('with a namespacekey an unsigned answer is rejected with the reason', async () => {
  const keyFile = client.file('namespacekey');
  writeFileSync(keyFile, 'a-key-the-server-has-not\n', { mode: 0o600 });
  const { code, stdout, stderr } = await explore('--namespacekey-file', keyFile, network.serverAddresses[0] ?? '');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^Server big-9 at \S+ does not sign its answers, but a namespacekey is set here/m);
  expect(stderr).toMatch(/No server answered on lo \(127\.[\d.]+\), lo .* \[E_UNREACHABLE\]\n$/);
});

it('no server answers: exit code 1, the interfaces that asked, and the result of each address', async () => {
  const [first = ''] = network.clientAddresses();
  const { code, stdout, stderr } = await client.rsconfig(
    'explore',
    '--port',
    '4997',
    '--interface',
    first,
    network.serverAddresses[0] ?? '',
  );
  expect(code).toBe(1);
  expect(stdout).toContain(`${network.serverAddresses[0]} port 4997 did not answer: check that rssrv runs there`);
  expect(stderr).toContain(`No server answered on lo (${first}), port 4997: `);
});

it('an address that this machine does not have is refused before anything is sent', async () => {
  const { code, stderr } = await client.rsconfig('explore', '--interface', '192.0.2.99');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^rsconfig: This machine does not have address 192\.0\.2\.99: it has .* \[E_ADDRESS_MISSING\]\n$/);
});
