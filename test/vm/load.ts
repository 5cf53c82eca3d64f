// The verified load on a mounted file system: fio runs as a unit of systemd, writes blocks with checksums and reads them back. The longest
// I/O of fio shows the longest gap that an application would see.

import type { Guest } from './machine.ts';

export interface LoadResult {
  /** Error with which fio ended: 0, an errno, or EILSEQ for a block with wrong content. */
  readonly error: number;
  readonly writes: number;
  readonly reads: number;
  readonly longestMs: number;
  readonly output: string;
}

const JOB = [
  ...['--name=load', '--filename=/data/load', '--size=16m', '--rw=randwrite', '--bs=4k', '--direct=1', '--ioengine=libaio', '--iodepth=4'],
  ...['--rate_iops=40', '--verify=crc32c', '--verify_backlog=64', '--verify_fatal=1', '--fsync=64', '--time_based', '--runtime=1800'],
  ...['--output-format=json', '--output=/root/load.json'],
].join(' ');
const ENDED_S = 300;

export async function beginLoad(machine: Guest): Promise<void> {
  // If the program of a unit was interrupted, the unit stays in the state failed. The name of the unit can be used again only after a
  // reset.
  const unit = 'systemd-run --quiet --unit=load --property=RemainAfterExit=yes';
  await machine.run(`rm -f /root/load.json; systemctl reset-failed load 2>/dev/null; ${unit} fio ${JOB} && sleep 5`);
}

export async function endLoad(machine: Guest): Promise<LoadResult> {
  const wait = `for i in $(seq ${ENDED_S}); do systemctl show load -p SubState | grep -q running || break; sleep 1; done`;
  await machine.try(`systemctl kill --signal=INT load; ${wait}; sleep 1`, (ENDED_S + 60) * 1_000);
  const output = await machine.run(
    'cat /root/load.json; systemctl show load -p Result -p SubState; systemctl stop load; journalctl --unit=load --lines=5 --no-pager',
  );
  const json = /^\{[\s\S]*^\}/m.exec(output)?.[0] ?? '{}';
  const job = (JSON.parse(json) as FioOutput).jobs?.[0];
  if (job === undefined) throw new Error(`fio has left no result: ${output.slice(-500)}`);
  const longestMs = Math.max(job.write.lat_ns.max, job.read.lat_ns.max) / 1e6;
  return { error: job.error, writes: job.write.total_ios, reads: job.read.total_ios, longestMs, output: output.slice(0, 400) };
}

interface FioOutput {
  readonly jobs?: readonly { readonly error: number; readonly write: FioSide; readonly read: FioSide }[];
}

interface FioSide {
  readonly total_ios: number;
  readonly lat_ns: { readonly max: number };
}
