// Replicas for tests of the data path of mirrors: a store with volatile and durable content, and sessions that execute requests in any
// order and answer them at any time. A session keeps a replay log, and recovers and repeats requests in the same way as an attachment.
// Invariant: a store executes a WRITE only while the request belongs to the session, or with the data that the request had when it was
// abandoned.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Attachment, AttachmentEvents, AttachmentPhase } from '../client/attachment.ts';
import type { Request } from '../client/requests/request.ts';
import type { Trunk } from '../client/trunk.ts';
import { FLAG, OP } from '../wire/frames.ts';
import { STATUS } from '../wire/status.ts';
import { Replica } from '../mirror/io/replica.ts';
import { OPEN_ANSWER } from './trunk-scene.ts';

export class FakeStore {
  readonly identity: string;
  readonly firstSector: number;
  values: number[];
  durable: number[];
  life = 1;
  /** True if another holder has claimed the server, which then executes none of our requests. */
  isRevoked = false;
  failsReads = false;
  refusesChanges = false;

  constructor(identity: string, firstSector: number, values: readonly number[]) {
    this.identity = identity;
    this.firstSector = firstSector;
    this.values = [...values];
    this.durable = [...values];
  }

  /** Simulates a crash of the machine, which may lose some of the unsynced blocks. */
  crash(random: SeededRandom): void {
    this.durable = this.durable.map((value, block) => (random.chance(0.5) ? value : this.values[block]!));
    this.values = [...this.durable];
    this.life++;
  }
}

interface Executed {
  readonly request: Request;
  readonly status: number;
  readonly read: readonly number[];
  /** For a FLUSH: the session's log at the time when the FLUSH was executed. */
  readonly log: ReadonlyMap<number, number>;
}

const NOTHING: ReadonlyMap<number, number> = new Map();

export class FakeSession {
  readonly store: FakeStore;
  readonly replica: Replica;
  phase: AttachmentPhase = 'ready';
  isReachable = true;
  events: AttachmentEvents | null = null;
  queue: Request[] = [];
  executed: Executed[] = [];
  private zombies: { readonly lba: number; readonly values: readonly number[] }[] = [];
  private isFenced = false;
  private handle = 1;
  private log = new Map<number, number>();
  private life: number;
  /** The incarnation that has every write in the log. */
  private logLife: number;
  private readonly check: (session: FakeSession, request: Request) => void;

  /** `check` is called with each request that is submitted. */
  constructor(store: FakeStore, check: (session: FakeSession, request: Request) => void) {
    this.store = store;
    this.life = store.life;
    this.logLife = store.life;
    this.check = check;
    this.replica = new Replica(store.identity, this.attachment(), this.trunk(), 'big-1');
  }

  get live(): Request[] {
    return [...this.queue, ...this.executed.map(({ request }) => request)];
  }

  get isReady(): boolean {
    return this.phase === 'ready' && this.isReachable;
  }

  /** Ends the session. The test may have crashed the storage before this call. */
  lose(): void {
    this.queue = this.live;
    this.executed = [];
    this.isFenced = false;
    this.zombies = [];
    this.moveTo('opening');
  }

  setReachable(isReachable: boolean): void {
    this.isReachable = isReachable;
    this.events?.standingChanged();
  }

  /** Executes or answers one request, if a request is in flight. */
  step(random: SeededRandom): void {
    if (!this.isReachable) return;
    if (this.isFenced) this.fencedStep(random);
    else if (this.store.isRevoked) this.moveTo('revoked');
    else if (this.phase === 'revoked') this.moveTo('opening');
    else if (this.phase === 'opening') this.opened();
    else if (this.phase === 'replaying') {
      for (const [block, value] of this.log) this.store.values[block] = value;
      this.logLife = this.life;
      this.moveTo('resending');
    } else if (this.phase === 'resending') this.moveTo('ready');
    else if (this.queue.length > 0 && random.chance(0.5))
      this.execute(this.queue.splice(random.int(0, this.queue.length - 1), 1)[0]!, random);
    else if (this.executed.length > 0) this.answer(this.executed.splice(random.int(0, this.executed.length - 1), 1)[0]!);
  }

