// The rounds of roles of `npm run drill -- sites`: two servers exchange their roles, lose one another, are set back to old images, and rename their
// volumes, also while orders run and processes are killed. Then the ways are followed that the servers print. Invariants: the source has
// every acknowledged write, or exactly the content that a person has chosen. What was given up is still kept somewhere. While a follower is
// diverged, it gets and loses nothing. The newest moment of a follower equals the snapshot of the source, byte for byte.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Scene as DrillScene } from '../support/drills/scene.ts';
import { killServer } from '../support/faults/machine-crash.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { type Kept, other, SERVERS, type Side, SIDES, TwoSites, VOLUME_BYTES, VOLUMES } from './two-sites.ts';
import { Ways } from './ways.ts';

const BLOCK_BYTES = 4096;
const [WRITES_MAX, DOWN_MAX_MS, ATTACH_MS, QUIET_MS] = [40, 1_500, 20_000, 3_000];
const KEPT_MAX = 2;

/** What a server would give its clients now: checksums of the data, or of the newest moment that all followers have. */
type Content = readonly string[];

interface Scene {
  readonly source: Side;
  readonly follower: Side;
}

interface RoleEvent {
  readonly name: string;
  /** Returns the server whose content is to be kept. */
  run(rounds: RoleRounds, scene: Scene): Promise<Side>;
  /** Whether all acknowledged writes must be at the source afterwards. */
  readonly isLossless: boolean;
}

export class RoleRounds {
  rounds = 0;
  readonly events = new Map<string, number>();
  readonly sites: TwoSites;
  readonly random: SeededRandom;
  private readonly ways: Ways;
  private readonly scene: DrillScene;
  private readonly model: Buffer[] = Array.from({ length: VOLUMES }, () => Buffer.alloc(VOLUME_BYTES));
  private source: Side = 0;
  private names = 0;
  /** Problems of the round. */
  private found: string[] = [];
  private sinceMs = 0;

  private constructor(sites: TwoSites, random: SeededRandom, scene: DrillScene) {
    [this.sites, this.random, this.scene, this.ways] = [sites, random, scene, new Ways(sites)];
  }

  static async begin(scene: DrillScene, random: SeededRandom): Promise<RoleRounds> {
    const sites = await TwoSites.start(scene.hosts);
    await sites.begin();
    const rounds = new RoleRounds(sites, random, scene);
    await rounds.ways.settle(0);
    for (const side of SIDES) await sites.takeImage(side, 0);
    return rounds;
  }

  async round(): Promise<void> {
    const { random, sites, ways } = this;
    const beganMs = Date.now();
    const number = ++this.rounds;
    this.found = [];
    ways.steps = [];
    sites.chooseKeep(random);
    const event = random.pick(ROLE_EVENTS);
    this.events.set(event.name, (this.events.get(event.name) ?? 0) + 1);
    if (random.chance(0.3)) await this.rename(random.pick(SIDES));
    await this.write(this.source);
    if (random.chance(0.4)) await sites.takeImage(random.pick(SIDES), number);
    if (random.chance(0.7)) await this.write(this.source);
    const scene = { source: this.source, follower: other(this.source) };
    // After a change of the roles, the new source allows no further one by itself.
    await ways.ordered(this.source, () => sites.replicating(this.source));
    await ways.settle(this.source);
    await this.write(this.source, 2);
    ways.steps = [];
    try {
      const keep = await event.run(this, scene);
      await this.judged(event, keep);
      await this.compared();
      await this.tidied();
    } catch (error) {
      throw new Error(`${event.name}: ${(error as Error).message}\n${ways.steps.join('\n')}`, { cause: error });
    }
    const problems = [...this.found, ...ways.problems.splice(0)];
    const took = `${((Date.now() - beganMs) / 1000).toFixed(1)} s`;
    this.scene.say(
      `roles ${String(number).padEnd(4)} ${event.name.padEnd(36)} source ${SERVERS[this.source]}, ${took}${problems.length > 0 ? ', PROBLEMS' : ''}`,
    );
    this.scene.problem(...problems.map((problem) => `roles: ${problem}`));
    if (problems.length > 0) this.scene.say(ways.steps.map((step) => `  ${step}`).join('\n'));
  }

