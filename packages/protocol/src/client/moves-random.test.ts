// Tests an attachment that follows the pool of its volume among three servers, under load. The servers model a farm: one owns the pool, and
// a server that has lost the pool may not know about the loss (a zombie). A pool moves cleanly (all handles are revoked, everything is
// synced, the incarnation stays) or by force (the old owner's cache is lost, a new incarnation begins). As soon as the client has left a
// server, the late answers of that server are poisoned: they contain wrong data, or report OK for requests that were not executed. Each
// sector is a register as in recovery-random.test.ts. Rules: F9, S11, O1, R2, L2.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { IDEAL_LINK } from '../testing/memory-transport.ts';
import type { HeardFrame, ScriptedPath } from '../testing/scripted-server.ts';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { FLAG, OP } from '../wire/frames.ts';
import { SLOTS } from '../wire/limits.ts';
import { FailureAnswer, OpenAnswer, OpenRequest, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { REPLAY_BLOCK_BYTES, REPLAY_BLOCK_COST_BYTES, REPLAY_RANGE_COST_BYTES, REOPEN_RETRY_MS } from './limits.ts';
import { Opener } from './opener.ts';
import { SlabPool } from './replay/replay-blocks.ts';
import { ReplayLog } from './replay/replay-log.ts';
import { Request } from './requests/request.ts';
import { SingleTarget } from './single-target.ts';

const SERVERS = 3;
const SECTORS = 40;
const LOG_BYTES = SLOTS * REPLAY_RANGE_COST_BYTES + 3 * (REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES);
const POISON = 0xdead_beef;

type Step =
  | { kind: 'submit'; op: number; lba: number; count: number; isFua: boolean }
  | { kind: 'execute' | 'answer' | 'serve' | 'late'; pick: number }
  | { kind: 'list' | 'session-lost' | 'revoked' | 'open'; server: number }
  | { kind: 'clean' | 'force'; server: number }
  | { kind: 'write-back'; sector: number }
  | { kind: 'wait' };

const pick = fc.nat(40);
const server = fc.nat(SERVERS - 1);
const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      op: fc.constantFrom(OP.WRITE, OP.WRITE, OP.WRITE, OP.READ, OP.READ, OP.FLUSH, OP.ZERO),
      lba: fc.nat(SECTORS - 1),
      count: fc.integer({ min: 1, max: 20 }),
      isFua: fc.nat(5).map((one) => one === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('execute' as const, 'answer' as const), pick }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('serve' as const, 'serve' as const, 'late' as const), pick }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('list' as const, 'list' as const, 'revoked' as const), server }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('open' as const), server }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('clean' as const, 'force' as const), server }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('session-lost' as const), server }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('write-back' as const), sector: fc.nat(SECTORS - 1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
);

interface Job {
  readonly path: ScriptedPath;
  readonly frame: HeardFrame;
  /** Null if the request has not been executed yet. */
  status: number | null;
  readonly shown: number[];
  /** True if the client left this server while the request was in flight. */
  isLate: boolean;
}

interface Handle {
  readonly generation: number;
  isRevoked: boolean;
  /** True after CLOSE or REVOKE of the client. */
  isReleased: boolean;
  isRevokedOwed: boolean;
}

/** One server of the farm. */
class Host {
  readonly scene: TrunkScene;
  readonly opener: Opener;
  /** The generation under which the server believes that it owns the pool; null if it does not. */
  generation: number | null = null;
  /** The generation in the last list that the client has received. */
  listed: number | null = null;
  cache: number[] = [];
  jobs: Job[] = [];
  handles = new Map<number, Handle>();
  handlesEver = 0;
  readonly looked = new Map<ScriptedPath, number>();

