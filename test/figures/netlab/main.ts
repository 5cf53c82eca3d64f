// `npm run measure -- lab`: measures several links between a client and a server in network namespaces, with faults, and prints the results beside the
// goals. The other files of this folder make the measurements. Invariant: no process or namespace is left behind, and the output names the
// parts that could not run.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { LINK_FAULTS } from '../../support/netlab/link-faults.ts';
import { Netlab } from '../../support/netlab/netlab.ts';
import { whyNoNetlab } from '../../support/netlab/netns.ts';
import { GIGABIT } from '../../support/netlab/shaped-links.ts';
import { type FaultFigures, type FaultRun, faultSentences, faultTable, isGood, runFault } from './fault-runs.ts';
import { peerTable, type PeerRow, PEER_NAMES, peerRows } from './peers.ts';
import { Stage } from './stage.ts';
import { MEASUREMENTS, type ThroughputRow, throughputTable } from './throughput-runs.ts';
import { verifiedRun } from './verified-run.ts';

const GROUPS = ['faults', 'throughput', 'verify', 'peers'];
const NAMES = [...GROUPS, ...LINK_FAULTS.map(({ name }) => name), ...MEASUREMENTS.map(({ name }) => name), ...PEER_NAMES];
const HELP = `usage: npm run measure -- lab [--full] [--runs N] [--only NAME]... [--seconds S] [--congestion NAME] [--json]

Connects a client and a server in separate network namespaces with links of 1 Gbit/s. Measures how long I/O pauses when
one of two links fails and how much data up to 8 links carry, runs fio with verification under every fault, and measures
other ways to use several links. Needs root, iproute2 and nftables.

  --runs N            runs of each fault (default 3)
  --full              20 runs of each fault
  --only NAME         only this measurement; may be repeated: ${GROUPS.join(', ')}, or one of
                      ${NAMES.slice(GROUPS.length).join(', ')}
  --seconds S         duration of each throughput measurement (default 5)
  --congestion NAME   congestion control of both sides (default cubic)
  --json              print JSON instead of tables
  --help              print this help and exit
`;
const FULL_RUNS = 20;
const VERIFY_SECONDS = 60;

interface Options {
  readonly runs: number;
  readonly seconds: number;
  readonly congestion: string;
  readonly only: readonly string[];
}

const netlab = new Netlab();
const notRun: string[] = [];

function isWanted({ only }: Options, group: string, name: string): boolean {
  return only.length === 0 || only.includes(group) || only.includes(name);
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${text.padEnd(60)}\r`);
}

function isThere(program: string, debianPackage: string, what: string): boolean {
  if (spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', program], { stdio: 'ignore' }).status === 0) return true;
  notRun.push(`${what}: needs ${program}, Debian package ${debianPackage}`);
  return false;
}

/** Measures all faults. Each round has one run of every fault, so that other programs on the machine disturb all faults equally. */
async function faults(options: Options): Promise<FaultFigures[]> {
  const wanted = LINK_FAULTS.filter(({ name }) => isWanted(options, 'faults', name));
  const results = new Map(wanted.map((fault) => [fault, [] as FaultRun[]]));
  if (wanted.length === 0) return [];
  try {
    const stage = await Stage.open(netlab, [GIGABIT, GIGABIT], options.congestion);
    for (let run = 0; run < options.runs; run++) {
      for (const [fault, runs] of results) {
        progress(`${fault.name}, run ${run + 1} of ${options.runs}`);
        runs.push(await runFault(stage, fault, run));
      }
    }
  } finally {
    await netlab.clean();
  }
  return [...results].map(([fault, runs]) => ({ fault, runs }));
}

async function throughput(options: Options): Promise<ThroughputRow[]> {
  const rows: ThroughputRow[] = [];
  for (const measurement of MEASUREMENTS.filter((one) => isWanted(options, 'throughput', one.name))) {
    progress(measurement.name);
    rows.push(await measurement.measure(netlab, options));
  }
  return rows;
}

async function verification(options: Options): Promise<string | null> {
  if (!isWanted(options, 'verify', 'verify') || !isThere('fio', 'fio', 'verify')) return null;
  progress('verify');
  try {
    const stage = await Stage.open(netlab, [GIGABIT, GIGABIT], options.congestion);
    const { writes, verifyReads, slowestMs } = await verifiedRun(stage, VERIFY_SECONDS);
    return `${writes} writes and ${verifyReads} reads compared in ${VERIFY_SECONDS} s, no error; the slowest ${slowestMs.toFixed(0)} ms`;
  } finally {
    await netlab.clean();
  }
}

async function peers(options: Options): Promise<PeerRow[]> {
  const wanted = PEER_NAMES.filter((name) => isWanted(options, 'peers', name));
  if (wanted.length === 0 || !isThere('nbdkit', 'nbdkit', wanted.join(', '))) return [];
  const rows: PeerRow[] = [];
  for await (const row of peerRows(netlab, wanted, options, (reason) => notRun.push(reason))) {
    progress(`${row.peer}, ${row.what}`);
    rows.push(row);
  }
  return rows;
}

async function measureAll(options: Options, isJson: boolean): Promise<boolean> {
  const faultFigures = await faults(options);
  const say = (text: string): void => void (isJson || process.stdout.write(text));
  if (faultFigures.length > 0) say(`${faultTable(faultFigures)}${faultSentences(faultFigures)}\n`);
  const rows = await throughput(options);
  if (rows.length > 0) say(`${throughputTable(rows)}\n`);
  const verified = await verification(options);
  if (verified !== null) say(`fio with verification, every fault in turn: ${verified}\n\n`);
  const peerFigures = await peers(options);
  if (peerFigures.length > 0) say(`${peerTable(peerFigures)}\n`);
  for (const reason of notRun) say(`not run: ${reason}\n`);
  const figures = faultFigures.map(({ fault, runs }) => ({ fault: fault.name, sentence: fault.sentence, runs }));
  if (isJson) {
    const all = { options, faults: figures, throughput: rows, verified, peers: peerFigures, notRun };
    process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
  }
  return faultFigures.every(isGood) && rows.every((row) => row.isGood);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string' },
      full: { type: 'boolean' },
      only: { type: 'string', multiple: true },
      seconds: { type: 'string', default: '5' },
      congestion: { type: 'string', default: 'cubic' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  const options = {
    runs: Number(values.runs ?? (values.full === true ? FULL_RUNS : 3)),
    seconds: Number(values.seconds),
    congestion: values.congestion,
    only: values.only ?? [],
  };
  const areGood = [options.runs, options.seconds].every((value) => Number.isInteger(value) && value >= 1 && value <= 1_000);
  if (values.help === true || !areGood || !options.only.every((name) => NAMES.includes(name))) {
    process.stdout.write(HELP);
    return values.help === true ? 0 : 2;
  }
  const reason = await whyNoNetlab();
  if (reason !== null || !isThere('nft', 'nftables', 'the netlab') || !isThere('tc', 'iproute2', 'the netlab')) {
    process.stderr.write(`The netlab cannot run here: ${reason ?? notRun.join('; ')}\n`);
    return 2;
  }
  return (await measureAll(options, values.json === true)) ? 0 : 1;
}

process.on('SIGINT', () => {
  void netlab.clean().finally(() => process.exit(130));
});
process.exitCode = await main();
