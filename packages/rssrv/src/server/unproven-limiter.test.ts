// Tests unproven connections over loopback sockets: a client is not affected by other peers that have the same address. The limits use a
// fake clock. test/bad-input tests the bytes of one connection. Rules: G9.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type ClientIdentity, ClientHandshake, type SessionToJoin } from '@rsio/protocol/auth/handshake-client';
import { type Proven, ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import { RsError } from '@rsio/base/lib/errors';
import { quietLog } from '@rsio/base/log/log';
import { FAILED_PROOFS_AT_ONCE, FAILED_PROOF_EACH_MS } from '@rsio/protocol/auth/limits';
import { HEADER_BYTES } from '@rsio/protocol/wire/limits';
import { UNPROVEN_MAX, UNPROVEN_PER_ADDRESS_MAX } from './limits.ts';
import { RATE_LIMITED_LINES_MAX } from '@rsio/base/log/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { ListeningSocket } from './listening-sockets.ts';
import { UnprovenLimiter } from './unproven-limiter.ts';

const KEYS: Record<string, string> = { venus: '0xvenus', mars: '0xmars' };
const SERVER = {
  namespaceid: 200,
  server: 'big-9',
  serverid: 1,
  instance: '0123456789abcdef0123456789abcdef',
  serverkey: null,
  versions: [1],
  features: [],
};
const LISTENING: ListeningSocket = { config: { name: 'if0', address: '127.54.1.1', prefixLength: null, port: 0 }, isClosed: false };
const SESSION = Buffer.alloc(16, 0x5e);
const SECRET = Buffer.alloc(32, 9);

const sockets: net.Socket[] = [];
const servers: net.Server[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

class Site {
  readonly clock = new FakeClock();
  readonly proven: Proven[] = [];
  readonly said: { readonly text: string; readonly audit?: unknown; readonly event?: unknown }[] = [];
  readonly living = new Map<string, Buffer>();
  readonly known = new Set<string>();
  readonly keys: Record<string, string[]> = Object.fromEntries(Object.entries(KEYS).map(([node, key]) => [node, [key]]));
  readonly gate: UnprovenLimiter;
  /** Called before the server computes the answer to a HELLO. */
  computes: () => void = () => undefined;
  port = 0;

  constructor() {
    this.gate = new UnprovenLimiter({
      clock: this.clock,
      log: {
        ...quietLog,
        warn: (text, fields) => {
          this.said.push({ text, ...fields });
        },
      },
      newHandshake: () => {
        const handshake = new ServerHandshake(SERVER, randomBytes);
        const onHello = handshake.onHello.bind(handshake);
        handshake.onHello = (frame, lookup) => {
          this.computes();
          return onHello(frame, lookup);
        };
        return handshake;
      },
      keysOf: (node) => this.keys[node] ?? [],
      secretOf: (session, node) => (SESSION.equals(session) ? (this.living.get(node) ?? null) : null),
      currentSecretOf: (node) => this.living.get(node) ?? null,
      isKnown: ({ node, machine }) => this.known.has(`${node} ${machine}`),
      proven: (socket, proven) => {
        this.proven.push(proven);
        socket.end();
      },
    });
  }

  async open(): Promise<this> {
    const server = net.createServer((socket) => {
      sockets.push(socket);
      this.gate.connected(socket, LISTENING);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen({ host: '127.54.1.1', port: 0 }, resolve));
    this.port = (server.address() as net.AddressInfo).port;
    return this;
  }

  connect(from = '127.54.1.2'): Promise<net.Socket> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: '127.54.1.1', port: this.port, localAddress: from }, () => resolve(socket));
      sockets.push(socket);
      socket.on('error', reject);
    });
  }

  /** Connects and returns `proven`, or the code of the refusal. */
  async enter(identity: ClientIdentity, from?: string, join: SessionToJoin | null = null): Promise<string> {
    const socket = await this.connect(from);
    return enterBy(socket, identity, join);
  }
}

