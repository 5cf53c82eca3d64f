// What lies behind a gate: a mirror that loses a server, and a shared pool that moves to another server, while a raw host writes and reads. The
// host sees neither an error nor an old block, and the record of the gate moves with the pool. Rules: D2, G33, G39, G40.

import { tmpdir } from 'node:os';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { expect, it } from 'vitest';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';
import { loopbackMirrorPlaces, MirrorSite } from '../support/scenes/mirror-site.ts';

const WAIT_MS = 60_000;
const [BLOCK, BLOCKS] = [4096, 32];
const MIB = 1024 * 1024;
const COMMAND_INTERRUPTED = 0x21;

const hosts = useHosts('file');

async function gateOf(client: Host) {
  const [found] = (await client.call('gates', {})).gates;
  return found ?? { nqn: '', listening: [], volumes: [] };
}

/** Opens a gate for the volume at the client, and logs a host in. */
async function hostAt(client: Host, volume: string): Promise<{ readonly admin: SocketHost; readonly io: SocketHost }> {
  const port = await freePort('127.0.0.1');
  await client.rsconfigWell('gate', 'add', 'g1', `127.0.0.1:${port}`, '--hosts', 'all', '--offers', volume, '--reload');
  await waitFor(async () => (await gateOf(client)).volumes.length === 1, WAIT_MS, 'The gate offers the volume');
  const { nqn } = await gateOf(client);
  return await login(port, nqn);
}

async function login(port: number, nqn: string): Promise<{ readonly admin: SocketHost; readonly io: SocketHost }> {
  const both = await waitFor(() => SocketHost.both(port, { nqn }).catch(() => null), WAIT_MS, 'The host logs in');
  hosts.onClean(() => {
    both.admin.close();
    both.io.close();
  });
  return both;
}

/** Writes one block after the other and reads each block back. Repeats interrupted commands, as a host does. */
class Writer {
  rounds = 0;
  private isOver = false;
  private readonly io: SocketHost;
  private readonly ended: Promise<void>;

  constructor(io: SocketHost) {
    this.io = io;
    this.ended = this.run();
    this.ended.catch(() => undefined);
  }

  /** Resolves when the host has written and read ten blocks more. */
  async goesOn(what: string): Promise<void> {
    const until = this.rounds + 10;
    await waitFor(() => this.rounds >= until || this.isOver, WAIT_MS, what);
    expect(this.isOver).toBe(false);
  }

  async end(): Promise<void> {
    this.isOver = true;
    await this.ended;
  }

  private async run(): Promise<void> {
    const last = Array.from({ length: BLOCKS }, () => 0);
    try {
      while (!this.isOver) {
        const at = (this.rounds * 7) % BLOCKS;
        const data = Buffer.alloc(BLOCK, (this.rounds % 250) + 1);
        const old = await this.io.readBlock(3, (at * BLOCK) / 512, BLOCK);
        expect(old[0]).toBe(last[at]);
        let status = await this.io.writeBlock(4, (at * BLOCK) / 512, data);
        while (status === COMMAND_INTERRUPTED) status = await this.io.writeBlock(4, (at * BLOCK) / 512, data);
        expect(status).toBe(0);
        last[at] = data[0]!;
        this.rounds++;
      }
    } finally {
      this.isOver = true;
    }
  }
}

it('a host goes on at a mirror that loses a server and gets it back; the mirror has no reservations', async () => {
  const defaults = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };
  const options = { poolParent: tmpdir(), defaults };
  const site = await MirrorSite.start(await loopbackMirrorPlaces(hosts), options, (action) => hosts.onClean(action));
  await site.addMirror('db', 8 * MIB);
  const { admin, io } = await hostAt(site.client, 'db');
  const identify = await admin.run({ opcode: 6, cid: 9, nsid: 1, transferBytes: BLOCK });
  expect(identify.kind === 'data' && identify.data[31]).toBe(0);
  const writer = new Writer(io);
  await writer.goesOn('The host writes');
  site.kill(0);
  await writer.goesOn('The host goes on at one server');
  await site.startAgain(0);
  await site.untilInSync();
  site.kill(1);
  await writer.goesOn('The host goes on at the server that has come back');
  await site.startAgain(1);
  await writer.end();
});

it('a host goes on when the shared pool of its volume moves and is taken by force, and its reservation goes along', async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, ['big-9', 'big-8'], ['fast']);
  const owner = await farm.served('fast');
  await owner.rsadmWell('volume', 'create', 'db', '--size', '8m', '--pool', 'fast');
  const client = farm.holder;
  await waitFor(async () => (await client.rsconfig('-q')).stdout.includes('db'), WAIT_MS, 'The client sees the volume');
  await client.rsconfigWell('-a', 'db');
  const { io } = await hostAt(client, 'db');
  const key = Buffer.alloc(16);
  key.writeBigUInt64LE(7n, 8);
  const register = { opcode: 0x0d, nsid: 1, dwords: [0], data: key };
  expect(await io.run({ ...register, cid: 20 })).toMatchObject({ status: 0 });
  const writer = new Writer(io);
  await writer.goesOn('The host writes');
  const next = farm.servers.find((server) => server !== owner)!;
  await farm.movePool(next, 'fast', farm.nameOf(next));
  await writer.goesOn('The host goes on after a move');
  farm.signal(next, 'SIGKILL');
  await writer.goesOn('The host goes on after a take-over by force');
  await writer.end();
  // The record, from which the next process reads the reservations, lies in the pool.
  await client.kill('rsiod');
  await client.start('rsiod');
  const isBack = async (): Promise<boolean> => {
    const { volumes, listening } = await gateOf(client);
    return volumes.length === 1 && listening.length === 1;
  };
  await waitFor(isBack, WAIT_MS, 'The gate offers the volume again');
  const { nqn, listening } = await gateOf(client);
  const again = await login(Number(listening[0]!.split(':')[1]), nqn);
  const report = await again.io.run({ opcode: 0x0e, cid: 21, nsid: 1, dwords: [31, 1], transferBytes: 128 });
  if (report.kind !== 'data') throw new Error(`Report: ${JSON.stringify(report)}`);
  expect([report.data.readUInt16LE(5), report.data.readBigUInt64LE(64 + 8)]).toEqual([1, 7n]);
});
