// A mirror's data path in a random world: replicas, a user, a driver that removes and returns replicas, a copier, and another client that
// may take over the mirror. The world judges each answer. The seed determines the order of all events.
// register-oracle.ts decides which answers are permitted, and fake-replica.ts models a replica.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Request } from '../client/requests/request.ts';
import type { CopyLock } from '../mirror/io/copy-lock.ts';
import type { IoReplicaView } from '../mirror/io/members.ts';
import { MirrorIo } from '../mirror/io/mirror-io.ts';
import { FLAG, OP } from '../wire/frames.ts';
import { MIRROR_REGION_BYTES } from '../wire/limits.ts';
import { STATUS } from '../wire/status.ts';
import { FakeSession, FakeStore, valuesOf } from './fake-replica.ts';
import { takeMoment } from './mirror-moments.ts';
import { ageOf, RegisterOracle, type UserIo } from './register-oracle.ts';
import { TimesBudget } from '../mirror/lacks/change-times.ts';

const BLOCKS = 4;
const BLOCKS_PER_REGION = 2;
/** The blocks are on both sides of a boundary between two regions. */
const FIRST_SECTOR = MIRROR_REGION_BYTES / SECTOR_BYTES - BLOCKS_PER_REGION;
const FOREIGN = 1_000_000;
const POISON = 0xee;

type Role = 'member' | 'leaving' | 'out' | 'returning' | 'joining';

interface Place {
  readonly store: FakeStore;
  session: FakeSession | null;
  role: Role;
}

class UserRequest extends Request {
  io: UserIo | null = null;
}

export interface WorldFaults {
  readonly replicas: number;
  readonly isUnclean: boolean;
  readonly mayTakeOver: boolean;
  readonly mayAbandon: boolean;
  readonly areReadsLocal: boolean;
  /** True if snapshots are taken (M22). */
  readonly hasMoments: boolean;
}

export class MirrorWorld {
  readonly violations: string[] = [];
  readonly io: MirrorIo;
  readonly random: SeededRandom;
  private readonly faults: WorldFaults;
  readonly clock = new FakeClock();
  readonly places: Place[] = [];
  readonly oracle = new RegisterOracle(BLOCKS);
  private readonly ios: UserIo[] = [];
  at = 0;
  private isServing = false;
  private settlingRegion = -1;
  private isReturning = false;
  private isWitnessTaken = false;
  takenAt = Number.POSITIVE_INFINITY;
  private readonly votes: { readonly isConfirmed: boolean | null; answer(isConfirmed: boolean): void }[] = [];
  private isHealing = false;
  isMoment = false;
  /** Number of replicas that have got a snapshot. */
  snapshots = 0;

  constructor(seed: number, faults: WorldFaults) {
    this.random = new SeededRandom(seed);
    this.faults = faults;
    this.io = new MirrorIo(
      { mirror: 'mirror', name: 'oracle', universe: 0, readonly: false },
      {
        clock: this.clock,
        timesBudget: new TimesBudget(),
        lost: () => {},
        settleSoon: () => {},
        unsettledGrew: () => {},
        confirmByVoters: () => this.askVoters(),
        standingChanged: () => {},
      },
    );
    this.io.readsAreLocal = faults.areReadsLocal;
    for (let index = 0; index < faults.replicas; index++) {
      const values = Array.from({ length: BLOCKS }, () => (faults.isUnclean ? this.random.int(1, 3) : 1));
      const store = new FakeStore('ABC'[index]!, FIRST_SECTOR, values);
      const place: Place = { store, session: null, role: 'member' };
      this.places.push(place);
      this.open(place);
    }
    if (faults.isUnclean) this.io.unsettled.addRange(0, 2 * MIRROR_REGION_BYTES);
    this.setView();
  }

  /** Makes `steps` random moves, then heals all faults, and checks that every request was answered once. */
  async run(steps: number): Promise<readonly string[]> {
    for (let step = 0; step < steps && this.violations.length === 0; step++) await this.move();
    this.isHealing = true;
    for (const { store } of this.places) {
      store.failsReads = false;
      store.refusesChanges = false;
    }
    this.isServing = true;
    this.setView();
    for (let step = 0; step < (this.isClaimed ? 100 : 3000) && this.violations.length === 0 && this.io.outstanding > 0; step++)
      await this.move();
    if (this.io.outstanding > 0 && this.isClaimed) this.io.end(STATUS.TAKEN, 'Another client has the mirror');
    await this.turn();
    if (this.violations.length === 0) {
      for (const io of this.ios)
        if (io.answers !== 1) this.violations.push(`${io.op} ${io.value} of block ${io.block} has ${io.answers} answers`);
    }
    return this.violations;
  }

  private get isClaimed(): boolean {
    return this.isWitnessTaken || this.places.some(({ store }) => store.isRevoked);
  }

