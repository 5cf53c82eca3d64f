// An administrator of one simulated server with pools on simulated file systems: takes snapshots of one or two volumes, removes and clones
// snapshots, rolls volumes back, asks for differences, and moves another volume between the pools, while clients use all volumes. The
// manager repeats an unanswered order with the same request id. The manager has its own source of random numbers. The store judge, the
// snapshot judge and the users judge the results.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { toRsError } from '@rsio/base/lib/errors';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { isOpen } from '@rsio/rssrv/jobs/job-plan';
import { LOCAL_ASKER } from '@rsio/rssrv/pools/asker';
import type { Turn } from '@rsio/rssrv/pools/requests/turn';
import type { Found } from '@rsio/rssrv/pools/catalogue';
import { poolPaths } from '@rsio/rssrv/pools/disk/pool-paths';
import { snapshotPaths, type SnapshotRecord } from '@rsio/rssrv/pools/snapshots/snapshot-record';
import type { SimClock } from '../base/sim-clock.ts';
import type { Trace } from '../base/trace.ts';
import { contentAt, dataAt } from '../files/sim-calls.ts';
import type { ReaderJudge } from '../judges/reader-judge.ts';
import type { SnapshotJudge } from '../judges/snapshot-judge.ts';
import type { StoreJudge } from '../judges/store-judge.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { SimUser } from '../machines/sim-user.ts';
import type { SimVolume } from '../machines/sim-volume.ts';
import type { SimReader } from '../readers/sim-reader.ts';
import type { SimStore } from '../pools/sim-store.ts';
import { CREATED, SimSpread, spreadContent } from './sim-spread.ts';

export interface StoreManagerPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly server: SimServer;
  readonly judge: StoreJudge;
  readonly moments: SnapshotJudge;
  /** Judge of the clients that read snapshots. Null: no client reads snapshots. */
  readonly readers: ReaderJudge | null;
  /** Whether there are volumes over both pools. */
  readonly hasSpread: boolean;
  /** The reader that has this snapshot open or will attach it again. Null: there is no such reader. */
  readerOf(label: string): SimReader | null;
  readonly pools: readonly [string, string];
  users(volume: SimVolume, mayBeSeveral: boolean): readonly SimUser[];
  readonly sendAway: (user: SimUser) => Promise<void>;
  readonly callBack: (user: SimUser) => void;
  /** Called after an answered order, so that a fault can begin. */
  readonly answered: () => void;
}

interface Owned {
  readonly name: string;
  readonly volume: SimVolume;
  readonly users: readonly SimUser[];
  /** Names of the volume's snapshots, the oldest first. */
  readonly snapshots: string[];
  /** For each name: the id of the newest answered snapshot that got this name. */
  readonly ids: Map<string, string>;
}

/** An answer, a refusal, or null if there was no answer. */
type Answer<T> = { readonly value: T } | { readonly code: string; readonly why: string } | null;

/** Maximum number of volumes on one server that clients use. */
export const STORED_MAX = 3;
/** The manager ends after ORDERS answered orders, or after ATTEMPTS_MAX orders. */
const ORDERS = 25;
const ATTEMPTS_MAX = 100;
/** No order begins after this time. */
const ORDERS_MAX_MS = 30_000;
const GAP_MAX_MS = 250;
const ANSWER_MAX_MS = 8000;
const RETRY_MAX_MS = 300;
const POLL_MS = 20;
/** Chance that a snapshot leaves out volumes that may lack answered writes. */
const SETTLED_CHANCE = 0.8;
const STEP_BYTES = 8 * 1024;
const STEPS_MAX = 6;
const SNAPSHOTS_MAX = 4;
const CLONES_MAX = 2;
/** In worlds with readers: chance that a new snapshot gets the name of a removed one. */
const NAME_AGAIN_CHANCE = 0.6;
/** In worlds with readers: chance that a snapshot that a client will attach again is replaced by another snapshot of the same name. */
const REPLACE_CHANCE = 0.4;
const AWAY_WAITS = 50;
/** In worlds with volumes over several pools: share of the orders that are for such volumes. */
const SPREAD_SHARE = 0.5;
const COMES_BACK_MAX_MS = 15;
const AGAIN_TRIES = 3;
const PAIRS_MAX = 1000;
/** Maximum size of a volume in bytes. */
export const STORED_MAX_BYTES = STEPS_MAX * STEP_BYTES;
/** Codes of refusals that mean: nothing was done, and the order is not possible now. */
const REFUSALS = ['E_BUSY', 'E_HELD', 'E_VOLUME', 'E_SYSTEM'];

