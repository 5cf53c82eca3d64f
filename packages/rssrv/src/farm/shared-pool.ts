// One shared pool at one server: watches its record, takes it, owns it and gives it up (docs/PROTOCOL.md, Farms). farm-decision.ts decides
// what comes next; an engine reaches the storage. Invariants: the pool is served only between the record that says SERVING under this
// server's generation and the end of the ownership; before this server takes the pool again, nothing of the last ownership is left: no
// handle, no open file, no mount, no client of the storage. Rules: F1 to F8.

import { sleep } from '@rsio/base/lib/waiting';
import { TAKE_OVER_MS } from '@rsio/common/config/schema/limits';
import type { SharedDiskConfig } from '@rsio/common/config/schema/types';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Engine, StorageClient } from './engine.ts';
import { hasOtherOwners, nextStep, turnsAfter } from './farm-decision.ts';
import { freed, isOwner, served, taken, type FarmRecord, type Writer, untaken } from './farm-record.ts';
import { FarmWatch } from './farm-watch.ts';
import { HURRY_MS, POOL_CLOSE_MS, PROBE_MS, REFUSAL_MAX_CHARS, RETRY_MS, WATCH_MS } from './limits.ts';
import { OwnLooks, type LookedOwnership } from './own-looks.ts';
import type { Ownership, SharedPoolPorts, SharedPoolStatus, Standing } from './shared-pool-ports.ts';

// Design. Two loops run beside each other. The watch looks at the record and posts the note of this server, once in WATCH_MS, whatever else
// is happening. The steps below take as long as the storage needs; one of them runs at a time.
//
//   watching --decided to take--> taking: CAS to TAKING, fence all writers, open, look, mount, CAS to SERVING --> owned
//   owned --asked to give up--> leaving: close the volumes, unmount, end the client, CAS to FREE --> watching
//   owned --the record names another owner, or the storage is silent--> ending: cut the device, close, unmount, end the client --> watching
//   taking --a step fails--> watching; after all fences and a clean end, the record is FREE, for another owner, in a new life; otherwise it
//                            stays TAKING, and the next take fences this one

interface Owned extends LookedOwnership {
  record: FarmRecord;
  readonly client: StorageClient;
}

export class SharedPool {
  readonly name: string;
  /**
   * How often this server has taken the pool although the earlier owner had not given it up, and how often this server has given it up by
   * command.
   */
  readonly counts = { forcedTakes: 0, movesAway: 0 };
  /** Why this server, which is taking the pool, waits for a fence; null if it does not wait for a fence. */
  unproven: string | null = null;
  private config: SharedDiskConfig;
  private readonly ports: SharedPoolPorts;
  private standing: Standing = 'watching';
  private owned: Owned | null = null;
  /** True while the volumes of the owned pool are served. */
  private isOpen = false;
  private why = 'its record was not read yet';
  private readonly seen: FarmWatch;
  private wants: { readonly generation: number; readonly to: string } | null = null;
  /** Why this server does not give the pool up, although it was asked to. */
  private refusal: string | null = null;
  /** Random, from 0 to 1; see farm-decision.ts. */
  private patience: number;
  private nextProbeMs = 0;
  /** No take begins before this time. */
  private restUntilMs = 0;
  private timer: Timer | null = null;
  private step: Promise<void> | null = null;
  /** True if this server no longer begins to take, move or open the pool. */
  private isStopping = false;
  private isClosed = false;
  readonly looks: OwnLooks;
  private readonly logError = (thrown: unknown): void => this.ports.log.error(`Pool ${this.name}: ${toRsError(thrown).message}`);

  constructor(name: string, config: SharedDiskConfig, ports: SharedPoolPorts) {
    this.name = name;
    this.config = config;
    this.ports = ports;
    this.seen = new FarmWatch(ports.clock, ports.server, config.takeOverMs ?? TAKE_OVER_MS, () => ports.random());
    this.patience = ports.random();
    this.looks = new OwnLooks(this.seen, {
      clock: ports.clock,
      server: ports.server,
      engine: ports.engine,
      owned: () => (this.isClosed ? null : this.owned),
      end: (why) => this.end(why),
      failed: (why) => (this.why = why),
    });
  }

