// Resets the paths of a trunk while they carry requests. The cutter uses `ss -K`, which destroys the kernel's sockets; if the machine does
// not permit this, the paths lead through relays. With relays, the client must look for the server at the addresses of the relays.

import net from 'node:net';
import { errnoName } from '@rsio/base/lib/errors';
import { chaosProxies } from './chaos-proxy.ts';
import type { Hosts, TestNetwork } from '../hosts/hosts.ts';
import { run } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';

const PROBE_HOST = 40;
const PROBE_MS = 250;

export interface PathCutter {
  /** The method, as text. */
  readonly means: string;
  /** The server addresses that the test must write into the client's file. */
  readonly serverAddresses: readonly string[];
  /** Resets the connections to server address `index`. Returns the number of these connections. */
  cut(index: number): Promise<number>;
}

export async function pathCutter(hosts: Hosts, network: TestNetwork): Promise<PathCutter> {
  if (await canDestroySockets(network)) {
    const cut = (index: number): Promise<number> => destroySockets(network.serverAddresses[index] ?? '', network.port);
    return { means: 'ss -K', serverAddresses: network.serverAddresses, cut };
  }
  return relayCutter(hosts, network);
}

export async function relayCutter(hosts: Hosts, network: TestNetwork): Promise<PathCutter> {
  const { proxies, serverAddresses } = await chaosProxies(hosts, network);
  return { means: 'relays', serverAddresses, cut: async (index) => proxies[index]?.cut() ?? 0 };
}

/**
 * Kills all matching sockets with `ss -K`. `ss` prints the sockets that it killed, prints "Invalid argument" for sockets that it skipped,
 * and always exits with 0.
 */
async function destroySockets(address: string, port: number): Promise<number> {
  const { stdout } = await run('ss', ['-K', '-H', '-n', '-t', 'state', 'established', 'dst', address, 'dport', '=', String(port)]);
  return stdout.split('\n').filter((line) => line.trim() !== '').length;
}

async function canDestroySockets(network: TestNetwork): Promise<boolean> {
  const address = network.subnets[0]?.address(PROBE_HOST) ?? '';
  const server = net.createServer((socket) => socket.on('error', () => undefined).resume());
  try {
    await new Promise<void>((resolve) => server.listen({ host: address, port: network.port }, resolve));
    const client = net.connect({ host: address, port: network.port });
    let isCut = false;
    client.on('error', () => {
      isCut = true;
    });
    await new Promise((resolve) => client.once('connect', resolve));
    await destroySockets(address, network.port);
    await waitFor(() => isCut, PROBE_MS, 'ss -K cuts a connection').catch(() => undefined);
    client.destroy();
    return isCut;
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return false;
    throw error;
  } finally {
    server.close();
  }
}
