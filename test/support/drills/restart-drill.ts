// One drill: fio and a judged load use a volume over two paths, an event happens at the server, and the effects on the users and on the
// content of the volume are measured. restart-kinds.ts has the events; tests and figures judge the numbers. Invariant: every wait has a
// deadline, and cleaning the hosts ends everything that was started.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VolumeStats } from '@rsio/api/rsiod/methods';
import { NbdClient } from '../io/nbd-client.ts';
import { serverConfig, startClient } from '../hosts/configs.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts, TestNetwork } from '../hosts/hosts.ts';
import type { VolumeFaults } from '../faulty-server/volume-faults.ts';
import { waitFor } from '../programs/wait-for.ts';
import { DRILL_FIO_BYTES, DrillFio } from './drill-fio.ts';
import { lengthMs } from './gaps.ts';
import { JUDGED_BYTES, JudgedLoad } from './judged-load.ts';
import { isListening } from './listening.ts';

const MIB = 1024 * 1024;
const VOLUME = 'osl:oracle@0';
const EXPORT = 'osl/oracle';
/** Longer than any drill takes. The drill stops fio as soon as fio has read back its earlier writes. */
const FIO_SECONDS = 300;
const GOES_ON_MS = 60_000;
const LISTENS_MS = 35_000;
const LOOK_MS = 2;
/** Answers that the server sent before its end reach the judge within this time. */
const ANSWERS_COME_MS = 50;
const JUDGED_IOS = 300;

/** Figures of one outage, a time in which the server was down. */
export interface Outage {
  /** Time from the moment at which the server listens again to the first answered I/O. */
  readonly afterUpMs: number;
  /** Longest time in the outage in which no I/O was answered. */
  readonly longestMs: number;
}

export interface DrillResult {
  readonly outages: readonly Outage[];
  /** A sentence for each I/O error, and for each content that differs from the acknowledged content. */
  readonly breaches: readonly string[];
  /** Number of flushes that were answered EIO. */
  readonly flushErrors: number;
  readonly judgedIos: number;
  readonly fioReadBack: number;
  /** How often the client sent unflushed writes again. */
  readonly replays: number;
}

export interface StageOptions {
  /** Faults of the volume. Absent: the volume has no faults. */
  readonly faults?: (server: Host) => VolumeFaults;
  readonly fioFlushes: boolean;
  readonly judgeFlushes: boolean;
  /** The server stays down for at least this time. The server also stays down until the client reports that it waits for the server. */
  readonly downMs: number;
}

export class Stage {
  readonly server: Host;
  readonly client: Host;
  readonly network: TestNetwork;
  readonly judge: JudgedLoad;
  private readonly fio: DrillFio;
  private readonly downMs: number;
  private readonly outages: Outage[] = [];

  private constructor(pair: { server: Host; client: Host; network: TestNetwork }, fio: DrillFio, judge: JudgedLoad, downMs: number) {
    this.server = pair.server;
    this.client = pair.client;
    this.network = pair.network;
    this.fio = fio;
    this.judge = judge;
    this.downMs = downMs;
  }

  /** Starts the stage. Resolves when daemons and loads run. */
  static async set(hosts: Hosts, options: StageOptions): Promise<Stage> {
    const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
    const size = String(DRILL_FIO_BYTES + JUDGED_BYTES + MIB);
    const volumes = { oracle: { path: imageOf(server), size } };
    server.writeConfig('rssrv', serverConfig(network, { volumes }));
    await server.startFaulty({ oracle: options.faults?.(server) ?? {} });
    await startClient(client, network);
    await client.rsconfigWell('-a');
    const aborter = new AbortController();
    hosts.onClean(() => aborter.abort());
    const fio = new DrillFio(client, EXPORT, { flushes: options.fioFlushes, seconds: FIO_SECONDS });
    const judging = { beginBytes: DRILL_FIO_BYTES, flushes: options.judgeFlushes };
    const stage = new Stage(
      { server, client, network },
      fio,
      await JudgedLoad.start(client, EXPORT, judging, aborter.signal),
      options.downMs,
    );
    await stage.goesOn(fio.beginningWrites);
    return stage;
  }

