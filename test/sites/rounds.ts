// The rounds of `npm run drill -- sites`: under a verified load, a fault, a drill at the target, and a comparison of each clone with its moment at
// the source; at the end, a promotion without the source. Invariants: no moment of a drill is older than that of an earlier drill. The
// followers get a newer moment after every fault.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Scene } from '../support/drills/scene.ts';
import { seconds } from '../support/drills/table.ts';
import { chaosProxies } from '../support/faults/chaos-proxy.ts';
import { clientConfig } from '../support/hosts/configs.ts';
import { type RunningFio, startFio } from '../support/io/fio.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { type FaultStage, type SiteFault, SITE_FAULTS } from './faults.ts';
import { Numbers, spreadOf } from './numbers.ts';
import { type Clones, Sites } from './site.ts';

const GIB = 1024 ** 3;
/** Two volumes with numbered writes, and two with fio. */
const [NUMBERED, RANDOM] = [
  ['db', 'log'],
  ['data', 'index'],
] as const;
const DRILL_TRIES = 200;
const AGAIN_MS = 200;
const FIO_SECONDS = 12 * 3600;

/** What the whole drill has done. */
export interface Tally {
  compared: number;
  readonly faults: Map<string, number>;
  /** Age of the moment at the drill, and time from the end of a fault to the next moment at the target. */
  readonly agesMs: number[];
  readonly nextMs: number[];
  fio: string;
}

export class Rounds {
  readonly tally: Tally = { compared: 0, faults: new Map(), agesMs: [], nextMs: [], fio: '' };
  readonly stage: FaultStage;
  private readonly numbers: Numbers;
  private readonly loads: readonly RunningFio[];
  private readonly scene: Scene;
  private lastMs = 0;

  private constructor(stage: FaultStage, numbers: Numbers, loads: readonly RunningFio[], scene: Scene) {
    [this.stage, this.numbers, this.loads, this.scene] = [stage, numbers, loads, scene];
  }

  static async begin(scene: Scene): Promise<Rounds> {
    const { hosts, random } = scene;
    const [source, target] = [hosts.host(), hosts.host()];
    const [network, ownNetwork] = [await hosts.network(2), await hosts.network(1)];
    const { proxies, serverAddresses } = await chaosProxies(hosts, network);
    const parts = { source, target, network, ownNetwork, peerAddresses: serverAddresses, diskBytes: 6 * GIB, tls: true };
    const sites = await Sites.start(hosts, parts);
    await sites.create([...NUMBERED, ...RANDOM], '32m');
    source.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' }, serverAddresses: network.serverAddresses }));
    await source.start('rsiod');
    await source.pathsUp(2);
    await source.rsconfigWell('-a', ...sites.names);
    const nbds: NbdIo[] = [];
    for (const name of NUMBERED) nbds.push(await NbdIo.open(source.rsiodPaths.nbdSocket, `osl/${name}`));
    for (const nbd of nbds) hosts.onClean(() => nbd.close());
    const loads = RANDOM.map((name) => startFio(source, `osl/${name}`, { seconds: FIO_SECONDS, rateIops: 60, blockSize: '16k' }));
    const rounds = new Rounds({ sites, proxies, random }, new Numbers(nbds), loads, scene);
    await sites.replicate('--every', '1s', '--keep', '60');
    await sites.newerMoment(0);
    return rounds;
  }

