// Tests a mirror over two real trunks, each with a scripted server: the frames that are sent, the requests that wait for a new incarnation
// or a silent replica, and the buffers of a replica that was given up. Rules: M10.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { Attachment } from '../../client/attachment.ts';
import { SlabPool } from '../../client/replay/replay-blocks.ts';
import { REPLAY_BLOCK_BYTES, REPLAY_BLOCK_COST_BYTES, REPLAY_RANGE_COST_BYTES } from '../../client/limits.ts';
import { ReplayLog } from '../../client/replay/replay-log.ts';
import { Request } from '../../client/requests/request.ts';
import { RevokeScene } from '../../testing/revoke-scene.ts';
import type { SessionAnswer } from '../../client/session-call.ts';
import { OP } from '../../wire/frames.ts';
import { EXTENT, ExtentsAnswer, ExtentsRequest, IOCTL, type OpenAnswer, TAKE } from '../../wire/messages.ts';
import { SLOTS } from '../../wire/limits.ts';
import { STATUS } from '../../wire/status.ts';
import { MirrorIo } from './mirror-io.ts';
import { Replica } from './replica.ts';
import { TimesBudget } from '../lacks/change-times.ts';

/** The server of a replica, which has answered the OPEN. */
function serverOf(identity: string, volume: Partial<OpenAnswer> = {}): RevokeScene {
  const log = new ReplayLog(LOG_BYTES, new SlabPool(1), null);
  const scene = new RevokeScene(1, new Attachment(`replica-${identity}`, 0, false, TAKE.NO, log));
  scene.scene.server.revokes = true;
  scene.answerOpen({ handle: 7, ...volume });
  return scene;
}

const LOG_BYTES = SLOTS * REPLAY_RANGE_COST_BYTES + 16 * (REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES);

class Mirror {
  readonly clock = new FakeClock();
  readonly lost: string[] = [];
  readonly servers: RevokeScene[];
  readonly io = new MirrorIo(
    { mirror: 'mirror', name: 'oracle', universe: 0, readonly: false },
    {
      clock: this.clock,
      timesBudget: new TimesBudget(),
      lost: (identity) => this.lost.push(identity),
      settleSoon: () => {},
      unsettledGrew: () => {},
      confirmByVoters: () => Promise.resolve(false),
      standingChanged: () => {},
    },
  );

  constructor(volumes: readonly Partial<OpenAnswer>[] = [{}, {}]) {
    this.servers = volumes.map((volume, index) => serverOf('AB'[index]!, volume));
    for (const [index, server] of this.servers.entries()) this.add('AB'[index]!, server);
    this.view('A', 'B');
  }

  add(identity: string, { attachment, scene }: RevokeScene): void {
    this.io.addReplica(new Replica(identity, attachment, scene.trunk, `big-${'ABC'.indexOf(identity)}`));
  }

  /** Sets a view in which these replicas count, and only replica A executes READs. */
  view(...identities: string[]): void {
    const replicas = identities.map((identity) => ({ identity, counts: true, confirms: true, reads: identity === 'A' }));
    this.io.setView({ term: 1, replicas, isServing: true, sizeBytes: 1 << 30, waitsFor: null });
    this.settle();
  }

  settle(): void {
    for (let times = 0; times < 3; times++) {
      this.clock.advance(0);
      for (const server of this.servers) server.settle();
    }
    this.clock.advance(0);
  }

  submit(op: number, fill = 0): { request: Request; statuses: number[] } {
    const statuses: number[] = [];
    const bodyBytes = op === OP.FLUSH || op === OP.DISCARD ? 0 : SECTOR_BYTES;
    const buffer = Buffer.alloc(bodyBytes, fill);
    const request = Object.assign(new Request(), { op, lba: 0, count: op === OP.FLUSH ? 0 : 1, bodyBytes, buffer });
    request.events = {
      requestDone: (done, status) => {
        statuses.push(status);
        done.buffer.fill(0xee);
      },
    };
    this.io.submit(request, 0);
    this.settle();
    return { request, statuses };
  }

  answer(server: number, op: number, status: number = STATUS.OK, body?: Buffer): void {
    this.servers[server]!.answer(op, status, body);
    this.settle();
  }