  /** Waits until one server is the source again, and compares what it has with what it must have. */
  private async judged({ isLossless }: RoleEvent, keep: Side): Promise<void> {
    const { ways, sites } = this;
    const before = isLossless ? null : await this.contents();
    const steps = ways.steps.length;
    this.sinceMs = Date.now();
    this.source = await ways.settle(keep, this.sinceMs);
    const present = sites.present(this.source);
    const isOrdered = ways.steps.slice(steps).some((step) => step.includes('-> 0'));
    if (before === null) {
      const wanted = this.model.map((content) => sum(content));
      if (String(present) !== String(wanted))
        this.found.push(`Acknowledged writes are lost: ${present.join(' ')} in place of ${wanted.join(' ')}`);
    } else {
      if (isOrdered && this.source !== keep)
        this.found.push(`${SERVERS[this.source]} is the source, and the content of ${SERVERS[keep]} was chosen`);
      if (String(present) !== String(before[this.source]))
        this.found.push(`The source ${SERVERS[this.source]} has ${present.join(' ')} in place of ${before[this.source].join(' ')}`);
      if (isOrdered) await this.keptAll(before);
    }
    this.learn();
  }

  /** Whoever gave in has kept its content. */
  private async keptAll(before: readonly Content[]): Promise<void> {
    const there = await Promise.all(SIDES.map((side) => this.sites.kept(side)));
    for (const side of SIDES)
      for (const [index, wanted] of before[side]!.entries()) {
        const isThere = SIDES.some(
          (at) => this.sites.present(at)[index] === wanted || there[at]![index]!.some((one) => one.sum === wanted),
        );
        if (!isThere) this.found.push(`The content ${wanted} of volume ${index} of ${SERVERS[side]} is nowhere`);
      }
  }

  /** Takes the content of the source for what must not be lost from now on. */
  private learn(): void {
    for (const index of this.model.keys()) this.model[index] = readFileSync(this.sites.dataOf(this.source, index));
  }

  async contents(): Promise<readonly [Content, Content]> {
    return [await this.content(0), await this.content(1)];
  }

  private async content(side: Side): Promise<Content> {
    const { sites } = this;
    if (!(await sites.follows(side))) return sites.present(side);
    const kept = await sites.kept(side);
    const group = newestGroup(kept);
    return kept.map((all) => all.find((one) => one.group === group)?.sum ?? 'none');
  }

  /** The newest moment equals the source's, cannot be removed, and no client opens the follower. */
  private async compared(): Promise<void> {
    const { sites, source, found } = this;
    const follower = other(source);
    const [mine, theirs] = [await sites.kept(follower), await sites.kept(source)];
    let compared = 0;
    for (const [index, all] of mine.entries())
      for (const one of all) {
        const original = theirs[index]!.find(({ group }) => group === one.group);
        if (original === undefined) continue;
        compared++;
        if (original.sum !== one.sum) found.push(`${one.name} of volume ${index} differs between the servers`);
      }
    if (compared === 0) found.push('The servers have no moment in common');
    const names = await sites.names(follower);
    const newest = mine[0]!.findLast(({ group }) => group === newestGroup(mine));
    const removal = await sites.host(follower).rsadm('volume', 'remove', `${names[0]}@${newest?.name}`, '--yes');
    const now = await sites.kept(follower);
    // A later moment may have come meanwhile.
    if (removal.code === 0 && newestGroup(now) === newest?.group) found.push('The newest moment of the follower was removed');
    const opened = await sites.client(follower).rsconfig('-a', names[0]!);
    if (opened.code === 0) found.push(`A client has opened the follower ${names[0]}`);
  }

  private async tidied(): Promise<void> {
    for (const side of SIDES) {
      const names = await this.sites.names(side);
      for (const [index, all] of (await this.sites.kept(side)).entries()) {
        const own = all.filter(({ name }) => !name.startsWith('replica-'));
        const moments = all.filter(({ name }) => name.startsWith('replica-'));
        for (const { name } of [...own.slice(0, -KEPT_MAX), ...moments.slice(0, -2 * this.sites.keep)])
          await this.sites.host(side).rsadm('volume', 'remove', `${names[index]}@${name}`, '--yes');
      }
    }
  }

