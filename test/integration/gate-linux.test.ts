// A gate of a real rsiod, used by Linux in a virtual machine with native multipath: discovery, four I/O queues, paths that are cut in turn, a
// volume that grows, a snapshot as a second namespace, rsiod that is killed, and the hazard that a host repeats a write elsewhere. RUNS:
// rounds of the hazard. Rules: D1, G40.

import { beforeEach, expect, it } from 'vitest';
import { GATE_KEEP_ALIVE_MIN_MS } from '@rsio/gates/limits';
import type { ProxyEnd } from '../support/faults/chaos-proxy.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { placeSnapshot } from '../support/hosts/placed-snapshot.ts';
import { needTool } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { type GuestPath, guestPaths } from '../vm/multipath/guest-path.ts';
import { type HazardPaths, hazardRounds } from '../vm/multipath/hazard.ts';
import { unexpectedLines } from '../vm/nvme/kernel-log.ts';
import { IO_QUEUES, NvmeHost } from '../vm/nvme/nvme-host.ts';
import { PLAIN_NQN, plainTargets } from '../vm/nvme/plain-targets.ts';
import { verifiedLoad } from '../vm/multipath/verified-load.ts';
import { HOST_ADDRESS, needSmallMachine, SmallMachine } from '../vm/small/small-machine.ts';

const RUNS = Number(process.env['RUNS'] ?? 1);
/** A busy machine may give an emulated one a tenth of a processor. */
const EMULATED = { timeout: 900_000 };
const WAIT_MS = 30_000;
const ROUND_MS = 300_000;
const MIB = 1024 * 1024;
const KEEP_ALIVE_SECONDS = GATE_KEEP_ALIVE_MIN_MS / 1000;
const HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
/** Number of a block of the volume beyond the blocks that the load uses. */
const MARK = (8 * MIB) / 4096;

const hosts = useHosts('file');
let server: Host;
let client: Host;
let pool: string;
let machine: SmallMachine;
let linux: NvmeHost;
/** The paths of the guest to both addresses of the gate. */
let paths: readonly [GuestPath, GuestPath];
let targets: readonly [ProxyEnd, ProxyEnd];
let nqn: string;
let begun: Promise<unknown> | undefined;

beforeEach(async (context) => {
  needSmallMachine(context);
  needTool(context, 'nvme', 'nvme-cli');
  needTool(context, 'perl', 'perl-base');
  begun ??= Promise.all([startMachine(), startGate()]);
  await begun;
});

async function startMachine(): Promise<void> {
  machine = await SmallMachine.boot({ folder: hosts.host().file('vm'), modules: ['nvme_tcp'], programs: ['nvme'] });
  linux = new NvmeHost(machine);
  await machine.run('dmesg -c > /dev/null');
}

async function startGate(): Promise<void> {
  [server, client] = [hosts.host(), hosts.host()];
  const network = await hosts.network(2);
  pool = await emptyPool(server);
  await startServer(server, network, { volumes: {}, pools: { fast: { path: pool } } });
  await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  const [address = ''] = network.clientAddresses();
  targets = [
    { address, port: await freePort(address) },
    { address, port: await freePort(address) },
  ];
  client.writeConfig('rsiod', clientConfig(network));
  await client.start('rsiod');
  await client.pathsUp(2);
  await client.rsconfigWell('-a', 'oracle');
  const addresses = targets.map((target) => `${target.address}:${target.port}`).join();
  await client.rsconfigWell('gate', 'add', 'g1', addresses, '--hosts', 'all', '--offers', 'oracle,oracle@monday', '--reload');
  await waitFor(async () => (await gate()).listening.length === 2, WAIT_MS, 'The gate listens');
  nqn = (await gate()).nqn;
  paths = await guestPaths(hosts, targets);
}

async function gate() {
  const [found] = (await client.call('gates', {})).gates;
  return found ?? { nqn: '', hosts: [], listening: [], volumes: [] };
}

async function connectBoth(subsystem: string, both: readonly [GuestPath, GuestPath]): Promise<void> {
  for (const { port } of both) await linux.connect({ nqn: subsystem, port, keepAliveSeconds: KEEP_ALIVE_SECONDS });
  await linux.pathsLive(2);
  await linux.has(1);
}