  constructor(clock: FakeClock, revokes: boolean, opener: (scene: TrunkScene) => Opener) {
    this.scene = new TrunkScene(1, IDEAL_LINK, false, clock);
    this.scene.server.answersPings = true;
    this.scene.server.revokes = revokes;
    this.scene.server.slots = 32;
    // A new session ends the previous one, with its handles and requests.
    this.scene.server.decide = (path, proven) => {
      if (proven.kind === 'new') this.endSession();
      this.scene.server.welcome(path);
    };
    this.scene.start();
    this.scene.trunk.removeAttachment(this.scene.attachment);
    this.opener = opener(this.scene);
    this.scene.whenSession = () => this.opener.openAll();
  }

  endSession(): void {
    this.jobs = [];
    this.handles = new Map();
  }
}

class World {
  readonly clock = new FakeClock();
  readonly log = new ReplayLog(LOG_BYTES, new SlabPool(4), null);
  readonly attachment = new Attachment('archive', 0, false, TAKE.NO, this.log);
  readonly breaches: string[] = [];
  readonly counts = { moves: 0, movesInFlight: 0, lates: 0, strays: 0, replays: 0 };
  private readonly hosts: Host[];
  private readonly target: SingleTarget;
  /** `at`: index of the server at which the attachment is. `owner`: index of the server that owns the pool. */
  private at = 0;
  private owner = 0;
  private generation = 1;
  private life = 1;
  private isHeld = false;
  private mustReplay = false;
  private readonly disk = new Array<number>(SECTORS).fill(0);
  private readonly requests: Request[] = [];
  private readonly done = new Map<Request, number[]>();
  /** As in recovery-random.test.ts: for each request and sector, the oldest change that a READ may show and a FLUSH may leave on the disk. */
  private readonly tickets = new Map<Request, number[]>();
  private readonly floors = new Array<number>(SECTORS).fill(0);
  private readonly wanted = new Array<number>(SECTORS).fill(0);
  private readonly zeros: number[][] = Array.from({ length: SECTORS }, () => []);

  constructor(revokes: boolean) {
    const openerOf = (scene: TrunkScene): Opener =>
      new Opener(scene.trunk, scene.clock, {
        opened: () => this.opened(),
        grown: () => undefined,
        failed: (_attachment, status, sentence) => this.breach(`The attachment failed: ${status} ${sentence}`),
        waits: () => undefined,
      });
    this.hosts = Array.from({ length: SERVERS }, () => new Host(this.clock, revokes, openerOf));
    this.host.generation = this.generation;
    this.host.cache = [...this.disk];
    this.target = new SingleTarget(this.attachment, this.host.scene.trunk);
    this.host.opener.add(this.attachment);
    this.settle(1);
    this.answerOpens(this.host);
    this.settle(1);
  }

  private get host(): Host {
    return this.hosts[this.at]!;
  }

  run(step: Step): void {
    const [first] = 'server' in step ? [this.hosts[step.server]!] : [this.host];
    switch (step.kind) {
      case 'submit':
        this.submit(step);
        break;
      case 'execute':
        this.execute(
          this.host,
          this.jobAt(this.host, step.pick, ({ status }) => status === null),
        );
        break;
      case 'answer':
        this.say(
          this.host,
          this.jobAt(this.host, step.pick, ({ status }) => status !== null),
        );
        break;
      case 'serve':
        this.serve(
          this.host,
          this.jobAt(this.host, step.pick, () => true),
        );
        break;
      case 'late':
        this.sayLate(step.pick);
        break;
      case 'open':
        this.answerOpens(first);
        break;
      case 'list':
        this.list(first);
        break;
      case 'revoked':
        this.sayRevoked(first);
        break;
      case 'session-lost':
        this.loseSession(first);
        break;
      case 'clean':
        this.moveCleanly(step.server);
        break;
      case 'force':
        this.takeByForce(step.server);
        break;
      case 'write-back':
        this.disk[step.sector] = this.hosts[this.owner]!.cache[step.sector]!;
        break;
      case 'wait':
        this.settle(REOPEN_RETRY_MS);
    }
    this.settle(1);
  }

