// Tests revoked handles in combination with random events: answers in any order, STALE, failing paths, ending sessions, refused OPENs. A
// model of the server detects broken rules; revoke.test.ts tests the exact requests. Invariants: each request gets one correct answer, the
// order keeps O1 and R2, the final content is right, and no hold is left behind. Rules: R4.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { REOPEN_RETRY_MS } from './limits.ts';
import type { HeardFrame, ScriptedPath } from '../testing/scripted-server.ts';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { FailureAnswer, IOCTL, OpenAnswer, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { Opener } from './opener.ts';
import type { Request } from './requests/request.ts';

const EMPTY = Buffer.alloc(0);
const SECTORS = 8;

type Step =
  | { readonly kind: 'submit'; readonly op: number; readonly lba: number; readonly count: number }
  | { readonly kind: 'answer'; readonly pick: number; readonly executed: boolean }
  | { readonly kind: 'cut'; readonly path: number }
  | { readonly kind: 'session-lost'; readonly executed: boolean }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'revoke' | 'open' | 'refuse' | 'verify' };

/** Random steps while no user submits requests. */
const QUIET_STEP: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('answer' as const), pick: fc.nat(20), executed: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('revoke' as const, 'verify' as const, 'open' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), path: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('session-lost' as const), executed: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 300, REOPEN_RETRY_MS) }) },
);

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      op: fc.constantFrom(OP.WRITE, OP.WRITE, OP.READ, OP.FLUSH),
      lba: fc.nat(SECTORS - 3),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('answer' as const), pick: fc.nat(20), executed: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('revoke' as const, 'revoke' as const, 'verify' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('open' as const, 'open' as const, 'refuse' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), path: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('session-lost' as const), executed: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 50, 300, REOPEN_RETRY_MS) }) },
);

/** One request at the server, identified by slot and seq. */
interface Tag {
  readonly frame: HeardFrame;
  readonly seq: number;
  /** For a WRITE: its position in the order of submission. 0 for other requests. */
  readonly id: number;
  /** True if the request arrived after its handle was revoked. */
  readonly isLate: boolean;
  readonly owed: { readonly path: ScriptedPath; readonly frame: HeardFrame }[];
  status: number | null;
}

interface Handle {
  readonly isResumed: boolean;
  /** WRITEs received under earlier handles. These WRITEs must be answered before any other request arrives. */
  readonly before: ReadonlySet<number>;
  isRevoked: boolean;
  /** True if the client has received STALE for this handle. */
  isKnownRevoked: boolean;
  settled: number;
}

class World {
  readonly scene = new TrunkScene(2);
  readonly attachment = new Attachment('archive', 0, false, TAKE.NO, null);
  readonly requests: Request[] = [];
  readonly breaches: string[] = [];
  readonly content: number[] = new Array<number>(SECTORS).fill(0);
  private readonly wanted: number[] = new Array<number>(SECTORS).fill(0);
  private readonly received = new Set<number>();
  private handles = new Map<number, Handle>();
  private tags = new Map<number, Tag>();
  private opens: { readonly path: ScriptedPath; readonly frame: HeardFrame }[] = [];
  private readonly looked = new Map<ScriptedPath, number>();
  private wasOpen = false;
  private handlesEver = 0;
  /** True if the server counts this client among the holders. */
  isHeld = false;
  closed = 0;
  private readonly opener: Opener;

  constructor() {
    const { scene } = this;
    scene.server.answersPings = true;
    scene.server.slots = 16;
    scene.start();
    scene.trunk.removeAttachment(scene.attachment);
    const nothing = (): void => {};
    this.opener = new Opener(scene.trunk, scene.clock, { opened: nothing, grown: nothing, failed: nothing, waits: nothing });
    scene.whenSession = () => this.opener.openAll();
    this.opener.add(this.attachment);
    this.settle(1);
  }

  run(step: Step): void {
    switch (step.kind) {
      case 'submit':
        this.submit(step.op, step.lba, step.count);
        break;
      case 'answer': {
        const open = this.unanswered;
        if (open.length > 0) this.answer(open[step.pick % open.length]!, step.executed);
        break;
      }
      case 'revoke':
        for (const handle of this.handles.values()) handle.isRevoked = true;
        break;
      case 'verify':
        this.opener.verify(this.attachment);
        break;
      case 'open':
        this.answerOpen(true);
        break;
      case 'refuse':
        this.answerOpen(false);
        break;
      case 'cut':
        this.scene.server.paths[step.path]?.connection.close('cut', true);
        break;
      case 'session-lost':
        this.loseSession(step.executed);
        break;
      case 'wait':
        this.settle(step.ms);
    }
    this.settle(1);
  }

