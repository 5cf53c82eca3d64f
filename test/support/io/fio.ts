// fio on an NBD export, as the judge of data: it writes blocks with checksums, reads them back while it continues to write, and stops at
// the first difference or I/O error. Faults are the test's job.

import type { Host } from '../hosts/host.ts';
import { type Running, start, wellOf } from '../programs/programs.ts';

export interface FioOptions {
  /** Ends it by itself; default longer than any test, which stops it when it has read back enough, however long that takes. */
  readonly seconds?: number;
  /** Part of the volume it uses; default 32m. */
  readonly size?: string;
  /** Blocks written before they are read back and compared; default 1024. */
  readonly verifyBacklog?: number;
  /** Writes, and as many reads, a second at most; default as many as go. Needs `blockSize`, because fio limits bytes. */
  readonly rateIops?: number;
  /** Size of all blocks, such as 8k; default BLOCKS. */
  readonly blockSize?: string;
}

export interface FioOutcome {
  readonly writes: number;
  readonly verifyReads: number;
  readonly flushes: number;
  /** Slowest single I/O. */
  readonly slowestMs: number;
  /** 99 of 100 took no longer. */
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

/** Blocks of 4 to 128 KiB, with their shares. Most are small, because what a block costs, on both sides, is its bytes. */
const BLOCKS = '4k/50:8k/20:20k/15:64k/10:128k/5';
const LONGER_THAN_TESTS_SECONDS = 150;
const SPARE_SECONDS = 80;
/** Its exit code after SIGINT without a failure; the job's error shows a failure. */
const STOPPED = 128;
const P99 = '99.000000';

export interface RunningFio {
  /** Rejects with the whole output of fio if an I/O failed or a block differs. */
  readonly outcome: Promise<FioOutcome>;
  /** Ends it early: the last written data is not read back any more. */
  stop(): void;
}

/** Starts fio beside the test. */
export function startFio(host: Host, name: string, options: FioOptions = {}): RunningFio {
  // Repeated, the second pass would write what the first wrote, and a lost write would not be missed: --randrepeat=0.
  const { seconds = LONGER_THAN_TESTS_SECONDS, size = '32m', verifyBacklog = 1024, rateIops, blockSize } = options;
  // fio knows an engine's options only behind the engine.
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
  // A test that fails before it asks must fail with its own error.
  outcome.catch(() => undefined);
  return { outcome, stop: () => running.kill('SIGINT') };
}

async function outcomeOf(running: Running): Promise<FioOutcome> {
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
