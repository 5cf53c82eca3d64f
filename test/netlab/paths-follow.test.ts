// Interfaces come and go on both sides under I/O, and paths follow without a command at the client. An interface is added to the server's
// file or removed from it (SIGHUP). A card of the client loses its cable, link or address and gets it back. The netlab has real cards.
// Rules: G14.

import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { TestNetwork } from '../support/hosts/hosts.ts';
import { type Machine, useNetlab } from '../support/netlab/netlab.ts';
import { SteadyIo } from '../support/netlab/load/steady-io.ts';
import { type TwoMachines, twoMachines } from '../support/netlab/two-machines.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const VOLUMES = { oracle: { type: 'memory', size: '16m' } };
/** A card that has carried this many bytes has carried I/O, because heartbeats and address resolution have far fewer bytes. */
const USED_BYTES = 256 * 1024;
const FOLLOW_MS = 15_000;

const netlab = useNetlab();
let scene: TwoMachines;

beforeEach(async (context) => {
  await netlab.need(context);
  scene = await twoMachines(netlab, 3);
});

/** Returns the part of the network with these subnets, for the server's file. */
function named(network: TestNetwork, ...indexes: readonly number[]): TestNetwork {
  return { ...network, serverAddresses: indexes.map((index) => network.serverAddresses[index] ?? '') };
}

/**
 * Starts both machines with three cards each. At first, the server's file has only two cards of the server. The client's file has all three
 * cards of the client, and the same two cards of the server.
 */
async function startWithTwo({ server, client, network }: TwoMachines): Promise<SteadyIo> {
  await serve(server, named(network, 0, 1));
  await server.host.start('rssrv');
  client.host.writeConfig('rsiod', clientConfig(named(network, 0, 1)));
  await client.host.start('rsiod');
  await client.host.pathsUp(2);
  await client.host.rsconfigWell('-a', 'oracle');
  return SteadyIo.begin(client.host, 'osl/oracle');
}

async function serve(server: Machine, network: TestNetwork): Promise<void> {
  server.host.writeConfig('rssrv', serverConfig(network, { volumes: VOLUMES }));
}

async function reload(server: Machine, network: TestNetwork): Promise<void> {
  await serve(server, network);
  process.kill(server.host.pid('rssrv'), 'SIGHUP');
}

async function paths(client: Machine): Promise<string[]> {
  const { interfaces }: ControlMethods['status']['result'] = await client.host.call('status', {});
  return interfaces.flatMap(({ reps }) => reps.map(({ localAddress, address, state }) => `${localAddress} ${address} ${state}`));
}

/** Waits until exactly these paths are up. */
async function upAre(client: Machine, wanted: string): Promise<void> {
  const up = async (): Promise<string> => (await paths(client)).filter((path) => path.endsWith(' up')).join(', ');
  await waitFor(async () => (await up()) === wanted, FOLLOW_MS, `The paths that are up are ${wanted}`);
}

/**
 * Waits until I/O has moved bytes through a card of the client in both directions. This wait may be long: a path that stayed up during the
 * fault first delivers the late packets.
 */
async function carries(client: Machine, device: string, io: SteadyIo): Promise<void> {
  const before = await client.counters(device);
  const isUsed = async (): Promise<boolean> => {
    await io.progress(1);
    const { sentBytes, receivedBytes } = await client.counters(device);
    return sentBytes - before.sentBytes > USED_BYTES && receivedBytes - before.receivedBytes > USED_BYTES;
  };
  await waitFor(isUsed, FOLLOW_MS, `I/O goes through ${device} both ways`);
}

it('paths follow what the file of a running server gains and loses, and a card that loses its cable, its link or its address', async () => {
  const { server, client, network } = scene;
  const io = await startWithTwo(scene);
  const pid = client.host.pid('rsiod');
  // An interface that is added becomes a path, and the path of a removed interface is retired.
  await reload(server, network);
  await client.host.pathsUp(3, FOLLOW_MS);
  await carries(client, 'eth2', io);
  await reload(server, named(network, 1, 2));
  await client.host.pathsUp(2, FOLLOW_MS);
  await io.progress();
  await upAre(client, '192.168.46.20 192.168.46.10 up, 192.168.47.20 192.168.47.10 up');
  // A card of the client gets its path again when its cable, link or address is back.
  await client.cable('eth1', 'out');
  await client.host.pathsUp(1, FOLLOW_MS);
  await io.progress();
  await client.cable('eth1', 'in');
  await client.host.pathsUp(2, FOLLOW_MS);
  await carries(client, 'eth1', io);
  await client.ip('link', 'set', 'eth1', 'down');
  await client.host.pathsUp(1, FOLLOW_MS);
  await io.progress();
  await client.ip('link', 'set', 'eth1', 'up');
  await client.host.pathsUp(2, FOLLOW_MS);
  await carries(client, 'eth1', io);
  await client.ip('address', 'del', '192.168.46.20/24', 'dev', 'eth1');
  await client.host.pathsUp(1, FOLLOW_MS);
  await io.progress();
  await client.ip('address', 'add', '192.168.46.20/24', 'broadcast', '+', 'dev', 'eth1');
  await client.host.pathsUp(2, FOLLOW_MS);
  await carries(client, 'eth1', io);
  await io.end();
  expect(client.host.pid('rsiod')).toBe(pid);
  expect(server.host.log('rssrv').match(/began a session/g)).toHaveLength(1);
});

it('daemons start with the addresses that exist, the server reports the missing one, and both use theirs once they exist', async () => {
  const { server, client, network } = scene;
  await server.ip('address', 'del', '192.168.46.10/24', 'dev', 'eth1');
  await client.ip('address', 'del', '192.168.47.20/24', 'dev', 'eth2');
  await serve(server, network);
  const { stderr } = await server.host.start('rssrv');
  expect(stderr).toMatch(
    /Warning: Cannot listen on 192\.168\.46\.10 port \d+ \(interface if2\): .* serves on its other interfaces \[E_ADDRESS_MISSING\]/,
  );
  client.host.writeConfig('rsiod', clientConfig(network));
  await client.host.start('rsiod');
  await client.host.pathsUp(1, FOLLOW_MS);
  await server.ip('address', 'add', '192.168.46.10/24', 'broadcast', '+', 'dev', 'eth1');
  await client.host.pathsUp(2, FOLLOW_MS);
  await server.host.logged('rssrv', /Interface if2: its address is there now/);
  await client.ip('address', 'add', '192.168.47.20/24', 'broadcast', '+', 'dev', 'eth2');
  await client.host.pathsUp(3, FOLLOW_MS);
});
