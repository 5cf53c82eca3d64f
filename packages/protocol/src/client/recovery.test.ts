// Tests an attachment with a replay log step by step: the order of requests in a new incarnation of the storage, the changes that a FLUSH
// covers, changes that are sent with FUA, and changes that wait for room in the log. The server is a script; recovery-random.test.ts tests
// recovery with random events. Rules: L3, R1, R2, G5.

import { describe, expect, test } from 'vitest';
import { REPLAY_LOG_BYTES } from '@rsio/common/config/schema/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEGMENT_BYTES } from '../link/limits.ts';
import { SLOTS } from '../wire/limits.ts';
import {
  REOPEN_RETRY_MS,
  REPLAY_BLOCK_BYTES,
  REPLAY_BLOCK_COST_BYTES,
  REPLAY_RANGE_COST_BYTES,
  REPLAY_REQUESTS_OUT_MAX,
} from './limits.ts';
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

const NAMES: Readonly<Record<number, string>> = {
  [OP.OPEN]: 'OPEN',
  [OP.IOCTL]: 'IOCTL',
  [OP.READ]: 'READ',
  [OP.WRITE]: 'WRITE',
  [OP.FLUSH]: 'FLUSH',
  [OP.DISCARD]: 'DISCARD',
  [OP.ZERO]: 'ZERO',
};
const EMPTY = Buffer.alloc(0);

function logOf(blocks: number): ReplayLog {
  return new ReplayLog(SLOTS * REPLAY_RANGE_COST_BYTES + blocks * (REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES), new SlabPool(1), null);
}

class RecoveryScene {
  readonly scene = new TrunkScene(1);
  readonly attachment: Attachment;
  readonly said: string[] = [];
  private readonly answered = new Set<HeardFrame>();

  constructor(log: ReplayLog | null = new ReplayLog(REPLAY_LOG_BYTES, new SlabPool(1), null), open: Partial<OpenAnswer> = {}) {
    this.scene.server.answersPings = true;
    this.scene.start();
    this.scene.trunk.removeAttachment(this.scene.attachment);
    this.attachment = new Attachment('archive', 0, false, TAKE.NO, log);
    const opener = new Opener(this.scene.trunk, this.scene.clock, {
      opened: (_attachment, again, isNewIncarnation) =>
        this.said.push(`open${again ? ' again' : ''}${isNewIncarnation ? ', new incarnation' : ''}`),
      grown: ({ volume }, fromBytes) => this.said.push(`grown from ${fromBytes} to ${volume?.sizeBytes}`),
      failed: (_attachment, status) => this.said.push(`failed ${status}`),
      waits: (_attachment, sentence) => this.said.push(`waits: ${sentence}`),
    });
    this.scene.whenSession = () => opener.openAll();
    opener.add(this.attachment);
    this.settle();
    this.open(open);
  }

  get log(): ReplayLog {
    return this.attachment.log!;
  }

  settle(ms = 1): void {
    this.scene.clock.advance(ms);
  }

  /**
   * Texts for the received requests that are not answered yet, oldest first. Each text has the name, the first sector and the flags of the
   * request.
   */
  get waiting(): string[] {
    return this.unanswered.map(({ frame: { header } }) => {
      if (header.op === OP.OPEN || header.op === OP.IOCTL || header.op === OP.FLUSH) return NAMES[header.op]!;
      return `${NAMES[header.op]} ${header.lba}${(header.flags & FLAG.FUA) === 0 ? '' : ' FUA'}`;
    });
  }

  /** First sectors and ids of the WRITEs that are not answered yet. */
  get writes(): [lba: number, id: number][] {
    const writes = this.unanswered.filter(({ frame }) => frame.header.op === OP.WRITE);
    return writes.map(({ frame }) => [frame.header.lba, frame.body.readUInt32LE()]);
  }

  answer(name: string, status: number = STATUS.OK): void {
    const at = this.waiting.indexOf(name);
    expect(at, `${name} waits`).toBeGreaterThanOrEqual(0);
    const { path, frame } = this.unanswered[at]!;
    this.answered.add(frame);
    if (frame.header.op === OP.IOCTL || frame.header.op === OP.OPEN) path.answerMessage(frame, status, EMPTY);
    else path.answerIo(frame, status, frame.header.op === OP.READ ? Buffer.alloc(frame.header.count * SECTOR_BYTES) : EMPTY);
    this.settle();
  }

