// Tests a mirror without replicas before it serves and after its end, through the interface that a volume uses. Requests wait until a view
// is set; after the end of the mirror, each request is answered once.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { Request } from '../../client/requests/request.ts';
import { OP } from '../../wire/frames.ts';
import { STATUS } from '../../wire/status.ts';
import { MirrorIo } from './mirror-io.ts';
import { TimesBudget } from '../lacks/change-times.ts';

function scene(): { io: MirrorIo; clock: FakeClock; read: () => number[] } {
  const clock = new FakeClock();
  const io = new MirrorIo(
    { mirror: 'm', name: 'oracle', universe: 0, readonly: false },
    {
      clock,
      timesBudget: new TimesBudget(),
      lost: () => {},
      settleSoon: () => {},
      unsettledGrew: () => {},
      confirmByVoters: () => Promise.resolve(false),
      standingChanged: () => {},
    },
  );
  const read = (): number[] => {
    const statuses: number[] = [];
    const request = Object.assign(new Request(), { op: OP.READ, count: 1, bodyBytes: 512, buffer: Buffer.alloc(512) });
    request.events = { requestDone: (_done, status) => statuses.push(status) };
    io.submit(request, 0);
    return statuses;
  };
  return { io, clock, read };
}

test('a request waits until the mirror serves, and its end answers it', () => {
  const { io, clock, read } = scene();
  const waiting = read();
  clock.advance(60_000);
  expect([io.standing, io.userIoCount, waiting]).toEqual(['halted', 1, []]);
  io.end(STATUS.TAKEN, 'Another client has the mirror');
  const later = read();
  expect(later).toEqual([]);
  clock.advance(1);
  expect([io.standing, io.reason, waiting, later]).toEqual(['over', 'Another client has the mirror', [STATUS.TAKEN], [STATUS.TAKEN]]);
});

test('abandoned requests are returned, and not answered', () => {
  const { io, clock, read } = scene();
  const waiting = read();
  expect(io.abandon()).toHaveLength(1);
  clock.advance(1);
  expect([io.userIoCount, waiting]).toEqual([0, []]);
});