async function enterBy(socket: net.Socket, identity: ClientIdentity, join: SessionToJoin | null = null): Promise<string> {
  const frames = framesOf(socket);
  const handshake = new ClientHandshake(identity, randomBytes);
  socket.write(handshake.start());
  try {
    const challenge = await frames.next();
    if (challenge.done === true) return 'closed';
    handshake.onChallenge(challenge.value);
    socket.write(handshake.proof(join, []));
    const answer = await frames.next();
    if (answer.done === true) return 'proven';
    handshake.onWelcome(answer.value);
    return 'welcome';
  } catch (thrown) {
    if (thrown instanceof RsError) return thrown.code;
    throw thrown;
  }
}

async function* framesOf(socket: net.Socket): AsyncGenerator<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    // The length of a message is at offset 8 of its header.
    const end = (): number => (bytes.length < HEADER_BYTES ? Infinity : HEADER_BYTES + bytes.readUInt32BE(8));
    while (bytes.length >= end()) {
      const at = end();
      yield Buffer.from(bytes.subarray(0, at));
      bytes = bytes.subarray(at);
    }
  }
}

function as(node: string, changes: Partial<ClientIdentity> & { machine?: string } = {}): ClientIdentity {
  const { machine = 'machine-1', ...others } = changes;
  const hello = { versions: [1], features: [], namespaceid: 200, node, instance: 1, machine, boot: 'b', process: null, interface: 'if0' };
  return { nodekey: KEYS[node] ?? '', serverkey: null, hello, ...others };
}

async function guess(site: Site, node: string, count = FAILED_PROOFS_AT_ONCE): Promise<string[]> {
  const said: string[] = [];
  for (let time = 0; time < count; time++) said.push(await site.enter(as(node, { nodekey: 'wrong', machine: `guess-${time}` })));
  return said;
}

test('ten wrong proofs of one node do not exclude other clients behind the same address', async () => {
  const site = await new Site().open();
  expect(await guess(site, 'venus', FAILED_PROOFS_AT_ONCE + 1)).toEqual([...Array(FAILED_PROOFS_AT_ONCE).fill('E_AUTH'), 'E_LIMIT']);
  expect(await site.enter(as('mars'))).toBe('proven');
  expect(await site.enter(as('venus'), '127.54.1.3')).toBe('proven');
});

test('wrong proofs of its own name exclude neither a known machine nor a join to a live session', async () => {
  const site = await new Site().open();
  await guess(site, 'venus');
  expect(await site.enter(as('venus'))).toBe('E_LIMIT');
  site.living.set('venus', SECRET);
  expect(await site.enter(as('venus'), undefined, { session: SESSION, secret: SECRET })).toBe('proven');
  site.known.add('venus machine-1');
  expect(await site.enter(as('venus'))).toBe('proven');
  expect(site.proven.map(({ kind }) => kind)).toEqual(['join', 'new']);
});

test('a proof that comes too early is not checked, even if it is right, and a join must be right in both', async () => {
  const site = await new Site().open();
  site.living.set('venus', SECRET);
  await guess(site, 'venus');
  expect(await site.enter(as('venus'))).toBe('E_LIMIT');
  expect(await site.enter(as('venus'), undefined, { session: SESSION, secret: Buffer.alloc(32) })).toBe('E_LIMIT');
  expect(await site.enter(as('venus', { nodekey: 'wrong' }), undefined, { session: SESSION, secret: SECRET })).toBe('E_LIMIT');
  site.clock.advance(FAILED_PROOF_EACH_MS);
  expect(await site.enter(as('venus'))).toBe('proven');
});

test('an unknown name waits like a known one', async () => {
  const site = await new Site().open();
  const known = await guess(site, 'venus', FAILED_PROOFS_AT_ONCE + 1);
  expect(await guess(site, 'nobody', FAILED_PROOFS_AT_ONCE + 1)).toEqual(known);
});

