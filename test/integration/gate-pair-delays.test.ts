// Two gates on two machines for one volume, and a host whose path to the first gate is slow one way. What it had sent there, a read or an order
// and an old write, arrives when it has repeated the write over the second gate, and has written something newer. The first gate then takes
// the volume back, and must not revert the block. Nothing stands still. Rules: D1, D3.

import { systemClock } from '@rsio/base/lib/clock';
import { SocketInitiator } from '@rsio/gates/iscsi/testing/socket-initiator';
import { capsule } from '@rsio/gates/nvme/testing/nvme-host';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { DelayingProxy } from '../support/io/delaying-proxy.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { GatePair, type GateIndex } from '../support/scenes/gate-pair.ts';

const [WAIT_MS, BLOCK] = [60_000, 4096];
const TEST_MS = 4 * WAIT_MS;
/** One way. The longer one is beyond all time-outs of the path: its keep-alive time, or the pings of the gate. */
const [LATE_MS, LOST_MS] = [4_000, 9_000];
const KEEP_ALIVE_MS = 5_000;
/** An order and then writes: the gate executes no write before it has the volume. */
const [WRITES, APART_MS] = [8, 300];

const hosts = useHosts();

function block(text: string): Buffer {
  return Buffer.alloc(BLOCK, text);
}

async function pass(ms: number): Promise<void> {
  await new Promise<void>((resolve) => systemClock.after(ms, resolve));
}

/** Proxies in front of the first gate. */
async function proxies(pair: GatePair): Promise<readonly (readonly [DelayingProxy, number])[]> {
  const { address, port } = pair.targets[0];
  const made: [DelayingProxy, number][] = [];
  for (let count = 0; count < 2; count++) {
    const own = await freePort(address);
    const proxy = await DelayingProxy.listen(address, own, port);
    hosts.onClean(() => proxy.close());
    made.push([proxy, own]);
  }
  return made;
}

/** The first gate may take the volume back only 10 s after it has lost it. */
async function isAt(pair: GatePair, gate: GateIndex): Promise<void> {
  await pair.isIn(gate, 'active');
  await pair.isIn(gate === 0 ? 1 : 0, 'standby');
}

/** Sends the order, and then the old write again and again. */
async function lie(order: () => void, write: () => void): Promise<void> {
  order();
  for (let count = 0; count < WRITES; count++) {
    await pass(APART_MS);
    write();
  }
}

it('NVMe: a read and an old write that lie on the first gate take the volume back, and revert nothing', {
  timeout: TEST_MS,
}, async () => {
  const pair = await GatePair.begin(hosts, await hosts.network(1));
  const { nqn, targets } = pair;
  const { address } = targets[0];
  const login = async (port: number, keepAliveMs?: number) => {
    const both = await SocketHost.both(port, { nqn, ...(keepAliveMs === undefined ? {} : { keepAliveMs }) }, address);
    hosts.onClean(() => both.admin.close());
    hosts.onClean(() => both.io.close());
    return both;
  };
  const written = (host: { readonly io: SocketHost }, text: string): Promise<boolean> => {
    let cid = 100;
    return waitFor(async () => (await host.io.writeBlock(cid++, 0, block(text))) === 0, WAIT_MS, `${text} is written`);
  };
  const second = await login(targets[1].port);
  await written(second, 'A');
  await isAt(pair, 1);
  const [[late, latePort], [lost, lostPort]] = (await proxies(pair)) as [[DelayingProxy, number], [DelayingProxy, number]];
  const [first, other] = [await login(latePort), await login(lostPort, KEEP_ALIVE_MS)];
  [late.outMs, lost.outMs, late.isDeaf, lost.isDeaf] = [LATE_MS, LOST_MS, true, true];
  for (const { admin } of [first, other]) admin.isSilent = true;
  const old = [first, other].map(({ io }) => {
    let cid = 10;
    const command = (opcode: number) => ({ opcode, cid: cid++, nsid: 1, dwords: [0, 0, BLOCK / 512 - 1] });
    return lie(
      () => io.write(capsule({ ...command(2), transferBytes: BLOCK })),
      () => io.write(capsule({ ...command(1), data: block('B') })),
    );
  });
  await written(second, 'B');
  await written(second, 'C');
  expect(await pair.active()).toBe(1);
  await Promise.all(old);
  // The read that was late has brought the volume to the first gate.
  await pair.isIn(0, 'active');
  const after = await login(targets[0].port);
  let cid = 20;
  const read = async (): Promise<string> => (await after.io.readBlock(cid++, 0, BLOCK)).toString('latin1', 0, 1);
  const seen = new Set<string>();
  await waitFor(
    async () => {
      seen.add(await read());
      return (await gateOf(pair)).figures.cut >= 1;
    },
    WAIT_MS,
    'The late path is closed unread',
  );
  expect([...seen, await read()]).toEqual(['C', 'C']);
  await written(after, 'D');
});

