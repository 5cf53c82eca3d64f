// Two gates on two machines for one volume, with a raw host that has a path to each: the host sees one namespace, and the states of both paths.
// One gate stands still, is killed or loses its paths to the server, or another client of the volume is in the way. Rules: D1, D2, D3, G41.

import { beforeAll, expect, it } from 'vitest';
import { GATE_SWITCH_MS } from '@rsio/gates/limits';
import { capsule } from '@rsio/gates/nvme/testing/nvme-host';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { startClient } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { type GateIndex, GatePair } from '../support/scenes/gate-pair.ts';

const WAIT_MS = 60_000;
const BLOCK = 4096;
/** ANA states, and the status of a command that must use another path. */
const [OPTIMIZED, NON_OPTIMIZED, INACCESSIBLE] = [1, 2, 3];
const PATH_ERROR = 0x300;

const hosts = useHosts('file');
let pair: GatePair;

beforeAll(async () => {
  pair = await GatePair.begin(hosts, await hosts.network(1));
});

async function login(at: GateIndex): Promise<{ readonly admin: SocketHost; readonly io: SocketHost }> {
  const both = await waitFor(
    () => SocketHost.both(pair.targets[at].port, { nqn: pair.nqn }, pair.targets[at].address).catch(() => null),
    WAIT_MS,
    'The host logs in',
  );
  hosts.onClean(() => {
    both.admin.close();
    both.io.close();
  });
  return both;
}

/** The state of namespace 1 in the log of a path. */
async function stateAt(admin: SocketHost): Promise<number> {
  const log = await admin.run({ opcode: 2, cid: 30, dwords: [(1023 << 16) | 0x0c], transferBytes: BLOCK });
  if (log.kind !== 'data') throw new Error(`Log: ${JSON.stringify(log)}`);
  await admin.next((answer) => answer.kind === 'done' && answer.cid === 30);
  // A header of 16 bytes, and one group: its id, the count of its namespaces, the count of changes, the state.
  expect([log.data.readUInt16LE(8), log.data.readUInt32LE(16), log.data.readUInt32LE(20), log.data.readUInt32LE(48)]).toEqual([1, 1, 1, 1]);
  return log.data[32]! & 15;
}

function block(text: string): Buffer {
  return Buffer.alloc(BLOCK, text);
}

/** Writes as a host does: it repeats a command that must use another path until the command succeeds. */
async function written(path: { readonly io: SocketHost }, text: string): Promise<void> {
  const endMs = Date.now() + WAIT_MS;
  for (let cid = 100; ; cid++) {
    const status = await path.io.writeBlock(cid, 0, block(text));
    if (status === 0) return;
    expect(status & 0x700).toBe(PATH_ERROR);
    if (Date.now() > endMs) throw new Error(`Status 0x${status.toString(16)} for ${WAIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

it('both gates show one namespace of one subsystem, and say which of them has it', async () => {
  const [first, second] = [await login(0), await login(1)];
  expect([await stateAt(first.admin), await stateAt(second.admin)]).toEqual([OPTIMIZED, NON_OPTIMIZED]);
  expect(Math.abs(first.admin.cntlid - second.admin.cntlid)).toBeGreaterThan(1_000);
  await written(first, 'first');
  expect((await pair.viewOf(1)).volumes).toMatchObject([
    { nsid: 1, label: 'osl:oracle@0', state: 'standby', sizeBytes: 16 * 2 ** 20, why: null },
  ]);
  expect(await pair.gates[1].rsconfigWell('gate', 'show', 'pair')).toMatch(/^ +1 {2}osl:oracle@0 +16m +standby$/m);
});

it('a gate that stands still loses the volume to the gate that the host asks, and reverts nothing when it goes on', async () => {
  const [first, second] = [await login(0), await login(1)];
  await written(first, 'A');
  const { pid } = await pair.gates[0].call('daemon', {});
  process.kill(pid, 'SIGSTOP');
  first.io.write(capsule({ opcode: 1, cid: 6, nsid: 1, dwords: [0, 0, BLOCK / 512 - 1], data: block('B') }));
  const { events } = second.admin;
  await written(second, 'B');
  // The host hears of the change of the state, and reads it.
  expect(second.admin.events).toBeGreaterThan(events);
  await written(second, 'C');
  process.kill(pid, 'SIGCONT');
  // B is not executed: the host hears that the volume is elsewhere.
  expect(await first.io.next((answer) => answer.kind === 'done' && answer.cid === 6)).toMatchObject({ status: 0x302 });
  await waitFor(
    async () => (await pair.viewOf(0)).volumes.some(({ state }) => state === 'waiting' || state === 'standby'),
    WAIT_MS,
    'It is lost',
  );
  expect((await second.io.readBlock(50, 0, BLOCK)).equals(block('C'))).toBe(true);
  const again = await login(0);
  expect([INACCESSIBLE, NON_OPTIMIZED]).toContain(await stateAt(again.admin));
  expect(await stateAt(second.admin)).toBe(OPTIMIZED);
});

it('a host that reaches one gate alone gets the volume there, but not sooner than ten seconds after the last switch', async () => {
  await pair.isIn(1, 'active');
  await pair.isIn(0, 'standby');
  const first = await login(0);
  await written(first, 'D');
  await pair.isIn(0, 'active');
  await pair.isIn(1, 'waiting');
  const beganMs = Date.now();
  const second = await login(1);
  await written(second, 'E');
  expect(Date.now() - beganMs).toBeGreaterThan(GATE_SWITCH_MS / 2);
  expect((await second.io.readBlock(60, 0, BLOCK)).equals(block('E'))).toBe(true);
});

it('the machine of the active gate dies, and the other gate goes on; then it comes back as a standby', async () => {
  await pair.isIn(1, 'active');
  await pair.isIn(0, 'standby');
  const first = await login(0);
  await pair.gates[1].kill('rsiod');
  await written(first, 'F');
  await pair.gates[1].start('rsiod');
  // A host that comes back removes each namespace that it does not find, and fails each command that is refused for good.
  expect(await stateAt((await login(1)).admin)).toBe(NON_OPTIMIZED);
  await pair.isIn(1, 'standby');
  expect((await first.io.readBlock(60, 0, BLOCK)).equals(block('F'))).toBe(true);
});

it('a gate that has taken the volume over has it again after a restart, before its hosts come', async () => {
  await pair.isIn(0, 'active');
  await pair.gates[0].kill('rsiod');
  await pair.gates[0].start('rsiod');
  await pair.isIn(0, 'active');
});

it('a client that is no gate keeps the volume, whatever hosts send to the standbys', async () => {
  await pair.isIn(0, 'active');
  await pair.gates[0].rsconfigWell('-d', 'oracle', '--force');
  const mars = hosts.host();
  await startClient(mars, pair.network, { node: 'mars', client: 2 });
  await mars.rsconfigWell('-a', 'oracle');
  const path = await login(1);
  await waitFor(async () => (await pair.viewOf(1)).volumes.some(({ state }) => state === 'standby'), WAIT_MS, 'It is a standby');
  expect((await path.io.writeBlock(70, 0, block('G'))) & 0x700).toBe(PATH_ERROR);
  const isRefused = async (): Promise<boolean> => (await pair.viewOf(1)).volumes.some(({ why }) => why?.includes('mars') === true);
  await waitFor(isRefused, WAIT_MS, 'The gate says who has the volume');
  expect((await mars.rsconfigWell('-l')).includes('oracle')).toBe(true);
  await mars.rsconfigWell('-d', 'oracle');
  await written(path, 'H');
});
