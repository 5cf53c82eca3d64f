// The oracle reports each kind of breach when it happens, and nothing in a healthy run: a judge that misses a planted fault is a defect.
// Seeds test whole worlds.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { beforeEach, expect, test } from 'vitest';
import { Oracle } from './oracle.ts';

const SECTORS = 8;
let oracle: Oracle;
let content: Buffer;

beforeEach(() => {
  oracle = new Oracle(1, SECTORS);
  content = Buffer.alloc(SECTORS * SECTOR_BYTES);
});

function written(lba: number, count: number): { number: number; body: Buffer } {
  const body = Buffer.alloc(count * SECTOR_BYTES);
  return { number: oracle.change(lba, count, body, 0), body };
}

function execute(process: number, lba: number, body: Buffer): void {
  body.copy(content, lba * SECTOR_BYTES);
  oracle.executes(process, lba, content, lba * SECTOR_BYTES, body.length);
}

function read(lba: number, count: number): void {
  const ticket = new Uint32Array(count);
  oracle.issueRead(lba, count, ticket);
  oracle.readDone(ticket, lba, count, content, lba * SECTOR_BYTES);
}

test('a read may return what was written or zeroed, or a write in progress', () => {
  read(0, SECTORS);
  const first = written(2, 3);
  read(0, SECTORS);
  execute(1, 2, first.body);
  read(0, SECTORS);
  oracle.changed(first.number, 2, 3, true);
  read(0, SECTORS);
  const zeros = oracle.change(3, 1, null, 0);
  content.fill(0, 3 * SECTOR_BYTES, 4 * SECTOR_BYTES);
  read(0, SECTORS);
  oracle.changed(zeros, 3, 1, true);
  read(0, SECTORS);
  expect(oracle.breaches).toEqual([]);
});

test('a failed write may show or not, and then stays so', () => {
  const old = written(0, 1);
  execute(1, 0, old.body);
  oracle.changed(old.number, 0, 1, true);
  const failed = written(0, 1);
  oracle.changed(failed.number, 0, 1, false);
  read(0, 1);
  failed.body.copy(content, 0);
  read(0, 1);
  expect(oracle.breaches).toEqual([]);
  old.body.copy(content, 0);
  read(0, 1);
  expect(oracle.breaches).toHaveLength(1);
});

test('an answered write that is missing', () => {
  const { number } = written(1, 1);
  oracle.changed(number, 1, 1, true);
  read(1, 1);
  expect(oracle.breaches).toEqual([expect.stringContaining('O2: sector 1 shows zeros')]);
});

test('an older write after a newer one was read', () => {
  const [first, second] = [written(0, 1), written(0, 1)];
  execute(1, 0, first.body);
  execute(1, 0, second.body);
  read(0, 1);
  first.body.copy(content, 0);
  read(0, 1);
  expect(oracle.breaches).toEqual([expect.stringContaining('shows write 1')]);
});

test('bytes of no write, or of another sector', () => {
  const { body } = written(0, 1);
  body.copy(content, SECTOR_BYTES);
  read(1, 1);
  content[2 * SECTOR_BYTES + 100] = 1;
  read(2, 1);
  expect(oracle.breaches).toHaveLength(2);
});

test('a write executed twice by one process, but not by two', () => {
  const { body } = written(0, 1);
  execute(1, 0, body);
  execute(2, 0, body);
  expect(oracle.breaches).toEqual([]);
  execute(2, 0, body);
  expect(oracle.breaches).toEqual([expect.stringContaining('executed twice')]);
});

test('a write executed after its answer, and out of order', () => {
  const [first, second] = [written(0, 1), written(0, 1)];
  execute(1, 0, second.body);
  execute(1, 0, first.body);
  expect(oracle.breaches).toEqual([expect.stringContaining('O1')]);
  oracle.changed(second.number, 0, 1, true);
  execute(1, 0, second.body);
  expect(oracle.breaches[1]).toContain('S4');
});

test('an abandoned write may still execute, but in no later process, and not after anything submitted later', () => {
  const [lost, other] = [written(0, 1), written(1, 1)];
  oracle.abandoned(lost.number, 1);
  oracle.abandoned(other.number, 1);
  read(0, 1);
  execute(1, 0, lost.body);
  read(0, 1);
  expect(oracle.breaches).toEqual([]);
  execute(2, 0, lost.body);
  expect(oracle.breaches).toEqual([expect.stringContaining('E1')]);
  execute(2, 2, written(2, 1).body);
  execute(2, 1, other.body);
  expect(oracle.breaches[1]).toContain('E1: write 2 of sector 1');
});

test('an abandoned write that a read has returned does not vanish again', () => {
  const { body, number } = written(0, 1);
  oracle.abandoned(number, 1);
  execute(1, 0, body);
  read(0, 1);
  content.fill(0);
  read(0, 1);
  expect(oracle.breaches).toEqual([expect.stringContaining('O2')]);
});

