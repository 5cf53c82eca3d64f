// Tests the ioctls about intent maps over a data path whose sessions are recorded: the requests to the server and the meaning of its
// answers. A replica that has no session, or that is given up before its answer, counts as not answering.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import type { Request } from '../../client/requests/request.ts';
import { IOCTL } from '../../wire/messages.ts';
import { MirrorClearRequest, MirrorMapAnswer, MirrorMapRequest } from '../../wire/mirror-messages.ts';
import { STATUS } from '../../wire/status.ts';
import type { MirrorIo } from '../io/mirror-io.ts';
import { MirrorCopyIo } from './mirror-copy-io.ts';

function scene(): { io: MirrorCopyIo; clock: FakeClock; sent: Request[]; replica: { isAnswering: boolean } } {
  const clock = new FakeClock();
  const sent: Request[] = [];
  const replica = { isAnswering: true, attachment: null, trunk: { submit: (request: Request) => sent.push(request) } };
  const data = { replicaOf: (identity: string) => (identity === 'a' ? replica : null) };
  return { io: new MirrorCopyIo(data as unknown as MirrorIo, clock), clock, sent, replica };
}

function answer(request: Request, status: number, body?: Buffer): void {
  if (body !== undefined) request.answers.push(body);
  request.events?.requestDone(request, status);
}

const PAGE = MirrorMapAnswer.encode({ regions: 9, first: 8, bits: Buffer.from([1]) });

test('a page of a map is asked for and decoded; anything else is no answer', () => {
  const { io, sent } = scene();
  const answers: (MirrorMapAnswer | null)[] = [];
  for (let count = 0; count < 3; count++) io.readMap('a', 8, (one) => answers.push(one));
  expect([sent[0]!.aux, MirrorMapRequest.decode(sent[0]!.message, 0, sent[0]!.message.length)]).toEqual([IOCTL.MIRROR_MAP, { first: 8 }]);
  answer(sent[0]!, STATUS.OK, PAGE);
  answer(sent[1]!, STATUS.OK, Buffer.from([0xc1]));
  answer(sent[2]!, STATUS.UNSUPPORTED);
  expect([answers[0]?.first, answers[0]?.regions, [...(answers[0]?.bits ?? [])], ...answers.slice(1)]).toEqual([8, 9, [1], null, null]);
});

test('bits are cleared, and without a session the outcome is unknown', () => {
  const { io, sent, clock, replica } = scene();
  const statuses: number[] = [];
  for (const identity of ['a', 'a', 'gone']) io.clearMap(identity, [0, 2, 7, 1], (status) => statuses.push(status));
  expect(MirrorClearRequest.decode(sent[0]!.message, 0, sent[0]!.message.length)).toEqual({ ranges: [0, 2, 7, 1] });
  expect(statuses).toEqual([]);
  clock.advance(0);
  answer(sent[0]!, STATUS.OK);
  replica.isAnswering = false;
  answer(sent[1]!, STATUS.OK);
  expect(statuses).toEqual([STATUS.OUTCOME_UNKNOWN, STATUS.OK, STATUS.OUTCOME_UNKNOWN]);
});