  /**
   * Lets everything complete. From this call on, nothing fails and the pool does not move. Servers that do not own the pool do not answer.
   */
  finish(): void {
    const host = this.hosts[this.owner]!;
    for (let turn = 0; turn < 600 && !this.isQuiet; turn++) {
      this.list(host);
      if (turn % 20 === 0) this.host.opener.verify(this.attachment);
      this.sayRevoked(host);
      this.answerOpens(host);
      for (const job of [...host.jobs]) {
        if (job.isLate && job.frame.header.op === OP.OPEN) this.answerOpen(host, job, host.generation);
        else if (!job.isLate) this.serve(host, job);
      }
      this.settle(50);
    }
    if (!this.isQuiet)
      this.breach(`Not everything ends: ${this.attachment.phase} ${this.attachment.reason} at ${this.at}, not ${this.owner}`);
    expect(this.breaches).toEqual([]);
    host.cache.forEach((value, sector) => this.judge(value, sector, this.wanted[sector]!, 'the end'));
    for (const request of this.requests) if (this.done.get(request)?.length !== 1) this.breach('A request is not answered exactly once');
    for (const one of this.hosts)
      for (const [number, handle] of one.handles)
        if (!handle.isRevoked && !handle.isReleased && !(one === host && number === this.attachment.handle))
          this.breach('A handle is left');
    expect(this.breaches).toEqual([]);
    expect([this.log.reservedBytes, this.attachment.slotsHeld, this.attachment.bytesHeld]).toEqual([0, 0, 0]);
    this.writeAgain(host);
  }

  /** Checks that no slot of the owner is lost: executes many more requests than the server has slots. */
  private writeAgain(host: Host): void {
    for (let times = 0; times < 80; times++) {
      this.submit({ op: OP.READ, lba: times % SECTORS, count: 1, isFua: false });
      this.settle(1);
      for (const job of [...host.jobs]) this.serve(host, job);
      this.settle(1);
    }
    if (!this.isQuiet) this.breach('Slots are lost');
    expect(this.breaches).toEqual([]);
  }

  private get isQuiet(): boolean {
    const host = this.hosts[this.owner]!;
    const isHere = this.at === this.owner && this.attachment.phase === 'ready' && this.attachment.ownership?.generation === this.generation;
    return isHere && host.jobs.every(({ isLate }) => isLate) && this.done.size === this.requests.length;
  }

  private submit({ op, lba, count, isFua }: { op: number; lba: number; count: number; isFua: boolean }): void {
    const id = this.requests.length + 1;
    const sectors = op === OP.FLUSH ? 0 : Math.min(count, SECTORS - lba);
    const isChange = op !== OP.FLUSH && op !== OP.READ;
    const bodyBytes = op === OP.READ || op === OP.WRITE ? sectors * SECTOR_BYTES : 0;
    const buffer = Buffer.alloc(bodyBytes);
    for (let at = 0; at < sectors && isChange; at++) {
      this.wanted[lba + at] = id;
      if (op === OP.WRITE) buffer.writeUInt32LE(id, at * SECTOR_BYTES);
      else this.zeros[lba + at]!.push(id);
    }
    const fields = { op, lba: op === OP.FLUSH ? 0 : lba, count: sectors, bodyBytes, buffer, flags: isChange && isFua ? FLAG.FUA : 0 };
    const events = { requestDone: (request: Request, status: number): void => this.requestDone(id, request, status) };
    const request = Object.assign(new Request(), { ...fields, events });
    this.requests.push(request);
    this.tickets.set(request, [...this.floors]);
    this.target.submit(request, this.clock.monotonicMs());
  }

  private requestDone(id: number, request: Request, status: number): void {
    this.done.set(request, [...(this.done.get(request) ?? []), status]);
    const ticket = this.tickets.get(request)!;
    if (status !== STATUS.OK) this.breach(`Request ${id} is answered ${status}`);
    if (request.op === OP.READ) {
      for (let at = 0; at < request.count; at++) {
        const sector = request.lba + at;
        const shown = this.judge(request.buffer.readUInt32LE(at * SECTOR_BYTES), sector, ticket[sector]!, `READ ${id}`);
        this.floors[sector] = Math.max(this.floors[sector]!, shown);
      }
    } else if (request.op === OP.FLUSH) {
      this.disk.forEach((value, sector) => this.judge(value, sector, ticket[sector]!, `disk after FLUSH ${id}`));
    } else {
      for (let sector = request.lba; sector < request.lba + request.count; sector++)
        this.floors[sector] = Math.max(this.floors[sector]!, id);
    }
    // The owner reuses the buffer after the answer.
    request.buffer.fill(0xee);
  }