  /** Plays a round, and prints its line. */
  async round(): Promise<void> {
    const { stage, tally } = this;
    const { sites, random } = stage;
    const fault = random.pick(SITE_FAULTS);
    tally.faults.set(fault.name, (tally.faults.get(fault.name) ?? 0) + 1);
    let endMs = Infinity;
    const faulted = fault.run(stage).then(() => (endMs = Date.now()));
    // Rejections are seen below, after the drill.
    faulted.catch(() => undefined);
    await sleep(random.int(0, 2_000));
    const clones = await this.drilled(fault, () => endMs !== Infinity);
    const ageMs = Date.now() - clones.momentMs;
    await faulted;
    const next = sites.newerMoment(Math.max(endMs, clones.momentMs)).then(() => Math.max(0, Date.now() - endMs));
    // A rejection is seen after the comparison.
    next.catch(() => undefined);
    const problems = [...(await this.problemsOf(clones)), ...(await this.loadErrors())];
    await sites.removeClones();
    const nextMs = await next;
    tally.agesMs.push(ageMs);
    tally.nextMs.push(nextMs);
    this.scene.say(
      `round ${String(this.scene.rounds).padEnd(4)} ${fault.name.padEnd(28)} moment ${seconds(ageMs)} old, ${problems.length === 0 ? `${sites.names.length} equal` : 'PROBLEMS'}, next moment after ${seconds(nextMs)}`,
    );
    this.scene.problem(...problems);
  }

  /** Ends the load, promotes the followers while the source is down, and compares them with their moment and with the source. */
  async end(): Promise<void> {
    const { tally, stage } = this;
    const { sites } = stage;
    await this.numbers.end();
    for (const load of this.loads) load.stop();
    const outcomes = await Promise.all(this.loads.map(({ outcome }) => outcome));
    const sum = (of: (one: (typeof outcomes)[number]) => number): number => outcomes.reduce((total, one) => total + of(one), 0);
    tally.fio = `fio: ${sum(({ writes }) => writes)} writes, ${sum(({ verifyReads }) => verifyReads)} read back; ${this.numbers.answered} numbers written`;
    await sites.newerMoment(Date.now());
    await sites.source.kill('rssrv');
    const groups = (await sites.drill()) as Clones;
    await sites.target.rsadmWell('volume', 'promote', ...sites.names);
    await sites.source.start('rssrv');
    const problems = [...(await sites.compare(groups.group)), ...(await sites.compare(groups.group, '')), ...(await sites.findings())];
    tally.compared += 2 * sites.names.length;
    const refused = await sites.target.rsadm('volume', 'promote', ...sites.names);
    if (refused.code === 0) problems.push('A second promotion was not refused');
    this.scene.say(`promoted without the source: ${problems.length === 0 ? `${sites.names.length} equal` : 'different'}`);
    this.scene.problem(...problems);
  }

  /** Makes the clones. Only a fault of the target may make the command fail, until the fault is over. */
  private async drilled(fault: SiteFault, isOver: () => boolean): Promise<Clones> {
    const { sites } = this.stage;
    for (let tries = 1; ; tries++) {
      const wasOver = isOver();
      const clones = await sites.drill().catch((error: Error) => error.message);
      if (typeof clones !== 'string') return clones;
      if (!fault.isAtTarget || wasOver || tries === DRILL_TRIES) throw new Error(`The drill failed: ${clones}`);
      await sleep(AGAIN_MS);
      // A command that was interrupted may have made some clones.
      await sites.removeClones().catch(() => undefined);
    }
  }

  private async problemsOf(clones: Clones): Promise<string[]> {
    const { stage, tally } = this;
    const problems = await stage.sites.compare(clones.group);
    tally.compared += stage.sites.names.length;
    if (clones.momentMs < this.lastMs)
      problems.push(`The moment is ${this.lastMs - clones.momentMs} ms older than that of the drill before`);
    this.lastMs = clones.momentMs;
    const spread = await spreadOf(stage.sites, NUMBERED);
    if (spread >= NUMBERED.length) problems.push(`The volumes are of two moments: their last numbers differ by ${spread}`);
    return problems;
  }

  private async loadErrors(): Promise<string[]> {
    const ended = await Promise.all(
      this.loads.map(({ outcome }) => Promise.race([outcome.then(() => 'fio has ended', String), sleep(0, null)])),
    );
    return ended.filter((one) => one !== null);
  }
}
