// Two gates of one volume, used by Linux in a virtual machine with native multipath: it sees the states of both paths, and moves the volume
// from gate to gate by its I/O, while gates stand still, are killed, or lose their server or the host. RUNS: rounds of the hazard. Rules: D1,
// D3, G41.

import { beforeEach, expect, it } from 'vitest';
import { GATE_KEEP_ALIVE_MIN_MS } from '@rsio/gates/limits';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { type ChaosProxy, chaosProxies } from '../support/faults/chaos-proxy.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { type GateIndex, GatePair } from '../support/scenes/gate-pair.ts';
import { type GuestPath, guestPaths } from '../vm/multipath/guest-path.ts';
import { hazardRounds } from '../vm/multipath/hazard.ts';
import { BLOCK_BYTES } from '../vm/multipath/linux-host.ts';
import { unexpectedLines } from '../vm/nvme/kernel-log.ts';
import { NvmeHost } from '../vm/nvme/nvme-host.ts';
import { type VerifiedLoad, verifiedLoad } from '../vm/multipath/verified-load.ts';
import { needSmallMachine, SmallMachine } from '../vm/small/small-machine.ts';

const RUNS = Number(process.env['RUNS'] ?? 1);
/** A busy machine may give an emulated one a tenth of a processor. */
const EMULATED = { timeout: 900_000 };
const WAIT_MS = 30_000;
/** A round waits until the host gives the path up, and until ten seconds have passed since the last switch. */
const ROUND_MS = 300_000;
const KEEP_ALIVE_SECONDS = GATE_KEEP_ALIVE_MIN_MS / 1000;
/** Number of a block of the volume beyond the blocks that the load uses. */
const MARK = 2048;
const SECTORS = BLOCK_BYTES / 512;
/** Status for a host that the reservation of another host locks out, with Do Not Retry. */
const RESERVATION_CONFLICT = 0x4083;

const hosts = useHosts('file');
let pair: GatePair;
let machine: SmallMachine;
let linux: NvmeHost;
/** The path of the guest to each gate. */
let paths: readonly [GuestPath, GuestPath];
/** The path of the second gate to its server. */
let toServer: ChaosProxy;
let begun: Promise<unknown> | undefined;

beforeEach(async (context) => {
  needSmallMachine(context);
  needTool(context, 'nvme', 'nvme-cli');
  needTool(context, 'perl', 'perl-base');
  begun ??= Promise.all([startMachine(), startGates()]);
  await begun;
});

async function startMachine(): Promise<void> {
  machine = await SmallMachine.boot({ folder: hosts.host().file('vm'), modules: ['nvme_tcp'], programs: ['nvme'] });
  linux = new NvmeHost(machine);
  await machine.run('dmesg -c > /dev/null');
}

async function startGates(): Promise<void> {
  const network = await hosts.network(1);
  const { proxies, serverAddresses } = await chaosProxies(hosts, network);
  toServer = proxies[0]!;
  pair = await GatePair.begin(hosts, network, serverAddresses);
  paths = await guestPaths(hosts, pair.targets);
}

async function connect(at: GateIndex): Promise<void> {
  await linux.connect({ nqn: pair.nqn, port: paths[at].port, keepAliveSeconds: KEEP_ALIVE_SECONDS });
}

/** Resolves when the host sees these states of the paths to the two gates. */
async function hostSees(first: string, second: string): Promise<void> {
  const isSeen = async (): Promise<boolean> => {
    const seen = await linux.anaStates(1);
    return seen[paths[0].port] === first && seen[paths[1].port] === second;
  };
  await waitFor(isSeen, WAIT_MS, `The host sees ${first} and ${second}`);
}

function refuse(proxy: ChaosProxy): void {
  proxy.set({ newConnections: 'refuse' });
  proxy.cut();
}

/** Takes the volume from a gate by a call of `action`, and waits until the load continues at the other gate. */
async function moves(load: VerifiedLoad, to: GateIndex, what: string, action: () => Promise<void> | void): Promise<void> {
  const startMs = performance.now();
  await action();
  await pair.isIn(to, 'active');
  const movedMs = performance.now();
  await load.goesOn();
  report(`load while ${what}`, { 'moved after s': (movedMs - startMs) / 1000, 'went on after s': (performance.now() - startMs) / 1000 });
}

