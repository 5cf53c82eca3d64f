// Faults that doctor can find only with real cards: packets that are too large for the link, an unplugged cable. The test runs the commands
// in the remedies exactly as doctor prints them. one-cable.test.ts has two cards in one subnet. Invariant: each test leaves the machines
// without a fault.

import { beforeEach, expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import { needTool } from '../support/programs/programs.ts';
import { type Machine, useNetlab } from '../support/netlab/netlab.ts';
import { type TwoMachines, twoMachines } from '../support/netlab/two-machines.ts';

const UP_MS = 20_000;

const netlab = useNetlab('file');
let begun: Promise<TwoMachines> | undefined;
let scene: TwoMachines;

/**
 * Starts two machines in two subnets without faults. All tests share these machines, because starting machines and daemons takes longer
 * than running doctor.
 */
beforeEach(async (context) => {
  await netlab.need(context);
  begun ??= begin();
  scene = await begun;
  await scene.client.host.pathsUp(2, UP_MS);
});

async function begin(): Promise<TwoMachines> {
  const machines = await twoMachines(netlab, 2);
  const { server, client, network } = machines;
  server.host.writeConfig('rssrv', serverConfig(network, { volumes: { oracle: { type: 'memory', size: '16m' } } }));
  await server.host.start('rssrv');
  client.host.writeConfig('rsiod', clientConfig(network));
  await client.host.start('rsiod');
  return machines;
}

interface Finding {
  readonly check: string;
  readonly severity: string;
  readonly object: string;
  readonly what: string;
  readonly commands: readonly string[];
}

/** Returns the findings of doctor about cards, paths and servers. Findings about limits and programs of this machine are left out. */
async function faults(client: Machine): Promise<Finding[]> {
  const { stdout } = await client.host.rsconfig('doctor', '--json');
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  return findings.filter(({ check, severity }) => severity !== 'ok' && !['limits', 'doors', 'rsiod'].includes(check));
}

it("packets as large as a card's MTU do not get through: doctor's command repairs it, and then finds no fault", async () => {
  const { client } = scene;
  await client.ip('link', 'set', 'dev', 'eth1', 'mtu', '9000');
  const [fault, ...others] = await faults(client);
  expect(others).toEqual([]);
  expect(fault).toMatchObject({
    severity: 'warning',
    object: 'path if1 -> 192.168.46.10/5000',
    what: 'Packets of 9000 bytes, the MTU of eth1, do not get through; packets of 1500 bytes do',
    commands: ['ip link set dev eth1 mtu 1500'],
  });
  for (const command of fault?.commands ?? []) await client.shell(command);
  expect(await faults(client)).toEqual([]);
});

it('a cable that is out gives one finding, which names the card', async () => {
  const { client } = scene;
  await client.cable('eth1', 'out');
  const what = 'eth1, which has 192.168.46.20, has no carrier';
  expect(await faults(client)).toMatchObject([{ severity: 'error', object: 'interface if1', what }]);
  await client.cable('eth1', 'in');
});

it('a server that drops packets and an address that no host has are two faults with two remedies', async () => {
  const { client, server } = scene;
  await server.ip('route', 'add', 'blackhole', '192.168.46.20/32');
  const object = 'path if1 -> 192.168.46.10/5000';
  expect(await faults(client)).toMatchObject([{ severity: 'error', object, what: 'No answer within 3000 ms' }]);
  await server.ip('route', 'del', 'blackhole', '192.168.46.20/32');
  await server.ip('address', 'del', '192.168.46.10/24', 'dev', 'eth1');
  await client.ip('neighbour', 'flush', 'dev', 'eth1');
  const what = 'No machine with address 192.168.46.10 answers on the link of eth1';
  expect(await faults(client)).toMatchObject([{ severity: 'error', object, what }]);
  await server.ip('address', 'add', '192.168.46.10/24', 'broadcast', '+', 'dev', 'eth1');
});

it('a card that is down keeps its address: doctor names the card, and its command repairs it', async () => {
  const { client } = scene;
  await client.ip('link', 'set', 'dev', 'eth1', 'down');
  const [fault, ...others] = await faults(client);
  expect(others).toEqual([]);
  expect(fault).toMatchObject({ severity: 'error', object: 'interface if1', what: 'eth1, which has 192.168.46.20, is down' });
  for (const command of fault?.commands ?? []) await client.shell(command);
  await client.host.pathsUp(2);
  expect(await faults(client)).toEqual([]);
});

it('a port that a firewall rejects on one of two interfaces is not mistaken for a server that does not run', async (context) => {
  needTool(context, 'nft', 'nftables');
  const { client, server } = scene;
  await server.shell('nft add table inet t; nft "add chain inet t c { type filter hook input priority 0; }"');
  await server.shell('nft add rule inet t c ip daddr 192.168.46.10 tcp dport 5000 reject with tcp reset');
  const [fault, ...others] = await faults(client);
  expect(others).toEqual([]);
  expect(fault).toMatchObject({ severity: 'error', object: 'path if1 -> 192.168.46.10/5000' });
  expect(fault?.what).toContain('the server answers on another path');
  await server.shell('nft delete table inet t');
});

// This must be the last test, because the connections keep the MTU that they have negotiated.
it("a smaller MTU at the server's card, which no discovery datagram reveals, is found by what TCP negotiated", async () => {
  const { client, server } = scene;
  await client.host.stop('rsiod');
  await server.ip('link', 'set', 'dev', 'eth1', 'mtu', '1300');
  await client.host.start('rsiod');
  await client.host.pathsUp(2);
  const what = "The server's side accepts only packets of 1300 bytes, but the MTU of eth1 is 1500";
  expect(await faults(client)).toMatchObject([{ severity: 'warning', object: 'path if1 -> 192.168.46.10/5000', what }]);
});
