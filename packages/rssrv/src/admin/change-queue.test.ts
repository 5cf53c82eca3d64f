// Tests the queue of changes: the order of the changes, the bound on waiting commands, and a change that does not end. Other tests check
// the effects of each kind of change.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { ChangeQueue } from './change-queue.ts';
import { ASIDE_WAIT_MS, CHANGE_WAIT_MS, CHANGES_ASIDE_MAX, CHANGES_WAITING_MAX } from './limits.ts';

test('commands beyond the bound are refused, changes of the server itself are not, and all run in order', async () => {
  const queue = new ChangeQueue();
  const order: number[] = [];
  const all = Array.from({ length: CHANGES_WAITING_MAX }, (_, index) => queue.run(async () => order.push(index), 'a change by command'));
  await expect(queue.run(async () => undefined, 'a change by command')).rejects.toMatchObject({ code: 'E_LIMIT' });
  await queue.runOwn(async () => order.push(-1), 'a change of the server itself');
  await Promise.all(all);
  expect(order).toEqual([...all.keys(), -1]);
});

test('idle waits for a change, but not for one that does not end', async () => {
  const [queue, clock] = [new ChangeQueue(), new FakeClock()];
  let end: (() => void) | null = null;
  const change = queue.run(() => new Promise<void>((resolve) => (end = resolve)), 'a change by command');
  await Promise.resolve();
  let isIdle = false;
  const idle = queue.idle(clock, 10).then(() => (isIdle = true));
  clock.advance(9);
  await Promise.resolve();
  expect(isIdle).toBe(false);
  clock.advance(1);
  await idle;
  end!();
  await change;
  await queue.idle(clock, 10);
  expect(clock.timersPending).toBe(0);
});

test('a refusal names the change in progress and how long it lasts, and what could not begin in time is not executed', async () => {
  const clock = new FakeClock();
  const queue = new ChangeQueue(clock);
  let end: (() => void) | null = null;
  let isExecuted = false;
  const hangs = queue.run(() => new Promise<void>((resolve) => (end = resolve)), 'volume db, which is being created by client venus');
  await Promise.resolve();
  clock.advance(12_000);
  expect(queue.current).toMatchObject({ what: 'volume db, which is being created by client venus' });
  const late = queue.run(async () => {
    isExecuted = true;
  }, 'a change by command');
  const others = Array.from({ length: CHANGES_WAITING_MAX - 1 }, () =>
    queue.run(async () => undefined, 'a change by command').catch(() => undefined),
  );
  await expect(queue.run(async () => undefined, 'a change by command')).rejects.toThrow(
    'changes of the server are already waiting for volume db, which is being created by client venus, in progress for 12s: try again later',
  );
  expect(queue.waiting).toBe(CHANGES_WAITING_MAX);
  const refused = expect(late).rejects.toMatchObject({
    code: 'E_TIMEOUT',
    message: expect.stringMatching(
      /^Nothing was changed, because the server was busy for 1m with volume db.*in progress for 72s/,
    ) as string,
  });
  clock.advance(CHANGE_WAIT_MS);
  await refused;
  end!();
  await Promise.all([hangs, ...others]);
  await queue.runOwn(async () => undefined, 'a change of the server itself');
  expect([isExecuted, queue.current, queue.waiting, clock.timersPending]).toEqual([false, null, 0, 0]);
});

test('few changes work aside, whose file systems may hang; the others wait for them, and changes with a turn for nobody', async () => {
  const clock = new FakeClock();
  const queue = new ChangeQueue(clock);
  const ends: (() => void)[] = [];
  const aside = (at: number): Promise<number> =>
    queue.run(async (turn) => {
      await turn.aside(() => new Promise<void>((resolve) => ends.push(resolve)));
      return at;
    }, `snapshot ${at}`);
  const all = Array.from({ length: CHANGES_ASIDE_MAX + 2 }, (_, at) => aside(at));
  const late = expect(all[CHANGES_ASIDE_MAX + 1]).rejects.toMatchObject({
    code: 'E_TIMEOUT',
    message: expect.stringContaining('such as snapshot 1: ') as string,
  });
  await expect(queue.run(async () => 'made', 'a change by command')).resolves.toBe('made');
  expect(ends.length).toBe(CHANGES_ASIDE_MAX);
  ends[0]!();
  await expect(all[0]).resolves.toBe(0);
  expect(ends.length).toBe(CHANGES_ASIDE_MAX + 1);
  clock.advance(ASIDE_WAIT_MS);
  await late;
  for (const end of ends) end();
  await expect(Promise.all(all.slice(0, -1))).resolves.toEqual([...ends.keys()]);
  await queue.idle(clock, 10);
  expect([queue.current, clock.timersPending]).toEqual([null, 0]);
});
