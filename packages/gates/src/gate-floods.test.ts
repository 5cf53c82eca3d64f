// Floods of logins at gates with real sockets: the number of connections is bounded, hosts that have logged in go on, and a new host gets in
// at its first try. The oracles are raw hosts and the figures of the gate. test/integration/gate-floods.test.ts has the memory of rsiod.
// Rules: G47.

import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Gates } from './gates.ts';
import { gateIqn } from './iscsi-protocol.ts';
import { HOST } from './iscsi/testing/iscsi-host.ts';
import { SocketInitiator } from './iscsi/testing/socket-initiator.ts';
import { GATE_CONNECTIONS_MAX, GATE_HOST_LINES_MAX, GATE_LOGIN_MS, GATE_UNPROVEN_EACH_MAX, GATE_UNPROVEN_MAX } from './limits.ts';
import { gateNqn } from './nvme-protocol.ts';
import { DISCOVERY_NQN } from './nvme/wire/constants.ts';
import { GatesScene, NAMESPACE_ID, UNTIL, useGates } from './testing/gates-scene.ts';
import { iscsiFloods, LoginFlood, NVME_FLOODS } from './testing/login-flood.ts';
import { SocketHost } from './testing/socket-host.ts';

const [STRANGER, COUNT] = ['127.0.0.7', 200];
const SECRET = 'a-secret-of-host';
const OTHER = `${HOST}-2`;
const IQN = gateIqn(NAMESPACE_ID, 'g1');
const NQN = gateNqn(NAMESPACE_ID, 'g1');
const DATA = Buffer.alloc(512, 'x');

const scene: GatesScene = useGates();

/** A gate with secrets, so that iSCSI hosts must authenticate. */
function secured() {
  return scene.gate({ protocol: 'iscsi', secretFile: '/s', secrets: new Map([[HOST, { hash: 0, key: Buffer.from(SECRET) }]]) });
}

async function initiator(isid: string): Promise<SocketInitiator> {
  return scene.closes(await SocketInitiator.login(scene.port, { target: IQN, lun: 1, isid, secret: SECRET }));
}

async function nvmeHost(): Promise<SocketHost> {
  const { admin, io } = await SocketHost.both(scene.port, { nqn: NQN });
  scene.closes(admin);
  return scene.closes(io);
}

function connectionsOf(gates: Gates): number {
  return gates.views()[0]?.figures.connections ?? -1;
}

async function flooded(gates: Gates, flood: LoginFlood, own: number): Promise<void> {
  scene.closes(flood);
  for (let sent = 0; sent < COUNT; sent += 50) {
    await flood.grow(50);
    await vi.waitFor(() => expect(connectionsOf(gates)).toBeLessThanOrEqual(own + GATE_UNPROVEN_EACH_MAX), UNTIL);
  }
  await vi.waitFor(() => expect(flood.open).toBeLessThanOrEqual(GATE_UNPROVEN_EACH_MAX), UNTIL);
}

describe.each([
  ['another address', STRANGER],
  ['the address of the hosts', '127.0.0.1'],
])('hundreds of connections from %s', (_, from) => {
  it.each(Object.keys(iscsiFloods(IQN)))('that %s stop no initiator', async (what) => {
    const gates = await scene.serving([secured()], systemClock);
    const known = await initiator('400001370000');
    await flooded(gates, new LoginFlood(scene.port, from, iscsiFloods(IQN)[what]!), 1);
    expect(await known.writeBlock(0, DATA)).toMatchObject({ status: 0 });
    const later = await initiator('400001370001');
    expect(await later.writeBlock(1, DATA)).toMatchObject({ status: 0 });
    expect(known.isClosed).toBe(false);
  });

  it.each(Object.keys(NVME_FLOODS))('that %s stop no NVMe host', async (what) => {
    const gates = await scene.serving([scene.gate()], systemClock);
    const known = await nvmeHost();
    await flooded(gates, new LoginFlood(scene.port, from, NVME_FLOODS[what]!), 2);
    expect(await known.writeBlock(5, 0, DATA)).toBe(0);
    const later = await nvmeHost();
    expect(await later.writeBlock(5, 1, DATA)).toBe(0);
    expect(known.isClosed).toBe(false);
    // Nobody proves names to the discovery, so that no name has a number of places there.
    scene.closes(await SocketHost.login(scene.port, { nqn: DISCOVERY_NQN }));
  });
});