  /** Ends what an earlier process has left, and begins to watch. Resolves after the first look. */
  async start(): Promise<void> {
    const { mount, engine } = this.ports;
    await mount
      .unmount()
      .then(() => engine.clear())
      .catch(this.logError);
    await this.watch();
  }

  get settings(): SharedDiskConfig {
    return this.config;
  }

  configure(config: SharedDiskConfig): void {
    this.config = config;
    this.seen.takeOverMs = config.takeOverMs ?? TAKE_OVER_MS;
  }

  get status(): SharedPoolStatus {
    const { standing, seen, why, ownership, refusal } = this;
    return { standing, sight: seen.sight, servedBy: seen.servedBy, why, ownership, refusal };
  }

  /** Time since this server last saw the note of `server` change, in ms. */
  silentMs(server: string): number {
    return this.seen.silentMs(server);
  }

  /** True if this server has lately seen the note of `server` change. */
  isThere(server: string): boolean {
    return this.seen.isThere(server);
  }

  /** The ownership under which the pool is served; null if this server does not own the pool, or is leaving it. */
  get ownership(): Ownership | null {
    return this.standing === 'owned' && this.owned?.isLost === false ? this.owned : null;
  }

  /** Reads the record now. Throws E_STORAGE. */
  async renew(): Promise<void> {
    await this.looks.look();
  }

  /**
   * Asks the owner with this generation, which may be this server, to give the pool up to `to`; null ends the request (F10). Only a first
   * request ends the rest of a failed step; a request that replaces another one does not.
   */
  ask(wants: { readonly generation: number; readonly to: string } | null): void {
    const isNew = this.wants === null;
    this.wants = wants;
    if (wants === null || !isNew) return;
    this.refusal = null;
    this.restUntilMs = 0;
    this.hurry();
  }

  /**
   * Makes the file system as large as the disk, which has grown, and returns the size of the device in bytes. Throws E_STORAGE, or E_POOL
   * if this server does not serve the pool; E_POOL then names the owner.
   */
  async grow(): Promise<number> {
    return await this.whenIdle(({ client }) => {
      const grown = client.grow().then((bytes) => this.ports.mount.grow().then(() => bytes));
      this.runs(Promise.allSettled([grown]).then(() => undefined));
      return grown;
    });
  }

  /**
   * Gives the pool up, so that no server has it until a command moves it (F6). Throws E_USAGE if the servers would take the pool by
   * themselves, E_BUSY, and the errors of `grow`.
   */
  async giveUpToNone(): Promise<void> {
    if (this.config.takeOverMs !== null)
      throw new RsError('E_USAGE', `Servers take pool ${this.name} by themselves: set take-over-after = never on each of its owners first`);
    await this.whenIdle(async (owned) => {
      this.why = 'it is given up';
      await this.begin('leaving', () => this.giveUp(owned, null));
      if (owned.isLost) throw this.failure(this.why);
    });
  }

  /**
   * Waits until no step is running, and then calls `begin`, which begins a step. Throws E_POOL if this server does not serve the pool then.
   */
  private async whenIdle<T>(begin: (owned: Owned) => Promise<T>): Promise<T> {
    while (this.ownership !== null && this.step !== null) await this.step;
    const { owned, ownership, why, isStopping } = this;
    // Two commands may wait for the same step, so there is no `await` between this check and `begin`.
    if (owned !== null && ownership !== null && !isStopping) return await begin(owned);
    const owner = this.seen.sight?.record?.owner?.server ?? this.ports.server;
    throw this.failure(owner === this.ports.server ? `this server does not serve it: ${why}` : `give this command at its owner, ${owner}`);
  }

  /** From now on, this server does not begin to take, move or open the pool. */
  stop(): void {
    this.isStopping = true;
  }

