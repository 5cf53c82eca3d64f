// A gate for AoE of a real rsiod, used by the aoe module of Linux in a virtual machine, with frames of 9,000 bytes: a snapshot is read and
// cannot be written; a volume with unsafe writes carries a verified load while rsiod is killed; a volume grows. Rules: N15.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { AoeMachine, SHELF } from '../support/aoe/aoe-machine.ts';
import { placeSnapshot } from '../support/hosts/placed-snapshot.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { useNetlab } from '../support/netlab/netlab.ts';
import { needTool } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { needSmallMachine, SmallMachine } from '../vm/small/small-machine.ts';

const WAIT_MS = 60_000;
const LOAD_MS = 120_000;
const MIB = 1024 * 1024;
const TAP = 'tap0';
/** Rounds of the load that are expected after rsiod was killed. */
const ROUNDS = 5;
/** Writes new content to a block of 64 KiB, then reads and compares this block and the previous one; all I/O bypasses the page cache. */
const LOAD = `
pattern() { yes "round $1" | head -c 65536; }
holds() {
  pattern "$1" > /run/wanted
  dd if=$disk bs=64k count=1 iflag=direct skip=$(($1 % 8)) of=/run/read 2> /run/said && cmp /run/wanted /run/read
}
round=0
while [ ! -e /run/stop ]; do
  round=$((round + 1))
  pattern $round > /run/written
  dd if=/run/written of=$disk bs=64k oflag=direct seek=$((round % 8)) 2> /run/said && holds $round &&
    { [ $round = 1 ] || holds $((round - 1)); } || { echo "round $round: $(cat /run/said)"; exit 1; }
  echo $round > /run/round
done
echo $round`;

const netlab = useNetlab('file');
let gate: AoeMachine;
let machine: SmallMachine;
let begun: Promise<void> | undefined;

beforeEach(async (context) => {
  needSmallMachine(context);
  await netlab.need(context);
  needTool(context, 'perl', 'perl-base');
  begun ??= begin();
  await begun;
});

async function begin(): Promise<void> {
  gate = await AoeMachine.start(netlab);
  const { host, machine: place } = gate;
  const io = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
  await io.write(0, Buffer.from('monday'.padEnd(4096)));
  io.close();
  await host.stop('rssrv');
  placeSnapshot(gate.pool, 'oracle', 'monday');
  await host.start('rssrv');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', 'oracle@monday');
  await place.ip('tuntap', 'add', 'dev', TAP, 'mode', 'tap');
  await place.ip('link', 'set', TAP, 'mtu', '9000', 'up');
  await gate.addGate(TAP, '--offers', 'oracle,oracle@monday', '--slots', 'oracle@monday=1', '--unsafe-writes');
  machine = await SmallMachine.boot({ folder: host.file('vm'), modules: ['aoe'], card: { command: place.command, tap: TAP } });
  await machine.run('dmesg -c > /dev/null; ip link set eth1 mtu 9000 up');
}

/** Resolves when the guest has the disk of a slot. */
async function has(slot: number): Promise<void> {
  const look = `echo discover > /dev/etherd/discover; [ -b /dev/etherd/e${SHELF}.${slot} ]`;
  await waitFor(async () => (await machine.try(look)).code === 0, WAIT_MS, `The guest has the disk of slot ${slot}`);
}

it('Linux finds both disks, uses frames of 8,704 bytes, reads the snapshot, and cannot write it', async () => {
  await has(0);
  await has(1);
  expect(await machine.run('cat /sys/block/etherd*e7.1/size /sys/block/etherd*e7.1/queue/max_sectors_kb')).toMatch(/^32768\n/);
  expect(await machine.run('cat /sys/kernel/debug/aoe/* 2> /dev/null; cat /sys/block/etherd*e7.1/payload')).toContain('8704');
  expect((await machine.run('dd if=/dev/etherd/e7.1 bs=4k count=1 2> /dev/null')).trim()).toBe('monday');
  const { code } = await machine.try('dd if=/dev/zero of=/dev/etherd/e7.1 bs=4k count=1 oflag=direct');
  expect(code).not.toBe(0);
  expect((await machine.run('dd if=/dev/etherd/e7.1 bs=4k count=1 iflag=direct 2> /dev/null')).trim()).toBe('monday');
  expect((await gate.gate()).hosts).toHaveLength(1);
});

it('a verified load with unsafe writes goes on while rsiod is killed, and the server has its data', async () => {
  await has(0);
  const load = machine.run(`disk=/dev/etherd/e7.0\nrm -f /run/stop /run/round\n${LOAD}`, LOAD_MS);
  load.catch(() => undefined);
  const rounds = async (): Promise<number> => Number(await machine.run('cat /run/round || echo 0'));
  const goesOn = async (from: number): Promise<void> =>
    void (await waitFor(async () => (await rounds()) >= from + ROUNDS, WAIT_MS, 'The load goes on'));
  await goesOn(0);
  await gate.host.kill('rsiod');
  await gate.host.start('rsiod');
  await gate.answers();
  await goesOn(await rounds());
  await machine.run(': > /run/stop');
  const last = Number(await load);
  // Hosts that may write have the volume alone, so that no program of the gate can read it.
  const [id = ''] = readdirSync(path.join(gate.pool, 'volumes'));
  const seen = readFileSync(path.join(gate.pool, 'volumes', id, 'data'))
    .subarray((last % 8) * 65536)
    .subarray(0, 65536);
  expect(seen.toString('latin1').startsWith(`round ${last}\nround ${last}\n`)).toBe(true);
  report('load of a Linux host by AoE', { rounds: last, figures: JSON.stringify((await gate.gate()).figures) });
});

it('Linux sees that a volume has grown', async () => {
  await gate.host.rsadmWell('volume', 'grow', 'oracle', '24m');
  await waitFor(
    async () =>
      (await machine.try(`echo discover > /dev/etherd/discover; cat /sys/block/etherd*e7.0/size`)).text.trim() === `${(24 * MIB) / 512}`,
    WAIT_MS,
    'The guest sees the new size',
  );
});
