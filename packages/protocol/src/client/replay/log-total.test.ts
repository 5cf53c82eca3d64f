// Tests the limit on the total of all replay logs of a client, with two volumes: which changes wait, which are sent with FUA, and which
// memory is released. replay-log.test.ts tests the rules of one log, and the simulator tests real servers. Rules: L1.

import { expect, test } from 'vitest';
import { BLOCK_COST, change, MARGIN } from '../../testing/replay-requests.ts';
import { FLAG, OP } from '../../wire/frames.ts';
import { STATUS } from '../../wire/status.ts';
import { LogAdmission } from './log-admission.ts';
import { LOG_TOTAL_STEPS } from '../limits.ts';
import { LogTotal } from './log-total.ts';
import { SlabPool } from './replay-blocks.ts';
import { ReplayLog } from './replay-log.ts';
import type { Request } from '../requests/request.ts';

/** The replay log of one volume. The test decides when the volume's server answers. */
class Rig {
  readonly log: ReplayLog;
  readonly room: LogAdmission;
  readonly admitted: Request[] = [];
  flush: Request | null = null;

  constructor(total: LogTotal, blocks = 100) {
    this.log = new ReplayLog(MARGIN + blocks * BLOCK_COST, new SlabPool(2), total);
    this.log.opened('1');
    this.room = new LogAdmission(this.log, {
      admitted: (request) => this.admitted.push(request),
      flush: (request) => {
        this.flush = request;
        this.room.admits(request);
      },
      refused: () => expect.fail('a change was refused'),
    });
  }

  /** Sends a WRITE of one block. `isOut` is true if the WRITE is in flight, and false if it waits. */
  write(block: number): { request: Request; isOut: boolean } {
    const request = change(OP.WRITE, block * 8, 8);
    return { request, isOut: this.room.admits(request) };
  }

  written(block: number): void {
    const { request, isOut } = this.write(block);
    expect(isOut).toBe(true);
    this.room.answered(request, STATUS.OK);
  }

  flushed(status: number = STATUS.OK): void {
    const { flush } = this;
    expect(flush).not.toBeNull();
    this.flush = null;
    this.room.answered(flush!, status);
    this.room.requestDone(flush!, status);
  }
}

function isFua(request: Request): boolean {
  return (request.flags & FLAG.FUA) !== 0;
}

test('logs stay within their total, and a change without room waits only for its own log', () => {
  const total = new LogTotal(4 * BLOCK_COST);
  const [one, other] = [new Rig(total), new Rig(total)];
  for (const block of [0, 1, 2]) one.written(block);
  other.written(0);
  expect(total.bytes).toBe(4 * BLOCK_COST);
  const { request, isOut } = other.write(1);
  expect(isOut).toBe(false);
  expect([one.flush, other.flush]).toEqual([null, expect.anything()]);
  other.flushed();
  expect(other.admitted).toEqual([request]);
  expect([isFua(request), total.bytes]).toEqual([false, 4 * BLOCK_COST]);
});

test('a volume never waits for another: with an empty log a change goes with FUA if the others have used up the total', () => {
  const total = new LogTotal(4 * BLOCK_COST);
  const [one, other] = [new Rig(total), new Rig(total)];
  for (const block of [0, 1, 2, 3]) one.written(block);
  const { request, isOut } = other.write(0);
  expect([isOut, isFua(request)]).toEqual([true, true]);
  // If changes of the same volume are in flight, the WRITE waits for their answers, after which the log can free memory.
  one.room.flushNow(0);
  one.flushed();
  const first = other.write(1);
  for (const block of [0, 1, 2]) one.written(block);
  const second = other.write(2);
  expect([first.isOut, isFua(first.request), second.isOut]).toEqual([true, false, false]);
  other.room.answered(first.request, STATUS.IO_ERROR);
  expect([other.admitted, isFua(second.request)]).toEqual([[second.request], false]);
});

test('a waiting change goes with FUA if its own FLUSH has made too little room', () => {
  const total = new LogTotal(2 * BLOCK_COST);
  const [one, other] = [new Rig(total), new Rig(total)];
  other.written(0);
  one.written(0);
  const large = change(OP.WRITE, 80, 16);
  expect(other.room.admits(large)).toBe(false);
  other.flushed();
  expect([other.admitted, isFua(large)]).toEqual([[large], true]);
});

test('a log releases its bytes: answered, failed, flushed, cleared', () => {
  const total = new LogTotal(8 * BLOCK_COST);
  const rig = new Rig(total);
  const failed = rig.write(0).request;
  expect(total.bytes).toBe(BLOCK_COST);
  rig.room.answered(failed, STATUS.IO_ERROR);
  expect(total.bytes).toBe(0);
  rig.written(1);
  rig.written(1);
  expect(total.bytes).toBe(BLOCK_COST);
  rig.room.flushNow(5);
  rig.flushed();
  expect(total.bytes).toBe(0);
  rig.written(2);
  const { request } = rig.write(3);
  rig.room.end();
  expect(total.bytes).toBe(0);
  rig.room.answered(request, STATUS.OUTCOME_UNKNOWN);
  expect(total.bytes).toBe(0);
});

test('the owner is notified of the first byte and, beyond half, of each further step', () => {
  const total = new LogTotal(1600);
  const heard: string[] = [];
  total.whenUsed = () => heard.push(`used ${total.bytes}`);
  total.whenHigh = () => heard.push(`high ${total.bytes}`);
  for (const bytes of [800, 1, 50, 50, 99, -500, 400, -900, 10]) total.change(bytes);
  expect(heard).toEqual(['used 800', 'high 801', 'high 901', 'high 900', 'used 10']);
  expect(total.bytes).toBe(10);
});

test('beyond half, a total that falls and rises again is reported after each step above its lowest', () => {
  const total = new LogTotal(1600);
  const step = 1600 / LOG_TOTAL_STEPS;
  const heard: number[] = [];
  total.whenHigh = () => heard.push(total.bytes);
  total.change(1500);
  // Falls by less than a step: what was reported stays reported.
  total.change(-step / 2);
  total.change(step / 2);
  expect(heard).toEqual([1500]);
  total.change(-500);
  total.change(step - 1);
  expect(heard).toEqual([1500]);
  total.change(1);
  expect(heard).toEqual([1500, 1000 + step]);
});

test('nothing is used by a change of no bytes', () => {
  const total = new LogTotal(1600);
  let times = 0;
  total.whenUsed = () => times++;
  total.change(0);
  expect(times).toBe(0);
});