  /**
   * Ends the watch, after `stop`, when the volumes and files of the pool are closed. If this server owns the pool, unmounts it and, if
   * `isClean`, gives it up to another owner that is running. Without `isClean`, the writes of the pool or the counts of its incarnations
   * may be incomplete. The record then stays, and the next owner begins a new life. Bounded by POOL_CLOSE_MS if a step hangs.
   */
  async close(isClean: boolean): Promise<void> {
    const { log, mount, engine, clock } = this.ports;
    this.isStopping = true;
    this.isClosed = true;
    this.timer?.cancel();
    const failed = (thrown: unknown): void => log.error(`Pool ${this.name} was not given up: ${toRsError(thrown).message}`);
    const isOver = await settlesIn(clock, POOL_CLOSE_MS, this.step ?? Promise.resolve());
    const { owned } = this;
    if (!isOver) failed(this.failure(this.why));
    else if (owned !== null && isClean && !owned.isLost) await this.release(owned, this.successor()).catch(failed);
    else if (owned !== null)
      await owned.client
        .cut()
        .then(() => mount.unmount())
        .then(() => owned.client.close())
        .catch(failed);
    await engine.close().catch(failed);
  }

  private successor(turns = this.config.owners): string | null {
    return turns.find((one) => this.config.takeOverMs !== null && one !== this.ports.server && this.isThere(one)) ?? null;
  }

  // --- the watch

  private async watch(): Promise<void> {
    this.timer = null;
    await this.observe();
    if (this.isClosed) return;
    this.decide();
    this.probe();
    const isHurried = this.wants !== null || this.seen.sight?.record?.next === this.ports.server;
    this.timer = this.ports.clock.after(isHurried ? HURRY_MS : WATCH_MS, () => void this.watch());
  }

  /** While the pool is served, looks at its file system at most once in PROBE_MS. While a probe hangs, no other probe begins. */
  private probe(): void {
    const nowMs = this.ports.clock.monotonicMs();
    if (this.ownership === null || !this.isOpen || nowMs < this.nextProbeMs) return;
    this.nextProbeMs = Number.POSITIVE_INFINITY;
    void this.isHealthy(false).then(() => (this.nextProbeMs = this.ports.clock.monotonicMs() + PROBE_MS));
  }

  private hurry(): void {
    if (this.timer === null) return;
    this.timer.cancel();
    void this.watch();
  }

  private async observe(): Promise<void> {
    const { engine } = this.ports;
    try {
      await this.looks.look();
      const count = this.seen.nextCount();
      if (count === null) return;
      const { generation } = this.ownership ?? { generation: 0 };
      await engine.post({ generation, count, wants: this.wants, refusal: this.refusal, load: this.ports.load() });
    } catch (thrown) {
      this.why = toRsError(thrown).message;
      const { deafMs, takeOverMs } = this.seen;
      if (this.owned !== null && deafMs >= takeOverMs)
        this.end(`its storage has not answered for ${printDuration(Math.round(deafMs))}, and another server may have taken it`);
    }
  }

  private decide(): void {
    const { server, clock, log } = this.ports;
    const { owned, seen } = this;
    const { sight } = seen;
    if (sight === null) return;
    const { record } = sight;
    const wanted = seen.wanted(this.wants);
    // A later request must not get the answer to this one.
    if (wanted === null && this.wants === null) this.refusal = null;
    const step = nextStep({
      server,
      config: this.config,
      record,
      owned: owned?.generation ?? null,
      patience: this.patience,
      silentMs: (one) => seen.silentMs(one),
      isThere: (one) => seen.isThere(one),
      unchangedMs: seen.unchangedMs,
      wanted,
    });
    if (step.kind === 'end') return this.end(step.why);
    // A newer record means that a change of the owners was stored although its outcome was not known.
    if (owned !== null && record !== null && record.version > owned.record.version) owned.record = record;
    if (this.step !== null || this.isStopping) return;
    if (seen.hasRival) this.why = `another process posts notes with the name ${server}: give each server a name of its own`;
    else if (step.kind === 'wait') this.why = step.why;
    if (clock.monotonicMs() < this.restUntilMs || seen.hasRival) return;
    if (step.kind === 'take') {
      if (!seen.isReady) return;
      this.why = 'this server is taking it';
      void this.begin('taking', () => this.take(record!));
    } else if (owned !== null && step.kind === 'give-up') {
      log.info(`Pool ${this.name} is given up, so that ${step.to} serves it`);
      this.why = `it moves to server ${step.to}`;
      void this.begin('leaving', () => this.giveUp(owned, step.to));
    } else if (owned !== null && !this.isOpen) void this.begin('owned', () => this.openUp());
    else if (owned !== null && hasOtherOwners(owned.record, this.config, server)) void this.begin('owned', () => this.renewOwners(owned));
  }

