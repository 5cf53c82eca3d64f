// Probe connections of a raw client to a real rssrv while a client of the same node is attached and does I/O: the probe measures, and does
// not affect the client. test/conformance/server/probes.ts tests which requests a probe may send. See docs/PROTOCOL.md, Probe connections.

import { readFileSync } from 'node:fs';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { PROBE_SLOTS } from '@rsio/protocol/explorer/limits';
import { SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { PROBES_PER_NODE_MAX, PROBE_CONNECTIONS_MAX } from '@rsio/rssrv/session/limits';
import { FEATURE } from '@rsio/protocol/wire/features';
import { OP } from '@rsio/protocol/wire/frames';
import { Farewell, Ping } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { beforeEach, describe, expect, it } from 'vitest';
import { keyOf, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { RawClient, type RawIdentity } from '../support/peers/raw-peer.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const SEGMENT_SECTORS = SEGMENT_BYTES / SECTOR_BYTES;
const BURST_MS = 200;
const MIB = 1024 * 1024;

const hosts = useHosts();
let server: Host;
let network: TestNetwork;

beforeEach(async () => {
  server = hosts.host();
  network = await hosts.network(1);
  const clients = Object.fromEntries(['big-2', 'venus', 'mars'].map((node) => [node, keyOf(node)]));
  await startServer(server, network, { clients, volumes: { oracle: { type: 'memory', size: '4m' } } });
});

/** Identity of another machine with the name and key of the node. */
function identity(features: readonly string[] = [FEATURE.PROBE], node = 'big-2'): RawIdentity {
  return { node, nodekey: keyOf(node), namespaceid: 200, hello: { features, machine: 'a-tool', instance: 0 } };
}

function at(): { address: string; port: number } {
  return { address: network.serverAddresses[0] ?? '', port: network.port };
}

function probe(node?: string): Promise<RawClient> {
  return RawClient.login(at(), identity([FEATURE.PROBE], node));
}

/** Keeps a request in flight in each slot for a while. Returns the rate in bytes per second. */
async function burst(client: RawClient, op: typeof OP.READ | typeof OP.WRITE): Promise<number> {
  const body = op === OP.WRITE ? Buffer.alloc(SEGMENT_BYTES, 0x5a) : Buffer.alloc(0);
  const startMs = performance.now();
  const chain = async (slot: number): Promise<number> => {
    let bytes = 0;
    while (performance.now() - startMs < BURST_MS) {
      const answer = await client.call({ op, slot, count: SEGMENT_SECTORS, body });
      if (answer.handle !== STATUS.OK) throw new Error(`Status ${answer.handle}`);
      if (op === OP.READ && !answer.body.equals(Buffer.alloc(SEGMENT_BYTES))) throw new Error('A READ of a probe holds something');
      bytes += SEGMENT_BYTES;
    }
    return bytes;
  };
  const sums = await Promise.all(Array.from({ length: PROBE_SLOTS }, (_, slot) => chain(slot)));
  return (sums.reduce((sum, bytes) => sum + bytes, 0) / (performance.now() - startMs)) * 1000;
}

/** Returns the part of the server's state that a probe must not change. */
function picture(): Record<string, unknown> {
  const sessions = server.log('rssrv').match(/^Node .*began a session.*$|^(?:started|ended) path.*$/gm);
  return { sessions, holders: readFileSync(server.rssrvPaths.holdersFile, 'utf8'), processes: new Set(server.processes()) };
}

it('a probe beside an attached client of the same node affects neither its session, worker, holds nor I/O', async () => {
  const client = hosts.host();
  await startClient(client, network);
  await client.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => nbd.close());
  const before = picture();
  let isMeasuring = true;
  const longest = (async (): Promise<number> => {
    let longestMs = 0;
    for (let times = 0; isMeasuring; times++) {
      const startMs = performance.now();
      await nbd.verify((times % 64) * 4096, 4096);
      longestMs = Math.max(longestMs, performance.now() - startMs);
    }
    return longestMs;
  })();
  const one = await probe();
  expect(one.welcome).toMatchObject({ session: Buffer.alloc(16), path: 0, slots: PROBE_SLOTS, interfaces: [{ name: 'if1' }] });
  const ping = Ping.encode({ number: 1, clockMs: 7, heard: 0, oldestMs: 0, generation: 0 });
  one.request({ op: OP.PING, body: ping });
  const pong = await one.next(({ op }) => op === OP.PONG);
  expect(Ping.decode(pong.body, 0, pong.body.length)).toMatchObject({ number: 1, clockMs: 7, heard: 1 });
  const [readRate, writeRate] = [await burst(one, OP.READ), await burst(one, OP.WRITE)];
  isMeasuring = false;
  const longestMs = await longest;
  one.request({ op: OP.BYE, body: Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Measured' }) });
  await one.ended();
  await waitFor(
    () => /^Probe of node big-2 from \S+ on if1 ended after .*: The client said: Measured$/m.test(server.log('rssrv')),
    5_000,
    'It is logged',
  );
  expect(picture()).toEqual(before);
  await nbd.verify(0, 4096);
  report('probe beside I/O', { 'MiB/s read': readRate / MIB, 'MiB/s written': writeRate / MIB, 'longest I/O, ms': longestMs });
});

describe('refused', () => {
  it('more probes than permitted at one time; once one has ended there is room again', async () => {
    const nodes = Array.from({ length: PROBE_CONNECTIONS_MAX }, (_, index) => (index < PROBES_PER_NODE_MAX ? 'big-2' : 'venus'));
    const probes = await Promise.all(nodes.map((node) => probe(node)));
    await expect(probe('mars')).rejects.toMatchObject({
      code: 'E_LIMIT',
      message: expect.stringContaining(': 4 probes are already running'),
    });
    probes[0]?.close();
    await waitFor(() => probe('mars').then(() => true), 5_000, 'There is room again');
  });

  it('more probes than one node may have at one time; other nodes are not affected', async () => {
    const [first] = await Promise.all(Array.from({ length: PROBES_PER_NODE_MAX }, () => probe('big-2')));
    await expect(probe('big-2')).rejects.toMatchObject({
      code: 'E_LIMIT',
      message: expect.stringContaining(': 2 probes of node big-2 are'),
    });
    await probe('venus');
    first?.close();
    await waitFor(() => probe('big-2').then(() => true), 5_000, 'There is room again');
  });
});

it('the server announces its end to a probe', async () => {
  const client = await probe();
  await Promise.all([server.stop('rssrv'), expect(client.farewell()).resolves.toMatchObject({ code: 'E_SHUTTING_DOWN' })]);
});
