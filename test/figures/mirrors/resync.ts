// Measures the rate at which a replica is copied over a link of 1 Gbit/s while an application uses a share of this link, and the latency of
// the application. The pools are on a disk. The application is fio with random writes at a fixed rate. The writes go to both servers, and
// therefore compete with the copy for the link to the replica that returns.

import { setTimeout as sleep } from 'node:timers/promises';
import { fioJob, type FioSide } from '../../support/io/fio-figures.ts';
import { start } from '../../support/programs/programs.ts';
import { GIGABIT } from '../../support/netlab/shaped-links.ts';
import { goodputBytes } from '../../support/netlab/shaper.ts';
import { DEFAULT_TIMING, EXPORT, MirrorScene } from './scene.ts';

const P99 = '99.000000';
const ALONE_MS = 20_000;
const QUIET_MS = 5_000;
const SPARE_MS = 60_000;
const RESYNC_MAX_MS = 600_000;
const LOOK_MS = 100;
const REMOVED_MS = 1_500;
const REPLICA = 1;

export interface Resync {
  readonly bytes: number;
  readonly seconds: number;
  /** Bytes per second that the application writes during the copy. */
  readonly applicationBytes: number;
  /** Share of the remaining bandwidth that the copy uses. */
  readonly share: number;
  readonly p99Ms: number;
  /** 99th percentile of the latency of the same load without a copy. */
  readonly aloneP99Ms: number;
  readonly sentBytes: number;
}

/** `applicationShare`: share of the link that the application uses; 0: no application. */
export async function resync(folder: string, sizeBytes: number, applicationShare: number): Promise<Resync> {
  return MirrorScene.with({ timing: DEFAULT_TIMING, sizeBytes, folder }, async (scene) => {
    const { site } = scene;
    const linkBytes = goodputBytes(GIGABIT);
    const rate = Math.round(linkBytes * applicationShare);
    const nbd = site.client.nbdUri(EXPORT);
    site.kill(REPLICA);
    await sleep(REMOVED_MS);
    await scene.fill(sizeBytes);
    await sleep(REMOVED_MS);
    const sent = await scene.sentTo(REPLICA);
    await site.startAgain(REPLICA);
    const beganMs = performance.now();
    const during = rate === 0 ? null : startApplication(nbd, sizeBytes, rate);
    while (!(await site.isInSync())) await sleep(LOOK_MS);
    const seconds = (performance.now() - beganMs) / 1000;
    const sentBytes = (await scene.sentTo(REPLICA)) - sent;
    const busy = await during?.end();
    await sleep(QUIET_MS);
    // Now the same load runs without a copy, because both replicas are in sync.
    const after = rate === 0 ? null : startApplication(nbd, sizeBytes, rate);
    await sleep(after === null ? 0 : ALONE_MS);
    const alone = await after?.end();
    const applicationBytes = busy?.bw_bytes ?? 0;
    return {
      bytes: sizeBytes,
      seconds,
      applicationBytes,
      share: sizeBytes / seconds / (linkBytes - applicationBytes),
      p99Ms: p99Of(busy),
      aloneP99Ms: p99Of(alone),
      sentBytes,
    };
  });
}

function p99Of(side: FioSide | undefined): number {
  return (side?.lat_ns.percentile?.[P99] ?? 0) / 1e6;
}

/** Runs 8 KiB random writes at this rate until `end`. */
function startApplication(uri: string, sizeBytes: number, rate: number): { end(): Promise<FioSide> } {
  const args = [
    '--name=job',
    '--ioengine=nbd',
    `--uri=${uri}`,
    '--rw=randwrite',
    '--bs=8k',
    '--iodepth=32',
    `--size=${sizeBytes}`,
    `--rate=${rate}`,
    '--norandommap',
    '--lat_percentiles=1',
    '--time_based',
    `--runtime=${RESYNC_MAX_MS / 1000}`,
    '--output-format=json',
  ];
  const fio = start('fio', args, { timeoutMs: RESYNC_MAX_MS + SPARE_MS });
  return {
    end: async () => {
      // SIGINT ends fio. fio then prints its figures.
      fio.kill('SIGINT');
      return fioJob((await fio.ended).stdout).write;
    },
  };
}
