// Volumes with faults, with real processes: programs that use the volume get each fault, and a machine crash loses unsynced writes and
// nothing else. fault-rules.test.ts tests single faults. The tests in which a client gets a fault share this client, and one server that
// has a volume for each fault.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SLOW_STORAGE_LOOK_MS, SLOW_STORAGE_MS } from '@rsio/rsiod/volumes/limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { keyOf, serverConfig, startClient } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import type { ServerFaults } from '../support/faulty-server/volume-faults.ts';
import { machineCrash } from '../support/faults/machine-crash.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { RawClient } from '../support/peers/raw-peer.ts';
import { report } from '../support/programs/report.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/** Seeds of four crashes. The crashes keep most, all, a part and none of the unsynced data, in this order. */
const CRASHES = [2, 4, 6, 7];
const ALL_LOST = 7;
const SECTORS = 64;
const EIO = 5;
const ENOSPC = 28;

const hosts = useHosts();
let server: Host;
let network: TestNetwork;

beforeEach(async () => {
  server = hosts.host();
  network = await hosts.network(2);
});

const image = (): string => server.file('storage/oracle.img');

async function serve(keys: Readonly<Record<string, string>> = {}): Promise<void> {
  server.writeConfig('rssrv', serverConfig(network, { volumes: { oracle: { path: image(), size: '64m', ...keys } } }));
  await server.startFaulty({ oracle: { losesUnsynced: true } });
}

async function rawClient(instance: number, node = 'big-2'): Promise<RawClient> {
  const to = { address: network.serverAddresses[0] ?? '', port: network.port };
  const client = await RawClient.begin(to, { node, nodekey: keyOf(node), namespaceid: 200, hello: { instance } });
  hosts.onClean(() => client.close());
  return client;
}

