// Three servers and a client for mirrors: the first two servers can have replicas, and the third one only votes. Either each server has its
// own links to the client, or all machines have one card each in one segment. mirror-site.ts in the folder scenes configures and starts the
// daemons.

import type { MirrorPlaces } from '../scenes/mirror-site.ts';
import { type Link, PREFIX_LENGTH, shapeBoth } from './link-faults.ts';
import type { Machine, Netlab } from './netlab.ts';
import { subnetsOf } from './two-machines.ts';

/** Congestion control of all machines: the default of Linux, even if this machine has another setting. */
const CONGESTION = 'cubic';
const SERVER_HOST = 10;
export const REPLICAS = 2;

export interface MirrorMachines extends MirrorPlaces {
  readonly machines: readonly Machine[];
  readonly clientMachine: Machine;
  /** For each server: its links to the client. No links if all servers share one card of the client. */
  readonly links: readonly (readonly Link[])[];
}

/**
 * Makes `linksEach` links to each server with a replica, and one to the server that only votes. `bitsPerSecond`: rate of each link; null:
 * the links are not shaped.
 */
export async function linkedMirrorMachines(netlab: Netlab, linksEach: number, bitsPerSecond: number | null): Promise<MirrorMachines> {
  const { machines, client } = await fourMachines(netlab);
  const network = subnetsOf(REPLICAS * linksEach + 1);
  const links: Link[][] = [[], [], []];
  for (const index of network.subnets.keys()) {
    const at = Math.min(Math.floor(index / linksEach), REPLICAS);
    const link: Link = {
      client,
      server: machines[at]!,
      device: `eth${index}`,
      clientAddress: network.clientAddresses()[index]!,
      serverAddress: network.serverAddresses[index]!,
      port: network.port,
      bitsPerSecond: bitsPerSecond ?? 0,
      congestion: CONGESTION,
    };
    const segment = await netlab.segment();
    await link.server.plug(segment, link.device, `${link.serverAddress}/${PREFIX_LENGTH}`);
    await client.plug(segment, link.device, `${link.clientAddress}/${PREFIX_LENGTH}`);
    await client.setCongestion(link.device, link.clientAddress, CONGESTION);
    await link.server.setCongestion(link.device, link.serverAddress, CONGESTION);
    if (bitsPerSecond !== null) await shapeBoth(link, bitsPerSecond);
    links[at]!.push(link);
  }
  return {
    machines,
    clientMachine: client,
    links,
    servers: machines.map(({ host }) => host),
    client: client.host,
    port: network.port,
    addresses: links.map((own) => own.map(({ serverAddress }) => serverAddress)),
    clientAddresses: network.clientAddresses(),
  };
}

/** Makes one segment with one card for each machine, each shaped to this rate, so that all traffic of the client shares one card. */
export async function sharedMirrorMachines(netlab: Netlab, bitsPerSecond: number): Promise<MirrorMachines> {
  const { machines, client } = await fourMachines(netlab);
  const network = subnetsOf(1);
  const [subnet] = network.subnets;
  const segment = await netlab.segment();
  const device = 'eth0';
  const serverAddresses = machines.map((_, index) => subnet!.address(SERVER_HOST + index));
  const cards = [...machines.map((machine, index) => ({ machine, address: serverAddresses[index]! }))];
  cards.push({ machine: client, address: network.clientAddresses()[0]! });
  for (const { machine, address } of cards) {
    await machine.plug(segment, device, `${address}/${PREFIX_LENGTH}`);
    await machine.setCongestion(device, address, CONGESTION);
    await machine.shape(device, bitsPerSecond);
  }
  return {
    machines,
    clientMachine: client,
    links: [],
    servers: machines.map(({ host }) => host),
    client: client.host,
    port: network.port,
    addresses: serverAddresses.map((address) => [address]),
    clientAddresses: network.clientAddresses(),
  };
}

async function fourMachines(netlab: Netlab): Promise<{ machines: Machine[]; client: Machine }> {
  const machines: Machine[] = [];
  for (const label of ['one', 'two', 'votes']) machines.push(await netlab.machine(label));
  return { machines, client: await netlab.machine('client') };
}
