// The judge of stall policies reports I/O that fails too early or too late: a judge that accepts everything is a defect. Seeds test worlds
// with failing I/O.

import { STALL_FAIL_GRACE_MS } from '@rsio/rsiod/volumes/limits';
import { Attachment } from '@rsio/protocol/client/attachment';
import { SingleTarget } from '@rsio/protocol/client/single-target';
import { Trunk } from '@rsio/protocol/client/trunk';
import { Volume } from '@rsio/rsiod/volumes/volume';
import { expect, test } from 'vitest';
import { SimClock } from '../base/sim-clock.ts';
import { StallJudge } from './stall-judge.ts';
import { TAKE } from '@rsio/protocol/wire/messages';

/** A volume that was never opened, and is therefore halted. */
function haltedVolume(): Volume {
  const clock = new SimClock();
  const events = {
    sessionBegan: () => undefined,
    listChanged: () => undefined,
    allQuiet: () => undefined,
    interfacesReported: () => undefined,
    replaced: () => undefined,
    ended: () => undefined,
  };
  const trunk = new Trunk(clock, { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 }, events);
  return new Volume(
    { name: 'sim', namespaceid: 1 },
    new SingleTarget(new Attachment('oracle', 0, false, TAKE.NO, null), trunk),
    clock,
    'forever',
    () => undefined,
    null,
  );
}

test('a duration counts from the oldest waiting I/O; all waiting I/O may fail with it', () => {
  const judge = new StallJudge(5000);
  const volume = haltedVolume();
  expect(judge.mayGiveUp(volume, 0, 0, 9000)).toBe(false);
  judge.said('waits', 1000);
  expect(judge.mayGiveUp(volume, 2000, 2000, 6999)).toBe(false);
  expect(judge.mayGiveUp(volume, 2000, 2000, 7000)).toBe(true);
  expect(judge.mayGiveUp(volume, 6000, 6500, 7000)).toBe(true);
  expect(judge.mayGiveUp(volume, 6000, 6500, 7001)).toBe(false);
});

test('`fail` counts from the loss, and `forever` never ends', () => {
  const volume = haltedVolume();
  const judge = new StallJudge('fail');
  judge.said('waits', 1000);
  expect(judge.mayGiveUp(volume, 1500, 1500, 999 + STALL_FAIL_GRACE_MS)).toBe(false);
  expect(judge.mayGiveUp(volume, 1500, 1500, 1000 + STALL_FAIL_GRACE_MS)).toBe(true);
  judge.said('goes-on', 3000);
  expect(judge.mayGiveUp(volume, 1500, 1500, 9000)).toBe(false);
  const forever = new StallJudge('forever');
  forever.said('waits', 0);
  expect(forever.mayGiveUp(volume, 0, 0, 1e9)).toBe(false);
});

test('I/O that waits past its time is overdue', () => {
  const judge = new StallJudge(1000);
  const volume = haltedVolume();
  expect(judge.overdueMs(volume, 500, 1000)).toBeNull();
  expect(judge.overdueMs(volume, 500, 2200)).toBeNull();
  expect(judge.overdueMs(volume, 500, 2400)).toBe(400);
  judge.said('goes-on', 2500);
  expect(judge.overdueMs(volume, 500, 2600)).toBeNull();
});