export class SimStoreManager {
  /** Whether the manager gives no more orders and no job is open. */
  isDone = false;
  private readonly ports: StoreManagerPorts;
  private readonly random: SeededRandom;
  /** The volumes whose snapshots are taken; another volume moves between the pools. */
  private readonly fixed: Owned[] = [];
  private moving: Owned | null = null;
  private readonly clones: string[] = [];
  private readonly spread: SimSpread;
  /** Names of removed snapshots. In worlds with readers, new snapshots may get these names. */
  private readonly freed: string[] = [];
  private isHealed = false;
  private names = 0;
  private requests = 0;

  constructor(ports: StoreManagerPorts) {
    this.ports = ports;
    this.random = ports.random;
    this.spread = new SimSpread({
      ...ports,
      store: () => (ports.server.store?.isReady === true ? ports.server.store : null),
      ask: (what, work) => this.ask(what, work),
      newName: () => `n${++this.names}`,
    });
    void this.run();
  }

  /** Called when the faults are over. The manager begins no further orders. */
  heal(): void {
    this.isHealed = true;
  }

  /** Chooses a snapshot that a client may attach by name; null: no snapshot is free. */
  chooseSnapshot(isFree: (label: string) => boolean): { readonly volume: SimVolume; readonly label: string } | null {
    const every = this.fixed.flatMap(({ name, volume, snapshots }) => snapshots.map((one) => ({ volume, label: `${name}@${one}` })));
    const all = every.filter(({ label }) => isFree(label));
    return all.length === 0 ? null : this.random.pick(all);
  }

  /** A listener has opened the pools. Compares its snapshots and clones with the earlier answers of the server. */
  started(store: SimStore): void {
    const found = this.found(store);
    if (found !== null) this.ports.judge.look(found, 'after a start');
    for (const one of [...this.fixed, ...(this.moving === null ? [] : [this.moving])]) {
      const pools = store.pools.states.filter(({ volumes }) => volumes.has(one.volume.id));
      if (pools.length !== 1 && found !== null) this.ports.judge.breach(`C5: volume ${one.name} is in ${pools.length} pools after a start`);
    }
  }

  private async run(): Promise<void> {
    for (let at = 0; at < STORED_MAX; at++) await this.create(at === STORED_MAX - 1);
    const { judge, hasSpread, server } = this.ports;
    for (const part of hasSpread ? ['w0', 'w1'] : [])
      await this.spread.create({ ...CREATED, name: `${server.name}-${part}`, sizeBytes: this.random.int(1, 3) * STEP_BYTES });
    for (let attempts = 0; attempts < ATTEMPTS_MAX && judge.done < ORDERS && !this.isOver; attempts++) {
      await this.pause(this.random.unit() * GAP_MAX_MS);
      await this.act();
      this.compare(`after order ${attempts}`);
    }
    while (this.ports.server.store?.isReady !== true || this.ports.server.store.jobs.list.some(isOpen)) await this.pause(POLL_MS);
    const found = this.found(this.ports.server.store);
    if (found !== null) this.ports.judge.look(found, 'at the end');
    this.isDone = true;
  }

  private get isOver(): boolean {
    return this.isHealed || this.ports.clock.monotonicMs() > ORDERS_MAX_MS;
  }

