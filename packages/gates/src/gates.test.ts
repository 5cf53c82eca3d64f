// The frontend of gates with real sockets: hosts, volumes that come, grow and go, reloads, bounds. The oracles are a raw host and the volume.
// test/integration/gates.test.ts has gates of real daemons.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { GateView } from '@rsio/api/rsiod/methods';
import { type Clock, systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { StallingClock } from '@rsio/base/testing/stalling-clock';
import { MemoryVolume } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import type { Gates, GatesOptions } from './gates.ts';
import { GATE_LISTEN_RETRY_MS, GATE_LOGIN_MS, GATE_QUIESCE_MS, GATE_RECORD_LOOK_MS, GATE_STOP_MS } from './limits.ts';
import { gateNqn } from './nvme-protocol.ts';
import { capsule, HOST_NQN } from './nvme/testing/nvme-host.ts';
import { NAMESPACE_ID, UNTIL, useGates } from './testing/gates-scene.ts';
import { SocketHost } from './testing/socket-host.ts';

const NQN = gateNqn(NAMESPACE_ID, 'g1');
const OTHER = 'nqn.2020-01.org.example:other';
const STEP_MS = 50;

const clock = new StallingClock(systemClock);
const scene = useGates();
const { lines } = scene;

function gate(changes: Partial<ClientGateConfig> = {}): ClientGateConfig {
  return scene.gate(changes);
}

function gatesOf(config: readonly ClientGateConfig[], time: Clock = clock, changes: Partial<GatesOptions> = {}): Gates {
  return scene.gatesOf(config, time, changes);
}

function make(config: readonly ClientGateConfig[] = [gate()], time: Clock = clock): Promise<Gates> {
  return scene.serving(config, time);
}

/** Lets time pass until the work is done. Returns the time that has passed in ms. */
async function passedMs(fake: FakeClock, work: Promise<unknown>): Promise<number> {
  const beganMs = fake.monotonicMs();
  let isDone = false;
  void work.then(() => (isDone = true));
  while (!isDone) {
    fake.advance(STEP_MS);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return fake.monotonicMs() - beganMs;
}

async function login(hostNqn = HOST_NQN): Promise<{ admin: SocketHost; io: SocketHost }> {
  const both = await SocketHost.both(scene.port, { nqn: NQN, hostNqn });
  for (const one of [both.admin, both.io]) scene.closes(one);
  return both;
}

it('a host writes and reads a volume, and is a user of it', async () => {
  const gates = await make();
  const { io } = await login();
  const data = Buffer.alloc(4096, 'gate');
  expect(await io.writeBlock(5, 8, data)).toBe(0);
  expect((await io.readBlock(6, 8, 4096)).equals(data)).toBe(true);
  expect(scene.volume.content.subarray(4096, 8192).equals(data)).toBe(true);
  expect(await gates.usersOf(scene.volume)).toEqual(['1 host of gate g1']);
  await expect(gates.hide(scene.volume, false)).rejects.toThrow('It is in use by 1 host of gate g1: end that first, or use --force');
  expect(gates.views()).toMatchObject([{ name: 'g1', nqn: NQN, hosts: [HOST_NQN], volumes: [{ nsid: 1, label: 'osl:oracle@0' }] }]);
  await gates.hide(scene.volume, true);
  expect(await io.writeBlock(7, 0, data)).toBe(0x302);
  expect(gates.views()[0]?.volumes).toEqual([]);
});

it('volumes come, grow and go under way, and hosts hear of it', async () => {
  const gates = await make();
  const admin = scene.closes(await SocketHost.login(scene.port, { nqn: NQN }));
  await admin.run({ opcode: 9, cid: 2, dwords: [0x0b, 1 << 8] });
  const event = async (cid: number, happens: () => Promise<void>): Promise<void> => {
    const heard = admin.run({ opcode: 0x0c, cid });
    await happens();
    expect(await heard).toMatchObject({ low: 0x04_0002 });
    await admin.run({ opcode: 2, cid: cid + 1, dwords: [0x03ff_0004], transferBytes: 4096 });
    await admin.next(({ kind }) => kind === 'done');
  };
  const second = new MemoryVolume({ name: 'second' });
  Object.assign(second, { id: '22345678-9abc-4def-8123-456789abcdef' });
  await event(10, () => gates.show(second));
  await event(20, () => gates.grown(second));
  await event(30, () => gates.hide(second, true));
});

it('a volume keeps its number while it is detached, and over a restart', async () => {
  const second = new MemoryVolume({ name: 'second' });
  Object.assign(second, { id: '22345678-9abc-4def-8123-456789abcdef' });
  const gates = await make();
  await gates.show(second);
  expect(gates.views()[0]?.volumes.map(({ nsid, label }) => [nsid, label])).toEqual([[1, 'osl:oracle@0'], [2, 'osl:second@0']]); // biome-ignore format: pairs
  await gates.hide(scene.volume, true);
  await gates.close();
  lines.length = 0;
  const again = gatesOf([gate()]);
  await again.start();
  await again.show(second);
  await again.show(scene.volume);
  expect(again.views()[0]?.volumes.map(({ nsid, label }) => [nsid, label])).toEqual([[2, 'osl:second@0'], [1, 'osl:oracle@0']]); // biome-ignore format: pairs
});

it('hosts come only when the volumes of the process before are there, or after a while', async () => {
  let isSettled = false;
  const fake = new FakeClock();
  for (const waits of [true, false]) {
    isSettled = false;
    const own = { numbersFile: join(scene.folder, `gates-${waits}.json`), isSettled: () => isSettled };
    const gates = gatesOf([gate()], fake, own);
    await gates.start();
    await gates.follow([gate({ hosts: [OTHER] })]);
    fake.advance(30_000);
    expect(gates.views()[0]?.listening).toEqual([]);
    expect(lines.at(-1)).toBe('Gates open when the volumes are attached again, at the latest in 60 s');
    isSettled = waits;
    fake.advance(waits ? 1_000 : 31_000);
    await vi.waitFor(() => expect(lines.at(-1)).toContain('listens at'), UNTIL);
    expect(lines.some((line) => line.startsWith('Gates open before all volumes'))).toBe(!waits);
    await gates.close();
  }
});

it('a volume that several clients may write is not offered, and the log says so once; a snapshot is, because nobody writes it', async () => {
  const fake = new FakeClock();
  const gates = gatesOf([gate({ volumes: 'all' })], fake);
  await gates.start();
  const snapshot = new MemoryVolume({ name: 'oracle@monday', readonly: true });
  await gates.show(Object.assign(snapshot, { shared: true, id: 'id-1' }));
  await gates.show(Object.assign(scene.volume, { shared: true }));
  for (let ms = 0; ms < 3 * GATE_RECORD_LOOK_MS; ms += 250) {
    fake.advance(250);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await vi.waitFor(() => expect(gates.views()[0]?.listening).toHaveLength(1), UNTIL);
  expect(gates.views()[0]?.volumes.map(({ label }) => label)).toEqual(['osl:oracle@0@monday']);
  expect(lines.filter((line) => line.includes('several clients may write it'))).toHaveLength(1);
});

it('a gate that is renamed, but keeps its NQN, does not give the number of a volume to another', async () => {
  const nqn = 'nqn.2026-01.com.example:gate';
  const gates = await make([gate({ nqn })]);
  await gates.follow([gate({ nqn, name: 'g2' })]);
  const second = new MemoryVolume({ name: 'second' });
  Object.assign(second, { id: '22345678-9abc-4def-8123-456789abcdef' });
  await gates.show(second);
  expect(gates.views()[0]?.volumes.map(({ nsid, label }) => [nsid, label])).toEqual([[1, 'osl:oracle@0'], [2, 'osl:second@0']]); // biome-ignore format: pairs
});

it('a volume that is no longer named while its number is saved is not offered', async () => {
  const gates = await make();
  const second = new MemoryVolume({ name: 'second' });
  Object.assign(second, { id: '22345678-9abc-4def-8123-456789abcdef' });
  const shown = gates.show(second);
  await gates.follow([gate({ volumes: ['oracle'] })]);
  await shown;
  expect(gates.views()[0]?.volumes.map(({ label }) => label)).toEqual(['osl:oracle@0']);
});

it('a damaged file of numbers is no reason to give other numbers', async () => {
  const twice = { version: 1, content: { gates: [{ gate: NQN, volumes: [{ id: 'a', nsid: 1 }, { id: 'b', nsid: 1 }] }] } }; // biome-ignore format: short
  for (const text of ['{"version":1,"content":{"gates":5}}', 'nonsense', JSON.stringify(twice)]) {
    writeFileSync(join(scene.folder, 'gates.json'), text);
    const gates = gatesOf([gate()]);
    // rsiod starts, and its volumes still have their other frontends.
    await gates.start();
    await gates.show(scene.volume);
    expect(lines.splice(0)).toEqual([expect.stringMatching(/^The gates let no host in: .*gates\.json/)]);
    expect(gates.views()).toMatchObject([{ name: 'g1', listening: [], volumes: [], trouble: expect.stringContaining('gates.json') }]);
    expect(readFileSync(join(scene.folder, 'gates.json'), 'utf8')).toBe(text);
    rmSync(join(scene.folder, 'gates.json'));
    await gates.follow([gate()]);
    await vi.waitFor(
      () => expect(gates.views()).toMatchObject([{ listening: [`127.0.0.1:${scene.port}`], volumes: [{ nsid: 1 }] }]),
      UNTIL,
    );
    await gates.close();
    lines.length = 0;
  }
});

it('only volumes and hosts that the gate names get through', async () => {
  const gates = await make([gate({ hosts: [OTHER], volumes: ['oracle@1'] })]);
  expect(gates.views()[0]?.volumes).toEqual([]);
  await expect(login()).rejects.toThrow('"status":16772');
  const { io } = await login(OTHER);
  expect(await io.writeBlock(5, 0, Buffer.alloc(512))).toBe(0x400b);
  await gates.follow([gate({ hosts: [OTHER], volumes: ['oracle'] })]);
  expect(await io.writeBlock(6, 0, Buffer.alloc(512))).toBe(0);
  await gates.follow([gate({ hosts: [HOST_NQN] })]);
  await vi.waitFor(() => expect(io.isClosed).toBe(true), UNTIL);
});

it('a reload opens and closes gates and addresses', async () => {
  const gates = await make();
  const { io } = await login();
  const before = scene.port;
  scene.port = await scene.freePort();
  await gates.follow([gate({ addresses: [{ address: '127.0.0.1', port: before }, { address: '127.0.0.1', port: scene.port }] })]); // biome-ignore format: pairs
  await vi.waitFor(() => expect(lines.filter((line) => line.includes('listens at'))).toHaveLength(2), UNTIL);
  const other = await login();
  expect(await other.io.writeBlock(6, 0, Buffer.alloc(512))).toBe(0);
  expect(await io.writeBlock(6, 0, Buffer.alloc(512))).toBe(0);
  await gates.follow([]);
  await vi.waitFor(() => expect([io.isClosed, other.io.isClosed]).toEqual([true, true]), UNTIL);
  expect(gates.views()).toEqual([]);
  await expect(SocketHost.login(before, { nqn: NQN })).rejects.toThrow();
});

it('gates whose volume has stopped all end in the time of one', async () => {
  scene.volume = new MemoryVolume({ schedule: () => undefined });
  const ports = [scene.port, await scene.freePort()];
  const fake = new FakeClock();
  const config = ports.map((one, at) => gate({ name: `g${at + 1}`, addresses: [{ address: '127.0.0.1', port: one }] }));
  const gates = await make(config, fake);
  for (const [at, one] of ports.entries()) {
    const { admin, io } = await SocketHost.both(one, { nqn: gateNqn(7, `g${at + 1}`) });
    for (const one of [admin, io]) scene.closes(one);
    io.writeBlock(5, 0, Buffer.alloc(512)).catch(() => undefined);
  }
  await vi.waitFor(() => expect(scene.volume.underWay).toBe(2), UNTIL);
  expect(await passedMs(fake, gates.close())).toBeLessThan(1.5 * GATE_STOP_MS);
});

it('an address that is taken is tried again', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(scene.port, '127.0.0.1', resolve));
  const fake = new FakeClock();
  const gates = gatesOf([gate()], fake);
  await gates.start();
  await vi.waitFor(
    () => expect(lines).toEqual([`Gate g1 cannot listen at 127.0.0.1:${scene.port} (EADDRINUSE): rsiod tries again every 5 s`]),
    UNTIL,
  );
  await new Promise((resolve) => taken.close(resolve));
  fake.advance(GATE_LISTEN_RETRY_MS);
  await vi.waitFor(() => expect(lines).toContain(`Gate g1 listens at 127.0.0.1:${scene.port}`), UNTIL);
});

it('a write over a path that its host does not answer any more waits behind a newer one, and is never executed (D1)', async () => {
  const fake = new FakeClock();
  const gates = await make([gate()], fake);
  const [old, other] = [await login(), await login()];
  expect(await old.io.writeBlock(5, 0, Buffer.alloc(512, 'a'))).toBe(0);
  // The host has given the first path up, and answers nothing on it. What it had sent there arrives after its repetition and a newer write.
  old.admin.isSilent = true;
  for (const [cid, byte] of ['b', 'c'].entries()) expect(await other.io.writeBlock(cid, 0, Buffer.alloc(512, byte))).toBe(0);
  old.io.write(capsule({ opcode: 1, cid: 9, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(512, 'b') }));
  expect((await other.io.readBlock(7, 0, 512)).equals(Buffer.alloc(512, 'c'))).toBe(true);
  expect([old.io.isClosed, other.admin.events]).toEqual([false, 1]);
  for (let ms = 0; ms <= GATE_QUIESCE_MS; ms += 250) fake.advance(250);
  await vi.waitFor(() => expect([old.io.isClosed, old.admin.isClosed]).toEqual([true, true]), UNTIL);
  expect(gates.views()[0]?.figures).toMatchObject({ cut: 2 });
  expect((await other.io.readBlock(8, 0, 512)).equals(Buffer.alloc(512, 'c'))).toBe(true);
});

it('a process that stood still cuts off no host, and executes what cannot be old (D1)', async () => {
  await make();
  const { io } = await login();
  clock.stall();
  await new Promise((resolve) => setTimeout(resolve, 2_200));
  expect(await io.writeBlock(6, 0, Buffer.alloc(512, 'b'))).toBe(0);
  clock.goOn();
  expect((await io.readBlock(7, 0, 512)).equals(Buffer.alloc(512, 'b'))).toBe(true);
});

it('counts what hosts do, and says when one volume holds all memory', async () => {
  const turns: (() => void)[] = [];
  scene.volume = new MemoryVolume({ schedule: (fire) => turns.push(fire) });
  const fake = new FakeClock();
  const gates = gatesOf([gate()], fake);
  await gates.start();
  await gates.show(scene.volume);
  await vi.waitFor(() => expect(gates.views()[0]?.listening).toHaveLength(1), UNTIL);
  expect(gates.placesOf(scene.volume)).toEqual([{ gate: 'g1', protocol: 'nvme', nsid: 1 }]);
  const pass = (ticks: number): void => {
    for (let at = 0; at < ticks; at++) fake.advance(250);
  };
  const figures = (): GateView['figures'] | undefined => gates.views()[0]?.figures;
  await expect(SocketHost.login(scene.port, { nqn: NQN, hostNqn: '' })).rejects.toThrow();
  pass(41);
  await vi.waitFor(() => expect(figures()).toMatchObject({ connections: 0, refused: 1 }), UNTIL);
  const two = [await login(), await login(OTHER)];
  expect(figures()).toMatchObject({ connections: 4, waiting: 0, waitedMs: 0, refused: 1, cut: 0 });
  // 2 * 40 reads of 1 MiB: each host has a half of the memory.
  const reads = Array.from({ length: 40 }, (_, cid) => ({ opcode: 2, cid, nsid: 1, dwords: [0, 0, 2047], transferBytes: 2 ** 20 }));
  for (const { io } of two) io.write(Buffer.concat(reads.map((read) => capsule(read))));
  await vi.waitFor(() => expect([scene.volume.underWay, figures()?.commands]).toEqual([62, 1 + 2 * 45]), UNTIL);
  pass(1);
  expect(figures()?.waiting).toBe(18);
  pass(19);
  expect(lines.some((line) => line.startsWith('Hosts of gates'))).toBe(false);
  pass(3);
  expect(figures()?.waitedMs).toBeGreaterThanOrEqual(5_000);
  expect(lines.at(-1)).toMatch(/^Hosts of gates have waited for memory for 5 s: other commands use 6\d[^ ]* /);
  for (const { admin, io } of two) for (const one of [admin, io]) one.close();
  await vi.waitFor(() => expect(gates.usedBytes).toBeGreaterThan(0), UNTIL);
  await vi.waitFor(() => {
    pass(1);
    expect(figures()?.waiting).toBe(0);
  }, UNTIL);
  expect(lines.at(-1)).toBe('Gates have memory for the commands of their hosts again');
  for (const fire of turns.splice(0)) fire();
  await vi.waitFor(() => expect(figures()).toMatchObject({ connections: 0, refused: 1 }), UNTIL);
  expect(gates.usedBytes).toBe(0);
  expect(figures()?.commands).toBeGreaterThan(80);
  expect([figures()?.receivedBytes, figures()?.sentBytes].every((bytes = 0) => bytes > 100)).toBe(true);
});

describe('a gate with secrets', () => {
  const KEY = Buffer.alloc(32, 'h');
  const secrets = (...nqns: readonly string[]): Partial<ClientGateConfig> => ({
    secretFile: '/s',
    secrets: new Map(nqns.map((nqn) => [nqn, { hash: 0, key: KEY }])),
  });
  const proven = async (hostNqn = HOST_NQN, key = KEY): Promise<{ admin: SocketHost; io: SocketHost }> => {
    const both = await SocketHost.both(scene.port, { nqn: NQN, hostNqn, key });
    for (const one of [both.admin, both.io]) scene.closes(one);
    return both;
  };

  it('lets in hosts that prove their secrets, and no others', async () => {
    const gates = await make([gate(secrets(HOST_NQN))]);
    const { io } = await proven();
    expect(await io.writeBlock(5, 0, Buffer.alloc(512, 'a'))).toBe(0);
    await expect(proven(HOST_NQN, Buffer.alloc(32, 'x'))).rejects.toThrow('Authentication');
    await expect(proven(OTHER)).rejects.toThrow('Connect');
    expect(lines.filter((line) => line.includes('was refused: its secret is not the one in /s'))).toHaveLength(1);
    expect(gates.views()).toMatchObject([{ hosts: [HOST_NQN], authenticates: true }]);
  });

  it('lets no host in under the name of the gate, whose secret every host may know', async () => {
    await make([gate(secrets(HOST_NQN, NQN))]);
    await expect(proven(NQN)).rejects.toThrow('Connect');
    await proven();
  });

  it('counts no host that has not proven itself, and cuts it off in time', async () => {
    const fake = new FakeClock();
    const gates = gatesOf([gate(secrets(HOST_NQN))], fake);
    await gates.start();
    await gates.show(scene.volume);
    await vi.waitFor(() => expect(gates.views()[0]?.listening).toHaveLength(1), UNTIL);
    const silent = await SocketHost.unproven(scene.port, { nqn: NQN });
    scene.closes(silent);
    expect([gates.views()[0]?.hosts, await gates.usersOf(scene.volume)]).toEqual([[], []]);
    const write = await silent.run({ opcode: 1, cid: 5, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(512) });
    expect([write, scene.volume.seen]).toMatchObject([{ kind: 'done', status: 0x4191 }, []]);
    for (let ms = 0; ms <= GATE_LOGIN_MS; ms += 250) fake.advance(250);
    await vi.waitFor(() => expect(silent.isClosed).toBe(true), UNTIL);
    expect(lines.some((line) => line.includes('no login within 10 s'))).toBe(true);
  });

  it('cuts off hosts whose secret a reload removes, and hosts that came before there were secrets; a new secret is for new logins', async () => {
    const gates = await make();
    const before = await login();
    await gates.follow([gate(secrets(HOST_NQN, OTHER))]);
    await vi.waitFor(() => expect(before.io.isClosed).toBe(true), UNTIL);
    const [kept, removed] = [await proven(), await proven(OTHER)];
    await gates.follow([gate({ secretFile: '/s', secrets: new Map([[HOST_NQN, { hash: 0, key: Buffer.alloc(32, 'n') }]]) })]);
    await vi.waitFor(() => expect(removed.io.isClosed).toBe(true), UNTIL);
    expect(await kept.io.writeBlock(5, 0, Buffer.alloc(512))).toBe(0);
    await expect(proven()).rejects.toThrow('Authentication');
    expect(await (await proven(HOST_NQN, Buffer.alloc(32, 'n'))).io.writeBlock(5, 0, Buffer.alloc(512))).toBe(0);
  });

  it('tells every host where it is, because the discovery subsystem has no data', async () => {
    await make([gate(secrets(HOST_NQN))]);
    const admin = await SocketHost.login(scene.port, { nqn: 'nqn.2014-08.org.nvmexpress.discovery' });
    scene.closes(admin);
    expect((await admin.run({ opcode: 2, cid: 3, dwords: [0x01ff_0070], transferBytes: 2048 })).kind).toBe('data');
    await expect(SocketHost.login(scene.port, { nqn: 'nqn.2014-08.org.nvmexpress.discovery', hostNqn: OTHER })).rejects.toThrow('Connect');
  });
});

it('the discovery subsystem names the gate at each address', async () => {
  await make();
  const admin = await SocketHost.login(scene.port, { nqn: 'nqn.2014-08.org.nvmexpress.discovery' });
  scene.closes(admin);
  const log = await admin.run({ opcode: 2, cid: 3, dwords: [0x01ff_0070], transferBytes: 2048 });
  const data = log.kind === 'data' ? log.data : Buffer.alloc(2048);
  expect([data.readBigUInt64LE(8), data.toString('utf8', 1024 + 256, 1024 + 256 + NQN.length)]).toEqual([1n, NQN]);
  expect(data.toString('latin1', 1024 + 32, 1024 + 38).trim()).toBe(String(scene.port));
});

it('a discovery log of more than a page is read in parts, and its generation tells of a change', async () => {
  const many = Array.from({ length: 6 }, (_, at) => ({ address: `127.0.0.${at + 1}`, port: scene.port }));
  const gates = await make();
  await gates.follow([gate({ addresses: many })]);
  const admin = await SocketHost.login(scene.port, { nqn: 'nqn.2014-08.org.nvmexpress.discovery' });
  scene.closes(admin);
  const part = async (cid: number, bytes: number, offset: number): Promise<Buffer> => {
    const dwords = [((bytes / 4 - 1) << 16) | 0x70, 0, offset];
    const data = await admin.run({ opcode: 2, cid, dwords, transferBytes: bytes });
    await admin.next(({ kind }) => kind === 'done');
    return data.kind === 'data' ? data.data : Buffer.alloc(bytes);
  };
  const log = Buffer.concat([await part(3, 4096, 0), await part(4, 3072, 4096)]);
  const addresses = many.map((_, at) => log.toString('latin1', 1024 * (at + 1) + 512, 1024 * (at + 1) + 521));
  expect([log.readBigUInt64LE(8), addresses]).toEqual([6n, many.map(({ address }) => address)]);
  // A host that keeps its connection for discovery also sends Keep Alive.
  expect(await admin.run({ opcode: 0x18, cid: 5 })).toMatchObject({ kind: 'done', status: 0 });
  await gates.follow([gate()]);
  const after = await part(6, 1024, 0);
  expect(after.readBigUInt64LE(8)).toBe(1n);
  expect(after.readBigUInt64LE(0)).toBeGreaterThan(log.readBigUInt64LE(0));
});