test('idle sockets from an address do not exclude a client behind it: the oldest of them is closed', async () => {
  const site = await new Site().open();
  const idle: net.Socket[] = [];
  for (let count = 0; count < 40; count++) idle.push(await site.connect());
  const ended = idle.map((socket) => new Promise((resolve) => socket.resume().on('close', resolve)));
  expect(await site.enter(as('mars'))).toBe('proven');
  await Promise.all(ended.slice(0, 40 - UNPROVEN_PER_ADDRESS_MAX));
  expect(idle.filter(({ destroyed }) => !destroyed).length).toBeLessThan(UNPROVEN_PER_ADDRESS_MAX);
});

test('idle sockets from many addresses do not exclude a client', async () => {
  const site = await new Site().open();
  for (let count = 0; count < UNPROVEN_MAX + 8; count++) await site.connect(`127.54.2.${1 + (count % 250)}`);
  expect(await site.enter(as('mars'))).toBe('proven');
});

test('a flood from several addresses ends its own connections, not the login of a client that has only one', async () => {
  const site = await new Site().open();
  const slow = await site.connect('127.54.3.1');
  for (let count = 0; count < 2 * UNPROVEN_MAX; count++)
    await site.connect(`127.54.2.${1 + (count % (UNPROVEN_MAX / UNPROVEN_PER_ADDRESS_MAX))}`);
  expect(await enterBy(slow, as('mars'))).toBe('proven');
});

test('a flood of HELLOs is computed one by one, so that the other work of the server goes on between', async () => {
  const site = await new Site().open();
  const flood: net.Socket[] = [];
  for (let count = 0; count < UNPROVEN_PER_ADDRESS_MAX; count++) flood.push(await site.connect('127.54.2.1'));
  let [turn, isOver] = [0, false];
  const next = (): void => void (isOver || (turn++, setImmediate(next)));
  next();
  const computedIn = new Map<number, number>();
  site.computes = () => computedIn.set(turn, (computedIn.get(turn) ?? 0) + 1);
  for (const socket of flood) socket.write(new ClientHandshake(as('nobody'), randomBytes).start());
  expect(await site.enter(as('mars'))).toBe('proven');
  await expect.poll(() => [...computedIn.values()].reduce((sum, count) => sum + count, 0)).toBe(UNPROVEN_PER_ADDRESS_MAX + 1);
  isOver = true;
  expect(Math.max(...computedIn.values())).toBe(1);
});

test('a frame that comes before the challenge ends the connection', async () => {
  const site = await new Site().open();
  const socket = await site.connect();
  const hello = new ClientHandshake(as('mars'), randomBytes).start();
  socket.resume().write(Buffer.concat([hello, hello]));
  await new Promise((resolve) => socket.on('close', resolve));
  expect(site.proven).toEqual([]);
});

// Regression: a peer with invented names filled the list of events, and started the programs of triggers 246 times.
test('a peer without a proof makes no event, and few lines of the audit whatever names it has', async () => {
  const site = await new Site().open();
  const names = Array.from({ length: RATE_LIMITED_LINES_MAX + 3 }, (_, index) => `made-up-${index}`);
  for (const node of names) expect(await site.enter(as(node, { nodekey: 'wrong' }))).toBe('E_AUTH');
  expect(await site.enter(as('venus', { hello: { ...as('venus').hello, namespaceid: 7 } }))).toBe('E_NAMESPACE');
  expect(site.said.filter(({ audit }) => audit === true)).toHaveLength(RATE_LIMITED_LINES_MAX);
  // The lines about another peer are not suppressed.
  expect(await site.enter(as('mars', { nodekey: 'wrong' }), '127.54.1.3')).toBe('E_AUTH');
  expect(site.said.at(-1)?.text).toMatch(/^Refused 127\.54\.1\.3 on /);
  expect(site.said.filter(({ event }) => event !== undefined)).toEqual([]);
  site.clock.advance(60_000);
  expect(site.said.map(({ text }) => text)).toContainEqual(expect.stringMatching(/^Wrong proofs from 127\.54\.1\.2: 3 more lines/));
});