  /** Makes `work` the step that runs, and returns its promise. A failure is logged, and the next step comes after a rest. */
  private begin(standing: Standing, work: () => Promise<void>): Promise<void> {
    const before = this.standing;
    this.standing = standing;
    const failed = (thrown: unknown): void => {
      [this.why, this.unproven] = [toRsError(thrown).message, null];
      this.restUntilMs = this.ports.clock.monotonicMs() + RETRY_MS;
      this.patience = this.ports.random();
      this.ports.log.error(`Pool ${this.name}: ${this.why}`);
      if (standing === 'leaving' || this.wants !== null) this.refusal = this.why.slice(0, REFUSAL_MAX_CHARS);
      if (this.standing === standing) this.standing = before;
    };
    const done = work();
    this.runs(done.catch(failed));
    return done;
  }

  /** Makes `work` the step that runs. */
  private runs(work: Promise<void>): void {
    const step: Promise<void> = work.finally(() => {
      if (this.step === step) this.step = null;
    });
    this.step = step;
  }

  // --- the steps

  /** F4. `before` is the record that was seen. */
  private async take(before: FarmRecord): Promise<void> {
    const { engine, mount, server, log, clock } = this.ports;
    await mount.unmount();
    await engine.clear();
    const client = await engine.connect(before.generation + 1);
    const isClean = before.state === 'free' && before.owner === null && before.writers.length === 0;
    /** The stored record of this take, from the moment when only this server may still write; null before. */
    let alone: FarmRecord | null = null;
    try {
      const taking = taken(before, server, client.name, clock.wallMs());
      if (taking === null) return await this.thinOut(before, client);
      await this.store(before, taking);
      log.info(`Pool ${this.name} is being taken, generation ${taking.generation}`);
      for (const writer of taking.writers) await this.fence(writer, taking.generation);
      // The fenced writers stay fenced, even if this take fails.
      const own = taking.writers.length > 0 ? { ...taking, version: taking.version + 1, writers: [] } : taking;
      if (own !== taking) await this.store(taking, own);
      alone = own;
      const device = await client.open();
      // With reservations, this server may have registered its key after a later taker had fenced this server (F13).
      await this.refuseEnded(taking.generation);
      await mount.mount(device);
      this.refuseStopping();
      const record = served(own, isClean, clock.wallMs());
      const lookedMs = clock.monotonicMs();
      await this.store(own, record);
      this.owned = {
        generation: record.generation,
        life: record.life,
        record,
        client,
        isLost: false,
        lookedMs,
        sinceMs: clock.monotonicMs(),
      };
      if (!isClean) this.counts.forcedTakes++;
    } catch (thrown) {
      await mount
        .unmount()
        .then(() => client.close())
        .then(() => (alone === null ? undefined : this.leaveUntaken(alone, isClean)))
        .catch(this.logError);
      throw thrown;
    }
    this.standing = 'owned';
    this.why = 'this server owns it';
    this.refusal = null;
    log.info(`Pool ${this.name} is owned by this server, generation ${before.generation + 1}`);
    await this.openUp();
  }

  /**
   * Frees the record of a failed take. The cause of the failure may lie in this server, and must not keep other servers from the pool. The
   * mount and the client of the take must have ended. Unless the pool was free before, the next owner begins a new life. Throws like
   * `store`.
   */
  private async leaveUntaken(own: FarmRecord, isClean: boolean): Promise<void> {
    const next = this.successor(turnsAfter(this.config.owners, this.ports.server));
    await this.store(own, untaken(own, isClean, next, this.ports.clock.wallMs()));
  }