  private judge(value: number, sector: number, floor: number, where: string): number {
    if (value > this.requests.length) this.breach(`${where}: sector ${sector} has the data of a late answer`);
    const shown = value === 0 ? (floor === 0 ? 0 : (this.zeros[sector]!.find((id) => id >= floor) ?? -1)) : value;
    if (shown < floor) this.breach(`${where}: sector ${sector} shows ${value}, it must be ${floor} at least`);
    return shown;
  }

  // --- the farm

  private moveCleanly(to: number): void {
    const from = this.hosts[this.owner]!;
    if (to === this.owner) return;
    // Requests that have begun complete, but their answers may arrive much later. All other requests are answered with STALE.
    for (const handle of from.handles.values()) handle.isRevoked = true;
    from.cache.forEach((value, sector) => (this.disk[sector] = value));
    from.generation = null;
    this.own(to, false);
  }

  private takeByForce(to: number): void {
    if (to === this.owner) return;
    this.own(to, true);
  }

  private own(to: number, isNewLife: boolean): void {
    const host = this.hosts[to]!;
    if (isNewLife) this.life++;
    for (const handle of host.handles.values()) handle.isRevoked = true;
    this.owner = to;
    host.generation = ++this.generation;
    host.cache = [...this.disk];
  }

  private list(host: Host): void {
    this.settle(1);
    host.listed = host.generation;
    let best: Host | null = null;
    for (const one of this.hosts) if (one.listed !== null && one.listed > (best?.listed ?? 0)) best = one;
    const next = this.hosts.indexOf(best ?? this.host);
    const generation = best?.listed ?? 0;
    if (next === this.at || generation <= (this.attachment.ownership?.generation ?? generation)) return;
    const left = this.host;
    this.counts.moves++;
    if (this.attachment.slotsHeld > 0) this.counts.movesInFlight++;
    const isMoved = left.opener.moveTo(best!.opener, this.attachment, { poolId: null, generation }, 'The pool has moved');
    if (!isMoved) this.breach('The attachment does not move');
    this.target.moveTo(best!.scene.trunk);
    this.at = next;
    for (const job of left.jobs) job.isLate = true;
    this.settle(1);
  }

  private sayLate(at: number): void {
    this.settle(1);
    const late = this.hosts.flatMap((host) => host.jobs.filter(({ isLate }) => isLate).map((job) => ({ host, job })));
    const one = late[at % Math.max(1, late.length)];
    if (one === undefined) return;
    const { host, job } = one;
    this.counts.lates++;
    const before = [...this.done.values()].flat().length;
    const { op } = job.frame.header;
    if (op === OP.OPEN) {
      this.counts.strays++;
      this.answerOpen(host, job, host.generation ?? 1);
    } else {
      if (job.status !== STATUS.STALE) job.status = STATUS.OK;
      job.shown.splice(0, job.shown.length, ...(op === OP.READ ? new Array<number>(job.frame.header.count).fill(POISON) : []));
      this.say(host, job);
    }
    this.settle(1);
    if ([...this.done.values()].flat().length !== before) this.breach('A late answer was used');
  }

  // --- one server

  private jobAt(host: Host, at: number, isMeant: (job: Job) => boolean): Job | undefined {
    const meant = host.jobs.filter((job) => !job.isLate && isMeant(job));
    return meant[at % Math.max(1, meant.length)];
  }

  private serve(host: Host, job: Job | undefined): void {
    this.execute(host, job);
    this.say(host, job);
  }

