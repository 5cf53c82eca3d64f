// Loopback addresses and ports of one test, so that parallel runs do not collide. A listening socket on one address of a subnet reserves
// the subnet. When the process ends for any reason, the kernel closes the socket, and the subnet is free again.

import { randomInt } from 'node:crypto';
import net from 'node:net';
import { errnoName } from '@rsio/base/lib/errors';

/** The subnet 127.A.B.0/24. The test may use hosts 1 to 250; the listening socket that reserves the subnet is at host 254. */
export interface LoopbackSubnet {
  address(host: number): string;
  release(): Promise<void>;
}

const RESERVATION_HOST = 254;
const RESERVATION_PORT = 4999;
const ATTEMPTS_MAX = 100;

/** Reserves `count` subnets of 127/8 for this test. */
export async function uniqueLoopbackSubnets(count: number): Promise<LoopbackSubnet[]> {
  const subnets: LoopbackSubnet[] = [];
  for (let attempt = 0; subnets.length < count; attempt++) {
    if (attempt === ATTEMPTS_MAX) throw new Error(`No free loopback subnet in ${ATTEMPTS_MAX} attempts`);
    const prefix = `127.${randomInt(60, 250)}.${randomInt(0, 256)}`;
    const reservation = await listen(`${prefix}.${RESERVATION_HOST}`, RESERVATION_PORT);
    if (reservation === null) continue;
    reservation.unref();
    subnets.push({ address: (host) => `${prefix}.${host}`, release: () => close(reservation) });
  }
  return subnets;
}

/** Returns a TCP port of `address` on which no program listens. */
export async function freePort(address: string): Promise<number> {
  const server = await listen(address, 0);
  const bound = server?.address();
  if (server === null || bound === null || typeof bound !== 'object') throw new Error(`No free port on ${address}`);
  await close(server);
  return bound.port;
}

function listen(address: string, port: number): Promise<net.Server | null> {
  const server = net.createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (errnoName(error) === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen({ host: address, port }, () => resolve(server));
  });
}

function close(server: net.Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
