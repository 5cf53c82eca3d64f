// Finds a pair of networks in 127.0.0.0/8 that no other demo uses: it tries 127.45 and 127.46 first, then the next pairs, and then all
// pairs again at another port. Invariant: the demo that listens at the address of the cable owns the pair, so that two demos never get the
// same pair.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { Cable } from './cable.ts';

const PORTS = [5000, 15_000];
const FIRST_NETWORK = 45;
const PAIRS = 10;

export interface DemoAddresses {
  readonly port: number;
  /** Addresses of if0 and if1 of the client. */
  readonly client: readonly [string, string];
  /** Addresses of if1 and if2 of the server. */
  readonly server: readonly [string, string];
  /** Address of the near end of the cable. The client connects to this address to reach if2 of the server. */
  readonly cable: string;
}

export interface Claim {
  readonly addresses: DemoAddresses;
  readonly cable: Cable;
}

/** Claims the first free pair and plugs the cable. Throws E_ADDRESS_IN_USE with the addresses that it tried. */
export async function claimAddresses(): Promise<Claim> {
  for (const port of PORTS) {
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const addresses = addressesOf(FIRST_NETWORK + 2 * pair, port);
      const cable = await claim(addresses);
      if (cable !== null) return { addresses, cable };
    }
  }
  const last = FIRST_NETWORK + 2 * PAIRS - 1;
  throw new RsError(
    'E_ADDRESS_IN_USE',
    `Ports ${PORTS.join(' and ')} of 127.${FIRST_NETWORK}.0.10 to 127.${last}.0.10 are all in use: end other demos, or what listens there (ss -ltn)`,
  );
}

function addressesOf(network: number, port: number): DemoAddresses {
  const [first, second] = [`127.${network}.0`, `127.${network + 1}.0`];
  return { port, client: [`${first}.20`, `${second}.20`], server: [`${first}.10`, `${second}.10`], cable: `${second}.11` };
}

async function claim({ port, server, cable: near }: DemoAddresses): Promise<Cable | null> {
  const cable = await unlessInUse(Cable.plug({ address: near, port }, { address: server[1], port }));
  if (cable === null) return null;
  for (const address of server) {
    if ((await unlessInUse(tryToListen(address, port))) !== null) continue;
    await cable.unplug();
    return null;
  }
  return cable;
}

async function tryToListen(host: string, port: number): Promise<true> {
  const server = createServer().listen({ host, port });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
  return true;
}

async function unlessInUse<T>(attempt: Promise<T>): Promise<T | null> {
  try {
    return await attempt;
  } catch (thrown) {
    if (errnoName(thrown) === 'EADDRINUSE') return null;
    throw thrown;
  }
}
