// Tests that each fault of the chaos proxy has exactly the effect that is described, because tests of the product rely on the faults. Times
// have only lower bounds, because a slow machine may take longer.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ChaosProxy } from './chaos-proxy.ts';
import { freePort, type LoopbackSubnet, uniqueLoopbackSubnets } from '../hosts/loopback.ts';
import { waitFor } from '../programs/wait-for.ts';

const DEADLINE_MS = 10_000;
const MIB = 1024 * 1024;
const SEED = 20_261_120;

/** An end of a connection that keeps the received bytes. */
class End {
  readonly socket: net.Socket;
  readonly received: Buffer[] = [];
  ended: 'no' | 'end' | 'reset' = 'no';

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.received.push(bytes));
    socket.on('end', () => (this.ended = 'end'));
    socket.on('error', () => (this.ended = 'reset'));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  async got(lengthBytes: number): Promise<Buffer> {
    await waitFor(
      () => this.received.reduce((sum, { length }) => sum + length, 0) >= lengthBytes,
      DEADLINE_MS,
      `${lengthBytes} bytes came`,
    );
    return this.bytes;
  }

  async endedAs(how: 'end' | 'reset'): Promise<void> {
    await waitFor(() => this.ended === how, DEADLINE_MS, `The connection ends with ${how}`);
  }
}

let subnet: LoopbackSubnet;
let server: net.Server;
let proxy: ChaosProxy;
let at: { host: string; port: number };
const accepted: End[] = [];
const clients: net.Socket[] = [];

beforeEach(async () => {
  [subnet] = (await uniqueLoopbackSubnets(1)) as [LoopbackSubnet];
  const port = await freePort(subnet.address(10));
  server = net.createServer((socket) => accepted.push(new End(socket)));
  server.listen({ host: subnet.address(10), port });
  await once(server, 'listening');
  const random = new SeededRandom(SEED);
  proxy = new ChaosProxy({ address: subnet.address(10), port }, () => random.unit());
  at = { host: subnet.address(30), port };
  await proxy.start({ address: at.host, port });
});

afterEach(async () => {
  for (const socket of clients.splice(0)) socket.destroy();
  await proxy.close();
  for (const { socket } of accepted.splice(0)) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await subnet.release();
});

async function client(): Promise<End> {
  const socket = net.connect({ ...at, localAddress: subnet.address(20) });
  clients.push(socket);
  const end = new End(socket);
  // If the proxy refuses the connection, the socket may be reset without any `connect` event.
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
  return end;
}

/** Both ends of a carried connection. */
async function pair(): Promise<{ near: End; far: End }> {
  const count = accepted.length;
  const near = await client();
  const far = await waitFor(() => accepted[count], DEADLINE_MS, 'The server is connected');
  near.socket.write('hello');
  await far.got(5);
  far.received.length = 0;
  return { near, far };
}

/** Expects that most of 32 MiB stay unsent over several checks, because that is more than the buffers of kernel and proxy hold. */
async function waits(sender: End): Promise<void> {
  let looks = 0;
  const isWaiting = (): boolean => {
    looks = sender.socket.writableLength > 12 * MIB ? looks + 1 : 0;
    return looks === 5;
  };
  await waitFor(isWaiting, DEADLINE_MS, 'The sender waits');
}

it("carries both directions, from the client's address, and ends when its ends do", async () => {
  const { near, far } = await pair();
  expect(far.socket.remoteAddress).toBe(subnet.address(20));
  const [there, back] = [randomBytes(3 * MIB), randomBytes(3 * MIB)];
  near.socket.write(there);
  far.socket.write(back);
  expect((await far.got(there.length)).equals(there)).toBe(true);
  expect((await near.got(back.length)).equals(back)).toBe(true);
  near.socket.end('bye');
  await far.endedAs('end');
  expect(far.bytes.subarray(-3).toString()).toBe('bye');
  await waitFor(() => proxy.stats.open === 0, DEADLINE_MS, 'Nothing is carried any more');
  expect(proxy.stats).toMatchObject({ connections: 1, toServer: { passed: 3 * MIB + 8, swallowed: 0, flipped: 0 } });
});

it('passes a reset on, and resets if the server does not listen', async () => {
  const { near, far } = await pair();
  far.socket.resetAndDestroy();
  await near.endedAs('reset');
  await new Promise((resolve) => server.close(resolve));
  const alone = await client();
  await alone.endedAs('reset');
});

it('cuts: both sides are reset, and new connections are carried, refused or swallowed', async () => {
  const [first, second] = [await pair(), await pair()];
  expect(proxy.cut()).toBe(2);
  for (const end of [first.near, first.far, second.near, second.far]) await end.endedAs('reset');
  expect(proxy.stats).toMatchObject({ cut: 2, open: 0 });
  proxy.set({ newConnections: 'refuse' });
  await (await client()).endedAs('reset');
  proxy.set({ newConnections: 'swallow' });
  const count = accepted.length;
  const swallowed = await client();
  swallowed.socket.write('anybody?');
  proxy.heal();
  const { near, far } = await pair();
  far.socket.write('here');
  await near.got(4);
  // Of these connections, only the last one reached the server; the others were never carried.
  expect([accepted.length - count, swallowed.received.length, swallowed.ended]).toEqual([1, 0, 'no']);
});

