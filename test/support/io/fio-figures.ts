// fio as the load of a measurement: the command line of fio, and the figures from its output. fio.ts runs fio with verified data instead.
// The callers judge the figures. Invariant: a run with an error yields no figures.

import { run, wellOf } from '../programs/programs.ts';

/** The figures of one direction, reads or writes, of a job. */
export interface FioSide {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly io_bytes: number;
  /** Latency in ns, measured from the sending of a request. */
  readonly clat_ns: { readonly mean: number; readonly max: number };
  /** Latency in ns, measured from the submission of a request. This latency includes the time for which an engine waits while it sends. */
  readonly lat_ns: { readonly mean: number; readonly percentile?: Readonly<Record<string, number>> };
}

export interface FioJob {
  readonly read: FioSide;
  readonly write: FioSide;
}

export interface FioRun {
  /**
   * Engine and place, such as `--ioengine=nbd` and `--uri=...`. The engine comes first, because fio accepts the options of an engine only
   * after the option that names the engine.
   */
  readonly where: readonly string[];
  /** Engines and places of further jobs, which run at the same time. The figures are then sums over all jobs. */
  readonly besides?: readonly (readonly string[])[];
  /** Further options of fio, such as `--rw=read`. */
  readonly words: readonly string[];
  readonly size: string;
  readonly seconds: number;
  /** fio runs for this many seconds before the measurement begins. */
  readonly rampSeconds: number;
}

/** Time that fio may take in addition to the seconds that it was given. */
const SPARE_MS = 60_000;
const P50 = '50.000000';

/** Returns the only job in the output of fio. The output may have lines before the JSON text. Throws if the job had an error. */
export function fioJob(stdout: string): FioJob {
  const start = stdout.indexOf('{');
  const { jobs } = (start < 0 ? { jobs: [] } : JSON.parse(stdout.slice(start))) as { jobs: (FioJob & { readonly error: number })[] };
  const [job] = jobs;
  if (job === undefined || job.error !== 0) throw new Error(`fio failed: ${stdout}`);
  return job;
}

/** Returns the direction in which a job with only reads or only writes has done I/O. */
export function onlySide({ read, write }: FioJob): FioSide {
  return read.io_bytes > 0 ? read : write;
}

export function medianUs({ lat_ns }: FioSide): number {
  return (lat_ns.percentile?.[P50] ?? lat_ns.mean) / 1000;
}

/** Runs fio to its end. `command`: prefix of the command line of fio, such as `nsenter ...`; empty: no prefix. */
export async function runFio(
  command: readonly string[],
  { where, besides = [], words, size, seconds, rampSeconds }: FioRun,
): Promise<FioJob> {
  const times = ['--time_based', `--runtime=${seconds}`, ...(rampSeconds > 0 ? [`--ramp_time=${rampSeconds}`] : [])];
  const how = [...words, `--size=${size}`, '--norandommap', '--lat_percentiles=1', '--group_reporting', ...times];
  const args = [...[where, ...besides].flatMap((place, index) => [`--name=job${index}`, ...place, ...how]), '--output-format=json'];
  const [first = '', ...rest] = [...command, 'fio', ...args];
  return fioJob(wellOf(`fio ${args.join(' ')}`, await run(first, rest, { timeoutMs: (seconds + rampSeconds) * 1000 + SPARE_MS })));
}