  /** Called if the record has no room for another owner. Fences the earlier owners, and removes them from the record. */
  private async thinOut(full: FarmRecord, client: StorageClient): Promise<void> {
    await client.close();
    for (const writer of full.writers) await this.ports.engine.fence(writer);
    await this.store(full, { ...full, version: full.version + 1, writers: [] });
  }

  /** Changes the record (F1). Throws E_POOL if another server has changed it first. */
  private async store(before: FarmRecord, next: FarmRecord): Promise<void> {
    if (!(await this.ports.engine.swap(before, next))) throw this.failure('another server has changed its record first');
    this.seen.wrote(next);
  }

  private refuseStopping(): void {
    if (this.isStopping) throw this.failure('this server stops');
  }

  /** Stores the owners of rssrvcfg. Until the other servers have the same list, they do not take the pool. */
  private async renewOwners(owned: Owned): Promise<void> {
    const next = { ...owned.record, version: owned.record.version + 1, owners: this.config.owners, sinceMs: this.ports.clock.wallMs() };
    await this.store(owned.record, next);
    owned.record = next;
    this.ports.log.info(`Pool ${this.name} has the owners ${next.owners.join(', ')} now`);
  }

  /** Serves the volumes of the mounted pool. If this fails, the next step tries again. */
  private async openUp(): Promise<void> {
    this.isOpen = false;
    if (this.isStopping || !(await this.isHealthy(false))) return;
    await this.ports.came();
    this.isOpen = true;
  }

  /** Tries until the fence is proven. Throws if this server is no longer the taker. */
  private async fence(writer: Writer, generation: number): Promise<void> {
    const { engine, log } = this.ports;
    await fenceUntilProven(writer, {
      engine,
      waits: (why) => {
        if (why !== this.why) log.error(`Pool ${this.name}: ${why}`);
        [this.why, this.unproven] = [why, why];
      },
      pause: async () => {
        await this.delay(RETRY_MS);
        await this.refuseEnded(generation);
      },
    });
    [this.why, this.unproven] = ['this server is taking it', null];
    log.info(`Pool ${this.name}: ${nameOf(writer)}, is fenced`);
  }

  /** Throws E_POOL if this server is to stop, or is no longer the taker with this generation. */
  private async refuseEnded(generation: number): Promise<void> {
    const { engine, server } = this.ports;
    this.refuseStopping();
    if (!isOwner((await engine.look()).record, server, generation)) throw this.failure('another server has taken it meanwhile');
  }

  /** F6. */
  private async giveUp(owned: Owned, to: string | null): Promise<void> {
    await this.ports.mount.refuseCopies();
    // If `leave` fails, `openUp` serves the volumes again, whatever `leave` has done to them.
    this.isOpen = false;
    await this.ports.leave(false);
    if (owned.isLost) return;
    try {
      await this.release(owned, to);
      if (!owned.isLost) this.counts.movesAway++;
    } catch (thrown) {
      if (this.owned !== owned || owned.isLost || !(await this.isHealthy(false))) throw thrown;
      // The mount is in use: this server still owns the pool.
      this.standing = 'owned';
      this.refusal = toRsError(thrown).message.slice(0, REFUSAL_MAX_CHARS);
      await this.openUp();
      throw thrown;
    }
  }

  /** Ends the mount and the client, and frees the record. All files of the pool must be closed. */
  private async release(owned: Owned, next: string | null): Promise<void> {
    const { mount, clock } = this.ports;
    await mount.unmount();
    // If the ownership has ended meanwhile, `clean` does the rest.
    if (owned.isLost) return;
    // From here on, this server no longer owns the pool, even if the record cannot be changed.
    this.owned = null;
    this.standing = 'watching';
    await owned.client.close();
    await this.store(owned.record, freed(owned.record, next, clock.wallMs()));
    this.why = next === null ? 'this server has given it up' : `this server has given it up to ${next}`;
  }

