// rsiod with the maximum of servers and interfaces: 256 scripted servers with 8 interfaces each, which is 2,048 paths. Outputs must show
// positions above 99 and 999 correctly, and the heartbeats must not overload the client.

import { SERVERS_PER_CLIENT_MAX } from '@rsio/common/config/schema/limits';
import { INTERFACES_MAX } from '@rsio/base/lib/limits';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { RawServer } from '../support/peers/raw-server.ts';
import { report } from '../support/programs/report.ts';

const SERVERS = SERVERS_PER_CLIENT_MAX;
const NODEKEY = '0xthe-key-of-everybody';
const UP_MS = 60_000;
const TEST_MS = 300_000;

const hosts = useHosts();

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

it(
  '256 servers over 8 interfaces: every path is up, and every position is shown',
  async () => {
    const { subnets, port } = await hosts.network(INTERFACES_MAX);
    // Several servers may share an address, because they differ in their ports. No server uses host 254, which reserves the subnet for this
    // test.
    const end = (server: number, wire: number): { address: string; port: number } => ({
      address: subnets[wire]?.address(1 + (server % 200)) ?? '',
      port: port + Math.floor(server / 200),
    });
    const name = (server: number): string => `srv-${server}`;
    for (const order of range(SERVERS)) {
      const [first, ...further] = range(INTERFACES_MAX).map((wire) => end(order, wire).address);
      const server = await RawServer.listen({
        address: first ?? '',
        furtherAddresses: further,
        port: end(order, 0).port,
        namespaceid: 200,
        nodekey: NODEKEY,
        server: name(order),
        serverid: SERVERS - 1 - order,
        meddle: () => false,
      });
      hosts.onClean(() => server.close());
    }
    const client = hosts.host();
    client.writeConfig(
      'rsiod',
      [
        ...range(INTERFACES_MAX).map((wire) => `[interface if${wire}]\naddress = ${subnets[wire]?.address(253)}\n`),
        `[namespace osl]\nnamespaceid = 200\nnodename = big-2\nnodekey = ${NODEKEY}\ndevice = nbd-socket\n`,
        ...range(SERVERS).flatMap((order) =>
          range(INTERFACES_MAX).map(
            (wire) => `[server ${name(order)}-${wire}]\naddress = ${end(order, wire).address}\nport = ${end(order, wire).port}\n`,
          ),
        ),
      ].join('\n'),
    );
    const startMs = performance.now();
    await client.start('rsiod');
    await client.pathsUp(SERVERS * INTERFACES_MAX, UP_MS);
    report('2,048 paths', { 'ms until all were up': performance.now() - startMs });
    const volume = '      0  tvol             disk         2048 blocks of  512 bytes\n';
    expect(await client.rsconfigWell('-q')).toBe(
      `000 osl\n  clt: big-2\n${range(SERVERS)
        .map((order) => `  srv: ${String(order).padStart(3, '0')} ${name(order)}\n${volume}`)
        .join('')}`,
    );
    expect(await client.rsconfigWell('-m', 'status')).toBe(
      range(INTERFACES_MAX)
        .map((wire) => {
          const reps = range(SERVERS).map((order) => {
            const { address, port: at } = end(order, wire);
            const position = String(order * INTERFACES_MAX + wire).padStart(3, '0');
            return `    rep: ${position} IP(TCP) ${address}/${at} connected tx: ok rx: ok\n`;
          });
          return `${wire} if${wire} IP(TCP) ${subnets[wire]?.address(253)}/5000\n${reps.join('')}`;
        })
        .join(''),
    );
  },
  TEST_MS,
);