it.each(['toServer', 'toClient'] as const)('swallows %s only, for the rest of this connection, and heals for new ones', async (way) => {
  const { near, far } = await pair();
  const [speaker, listener] = way === 'toServer' ? [near, far] : [far, near];
  proxy.set({ [way]: { swallow: true } });
  speaker.socket.write('lost');
  await waitFor(() => proxy.stats[way].swallowed === 4, DEADLINE_MS, 'Four bytes are swallowed');
  listener.socket.write('heard');
  expect((await speaker.got(5)).toString()).toBe('heard');
  proxy.heal();
  speaker.socket.write('lost too');
  await waitFor(() => proxy.stats[way].swallowed === 12, DEADLINE_MS, 'A stream has no holes');
  expect(listener.received).toEqual([]);
  const fresh = await pair();
  fresh.far.socket.write('well');
  await fresh.near.got(4);
});

it('hides the end of one side behind a black hole until it is healed', async () => {
  const { near, far } = await pair();
  proxy.set({ toServer: { swallow: true }, toClient: { swallow: true } });
  near.socket.resetAndDestroy();
  far.socket.write('still there?');
  await waitFor(() => proxy.stats.toClient.swallowed === 12, DEADLINE_MS, 'What the server says is swallowed');
  expect([far.ended, proxy.stats.open]).toEqual(['no', 1]);
  proxy.heal();
  await far.endedAs('reset');
  await waitFor(() => proxy.stats.open === 0, DEADLINE_MS, 'Nothing is carried any more');
});

it('stalls: bytes are kept and arrive later, including those of a side that has closed', async () => {
  const { near, far } = await pair();
  proxy.set({ toServer: { isHalted: true } });
  near.socket.write('late');
  far.socket.write('in time');
  await near.got(7);
  near.socket.end();
  expect([far.received, far.ended]).toEqual([[], 'no']);
  proxy.heal();
  expect((await far.got(4)).toString()).toBe('late');
  await far.endedAs('end');
});

it('stalls with bounded memory: the sender is slowed down, and all bytes arrive in order', async () => {
  const { near, far } = await pair();
  proxy.set({ toServer: { isHalted: true } });
  const data = randomBytes(32 * MIB);
  near.socket.write(data);
  await waits(near);
  proxy.heal();
  expect((await far.got(data.length)).equals(data)).toBe(true);
});

it('delays: nothing arrives earlier, and the order stays', async () => {
  const { near, far } = await pair();
  far.socket.on('data', (bytes: Buffer) => far.socket.write(bytes));
  proxy.set({ toServer: { delayMs: 60 }, toClient: { delayMs: 40 } });
  const startMs = performance.now();
  near.socket.write('1');
  near.socket.write('2');
  expect((await near.got(2)).toString()).toBe('12');
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(98);
});

it('throttles: bytes take their time, and the sender waits', async () => {
  const { near, far } = await pair();
  proxy.set({ toServer: { bytesPerSecond: 200_000 } });
  const data = randomBytes(60_000);
  const startMs = performance.now();
  near.socket.write(data);
  expect((await far.got(data.length)).equals(data)).toBe(true);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(270);
  near.socket.write(randomBytes(32 * MIB));
  await waits(near);
});

it('flips one bit in the given byte, once', async () => {
  const { near, far } = await pair();
  proxy.set({ toServer: { flip: { byte: 100 } } });
  const data = randomBytes(1_000);
  near.socket.write(data.subarray(0, 60));
  await far.got(60);
  near.socket.write(data.subarray(60));
  const got = await far.got(data.length);
  expect(differences(data, got)).toEqual([{ at: 100, bits: 1 }]);
  expect(proxy.stats.toServer.flipped).toBe(1);
});

it('flips bits with a probability', async () => {
  const { near, far } = await pair();
  proxy.set({ toClient: { flip: { probability: 0.001 } } });
  const data = randomBytes(MIB);
  far.socket.write(data);
  const found = differences(data, await near.got(data.length));
  expect(found.every(({ bits }) => bits === 1)).toBe(true);
  expect(found.length).toBe(proxy.stats.toClient.flipped);
  expect(found.length).toBeGreaterThan(800);
  expect(found.length).toBeLessThan(1_300);
});

function differences(one: Buffer, other: Buffer): { at: number; bits: number }[] {
  const found: { at: number; bits: number }[] = [];
  for (const [at, byte] of one.entries()) {
    const difference = byte ^ (other[at] ?? 0);
    if (difference !== 0) found.push({ at, bits: difference.toString(2).replaceAll('0', '').length });
  }
  return found;
}