  /** First byte of each WRITE that the server has received. */
  written(server: number): number[] {
    return this.servers[server]!.paths.flatMap((path) => path.requests(OP.WRITE).map(({ body }) => body[0]!));
  }
}

test('a WRITE goes to both replicas and is acknowledged when both have answered; a READ needs a TERM of the other one', () => {
  const mirror = new Mirror();
  const write = mirror.submit(OP.WRITE, 5);
  const read = mirror.submit(OP.READ);
  expect([mirror.written(0), mirror.written(1), mirror.servers[0]!.waiting]).toEqual([[5], [5], ['WRITE 7']]);
  mirror.answer(0, OP.WRITE);
  expect(write.statuses).toEqual([]);
  mirror.answer(1, OP.WRITE);
  expect([write.statuses, mirror.servers.map(({ waiting }) => waiting)]).toEqual([[STATUS.OK], [['READ 7'], ['IOCTL 7']]]);
  expect(mirror.servers[1]!.open(OP.IOCTL)[0]!.frame.header.aux).toBe(IOCTL.TERM);
  mirror.answer(0, OP.READ, STATUS.OK, Buffer.alloc(SECTOR_BYTES, 5));
  expect(read.statuses).toEqual([]);
  mirror.answer(1, OP.IOCTL);
  expect(read.statuses).toEqual([STATUS.OK]);
});

test('a READ is confirmed after the loan of what was received: its owner finds the data in its own buffer (ADR 0068)', () => {
  const mirror = new Mirror();
  const found: { status: number; received: Buffer | null; data: Buffer }[] = [];
  const buffer = Buffer.alloc(SECTOR_BYTES, 0xaa);
  const request = Object.assign(new Request(), { op: OP.READ, count: 1, bodyBytes: SECTOR_BYTES, buffer, takesReceived: true });
  request.events = { requestDone: (done, status) => found.push({ status, received: done.received, data: Buffer.from(done.buffer) }) };
  mirror.io.submit(request, 0);
  mirror.settle();
  mirror.answer(0, OP.READ, STATUS.OK, Buffer.alloc(SECTOR_BYTES, 5));
  expect(found).toEqual([]);
  mirror.answer(1, OP.IOCTL);
  expect(found).toEqual([{ status: STATUS.OK, received: null, data: Buffer.alloc(SECTOR_BYTES, 5) }]);
});

test('a DISCARD is a ZERO to the replicas, because they would not be equal after it', () => {
  const mirror = new Mirror();
  const { statuses } = mirror.submit(OP.DISCARD);
  expect(mirror.servers.map(({ waiting }) => waiting)).toEqual([['ZERO 7'], ['ZERO 7']]);
  for (const server of [0, 1]) mirror.answer(server, OP.ZERO);
  expect(statuses).toEqual([STATUS.OK]);
});

test('a WRITE is not acknowledged before a replica with a new incarnation has it again (M10)', () => {
  const mirror = new Mirror();
  const [a] = mirror.servers;
  const write = mirror.submit(OP.WRITE, 6);
  mirror.answer(0, OP.WRITE);
  a!.loseSession();
  mirror.settle();
  a!.answerOpen({ handle: 8, life: 'new' });
  mirror.settle();
  mirror.answer(1, OP.WRITE);
  expect([a!.attachment.phase, a!.waiting, write.statuses]).toEqual(['replaying', ['WRITE 8'], []]);
  mirror.answer(0, OP.WRITE);
  expect([mirror.written(0).at(-1), write.statuses]).toEqual([6, [STATUS.OK]]);
});

test('a replica that was given up holds a WRITE up until it does not count, and its server gets nothing of the buffer after that', () => {
  const mirror = new Mirror();
  const [, b] = mirror.servers;
  const sent = mirror.submit(OP.WRITE, 7);
  mirror.answer(0, OP.WRITE);
  mirror.io.giveUp('B');
  mirror.settle();
  expect(sent.statuses).toEqual([]);
  mirror.view('A');
  expect(sent.statuses).toEqual([STATUS.OK]);
  const later = mirror.submit(OP.WRITE, 8);
  // The server loses its session. The client has no unanswered requests, so it must send nothing again.
  b!.loseSession();
  mirror.settle();
  b!.answerOpen({ handle: 9 });
  mirror.settle();
  mirror.answer(0, OP.WRITE);
  expect([later.statuses, mirror.written(0), mirror.lost]).toEqual([[STATUS.OK], [7, 8], []]);
  expect(mirror.written(1).filter((first) => first !== 7)).toEqual([]);
});

