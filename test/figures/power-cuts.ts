// `npm run drill -- power-cuts`: cuts the power of the pool's disk, or kills rssrv, at random moments of snapshots, clones, rollbacks, removals and
// moves under verified writes. The program compares all contents afterwards. The drill is in test/support/power-cuts. The same seed
// makes the same choices.

import type { ReflinkKind } from '../support/devices/reflink-disk.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { BTRFS, FIO, ROOT_USER, XFS } from '../support/drills/needs.ts';
import { amount, count, flag, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { counted } from '../support/drills/table.ts';
import { CutDrill, type Fault } from '../support/power-cuts/cut-drill.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { snapshotPace } from '../support/power-cuts/snapshot-pace.ts';

const ROUNDS_OF_DISK = 10;
const NO_DISK = 'No XFS on a loop device here';
const CUTS: readonly Fault[] = ['power cut', 'power cut', 'power cut', 'disk lost'];
const KILLS: readonly Fault[] = ['kill of all', 'kill of the listener', 'kill of a server process'];

interface Total {
  rounds: number;
  /** For each kind of change: number of changes that have no answer because of the fault. */
  readonly open: Map<string, number>;
  changes: number;
  answered: number;
  busy: number;
  ioErrors: number;
}

interface Way {
  readonly moves: boolean;
  readonly kind: ReflinkKind;
}

/** Plays the rounds on a new disk. */
async function play(
  scene: Scene,
  hosts: Hosts,
  faults: readonly Fault[],
  ofDisk: number,
  { moves, kind }: Way,
  total: Total,
): Promise<void> {
  scene.at(`beginning of the disk of seed ${ofDisk}`);
  const drilled = await CutDrill.begin(hosts, ofDisk, moves, kind);
  if (drilled === null) throw new Error(NO_DISK);
  scene.withLogs(() => drilled.logs);
  for (const [number, fault] of faults.entries()) {
    if (scene.isEnding) break;
    const where = `disk of seed ${ofDisk}, round ${number + 1}, ${fault}`;
    scene.round(where);
    total.rounds++;
    const { open, changes, problems } = await drilled.round(fault);
    const change = open?.kind ?? 'none';
    total.open.set(change, (total.open.get(change) ?? 0) + 1);
    total.changes += changes;
    scene.at(`${where}, at ${open?.text ?? 'no change'}`);
    scene.problem(...problems);
  }
  scene.at(`end of the disk of seed ${ofDisk}`);
  scene.problem(...(await drilled.end()));
  total.answered += drilled.answered;
  total.busy += drilled.busy;
  total.ioErrors += drilled.ioErrors;
}

async function playAll(scene: Scene, what: string, faults: readonly Fault[], way: Way): Promise<void> {
  const total: Total = { rounds: 0, open: new Map(), changes: 0, answered: 0, busy: 0, ioErrors: 0 };
  const [beganMs, found] = [performance.now(), scene.problems];
  for (let first = 0; first < faults.length && !scene.isEnding; first += ROUNDS_OF_DISK) {
    const part = faults.slice(first, first + ROUNDS_OF_DISK);
    await scene.attempt((hosts) => play(scene, hosts, part, scene.seed + first / ROUNDS_OF_DISK, way, total));
  }
  const { rounds, open, changes, answered, busy, ioErrors } = total;
  if (rounds === 0) return;
  scene.say(
    `${rounds} ${what}, in progress: ${counted(open)}; ${changes} changes answered, ${busy} refused as busy; ${answered} I/Os answered, ` +
      `${ioErrors} with an error; ${scene.problems - found} problems (${((performance.now() - beganMs) / 1000).toFixed(0)} s)`,
  );
}

export const drill = defineDrill({
  about: `Cuts the power of the disk of a pool (xfs_io shutdown on a loop device), or kills rssrv with SIGKILL, at random moments of changes of
    snapshots and of moves between two pools, while a client writes to three volumes. Then it starts rssrv again and compares all volumes and
    snapshots with what was answered.

    With --snapshots-a-minute, it makes snapshots under fio with verification instead, and removes the oldest; before and after, there is a
    minute without snapshots.`,
  needs: [ROOT_USER, XFS],
  options: {
    cuts: count(100, 'power cuts; in a quarter of them, rssrv sees the disk fail before it ends', { min: 0 }),
    kills: count(50, 'kills of the listener, of a server process, and of all of them in turn', { min: 0 }),
    seed: seed('first seed; each ten rounds, on a new disk, have the next one (default: a new one)'),
    withoutMoves: flag('no moves: one pool, two volumes'),
    btrfs: flag('pools on btrfs, in files of an XFS whose power is cut'),
    snapshotsAMinute: amount(0, 'instead of faults: snapshots a minute', { min: 0 }),
    minutes: amount(10, 'with --snapshots-a-minute: how long', { value: 'M' }),
  },
  async play(scene, { cuts, kills, withoutMoves, btrfs, snapshotsAMinute, minutes }) {
    if (btrfs) await scene.need(BTRFS);
    if (snapshotsAMinute > 0) {
      await scene.need(FIO);
      scene.round('snapshots');
      const lines = await snapshotPace(scene.hosts, snapshotsAMinute, minutes);
      if (lines === null) throw new Error(NO_DISK);
      for (const line of lines) scene.say(line);
      return;
    }
    const way: Way = { moves: !withoutMoves, kind: btrfs ? 'btrfs' : 'xfs' };
    const some = (faults: readonly Fault[], length: number): Fault[] =>
      Array.from({ length }, (_, index) => faults[index % faults.length]!);
    await playAll(scene, 'power cuts', some(CUTS, cuts), way);
    await playAll(scene, 'kills', some(KILLS, kills), way);
  },
});