  private act(): Promise<unknown> {
    const { random } = this;
    const one = random.pick(this.fixed);
    if (this.ports.readers !== null && random.chance(REPLACE_CHANCE)) return this.replace();
    if (this.ports.hasSpread && random.chance(SPREAD_SHARE)) return this.spread.act();
    const draw = random.unit();
    if (draw < 0.3) return this.move();
    if (one.snapshots.length === 0 || draw < 0.5) return this.snapshot();
    if (draw < 0.62 || one.snapshots.length >= SNAPSHOTS_MAX) return this.drop(one, random.pick(one.snapshots));
    if (draw < 0.74) return this.diff(one);
    if (draw < 0.8) return this.clone(one);
    if (draw < 0.88) return this.grow(random.chance(0.5) ? one : this.moving!);
    return this.rollback(one, random.pick(one.snapshots));
  }

  private async create(isMoving: boolean): Promise<void> {
    const name = `${this.ports.server.name}-${isMoving ? 'm' : 's'}${this.fixed.length}`;
    const request = { ...CREATED, name, sizeBytes: this.random.int(1, 2) * STEP_BYTES, pool: this.random.pick(this.ports.pools) };
    const found = await this.ask(`create ${name}`, (store, id) => store.verbs.create(request, LOCAL_ASKER, id));
    if (found === null) return this.create(isMoving);
    const volume = this.ports.server.machine.volumes.get(found.manifest.id)!;
    this.ports.moments.watch(volume.oracle);
    const owned = { name, volume, users: this.ports.users(volume, isMoving), snapshots: [], ids: new Map<string, string>() };
    if (isMoving) this.moving = owned;
    else this.fixed.push(owned);
  }

  /**
   * Removes a snapshot that a client has just closed. The client attaches the snapshot again during the removal, or after another snapshot
   * has got its name.
   */
  private async replace(): Promise<void> {
    const { random, ports } = this;
    const found = this.fixed.flatMap((one) =>
      one.snapshots.flatMap((name) => {
        const reader = ports.readerOf(`${one.name}@${name}`);
        return reader === null ? [] : [{ one, name, reader }];
      }),
    );
    if (found.length === 0) return this.snapshot();
    const { one, name, reader } = random.pick(found);
    reader.sendAway();
    for (let waits = 0; waits < AWAY_WAITS && !reader.isAway; waits++) await this.pause(POLL_MS);
    if (reader.isAway) {
      if (random.chance(0.5)) ports.clock.after(random.unit() * COMES_BACK_MAX_MS, () => reader.callBack());
      await this.drop(one, name);
      if (this.freed.includes(name)) this.freed.splice(this.freed.indexOf(name), 1);
      for (let tries = 0; tries < AGAIN_TRIES && !one.snapshots.includes(name); tries++) await this.snapshot(one, name);
    }
    reader.callBack();
  }

  private async snapshot(only: Owned | null = null, name = this.newName()): Promise<void> {
    const { judge, moments } = this.ports;
    const isSettled = this.random.chance(SETTLED_CHANCE);
    const drawn = this.fixed.filter((one) => {
      if (only !== null) return one === only;
      return one.snapshots.length < SNAPSHOTS_MAX && this.random.chance(0.7) && !(isSettled && this.isUnsettled(one.volume));
    });
    if (drawn.length === 0) return;
    const keys = drawn.map((one) => keyOf(one.volume.id, name));
    judge.asks(keys);
    const take = moments.asks(drawn.map(({ volume }) => volume.oracle));
    const wanted = drawn.map((one) => ({ name: one.name, universe: 0, snapshot: name }));
    const made = await this.ask(`snapshot ${keys.join(' ')}`, (store, id, turn) => store.snapshots.snapshot(wanted, LOCAL_ASKER, id, turn));
    const contents = new Map((made ?? []).map(({ pool, record: { volumeId: id } }) => [id as string, contentOf(pool.path, id, name)]));
    for (const { record } of made ?? [])
      this.isThere(drawn.find(({ volume }) => volume.id === record.volumeId)!, record, contents.get(record.volumeId)!);
    judge.answered(new Map([...contents].map(([id, content]) => [keyOf(id, name), content])));
    if (made === null) return;
    for (const one of drawn) one.snapshots.push(name);
    moments.answered(
      take,
      drawn.map((one) => ({ oracle: one.volume.oracle, name: one.name, content: contents.get(one.volume.id)! })),
    );
  }