  private execute(host: Host, job: Job | undefined): void {
    if (job === undefined || job.status !== null) return;
    const { op, lba, count, flags, handle: number } = job.frame.header;
    if (op === OP.OPEN) return;
    const handle = host.handles.get(number);
    if (handle === undefined || handle.isRevoked || handle.isReleased) {
      job.status = STATUS.STALE;
      if (op === OP.CLOSE && handle !== undefined) handle.isReleased = true;
      return;
    }
    const isOwner = host === this.hosts[this.owner] && handle.generation === this.generation;
    // The fence refuses the writes of a server that does not own the pool. Such a server therefore sends no answer.
    if (!isOwner && (op === OP.FLUSH || (flags & FLAG.FUA) !== 0)) return;
    job.status = STATUS.OK;
    if (op === OP.CLOSE) {
      handle.isReleased = true;
      const isLast = ![...host.handles.values()].some((one) => !one.isRevoked && !one.isReleased);
      if (isOwner && isLast) this.isHeld = false;
    } else if (op === OP.FLUSH) host.cache.forEach((value, sector) => (this.disk[sector] = value));
    else if (op === OP.READ) job.shown.push(...host.cache.slice(lba, lba + count));
    else if (op !== OP.IOCTL) {
      for (let at = 0; at < count; at++) {
        host.cache[lba + at] = op === OP.WRITE ? job.frame.body.readUInt32LE(at * SECTOR_BYTES) : 0;
        if ((flags & FLAG.FUA) !== 0) this.disk[lba + at] = host.cache[lba + at]!;
      }
    }
  }

  private say(host: Host, job: Job | undefined): void {
    if (job === undefined || job.status === null || !host.jobs.includes(job)) return;
    host.jobs.splice(host.jobs.indexOf(job), 1);
    if (job.path.closedReason !== null) return;
    const body = Buffer.alloc(job.status === STATUS.OK ? job.shown.length * SECTOR_BYTES : 0);
    if (job.status === STATUS.OK) job.shown.forEach((value, at) => body.writeUInt32LE(value, at * SECTOR_BYTES));
    const { op } = job.frame.header;
    if (op === OP.IOCTL || op === OP.CLOSE) job.path.answerMessage(job.frame, job.status, body);
    else job.path.answerIo(job.frame, job.status, body);
  }

  private answerOpens(host: Host): void {
    for (const job of host.jobs.filter(({ frame, isLate }) => frame.header.op === OP.OPEN && !isLate)) {
      // A zombie looks at the record of the pool before it answers, finds that it has lost the pool, and does not answer.
      if (host !== this.hosts[this.owner] && host.generation !== null) continue;
      this.answerOpen(host, job, host.generation);
    }
  }

  private answerOpen(host: Host, job: Job, generation: number | null): void {
    host.jobs.splice(host.jobs.indexOf(job), 1);
    if (job.path.closedReason !== null) return;
    if (generation === null) {
      job.path.answerMessage(job.frame, STATUS.MOVED, FailureAnswer.encode({ sentence: 'Moved', holders: [] }));
      return;
    }
    const isOwner = generation === this.generation;
    const { resume } = OpenRequest.decode(job.frame.body, 0, job.frame.body.length);
    if (isOwner && resume !== null && !this.isHeld) {
      job.path.answerMessage(job.frame, STATUS.TAKEN, FailureAnswer.encode({ sentence: 'The hold has ended', holders: [] }));
      return;
    }
    if (isOwner) this.isHeld = true;
    const handle = ++host.handlesEver;
    host.handles.set(handle, { generation, isRevoked: false, isReleased: false, isRevokedOwed: false });
    const life = `life-${this.life}`;
    if (!job.isLate) this.mustReplay = !this.log.isEmpty && this.log.incarnation !== life;
    job.path.answerMessage(job.frame, STATUS.OK, OpenAnswer.encode({ ...OPEN_ANSWER, handle, life, poolGeneration: generation }));
  }