  /**
   * Resolves when enough further I/O was answered, including `moreWrites` writes of fio. After the default number of writes, fio has read
   * back the writes that it made before.
   */
  async goesOn(moreWrites = this.fio.readBackWrites): Promise<void> {
    const { judge } = this;
    const fioWrites = async (): Promise<number> => (await this.stats()).writes - judge.writes;
    const [firstIos, firstWrites] = [judge.answered, await fioWrites()];
    const isOn = async (): Promise<boolean> => {
      if (judge.errors.length > 0) throw new Error(judge.errors.join('; '));
      return judge.answered >= firstIos + JUDGED_IOS && (await fioWrites()) >= firstWrites + moreWrites;
    };
    const fioEnded = this.fio.outcome.then(() => Promise.reject(new Error('fio ended by itself')));
    await Promise.race([fioEnded, waitFor(isOn, GOES_ON_MS, 'I/O resumes')]);
  }

  /** `strike` ends the server, and `begin` starts the next one. */
  async outage(strike: () => Promise<unknown>, begin: () => Promise<unknown>): Promise<void> {
    this.judge.gaps.forget();
    const struckMs = performance.now();
    await strike();
    const waits = async (): Promise<boolean> => (await this.client.call('status', {})).waiting.length === 1;
    await waitFor(waits, GOES_ON_MS, 'The volume waits');
    await sleep(Math.max(ANSWERS_COME_MS, this.downMs - (performance.now() - struckMs)));
    const awayMs = performance.now();
    const begun = begin();
    const upMs = await Promise.race([this.listens(), begun.then(() => this.listens())]);
    await begun;
    await this.goesOn();
    const { gaps } = this.judge;
    const outage = gaps.around(awayMs) ?? gaps.longest;
    // The test notices a little late that the server listens. If the first I/O was answered before the test noticed, the time counts as 0.
    this.outages.push({ afterUpMs: Math.max(0, outage.toMs - upMs), longestMs: lengthMs(gaps.longest) });
  }

  /** Resolves when a flush was answered OK. */
  async flushed(): Promise<void> {
    const nbd = await NbdClient.open(this.client.rsiodPaths.nbdSocket, EXPORT, AbortSignal.timeout(GOES_ON_MS));
    const isFlushed = async (): Promise<boolean> => {
      try {
        await nbd.flush();
        return true;
      } catch (error) {
        this.judge.flushFailed(error);
        return false;
      }
    };
    await waitFor(isFlushed, GOES_ON_MS, 'A flush is answered OK');
    await nbd.close();
  }

  /** How often the client has sent unflushed writes again. */
  get replays(): number {
    return this.client.log('rsiod').match(/The storage has started a new incarnation: [1-9]\d* unflushed bytes/g)?.length ?? 0;
  }

  /**
   * Ends the load, and compares the volume with the acknowledged content twice: as the client reads it, and as the file of the server after
   * the detach.
   */
  async end(): Promise<DrillResult> {
    const { judge, client, server } = this;
    await judge.stop();
    const nbd = await NbdClient.open(client.rsiodPaths.nbdSocket, EXPORT, AbortSignal.timeout(GOES_ON_MS));
    await judge.compare('read by the client', (offset, lengthBytes) => nbd.read(offset, lengthBytes));
    await nbd.close();
    this.fio.stop();
    const { verifyReads } = await this.fio.outcome;
    const { errors } = await this.stats();
    const unexpected = errors - judge.flushErrors;
    await client.rsconfigWell('-d', 'oracle');
    const content = readFileSync(imageOf(server));
    await judge.compare('in the file', (offset, lengthBytes) => content.subarray(offset, offset + lengthBytes));
    return {
      outages: this.outages,
      breaches: [...judge.breaches, ...judge.errors, ...(unexpected === 0 ? [] : [`${unexpected} I/O errors besides failed flushes`])],
      flushErrors: judge.flushErrors,
      judgedIos: judge.answered,
      fioReadBack: verifyReads,
      replays: this.replays,
    };
  }

  private async stats(): Promise<VolumeStats> {
    const { volumes } = await this.client.call('stats', {});
    const stats = volumes.find(({ volume }) => volume === VOLUME);
    if (stats === undefined) throw new Error(`${VOLUME} is not attached`);
    return stats;
  }

  /** Resolves with the time at which the server's socket listens, as precisely as the test can observe it. */
  private async listens(): Promise<number> {
    const endMs = performance.now() + LISTENS_MS;
    while (!isListening(this.network.serverAddresses[0] ?? '', this.network.port)) {
      if (performance.now() > endMs) throw new Error(`Nobody listens after ${LISTENS_MS} ms\n${this.server.log('rssrv')}`);
      await sleep(LOOK_MS);
    }
    return performance.now();
  }
}

function imageOf(server: Host): string {
  return server.file('storage/oracle.img');
}
