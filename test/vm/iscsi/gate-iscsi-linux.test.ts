// Two iSCSI gates of one volume, used by Linux in a virtual machine: iscsi_tcp, and dm-multipath with ALUA. The host moves the volume by its
// I/O, while gates are killed, lose the host, or stand still. Part of `npm run drills`. RUNS: rounds of the hazard. Rules: D1, D3, G41.

import { beforeEach, expect, it } from 'vitest';
import { useHosts } from '../../support/hosts/hosts.ts';
import { needTool } from '../../support/programs/programs.ts';
import { report } from '../../support/programs/report.ts';
import { type GateIndex, GatePair } from '../../support/scenes/gate-pair.ts';
import { ISCSI_MODULES, ISCSI_PROGRAMS, IscsiHost } from './iscsi-host.ts';
import { type GuestPath, guestPaths } from '../multipath/guest-path.ts';
import { hazardRounds } from '../multipath/hazard.ts';
import { type VerifiedLoad, verifiedLoad } from '../multipath/verified-load.ts';
import { needSmallMachine, SmallMachine } from '../small/small-machine.ts';

const RUNS = Number(process.env['RUNS'] ?? 1);
const ROUND_MS = 120_000;
/** Block of the volume behind the places of the load. */
const MARK = 2048;

const hosts = useHosts('file');
let pair: GatePair;
let machine: SmallMachine;
let linux: IscsiHost;
/** The path of the guest to each gate. */
let paths: readonly [GuestPath, GuestPath];
let begun: Promise<unknown> | undefined;

beforeEach(async (context) => {
  needSmallMachine(context, 'whole');
  needTool(context, 'iscsid', 'open-iscsi');
  needTool(context, 'dmsetup', 'dmsetup');
  needTool(context, 'perl', 'perl-base');
  begun ??= Promise.all([startMachine(), startGates()]);
  await begun;
});

async function startMachine(): Promise<void> {
  machine = await SmallMachine.boot({ folder: hosts.host().file('vm'), modules: ISCSI_MODULES, programs: ISCSI_PROGRAMS, kernel: 'whole' });
  linux = await IscsiHost.begin(machine);
  await machine.run('dmesg -c > /dev/null');
}

async function startGates(): Promise<void> {
  pair = await GatePair.begin(hosts, await hosts.network(1), undefined, ['--iscsi']);
  paths = await guestPaths(hosts, pair.targets);
}

/**
 * New connections of a path get no answer. They are not reset: an iscsid whose new connection is reset at the wrong moment never connects
 * again (open-iscsi, issue 387).
 */
function swallow(path: GateIndex): void {
  paths[path].proxy.set({ newConnections: 'swallow' });
}

/** Lets `action` take the volume from its gate, and waits until the load goes on at the other gate. */
async function moves(load: VerifiedLoad, to: GateIndex, what: string, action: () => Promise<void> | void): Promise<void> {
  const startMs = performance.now();
  await action();
  await pair.isIn(to, 'active');
  await load.goesOn();
  report(`load by iSCSI while ${what}`, { 'went on after s': (performance.now() - startMs) / 1000 });
}

it('the host makes one device of the units of both gates', async () => {
  await linux.connect(pair.nqn, [paths[0].port, paths[1].port]);
  await linux.pathsLive(2);
  await linux.write(1, MARK, 'M');
  expect(await linux.read(1, MARK)).toBe('M');
  expect(await linux.sizeBytes(1)).toBe(16 * 1024 * 1024);
});

it('a verified load sees no error while the active gate is killed, and while the host loses its path', async () => {
  await pair.isIn(0, 'active');
  const load = verifiedLoad(linux, 1);
  await load.goesOn();
  await moves(load, 1, 'the active gate is killed', async () => {
    swallow(0);
    await pair.gates[0].kill('rsiod');
  });
  await pair.gates[0].start('rsiod');
  await pair.isIn(0, 'standby');
  paths[0].proxy.heal();
  await linux.pathsLive(2);
  await moves(load, 0, 'the host has no path to the active gate', () => {
    swallow(1);
    paths[1].proxy.cut();
  });
  paths[1].proxy.heal();
  await linux.pathsLive(2);
  report('load of a Linux host by iSCSI', { 'writes of each lane': (await load.end()).join(' ') });
});

it('a write that lies in a socket of a gate, which stands still, does not revert C (D1)', { timeout: RUNS * ROUND_MS }, async () => {
  const pids = await Promise.all(pair.gates.map(async (gate) => (await gate.call('daemon', {})).pid));
  const both = [
    { ...paths[0], pid: pids[0]! },
    { ...paths[1], pid: pids[1]! },
  ] as const;
  expect(await hazardRounds(linux, both, RUNS, MARK)).toEqual(Array.from({ length: RUNS }, () => 'C'));
});