  /** Runs with a correct server until every request is done, or until it is clear that some request will never be done. */
  finish(): void {
    for (let turn = 0; turn < 400 && !this.isQuiet; turn++) {
      this.answerOpen(true);
      for (const tag of this.unanswered) this.answer(tag, true);
      this.settle(50);
    }
  }

  /** Detaches while no user's request is in flight, and then executes `steps`. */
  close(steps: readonly Step[]): void {
    this.opener.close(this.attachment, () => this.closed++);
    this.settle(1);
    for (const step of steps) this.run(step);
    for (
      let turn = 0;
      turn < 400 && !(this.closed > 0 && !this.isHeld && this.unanswered.length === 0 && this.opens.length === 0);
      turn++
    ) {
      this.answerOpen(true);
      for (const tag of this.unanswered) this.answer(tag, true);
      this.settle(50);
    }
    expect([this.breaches, this.closed, this.isHeld]).toEqual([[], 1, false]);
  }

  judge(): void {
    expect(this.breaches).toEqual([]);
    expect(this.requests.map((request) => this.scene.done.filter((done) => done.request === request).map(({ status }) => status))).toEqual(
      this.requests.map(() => [STATUS.OK]),
    );
    expect(this.content).toEqual(this.wanted);
    const last = this.handles.get(this.attachment.handle)!;
    expect(last.settled).toBe(last.isResumed ? 1 : 0);
    expect(this.attachment.slotsHeld).toBe(0);
  }

  private get isQuiet(): boolean {
    const isOpen = this.attachment.phase === 'ready' && this.handles.size > 0;
    return isOpen && this.unanswered.length === 0 && this.scene.done.length >= this.requests.length;
  }

  private get unanswered(): Tag[] {
    return [...this.tags.values()].filter(({ status }) => status === null);
  }

  private submit(op: number, lba: number, count: number): void {
    const sectors = op === OP.FLUSH ? 0 : count;
    const buffer = Buffer.alloc(sectors * SECTOR_BYTES);
    const id = this.requests.length + 1;
    if (op === OP.WRITE) {
      buffer.writeUInt32LE(id);
      this.wanted.fill(id, lba, lba + count);
    }
    const fields = { lba: op === OP.FLUSH ? 0 : lba, count: sectors, bodyBytes: buffer.length, buffer, attachment: this.attachment };
    this.requests.push(this.scene.submit(op, fields));
  }

  private settle(ms: number): void {
    for (let left = ms; left > 0; left -= 50) {
      this.scene.clock.advance(Math.min(left, 50));
      this.hear();
    }
  }

  private hear(): void {
    for (const path of [...this.scene.server.paths]) {
      const from = this.looked.get(path) ?? 0;
      this.looked.set(path, path.heard.length);
      for (const frame of path.heard.slice(from)) this.take(path, frame);
    }
  }

  private take(path: ScriptedPath, frame: HeardFrame): void {
    const { op, slot, seq, aux } = frame.header;
    if (op === OP.FENCE) {
      this.scene.server.paths[aux]?.connection.close('fenced', true);
      path.say(OP.FENCED, aux);
    } else if (op === OP.OPEN) this.opens.push({ path, frame });
    else if (op === OP.READ || op === OP.WRITE || op === OP.FLUSH || op === OP.IOCTL || op === OP.CLOSE) {
      const tag = this.tags.get(slot);
      if (tag?.seq === seq) this.takeCopy(tag, path, frame);
      else this.takeNew(path, frame);
    }
  }

  private takeCopy(tag: Tag, path: ScriptedPath, frame: HeardFrame): void {
    tag.owed.push({ path, frame });
    if (tag.status !== null) this.say(tag);
  }

  private takeNew(path: ScriptedPath, frame: HeardFrame): void {
    const { header, body } = frame;
    const id = header.op === OP.WRITE ? body.readUInt32LE() : 0;
    const handle = this.handles.get(header.handle);
    if (handle === undefined) this.breach(`handle ${header.handle} is not open`);
    else if (header.op !== OP.CLOSE) this.checkOrder(handle, id);
    else if (this.unanswered.some((tag) => tag.frame.header.handle === header.handle)) this.breach('CLOSE while requests are out');
    if (header.op === OP.IOCTL && header.aux === IOCTL.SETTLED && handle !== undefined) handle.settled++;
    const other = this.unanswered.find((tag) => tag.id > 0 && id > 0 && overlap(tag.frame, frame));
    if (other !== undefined) this.breach(`O1: WRITE ${id} is out together with ${other.id}`);
    if (id > 0) this.received.add(id);
    const isLate = handle?.isRevoked !== false;
    this.tags.set(header.slot, { frame, seq: header.seq, id, isLate, owed: [{ path, frame }], status: null });
  }

