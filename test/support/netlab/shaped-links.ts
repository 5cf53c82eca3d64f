// A client and a server with up to 8 links between them, each shaped to its rate, for link faults and measurements. The caller configures
// and starts daemons.

import type { Netlab } from './netlab.ts';
import { type Link, shapeBoth } from './link-faults.ts';
import { type TwoMachines, twoMachines } from './two-machines.ts';

export const GIGABIT = 1e9;

export interface ShapedLinks extends TwoMachines {
  readonly links: readonly Link[];
}

/**
 * Congestion control of both machines: the default of Linux, even if this machine has another setting, so that figures of different
 * machines can be compared.
 */
const CONGESTION = 'cubic';

/** Makes a link for each rate, in bits per second. */
export async function shapedLinks(netlab: Netlab, rates: readonly number[], congestion = CONGESTION): Promise<ShapedLinks> {
  const machines = await twoMachines(netlab, rates.length);
  const { client, server, network } = machines;
  const links = rates.map((bitsPerSecond, index) => ({
    client,
    server,
    device: `eth${index}`,
    clientAddress: network.clientAddresses()[index] ?? '',
    serverAddress: network.serverAddresses[index] ?? '',
    port: network.port,
    bitsPerSecond,
    congestion,
  }));
  for (const link of links) {
    await shapeBoth(link, link.bitsPerSecond);
    await client.setCongestion(link.device, link.clientAddress, congestion);
    await server.setCongestion(link.device, link.serverAddress, congestion);
  }
  return { ...machines, links };
}
