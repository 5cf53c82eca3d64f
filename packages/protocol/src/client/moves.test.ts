// Tests how an attachment moves from one server to another, with the exact frames. moves-random.test.ts tests the combinations. Rules: F9,
// S11, R2, R4.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { IDEAL_LINK, type LinkShape } from '../testing/memory-transport.ts';
import type { HeardFrame, ScriptedPath } from '../testing/scripted-server.ts';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { SLOTS } from '../wire/limits.ts';
import { FailureAnswer, IOCTL, OpenAnswer, OpenRequest, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { REOPEN_RETRY_MS, REPLAY_BLOCK_BYTES, REPLAY_BLOCK_COST_BYTES, REPLAY_RANGE_COST_BYTES } from './limits.ts';
import { Opener } from './opener.ts';
import { SlabPool } from './replay/replay-blocks.ts';
import { ReplayLog } from './replay/replay-log.ts';
import { Request } from './requests/request.ts';
import { SingleTarget } from './single-target.ts';

const LOG_BYTES = SLOTS * REPLAY_RANGE_COST_BYTES + 64 * (REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES);

/** Servers A and B. The attachment is open at A, under generation 1. */
class Farm {
  readonly clock = new FakeClock();
  readonly scenes: readonly [TrunkScene, TrunkScene];
  readonly openers: readonly [Opener, Opener];
  readonly attachment = new Attachment('archive', 0, false, TAKE.NO, new ReplayLog(LOG_BYTES, new SlabPool(2), null));
  readonly target: SingleTarget;
  readonly failures: string[] = [];
  readonly done = new Map<Request, number>();

  constructor({ revokes = true, shape = IDEAL_LINK }: { revokes?: boolean; shape?: LinkShape } = {}) {
    const scene = (): TrunkScene => {
      const one = new TrunkScene(1, shape, false, this.clock);
      one.server.answersPings = true;
      one.server.revokes = revokes;
      one.start();
      one.trunk.removeAttachment(one.attachment);
      return one;
    };
    this.scenes = [scene(), scene()];
    const opener = (one: TrunkScene): Opener => {
      const made = new Opener(one.trunk, this.clock, {
        opened: () => undefined,
        grown: () => undefined,
        failed: (_attachment, status, sentence) => void this.failures.push(`${status} ${sentence}`),
        waits: () => undefined,
      });
      one.whenSession = () => made.openAll();
      return made;
    };
    this.openers = [opener(this.scenes[0]), opener(this.scenes[1])];
    this.target = new SingleTarget(this.attachment, this.a.trunk);
    this.openers[0].add(this.attachment);
    this.pass();
    this.grant(this.a, 1);
  }

  get a(): TrunkScene {
    return this.scenes[0];
  }

  get b(): TrunkScene {
    return this.scenes[1];
  }

  pass(ms = 1): void {
    this.clock.advance(ms);
  }

  submit(op: number, lba: number, fill = 0): Request {
    const bodyBytes = op === OP.FLUSH ? 0 : SECTOR_BYTES;
    const request = Object.assign(new Request(), {
      op,
      lba,
      count: op === OP.FLUSH ? 0 : 1,
      bodyBytes,
      buffer: Buffer.alloc(bodyBytes, fill),
    });
    request.events = { requestDone: (one, status) => void this.done.set(one, status) };
    this.target.submit(request, this.clock.monotonicMs());
    this.pass();
    return request;
  }

  path(scene: TrunkScene): ScriptedPath {
    return scene.server.paths.findLast(({ closedReason }) => closedReason === null)!;
  }

  asked(scene: TrunkScene, op: number): HeardFrame[] {
    return this.path(scene).requests(op);
  }

  /** Answers the last OPEN. */
  grant(scene: TrunkScene, handle: number, changes: Partial<OpenAnswer> = {}): void {
    const body = OpenAnswer.encode({ ...OPEN_ANSWER, handle, poolGeneration: handle, ...changes });
    this.path(scene).answerMessage(this.asked(scene, OP.OPEN).at(-1)!, STATUS.OK, body);
    this.pass();
  }

  /** Refuses the last OPEN. */
  refuse(scene: TrunkScene, status: number, sentence: string): void {
    this.path(scene).answerMessage(this.asked(scene, OP.OPEN).at(-1)!, status, FailureAnswer.encode({ sentence, holders: [] }));
    this.pass();
  }

  answer(scene: TrunkScene, op: number, status: number = STATUS.OK, body?: Buffer): void {
    this.path(scene).answerIo(this.asked(scene, op).at(-1)!, status, body);
    this.pass();
  }

  move(from: 0 | 1, generation: number, poolId: string | null = null): boolean {
    const to = from === 0 ? 1 : 0;
    const isMoved = this.openers[from].moveTo(this.openers[to], this.attachment, { poolId, generation }, 'Its pool has moved');
    if (isMoved) this.target.moveTo(this.scenes[to].trunk);
    return isMoved;
  }

  /** The frames that a server has received on its open path, without PING and PONG. */
  frames(scene: TrunkScene): string[] {
    const names: Record<number, string> = Object.fromEntries(Object.entries(OP).map(([name, op]) => [op, name]));
    const isShown = ({ header: { op } }: HeardFrame): boolean => op !== OP.PING && op !== OP.PONG && op !== OP.LIST;
    return this.path(scene)
      .heard.filter(isShown)
      .map(({ header: { op } }) => names[op] ?? '?');
  }
}

test('the OPEN at the next server resumes the hold, and only after the earlier server was given up', () => {
  const farm = new Farm();
  expect(farm.move(0, 2)).toBe(true);
  expect(farm.a.trunk.attachments).toEqual([]);
  expect([farm.target.trunks, farm.attachment.phase]).toEqual([[farm.b.trunk], 'opening']);
  farm.pass();
  const [open] = farm.asked(farm.b, OP.OPEN);
  expect(OpenRequest.decode(open!.body, 0, open!.body.length)).toMatchObject({
    name: 'archive',
    resume: OPEN_ANSWER.identity,
    take: TAKE.NO,
  });
  // The idle handle is closed, and the session continues.
  expect([farm.frames(farm.a), farm.a.sessions]).toEqual([['OPEN', 'CLOSE'], [false]]);
});

test('in the same incarnation nothing is replayed; in a new one the log is sent before everything else', () => {
  for (const [life, frames] of [
    ['life', ['OPEN', 'WRITE', 'IOCTL', 'READ']],
    ['new', ['OPEN', 'WRITE', 'WRITE', 'IOCTL', 'READ']],
  ] as const) {
    const farm = new Farm();
    farm.submit(OP.WRITE, 1, 1);
    farm.answer(farm.a, OP.WRITE);
    const [write, read] = [farm.submit(OP.WRITE, 2, 2), farm.submit(OP.READ, 3)];
    farm.move(0, 2);
    farm.pass();
    farm.grant(farm.b, 2, { life });
    for (let times = 0; times < 2; times++) if (farm.done.get(write) === undefined) farm.answer(farm.b, OP.WRITE);
    farm.answer(farm.b, OP.READ, STATUS.OK, Buffer.alloc(SECTOR_BYTES, 7));
    expect(farm.frames(farm.b).toSorted()).toEqual([...frames].toSorted());
    expect(farm.asked(farm.b, OP.WRITE).map(({ header: { lba } }) => lba)).toEqual(life === 'life' ? [2] : [1, 2]);
    expect([farm.done.get(write), farm.done.get(read), read.buffer[0]]).toEqual([STATUS.OK, STATUS.OK, 7]);
    expect(farm.asked(farm.b, OP.IOCTL).map(({ header: { aux } }) => aux)).toEqual([IOCTL.SETTLED]);
  }
});

test.each([true, false])('late answers of the earlier server reach neither a request nor its buffer (REVOKE: %s)', (revokes) => {
  const farm = new Farm({ revokes });
  const [read, write] = [farm.submit(OP.READ, 3, 9), farm.submit(OP.WRITE, 2, 2)];
  const [path, reads, writes] = [farm.path(farm.a), farm.asked(farm.a, OP.READ), farm.asked(farm.a, OP.WRITE)];
  farm.move(0, 2);
  if (path.closedReason === null) {
    path.answerIo(reads[0]!, STATUS.OK, Buffer.alloc(SECTOR_BYTES, 0xde));
    path.answerIo(writes[0]!, STATUS.OK);
  }
  farm.pass();
  expect([farm.done.get(read), farm.done.get(write), read.buffer[0]]).toEqual([undefined, undefined, 9]);
  expect(path.requests(OP.REVOKE)).toHaveLength(revokes ? 1 : 0);
  expect(farm.a.sessions).toHaveLength(1);
  // Without REVOKE, only a new session proves that the slots are free.
  expect(path.closedReason === null).toBe(revokes);
});

test('a READ that is half received is received no further', () => {
  let isSlow = false;
  const shape = { ...IDEAL_LINK, cut: (lengthBytes: number) => (isSlow ? Math.min(lengthBytes, 300) : lengthBytes), restMs: () => 10 };
  const farm = new Farm({ shape });
  const read = farm.submit(OP.READ, 3, 9);
  isSlow = true;
  farm.path(farm.a).answerIo(farm.asked(farm.a, OP.READ)[0]!, STATUS.OK, Buffer.alloc(SECTOR_BYTES, 0xde));
  farm.pass();
  expect(read.buffer[0]).toBe(0xde);
  farm.move(0, 2);
  read.buffer.fill(9);
  farm.pass(100);
  expect(read.buffer).toEqual(Buffer.alloc(SECTOR_BYTES, 9));
});

test('other volumes of the earlier server continue while the handle is revoked there', () => {
  const farm = new Farm();
  const other = new Attachment('other', 0, false, TAKE.NO, null);
  farm.a.trunk.addAttachment(other);
  other.opened({ ...OPEN_ANSWER, handle: 77 });
  farm.submit(OP.WRITE, 2, 2);
  farm.move(0, 2);
  farm.a.submit(OP.READ, { lba: 5, count: 1, bodyBytes: SECTOR_BYTES, buffer: Buffer.alloc(SECTOR_BYTES), attachment: other });
  farm.pass();
  farm.answer(farm.a, OP.READ, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
  expect(farm.a.done).toMatchObject([{ status: STATUS.OK }]);
});

test('back at a server that has not answered REVOKE yet, the OPEN waits for REVOKED', () => {
  const farm = new Farm();
  farm.submit(OP.WRITE, 2, 2);
  farm.move(0, 2);
  farm.pass();
  farm.move(1, 3);
  farm.pass(REOPEN_RETRY_MS);
  expect(farm.asked(farm.a, OP.OPEN)).toHaveLength(1);
  farm.path(farm.a).say(OP.REVOKED, 1);
  farm.pass();
  expect(farm.asked(farm.a, OP.OPEN)).toHaveLength(2);
});

test('an OPEN in flight that the earlier server grants later is revoked there, because CLOSE would end the hold; the next OPEN waits', () => {
  const farm = new Farm();
  farm.a.server.loseSession();
  farm.pass(10_000);
  expect(farm.attachment.isOpenRequested).toBe(true);
  farm.move(0, 2);
  farm.pass();
  farm.grant(farm.b, 2);
  farm.move(1, 3);
  farm.pass();
  expect(farm.asked(farm.a, OP.OPEN)).toHaveLength(1);
  farm.grant(farm.a, 5, { poolGeneration: 3 });
  expect([farm.frames(farm.a), farm.attachment.phase]).toEqual([['OPEN', 'REVOKE'], 'opening']);
  farm.path(farm.a).say(OP.REVOKED, 5);
  farm.pass();
  farm.grant(farm.a, 6, { poolGeneration: 3 });
  farm.pass();
  expect([farm.attachment.phase, farm.attachment.handle, farm.failures]).toEqual(['ready', 6, []]);
});

test('an OPEN that is not sent yet is withdrawn', () => {
  const farm = new Farm();
  farm.submit(OP.WRITE, 2, 2);
  farm.answer(farm.a, OP.WRITE, STATUS.STALE);
  farm.clock.advance(REOPEN_RETRY_MS - 50);
  farm.path(farm.a).connection.close('cut', true);
  farm.a.server.decide = () => undefined;
  farm.clock.advance(REOPEN_RETRY_MS);
  expect(farm.attachment.isOpenRequested).toBe(true);
  farm.move(0, 2);
  farm.a.server.decide = (path) => farm.a.server.welcome(path);
  farm.pass(20_000);
  expect(farm.asked(farm.a, OP.OPEN)).toEqual([]);
});

test('a REVOKED for I/O that was abandoned at the earlier server does not end a fence at the next one', () => {
  const farm = new Farm();
  farm.submit(OP.WRITE, 2, 2);
  farm.target.abandon();
  farm.move(0, 2);
  farm.pass();
  farm.grant(farm.b, 2);
  farm.submit(OP.WRITE, 2, 3);
  farm.target.abandon();
  farm.pass();
  farm.path(farm.a).say(OP.REVOKED, 1);
  farm.pass(2 * REOPEN_RETRY_MS);
  expect([farm.attachment.phase, farm.asked(farm.b, OP.OPEN).length]).toEqual(['revoked', 1]);
  farm.path(farm.b).say(OP.REVOKED, 2);
  farm.pass(REOPEN_RETRY_MS);
  expect(farm.asked(farm.b, OP.OPEN)).toHaveLength(2);
});

test.each([STATUS.UNKNOWN_VOLUME, STATUS.VOLUME_UNAVAILABLE, STATUS.MOVED, STATUS.HELD, STATUS.SHUTTING_DOWN])(
  'the attachment waits if the next server refuses it with %s, and goes on to a third generation',
  (status) => {
    const farm = new Farm();
    farm.move(0, 2);
    farm.pass();
    for (let times = 1; times <= 2; times++) {
      expect(farm.asked(farm.b, OP.OPEN)).toHaveLength(times);
      const refusal = FailureAnswer.encode({ sentence: 'Not now', holders: [] });
      farm.path(farm.b).answerMessage(farm.asked(farm.b, OP.OPEN).at(-1)!, status, refusal);
      farm.pass(REOPEN_RETRY_MS + 1);
    }
    expect([farm.attachment.phase, farm.attachment.reason, farm.failures]).toEqual(['opening', 'Not now', []]);
    expect(farm.move(1, 3)).toBe(true);
    // The OPEN at B is refused once more, which no longer matters.
    farm.pass(3 * REOPEN_RETRY_MS);
    expect(farm.asked(farm.b, OP.OPEN)).toHaveLength(3);
    farm.grant(farm.a, 3);
    expect(farm.attachment.phase).toBe('ready');
  },
);

test('TAKEN ends the attachment at the next server, too', () => {
  const farm = new Farm();
  const write = farm.submit(OP.WRITE, 2, 2);
  farm.move(0, 2);
  farm.pass();
  const refusal = FailureAnswer.encode({ sentence: 'Taken by venus', holders: [] });
  farm.path(farm.b).answerMessage(farm.asked(farm.b, OP.OPEN).at(-1)!, STATUS.TAKEN, refusal);
  farm.pass();
  expect([farm.attachment.phase, farm.failures, farm.done.get(write)]).toEqual([
    'failed',
    [`${STATUS.TAKEN} Taken by venus`],
    STATUS.TAKEN,
  ]);
  expect(farm.move(1, 3)).toBe(false);
});

test('a detach during the move closes the volume at the next server, and nothing is left at the earlier one', () => {
  const farm = new Farm();
  const closed: (string | null)[] = [];
  farm.move(0, 2);
  farm.openers[1].close(farm.attachment, (problem) => void closed.push(problem));
  farm.pass();
  farm.grant(farm.b, 2);
  expect([farm.frames(farm.b), farm.frames(farm.a)]).toEqual([
    ['OPEN', 'CLOSE'],
    ['OPEN', 'CLOSE'],
  ]);
  farm.path(farm.b).answerMessage(farm.asked(farm.b, OP.CLOSE)[0]!, STATUS.OK, Buffer.alloc(0));
  farm.pass();
  expect(closed).toEqual([null]);
});

test('what happens to the earlier server afterwards does not touch the attachment', () => {
  const farm = new Farm();
  const write = farm.submit(OP.WRITE, 2, 2);
  farm.move(0, 2);
  farm.pass();
  farm.grant(farm.b, 2);
  farm.openers[0].failAll(STATUS.TAKEN, 'Replaced');
  farm.a.server.loseSession();
  farm.pass(10_000);
  farm.a.trunk.end(STATUS.IO_ERROR, 'The end');
  farm.openers[0].end(STATUS.IO_ERROR, 'The end');
  expect([farm.attachment.standing, farm.done.get(write), farm.failures]).toEqual(['recovering', undefined, []]);
  farm.answer(farm.b, OP.WRITE);
  expect([farm.attachment.standing, farm.done.get(write)]).toEqual(['ready', STATUS.OK]);
});

test('what the earlier server had said about space and limits no longer counts, and no generation is lower than the one before', () => {
  const farm = new Farm();
  Object.assign(farm.attachment, { waitsForSpace: true, heldBy: { text: 'limit', sinceMs: 1 } });
  farm.move(0, 6);
  expect(farm.attachment).toMatchObject({ waitsForSpace: false, heldBy: null, ownership: { poolId: null, generation: 6 } });
  farm.pass();
  farm.grant(farm.b, 2, { poolGeneration: 5 });
  expect(farm.attachment.ownership?.generation).toBe(6);
});

test('an attachment does not move from or to a trunk that has ended', () => {
  for (const side of [0, 1] as const) {
    const farm = new Farm();
    farm.scenes[side].trunk.end(STATUS.IO_ERROR, 'The end');
    expect([farm.move(0, 2), farm.scenes[1].trunk.attachments]).toEqual([false, []]);
  }
});

test('a retry that the earlier server was waiting for is not made while the next one waits for REVOKED', () => {
  const farm = new Farm();
  farm.move(0, 2);
  farm.pass();
  farm.grant(farm.b, 2);
  farm.submit(OP.WRITE, 2, 2);
  farm.move(1, 3);
  farm.pass();
  farm.grant(farm.a, 3);
  farm.answer(farm.a, OP.WRITE, STATUS.STALE);
  farm.move(0, 4);
  farm.pass(3 * REOPEN_RETRY_MS);
  expect([farm.asked(farm.a, OP.OPEN).length, farm.asked(farm.b, OP.OPEN).length]).toEqual([2, 1]);
  farm.path(farm.b).say(OP.REVOKED, 2);
  farm.pass();
  expect(farm.asked(farm.b, OP.OPEN)).toHaveLength(2);
});

test('a SETTLED that was in flight at the earlier server is sent once to the next one', () => {
  const farm = new Farm();
  farm.a.server.loseSession();
  farm.pass(10_000);
  farm.grant(farm.a, 1);
  farm.pass();
  expect(farm.asked(farm.a, OP.IOCTL)).toHaveLength(1);
  farm.move(0, 2);
  farm.pass();
  farm.grant(farm.b, 2);
  farm.pass();
  expect(farm.asked(farm.b, OP.IOCTL).map(({ header: { aux } }) => aux)).toEqual([IOCTL.SETTLED]);
});

test('an IDENTIFY that is due while another one went along to the next server is sent there', () => {
  const farm = new Farm();
  farm.openers[0].verify(farm.attachment);
  farm.pass();
  farm.move(0, 2);
  farm.pass();
  farm.grant(farm.b, 2);
  farm.pass();
  const kinds = (): number[] => farm.asked(farm.b, OP.IOCTL).map(({ header: { aux } }) => aux);
  expect(kinds().toSorted((one, other) => one - other)).toEqual([IOCTL.IDENTIFY, IOCTL.SETTLED]);
  farm.openers[1].verify(farm.attachment);
  for (const frame of farm.asked(farm.b, OP.IOCTL)) farm.path(farm.b).answerMessage(frame, STATUS.OK, Buffer.alloc(0));
  farm.pass();
  expect(kinds().filter((aux) => aux === IOCTL.IDENTIFY)).toHaveLength(2);
});

test('a move on a guess ends no hold at the earlier server, which may still be the owner: the idle handle is revoked', () => {
  const farm = new Farm();
  farm.move(0, 2, 'slow');
  farm.pass();
  expect(farm.frames(farm.a)).toEqual(['OPEN', 'REVOKE']);
  expect(farm.attachment).toMatchObject({ isGuess: true, ownership: { poolId: null, generation: 1 } });
});

test.each([STATUS.MOVED, STATUS.UNKNOWN_VOLUME, STATUS.TAKEN, STATUS.HELD])(
  'status %s at a guess does not end the attachment',
  (status) => {
    const farm = new Farm();
    let looks = 0;
    farm.attachment.whenMisplaced = () => void looks++;
    const write = farm.submit(OP.WRITE, 2, 2);
    farm.move(0, 2, 'slow');
    farm.pass();
    farm.refuse(farm.b, status, 'Not here');
    expect([farm.attachment.refusals, looks, farm.failures, farm.done.get(write)]).toEqual([1, 1, [], undefined]);
    farm.path(farm.a).say(OP.REVOKED, 1);
    farm.move(1, 1);
    farm.pass();
    farm.grant(farm.a, 4, { poolGeneration: 1 });
    farm.answer(farm.a, OP.WRITE);
    expect([farm.done.get(write), farm.attachment.standing, farm.attachment.isGuess]).toEqual([STATUS.OK, 'ready', false]);
  },
);

test('a granted OPEN that names another pool replaces the ownership, and TAKEN ends the attachment again', () => {
  const farm = new Farm();
  farm.move(0, 6);
  farm.pass();
  farm.grant(farm.b, 2, { poolGeneration: 2, poolId: 'slow' });
  expect(farm.attachment.ownership).toEqual({ poolId: 'slow', generation: 2 });
  farm.b.server.loseSession();
  farm.pass(10_000);
  farm.refuse(farm.b, STATUS.TAKEN, 'Taken');
  expect([farm.attachment.phase, farm.failures]).toEqual(['failed', [`${STATUS.TAKEN} Taken`]]);
});