test('a machine crash may undo only what nothing has made durable', () => {
  const [first, second, third] = [written(0, 1), written(1, 1), written(2, 1)];
  for (const [lba, { number, body }] of [first, second, third].entries()) {
    execute(1, lba, body);
    oracle.changed(number, lba, 1, true);
    if (lba === 0) oracle.flushed(oracle.flushBegins());
  }
  oracle.stays(third.number, 2, 1);
  oracle.crashed(false);
  content.fill(0, SECTOR_BYTES, 2 * SECTOR_BYTES);
  read(0, SECTORS);
  expect(oracle.breaches).toEqual([]);
  content.fill(0, 0, SECTOR_BYTES);
  read(0, 1);
  content.fill(0, 2 * SECTOR_BYTES, 3 * SECTOR_BYTES);
  read(2, 1);
  expect(oracle.breaches).toHaveLength(2);
});

test('a machine crash undoes nothing that the last holder of the volume was told', () => {
  const [told, underWay] = [written(0, 1), written(1, 1)];
  execute(1, 0, told.body);
  oracle.changed(told.number, 0, 1, true);
  oracle.handedOver();
  oracle.changed(underWay.number, 1, 1, true);
  oracle.crashed(false);
  read(0, 1);
  expect(oracle.breaches).toEqual([]);
  read(1, 1);
  expect(oracle.breaches, 'what was on its way to him').toEqual([expect.stringContaining('sector 1 shows zeros')]);
});

test("a crash keeps what is in the log of the volume's holder, unless the log is lost before it was sent again", () => {
  oracle.attached();
  const { number, body } = written(0, 1);
  execute(1, 0, body);
  oracle.changed(number, 0, 1, true);
  oracle.crashed(true);
  content.fill(0);
  execute(2, 0, body);
  oracle.recovered(content);
  read(0, 1);
  expect(oracle.breaches).toEqual([]);
  content.fill(0);
  read(0, 1);
  expect(oracle.breaches).toEqual([expect.stringContaining('sector 0 shows zeros')]);
  oracle.crashed(true);
  oracle.dropped();
  read(0, 1);
  expect(oracle.breaches).toHaveLength(1);
});

test('an answered write executes again in a later incarnation only while nothing newer was answered', () => {
  const [first, second] = [written(0, 1), written(0, 1)];
  execute(1, 0, first.body);
  oracle.changed(first.number, 0, 1, true);
  oracle.incarnationEnded();
  execute(2, 0, first.body);
  expect(oracle.breaches).toEqual([]);
  execute(2, 0, second.body);
  oracle.changed(second.number, 0, 1, true);
  oracle.incarnationEnded();
  execute(3, 0, first.body);
  expect(oracle.breaches).toContainEqual(expect.stringContaining('O1: write 1'));
});

test('writes of two users are distinguished', () => {
  const mine = written(0, 1);
  const theirs = oracle.change(0, 1, Buffer.alloc(SECTOR_BYTES), 0, 2);
  oracle.changed(theirs, 0, 1, false);
  execute(1, 0, mine.body);
  expect(oracle.breaches, 'nobody was told of this one').toEqual([]);
});

test('lost sectors may show old content until they are restored, and not afterwards', () => {
  oracle.attached();
  const [first, second] = [written(0, 1), written(0, 1)];
  execute(1, 0, first.body);
  const disk = Buffer.from(content);
  oracle.changed(first.number, 0, 1, true);
  oracle.flushed(oracle.flushBegins());
  execute(1, 0, second.body);
  oracle.changed(second.number, 0, 1, true);
  oracle.forgets(0, disk, 0, true);
  read(0, 1);
  disk.copy(content);
  read(0, 1);
  expect([oracle.breaches, oracle.forgotten]).toEqual([[], 1]);
  oracle.incarnationEnded();
  oracle.recovered(disk);
  expect(oracle.breaches).toEqual([expect.stringContaining('R2: change 2 of sector 0')]);
  read(0, 1);
  expect(oracle.breaches[1]).toContain('shows write 1');
});

test('forgotten zeros are owed only while the disk shows something else than zeros', () => {
  oracle.attached();
  const { number, body } = written(0, 2);
  execute(1, 0, body);
  oracle.changed(number, 0, 2, true);
  oracle.flushed(oracle.flushBegins());
  // The zeros of sector 0 are durable, as after a change with FUA. A further discard is in progress when the cache loses both sectors.
  const disk = Buffer.from(content);
  disk.fill(0, 0, SECTOR_BYTES);
  oracle.changed(oracle.change(0, 2, null, 0), 0, 2, true);
  oracle.change(0, 2, null, 0);
  for (const sector of [0, 1]) oracle.forgets(sector, disk, sector * SECTOR_BYTES, true);
  expect([oracle.forgotten, oracle.owed(disk)], 'sector 1 shows the write').toEqual([2, 1]);
  oracle.incarnationEnded();
  oracle.recovered(disk);
  expect(oracle.breaches).toEqual([expect.stringContaining('R2: change 2 of sector 1')]);
});

test('a flush answered OK although something that it covers is not on disk', () => {
  const { number } = written(3, 1);
  oracle.changed(number, 3, 1, true);
  oracle.judgeOnDisk(3, oracle.flushBegins()[3]!, content);
  expect(oracle.breaches).toEqual([expect.stringContaining('a flush is answered OK which covers change 1 of sector 3')]);
});
