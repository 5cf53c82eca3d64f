// `npm run drill -- power-cuts`: cuts the power of the pool's disk, or kills rssrv, at random moments of snapshots, clones, rollbacks, removals and
// moves under verified writes. The program compares all contents afterwards. The drill is in test/support/power-cuts. Invariants: the exit
// code is 0 if and only if no round found a problem. The same seed makes the same choices.

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { ReflinkKind } from '../support/devices/reflink-disk.ts';
import { CutDrill, type Fault } from '../support/power-cuts/cut-drill.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { snapshotPace } from '../support/power-cuts/snapshot-pace.ts';

const HELP = `usage: npm run drill -- power-cuts [--cuts N] [--kills N] [--seed S] [--without-moves] [--btrfs]
       npm run drill -- power-cuts --snapshots-a-minute N [--minutes M]

Cuts the power of the disk of a pool (xfs_io shutdown on a loop device), or kills rssrv with SIGKILL, at random moments of changes of
snapshots and of moves between two pools, while a client writes to three volumes. Then it starts rssrv again and compares all volumes and snapshots with what was answered.

  --cuts N    power cuts (default 100); in a quarter of them, rssrv sees the disk fail before it ends
  --kills N   kills of the listener, of a server process, and of all of them in turn (default 50)
  --seed S    first seed (default random); each ten rounds, on a new disk, have the next one
  --btrfs                  pools on btrfs, in files of an XFS whose power is cut
  --without-moves          no moves: one pool, two volumes
  --snapshots-a-minute N   instead of faults: N snapshots a minute under fio with verification, and the removal of the oldest
  --minutes M              how long (default 10); before and after, a minute without snapshots
  --help      print this help and exit
`;

const ROUNDS_OF_DISK = 10;
const SEED_MAX = 2 ** 30;
const CUTS: readonly Fault[] = ['power cut', 'power cut', 'power cut', 'disk lost'];
const KILLS: readonly Fault[] = ['kill of all', 'kill of the listener', 'kill of a server process'];

interface Total {
  rounds: number;
  failed: number;
  /** For each kind of change: number of changes that have no answer because of the fault. */
  readonly open: Map<string, number>;
  changes: number;
  answered: number;
  busy: number;
  ioErrors: number;
}

interface Scene {
  readonly moves: boolean;
  readonly kind: ReflinkKind;
}

/** Plays the rounds. Returns false if this machine cannot make the disk. */
async function play(faults: readonly Fault[], seed: number, { moves, kind }: Scene, total: Total): Promise<boolean> {
  const hosts = new Hosts();
  let drill: CutDrill | null = null;
  const fail = (where: string, problems: readonly string[]): void => {
    if (problems.length === 0) return;
    total.failed++;
    for (const problem of problems) process.stderr.write(`seed ${seed}, ${where}: ${problem}\n`);
    process.stderr.write(drill?.logs ?? '');
  };
  let where = 'beginning';
  try {
    drill = await CutDrill.begin(hosts, seed, moves, kind);
    if (drill === null) return false;
    for (const [number, fault] of faults.entries()) {
      where = `round ${number + 1}, ${fault}`;
      total.rounds++;
      const { open, changes, problems } = await drill.round(fault);
      const kind = open?.kind ?? 'none';
      total.open.set(kind, (total.open.get(kind) ?? 0) + 1);
      total.changes += changes;
      fail(`${where}, at ${open?.text ?? 'no change'}`, problems);
    }
    where = 'end';
    fail(where, await drill.end());
    total.answered += drill.answered;
    total.busy += drill.busy;
    total.ioErrors += drill.ioErrors;
  } catch (error) {
    const { stack, cause } = error as Error;
    fail(where, [`${stack}${cause === undefined ? '' : `\ncaused by ${(cause as Error).stack}`}`]);
  } finally {
    await hosts.clean();
  }
  return true;
}

const options = {
  cuts: { type: 'string', default: '100' },
  kills: { type: 'string', default: '50' },
  seed: { type: 'string', default: String(randomInt(1, SEED_MAX)) },
  'snapshots-a-minute': { type: 'string', default: '0' },
  minutes: { type: 'string', default: '10' },
  'without-moves': { type: 'boolean' },
  btrfs: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

function noDisk(): number {
  process.stderr.write('power-cuts: Needs xfsprogs, and the right to mount a loop device with XFS (root)\n');
  return 1;
}

async function pace(aMinute: number, minutes: number): Promise<number> {
  const hosts = new Hosts();
  try {
    const lines = await snapshotPace(hosts, aMinute, minutes);
    if (lines === null) return noDisk();
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
    return 0;
  } finally {
    await hosts.clean();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options });
  const [cuts, kills, firstSeed] = [Number(values.cuts), Number(values.kills), Number(values.seed)];
  const [aMinute, minutes] = [Number(values['snapshots-a-minute']), Number(values.minutes)];
  const isSensible = [cuts, kills, firstSeed].every((value) => Number.isInteger(value) && value >= 0) && aMinute >= 0 && minutes > 0;
  if (values.help === true || !isSensible) {
    process.stdout.write(HELP);
    return values.help === true ? 0 : 2;
  }
  if (aMinute > 0) return pace(aMinute, minutes);
  const faults = [
    ...Array.from({ length: cuts }, (_, index) => CUTS[index % CUTS.length]!),
    ...Array.from({ length: kills }, (_, index) => KILLS[index % KILLS.length]!),
  ];
  const scene: Scene = { moves: values['without-moves'] !== true, kind: values.btrfs === true ? 'btrfs' : 'xfs' };
  let failed = 0;
  for (const [what, part] of [['power cuts', faults.slice(0, cuts)] as const, ['kills', faults.slice(cuts)] as const]) {
    const total: Total = { rounds: 0, failed: 0, open: new Map(), changes: 0, answered: 0, busy: 0, ioErrors: 0 };
    const beganMs = performance.now();
    for (let first = 0; first < part.length; first += ROUNDS_OF_DISK) {
      if (await play(part.slice(first, first + ROUNDS_OF_DISK), firstSeed + first / ROUNDS_OF_DISK, scene, total)) continue;
      return noDisk();
    }
    if (total.rounds === 0) continue;
    const { rounds, open, changes, answered, busy, ioErrors } = total;
    process.stdout.write(
      `${rounds} ${what}, in progress: ${[...open].map(([kind, count]) => `${kind} ${count}`).join(', ')}; ${changes} changes answered, ${busy} refused as busy; ${answered} I/Os answered, ` +
        `${ioErrors} with an error; ${total.failed} failed (${((performance.now() - beganMs) / 1000).toFixed(0)} s, seed ${firstSeed})\n`,
    );
    failed += total.failed;
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