  private async turn(): Promise<void> {
    this.at++;
    this.clock.advance(0);
    await Promise.resolve();
    await Promise.resolve();
    this.clock.advance(0);
  }

  private async move(): Promise<void> {
    const { random } = this;
    const dice = random.unit();
    if (!this.isHealing && dice < 0.3) this.user();
    else if (dice < 0.75) this.step();
    else if (dice < 0.77) this.fault();
    else if (dice < 0.85) this.drive();
    else if (dice < 0.9) this.copy();
    else if (dice < 0.96) this.vote();
    else if (dice < 0.99) this.clock.advance(random.int(1, 150));
    else if (this.faults.hasMoments && !this.isMoment && this.isServing && random.chance(0.7)) void takeMoment(this, BLOCKS);
    else if (!this.isHealing && this.faults.mayTakeOver && this.isServing && random.chance(this.isClaimed ? 0.5 : 0.3)) this.claim();
    await this.turn();
  }

  private step(): void {
    const sessions = this.places.flatMap(({ session }) => session ?? []);
    for (let times = this.random.int(1, 8); times > 0 && sessions.length > 0; times--) this.random.pick(sessions).step(this.random);
  }

  // --- the user

  private user(): void {
    if (this.io.outstanding > 12) return;
    const { random } = this;
    if (this.faults.mayAbandon && random.chance(0.02)) {
      for (const request of this.io.abandon()) request.events?.requestDone(request, STATUS.OUTCOME_UNKNOWN);
      return;
    }
    const op = random.pick(['read', 'read', 'write', 'write', 'flush'] as const);
    const block = random.int(0, BLOCKS - 1);
    const count = op === 'flush' ? 0 : random.int(1, Math.min(3, BLOCKS - block));
    const io = this.oracle.begins(op, block, count, this.at);
    this.ios.push(io);
    const request = new UserRequest();
    request.io = io;
    request.events = { requestDone: (done, status) => this.answered(done, status) };
    request.op = op === 'read' ? OP.READ : op === 'write' ? OP.WRITE : OP.FLUSH;
    if (op !== 'flush') {
      request.flags = op === 'write' && random.chance(0.2) ? FLAG.FUA : 0;
      request.lba = FIRST_SECTOR + block;
      request.count = count;
      request.bodyBytes = count * SECTOR_BYTES;
      request.buffer = Buffer.alloc(request.bodyBytes);
      for (let each = 0; each < count && op === 'write'; each++) request.buffer.writeUInt32LE(io.value, each * SECTOR_BYTES);
    }
    this.io.submit(request, this.clock.monotonicMs());
    if (io.answers > 0) this.violations.push(`${op} was answered within submit`);
  }

  private answered(request: Request, status: number): void {
    const io = request instanceof UserRequest ? request.io : null;
    if (io === null) return;
    if (++io.answers > 1) this.violations.push(`${io.op} was answered twice`);
    if (status === STATUS.OK && io.submittedAt > this.takenAt)
      this.violations.push(`${io.op} was answered after another client had the mirror`);
    if (status !== STATUS.OK) this.oracle.failed(io, this.at);
    else if (io.op === 'read') {
      const wrong = this.oracle.read(io, valuesOf(request));
      if (wrong !== null) this.violations.push(wrong);
    } else if (io.op === 'write') this.wrote(io);
    else this.flushed(io);
    request.buffer.fill(POISON);
  }

  private wrote(io: UserIo): void {
    for (const { store, role } of this.places) {
      if (role !== 'member' && role !== 'leaving' && role !== 'joining') continue;
      for (let block = io.block; block < io.block + io.count; block++) {
        const value = store.values[block];
        if (value !== io.value && value !== FOREIGN)
          this.violations.push(`WRITE ${io.value} of block ${block} was acknowledged, but ${store.identity} has ${value}`);
      }
    }
    this.oracle.wrote(io);
  }

  private flushed(io: UserIo): void {
    for (const { store, role } of this.places) {
      if (role !== 'member' && role !== 'leaving') continue;
      for (let block = 0; block < BLOCKS; block++) {
        if (ageOf(store.durable[block]!) < io.acknowledged[block]!) {
          this.violations.push(`FLUSH was acknowledged, but ${store.identity} has ${store.durable[block]} in block ${block}`);
        }
      }
    }
  }

  // --- the replicas

  private open(place: Place): void {
    place.session = new FakeSession(place.store, (session, request) => this.submitted(session, request));
    this.io.addReplica(place.session.replica);
  }