/** Runs `nvme COMMAND DEVICE ARGUMENTS` in the guest. */
function nvme(command: string, ...args: readonly string[]): Promise<string> {
  return linux.run(`nvme ${command} "$(device 1)" ${args.join(' ')}`);
}

it('a host that reaches the standby alone reads its partitions there, so that the gates switch', EMULATED, async () => {
  await connect(1);
  await linux.has(1);
  await pair.isIn(1, 'active');
  await connect(0);
  await linux.pathsLive(2);
  // The host then uses each path that it regards as optimized, even a path about which it has heard nothing lately.
  await linux.run('echo round-robin > /sys/class/nvme-subsystem/nvme-subsys0/iopolicy');
  await hostSees('non-optimized', 'optimized');
});

it('a verified load sees no error while gates lose their server, are killed, and lose the host', EMULATED, async () => {
  const load = verifiedLoad(linux, 1);
  await load.goesOn();
  await moves(load, 0, 'the active gate has no server', () => refuse(toServer));
  toServer.heal();
  await hostSees('optimized', 'non-optimized');
  await moves(load, 1, 'the active gate is killed', async () => void (await pair.gates[0].kill('rsiod')));
  await pair.gates[0].start('rsiod');
  await hostSees('non-optimized', 'optimized');
  await moves(load, 0, 'the host has no path to the active gate', () => refuse(paths[1].proxy));
  paths[1].proxy.heal();
  await linux.pathsLive(2);
  const rounds = await load.end();
  report('load of a Linux host', { 'writes of each lane': rounds.join(' ') });
});

it('the load waits while neither gate has a server, and goes on without an error', EMULATED, async () => {
  const load = verifiedLoad(linux, 1);
  await load.goesOn();
  const startMs = performance.now();
  await pair.server.stop('rssrv');
  await pair.isIn(0, 'waiting');
  await pair.server.start('rssrv');
  await load.goesOn();
  report('load while neither gate has a server', { 'went on after s': (performance.now() - startMs) / 1000 });
  await load.end();
});

it('a reservation goes with the volume to the other gate, and locks out another host there', EMULATED, async () => {
  const [active, other] = (await pair.active()) === 0 ? ([0, 1] as const) : ([1, 0] as const);
  await linux.write(1, MARK, 'Q');
  await nvme('resv-register', '--nrkey=0x1234', '--rrega=0');
  await nvme('resv-acquire', '--crkey=0x1234', '--rtype=1', '--racqa=0');
  const before = await nvme('resv-report', '--eds');
  expect(before).toMatch(/rtype +: 1\nregctl +: 1\n[^]*rcsts +: 1\n +rkey +: 1234\n/);
  refuse(paths[active].proxy);
  await linux.write(1, MARK, 'R');
  await pair.isIn(other, 'active');
  paths[active].proxy.heal();
  expect(await nvme('resv-report', '--eds')).toBe(before);
  const { address, port } = pair.targets[other];
  const stranger = await SocketHost.both(port, { nqn: pair.nqn }, address);
  hosts.onClean(() => [stranger.admin, stranger.io].forEach((one) => one.close()));
  expect(await stranger.io.writeBlock(1, MARK * SECTORS, Buffer.alloc(BLOCK_BYTES, 'X'))).toBe(RESERVATION_CONFLICT);
  await nvme('resv-register', '--crkey=0x1234', '--rrega=1');
  expect(await linux.read(1, MARK)).toBe('R');
  expect(await stranger.io.writeBlock(2, MARK * SECTORS, Buffer.alloc(BLOCK_BYTES, 'X'))).toBe(0);
  expect(await linux.read(1, MARK)).toBe('X');
});

it('a write that lies in a socket of a gate, which stands still, does not revert C (D1)', { timeout: RUNS * ROUND_MS }, async () => {
  const pids = await Promise.all(pair.gates.map(async (gate) => (await gate.call('daemon', {})).pid));
  const both = [
    { ...paths[0], pid: pids[0]! },
    { ...paths[1], pid: pids[1]! },
  ] as const;
  expect(await hazardRounds(linux, both, RUNS, MARK)).toEqual(Array.from({ length: RUNS }, () => 'C'));
});

it('the kernel of the host has logged nothing but what lost paths and changed states explain', EMULATED, async () => {
  expect((await unexpectedLines(machine)).join('\n')).toBe('');
});
