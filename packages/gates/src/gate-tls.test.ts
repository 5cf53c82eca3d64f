// TLS of hosts at a gate with real sockets: keys, names, reloads, bounds, gaps. The host is Node's TLS client with the keys of tls-psk.ts,
// whose own tests have known answers. Rules: D1, G43.

import { connect } from 'node:net';
import { expect, it, vi } from 'vitest';
import { parseTlsKey } from '@rsio/common/config/gate-secrets';
import type { ClientGateConfig, GateSecret } from '@rsio/common/config/schema/types';
import { type Clock, systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { gateNqn } from './nvme-protocol.ts';
import type { Gates } from './gates.ts';
import { GATE_LOGIN_MS, GATE_QUIESCE_MS } from './limits.ts';
import { capsule, HOST_NQN } from './nvme/testing/nvme-host.ts';
import { DISCOVERY_NQN } from './nvme/wire/constants.ts';
import { NAMESPACE_ID, UNTIL, useGates } from './testing/gates-scene.ts';
import { type HostLogin, SocketHost } from './testing/socket-host.ts';
import { tlsWarning } from './tls/gate-tls.ts';
import { tlsPsks } from './tls/tls-psk.ts';

const NQN = gateNqn(NAMESPACE_ID, 'g1');
const OTHER = 'nqn.2020-01.org.example:other';
const KEY = parseTlsKey('NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:')!;
const SECRET: GateSecret = { hash: 0, key: Buffer.alloc(32, 's') };

let gates: Gates;
const scene = useGates();
const { lines } = scene;

function gate(changes: Partial<ClientGateConfig> = {}): ClientGateConfig {
  return scene.gate({ secretFile: '/s', secrets: new Map(), tls: true, tlsKeys: new Map([[HOST_NQN, KEY]]), ...changes });
}

async function make(config = gate(), time: Clock = systemClock): Promise<void> {
  gates = await scene.serving([config], time);
}

type Tls = NonNullable<HostLogin['tls']>;

/** The key of a host with its TLS identity, which is the one with the digest unless `version` selects another one. */
function tlsOf(hostNqn = HOST_NQN, nqn = NQN, key = KEY, version = 'NVMe1'): Tls {
  const [identity, psk] = [...tlsPsks(key, { hostNqn, nqn })].findLast(([one]) => one.startsWith(version))!;
  return { identity, psk };
}

async function login(changes: Partial<HostLogin> = {}): Promise<{ admin: SocketHost; io: SocketHost }> {
  const both = await SocketHost.both(scene.port, { nqn: NQN, hostNqn: HOST_NQN, tls: tlsOf(), ...changes });
  scene.closes(both.admin);
  scene.closes(both.io);
  return both;
}

const said = (text: string): Promise<void> => vi.waitFor(() => expect(lines.join('\n')).toContain(text), UNTIL);

it.each([['NVMe0'], ['NVMe1']])('a host writes and reads a volume over TLS with an identity %s, and gets no ticket', async (version) => {
  await make();
  const { admin, io } = await login({ tls: tlsOf(HOST_NQN, NQN, KEY, version) });
  const data = Buffer.alloc(256 * 1024, 'secret');
  for (let at = 0; at < 4; at++) expect(await io.writeBlock(5, at * 16, data.subarray(at * 8192, (at + 1) * 8192))).toBe(0);
  expect((await io.readBlock(6, 0, 32 * 1024)).equals(data.subarray(0, 32 * 1024))).toBe(true);
  // A large answer is written from pooled memory, and has to be whole.
  scene.volume.content.set(data, 0);
  expect((await io.readBlock(7, 0, data.length)).equals(data)).toBe(true);
  expect([admin.tickets > 0, io.tickets > 0]).toEqual([tlsWarning() !== null, tlsWarning() !== null]);
  expect(gates.views()).toMatchObject([{ hosts: [HOST_NQN], tls: true }]);
});

it('a wrong key, unknown identities, plain hosts and other ciphers do not get in, and the log says why', async () => {
  await make();
  await expect(login({ tls: { ...tlsOf(), psk: Buffer.alloc(32) } })).rejects.toThrow('closed');
  await said(`host ${HOST_NQN}: its TLS key is not the one in the secret-file`);
  for (const [tls, why] of [
    [tlsOf(OTHER), `the secret-file has no TLS key for host ${OTHER}`],
    [tlsOf(HOST_NQN, NQN, SECRET), `host ${HOST_NQN} uses another TLS key than that in the secret-file`],
    [{ ...tlsOf(), identity: 'client1' }, 'it offers a key that is none of NVMe'],
    [{ ...tlsOf(), identity: tlsOf().identity.replace('R01', 'R02') }, `host ${HOST_NQN} uses a TLS key for SHA-384`],
    [undefined, 'it does not use TLS, which the gate requires'],
  ] as const) {
    await gates.close();
    lines.length = 0;
    await make();
    await expect(SocketHost.login(scene.port, { nqn: NQN, hostNqn: HOST_NQN, ...(tls === undefined ? {} : { tls }) })).rejects.toThrow(
      'closed',
    );
    await said(why);
  }
  expect(scene.volume.seen).toEqual([]);
});

it('a key is for its host and its subsystem', async () => {
  await make(gate({ tlsKeys: new Map([HOST_NQN, OTHER].map((one) => [one, KEY])) }));
  await expect(login({ hostNqn: OTHER })).rejects.toThrow('Connect');
  await said(`it has logged in as ${OTHER} at ${NQN}, but its TLS key is for ${HOST_NQN} at ${NQN}`);
  await expect(login({ tls: tlsOf(HOST_NQN, DISCOVERY_NQN) })).rejects.toThrow('Connect');
  await expect(login({ nqn: DISCOVERY_NQN })).rejects.toThrow('Connect');
  const { admin } = await login();
  await expect(SocketHost.login(scene.port, { nqn: NQN, hostNqn: OTHER, qid: 1, cntlid: admin.cntlid, tls: tlsOf() })).rejects.toThrow(
    'Connect',
  );
});

it('the discovery subsystem has a key of its own, and says that TLS is required', async () => {
  await make();
  const admin = await SocketHost.login(scene.port, { nqn: DISCOVERY_NQN, hostNqn: HOST_NQN, tls: tlsOf(HOST_NQN, DISCOVERY_NQN) });
  scene.closes(admin);
  const log = await admin.run({ opcode: 2, cid: 3, dwords: [0x01ff_0070], transferBytes: 2048 });
  const data = log.kind === 'data' ? log.data : Buffer.alloc(2048);
  expect([data[1024 + 3], data[1024 + 768]]).toEqual([1, 2]);
});

it('a host with a secret authenticates inside TLS, and one without need not', async () => {
  await make(gate({ secrets: new Map([[HOST_NQN, SECRET]]), tlsKeys: new Map([HOST_NQN, OTHER].map((one) => [one, KEY])) }));
  const unproven = await SocketHost.unproven(scene.port, { nqn: NQN, hostNqn: HOST_NQN, tls: tlsOf() });
  scene.closes(unproven);
  expect(await unproven.writeBlock(5, 0, Buffer.alloc(512))).toBe(0x4191);
  expect(await (await login({ key: SECRET.key })).io.writeBlock(5, 0, Buffer.alloc(512))).toBe(0);
  const other = await login({ hostNqn: OTHER, tls: tlsOf(OTHER) });
  expect(await other.io.writeBlock(5, 8, Buffer.alloc(512))).toBe(0);
  await gates.follow([gate({ secrets: new Map([HOST_NQN, OTHER].map((one) => [one, SECRET])), tlsKeys: new Map([[OTHER, KEY]]) })]);
  await vi.waitFor(() => expect([unproven.isClosed, other.admin.isClosed]).toEqual([true, true]), UNTIL);
  await said('the gate now has secrets, and its host has to authenticate');
});

it('a reload that turns TLS on or off cuts all hosts off, and without a key no host gets in', async () => {
  await make(gate({ tls: false, secrets: null }));
  const plain = await login({ tls: undefined as never });
  await gates.follow([gate()]);
  await vi.waitFor(() => expect([plain.admin.isClosed, plain.io.isClosed]).toEqual([true, true]), UNTIL);
  const secure = await login();
  await gates.follow([gate({ tlsKeys: new Map() })]);
  await vi.waitFor(() => expect(secure.io.isClosed).toBe(true), UNTIL);
  await expect(login()).rejects.toThrow('closed');
});

it('a write that arrives over an old path is not executed (D1)', async () => {
  const fake = new FakeClock();
  await make(gate(), fake);
  const [old, other] = [await login(), await login()];
  expect(await old.io.writeBlock(5, 0, Buffer.alloc(512, 'a'))).toBe(0);
  old.admin.isSilent = true;
  expect(await other.io.writeBlock(6, 0, Buffer.alloc(512, 'c'))).toBe(0);
  old.io.write(capsule({ opcode: 1, cid: 9, nsid: 1, dwords: [0, 0, 15], data: Buffer.alloc(8192, 'b') }));
  expect((await other.io.readBlock(7, 0, 512)).equals(Buffer.alloc(512, 'c'))).toBe(true);
  for (let ms = 0; ms <= GATE_QUIESCE_MS; ms += 250) fake.advance(250);
  await vi.waitFor(() => expect([old.io.isClosed, old.admin.isClosed]).toEqual([true, true]), UNTIL);
  expect((await other.io.readBlock(8, 0, 512)).equals(Buffer.alloc(512, 'c'))).toBe(true);
});

it('a handshake that stops half-way is cut off in time, and holds a place until then', async () => {
  const fake = new FakeClock();
  await make(gate(), fake);
  const slow = connect({ port: scene.port, host: '127.0.0.1' });
  let isClosed = false;
  slow.on('error', () => undefined).on('close', () => (isClosed = true));
  slow.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1]));
  await vi.waitFor(() => expect(gates.views()[0]?.figures.connections).toBe(1), UNTIL);
  fake.advance(GATE_LOGIN_MS - 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isClosed).toBe(false);
  fake.advance(1);
  await vi.waitFor(() => expect(isClosed).toBe(true), UNTIL);
  expect(gates.views()[0]?.figures).toMatchObject({ connections: 0, refused: 1 });
  expect(lines.some((line) => line.includes('no login within 10 s'))).toBe(true);
});