  private newName(): string {
    const isAgain = this.freed.length > 0 && this.random.chance(NAME_AGAIN_CHANCE);
    return isAgain ? this.freed.pop()! : `n${++this.names}`;
  }

  private isThere({ volume, ids }: Owned, { id, name, createdMs }: SnapshotRecord, content: Buffer): void {
    ids.set(name, id);
    this.ports.readers?.made({ id, name, volumeId: volume.id, createdMs, content: Buffer.from(content) });
  }

  /** Whether a client still has to replay lost writes, so that the server would refuse a snapshot. */
  private isUnsettled({ id }: SimVolume): boolean {
    const { holds, machine } = this.ports.server;
    return holds.holders.unsettledNode(id, machine.incarnationOf(id)) !== null;
  }

  private async drop(one: Owned, name: string): Promise<void> {
    const { judge, readers } = this.ports;
    const id = one.ids.get(name) ?? '';
    judge.removes(keyOf(one.volume.id, name));
    readers?.leaves(id);
    const wanted = { name: one.name, universe: 0, snapshot: name };
    const removed = await this.ask(`remove ${one.name}@${name}`, (store, id) => store.snapshots.remove(wanted, LOCAL_ASKER, id));
    judge.removed(removed !== null);
    if (removed === null) readers?.stays(id);
    else {
      one.snapshots.splice(one.snapshots.indexOf(name), 1);
      readers?.isRemoved(id);
      // The name of a removed snapshot may be used again if the manager chose the name (it then begins with n) and no snapshot has it now.
      // The server makes all other names from the time, and may itself give the same name twice in one second.
      const isFree = name.startsWith('n') && !this.fixed.some(({ snapshots }) => snapshots.includes(name));
      if (readers !== null && isFree) this.freed.push(name);
    }
  }

  private async grow({ name, volume }: Owned): Promise<void> {
    const sizeBytes = Math.min(STORED_MAX_BYTES, volume.oracle.sectors * SECTOR_BYTES + this.random.int(1, 2) * STEP_BYTES);
    if (sizeBytes === volume.oracle.sectors * SECTOR_BYTES) return;
    await this.ask(`grow ${name} ${sizeBytes}`, (store, id) => store.verbs.grow({ name, universe: 0 }, sizeBytes, LOCAL_ASKER, id));
  }

  /** Clones a snapshot and writes to the clone at once. The write must not change the snapshot. */
  private async clone({ name, volume, snapshots }: Owned): Promise<void> {
    const { judge } = this.ports;
    if (this.clones.length >= CLONES_MAX) return;
    const snapshot = this.random.pick(snapshots);
    const to = { name: `${name}-c${++this.names}`, universe: 0 };
    const from = { name, universe: 0, snapshot };
    const made = await this.ask(`clone ${name}@${snapshot}`, (store, id, turn) => store.snapshots.clone(from, to, LOCAL_ASKER, id, turn));
    if (made === null) return;
    const { id } = made.manifest;
    const path = poolPaths.data(poolPaths.volume(made.pool.path, id));
    if (!contentAt(path)!.equals(judge.contentOf(keyOf(volume.id, snapshot))!))
      judge.breach(`P2: a clone of ${name}@${snapshot} is not what it was`);
    this.clones.push(id);
    const { cache } = dataAt(path)!.storage;
    cache.change(0, SECTOR_BYTES, this.random.bytes(SECTOR_BYTES), 0);
    cache.writeThrough(0, 1);
    judge.answered(new Map([[id, contentAt(path)!]]));
  }