  /** Writes blocks over the client of this server, and detaches. */
  async write(side: Side, least = 1): Promise<void> {
    const isSource = side === this.source;
    await this.whileAttached(side, async (nbds) => {
      const count = this.random.int(least, WRITES_MAX);
      for (let done = 0; done < count; done++) {
        const index = this.random.int(0, VOLUMES - 1);
        const at = this.random.int(0, VOLUME_BYTES / BLOCK_BYTES - 1) * BLOCK_BYTES;
        const block = this.random.bytes(BLOCK_BYTES);
        await nbds[index]!.write(at, block);
        if (isSource) block.copy(this.model[index]!, at);
      }
      for (const nbd of nbds) await nbd.flush();
    });
  }

  async whileAttached(side: Side, work: (nbds: readonly NbdIo[]) => Promise<void>): Promise<void> {
    const { sites } = this;
    const client = sites.client(side);
    const names = await sites.names(side);
    const attached = async (): Promise<boolean> => {
      const { code, stderr } = await client.rsconfig('-a', ...names);
      if (code === 0) return true;
      for (const name of names) await sites.host(side).rsadm('volume', 'allow', name, sites.nodeOf(side));
      throw new Error(stderr);
    };
    await waitFor(attached, ATTACH_MS, `The client attaches ${names.join(' ')}`);
    const nbds: NbdIo[] = [];
    try {
      for (const name of names) nbds.push(await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`));
      await work(nbds);
    } finally {
      for (const nbd of nbds) nbd.close();
      await waitFor(async () => (await client.rsconfig('-d', ...names)).code === 0, ATTACH_MS, 'The client detaches');
    }
  }

  /** Gives one or all volumes of the server new names. */
  async rename(side: Side): Promise<void> {
    const names = await this.sites.names(side);
    const chosen = this.random.chance(0.5) ? names : [this.random.pick(names)];
    for (const name of chosen) {
      const next = `n${++this.names}`;
      const { code, stderr } = await this.sites.host(side).rsadm('volume', 'rename', name, next);
      this.ways.steps.push(`${SERVERS[side]}: rsadm volume rename ${name} ${next} -> ${code} ${stderr.trim()}`);
    }
  }

  /** Renames, kills or does nothing, at the same time as an order. */
  async trouble(): Promise<void> {
    const { random, sites } = this;
    await sleep(random.int(0, 400));
    const kind = random.int(0, 5);
    if (kind === 0) await this.rename(random.pick(SIDES));
    else if (kind === 1) for (const side of SIDES) await this.rename(side);
    else if (kind <= 3) {
      const side = random.pick(SIDES);
      this.ways.steps.push(`${SERVERS[side]}: ${kind === 2 ? 'listener' : 'all'} killed`);
      await (kind === 2 ? sites.host(side).kill('rssrv') : killServer(sites.host(side)));
      await sleep(random.int(0, DOWN_MAX_MS));
      await sites.host(side).start('rssrv');
    }
  }

  async order(side: Side, verb: string): Promise<void> {
    await this.ways.ordered(side, async () => ['volume', verb, ...(await this.sites.names(side))]);
  }

  /** Gives an order while there is trouble, and right after a rename. */
  async orderIn(side: Side, verb: string, ...options: readonly string[]): Promise<void> {
    if (this.random.chance(0.3)) await this.rename(this.random.pick(SIDES));
    const given = this.ways.ordered(side, async () => ['volume', verb, ...(await this.sites.names(side)), ...options]);
    given.catch(() => undefined);
    await this.trouble();
    await given;
  }

  async setBack(side: Side): Promise<void> {
    const { sites, random } = this;
    const image = random.pick(sites.imagesOf(side));
    this.ways.steps.push(`${SERVERS[side]} is set back to round ${image.round} of ${this.rounds}`);
    await sites.setBack(side, image);
  }

  /** A follower whose source was set back gets and loses nothing until an order. */
  async unchanged(side: Side, before: readonly (readonly Kept[])[]): Promise<void> {
    const views = async (): Promise<boolean> => {
      const all = await this.sites.views(side);
      return all.some(({ direction, state }) => direction === 'in' && ['diverged', 'ended', 'split', 'closed'].includes(state));
    };
    await waitFor(views, ATTACH_MS, 'The follower says that its source does not know its moment');
    await sleep(QUIET_MS);
    const after = await this.sites.kept(side);
    if (JSON.stringify(after) !== JSON.stringify(before))
      this.found.push(`The follower changed while its source is of an old image: ${JSON.stringify([before, after])}`);
  }

  note(problem: string): void {
    this.found.push(problem);
  }

  logs(): string {
    return this.sites.logs();
  }

  get report(): string {
    return [...this.events].map(([name, times]) => `${name} ${times}`).join(', ');
  }
}

function sum(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}

/** The newest group that all volumes have; moments have names of their own. */
function newestGroup(kept: readonly (readonly Kept[])[]): string | undefined {
  const isIn = (all: readonly Kept[], group: string): boolean => all.some((one) => one.group === group);
  return kept[0]?.findLast(({ name, group }) => name.startsWith('replica-') && kept.every((all) => isIn(all, group)))?.group;
}

const ROLE_EVENTS: readonly RoleEvent[] = [
  {
    name: 'reverse',
    isLossless: true,
    run: async (rounds, { follower }) => {
      await rounds.orderIn(follower, 'reverse');
      return follower;
    },
  },
  {
    name: 'reverse, a client has the volumes',
    isLossless: true,
    run: async (rounds, { source, follower }) => {
      await rounds.whileAttached(source, async () => {
        const { sites } = rounds;
        const { code, stderr } = await sites.host(follower).rsadm('volume', 'reverse', ...(await sites.names(follower)));
        if (code === 0 || !stderr.includes(sites.nodeOf(source))) rounds.note(`reverse does not name the client: ${code} ${stderr}`);
      });
      await rounds.orderIn(follower, 'reverse');
      return follower;
    },
  },
  {
    name: 'reverse, cancelled',
    isLossless: true,
    run: async (rounds, { source, follower }) => {
      const { sites, random } = rounds;
      await rounds.orderIn(follower, 'reverse');
      await sleep(random.int(0, 1_000));
      await sites.host(follower).rsadm('volume', 'reverse', ...(await sites.names(follower)), '--cancel');
      return random.chance(0.5) ? source : follower;
    },
  },
  {
    name: 'promote without the source',
    isLossless: false,
    run: async (rounds, { source, follower }) => {
      const { sites, random } = rounds;
      await killServer(sites.host(source));
      if (random.chance(0.5)) await rounds.rename(follower);
      await rounds.order(follower, 'promote');
      await sites.host(source).start('rssrv');
      if (random.chance(0.5)) await rounds.rename(random.pick(SIDES));
      return random.pick(SIDES);
    },
  },
  {
    name: 'promote beside the source',
    isLossless: false,
    run: async (rounds, { source, follower }) => {
      await rounds.orderIn(follower, 'promote', '--yes');
      // Whoever still uses the source writes on.
      if (rounds.random.chance(0.7)) await rounds.write(source);
      if (rounds.random.chance(0.7)) await rounds.write(follower);
      return rounds.random.pick(SIDES);
    },
  },
  {
    name: 'ended, and begun again',
    isLossless: true,
    run: async (rounds, { source }) => {
      await rounds.orderIn(source, 'replicate', '--end');
      await rounds.trouble();
      return source;
    },
  },
  {
    name: 'source from an old image',
    isLossless: false,
    run: async (rounds, { source, follower }) => {
      const { sites, random } = rounds;
      // The poll that is in progress may still bring a moment.
      await killServer(sites.host(source));
      await sleep(QUIET_MS);
      const before = await sites.kept(follower);
      await rounds.setBack(source);
      if (random.chance(0.3)) await rounds.rename(random.pick(SIDES));
      await rounds.unchanged(follower, before);
      if (random.chance(0.3)) for (const side of SIDES) await rounds.rename(side);
      return random.pick(SIDES);
    },
  },
  {
    name: 'follower from an old image',
    isLossless: false,
    run: async (rounds, { source, follower }) => {
      await rounds.setBack(follower);
      if (rounds.random.chance(0.3)) await rounds.rename(rounds.random.pick(SIDES));
      return rounds.random.chance(0.8) ? source : follower;
    },
  },
  {
    name: 'both from old images',
    isLossless: false,
    run: async (rounds, { source, follower }) => {
      await killServer(rounds.sites.host(follower));
      await rounds.setBack(source);
      await rounds.setBack(follower);
      return rounds.random.pick(SIDES);
    },
  },
];
