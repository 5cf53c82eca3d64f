// `npm run measure -- lab`: measures several links between a client and a server in network namespaces, with faults, and prints the results beside the
// goals. The other files of this folder make the measurements. Invariant: the output names the parts that could not run.

import { defineDrill } from '../../support/drills/harness.ts';
import { FIO, type Need, NETLAB, program } from '../../support/drills/needs.ts';
import { count, flag, json, optional, repeated, text } from '../../support/drills/options.ts';
import type { Scene } from '../../support/drills/scene.ts';
import { LINK_FAULTS } from '../../support/netlab/link-faults.ts';
import { GIGABIT } from '../../support/netlab/shaped-links.ts';
import { type FaultFigures, type FaultRun, faultSentences, faultTable, isGood, runFault } from './fault-runs.ts';
import { peerTable, type PeerRow, PEER_NAMES, peerRows } from './peers.ts';
import { Stage } from './stage.ts';
import { MEASUREMENTS, type ThroughputRow, throughputTable } from './throughput-runs.ts';
import { verifiedRun } from './verified-run.ts';

const GROUPS = ['faults', 'throughput', 'verify', 'peers'];
const NAMES = [...GROUPS, ...LINK_FAULTS.map(({ name }) => name), ...MEASUREMENTS.map(({ name }) => name), ...PEER_NAMES];
const FULL_RUNS = 20;
const VERIFY_SECONDS = 60;

interface Options {
  readonly runs: number;
  readonly seconds: number;
  readonly congestion: string;
  readonly only: readonly string[];
}

function isWanted({ only }: Options, group: string, name: string): boolean {
  return only.length === 0 || only.includes(group) || only.includes(name);
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${text.padEnd(60)}\r`);
}

/** Measures all faults. Each round has one run of every fault, so that other programs on the machine disturb all faults equally. */
async function faults(scene: Scene, options: Options): Promise<FaultFigures[]> {
  const wanted = LINK_FAULTS.filter(({ name }) => isWanted(options, 'faults', name));
  const results = new Map(wanted.map((fault) => [fault, [] as FaultRun[]]));
  if (wanted.length === 0) return [];
  const stage = await Stage.open(scene.netlab, [GIGABIT, GIGABIT], options.congestion);
  for (let run = 0; run < options.runs; run++) {
    for (const [fault, runs] of results) {
      scene.round(`${fault.name}, run ${run + 1}`);
      progress(`${fault.name}, run ${run + 1} of ${options.runs}`);
      runs.push(await runFault(stage, fault, run));
    }
  }
  await scene.netlab.clean();
  return [...results].map(([fault, runs]) => ({ fault, runs }));
}

async function throughput(scene: Scene, options: Options): Promise<ThroughputRow[]> {
  const rows: ThroughputRow[] = [];
  for (const measurement of MEASUREMENTS.filter((one) => isWanted(options, 'throughput', one.name))) {
    scene.round(measurement.name);
    progress(measurement.name);
    rows.push(await measurement.measure(scene.netlab, options));
  }
  return rows;
}

async function verification(scene: Scene, options: Options, notRun: string[]): Promise<string | null> {
  if (!isWanted(options, 'verify', 'verify') || !(await isThere(FIO, 'verify', notRun))) return null;
  scene.round('verify');
  progress('verify');
  const stage = await Stage.open(scene.netlab, [GIGABIT, GIGABIT], options.congestion);
  const { writes, verifyReads, slowestMs } = await verifiedRun(stage, VERIFY_SECONDS);
  await scene.netlab.clean();
  return `${writes} writes and ${verifyReads} reads compared in ${VERIFY_SECONDS} s, no error; the slowest ${slowestMs.toFixed(0)} ms`;
}

async function peers(scene: Scene, options: Options, notRun: string[]): Promise<PeerRow[]> {
  const wanted = PEER_NAMES.filter((name) => isWanted(options, 'peers', name));
  if (wanted.length === 0 || !(await isThere(program('nbdkit', 'nbdkit'), wanted.join(', '), notRun))) return [];
  const rows: PeerRow[] = [];
  for await (const row of peerRows(scene.netlab, wanted, options, (reason) => notRun.push(reason))) {
    scene.round(`${row.peer}, ${row.what}`);
    progress(`${row.peer}, ${row.what}`);
    rows.push(row);
  }
  return rows;
}

async function isThere(need: Need, what: string, notRun: string[]): Promise<boolean> {
  const why = await need.why();
  if (why !== null) notRun.push(`${what}: ${why}`);
  return why === null;
}

async function measureAll(scene: Scene, options: Options): Promise<void> {
  const notRun: string[] = [];
  const faultFigures = await faults(scene, options);
  const say = (lines: string): void => scene.say(lines.replace(/\n$/, ''));
  if (faultFigures.length > 0) say(`${faultTable(faultFigures)}${faultSentences(faultFigures)}\n`);
  const rows = await throughput(scene, options);
  if (rows.length > 0) say(`${throughputTable(rows)}\n`);
  const verified = await verification(scene, options, notRun);
  if (verified !== null) say(`fio with verification, every fault in turn: ${verified}\n`);
  const peerFigures = await peers(scene, options, notRun);
  if (peerFigures.length > 0) say(`${peerTable(peerFigures)}\n`);
  for (const reason of notRun) say(`not run: ${reason}`);
  const figures = faultFigures.map(({ fault, runs }) => ({ fault: fault.name, sentence: fault.sentence, runs }));
  scene.show({ options, faults: figures, throughput: rows, verified, peers: peerFigures, notRun }, () => '');
  const missed = [
    ...faultFigures.filter((one) => !isGood(one)).map(({ fault }) => fault.name),
    ...rows.filter((row) => !row.isGood).map(({ what }) => what),
  ];
  scene.at('end');
  scene.problem(...missed.map((name) => `${name} missed its goal`));
}

export const drill = defineDrill({
  about: `Connects a client and a server in separate network namespaces with links of 1 Gbit/s. Measures how long I/O pauses when one of two links fails
    and how much data up to 8 links carry, runs fio with verification under every fault, and measures other ways to use several links. A part that
    needs a program that this machine lacks (fio, nbdkit) does not run, and the output says so.`,
  needs: [NETLAB, program('tc', 'iproute2')],
  unit: 'measurements',
  endsAtOnce: true,
  options: {
    runs: optional(count(3, 'runs of each fault (default 3)', { max: 1_000 })),
    full: flag(`${FULL_RUNS} runs of each fault`),
    only: repeated('NAME', NAMES, 'only this measurement or group'),
    seconds: count(5, 'duration of each throughput measurement', { value: 'S', max: 1_000 }),
    congestion: text('NAME', 'cubic', 'congestion control of both sides'),
    json: json(),
  },
  play: (scene, { runs, full, only, seconds, congestion }) =>
    measureAll(scene, { runs: runs ?? (full ? FULL_RUNS : 3), seconds, congestion, only }),
});