it('iSCSI: an order and an old write that lie on the first gate take the volume back, and revert nothing', {
  timeout: TEST_MS,
}, async () => {
  const pair = await GatePair.begin(hosts, await hosts.network(1), undefined, ['--iscsi']);
  const { nqn: target, targets } = pair;
  const { address } = targets[0];
  let isids = 0;
  const login = async (at: GateIndex, port: number): Promise<SocketInitiator> => {
    const lun = (await pair.viewOf(at)).volumes[0]?.nsid ?? 0;
    const one = await SocketInitiator.login(port, { target, lun, isid: `40000137000${++isids}` }, address);
    hosts.onClean(() => one.close());
    return one;
  };
  const take = (to: GateIndex) => ({ cdb: [0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], data: Buffer.from([0, 0, 0, 0, 0, 0, 0, to + 1]) });
  const second = await login(1, targets[1].port);
  const isReady = async (): Promise<boolean> => {
    const { cdb, data } = take(1);
    await second.run(cdb, { data });
    return (await second.writeBlock(0, block('A'))).status === 0;
  };
  await waitFor(isReady, WAIT_MS, 'The volume is at the second gate');
  await isAt(pair, 1);
  const [[late, latePort], [lost, lostPort]] = (await proxies(pair)) as [[DelayingProxy, number], [DelayingProxy, number]];
  const [first, other] = [await login(0, latePort), await login(0, lostPort)];
  for (const one of [first, other]) await one.run([0, 0, 0, 0, 0, 0]);
  [late.outMs, lost.outMs, late.isDeaf, lost.isDeaf] = [LATE_MS, LOST_MS, true, true];
  for (const one of [first, other]) one.isSilent = true;
  const { cdb, data } = take(0);
  const old = [first, other].map((one) =>
    lie(
      () => void one.run(cdb, { data }).catch(() => undefined),
      () => one.write(one.writeCommand(0, block('B'))),
    ),
  );
  for (const text of ['B', 'C']) expect(await second.writeBlock(0, block(text))).toMatchObject({ status: 0 });
  expect(await pair.active()).toBe(1);
  await Promise.all(old);
  // The order that was late has brought the volume to the first gate.
  await pair.isIn(0, 'active');
  const after = await login(0, targets[0].port);
  const read = async (): Promise<string> => (await after.readBlock(0, BLOCK)).toString('latin1', 0, 1);
  const seen = new Set<string>();
  await waitFor(
    async () => {
      seen.add(await read());
      return (await gateOf(pair)).figures.cut >= 2;
    },
    WAIT_MS,
    'The late sessions are closed unread',
  );
  expect([...seen, await read()]).toEqual(['C', 'C']);
  expect(await after.writeBlock(0, block('D'))).toMatchObject({ status: 0 });
});

async function gateOf(pair: GatePair) {
  return (await pair.gates[0].call('gates', {})).gates[0]!;
}