  /** Asks for the differences between two snapshots, or between a snapshot and the current content. */
  private async diff({ name, volume, snapshots }: Owned): Promise<void> {
    const { judge } = this.ports;
    const first = this.random.int(0, snapshots.length - 1);
    const second = this.random.int(first + 1, snapshots.length);
    const [before, after] = [snapshots[first]!, snapshots[second] ?? null];
    const old = judge.contentOf(keyOf(volume.id, before))!;
    const [storage, drops] = [volume.storage, volume.oracle.lowerings];
    const asked = Buffer.from(storage.content);
    const given = await this.once((store) => this.compared(store, store.find(name), before, after, old.length));
    if (given === null || !('value' in given)) return;
    const now = after === null ? asked : judge.contentOf(keyOf(volume.id, after))!;
    if (after === null && (volume.storage !== storage || volume.oracle.lowerings !== drops || volume.oracle.forgotten > 0)) return;
    const isSure = (sector: number): boolean => {
      const [from, to] = [sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES];
      return after !== null || asked.compare(storage.content, from, to, from, to) === 0;
    };
    judge.differs(`${name}@${before} and ${after ?? 'now'}`, old, now, given.value, isSure);
  }

  private async compared(
    store: SimStore,
    { pool, manifest }: Found,
    before: string,
    after: string | null,
    toBytes: number,
  ): Promise<number[]> {
    const folder = poolPaths.volume(pool.path, manifest.id);
    const check = (): void => undefined;
    const file = (path: string, isWritten: boolean) => ({ path, isWritten, check });
    const now = after === null ? file(poolPaths.data(folder), true) : file(snapshotPaths.data(folder, after), false);
    const { pairs } = await store.comparisons.compare({
      pool: pool.name,
      before: file(snapshotPaths.data(folder, before), false),
      after: now,
      fromBytes: 0,
      toBytes,
      pairsMax: PAIRS_MAX,
    });
    return pairs;
  }

  private async rollback(one: Owned, snapshot: string): Promise<void> {
    const { name, volume, users, snapshots } = one;
    const { judge, sendAway, callBack } = this.ports;
    await Promise.all(users.map((user) => sendAway(user)));
    const wanted = { name, universe: 0, snapshot };
    judge.rollsBack(volume.id);
    const before = judge.contentOf(keyOf(volume.id, snapshot))!;
    const isRight = (): boolean => {
      const now = volume.storage.content;
      return now.subarray(0, before.length).equals(before) && now.subarray(before.length).every((byte) => byte === 0);
    };
    // Tells the oracle of the new content at the moment at which the file is replaced. A client that was down or about to attach may use
    // the volume before the answer to the rollback arrives.
    const replaced: { atChange: number | null } = { atChange: null };
    volume.whenReplaced = () => {
      replaced.atChange = isRight() ? volume.oracle.submitted : null;
      if (replaced.atChange !== null) volume.oracle.rolledBack(volume.storage.content);
    };
    const done = await this.ask(`rollback ${name}@${snapshot}`, (store, id) => store.snapshots.rollback(wanted, LOCAL_ASKER, id));
    volume.whenReplaced = () => undefined;
    if (done !== null) {
      const { pool, manifest, kept } = done;
      if (replaced.atChange === null || (replaced.atChange === volume.oracle.submitted && !isRight()))
        judge.breach(`P2: ${name} does not have the content of ${snapshot} after it was rolled back`);
      if (kept !== null) {
        snapshots.push(kept.name);
        this.isThere(one, kept, contentOf(pool.path, manifest.id, kept.name));
      }
      judge.answered(new Map(kept === null ? [] : [[keyOf(manifest.id, kept.name), contentOf(pool.path, manifest.id, kept.name)]]));
    } else {
      judge.answered(new Map());
    }
    for (const user of users) callBack(user);
  }