  /**
   * If the file system of the owned pool has failed or is not mounted, ends the ownership, so that the pool is mounted again, here or
   * elsewhere, and resolves with false. `isWriting`: a request has failed, and only a write shows whether the device works.
   */
  async isHealthy(isWriting: boolean): Promise<boolean> {
    const { owned } = this;
    if (owned === null || owned.isLost) return false;
    try {
      if (owned.client.hasEnded) throw this.failure('its storage client has ended');
      await this.ports.mount.probe(isWriting);
    } catch (thrown) {
      this.end(toRsError(thrown).message);
    }
    return !(owned as Owned).isLost;
  }

  /**
   * Ends the ownership (F7), also when the file system has reported an error after which its content in memory cannot be trusted (F2). May
   * be called in any step; the steps notice `isLost`.
   */
  end(why: string): void {
    const { owned } = this;
    if (owned === null || owned.isLost) return;
    owned.isLost = true;
    this.standing = 'ending';
    this.why = why;
    this.ports.log.error(`Pool ${this.name} is no longer owned by this server: ${why}`);
    // Cut the device first: no I/O of the device may hang, because all open files must be closed.
    const cut = owned.client.cut().catch((thrown: unknown) => this.ports.log.error(toRsError(thrown).message));
    this.runs(Promise.all([this.step, cut]).then(() => this.clean(owned)));
  }

  private async clean(owned: Owned): Promise<void> {
    const { engine, mount } = this.ports;
    await this.untilDone(() => this.ports.leave(true));
    await this.untilDone(() => mount.unmount());
    await this.untilDone(() => owned.client.close().catch(() => engine.clear()));
    if (this.isClosed) return;
    this.owned = null;
    this.standing = 'watching';
    this.ports.log.info(`Pool ${this.name}: nothing of it is open any more`);
  }

  private async untilDone(work: () => Promise<void>): Promise<void> {
    const failed = (why: string): Promise<void> => {
      if (why !== this.why) this.ports.log.error(`Pool ${this.name} cannot be closed yet: ${why}`);
      this.why = why;
      return this.delay(RETRY_MS);
    };
    await untilDone(work, () => this.isClosed, failed);
  }

  private delay(ms: number): Promise<void> {
    return sleep(this.ports.clock, ms);
  }

  private failure(why: string): RsError {
    return new RsError('E_POOL', `Pool ${this.name}: ${why}`, { pool: this.name });
  }
}

// Fences an earlier owner of a shared pool, for the server that takes the pool, and tries again until the fence is proven. Invariant:
// fenceUntilProven resolves only when the fence is proven. Rules: F4.
interface FencingPorts {
  readonly engine: Pick<Engine, 'fence'>;
  /** Called with a sentence after each attempt that has failed. */
  waits(why: string): void;
  /** Waits before the next attempt. Throws if this server is no longer the taker. */
  pause(): Promise<void>;
}

/** Throws what `pause` throws. */
async function fenceUntilProven(writer: Writer, ports: FencingPorts): Promise<void> {
  for (;;) {
    try {
      await ports.engine.fence(writer);
      return;
    } catch (thrown) {
      ports.waits(`it waits for the fence of ${nameOf(writer)}: ${toRsError(thrown).message}`);
    }
    await ports.pause();
  }
}

/** Returns a text such as `big-9, generation 17`. */
function nameOf({ server, generation }: Writer): string {
  return `${server}, generation ${generation}`;
}

// Waits for a step of a shared pool that may hang or fail. The caller keeps track of the step. Invariant: a wait that gives up does not end
// the step.
/** Resolves with true when the step has settled, and with false after `limitMs`. */
function settlesIn(clock: Clock, limitMs: number, step: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(limitMs, () => resolve(false));
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    step.then(settled, settled);
  });
}

/**
 * Runs `work` until it succeeds, or `isOver` returns true. After each failed attempt, `failed` gets the reason, and waits before the next
 * attempt.
 */
async function untilDone(work: () => Promise<void>, isOver: () => boolean, failed: (why: string) => Promise<void>): Promise<void> {
  while (!isOver()) {
    const why = await work().then(
      () => null,
      (thrown: unknown) => toRsError(thrown).message,
    );
    if (why === null) return;
    await failed(why);
  }
}