  open(fields: Partial<OpenAnswer>): void {
    const { path, frame } = this.unanswered.find(({ frame: { header } }) => header.op === OP.OPEN)!;
    this.answered.add(frame);
    path.answerMessage(frame, STATUS.OK, OpenAnswer.encode({ ...OPEN_ANSWER, ...fields }));
    this.settle();
  }

  submit(op: number, lba = 0, { id = 1, count = 1, flags = 0 }: { id?: number; count?: number; flags?: number } = {}): Request {
    const sectors = op === OP.FLUSH ? 0 : count;
    const buffer = Buffer.alloc(op === OP.WRITE || op === OP.READ ? sectors * SECTOR_BYTES : 0);
    if (op === OP.WRITE) for (let at = 0; at < sectors; at++) buffer.writeUInt32LE(id, at * SECTOR_BYTES);
    const fields = { lba, count: sectors, flags, bodyBytes: buffer.length, buffer, attachment: this.attachment };
    const request = this.scene.submit(op, fields);
    this.settle();
    return request;
  }

  written(lba: number, id = 1, count = 1): void {
    this.submit(OP.WRITE, lba, { id, count });
    this.answer(`WRITE ${lba}`);
  }

  loseSession(): void {
    this.scene.server.loseSession();
    this.answered.clear();
    for (let tries = 0; tries < 1000 && this.scene.server.paths.length === 0; tries++) this.settle(10);
    this.settle();
  }

  /** Ends the session, and opens the volume again with the given incarnation of the storage. */
  reopen(incarnation: string): void {
    this.loseSession();
    this.open({ life: incarnation });
  }

  private get unanswered(): { path: ScriptedPath; frame: HeardFrame }[] {
    return this.scene.server.paths.flatMap((path) =>
      path.heard.filter((frame) => NAMES[frame.header.op] !== undefined && !this.answered.has(frame)).map((frame) => ({ path, frame })),
    );
  }
}