/** Both paths of the gate lead to one process. `pid`: the process that stops; null: the network holds bytes back. */
function gatePaths(pid: number | null): HazardPaths {
  return [
    { ...paths[0], pid },
    { ...paths[1], pid },
  ];
}

it('Linux finds the gate at both addresses, and connects four I/O queues to each', EMULATED, async () => {
  const found = await linux.run(`nvme discover -t tcp -a ${HOST_ADDRESS} -s ${paths[0].port} -q ${HOST_NQN}`);
  const subsystems = [...found.matchAll(/^trsvcid: (\d+)\s+subnqn: +(\S+)\s+traddr: +(\S+)$/gm)];
  expect(subsystems.map(([, port, subsystem, address]) => ({ port: Number(port), subsystem, address }))).toEqual(
    targets.map((target) => ({ ...target, subsystem: nqn })),
  );
  await connectBoth(nqn, paths);
  expect(await linux.run('cat /sys/class/nvme/nvme*/queue_count')).toBe(`${1 + IO_QUEUES}\n${1 + IO_QUEUES}`);
  expect(await linux.sizeBytes(1)).toBe(16 * MIB);
});

it('a verified load sees no error while its paths are cut in turn, and while rsiod is killed', EMULATED, async () => {
  const load = verifiedLoad(linux, 1);
  const cut: number[] = [];
  for (const { proxy } of [...paths, ...paths]) {
    cut.push(proxy.cut());
    await waitFor(() => proxy.stats.open === 1 + IO_QUEUES, WAIT_MS, 'The host connects again');
    await linux.pathsLive(2);
  }
  await client.kill('rsiod');
  await client.start('rsiod');
  await waitFor(() => paths.every(({ proxy }) => proxy.stats.open === 1 + IO_QUEUES), WAIT_MS, 'The host connects to the next rsiod');
  await linux.pathsLive(2);
  const rounds = await load.end();
  expect(cut).toEqual(cut.map(() => 1 + IO_QUEUES));
  report('load of a Linux host', { 'writes of each lane': rounds.join(' ') });
});

it('the host sees that a volume grows, and a snapshot of it as a second namespace', EMULATED, async () => {
  await server.rsadmWell('volume', 'grow', 'oracle', '24m');
  await waitFor(async () => (await linux.sizeBytes(1)) === 24 * MIB, WAIT_MS, 'The host sees the new size');
  await linux.write(1, MARK, 'S');
  await server.stop('rssrv');
  placeSnapshot(pool, 'oracle', 'monday');
  await server.start('rssrv');
  await client.pathsUp(2);
  await client.rsconfigWell('-a', 'oracle@monday');
  await linux.has(2);
  await linux.write(1, MARK, 'T');
  expect([await linux.read(1, MARK), await linux.read(2, MARK)]).toEqual(['T', 'S']);
  expect(await linux.run('blockdev --getro "$(device 1)"; blockdev --getro "$(device 2)"')).toBe('0\n1');
});

it('a write that lies in a path of the gate is not executed when the host has repeated it (D1)', { timeout: RUNS * ROUND_MS }, async () => {
  expect(await hazardRounds(linux, gatePaths(null), RUNS, MARK)).toEqual(Array.from({ length: RUNS }, () => 'C'));
});

it('a write that lies in a socket of rsiod, which stands still, does not revert C (D1)', { timeout: RUNS * ROUND_MS }, async () => {
  const { pid } = await client.call('daemon', {});
  expect(await hazardRounds(linux, gatePaths(pid), RUNS, MARK)).toEqual(Array.from({ length: RUNS }, () => 'C'));
});

it('this host reads B from two plain targets, so that the rounds above could fail', { timeout: RUNS * ROUND_MS }, async () => {
  await linux.disconnect();
  const plain = await plainTargets(client.file('plain'));
  const [first, second] = await guestPaths(hosts, plain);
  await connectBoth(PLAIN_NQN, [first, second]);
  const both = [
    { ...first, pid: plain[0].pid },
    { ...second, pid: plain[1].pid },
  ] as const;
  expect(await hazardRounds(linux, both, RUNS, 0)).toEqual(Array.from({ length: RUNS }, () => 'B'));
});

it('the kernel of the host has logged nothing but what lost paths explain', EMULATED, async () => {
  expect((await unexpectedLines(machine)).join('\n')).toBe('');
});