  /** Begins a move. The job of the move runs during later orders. */
  private async move(): Promise<void> {
    const { name, volume } = this.moving!;
    const { judge, answered } = this.ports;
    const given = await this.once(async (store) => {
      if (store.jobs.list.some(isOpen)) return null;
      const to = this.ports.pools.find((pool) => pool !== store.find(name).pool.name)!;
      return store.move(name, to);
    });
    if (given === null || !('value' in given) || given.value === null) return;
    const { id, to } = given.value;
    judge.done++;
    answered();
    if (this.random.chance(0.15)) await this.once((store) => store.jobs.cancel(id));
    if (!this.random.chance(0.5)) return;
    while (this.ports.server.store?.isReady !== true || this.ports.server.store.jobs.list.some(isOpen)) await this.pause(POLL_MS);
    const { jobs, pools } = this.ports.server.store;
    const { state } = jobs.find(id);
    const where = pools.states.find(({ volumes }) => volumes.has(volume.id))?.name;
    if ((state === 'done') !== (where === to)) judge.breach(`C5: the move of ${name} to ${to} is ${state}, and it is in ${where}`);
  }

  private compare(when: string): void {
    const { store } = this.ports.server;
    const found = store?.isReady === true ? this.found(store) : null;
    if (found !== null) this.ports.judge.compareAll(found, when);
  }

  /** Returns the contents of all snapshots and clones. Null: the contents are unknown, because a pool cannot be used. */
  private found(store: SimStore): Map<string, Buffer | null> | null {
    const found = new Map<string, Buffer | null>();
    for (const { path, trouble, volumes, snapshots } of store.pools.states) {
      if (trouble !== null) return null;
      for (const id of volumes.keys()) {
        if (this.clones.includes(id)) found.set(id, contentAt(poolPaths.data(poolPaths.volume(path, id))));
        for (const { id: own, name, layout } of snapshots.get(id)?.list ?? [])
          found.set(
            keyOf(id, name),
            layout !== undefined ? spreadContent(store, own) : contentAt(snapshotPaths.data(poolPaths.volume(path, id), name)),
          );
      }
    }
    return found;
  }

  /** Repeats an order until it is answered; returns null if it was refused. */
  private async ask<T>(what: string, work: (store: SimStore, request: string, turn: Turn) => Promise<T>): Promise<T | null> {
    const request = `request-${++this.requests}`;
    for (;;) {
      const answer = await this.once((store, turn) => work(store, request, turn));
      const { trace, server } = this.ports;
      if (trace.isOn)
        trace.say(
          `${server.name}: ${request} ${what}: ${answer === null ? null : 'code' in answer ? `${answer.code} ${answer.why}` : 'done'}`,
        );
      if (answer !== null && 'value' in answer) {
        this.ports.answered();
        return answer.value;
      }
      if (answer !== null && REFUSALS.includes(answer.code)) return null;
      if (answer !== null && answer.code !== 'E_POOL' && answer.code !== 'E_TIMEOUT')
        this.ports.judge.breach(`C1: ${what} is refused with ${answer.code}: ${answer.why}`);
      await this.pause(this.random.unit() * RETRY_MAX_MS);
    }
  }

  private once<T>(work: (store: SimStore, turn: Turn) => Promise<T>): Promise<Answer<T>> {
    const { server, clock } = this.ports;
    const { store, listener } = server;
    if (!server.isListening || store === null || !store.isReady) return Promise.resolve(null);
    return new Promise((resolve) => {
      const timer = clock.after(ANSWER_MAX_MS, () => resolve(null));
      const ended = (answer: Answer<T>): void => {
        timer.cancel();
        resolve(answer);
      };
      listener.after(0, () => {
        store
          .order(work)
          .then((value) => ended({ value }))
          .catch((thrown: unknown) => ended({ code: toRsError(thrown).code, why: toRsError(thrown).message }));
      });
    });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.ports.clock.after(ms, resolve);
    });
  }
}

function keyOf(id: string, snapshot: string): string {
  return `${id}@${snapshot}`;
}

function contentOf(pool: string, id: string, snapshot: string): Buffer {
  return Buffer.from(contentAt(snapshotPaths.data(poolPaths.volume(pool, id), snapshot)) ?? []);
}