describe('a new incarnation of the storage', () => {
  test('unflushed writes are sent again, then unanswered changes, then the rest; nothing else before', () => {
    const world = new RecoveryScene();
    world.written(10, 1);
    world.written(20, 2);
    const unanswered = world.submit(OP.WRITE, 30, { id: 3 });
    world.loseSession();
    const read = world.submit(OP.READ, 10);
    const flush = world.submit(OP.FLUSH);
    const overlaps = world.submit(OP.WRITE, 20, { id: 4 });
    world.open({ life: 'second' });
    expect([world.attachment.phase, world.attachment.standing]).toEqual(['replaying', 'recovering']);
    expect(world.writes).toEqual([
      [10, 1],
      [20, 2],
    ]);
    world.answer('WRITE 20');
    expect(world.waiting).toEqual(['WRITE 10']);
    world.answer('WRITE 10');
    expect([world.attachment.phase, world.waiting]).toEqual(['resending', ['WRITE 30']]);
    world.answer('WRITE 30');
    expect([world.attachment.phase, world.waiting]).toEqual(['ready', ['READ 10', 'FLUSH', 'WRITE 20', 'IOCTL']]);
    for (const name of ['IOCTL', 'READ 10', 'FLUSH', 'WRITE 20']) world.answer(name);
    for (const request of [unanswered, read, flush, overlaps]) expect(world.scene.statusOf(request)).toBe(STATUS.OK);
    expect(world.said).toEqual(['open', 'open again, new incarnation']);
  });

  test('the same incarnation: nothing is replayed', () => {
    const world = new RecoveryScene();
    world.written(10);
    world.submit(OP.WRITE, 30);
    world.reopen(OPEN_ANSWER.life);
    expect([world.attachment.phase, world.waiting]).toEqual(['resending', ['WRITE 30']]);
  });

  test('an empty log: nothing is replayed, and the log takes the new incarnation', () => {
    const world = new RecoveryScene();
    world.reopen('second');
    expect(world.attachment.phase).toBe('ready');
    world.answer('IOCTL');
    world.written(10, 5);
    world.reopen('third');
    expect(world.writes).toEqual([[10, 5]]);
  });

  test('the session is lost during the replay: it restarts with its first piece, even in the same incarnation', () => {
    const world = new RecoveryScene();
    for (const lba of [10, 20, 30]) world.written(lba);
    world.reopen('second');
    world.answer('WRITE 10');
    world.answer('WRITE 30');
    world.reopen('second');
    expect([world.attachment.phase, world.waiting]).toEqual(['replaying', ['WRITE 10', 'WRITE 20', 'WRITE 30']]);
  });

  test('another incarnation during the replay, and again after it', () => {
    const world = new RecoveryScene();
    for (const lba of [10, 20]) world.written(lba);
    world.reopen('second');
    world.answer('WRITE 20');
    world.reopen('third');
    expect(world.waiting).toEqual(['WRITE 10', 'WRITE 20']);
    for (const lba of [10, 20]) world.answer(`WRITE ${lba}`);
    expect([world.attachment.phase, world.log.incarnation]).toEqual(['ready', 'third']);
    world.reopen('fourth');
    expect(world.waiting).toEqual(['WRITE 10', 'WRITE 20']);
  });

  // Regression: after a restart, the client counted the incarnation in the answer to OPEN as recovered, although the log had not been
  // replayed.
  test('it is told as the recovered one when the whole log was sent again, and not before', () => {
    const world = new RecoveryScene();
    const told: (string | null)[] = [];
    world.attachment.events = { standingChanged: () => told.push(world.attachment.recoveredLife), serverIsSlow: () => {} };
    for (const lba of [10, 20]) world.written(lba);
    world.reopen('second');
    world.answer('WRITE 20');
    world.reopen('third');
    world.answer('WRITE 10');
    expect(new Set(told)).toEqual(new Set([OPEN_ANSWER.life]));
    world.answer('WRITE 20');
    expect([world.attachment.recoveredLife, told.at(-1)]).toEqual(['third', 'third']);
    world.reopen('third');
    expect(world.attachment.recoveredLife).toBe('third');
  });

  test('a handle that is revoked during the replay: after the requests in flight, the whole log is sent on the next handle', () => {
    const world = new RecoveryScene();
    for (const lba of [10, 20]) world.written(lba);
    world.reopen('second');
    world.answer('WRITE 10', STATUS.STALE);
    expect([world.attachment.phase, world.waiting]).toEqual(['revoked', ['WRITE 20']]);
    world.answer('WRITE 20');
    world.settle(REOPEN_RETRY_MS);
    world.open({ life: 'third', handle: 9 });
    expect([world.attachment.phase, world.waiting]).toEqual(['replaying', ['WRITE 10', 'WRITE 20']]);
  });

  test('another identity: nothing is sent again, and the log is discarded', () => {
    const world = new RecoveryScene();
    const log = world.log;
    world.written(10);
    const unanswered = world.submit(OP.WRITE, 30);
    world.loseSession();
    world.open({ life: 'second', identity: 'another' });
    expect([world.attachment.phase, world.scene.statusOf(unanswered), log.isEmpty]).toEqual(['failed', STATUS.TAKEN, true]);
    expect(world.waiting.filter((name) => name.startsWith('WRITE'))).toEqual([]);
  });

  test('a replay that fails is retried, and nothing else is sent', () => {
    const world = new RecoveryScene();
    for (const lba of [10, 20]) world.written(lba);
    world.reopen('second');
    world.answer('WRITE 10', STATUS.NO_SPACE);
    expect([world.waiting, world.attachment.standing], 'the server has one still').toEqual([['WRITE 20'], 'recovering']);
    world.answer('WRITE 20');
    expect([world.waiting, world.attachment.standing]).toEqual([[], 'halted']);
    expect(world.said.at(-1)).toMatch(/^waits: .* fail with ".*": retrying$/);
    world.settle(REOPEN_RETRY_MS);
    expect([world.waiting, world.attachment.standing]).toEqual([['WRITE 10', 'WRITE 20'], 'recovering']);
    for (const lba of [10, 20]) world.answer(`WRITE ${lba}`);
    expect([world.attachment.phase, world.log.incarnation]).toEqual(['ready', 'second']);
  });

  test('the reason of a stall is reported once, however often OPEN is retried, and again after the volume was open', () => {
    const world = new RecoveryScene();
    const waits = (): number => world.said.filter((line) => line.startsWith('waits')).length;
    for (let incarnation = 2; incarnation < 4; incarnation++) {
      world.loseSession();
      const before = waits();
      for (let again = 0; again < 10; again++) {
        world.answer('OPEN', STATUS.VOLUME_UNAVAILABLE);
        world.settle(REOPEN_RETRY_MS);
      }
      expect(waits() - before).toBe(1);
      world.open({ life: `incarnation-${incarnation}` });
      expect(world.attachment.phase).toBe('ready');
    }
    world.written(10);
    world.reopen('last');
    const before = waits();
    for (let again = 0; again < 10; again++) {
      world.answer('WRITE 10', STATUS.NO_SPACE);
      world.settle(REOPEN_RETRY_MS);
    }
    expect(waits() - before).toBe(1);
  });

  test('abandoning requests during the replay restarts it in the next session', () => {
    const world = new RecoveryScene();
    for (const lba of [10, 20]) world.written(lba);
    world.reopen('second');
    world.answer('WRITE 20');
    const read = world.submit(OP.READ, 10);
    for (const request of world.scene.trunk.abandon(world.attachment)) request.events?.requestDone(request, STATUS.OUTCOME_UNKNOWN);
    expect(world.scene.statusOf(read)).toBe(STATUS.OUTCOME_UNKNOWN);
    world.reopen('second');
    expect([world.attachment.phase, world.waiting]).toEqual(['replaying', ['WRITE 10', 'WRITE 20']]);
  });

  test('a long replay sends a few requests at a time', () => {
    const world = new RecoveryScene();
    const count = REPLAY_REQUESTS_OUT_MAX + 3;
    const sectors = SEGMENT_BYTES / SECTOR_BYTES;
    for (let at = 0; at < count; at++) world.written(at * sectors, at, sectors);
    world.reopen('second');
    for (let at = 0; at < count; at++) {
      expect(world.waiting).toHaveLength(Math.min(REPLAY_REQUESTS_OUT_MAX, count - at));
      expect(world.writes[0]).toEqual([at * sectors, at]);
      world.answer(`WRITE ${at * sectors}`);
    }
    expect(world.attachment.phase).toBe('ready');
  });
});

