// fio on an NBD export, as the judge of data: it writes blocks with checksums, reads them back while it continues to write, and stops at
// the first difference or I/O error. The test makes the faults.

import type { Host } from '../hosts/host.ts';
import { type Running, start, wellOf } from '../programs/programs.ts';

export interface FioOptions {
  /** Duration in seconds. The default is longer than any test: with the default, the test must stop fio when fio has read back enough. */
  readonly seconds?: number;
  /** Part of the volume that fio uses; default 32m. */
  readonly size?: string;
  /** fio writes this many blocks before it reads them back and compares them; default 1024. */
  readonly verifyBacklog?: number;
  /**
   * Maximum writes per second, and maximum reads per second; default: no limit. A limit needs `blockSize`, because fio takes the limit in
   * bytes.
   */
  readonly rateIops?: number;
  /** Size of all blocks, such as 8k; default BLOCKS. */
  readonly blockSize?: string;
}

export interface FioOutcome {
  readonly writes: number;
  readonly verifyReads: number;
  readonly flushes: number;
  readonly slowestMs: number;
  readonly writesP99Ms: number;
  readonly readsP99Ms: number;
}

interface FioDirection {
  readonly total_ios: number;
  readonly clat_ns: { readonly max: number; readonly percentile?: Readonly<Record<string, number>> };
}

interface FioJob {
  readonly error: number;
  readonly read: FioDirection;
  readonly write: FioDirection;
  readonly sync: { readonly total_ios: number };
}

/** Block sizes from 4 to 128 KiB, with their shares in percent. Most blocks are small, because a larger block costs both ends more time. */
const BLOCKS = '4k/50:8k/20:20k/15:64k/10:128k/5';
const LONGER_THAN_TESTS_SECONDS = 150;
const SPARE_SECONDS = 80;
/** Exit code of fio after SIGINT. The code is the same with and without a failure. Therefore the error of the job is also checked. */
const STOPPED = 128;
const P99 = '99.000000';

export interface RunningFio {
  /** Rejects with the whole output of fio if an I/O failed or a block differs. */
  readonly outcome: Promise<FioOutcome>;
  /** Ends fio before its time is over. fio then does not read back the data that it wrote last. */
  stop(): void;
}

/** Starts fio, and does not wait for its end. */
export function startFio(host: Host, name: string, options: FioOptions = {}): RunningFio {
  // With --randrepeat=0, each pass over the blocks writes other data. With repeated data, the second pass would write the data of the first
  // pass again, and a lost write would not be noticed.
  const { seconds = LONGER_THAN_TESTS_SECONDS, size = '32m', verifyBacklog = 1024, rateIops, blockSize } = options;
  // The option that names the engine precedes the options of the engine, because fio demands this order.
  const args = [
    ...['--name=job', '--ioengine=nbd', `--uri=${host.nbdUri(name)}`, '--thread', '--output-format=json'],
    ...[
      '--rw=randwrite',
      blockSize === undefined ? `--bssplit=${BLOCKS}` : `--bs=${blockSize}`,
      `--size=${size}`,
      '--iodepth=32',
      '--fsync=128',
    ],
    ...['--verify=crc32c', '--verify_fatal=1', `--verify_backlog=${verifyBacklog}`, '--verify_state_save=0'],
    ...(rateIops === undefined ? [] : [`--rate_iops=${rateIops}`]),
    ...['--time_based', `--runtime=${seconds}`, '--randrepeat=0'],
  ];
  const running = start('fio', args, { timeoutMs: (seconds + SPARE_SECONDS) * 1000, cwd: host.root });
  const outcome = outcomeOf(running);
  // If a test fails before it awaits this promise, a rejection must not hide the error of the test.
  outcome.catch(() => undefined);
  return { outcome, stop: () => running.kill('SIGINT') };
}

export async function outcomeOf(running: Running): Promise<FioOutcome> {
  const result = await running.ended;
  const stdout = result.code === STOPPED ? result.stdout : wellOf('fio', result);
  const { jobs } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: FioJob[] };
  const [job] = jobs;
  if (job === undefined || job.error !== 0) throw new Error(`fio met error ${job?.error ?? '?'}\n${stdout}${result.stderr}`);
  return {
    writes: job.write.total_ios,
    verifyReads: job.read.total_ios,
    flushes: job.sync.total_ios,
    slowestMs: Math.max(job.read.clat_ns.max, job.write.clat_ns.max) / 1e6,
    writesP99Ms: p99Ms(job.write),
    readsP99Ms: p99Ms(job.read),
  };
}

function p99Ms({ clat_ns }: FioDirection): number {
  return (clat_ns.percentile?.[P99] ?? 0) / 1e6;
}