  /** M14: checks that overlapping requests of users are never in flight together. */
  private submitted(session: FakeSession, request: Request): void {
    const values = request.op === OP.WRITE ? valuesOf(request) : [];
    if (values.some((value) => value >= 0xeeee)) this.violations.push(`A WRITE was sent from a buffer that the user has again`);
    if (request.events !== this.io || (request.op !== OP.READ && request.op !== OP.WRITE)) return;
    for (const other of this.places.flatMap((place) => place.session?.live ?? [])) {
      if (other.events !== this.io || (other.op !== OP.WRITE && (other.op !== OP.READ || request.op !== OP.WRITE))) continue;
      const overlaps = other.lba < request.lba + request.count && request.lba < other.lba + other.count;
      const isSame = request.op === OP.WRITE && other.op === OP.WRITE && valuesOf(other)[0] === values[0];
      if (overlaps && !isSame) this.violations.push(`Requests of block ${request.lba - FIRST_SECTOR} overlap at ${session.store.identity}`);
    }
  }

  private fault(): void {
    const { random } = this;
    const { store, session } = random.pick(this.places);
    if (session === null) return;
    if (this.isHealing) {
      session.setReachable(true);
      return;
    }
    const dice = random.unit();
    // Repairs faults soon, so that many requests are answered.
    if (!session.isReachable) session.setReachable(true);
    else if (store.failsReads || store.refusesChanges) {
      store.failsReads = false;
      store.refusesChanges = false;
    } else if (dice < 0.3) {
      store.crash(random);
      session.lose();
    } else if (dice < 0.4) session.lose();
    else if (dice < 0.75) session.setReachable(false);
    else if (dice < 0.85) store.failsReads = true;
    else store.refusesChanges = true;
  }

  // --- the driver

  private setView(): void {
    const replicas = this.places
      .filter(({ role }) => role !== 'out')
      .map(
        ({ store, role }): IoReplicaView => ({
          identity: store.identity,
          counts: role !== 'returning',
          reads: role === 'member',
          confirms: role === 'member' || role === 'leaving',
        }),
      );
    this.io.setView({ term: 1, replicas, isServing: this.isServing, sizeBytes: 2 * MIRROR_REGION_BYTES, waitsFor: null });
  }

  private drive(): void {
    const { random, places } = this;
    if (!this.isServing) {
      this.isServing = random.chance(0.5);
      this.setView();
      return;
    }
    const lost = places.find((place) => place.session !== null && this.isLost(place) && this.mayGo(place));
    if (lost !== undefined) {
      if (lost.role === 'member') this.remove(lost);
      else this.dropReturning(lost);
      return;
    }
    const leaving = places.find(({ role }) => role === 'leaving');
    if (leaving !== undefined) {
      // The new configuration needs a majority of the voters.
      if (random.chance(0.3) && this.votersWithUs >= 2) {
        leaving.role = 'out';
        this.setView();
      }
      return;
    }
    const away = places.find(({ role, session }) => role === 'member' && session !== null && !session.isReady);
    if (away !== undefined && random.chance(0.3) && !away.store.isRevoked && this.mayGo(away)) this.remove(away);
    else if (random.chance(0.5)) this.returnOne();
  }

  /** True if the replica may be removed. The last usable replica in sync must stay. */
  private mayGo(place: Place): boolean {
    if (place.role !== 'member') return true;
    return this.places.some((other) => other !== place && other.role === 'member' && !this.isLost(other));
  }

  private remove(place: Place): void {
    place.role = 'leaving';
    this.setView();
    this.io.giveUp(place.store.identity);
    place.session = null;
  }

  private isLost({ store }: Place): boolean {
    return this.io.members.find(store.identity)?.isLost === true;
  }

  private dropReturning(place: Place): void {
    if (place.role === 'joining') {
      place.role = 'returning';
      this.setView();
    }
    this.io.giveUp(place.store.identity);
    place.session = null;
    place.role = 'out';
    this.setView();
    this.isReturning = false;
  }

  private get votersWithUs(): number {
    const witness = this.places.length === 2 && !this.isWitnessTaken ? 1 : 0;
    return this.places.filter(({ store, session }) => !store.isRevoked && session?.isReachable !== false).length + witness;
  }

  private returnOne(): void {
    const place = this.places.find(({ role }) => role === 'out');
    if (place === undefined || this.isReturning || place.store.isRevoked) return;
    this.isReturning = true;
    place.role = 'returning';
    this.setView();
    this.open(place);
    void this.copyAll(place, place.session!);
  }

  // --- the copier

  private lock(block: number, count: number): Promise<CopyLock> {
    return new Promise((granted) => {
      const begin = (FIRST_SECTOR + block) * SECTOR_BYTES;
      const lock: CopyLock = this.io.lock(begin, begin + count * SECTOR_BYTES, () => this.clock.soon(() => granted(lock)));
    });
  }

  private transfer(kind: 'readAt' | 'writeAt', identity: string, block: number, buffer: Buffer): Promise<number> {
    return new Promise((done) => this.io[kind](identity, (FIRST_SECTOR + block) * SECTOR_BYTES, SECTOR_BYTES, buffer, 0, done));
  }

