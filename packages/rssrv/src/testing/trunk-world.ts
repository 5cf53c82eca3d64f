// A client's trunk and a server's session over a network in memory, on one clock: everything that happens comes of one seed. A random
// user reads and writes while a random misfortune befalls routes, processes and storage; then all is well again, and what must be true
// at the end is judged: everything answered, nothing lent, nothing occupied, nothing ticking.

import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/protocol/testing/fake-clock';
import { MemoryNetwork, type MemoryRoute } from '@rsio/protocol/testing/memory-network';
import type { LinkShape } from '@rsio/protocol/testing/memory-transport';
import { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { Attachment } from '@rsio/protocol/trunk/attachment';
import { Opener } from '@rsio/protocol/trunk/opener';
import { PathSupervisor } from '@rsio/protocol/trunk/path-supervisor';
import { Trunk } from '@rsio/protocol/trunk/trunk';
import { FEATURE } from '@rsio/protocol/wire/features';
import { STATUS } from '@rsio/protocol/wire/status';
import { MemoryListener } from './memory-listener.ts';
import { RandomUser } from './random-user.ts';
import { SlowStorage } from './slow-storage.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly paths: number;
  readonly volumes: number;
  readonly requests: number;
  /** Largest request, sectors. */
  readonly maxSectors: number;
  readonly digest: boolean;
  /** Slots that the server grants: with few of them, each is used often. */
  readonly slots: number;
  /** Mean time between two misfortunes, ms; 0: there are none. */
  readonly misfortuneMs: number;
  /** Share of operations that go at once. */
  readonly fast: number;
}

const NODEKEY = '0123456789abcdef';
const SECTORS = 256;
const STEP_MAX_MS = 12;
/** Time in which everything must be answered once all is well: a path that died too often may wait for half a minute. */
const RECOVERY_MAX_MS = 60_000;

export class TrunkWorld {
  readonly clock = new FakeClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly listener: MemoryListener;
  readonly trunk: Trunk;
  readonly opener: Opener;
  readonly users: RandomUser[] = [];
  readonly supervisors: PathSupervisor[] = [];
  readonly storages = new Map<string, SlowStorage>();
  readonly pools = { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() };
  readonly breaches: string[] = [];
  slowFactor = 1;
  private readonly options: WorldOptions;

  constructor(options: WorldOptions) {
    this.options = options;
    const { clock } = this;
    const random = new SeededRandom(options.seed);
    this.random = random;
    this.listener = new MemoryListener({
      clock,
      random,
      storages: this.storages,
      storageShape: {
        isFast: () => random.chance(options.fast),
        effectMs: () => random.int(0, 10) * this.slowFactor,
        endMs: () => random.int(0, 10) * this.slowFactor,
      },
      handOverMs: () => random.int(0, 15),
      nodekey: NODEKEY,
      slots: options.slots,
    });
    this.network = new MemoryNetwork(clock, shapeOf(random), (end) => this.listener.accept(end));
    this.trunk = new Trunk(
      clock,
      { heartbeatMs: 500, suspectMs: 100, deadMs: 1500 },
      { sessionBegan: () => this.sessionBegan(), listChanged: () => {} },
    );
    this.opener = new Opener(this.trunk, clock, {
      opened: () => {},
      failed: ({ name }, status, sentence) => {
        if (!this.trunk.isEnded) this.breaches.push(`OPEN of ${name} failed with ${status}: ${sentence}`);
      },
      waits: () => {},
    });
    for (let index = 0; index < options.volumes; index++) this.addVolume(`volume${index}`);
    for (let index = 0; index < options.paths; index++) this.addPath(`127.45.0.${index + 1}`, `127.45.1.${index + 1}`);
  }

  /** Runs the seed; gives everything that was not as it must be. */
  async run(): Promise<string[]> {
    for (const supervisor of this.supervisors) supervisor.start();
    const endMs = 60_000;
    while (this.users.some((user) => user.isBusy) && this.clock.monotonicMs() < endMs) await this.step(true);
    this.heal();
    const lastMs = this.clock.monotonicMs() + RECOVERY_MAX_MS;
    while ((this.outstanding > 0 || this.occupied() > 0) && this.clock.monotonicMs() < lastMs) await this.step(false);
    this.judgeQuiet();
    await this.close();
    return [
      ...this.breaches,
      ...this.users.flatMap(({ oracle }) => oracle.breaches),
      ...[...this.storages.values()].flatMap(({ breaches }) => breaches),
    ];
  }