test('a mirror that waits for a replica names its server', () => {
  const mirror = new Mirror();
  mirror.servers[1]!.loseSession();
  mirror.settle();
  expect(mirror.io.reason).toMatch(/^The replica on server big-1 does not answer: /);
});

test('a WRITE that one replica refuses makes it lost, and is acknowledged when it does not count', () => {
  const mirror = new Mirror();
  const write = mirror.submit(OP.WRITE, 9);
  mirror.answer(0, OP.WRITE);
  mirror.answer(1, OP.WRITE, STATUS.NO_SPACE);
  expect([mirror.lost, write.statuses]).toEqual([['B'], []]);
  mirror.io.giveUp('B');
  mirror.view('A');
  expect(write.statuses).toEqual([STATUS.OK]);
  const refused = mirror.submit(OP.WRITE, 10);
  mirror.answer(0, OP.WRITE, STATUS.NO_SPACE);
  expect([refused.statuses, mirror.io.unsettled.count]).toEqual([[STATUS.NO_SPACE], 1]);
});

test('EXTENTS is answered by one replica and confirmed by the other one; what is unsettled is data', () => {
  const mirror = new Mirror();
  const body = ExtentsRequest.encode({ lba: 0, sectors: 8 });
  const answers: SessionAnswer[] = [];
  mirror.io.ioctl(IOCTL.EXTENTS, body, (answer) => answers.push(answer));
  mirror.settle();
  const found = ExtentsAnswer.encode({ extents: [8, EXTENT.HOLE] });
  mirror.answer(0, OP.IOCTL, STATUS.OK, found);
  expect(answers).toEqual([]);
  mirror.answer(1, OP.IOCTL);
  expect(answers).toEqual([{ status: STATUS.OK, bodies: [found], sentence: '' }]);
  mirror.io.unsettled.add(0);
  mirror.io.ioctl(IOCTL.EXTENTS, body, (answer) => answers.push(answer));
  mirror.settle();
  expect(answers[1]!.bodies).toEqual([ExtentsAnswer.encode({ extents: [8, EXTENT.DATA] })]);
});

test('a joining replica that executes what the replica in sync refuses is lost itself', () => {
  const mirror = new Mirror();
  const role = { counts: true, confirms: true, reads: true };
  const replicas = [
    { identity: 'A', ...role },
    { identity: 'B', ...role, confirms: false, reads: false },
  ];
  mirror.io.setView({ term: 1, replicas, isServing: true, sizeBytes: 1 << 30, waitsFor: null });
  mirror.settle();
  const write = mirror.submit(OP.WRITE, 11);
  mirror.answer(0, OP.WRITE, STATUS.NO_SPACE);
  mirror.answer(1, OP.WRITE);
  expect([mirror.lost, write.statuses]).toEqual([['B'], []]);
  mirror.io.giveUp('B');
  mirror.view('A');
  expect([mirror.lost, write.statuses]).toEqual([['B'], [STATUS.NO_SPACE]]);
});

test('a mirror has the largest block size of its replicas and discards where all can; a later replica with larger blocks is lost', () => {
  const mixed = new Mirror([{ canDiscard: false }, { blockSizeBytes: 4096 }]);
  expect(mixed.io.volume).toMatchObject({ blockSizeBytes: 4096, canDiscard: false });
  mixed.add('C', serverOf('C'));
  expect([mixed.lost, mixed.io.volume?.blockSizeBytes]).toEqual([[], 4096]);
  const mirror = new Mirror();
  expect(mirror.io.volume).toMatchObject({ blockSizeBytes: 512, canDiscard: true });
  mirror.add('C', serverOf('C', { blockSizeBytes: 4096 }));
  expect([mirror.lost, mirror.io.volume?.blockSizeBytes]).toEqual([['C'], 512]);
});
