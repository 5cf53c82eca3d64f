// Tests a client with a small replay log against a model of a server with a cache and a disk. Random events are process and machine
// crashes, failed syncs and interrupted recoveries. Each sector is a register: a read shows the last answered change or a later change, and
// never a change older than an earlier read has shown. A FLUSH answered OK covers all changes answered before it. At the end, each sector
// has its last change. Rules: L3, R2, G5.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SLOTS } from '../wire/limits.ts';
import { REOPEN_RETRY_MS, REPLAY_BLOCK_BYTES, REPLAY_BLOCK_COST_BYTES, REPLAY_RANGE_COST_BYTES } from './limits.ts';
import type { HeardFrame, ScriptedPath } from '../testing/scripted-server.ts';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { FLAG, OP } from '../wire/frames.ts';
import { OpenAnswer, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { Opener } from './opener.ts';
import { SlabPool } from './replay/replay-blocks.ts';
import { ReplayLog } from './replay/replay-log.ts';
import type { Request } from './requests/request.ts';

const SECTORS = 40;
const LOG_CELLS = 3;
const LOG_BYTES = SLOTS * REPLAY_RANGE_COST_BYTES + LOG_CELLS * (REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES);
const ZEROS = 0;

type Step =
  | { kind: 'submit'; op: number; lba: number; count: number; isFua: boolean }
  | { kind: 'execute' | 'answer' | 'serve'; pick: number }
  | { kind: 'flush-fails'; pick: number }
  | { kind: 'write-back'; sector: number }
  | { kind: 'sync-fails' | 'machine-crash' | 'open' }
  | { kind: 'process-crash'; isNewIncarnation: boolean };

const pick = fc.nat(40);
const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      op: fc.constantFrom(OP.WRITE, OP.WRITE, OP.WRITE, OP.WRITE, OP.READ, OP.READ, OP.FLUSH, OP.ZERO, OP.DISCARD),
      lba: fc.nat(SECTORS - 1),
      count: fc.integer({ min: 1, max: 20 }),
      isFua: fc.nat(5).map((one) => one === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('execute' as const, 'answer' as const), pick }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('serve' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush-fails' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('write-back' as const), sector: fc.nat(SECTORS - 1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('sync-fails' as const, 'machine-crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('process-crash' as const), isNewIncarnation: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const) }) },
);

interface Job {
  readonly path: ScriptedPath;
  readonly frame: HeardFrame;
  /** Status with which the server has executed the request; null if the request has not been executed yet. */
  status: number | null;
  readonly shown: number[];
  isSaid: boolean;
}

class World {
  readonly log = new ReplayLog(LOG_BYTES, new SlabPool(4), null);
  readonly attachment = new Attachment('archive', 0, false, TAKE.NO, this.log);
  readonly breaches: string[] = [];
  replays = 0;
  private readonly scene = new TrunkScene(1);
  private readonly opener: Opener;
  private readonly requests: Request[] = [];
  /**
   * Maps each request to a list with one change for each sector. A READ must not show a change older than the listed change; after a FLUSH,
   * the disk must not have an older change.
   */
  private readonly tickets = new Map<Request, number[]>();
  /**
   * `floors`: for each sector, the newest change that was answered or that a read has shown. `wanted`: the newest change that was
   * submitted. `zeros`: the changes that make zeros.
   */
  private readonly floors = new Array<number>(SECTORS).fill(0);
  private readonly wanted = new Array<number>(SECTORS).fill(0);
  private readonly zeros: number[][] = Array.from({ length: SECTORS }, () => []);
  private doneSeen = 0;
  private readonly cache = new Array<number>(SECTORS).fill(ZEROS);
  private readonly disk = new Array<number>(SECTORS).fill(ZEROS);
  private incarnation = 1;
  private handle = 0;
  private isRevoked = false;
  private jobs: Job[] = [];
  private readonly looked = new Map<ScriptedPath, number>();

  constructor() {
    const { scene } = this;
    scene.server.answersPings = true;
    scene.server.slots = 32;
    scene.start();
    scene.trunk.removeAttachment(scene.attachment);
    this.opener = new Opener(scene.trunk, scene.clock, {
      opened: () => {
        if (this.attachment.phase === 'replaying') this.replays++;
      },
      grown: () => undefined,
      failed: () => this.breaches.push('The attachment failed'),
      waits: () => undefined,
    });
    scene.whenSession = () => this.opener.openAll();
    this.opener.add(this.attachment);
    this.settle(1);
  }

