// Tests which sync answers which flush. The test ends the syncs one by one.
// file-backend.test.ts tests real fsync calls. Rules: O2, V1, G4.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { expect, test } from 'vitest';
import { FlushGate } from './flush-gate.ts';
import type { IoEnd } from './positioned-io.ts';

function gateWithSyncs() {
  const syncs: IoEnd[] = [];
  const forgets: (() => void)[] = [];
  const errors: string[] = [];
  const gate = new FlushGate(
    (end) => syncs.push(end),
    (end) => forgets.push(end),
    (errno) => errors.push(errno),
  );
  const answers: [string, Status][] = [];
  const flush = (name: string) => gate.flush((status) => answers.push([name, status]));
  return { syncs, forgets, errors, answers, flush, gate };
}

test('a flush requested while a sync runs is answered by a later sync, never by the running one', () => {
  const { syncs, answers, flush } = gateWithSyncs();
  flush('a');
  flush('b');
  flush('c');
  expect(syncs).toHaveLength(1);
  syncs[0]?.(null);
  expect(answers).toEqual([['a', STATUS.OK]]);
  expect(syncs).toHaveLength(2);
  syncs[1]?.(null);
  expect(answers.slice(1)).toEqual([
    ['b', STATUS.OK],
    ['c', STATUS.OK],
  ]);
  expect(syncs).toHaveLength(2);
});

test('a flush requested from an answer does not start a second sync beside a running one', () => {
  const { syncs, answers, flush, gate } = gateWithSyncs();
  gate.flush(() => flush('again'));
  flush('b');
  syncs[0]?.(null);
  expect(syncs).toHaveLength(2);
  syncs[1]?.(null);
  expect(answers).toEqual([['b', STATUS.OK]]);
  expect(syncs).toHaveLength(3);
});

test('after a failed sync no flush is answered OK, not even one that was already waiting', async () => {
  const { syncs, forgets, errors, answers, flush, gate } = gateWithSyncs();
  flush('a');
  flush('b');
  syncs[0]?.('EIO');
  flush('c');
  expect([answers, syncs.length], 'what the kernel has lost is not forgotten yet').toEqual([[], 1]);
  forgets[0]?.();
  expect(answers).toEqual([
    ['a', STATUS.IO_ERROR],
    ['b', STATUS.IO_ERROR],
    ['c', STATUS.IO_ERROR],
  ]);
  expect(await new Promise((resolve) => gate.flush(resolve))).toBe(STATUS.IO_ERROR);
  expect(syncs).toHaveLength(1);
  expect(errors).toEqual(['EIO']);
});