  /** Ends the client in the middle of whatever is under way, then the server. */
  async runAndEndEarly(afterMs: number): Promise<string[]> {
    for (const supervisor of this.supervisors) supervisor.start();
    while (this.clock.monotonicMs() < afterMs) await this.step(true);
    for (const user of this.users) user.stop();
    this.trunk.end(STATUS.SHUTTING_DOWN, 'The test ends');
    await this.turn();
    if (this.outstanding > 0) this.breaches.push(`${this.outstanding} requests are unanswered after the trunk's end`);
    this.heal();
    await this.close();
    return [
      ...this.breaches,
      ...this.users.flatMap(({ oracle }) => oracle.breaches),
      ...[...this.storages.values()].flatMap(({ breaches }) => breaches),
    ];
  }

  private get outstanding(): number {
    return this.users.reduce((sum, user) => sum + user.outstanding, 0);
  }

  private addVolume(name: string): void {
    const storage = new SlowStorage(SECTORS);
    this.storages.set(name, storage);
    const attachment = new Attachment(name, 0, false);
    const { requests, maxSectors } = this.options;
    const user = new RandomUser(this.trunk, attachment, SECTORS, { requests, maxSectors }, this.random);
    storage.onWrite = (firstSector, content) => user.oracle.executes(this.listener.process?.id ?? 'no process', firstSector, content);
    this.users.push(user);
    this.opener.add(attachment);
  }

  private addPath(localAddress: string, address: string): void {
    this.network.addRoute(localAddress, address);
    const hello = {
      versions: [1],
      features: this.options.digest ? [FEATURE.DIGEST] : [],
      namespaceid: 1,
      node: 'node',
      instance: 1,
      machine: 'm',
      boot: 'b',
      interface: 'if0',
    };
    const identity = { nodekey: NODEKEY, serverkey: null, hello };
    const supervisor = new PathSupervisor({ localAddress, address, port: 5000 }, identity, {
      clock: this.clock,
      connector: this.network,
      random: this.random.bytes,
      pools: this.pools,
      trunkFor: () => this.trunk,
      stateChanged: () => {},
    });
    this.supervisors.push(supervisor);
  }

  private sessionBegan(): void {
    for (const supervisor of this.supervisors) supervisor.start();
    this.opener.openAll();
  }

  private async step(withMisfortune: boolean): Promise<void> {
    const stepMs = this.random.int(0, STEP_MAX_MS);
    if (withMisfortune && this.options.misfortuneMs > 0 && this.random.chance(stepMs / this.options.misfortuneMs)) this.befall();
    for (const user of this.users) user.act();
    this.clock.advance(stepMs);
    await this.turn();
  }

  /** Lets promises and what they ask for "soon" run. */
  private async turn(): Promise<void> {
    for (let turns = 0; turns < 2; turns++) {
      await new Promise((resolve) => setImmediate(resolve));
      this.clock.advance(0);
    }
  }

  private befall(): void {
    const { random } = this;
    const route = random.pick(this.network.routes);
    const misfortunes: readonly (() => void)[] = [
      () => route.reset(),
      () => route.reset(),
      () => this.standStill(route, 'there'),
      () => this.standStill(route, 'back'),
      () => this.standStill(route, random.pick(['there', 'back'])),
      () => this.giveUpEarly(route),
      () => this.unreachable(route),
      () => this.slowDown(),
      () => this.listener.kill(),
      () => void this.listener.end('E_SHUTTING_DOWN', 'The session is ended'),
      () => this.listener.restart(),
      () => random.pick(this.supervisors).path?.connection.close('The client lost its carrier', true),
    ];
    random.pick(misfortunes)();
  }

  private standStill(route: MemoryRoute, direction: 'there' | 'back'): void {
    const { links } = route;
    route.stand(direction, true);
    this.clock.after(this.random.int(10, 4000), () => {
      for (const link of links) link.stand(direction, false);
    });
  }