  run(step: Step): void {
    switch (step.kind) {
      case 'submit':
        this.submit(step);
        break;
      case 'execute':
        this.execute(this.jobAt(step.pick, ({ status }) => status === null));
        break;
      case 'answer':
        this.say(this.jobAt(step.pick, ({ status }) => status !== null));
        break;
      case 'serve':
        this.serve(this.jobAt(step.pick, () => true));
        break;
      case 'flush-fails':
        this.fail(this.jobAt(step.pick, ({ status, frame }) => status === null && frame.header.op === OP.FLUSH));
        break;
      case 'write-back':
        this.disk[step.sector] = this.cache[step.sector]!;
        break;
      case 'open':
        this.answerOpens();
        break;
      default:
        this.crash(step.kind, step.kind !== 'process-crash' || step.isNewIncarnation);
    }
    this.settle(1);
    this.look();
  }

  /** Lets everything complete. From this call on, the world has no failures. */
  finish(): void {
    // `verify` makes an idle client notice a revoked handle. In production, `verify` runs after each LIST.
    this.opener.verify(this.attachment);
    this.settle(1);
    for (let turn = 0; turn < 400 && !this.isQuiet; turn++) {
      this.answerOpens();
      for (const job of [...this.jobs]) this.serve(job);
      this.settle(50);
      this.look();
    }
    if (!this.isQuiet) this.breach(`Not everything ends: ${this.attachment.phase} ${this.attachment.reason}`);
    expect(this.breaches).toEqual([]);
    this.cache.forEach((value, sector) => this.judge(value, sector, this.wanted[sector]!, 'the end'));
    expect(this.breaches).toEqual([]);
    expect(this.log.reservedBytes).toBe(0);
  }

  private get isQuiet(): boolean {
    return this.attachment.phase === 'ready' && this.jobs.length === 0 && this.scene.done.length === this.requests.length;
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
    const flags = isChange && isFua ? FLAG.FUA : 0;
    const fields = { lba: op === OP.FLUSH ? 0 : lba, count: sectors, bodyBytes, buffer, flags, attachment: this.attachment };
    const request = this.scene.submit(op, fields);
    this.requests.push(request);
    this.tickets.set(request, [...this.floors]);
  }

  /** Checks the answers that have arrived since the last call. */
  private look(): void {
    for (; this.doneSeen < this.scene.done.length; this.doneSeen++) {
      const { request, status } = this.scene.done[this.doneSeen]!;
      const id = this.requests.indexOf(request) + 1;
      const ticket = this.tickets.get(request)!;
      if (status !== STATUS.OK && request.op !== OP.FLUSH) this.breach(`Request ${id} is answered ${status}`);
      else if (request.op === OP.READ) {
        for (let at = 0; at < request.count; at++) {
          const sector = request.lba + at;
          this.floors[sector] = Math.max(
            this.floors[sector]!,
            this.judge(request.buffer.readUInt32LE(at * SECTOR_BYTES), sector, ticket[sector]!, `READ ${id}`),
          );
        }
      } else if (request.op === OP.FLUSH) {
        if (status === STATUS.OK)
          this.disk.forEach((value, sector) => this.judge(value, sector, ticket[sector]!, `disk after FLUSH ${id}`));
      } else {
        for (let sector = request.lba; sector < request.lba + request.count; sector++)
          this.floors[sector] = Math.max(this.floors[sector]!, id);
        // Overwrite the buffer, because its owner may reuse it after the answer.
        request.buffer.fill(0xee);
      }
    }
    if (this.log.usedBytes + this.log.reservedBytes > LOG_BYTES) this.breach('The log is larger than it may be');
  }

  /** Returns the change whose content a sector shows. If several changes fit, returns the oldest of them. */
  private judge(value: number, sector: number, floor: number, where: string): number {
    const shown = value === ZEROS ? (floor === 0 ? 0 : (this.zeros[sector]!.find((id) => id >= floor) ?? -1)) : value;
    if (shown < floor) this.breach(`${where}: sector ${sector} shows ${value}, it must be ${floor} at least`);
    return shown;
  }

  private jobAt(at: number, isMeant: (job: Job) => boolean): Job | undefined {
    const meant = this.jobs.filter(isMeant);
    return meant[at % Math.max(1, meant.length)];
  }

  private serve(job: Job | undefined): void {
    this.execute(job);
    this.say(job);
  }

