// The loads of the farm drill: two runs of fio with verification, a judge, and PostgreSQL with a ledger, each on its own client and volume.
// Invariants: a wrong byte, an I/O error or a lost transaction is a problem; a pulse counts the answers of a load, and thus measures its
// gaps.

import { Database } from '../postgres-mirror/database.ts';
import { Ledger } from '../postgres-mirror/ledger.ts';
import { DrillFio } from '../support/drills/drill-fio.ts';
import { Gaps } from '../support/drills/gaps.ts';
import { JudgedLoad } from '../support/drills/judged-load.ts';
import type { Host } from '../support/hosts/host.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import type { Site } from './machines.ts';

const LOOK_MS = 25;
const FIO_SECONDS = 36_000;
const FIO_IOPS = 40;
const JUDGE_PAUSE_MS = 25;
const KNOWN_MS = 30_000;

export interface Load {
  readonly name: string;
  readonly pool: string;
  readonly pulse: Pulse;
  /** Failures so far. */
  failures(): string[];
  /** Returns the failures so far, and the failures that only a check of the data finds. */
  check(): Promise<string[]>;
  /** Ends the load, and compares everything. Returns problems. */
  finish(): Promise<string[]>;
}

/** Follows a count that grows with each answer. The gaps are accurate to LOOK_MS. */
export class Pulse {
  readonly gaps = new Gaps();
  count = 0;
  private readonly read: () => number | Promise<number>;
  private timer: NodeJS.Timeout | null = null;
  private isEnded = false;

  constructor(read: () => number | Promise<number>) {
    this.read = read;
    void this.look();
  }

  end(): void {
    this.isEnded = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private async look(): Promise<void> {
    const count = await Promise.resolve(this.read()).catch(() => this.count);
    if (count > this.count) this.gaps.answered(performance.now());
    this.count = count;
    if (!this.isEnded) this.timer = setTimeout(() => void this.look(), LOOK_MS);
  }
}

/** The clients, with the pool and the size of each client's volume. The first client has a block device. */
export const LOADS = {
  postgres: { pool: 'slow', size: '768m' },
  'fio-fast': { pool: 'fast', size: '48m' },
  judge: { pool: 'fast', size: '16m' },
  'fio-slow': { pool: 'slow', size: '48m' },
} as const;
type LoadName = keyof typeof LOADS;

/** Makes the volumes, attaches them, and starts all loads. */
export async function startLoads(site: Site): Promise<Load[]> {
  const loads: Load[] = [];
  for (const { name, host } of site.clients) {
    const { pool, size } = LOADS[name as LoadName];
    await site.ownerOf(pool).owner.host.rsadmWell('volume', 'create', name, '--size', size, '--pool', pool);
    await waitFor(async () => (await host.rsconfig('-q')).stdout.includes(name), KNOWN_MS, `${name} sees its volume`);
    await host.rsconfigWell('-a', name);
    loads.push(await (name === 'postgres' ? startPostgres(site) : name === 'judge' ? startJudge(host) : startFio(name, pool, host)));
  }
  return loads;
}

async function startFio(name: string, pool: string, host: Host): Promise<Load> {
  const fio = new DrillFio(host, `osl/${name}`, { flushes: true, seconds: FIO_SECONDS, rateIops: FIO_IOPS });
  let [failure, isEnded]: [string | null, boolean] = [null, false];
  fio.outcome.then(
    () => (isEnded = true),
    (error: Error) => (failure = error.message),
  );
  const answers = async (): Promise<number> => {
    const { reads, writes, flushes } = await volumeStats(host, `osl:${name}@0`);
    return reads + writes + flushes;
  };
  const pulse = new Pulse(answers);
  const failures = (): string[] => (failure !== null ? [`${name}: ${failure}`] : isEnded ? [`${name}: fio has ended early`] : []);
  const finish = async (): Promise<string[]> => {
    pulse.end();
    fio.stop();
    return fio.outcome.then(
      ({ verifyReads }) => (verifyReads > 0 ? [] : [`${name}: fio has read nothing back`]),
      (error: Error) => [`${name}: ${error.message}`],
    );
  };
  return { name, pool, pulse, failures, check: async () => failures(), finish };
}

async function startJudge(host: Host): Promise<Load> {
  const name: LoadName = 'judge';
  const options = { beginBytes: 0, flushes: true, pauseMs: JUDGE_PAUSE_MS };
  const judge = await JudgedLoad.start(host, `osl/${name}`, options, new AbortController().signal);
  const pulse = new Pulse(() => judge.answered);
  const failures = (): string[] => [...judge.breaches, ...judge.errors].map((what) => `judge: ${what}`);
  const finish = async (): Promise<string[]> => {
    pulse.end();
    await judge.stop();
    const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, `osl/${name}`);
    await judge.compare('read at the end', (offset, lengthBytes) => nbd.read(offset, lengthBytes));
    nbd.close();
    return failures();
  };
  return { name, pool: LOADS[name].pool, pulse, failures, check: async () => failures(), finish };
}

async function startPostgres({ database: { name, host, devices } }: Site): Promise<Load> {
  const ledger = new Ledger();
  const database = new Database({ name, devices, device: `${host.root}/dev/av0/${name}` }, ledger);
  await database.make();
  database.startLoad();
  const pulse = new Pulse(() => ledger.commits);
  const check = async (): Promise<string[]> => [
    ...database.failures,
    ...(await database.compareLedger()),
    ...(await database.complaints()),
  ];
  const finish = async (): Promise<string[]> => {
    pulse.end();
    const failures = await database.stopLoad();
    const found = [...failures, ...(await database.compareLedger()), ...(await database.readAll()), ...(await database.amcheck())];
    return [...found, ...(await database.complaints()), ...(await database.close())];
  };
  return { name, pool: LOADS.postgres.pool, pulse, failures: () => database.failures, check, finish };
}
