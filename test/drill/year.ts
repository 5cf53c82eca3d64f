// The administrator's year: random orders while programs write. After each order, all contents are compared with the model, and
// `rsconfig doctor` must name what is wrong, and nothing else. Invariant: an order ends with everything in place again, so that each
// seed can go on for any number of orders.

import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { waitFor } from '../support/programs/wait-for.ts';
import { Contents } from './contents.ts';
import { Writers } from './writers.ts';
import { type Image, other, type Place, POOLS, SERVERS, type YearSite } from './year-site.ts';
import { YEAR_ORDERS } from './year-orders.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 4 * MIB;
const [BEFORE_MIN_MS, BEFORE_MAX_MS, WAIT_MS, DOCTOR_MS] = [100, 600, 60_000, 30_000];

export interface YearVolume {
  name: string;
  readonly kind: 'plain' | 'mirror' | 'replicated';
  contents: Contents;
}

interface DoctorFinding {
  readonly check: string;
  readonly severity: 'error' | 'warning' | 'ok';
  readonly object: string;
  readonly what: string;
}

export class Year {
  readonly site: YearSite;
  readonly random: SeededRandom;
  readonly tally = { answered: 0, compared: 0, examined: 0, orders: new Map<string, number>() };
  readonly plain: YearVolume[] = [];
  readonly mirror: YearVolume = { name: 'm1', kind: 'mirror', contents: Contents.zeros(SIZE_BYTES) };
  readonly replicated: YearVolume = { name: 'r1', kind: 'replicated', contents: Contents.zeros(SIZE_BYTES) };
  /** The server that is the source of the replicated volume. */
  source: Place = 0;
  /** Images of servers of which nothing has changed since that a restore would bring back for good. */
  readonly images = new Map<Place, Image>();
  readonly say: (line: string) => void;
  private writers: Writers[] = [];
  /** What doctor says of the site while all is well. */
  private usual: ReadonlySet<string> = new Set();
  private number = 0;

  constructor(site: YearSite, random: SeededRandom, say: (line: string) => void) {
    this.site = site;
    this.random = random;
    this.say = say;
  }

  async begin(): Promise<void> {
    const { site } = this;
    for (const name of ['v1', 'v2']) {
      await site.order('volume', 'create', name, '--size', String(SIZE_BYTES), '--server', SERVERS[0], '--pool', POOLS[0], '--attach');
      this.plain.push({ name, kind: 'plain', contents: Contents.zeros(SIZE_BYTES) });
    }
    const about = ['--size', String(SIZE_BYTES), '--servers', `${SERVERS[0]},${SERVERS[1]}`, '--witness', SERVERS[2]];
    await site.order('mirror', 'create', this.mirror.name, ...about);
    await site.order('-a', this.mirror.name);
    await site.order('volume', 'create', this.replicated.name, '--size', String(SIZE_BYTES), '--server', SERVERS[0], '--attach');
    await this.replicate();
    await this.untilSettled();
    this.usual = new Set((await this.findings()).map(keyOfFinding));
    this.say(`doctor says of a site where all is well: ${[...this.usual].join('; ') || 'nothing'}`);
  }