it('connections from many addresses have a bound together, and leave a place to a new host', async () => {
  const gates = await scene.serving([secured()], systemClock);
  const known = await initiator('400001370000');
  for (let at = 0; at < 12; at++)
    await scene
      .closes(new LoginFlood(scene.port, `127.0.1.${at + 1}`, iscsiFloods(IQN)['stop in the login']!))
      .grow(GATE_UNPROVEN_EACH_MAX);
  await vi.waitFor(() => expect(connectionsOf(gates)).toBe(1 + GATE_UNPROVEN_MAX), UNTIL);
  const later = await initiator('400001370001');
  for (const host of [known, later]) expect(await host.writeBlock(0, DATA)).toMatchObject({ status: 0 });
  expect(scene.lines.some((line) => line.includes('closed: another host needed its place, and it had not logged in'))).toBe(true);
});

it('when hosts that have logged in have all places, no other one gets in, and none of them ends', async () => {
  const gates = await scene.serving([scene.gate()], systemClock);
  const known = await nvmeHost();
  const queues: SocketHost[] = [];
  for (let host = 0; connectionsOf(gates) < GATE_CONNECTIONS_MAX; host++) {
    const hostNqn = `nqn.2020-01.org.example:${host}`;
    const admin = scene.closes(await SocketHost.login(scene.port, { nqn: NQN, hostNqn }));
    for (let qid = 1; qid <= 16 && connectionsOf(gates) < GATE_CONNECTIONS_MAX; qid++)
      queues.push(scene.closes(await SocketHost.login(scene.port, { nqn: NQN, hostNqn, qid, cntlid: admin.cntlid })));
  }
  await expect(SocketHost.login(scene.port, { nqn: NQN })).rejects.toThrow('closed');
  expect(scene.lines.some((line) => line.startsWith('A gate refused a connection: all places belong to hosts that have logged in'))).toBe(
    true,
  );
  expect(await known.writeBlock(5, 0, DATA)).toBe(0);
  expect(queues.every(({ isClosed }) => !isClosed)).toBe(true);
});

it('what stays of a flood is closed in time', async () => {
  const clock = new FakeClock();
  const gates = await scene.serving([secured()], clock);
  const flood = scene.closes(new LoginFlood(scene.port, STRANGER, iscsiFloods(IQN)['stop in the login']!));
  await flood.grow(4);
  await vi.waitFor(() => expect(flood.receivedBytes).toBeGreaterThanOrEqual(4 * 48), UNTIL);
  for (let ms = 0; ms <= GATE_LOGIN_MS; ms += 250) clock.advance(250);
  await vi.waitFor(() => expect([flood.open, connectionsOf(gates)]).toEqual([0, 0]), UNTIL);
  expect(gates.views()[0]?.figures.refused).toBe(4);
});

// Regression: two hosts with one name, which log each other out for ever, left 185 lines in 75 s.
it('hosts that log in again and again with one name leave few lines, and silence no other host', async () => {
  const secret = { hash: 0, key: Buffer.from(SECRET) };
  const secrets = new Map([HOST, OTHER].map((host) => [host, secret]));
  await scene.serving([scene.gate({ protocol: 'iscsi', secretFile: '/s', secrets })], new FakeClock());
  for (let count = 0; count < 24; count++) await initiator('400001370000');
  await vi.waitFor(() => expect(scene.lines.filter((line) => line.includes(`host ${HOST} has`))).toHaveLength(GATE_HOST_LINES_MAX), UNTIL);
  const closed = (): number => scene.lines.filter((line) => line.includes('the connection was closed')).length;
  await vi.waitFor(() => expect(closed()).toBe(GATE_HOST_LINES_MAX), UNTIL);
  expect(scene.lines.length).toBeLessThanOrEqual(2 * GATE_HOST_LINES_MAX + 2);
  scene.closes(await SocketInitiator.login(scene.port, { target: IQN, lun: 1, host: OTHER, secret: SECRET }));
  await vi.waitFor(() => expect(scene.lines.at(-1)).toContain(`host ${OTHER} has logged in`), UNTIL);
});
