// Tests that changes that wait for room in the replay log are not forgotten when logging ends. replay-log.test.ts and the simulator test
// when and why a change waits.

import { expect, test } from 'vitest';
import { FLAG, OP } from '../../wire/frames.ts';
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