  private execute(job: Job | undefined): void {
    if (job === undefined || job.status !== null || job.frame.header.op === OP.OPEN) return;
    const { header, body } = job.frame;
    const { op, lba, count, flags } = header;
    job.status = this.isRevoked ? STATUS.STALE : STATUS.OK;
    if (this.isRevoked) return;
    if (op === OP.FLUSH) for (let sector = 0; sector < SECTORS; sector++) this.disk[sector] = this.cache[sector]!;
    else if (op === OP.READ) job.shown.push(...this.cache.slice(lba, lba + count));
    else if (op !== OP.IOCTL) {
      for (let at = 0; at < count; at++) {
        this.cache[lba + at] = op === OP.WRITE ? body.readUInt32LE(at * SECTOR_BYTES) : ZEROS;
        if ((flags & FLAG.FUA) !== 0) this.disk[lba + at] = this.cache[lba + at]!;
      }
    }
  }

  private fail(job: Job | undefined): void {
    if (job === undefined || this.isRevoked) return;
    job.status = STATUS.IO_ERROR;
    this.say(job);
  }

  private say(job: Job | undefined): void {
    if (job === undefined || job.status === null || job.isSaid) return;
    job.isSaid = true;
    this.jobs.splice(this.jobs.indexOf(job), 1);
    const body = Buffer.alloc(job.shown.length * SECTOR_BYTES);
    job.shown.forEach((value, at) => body.writeUInt32LE(value, at * SECTOR_BYTES));
    if (job.frame.header.op === OP.IOCTL) job.path.answerMessage(job.frame, job.status, body);
    else job.path.answerIo(job.frame, job.status, body);
  }

  private crash(kind: 'sync-fails' | 'machine-crash' | 'process-crash', isNewIncarnation: boolean): void {
    if (isNewIncarnation) this.incarnation++;
    if (kind !== 'process-crash') for (let sector = 0; sector < SECTORS; sector++) this.cache[sector] = this.disk[sector]!;
    if (kind === 'sync-fails') {
      this.isRevoked = true;
      return;
    }
    this.jobs = [];
    this.isRevoked = false;
    this.scene.server.loseSession();
    for (let tries = 0; tries < 1000 && this.scene.server.paths.length === 0; tries++) this.settle(10);
  }

  private answerOpens(): void {
    for (const job of this.jobs.filter(({ frame }) => frame.header.op === OP.OPEN)) {
      this.jobs.splice(this.jobs.indexOf(job), 1);
      this.isRevoked = false;
      const answer = { ...OPEN_ANSWER, handle: ++this.handle, life: String(this.incarnation) };
      job.path.answerMessage(job.frame, STATUS.OK, OpenAnswer.encode(answer));
    }
  }

  private settle(ms: number): void {
    this.scene.clock.advance(ms);
    // Two OPENs of an attachment are at least REOPEN_RETRY_MS apart.
    if (this.attachment.phase === 'opening' && !this.attachment.isOpenRequested) this.scene.clock.advance(REOPEN_RETRY_MS);
    for (const path of this.scene.server.paths) {
      const from = this.looked.get(path) ?? 0;
      this.looked.set(path, path.heard.length);
      for (const frame of path.heard.slice(from)) this.take(path, frame);
    }
  }

  private take(path: ScriptedPath, frame: HeardFrame): void {
    const { op, lba, count } = frame.header;
    const isSlotted = op === OP.OPEN || op === OP.IOCTL || (op >= OP.READ && op <= OP.ZERO);
    if (!isSlotted) return;
    const isChange = ({ header }: HeardFrame): boolean => header.op === OP.WRITE || header.op === OP.ZERO || header.op === OP.DISCARD;
    const meets = ({ header }: HeardFrame): boolean => header.lba < lba + count && lba < header.lba + header.count;
    if (isChange(frame) && this.jobs.some((job) => isChange(job.frame) && meets(job.frame))) this.breach('O1: overlapping changes are out');
    this.jobs.push({ path, frame, status: null, shown: [], isSaid: false });
  }

  private breach(sentence: string): void {
    this.breaches.push(sentence);
  }
}

test('an idle client restores what a failed sync has lost', () => {
  const world = new World();
  world.run({ kind: 'open' });
  world.run({ kind: 'submit', op: OP.WRITE, lba: 0, count: 1, isFua: false });
  world.run({ kind: 'serve', pick: 0 });
  world.run({ kind: 'sync-fails' });
  world.finish();
  expect(world.replays).toBe(1);
});

test('answered writes stay, whatever crashes, and no sector goes back in time', () => {
  let replays = 0;
  fc.assert(
    fc.property(fc.array(STEP, { minLength: 20, maxLength: 120, size: 'max' }), (steps) => {
      const world = new World();
      world.run({ kind: 'open' });
      for (const step of steps) world.run(step);
      world.finish();
      replays += world.replays;
    }),
    { numRuns: 50 },
  );
  expect(replays).toBeGreaterThan(30);
});