  private opened(): void {
    this.handle++;
    this.life = this.store.life;
    const isReplayed = this.logLife !== this.life && this.log.size > 0;
    if (!isReplayed) this.logLife = this.life;
    this.moveTo(isReplayed ? 'replaying' : 'resending');
  }

  private fencedStep(random: SeededRandom): void {
    const zombie = this.zombies.pop();
    if (zombie === undefined) {
      this.isFenced = false;
      return;
    }
    if (this.store.isRevoked || random.chance(0.5)) return;
    for (const [index, value] of zombie.values.entries()) this.store.values[zombie.lba - this.store.firstSector + index] = value;
  }

  private execute(request: Request, random: SeededRandom): void {
    const { store } = this;
    const first = request.lba - store.firstSector;
    let status: number = STATUS.OK;
    let read: number[] = [];
    if (request.op === OP.READ) {
      read = store.values.slice(first, first + request.count);
      if (store.failsReads) status = STATUS.IO_ERROR;
    } else if (request.op === OP.FLUSH) {
      if (store.refusesChanges) status = STATUS.IO_ERROR;
      else store.durable = [...store.values];
    } else if (request.op === OP.WRITE) {
      const values = valuesOf(request);
      const done = store.refusesChanges ? random.int(0, values.length) : values.length;
      if (store.refusesChanges) status = STATUS.NO_SPACE;
      for (const [index, value] of values.slice(0, done).entries()) {
        store.values[first + index] = value;
        if ((request.flags & FLAG.FUA) !== 0) store.durable[first + index] = value;
      }
    }
    this.executed.push({ request, status, read, log: request.op === OP.FLUSH ? new Map(this.log) : NOTHING });
  }

  private answer({ request, status, read, log }: Executed): void {
    if (status === STATUS.OK && request.op === OP.WRITE) {
      for (const [index, value] of valuesOf(request).entries()) this.log.set(request.lba - this.store.firstSector + index, value);
    }
    if (status === STATUS.OK && request.op === OP.FLUSH)
      for (const [block, value] of log) if (this.log.get(block) === value) this.log.delete(block);
    for (const [index, value] of read.entries()) request.buffer.writeUInt32LE(value, request.bufferOffset + index * SECTOR_BYTES);
    request.events?.requestDone(request, status);
  }

  private submit(request: Request): void {
    this.check(this, request);
    this.queue.push(request);
  }

  private abandon(): Request[] {
    const all = this.live;
    for (const request of this.queue) if (request.op === OP.WRITE) this.zombies.push({ lba: request.lba, values: valuesOf(request) });
    this.queue = [];
    this.executed = [];
    this.isFenced = true;
    this.moveTo('revoked');
    return all;
  }

  private moveTo(phase: AttachmentPhase): void {
    if (this.phase === phase) return;
    this.phase = phase;
    this.events?.standingChanged();
  }

  /** Returns an object with the parts of an attachment and of its trunk that the data path uses. */
  private attachment(): Attachment {
    const phase = (): AttachmentPhase => this.phase;
    const standing = (): string => (this.phase === 'ready' && this.isReachable ? 'ready' : 'halted');
    const volume = (): unknown => ({ ...OPEN_ANSWER, life: `${this.life}` });
    const handle = (): number => this.handle;
    const listen = (events: AttachmentEvents | null): void => {
      this.events = events;
    };
    const fake = {
      get phase() {
        return phase();
      },
      get standing() {
        return standing();
      },
      get volume() {
        return volume();
      },
      get handle() {
        return handle();
      },
      set events(events: AttachmentEvents | null) {
        listen(events);
      },
      reason: '',
      slotsHeld: 0,
    };
    return fake as unknown as Attachment;
  }

  private trunk(): Trunk {
    const fake = {
      isEnded: false,
      session: null,
      paths: [],
      submit: (request: Request) => this.submit(request),
      abandon: () => this.abandon(),
    };
    return fake as unknown as Trunk;
  }
}

export function valuesOf(request: Request): number[] {
  return Array.from({ length: request.count }, (_, index) => request.buffer.readUInt32LE(request.bufferOffset + index * SECTOR_BYTES));
}
