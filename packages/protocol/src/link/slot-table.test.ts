// Tests the server's slots against the rules S1 and S2: what the table returns for each kind of request, and which paths are owed an
// answer. The session's tests cover execution and answers. Rules: G1.

import { describe, expect, test } from 'vitest';
import { AssertionError } from '@rsio/base/lib/assert';
import { SEQ_MODULUS } from './limits.ts';
import { OP } from '../wire/frames.ts';
import { emptyHeader, type Header } from '../wire/header.ts';
import { SlotTable } from './slot-table.ts';

function header(fields: Partial<Header> = {}): Header {
  return { ...emptyHeader(), op: OP.WRITE, handle: 1, slot: 0, seq: 1, lba: 8, count: 2, ...fields };
}

function receive(table: SlotTable, path: number, fields: Partial<Header> = {}, nowMs = 0): string {
  return table.receive(header(fields), path, 1024, nowMs);
}

describe('receipt', () => {
  test('seq + 1 is new, the same seq a copy, anything else stale', () => {
    const table = new SlotTable(2);
    expect(receive(table, 0, { seq: 0 })).toBe('stale');
    expect(receive(table, 0, { seq: 2 })).toBe('stale');
    expect(receive(table, 0)).toBe('new');
    expect(receive(table, 1)).toBe('executing');
    expect(table.finish(0, 0)).toEqual([0, 1]);
    expect(receive(table, 0)).toBe('done');
    expect(receive(table, 0, { seq: 3 })).toBe('stale');
    expect(receive(table, 0, { seq: 0 })).toBe('stale');
    expect(receive(table, 0, { seq: 2 })).toBe('new');
    expect(receive(table, 0, { seq: 1 })).toBe('stale');
    expect(table.staleDropped).toBe(5);
  });

  test('the next request before the last has ended is a violation, and so is a slot that was not granted', () => {
    const table = new SlotTable(2);
    receive(table, 0);
    expect(receive(table, 1, { seq: 2 })).toBe('violation');
    expect(receive(table, 1, { slot: 2 })).toBe('violation');
    expect(receive(table, 1, { slot: 65_535 })).toBe('violation');
    expect(table.finish(0, 0)).toEqual([0]);
  });

  test('a second unanswered copy on one path is a violation', () => {
    const table = new SlotTable(1);
    receive(table, 0);
    expect(receive(table, 0)).toBe('violation');
    receive(table, 1);
    expect(receive(table, 1)).toBe('violation');
    expect(table.finish(0, 0)).toEqual([0, 1]);
  });

  test('a copy must be the same request', () => {
    const others: readonly Partial<Header>[] = [{ op: OP.ZERO }, { flags: 1 }, { handle: 2 }, { lba: 9 }, { count: 3 }];
    for (const other of others) {
      const table = new SlotTable(1);
      receive(table, 0);
      expect(receive(table, 1, other)).toBe('violation');
      table.finish(0, 0);
      expect(receive(table, 1, other)).toBe('violation');
    }
  });

  test('seq wraps', () => {
    const table = new SlotTable(1);
    let fresh = 0;
    for (let use = 1; use <= SEQ_MODULUS + 2; use++) {
      if (receive(table, 0, { seq: use % SEQ_MODULUS }) === 'new') fresh++;
      table.finishAtOnce(0, 0);
    }
    expect(fresh).toBe(SEQ_MODULUS + 2);
    expect(receive(table, 0, { seq: SEQ_MODULUS - 1 })).toBe('stale');
  });
});

describe('outcome', () => {
  test('is kept for copies', () => {
    const table = new SlotTable(1);
    receive(table, 0);
    expect(() => table.outcome(0)).toThrow(AssertionError);
    table.finish(0, 5, Buffer.from('result'), 7);
    expect(table.outcome(0)).toMatchObject({ status: 5, result: Buffer.from('result'), resultAux: 7 });
    receive(table, 0, { seq: 2 });
    table.finishAtOnce(0, 3);
    expect(table.outcome(0)).toMatchObject({ status: 3, result: null });
  });

  test('an execution ends once', () => {
    const table = new SlotTable(1);
    expect(() => table.finish(0, 0)).toThrow(AssertionError);
    receive(table, 0);
    table.finish(0, 0);
    expect(() => table.finish(0, 0)).toThrow(AssertionError);
  });

  test('nothing is owed to a closed path', () => {
    const table = new SlotTable(1);
    receive(table, 0);
    receive(table, 1);
    receive(table, 2);
    table.forget(1);
    table.forget(7);
    expect(table.finish(0, 0)).toEqual([0, 2]);
  });
});

test('counts executing requests, their bytes and their age', () => {
  const table = new SlotTable(4);
  expect([table.executing, table.executingBytes, table.oldestMs(100)]).toEqual([0, 0, 0]);
  receive(table, 0, { slot: 0 }, 10);
  receive(table, 0, { slot: 1, handle: 2 }, 20);
  receive(table, 1, { slot: 0 }, 90);
  expect([table.executing, table.executingBytes, table.oldestMs(100)]).toEqual([2, 2048, 90]);
  expect([table.isExecuting(2, 3), table.isExecuting(2, 1), table.isExecuting(3, 0)]).toEqual([true, false, false]);
  table.finish(0, 0);
  expect([table.executing, table.executingBytes, table.oldestMs(100)]).toEqual([1, 1024, 80]);
  table.finishAtOnce(1, 0);
  expect([table.executing, table.executingBytes, table.oldestMs(100), table.isExecuting(2, 3)]).toEqual([0, 0, 0, false]);
});
