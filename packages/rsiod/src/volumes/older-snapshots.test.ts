// Tests which snapshots are offered beside an attached snapshot: the parts of the server's list, its bounds, and answers that end the list. A
// stand-in for the trunk answers; attachments.test.ts asks through a real one.

import { beforeEach, expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { Request } from '@rsio/protocol/client/requests/request';
import type { Trunk } from '@rsio/protocol/client/trunk';
import { IOCTL, SnapshotsAnswer, SnapshotsRequest } from '@rsio/protocol/wire/messages';
import { SNAPSHOTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import type { OlderSnapshot } from './frontend-volume.ts';
import { OLDER_SNAPSHOTS_MAX, OLDER_SNAPSHOTS_TRIES_MAX, OLDER_SNAPSHOTS_WAIT_MS } from './limits.ts';
import { olderSnapshots } from './older-snapshots.ts';

const attachment = {} as Attachment;
let clock: FakeClock;
/** The snapshot after which each request has asked for the list. */
let asked: (string | null)[];
let answers: (() => readonly [status: number, ...bodies: Buffer[]])[];

const trunk = {
  submit: (request: Request) => {
    expect([request.attachment, request.aux]).toEqual([attachment, IOCTL.SNAPSHOTS]);
    asked.push(SnapshotsRequest.decode(request.message, 0, request.message.length).after);
    const answer = answers.shift();
    if (answer === undefined) return;
    queueMicrotask(() => {
      const [status, ...bodies] = answer();
      request.answers = bodies;
      request.events?.requestDone(request, status);
    });
  },
} as unknown as Trunk;

beforeEach(() => {
  [clock, asked, answers] = [new FakeClock(), [], []];
});

function snapshots(count: number, from = 0): OlderSnapshot[] {
  return Array.from({ length: count }, (_, index) => ({ name: `s${from + index}`, id: `id${from + index}` }));
}

/** The parts of a list of `count` snapshots; all say that there is more, but the last. */
function parts(count: number): typeof answers {
  const starts = Array.from({ length: Math.ceil(count / SNAPSHOTS_PER_ANSWER_MAX) }, (_, index) => index * SNAPSHOTS_PER_ANSWER_MAX);
  return starts.map((from) => {
    const left = count - from;
    return part(snapshots(Math.min(left, SNAPSHOTS_PER_ANSWER_MAX), from), left > SNAPSHOTS_PER_ANSWER_MAX);
  });
}

function part(list: readonly OlderSnapshot[], hasMore: boolean): () => readonly [number, Buffer] {
  return () => [STATUS.OK, SnapshotsAnswer.encode({ snapshots: [...list], hasMore })];
}

test('the parts are put together, and each is asked for after the last snapshot of the one before', async () => {
  answers = [part(snapshots(2), true), part(snapshots(1, 2), false)];
  expect(await olderSnapshots(trunk, attachment, clock)).toEqual(snapshots(3));
  expect(asked).toEqual([null, 'id1']);
  expect(clock.timersPending).toBe(0);
});

test('a volume without older snapshots', async () => {
  answers = [part([], false)];
  expect(await olderSnapshots(trunk, attachment, clock)).toEqual([]);
});

test.each([1, 2 * SNAPSHOTS_PER_ANSWER_MAX])('at most OLDER_SNAPSHOTS_MAX are offered of a list with %i more', async (more) => {
  answers = parts(OLDER_SNAPSHOTS_MAX + more);
  expect(await olderSnapshots(trunk, attachment, clock)).toEqual(snapshots(OLDER_SNAPSHOTS_MAX));
  expect(asked).toHaveLength(Math.ceil(OLDER_SNAPSHOTS_MAX / SNAPSHOTS_PER_ANSWER_MAX));
});

test('exactly OLDER_SNAPSHOTS_MAX end the list without another question', async () => {
  const last = OLDER_SNAPSHOTS_MAX % SNAPSHOTS_PER_ANSWER_MAX;
  answers = [...parts(OLDER_SNAPSHOTS_MAX - 1).slice(0, -1), part(snapshots(last, OLDER_SNAPSHOTS_MAX - last), true)];
  expect(await olderSnapshots(trunk, attachment, clock)).toEqual(snapshots(OLDER_SNAPSHOTS_MAX));
  expect(answers).toEqual([]);
});

test('an empty part ends the list, even if the server says that there is more', async () => {
  answers = [part(snapshots(1), true), part([], true)];
  expect(await olderSnapshots(trunk, attachment, clock)).toEqual(snapshots(1));
});

test('if the snapshot at which a part ended was removed, the list is read from its start, a bounded number of times', async () => {
  const removed = (): readonly [number] => [STATUS.UNKNOWN_VOLUME];
  answers = [part(snapshots(2), true), removed, part(snapshots(1), false)];
  expect(await olderSnapshots(trunk, attachment, clock)).toEqual(snapshots(1));
  expect(asked).toEqual([null, 'id1', null]);
  asked = [];
  answers = Array.from({ length: 2 * OLDER_SNAPSHOTS_TRIES_MAX }, (_, index) => (index % 2 === 0 ? part(snapshots(1), true) : removed));
  expect(await olderSnapshots(trunk, attachment, clock)).toEqual([]);
  expect(asked).toHaveLength(2 * OLDER_SNAPSHOTS_TRIES_MAX);
});

test.each([
  ['a server that cannot list snapshots', () => [STATUS.UNSUPPORTED] as const],
  ['an answer without a list', () => [STATUS.OK] as const],
])('none are offered: %s', async (_what, answer) => {
  answers = [part(snapshots(1), true), answer];
  expect(await olderSnapshots(trunk, attachment, clock)).toEqual([]);
  expect(asked).toHaveLength(2);
});

test('none are offered if the server does not answer in time', async () => {
  const list = olderSnapshots(trunk, attachment, clock);
  clock.advance(OLDER_SNAPSHOTS_WAIT_MS);
  expect(await list).toEqual([]);
  expect(asked).toEqual([null]);
});