  /** The client gives a path up while its requests are under way: they come late, and maybe what is to fence them comes later still. */
  private giveUpEarly(route: MemoryRoute): void {
    const { random, clock } = this;
    const others = this.network.routes.filter((other) => other !== route && random.chance(0.5));
    const standing = [route, ...others].map(({ links }) => links);
    const stand = (links: MemoryRoute['links'], isStanding: boolean): void => {
      for (const link of links) link.stand('there', isStanding);
    };
    for (const links of standing) stand(links, true);
    const supervisor = this.supervisors[this.network.routes.indexOf(route)];
    clock.after(random.int(1, 300), () => supervisor?.path?.connection.close('The client lost its carrier', true));
    for (const links of standing) clock.after(random.int(20, 1200), () => stand(links, false));
  }

  private unreachable(route: MemoryRoute): void {
    route.reach = this.random.pick(['refused', 'silent'] as const);
    route.reset();
    this.clock.after(this.random.int(10, 2000), () => {
      route.reach = 'open';
    });
  }

  private slowDown(): void {
    this.slowFactor = this.random.int(1, 40);
    this.clock.after(this.random.int(10, 1000), () => {
      this.slowFactor = 1;
    });
  }

  private heal(): void {
    for (const route of this.network.routes) route.heal();
  }

  /** Slots of the trunk that are not free, and copies not accounted for. */
  private occupied(): number {
    const { slots } = this.dispatcher;
    return slots.size - slots.freeCount;
  }

  private get dispatcher(): { readonly slots: { size: number; freeCount: number; quarantined: number }; readonly windowUsedBytes: number } {
    return Reflect.get(this.trunk, 'dispatcher');
  }

  private judgeQuiet(): void {
    for (const user of this.users) {
      if (user.outstanding > 0)
        this.breaches.push(
          `${user.outstanding} requests of ${user.attachment.name} are unanswered, phase ${user.attachment.phase}: ${user.attachment.reason}`,
        );
    }
    if (this.occupied() > 0)
      this.breaches.push(`${this.occupied()} slots are not free, ${this.dispatcher.slots.quarantined} in quarantine`);
    if (this.dispatcher.windowUsedBytes !== 0) this.breaches.push(`The window is ${this.dispatcher.windowUsedBytes} bytes`);
    const { process } = this.listener;
    if (process === null) return;
    const open: Map<number, unknown> = Reflect.get(Reflect.get(process.session, 'volumes'), 'open');
    if (open.size > this.users.length) this.breaches.push(`${open.size} handles are open for ${this.users.length} volumes`);
    const executing: number = Reflect.get(process.session, 'slots').executing;
    if (executing !== 0) this.breaches.push(`${executing} requests are executing at the server`);
  }

  private async close(): Promise<void> {
    this.trunk.end(STATUS.SHUTTING_DOWN, 'The test ends');
    for (const supervisor of this.supervisors) supervisor.retire('The test ends');
    // A PROOF that is still under way may begin a session.
    for (let times = 0; times < 10; times++) {
      this.clock.advance(20);
      await this.turn();
    }
    const { process } = this.listener;
    let isEnded = process === null;
    void process?.session.end('E_SHUTTING_DOWN', 'The test ends').then(() => {
      isEnded = true;
    });
    for (let times = 0; times < 10 || (!isEnded && times < 5000); times++) {
      this.clock.advance(20);
      await this.turn();
    }
    if (!isEnded) this.breaches.push('The session does not end');
    this.clock.advance(10_000);
    await this.turn();
    if (this.clock.timersPending > 0) this.breaches.push(`${this.clock.timersPending} timers are left`);
    this.judgePools('client', this.pools);
    if (process !== null) this.judgePools('server', process.pools);
  }

  private judgePools(whose: string, { bodies, outputs }: { bodies: CountingBufferPool; outputs: CountingOutputPool }): void {
    if (bodies.lent.size > 0) this.breaches.push(`${bodies.lent.size} body buffers of the ${whose} are not back in the pool`);
    if (outputs.lent.size > 0) this.breaches.push(`${outputs.lent.size} output buffers of the ${whose} are not back in the pool`);
  }
}

function shapeOf(random: SeededRandom): LinkShape {
  return {
    takeMs: () => (random.chance(0.8) ? 0 : random.int(0, 10)),
    travelMs: () => random.int(0, 8),
    cut: (lengthBytes) => (random.chance(0.6) ? lengthBytes : random.int(1, Math.min(lengthBytes, random.chance(0.3) ? 20 : 5000))),
    restMs: () => (random.chance(0.5) ? 0 : random.int(0, 3)),
  };
}