  private opened(): void {
    const isReplay = this.attachment.phase === 'replaying';
    if (isReplay) this.counts.replays++;
    if (isReplay !== this.mustReplay) this.breach(`The log is ${isReplay ? '' : 'not '}replayed`);
  }

  private sayRevoked(host: Host): void {
    for (const [number, handle] of host.handles) {
      if (!handle.isRevokedOwed || host.jobs.some(({ frame, isLate }) => frame.header.handle === number && !isLate)) continue;
      handle.isRevokedOwed = false;
      const path = host.scene.server.paths.find(({ closedReason }) => closedReason === null);
      // Requests that are being executed are answered before REVOKED is sent.
      for (const job of host.jobs.filter(({ frame }) => frame.header.handle === number && frame.header.op !== OP.OPEN)) {
        job.status = STATUS.STALE;
        this.say(host, job);
      }
      path?.say(OP.REVOKED, number);
    }
  }

  private loseSession(host: Host): void {
    host.endSession();
    host.scene.server.loseSession();
    for (let tries = 0; tries < 1000 && host.scene.server.paths.length === 0; tries++) this.settle(10);
  }

  private settle(ms: number): void {
    this.clock.advance(ms);
    if (this.attachment.phase === 'opening' && !this.attachment.isOpenRequested) this.clock.advance(REOPEN_RETRY_MS);
    for (const host of this.hosts) this.hear(host);
  }

  private hear(host: Host): void {
    const { paths } = host.scene.server;
    for (const path of paths) {
      const from = host.looked.get(path) ?? 0;
      host.looked.set(path, path.heard.length);
      for (const frame of path.heard.slice(from)) this.take(host, path, frame);
    }
  }

  private take(host: Host, path: ScriptedPath, frame: HeardFrame): void {
    const { op, lba, count, slot, aux } = frame.header;
    if (op === OP.REVOKE) {
      const handle = host.handles.get(aux);
      if (handle === undefined) this.breach('REVOKE of an unknown handle');
      else Object.assign(handle, { isRevoked: true, isReleased: true, isRevokedOwed: true });
      return;
    }
    const isSlotted = op === OP.OPEN || op === OP.CLOSE || op === OP.IOCTL || (op >= OP.READ && op <= OP.ZERO);
    if (!isSlotted) return;
    if (host !== this.host && op !== OP.CLOSE) this.breach(`Frame ${op} for a server that the client has left`);
    if (op === OP.OPEN && [...host.handles.values()].some(({ isRevokedOwed }) => isRevokedOwed)) this.breach('S11: OPEN before REVOKED');
    if (host.jobs.some((job) => job.frame.header.slot === slot)) this.breach(`Slot ${slot} is used again`);
    const isChange = ({ header }: HeardFrame): boolean => header.op === OP.WRITE || header.op === OP.ZERO;
    const meets = ({ header }: HeardFrame): boolean => header.lba < lba + count && lba < header.lba + header.count;
    const others = this.hosts.flatMap(({ jobs }) => jobs).filter((job) => !job.isLate && isChange(job.frame));
    if (isChange(frame) && others.some((job) => meets(job.frame))) this.breach('O1: overlapping changes are out');
    const job = { path, frame, status: null, shown: [], isLate: false };
    host.jobs.push(job);
    if (op === OP.CLOSE) this.serve(host, job);
  }

  private breach(sentence: string): void {
    this.breaches.push(sentence);
  }
}

test('no late answer is used, nothing is lost, and the log follows the incarnation, wherever the pool goes', () => {
  const sum = { moves: 0, movesInFlight: 0, lates: 0, strays: 0, replays: 0 };
  fc.assert(
    fc.property(fc.boolean(), fc.array(STEP, { minLength: 30, maxLength: 150, size: 'max' }), (revokes, steps) => {
      const world = new World(revokes);
      for (const step of steps) world.run(step);
      world.finish();
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += world.counts[key];
    }),
    { numRuns: 60, endOnFailure: true },
  );
  // The steps reach the situations for which the test exists.
  expect(Object.entries(sum).filter(([, count]) => count < 10)).toEqual([]);
});
