// Tests that changes that wait for room in the replay log are not forgotten when logging ends, and that a request keeps no room in a log that
// has ended. replay-log.test.ts and the simulator test
// when and why a change waits.

import { expect, test } from 'vitest';
import { FLAG, OP } from '../../wire/frames.ts';
import { STATUS } from '../../wire/status.ts';
import { LogAdmission } from './log-admission.ts';
import { SlabPool } from './replay-blocks.ts';
import { ReplayLog } from './replay-log.ts';
import { Request } from '../requests/request.ts';

const LOG_BYTES = 64 * 1024;

// Regression: a WRITE that waited for room when logging ended hung forever, without any report.
test('a WRITE that waits for room goes without a log when logging ends, and is durable once it is answered', () => {
  const admitted: Request[] = [];
  const room = new LogAdmission(new ReplayLog(LOG_BYTES, new SlabPool(1), null), {
    admitted: (request) => admitted.push(request),
    flush: () => undefined,
    refused: () => undefined,
  });
  let last = new Request();
  for (let lba = 0; lba < 1000; lba += 8) {
    last = Object.assign(new Request(), { op: OP.WRITE, lba, count: 1, bodyBytes: 512, buffer: Buffer.alloc(512) });
    if (!room.admits(last)) break;
  }
  room.end();
  expect([admitted, last.flags & FLAG.FUA, room.takeWaiting()]).toEqual([[last], FLAG.FUA, []]);
});

// Regression: the copy request of a mirror was used again for a new attachment, and still had its room in the log of the failed one. The
// answer to the request then freed room that the new log had never reserved: "reserved bytes of the replay log is negative".
test.each(['answered', 'dropped'] as const)('a request that is %s after the log has ended has no room in another log', (how) => {
  const ports = { admitted: () => undefined, flush: () => undefined, refused: () => undefined };
  const newRoom = () => new LogAdmission(new ReplayLog(LOG_BYTES, new SlabPool(1), null), ports);
  const [failed, next] = [newRoom(), newRoom()];
  const request = Object.assign(new Request(), { op: OP.WRITE, lba: 0, count: 1, bodyBytes: 512, buffer: Buffer.alloc(512) });
  expect(failed.admits(request)).toBe(true);
  failed.end();
  if (how === 'answered') failed.answered(request, STATUS.OK);
  else failed.dropped(request);
  expect(next.admits(request)).toBe(true);
  next.answered(request, STATUS.OK);
  expect(next.log?.usedBytes).toBeGreaterThan(0);
});