  private checkOrder(handle: Handle, id: number): void {
    if (handle.isKnownRevoked) this.breach(`a new request on a handle that is known to be revoked, WRITE ${id}`);
    const left = [...handle.before].filter((one) => this.scene.statusOf(this.requests[one - 1]!) === null);
    if (left.length > 0 && !left.includes(id)) this.breach(`R2: WRITE ${id} before ${left.join(', ')}`);
  }

  /** `executed`: whether the server has executed the request, if it arrived before the handle was revoked. */
  private answer(tag: Tag, executed: boolean): void {
    // First read all frames that the client sent before this answer.
    this.hear();
    const handle = this.handles.get(tag.frame.header.handle);
    tag.status = tag.isLate || (handle?.isRevoked === true && !executed) ? STATUS.STALE : STATUS.OK;
    if (tag.status === STATUS.OK) this.execute(tag);
    this.say(tag);
    this.scene.clock.advance(1);
    const isRead = tag.status === STATUS.STALE && this.attachment.phase !== 'ready' && this.attachment.phase !== 'resending';
    if (handle !== undefined && isRead) handle.isKnownRevoked = true;
  }

  private execute({ id, frame: { header } }: Tag): void {
    if (header.op === OP.CLOSE) this.isHeld = false;
    if (id > 0) this.content.fill(id, header.lba, header.lba + header.count);
  }

  private say(tag: Tag): void {
    for (const { path, frame } of tag.owed.splice(0)) {
      if (path.closedReason !== null) continue;
      const body = tag.status === STATUS.OK && frame.header.op === OP.READ ? Buffer.alloc(frame.header.count * SECTOR_BYTES) : EMPTY;
      if (frame.header.op === OP.IOCTL || frame.header.op === OP.CLOSE) path.answerMessage(frame, tag.status!, EMPTY);
      else path.answerIo(frame, tag.status!, body);
    }
  }

  private answerOpen(isGranted: boolean): void {
    const asked = this.opens.shift();
    if (asked === undefined || asked.path.closedReason !== null) return;
    // Refuse only later OPENs, because the attachment would end if its first OPEN were refused.
    if (!isGranted && this.wasOpen) {
      asked.path.answerMessage(asked.frame, STATUS.HELD, FailureAnswer.encode({ sentence: 'Held', holders: [] }));
      return;
    }
    if (this.unanswered.length > 0) this.breach('OPEN while requests of the last handle are out');
    const handle = ++this.handlesEver;
    this.isHeld = true;
    const before = new Set([...this.received].filter((id) => this.scene.statusOf(this.requests[id - 1]!) === null));
    this.handles.set(handle, { isResumed: this.wasOpen, before, isRevoked: false, isKnownRevoked: false, settled: 0 });
    this.wasOpen = true;
    asked.path.answerMessage(asked.frame, STATUS.OK, OpenAnswer.encode({ ...OPEN_ANSWER, handle }));
  }

  private loseSession(executed: boolean): void {
    if (executed) for (const tag of this.unanswered) if (!tag.isLate) this.execute(tag);
    if (executed && this.opens.length > 0) this.isHeld = true;
    this.handles = new Map();
    this.tags = new Map();
    this.opens = [];
    this.scene.server.loseSession();
  }

  private breach(sentence: string): void {
    this.breaches.push(sentence);
  }
}

function overlap({ header: a }: HeardFrame, { header: b }: HeardFrame): boolean {
  return a.lba < b.lba + b.count && b.lba < a.lba + a.count;
}

test('no request is lost, answered twice or reordered, and the content is that of the last change', () => {
  fc.assert(
    fc.property(fc.array(STEP, { minLength: 20, maxLength: 120, size: 'max' }), (steps) => {
      const world = new World();
      for (const step of steps) world.run(step);
      world.finish();
      world.judge();
    }),
    { numRuns: 40 },
  );
});

test('a detach releases the hold, whatever is revoked or lost before and meanwhile', () => {
  const steps = fc.array(QUIET_STEP, { maxLength: 12, size: 'max' });
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const world = new World();
      world.run({ kind: 'open' });
      for (const step of before) world.run(step);
      world.close(after);
    }),
    { numRuns: 60 },
  );
});