describe('a FLUSH', () => {
  test('covers exactly what was answered before it was sent', () => {
    const world = new RecoveryScene();
    world.written(10);
    const under = world.submit(OP.WRITE, 20);
    world.submit(OP.FLUSH);
    world.answer('WRITE 20');
    world.written(30);
    world.answer('FLUSH');
    expect([world.scene.statusOf(under), world.log.dataBytes]).toEqual([STATUS.OK, 2 * SECTOR_BYTES]);
    world.reopen('second');
    expect(world.waiting).toEqual(['WRITE 20', 'WRITE 30']);
  });

  test('that fails covers nothing', () => {
    const world = new RecoveryScene();
    world.written(10);
    world.submit(OP.FLUSH);
    world.answer('FLUSH', STATUS.IO_ERROR);
    world.reopen('second');
    expect(world.waiting).toEqual(['WRITE 10']);
  });

  test('that is sent again in a new session covers what was answered before then', () => {
    const world = new RecoveryScene();
    world.written(10);
    world.submit(OP.FLUSH);
    world.submit(OP.WRITE, 20);
    world.reopen(OPEN_ANSWER.life);
    world.answer('WRITE 20');
    world.answer('FLUSH');
    expect(world.log.isEmpty).toBe(true);
  });

  test('a WRITE with FUA is not logged, but what it overwrites is not sent again', () => {
    const world = new RecoveryScene();
    world.written(10, 1, 3);
    world.submit(OP.WRITE, 11, { id: 2, flags: FLAG.FUA });
    world.answer('WRITE 11 FUA');
    world.reopen('second');
    expect(world.writes).toEqual([
      [10, 1],
      [12, 1],
    ]);
  });
});

