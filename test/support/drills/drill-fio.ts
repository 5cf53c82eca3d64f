// The fio of a drill: several concurrent jobs on one export. Each job makes random writes of mixed sizes in its own part of the export,
// with or without fsync. The job reads the written blocks back and compares them. The drill makes the faults, and compares the content
// exactly. fio ends by `stop` or after a bounded time.

import type { Host } from '../hosts/host.ts';
import { type Running, start } from '../programs/programs.ts';

export interface DrillFioOutcome {
  readonly writes: number;
  readonly verifyReads: number;
  readonly flushes: number;
}

interface Job {
  readonly jobname: string;
  readonly error: number;
  readonly read: { readonly total_ios: number };
  readonly write: { readonly total_ios: number };
  readonly sync: { readonly total_ios: number };
}

/** Exit code of fio after SIGINT. The code is the same with and without a failure. Therefore the errors of the jobs are also checked. */
const STOPPED = 128;
const PART_MIB = 8;
const RATE_IOPS = 400;
/** A job writes this many blocks before it reads them back and compares them. */
const BACKLOG = 64;

const PLAIN = [['--bsrange=4k-64k'], ['--bssplit=512/30:4k/40:8k/30']];
const FLUSHING = [
  ['--bsrange=4k-64k', '--fsync=64'],
  ['--bssplit=512/30:4k/40:8k/30', '--fsync=4'],
];

export const DRILL_FIO_BYTES = (PLAIN.length + FLUSHING.length) * PART_MIB * 1024 * 1024;

interface DrillFioOptions {
  readonly flushes: boolean;
  readonly seconds: number;
  /** Writes per second of each job; default: RATE_IOPS. */
  readonly rateIops?: number;
}

export class DrillFio {
  /** Rejects with the whole output of fio if an I/O failed or a block differs. */
  readonly outcome: Promise<DrillFioOutcome>;
  /** Number of writes of all jobs after which every job has something to read back. */
  readonly beginningWrites: number;
  /** Number of writes after which all jobs have certainly read back earlier data. */
  readonly readBackWrites: number;
  private readonly running: Running;

  /** Uses the export's first DRILL_FIO_BYTES. */
  constructor(host: Host, exportName: string, options: DrillFioOptions) {
    const kinds = options.flushes ? [...PLAIN, ...FLUSHING] : PLAIN;
    this.beginningWrites = kinds.length * BACKLOG;
    this.readBackWrites = 2 * kinds.length * BACKLOG;
    const args = [
      ...['--ioengine=nbd', `--uri=${host.nbdUri(exportName)}`, '--thread', '--output-format=json', '--rw=randwrite', '--iodepth=8'],
      ...['--verify=crc32c', '--verify_fatal=1', `--verify_backlog=${BACKLOG}`, '--verify_state_save=0', '--randrepeat=0'],
      ...[`--size=${PART_MIB}m`, `--rate_iops=${options.rateIops ?? RATE_IOPS}`, '--time_based', `--runtime=${options.seconds}`],
    ];
    const jobs = kinds.flatMap((kind, index) => [`--name=job${index}`, ...args, `--offset=${index * PART_MIB}m`, ...kind]);
    this.running = start('fio', jobs, { timeoutMs: (options.seconds + 20) * 1000, cwd: host.root });
    this.outcome = outcomeOf(this.running);
    // If a drill fails before it awaits this promise, a rejection must not hide the error of the drill.
    this.outcome.catch(() => undefined);
  }

  /** Ends fio before its time is over. fio then does not read back the data that it wrote last. */
  stop(): void {
    this.running.kill('SIGINT');
  }
}

async function outcomeOf(running: Running): Promise<DrillFioOutcome> {
  const { code, signal, stdout, stderr } = await running.ended;
  if (code !== 0 && code !== STOPPED) throw new Error(`fio ended with ${signal ?? `code ${code}`}\n${stderr}`);
  const { jobs } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: Job[] };
  const failed = jobs.find(({ error }) => error !== 0);
  if (jobs.length === 0 || failed !== undefined)
    throw new Error(`${failed?.jobname ?? 'fio'} met error ${failed?.error ?? '?'}\n${stderr}`);
  const sum = (value: (job: Job) => number): number => jobs.reduce((total, job) => total + value(job), 0);
  return {
    writes: sum(({ write }) => write.total_ios),
    verifyReads: sum(({ read }) => read.total_ios),
    flushes: sum(({ sync }) => sync.total_ios),
  };
}