  /** One random order, with everything that follows. */
  async step(number: number): Promise<void> {
    const order = this.chosen();
    this.tally.orders.set(order.name, (this.tally.orders.get(order.name) ?? 0) + 1);
    const beganMs = performance.now();
    this.say(`order ${number}: ${order.name}`);
    await this.write();
    await sleep(this.random.int(BEFORE_MIN_MS, BEFORE_MAX_MS));
    await order.run(this);
    await this.quiet();
    await this.compareAll();
    await this.untilSettled();
    await this.doctorSays([]);
    this.say(`  ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
  }

  private chosen(): (typeof YEAR_ORDERS)[number] {
    const fitting = YEAR_ORDERS.filter(({ isPossible }) => isPossible === undefined || isPossible(this));
    let at = this.random.unit() * fitting.reduce((sum, { weight }) => sum + weight, 0);
    return fitting.find(({ weight }) => (at -= weight) < 0) ?? fitting[0]!;
  }

  volumes(): readonly YearVolume[] {
    return [...this.plain, this.mirror, this.replicated];
  }

  // --- writes

  /** Begins to write to all volumes. */
  private async write(): Promise<void> {
    this.writers = this.volumes().map(({ name, contents }) => new Writers(name, contents, this.tally));
    for (const one of this.writers) await one.start(this.site.client, this.random.int(1, 2 ** 30));
  }

  /** Ends all writes. `isCut`: rsiod was killed or restarted. `allowed`: errors that the order brings with it. */
  async quiet(isCut = false, allowed: RegExp | null = null): Promise<void> {
    const writers = this.writers;
    this.writers = [];
    for (const one of writers) await one.stop(isCut);
    const wrong = writers.flatMap(({ errors }) => errors).filter((error) => allowed?.test(error) !== true);
    if (wrong.length > 0) throw new Error(`A request was answered with an error: ${wrong[0]}`);
  }

  /** Ends the writes to one volume; those to the others go on. */
  async still({ name }: YearVolume): Promise<void> {
    const writer = this.writers.find((one) => one.name === name);
    if (writer === undefined) return;
    this.writers = this.writers.filter((one) => one !== writer);
    await writer.stop(false);
    if (writer.errors.length > 0) throw new Error(`A request was answered with an error: ${writer.errors[0]}`);
  }

  async whileDetached(volume: YearVolume, action: () => Promise<void>): Promise<void> {
    await this.still(volume);
    await this.site.order('-d', volume.name);
    await action();
    await this.attach(volume);
  }

  async attach({ name }: YearVolume): Promise<void> {
    await this.site.order('-a', name, '--wait=60s');
    await this.site.untilAttached(name);
  }

  // --- comparisons

  async compareAll(): Promise<void> {
    for (const { name, contents } of this.volumes()) await this.compare(name, contents);
  }

  async compare(name: string, contents: Contents): Promise<void> {
    await this.site.untilAttached(name);
    const difference = contents.differs(await this.site.read(name));
    if (difference !== null) throw new Error(`DIFFERENCE in ${name}: ${difference}`);
    this.tally.compared++;
  }

  /** Attaches a volume that no application uses, compares it, and detaches it. */
  async compareOnce(name: string, contents: Contents): Promise<void> {
    await this.site.order('-a', name, '--read-only', '--wait=30s');
    await this.compare(name, contents);
    await this.site.order('-d', name);
  }

  // --- states

  async replicate(): Promise<void> {
    const peer = SERVERS[other(this.source)];
    const about = ['--to', `${POOLS[0]}@${peer}`, '--every', '1s', '--keep', '6', '--reversible', peer];
    await this.site.adm(this.source, 'volume', 'replicate', this.replicated.name, ...about);
  }

  /** Waits until the follower has a moment that is newer than now. The volume must be still. */
  async untilFollowed(): Promise<void> {
    const sinceMs = Date.now();
    const isNewer = async (): Promise<boolean> => {
      const views = await this.site.replications(other(this.source));
      return views.some(({ direction, momentMs }) => direction === 'in' && (momentMs ?? 0) > sinceMs);
    };
    await waitFor(isNewer, WAIT_MS, 'The follower has a newer moment').catch(async (error: Error) => {
      const views = await Promise.all(([0, 1] as const).map((place) => this.site.replications(place)));
      throw new Error(`${error.message}: ${JSON.stringify(views)}`);
    });
  }

  /** Waits until all paths, replicas and moments are as they are when all is well. */
  async untilSettled(): Promise<void> {
    await this.site.client.pathsUp(SERVERS.length, WAIT_MS);
    await this.untilInSync();
    await this.untilFollowed();
  }

  async untilInSync(): Promise<void> {
    await waitFor(() => this.isInSync(), WAIT_MS, 'The replicas of the mirror are in sync');
  }

  async isInSync(): Promise<boolean> {
    const { mirrors } = await this.site.client.call('mirrors', { namespace: null });
    return mirrors.length === 1 && mirrors[0]!.replicas.length === 2 && mirrors[0]!.replicas.every(({ inSync }) => inSync);
  }

  // --- doctor

  /**
   * doctor must have a finding for each of these patterns, and no other one beyond the usual ones. What it sees may need some seconds, so
   * that the last report within a bound counts.
   */
  async doctorSays(expected: readonly RegExp[], tolerated: readonly RegExp[] = []): Promise<void> {
    let trouble = '';
    const isRight = async (): Promise<boolean> => {
      const found = (await this.findings()).filter((one) => !this.usual.has(keyOfFinding(one)));
      const texts = found.map(({ severity, object, what }) => `${severity}: ${object}: ${what}`);
      const missed = expected.filter((pattern) => !texts.some((text) => pattern.test(text)));
      const extra = texts.filter((text) => ![...expected, ...tolerated].some((pattern) => pattern.test(text)));
      trouble = [...missed.map((pattern) => `does not say ${String(pattern)}`), ...extra.map((text) => `says also: ${text}`)].join('; ');
      if (trouble !== '' && missed.length > 0) trouble += `; it says: ${texts.join(' | ') || 'nothing'}`;
      return trouble === '';
    };
    this.tally.examined++;
    await waitFor(isRight, DOCTOR_MS, 'doctor is right').catch((error: Error) => {
      throw new Error(`doctor ${trouble === '' ? error.message : trouble}`);
    });
  }

  private async findings(): Promise<readonly DoctorFinding[]> {
    const { code, stdout, stderr } = await this.site.tryOrder('doctor', '--json');
    if (code !== 0 && code !== 1) throw new Error(`doctor ends with ${code}: ${stderr}`);
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly DoctorFinding[] };
    return findings.filter(({ severity }) => severity !== 'ok');
  }

  newName(prefix: string): string {
    return `${prefix}${++this.number}`;
  }
}

/** Numbers change from one report to the next one. */
function keyOfFinding({ check, object, what }: DoctorFinding): string {
  return `${check}: ${object}: ${what.replaceAll(/\d+/g, 'N')}`;
}