describe('a client of volumes with faults:', () => {
  const shared = useHosts('file');
  let faulty: Host;
  let client: Host;

  /** `broken`: while this file exists, reads of volume `broken` fail. `hung`: while this file exists, I/O of volume `hung` hangs. */
  const broken = (): string => faulty.file('broken');
  const pause = (): string => faulty.file('pause');

  beforeAll(async () => {
    faulty = shared.host();
    const reach = await shared.network(2);
    const faults: ServerFaults = {
      oracle: { losesUnsynced: true, delays: [{ operation: 'flush', minMs: 1, maxMs: 20 }] },
      broken: {
        errors: [
          { operation: 'write', sectors: [128, 255], errno: 'ENOSPC' },
          { operation: 'read', errno: 'EIO', whileFile: broken() },
        ],
      },
      hung: { pauseFile: pause() },
    };
    const volumes = Object.fromEntries(Object.keys(faults).map((name) => [name, { path: faulty.file(`${name}.img`), size: '64m' }]));
    faulty.writeConfig('rssrv', serverConfig(reach, { volumes }));
    await faulty.startFaulty(faults);
    client = shared.host();
    await startClient(client, reach);
    await client.rsconfigWell('-a');
  });

  async function opened(name: string, deadlineMs?: number): Promise<NbdIo> {
    const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`, deadlineMs);
    hosts.onClean(() => nbd.close());
    return nbd;
  }

  it('a storage error occurs while its file exists, and in its range', async () => {
    const nbd = await opened('broken');
    await nbd.verify(0, 65_536);
    await expect(nbd.write(65_536, Buffer.alloc(4096))).rejects.toThrow(`Errno ${ENOSPC}`);
    writeFileSync(broken(), '');
    await expect(nbd.read(0, 4096)).rejects.toThrow(`Errno ${EIO}`);
    rmSync(broken());
    await nbd.verify(0, 65_536);
    await faulty.logged('rssrv', /Volume broken: write of .*broken\.img failed \(ENOSPC\)/);
  });

  it('a volume that hangs keeps its requests and completes them later', async () => {
    const saidMs = SLOW_STORAGE_MS + 2 * SLOW_STORAGE_LOOK_MS;
    const nbd = await opened('hung', 4 * saidMs);
    await nbd.verify(0, 65_536);
    writeFileSync(pause(), '');
    let isAnswered = false;
    const written = nbd.write(0, Buffer.alloc(4096, 7)).then(() => {
      isAnswered = true;
    });
    // Waits until the request has been sent. While this request hangs, later requests that need no storage must be answered.
    await waitFor(async () => (await volumeStats(client, 'osl:hung@0')).outstanding > 0, 5_000, 'The request is under way');
    await client.rsconfigWell('-q');
    const isShown = async (): Promise<boolean> => (await client.call('status', {})).waiting.length > 0;
    await waitFor(isShown, 2 * saidMs, 'It is shown that the volume waits for its storage');
    const storage = /^server big-9's storage: its oldest request of ours has been executing for \d+ s$/;
    const waiting = { volume: 'osl:hung@0', waitsFor: expect.stringMatching(storage), untilMs: null, requests: 1 };
    expect((await client.call('status', {})).waiting).toEqual([{ ...waiting, sinceMs: expect.any(Number) }]);
    expect(await client.rsconfigWell('-m', 'status', '-v')).toMatch(/osl:hung@0 waits for server big-9's storage: its oldest/);
    expect(isAnswered).toBe(false);
    rmSync(pause());
    await written;
    const ofVolume = async (): Promise<string[]> => {
      const { events } = await client.call('events', { count: 100 });
      return events.filter(({ object }) => object === 'volume osl:hung@0').map(({ from, to }) => `${from} ${to}`);
    };
    await waitFor(async () => (await ofVolume()).includes('waiting open'), saidMs, 'It is said that I/O goes on');
    expect(await ofVolume()).toEqual(['- open', 'open waiting', 'waiting open']);
    expect((await client.call('status', {})).waiting).toEqual([]);
    const said = /Volume osl:hung@0: No I\/O was answered for \d+ s: it waits for server big-9's storage: its oldest request/g;
    await client.logged('rsiod', /No I\/O was answered for/);
    expect(client.log('rsiod').match(said)).toHaveLength(1);
    expect((await nbd.read(0, 4096)).equals(Buffer.alloc(4096, 7))).toBe(true);
  });
});

it('a machine crash keeps flushed writes and what the seed leaves of the others, and starts a new incarnation', async () => {
  await serve();
  const lives = new Set<string>();
  const survivals: number[] = [];
  let durable = 0;
  for (const crash of CRASHES) {
    const client = await rawClient(crash);
    const { handle, life } = await client.open('oracle');
    lives.add(life);
    const value = 10 * crash;
    const write = async (content: number, lba: number, count: number, flags = 0): Promise<void> => {
      const body = Buffer.alloc(count * SECTOR_BYTES, content);
      expect((await client.call({ op: OP.WRITE, flags, handle, lba, count, body })).handle).toBe(STATUS.OK);
    };
    const read = await client.call({ op: OP.READ, handle, lba: 0, count: SECTORS });
    expect(new Set(read.body.subarray(0, SECTOR_BYTES))).toEqual(new Set([durable]));
    await write(value, 0, SECTORS);
    expect((await client.call({ op: OP.FLUSH, handle })).handle).toBe(STATUS.OK);
    await write(value + 1, 1, SECTORS - 2);
    await write(value + 2, 2, SECTORS - 3);
    await write(value + 3, SECTORS - 1, 1, FLAG.FUA);
    const seen = await client.call({ op: OP.READ, handle, lba: 0, count: SECTORS });
    expect([0, 1, 2, SECTORS - 1].map((sector) => seen.body[sector * SECTOR_BYTES])).toEqual([value, value + 1, value + 2, value + 3]);
    const { survived } = await machineCrash(server, crash);
    survivals.push(survived);
    const content = readFileSync(image());
    const found = Array.from({ length: SECTORS }, (_, sector) => [
      ...new Set(content.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES)),
    ]);
    const allowed = (sector: number): number[] => {
      if (sector === 0) return [value];
      if (sector === SECTORS - 1) return [value + 3];
      return sector === 1 ? [value, value + 1] : [value, value + 1, value + 2];
    };
    for (const [sector, values] of found.entries()) {
      expect(values).toHaveLength(1);
      expect(allowed(sector)).toContain(values[0]);
    }
    durable = value;
    await server.startFaulty();
  }
  expect(lives.size).toBe(CRASHES.length);
  expect(new Set(survivals).size).toBeGreaterThan(2);
  report('machine crashes', { survivals: survivals.join(' ') });
});

it('a take-over from a killed process syncs its unsynced writes: a later machine crash loses none of them', async () => {
  // The client that has lost the volume must still replay its own writes.
  await serve({ 'take-over-force': 'yes' });
  const loser = await rawClient(1);
  const { handle } = await loser.open('oracle');
  const body = Buffer.alloc(SECTORS * SECTOR_BYTES, 5);
  expect((await loser.call({ op: OP.WRITE, handle, lba: 0, count: SECTORS, body })).handle).toBe(STATUS.OK);
  expect(readFileSync(image())[0]).toBe(0);
  process.kill(server.worker('big-2'), 'SIGKILL');
  await loser.ended();
  const taker = await rawClient(1, 'venus');
  const request = OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false, take: TAKE.FORCE });
  expect((await taker.call({ op: OP.OPEN, body: request })).handle).toBe(STATUS.OK);
  expect((await machineCrash(server, ALL_LOST)).survived).toBe(0);
  expect(readFileSync(image()).subarray(0, body.length).equals(body)).toBe(true);
});