  private flushAt(identity: string): Promise<number> {
    return new Promise((done) => this.io.flushAt(identity, done));
  }

  private get sources(): string[] {
    const settled = this.places.filter(({ role, session }) => role === 'member' && session?.isReady === true);
    return settled.map(({ store }) => store.identity);
  }

  /** M12: copies everything to a returning replica, which then joins. */
  private async copyAll(place: Place, session: FakeSession): Promise<void> {
    const { identity, life } = place.store;
    const isOver = (): boolean => place.session !== session || place.store.life !== life;
    const buffer = Buffer.alloc(SECTOR_BYTES);
    for (let block = 0; block < BLOCKS && !isOver(); ) {
      const lock = await this.lock(block, 1);
      const region = Math.floor((FIRST_SECTOR + block) / (MIRROR_REGION_BYTES / SECTOR_BYTES));
      const [source] = this.sources;
      let isCopied = false;
      if (source !== undefined && !this.io.unsettled.has(region) && (await this.transfer('readAt', source, block, buffer)) === STATUS.OK) {
        isCopied = (await this.transfer('writeAt', identity, block, buffer)) === STATUS.OK;
      }
      lock.release();
      if (isCopied) block++;
      else await new Promise<void>((again) => this.clock.after(10, again));
    }
    if (!isOver()) {
      place.role = 'joining';
      this.setView();
      const isFlushed = (await this.flushAt(identity)) === STATUS.OK;
      if (isFlushed && !isOver()) {
        place.role = 'member';
        this.isReturning = false;
        this.setView();
        return;
      }
    }
    if (place.session === session) this.dropReturning(place);
  }

  /** M7: makes all replicas equal in an unsettled region. */
  private copy(): void {
    const region = this.io.unsettled.firstFrom(0);
    if (region < 0 || this.settlingRegion >= 0 || !this.isServing) return;
    if (this.places.some(({ role, session }) => role === 'leaving' || (role !== 'out' && session?.isReady !== true))) return;
    this.settlingRegion = region;
    void this.settle(region).finally(() => {
      this.settlingRegion = -1;
    });
  }

  private async settle(region: number): Promise<void> {
    const first = region * BLOCKS_PER_REGION;
    const lock = await this.lock(first, BLOCKS_PER_REGION);
    const source = this.sources.length === 0 ? undefined : this.random.pick(this.sources);
    const all = this.places.filter(({ role }) => role !== 'out');
    const lives = all.map(({ store }) => this.io.tenureOf(store.identity));
    let isEqual = source !== undefined && !lives.includes(null);
    const buffer = Buffer.alloc(SECTOR_BYTES);
    for (let block = first; block < first + BLOCKS_PER_REGION && isEqual && source !== undefined; block++) {
      isEqual = (await this.transfer('readAt', source, block, buffer)) === STATUS.OK;
      for (const { store } of all)
        if (isEqual && store.identity !== source) isEqual = (await this.transfer('writeAt', store.identity, block, buffer)) === STATUS.OK;
    }
    for (const { store } of all) isEqual &&= (await this.flushAt(store.identity)) === STATUS.OK;
    isEqual &&= all.every(({ store }, index) => this.io.tenureOf(store.identity) === lives[index]);
    isEqual &&= this.places.every((place) => place.role === 'out' || all.includes(place));
    if (isEqual) this.io.settled(region);
    lock.release();
  }

  // --- the voters and the other client

  /** Asks the voters whether the term still holds. The voters decide either now or when the answer is delivered. */
  askVoters(): Promise<boolean> {
    const isConfirmed = this.random.chance(0.5) ? this.isPromised : null;
    return new Promise((answer) => this.votes.push({ isConfirmed, answer }));
  }

  private get isPromised(): boolean {
    return this.votersWithUs * 2 > (this.places.length === 2 ? 3 : this.places.length);
  }

  private vote(): void {
    for (const vote of this.votes.splice(0)) vote.answer(vote.isConfirmed ?? this.isPromised);
  }

  /**
   * Lets the other client claim one more server. The other client gets the mirror when it has a majority of the voters and one replica in
   * sync.
   */
  private claim(): void {
    if (this.random.chance(0.3)) this.isWitnessTaken = true;
    else {
      const { store, session } = this.random.pick(this.places);
      store.isRevoked = true;
      session?.setReachable(session.isReachable);
    }
    const claimed = this.places.filter(({ store }) => store.isRevoked);
    const isInSync = claimed.some(({ role }) => role === 'member' || role === 'leaving');
    const voters = claimed.length + (this.places.length === 2 && this.isWitnessTaken ? 1 : 0);
    if (!isInSync || voters < 2 || this.takenAt < this.at) return;
    this.takenAt = this.at;
    for (const { store } of claimed) store.values = store.values.map(() => FOREIGN);
  }
}