describe('without a log', () => {
  test.each([
    { name: 'log-size 0', log: null, shared: false },
    { name: 'a shared volume', log: logOf(9), shared: true },
  ])('$name: every change goes with FUA, and nothing is replayed', ({ log, shared }) => {
    const world = new RecoveryScene(log, { shared });
    for (const op of [OP.WRITE, OP.ZERO, OP.DISCARD]) world.submit(op, op);
    world.submit(OP.READ, 0);
    expect(world.waiting).toEqual([`WRITE ${OP.WRITE} FUA`, `ZERO ${OP.ZERO} FUA`, `DISCARD ${OP.DISCARD} FUA`, 'READ 0']);
    for (const name of world.waiting) world.answer(name);
    world.loseSession();
    world.open({ life: 'second', shared });
    expect([world.attachment.phase, world.attachment.log]).toEqual(['ready', null]);
  });
});

describe('a full log', () => {
  test('a change without room waits for an internal FLUSH; READs pass', () => {
    const world = new RecoveryScene(logOf(2));
    for (const lba of [0, 8]) world.written(lba);
    const late = [16, 24, 32].map((lba) => world.submit(OP.WRITE, lba));
    world.submit(OP.READ, 0);
    expect(world.waiting).toEqual(['FLUSH', 'READ 0']);
    world.answer('FLUSH');
    expect(world.waiting).toEqual(['READ 0', 'WRITE 16', 'WRITE 24']);
    world.answer('WRITE 16');
    expect(world.waiting).toEqual(['READ 0', 'WRITE 24', 'FLUSH']);
    world.answer('WRITE 24');
    world.answer('FLUSH');
    world.answer('WRITE 32');
    expect(late.map((request) => world.scene.statusOf(request))).toEqual([STATUS.OK, STATUS.OK, STATUS.OK]);
  });

  test('an internal FLUSH is sent when it is half full, and nothing waits for it', () => {
    const world = new RecoveryScene(logOf(40));
    const half = 24;
    for (let at = 0; at < half; at++) world.written(at * 8);
    expect(world.waiting).toEqual(['FLUSH']);
    world.written(half * 8);
    expect(world.waiting).toEqual(['FLUSH']);
    world.answer('FLUSH');
    expect([world.waiting, world.log.dataBytes]).toEqual([[], SECTOR_BYTES]);
  });

  test('answers to requests in flight make room if there is nothing to flush', () => {
    const world = new RecoveryScene(logOf(1));
    const [first, second] = [world.submit(OP.WRITE, 0), world.submit(OP.WRITE, 8)];
    expect(world.waiting).toEqual(['WRITE 0']);
    world.answer('WRITE 0', STATUS.IO_ERROR);
    expect([world.scene.statusOf(first), world.waiting]).toEqual([STATUS.IO_ERROR, ['WRITE 8']]);
    world.answer('WRITE 8');
    expect(world.scene.statusOf(second)).toBe(STATUS.OK);
  });

  test('a change that fits in no log is sent with FUA', () => {
    const world = new RecoveryScene(logOf(2));
    world.submit(OP.WRITE, 0, { count: 17 });
    expect(world.waiting).toEqual(['WRITE 0 FUA']);
  });

  test('if no FLUSH helps, waiting changes are sent with FUA', () => {
    const world = new RecoveryScene(logOf(1));
    world.written(0);
    world.submit(OP.WRITE, 8);
    world.answer('FLUSH', STATUS.IO_ERROR);
    expect(world.waiting).toEqual(['WRITE 8 FUA']);
    world.answer('WRITE 8 FUA');
    expect(world.log.dataBytes).toBe(SECTOR_BYTES);
  });

  test('changes that wait for room can be abandoned, and leave no reservation behind', () => {
    const world = new RecoveryScene(logOf(1));
    world.written(0);
    const waits = world.submit(OP.WRITE, 8);
    for (const request of world.scene.trunk.abandon(world.attachment)) request.events?.requestDone(request, STATUS.OUTCOME_UNKNOWN);
    expect([world.scene.statusOf(waits), world.log.reservedBytes]).toEqual([STATUS.OUTCOME_UNKNOWN, 0]);
    world.reopen(OPEN_ANSWER.life);
    world.answer('IOCTL');
    world.submit(OP.WRITE, 8);
    world.answer('FLUSH');
    world.answer('WRITE 8');
    expect(world.log.dataBytes).toBe(SECTOR_BYTES);
  });
});
