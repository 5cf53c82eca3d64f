// Tests which volumes are reattached after a restart of the daemon, with a real file and a fake clock. Servers and attachments are fakes.
// Real daemons that are killed under I/O are tested in test/integration/restore.test.ts. Rules: H1.

import { readFileSync, writeFileSync } from 'node:fs';
import { REACH_LOOK_MS, RESTORE_POLL_MS, RESTORE_RETRY_MS, START_REACH_MS } from './limits.ts';
import { unsealed } from '@rsio/base/testing/unsealed';
import { describe, expect, test, vi } from 'vitest';
import { leftToOthers } from './choices.ts';
import { type Order, PERSON } from './owners.ts';
import { TAKE } from '@rsio/protocol/wire/messages';
import { AT_ONCE, DaemonRun, place, runWith, useRecord, volume } from '../testing/daemon-run.ts';

useRecord();

test('attached volumes are attached again in the same mode and from the same server', async () => {
  const first = await runWith(volume('oracle'));
  first.offer(volume('lab', 'id-lab', 'other'), 2);
  await first.attached.attach(['other:lab@0'], true, 'big-2', TAKE.NO);
  const next = await DaemonRun.after(first);
  next.offer(volume('oracle'), 2);
  next.offer(volume('oracle'), 1);
  next.offer(volume('lab', 'id-lab', 'other'), 2);
  await next.attached.restore();
  expect(next.asked).toEqual(['osl:oracle@0 of big-1', 'other:lab@0 readonly of big-2']);
  expect(next.labels).toEqual(['osl:oracle@0 id-oracle', 'other:lab@0 id-lab readonly']);
  expect(next.record.awaited).toEqual([]);
  expect(next.clock.timersPending).toBe(0);
});

test('a bounded number of volumes is reattached at a time, until all are back', async () => {
  const names = Array.from({ length: AT_ONCE * 3 }, (_, at) => `v${at}`);
  const next = await DaemonRun.after(await runWith(...names.map((name) => volume(name))));
  for (const name of names) next.offer(volume(name));
  let release = (): void => undefined;
  next.held = new Promise((resolve) => {
    release = resolve;
  });
  const restoring = next.attached.restore();
  expect(next.asked).toHaveLength(AT_ONCE);
  release();
  await restoring;
  expect(next.labels).toHaveLength(names.length);
});

test('a detached volume stays detached, and the configuration respects that', async () => {
  const first = await runWith(volume('oracle'), volume('tvol1'));
  await first.attached.detach(['osl:oracle@0'], false, null);
  const next = await DaemonRun.after(first);
  expect(next.record.awaited.map(({ name }) => name)).toEqual(['tvol1']);
  expect([...next.detached]).toEqual(['osl:oracle@0 id-oracle']);
});

describe('a volume that is not available yet is awaited quietly', () => {
  test('its server is unreachable and comes back later', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    await next.attached.restore();
    next.offer(volume('oracle'), 1, false);
    await next.pass(RESTORE_POLL_MS);
    expect(next.said).toEqual([]);
    next.offered = [];
    next.offer(volume('oracle'));
    next.clock.advance(RESTORE_POLL_MS);
    await expect.poll(() => next.labels).toEqual(['osl:oracle@0 id-oracle']);
  });

  test('another reachable server offers the same volume: it is not used, because requests may be in flight at the first', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('oracle'), 2);
    await next.attached.restore();
    expect(next.asked).toEqual([]);
    expect(next.record.awaited).toHaveLength(1);
  });

  test('its server does not offer it now: this is reported once', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('tvol1'));
    await next.pass(RESTORE_POLL_MS);
    await next.pass(RESTORE_POLL_MS);
    expect(next.said).toEqual(['awaited: Server big-1 does not offer it now']);
  });

  test('in a shared pool it is attached again from the owner of the pool, and not from the server that it had', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('oracle'), 1, true, 16);
    next.offer(volume('oracle'), 2, true, 17);
    await next.attached.restore();
    expect(next.asked).toEqual(['osl:oracle@0 of big-2']);
    const third = await DaemonRun.after(await runWith(volume('oracle')));
    third.offer(volume('oracle', 'id-other'), 2, true, 17);
    third.offer(volume('tvol1'), 2, true, 17);
    await third.attached.restore();
    expect([third.asked, third.record.awaited.map(({ reason }) => reason)]).toEqual([[], ['Server big-1 is not in reach']]);
  });

  test('if servers offer it in two pools, the owners are tried in turn, and no refusal gives it up', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('oracle'), 1, true, 6, 'fast');
    next.offer(volume('oracle'), 2, true, 3, 'slow');
    next.failures.set('osl:oracle@0', 'E_HELD');
    for (let times = 0; times < 3; times++) await next.pass(RESTORE_RETRY_MS);
    expect(next.asked).toEqual(['osl:oracle@0 of big-1', 'osl:oracle@0 of big-2', 'osl:oracle@0 of big-1']);
    expect(next.record.awaited).toHaveLength(1);
    next.offered.splice(0, 1);
    await next.pass(RESTORE_RETRY_MS);
    expect(next.record.awaited).toEqual([]);
  });

  test('a temporary failure is retried, but not immediately', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('oracle'));
    next.failures.set('osl:oracle@0', 'E_TIMEOUT');
    await next.pass(0);
    await next.pass(RESTORE_RETRY_MS - 1);
    expect(next.asked).toHaveLength(1);
    expect(next.said).toEqual(['awaited: It cannot (E_TIMEOUT)']);
    next.failures.clear();
    await next.pass(1);
    expect(next.labels).toHaveLength(1);
  });

  test('the volume is still awaited after the next restart', async () => {
    const second = await DaemonRun.after(await runWith(volume('oracle'), volume('tvol1')));
    second.offer(volume('tvol1'));
    await second.attached.restore();
    const third = await DaemonRun.after(second);
    expect(third.record.awaited.map(({ name }) => name)).toEqual(['tvol1', 'oracle']);
  });
});

test('a volume of the same name with another id is a different volume: both ids are reported, and it is not attached', async () => {
  const next = await DaemonRun.after(await runWith(volume('oracle')));
  next.offer(volume('oracle', 'id-new'));
  await next.pass(RESTORE_POLL_MS);
  await next.pass(RESTORE_POLL_MS);
  expect(next.asked).toEqual([]);
  expect(next.said).toEqual([
    'awaited: Server big-1 offers another volume of this name, with id id-new instead of id-oracle: rsconfig -a osl:oracle@0 attaches this one, rsconfig -d osl:oracle@0 detaches the old one',
  ]);
  await next.attached.attach(['osl:oracle@0'], false, null, TAKE.NO);
  expect(next.record.awaited).toEqual([]);
});

test.each(['E_HELD', 'E_TAKEN'])('a volume that another client has taken is reported and dropped: %s', async (code) => {
  const second = await DaemonRun.after(await runWith(volume('oracle')));
  second.offer(volume('oracle'));
  second.failures.set('osl:oracle@0', code);
  await second.attached.restore();
  expect(second.said).toEqual([`given-up: It cannot (${code}): attach it with rsconfig -a`]);
  expect((await DaemonRun.after(second)).record.awaited).toEqual([]);
});

test('a volume of an application that another node has taken is left to rsapp', async () => {
  const second = await DaemonRun.after(await runWith(volume('app')));
  second.offer(volume('app'));
  second.failures.set('osl:app@0', 'E_HELD');
  await second.attached.restore();
  expect(second.said).toEqual(['given-up: It cannot (E_HELD): rsapp attaches it when it is to run here']);
});

test('a volume that another data process of this client still uses is awaited, with its device, until it is free', async () => {
  const second = await DaemonRun.after(await runWith(volume('oracle')));
  second.offer(volume('oracle'));
  second.failures.set('osl:oracle@0', 'E_BUSY');
  await second.attached.restore();
  expect(second.record.awaited).toMatchObject([{ name: 'oracle', reason: 'It cannot (E_BUSY)' }]);
  expect([second.said, second.released, second.labels]).toEqual([['awaited: It cannot (E_BUSY)'], [], []]);
  second.failures.clear();
  second.clock.advance(RESTORE_RETRY_MS);
  await second.attached.restore();
  expect([second.record.awaited, second.labels]).toEqual([[], ['osl:oracle@0 id-oracle']]);
});

describe('detaching an awaited volume stops the wait', () => {
  test.each(['oracle', 'osl:oracle', 'osl:oracle@0'])('by the name %s', async (name) => {
    const next = await DaemonRun.after(await runWith(volume('oracle'), volume('tvol1')));
    const outcomes = await next.attached.detach([name], false, null);
    expect(outcomes).toEqual([{ volume: 'osl:oracle@0', done: true, already: false, device: null, error: null }]);
    next.offer(volume('oracle'));
    await next.attached.restore();
    expect(next.asked).toEqual([]);
    const third = await DaemonRun.after(next);
    expect(third.record.awaited.map((one) => one.name)).toEqual(['tvol1']);
    expect([...third.detached]).toEqual(['osl:oracle@0 id-oracle']);
  });

  test('one whose server is in reach is attached first: only what is attached can give up the hold that the earlier daemon left', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('oracle'));
    expect(await next.attached.detach(['oracle'], false, null)).toMatchObject([{ volume: 'osl:oracle@0', done: true, already: false }]);
    expect(next.closed).toEqual(['osl:oracle@0']);
    expect([next.labels, next.record.awaited, (await DaemonRun.after(next)).record.awaited]).toEqual([[], [], []]);
  });

  test('one that this daemon has had is detached already, although the list of its server is older', async () => {
    const run = await runWith(volume('oracle'));
    run.holding.add('oracle');
    expect(await run.attached.detach(['oracle'], false, null)).toMatchObject([{ done: true, already: false }]);
    expect(await run.attached.detach(['oracle'], false, null)).toMatchObject([{ done: true, already: true }]);
    expect([run.closed, run.asked.length]).toEqual([['osl:oracle@0'], 1]);
  });

  test.each([
    ['that the daemon reaches a moment after its start', 1, ['osl:oracle@0']],
    ['that stays away', START_REACH_MS / REACH_LOOK_MS, []],
  ])('a detach right after the start waits for the server: one %s', async (_, looks, closed) => {
    const next = await DaemonRun.started(await runWith(volume('oracle')));
    let isOver = false;
    const detaching = next.attached.detach(['oracle'], false, null).finally(() => (isOver = true));
    for (let look = 0; look < looks; look++) {
      await new Promise(setImmediate);
      expect(isOver).toBe(false);
      if (closed.length > 0) next.offer(volume('oracle'));
      next.clock.advance(REACH_LOOK_MS);
    }
    expect(await detaching).toMatchObject([{ volume: 'osl:oracle@0', done: true, already: false }]);
    expect([next.closed, next.labels, next.record.awaited]).toEqual([closed, [], []]);
  });

  test('a daemon that stops does not wait, and attaches nothing', async () => {
    const next = await DaemonRun.started(await runWith(volume('oracle')));
    const detaching = next.attached.detach(['oracle'], false, null);
    next.offer(volume('oracle'));
    next.attached.stop();
    next.clock.advance(REACH_LOOK_MS);
    await detaching;
    expect([next.asked, next.labels]).toEqual([[], []]);
  });

  test('by force, it does not wait', async () => {
    const next = await DaemonRun.started(await runWith(volume('oracle')));
    expect(await next.attached.detach(['oracle'], true, null)).toMatchObject([{ volume: 'osl:oracle@0', done: true, already: false }]);
  });

  test('one that was detached while its server was away gives up the hold when it is detached again', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    expect(await next.attached.detach(['oracle'], false, null)).toMatchObject([{ done: true, already: false }]);
    next.offer(volume('oracle'));
    next.holding.add('oracle');
    expect(await next.attached.detach(['oracle'], false, null)).toMatchObject([{ volume: 'osl:oracle@0', done: true, already: false }]);
    next.holding.clear();
    expect(await next.attached.detach(['oracle'], false, null)).toMatchObject([{ done: true, already: true }]);
    next.holding.add('oracle');
    next.failures.set('osl:oracle@0', 'E_HELD');
    expect(await next.attached.detach(['oracle'], false, null)).toMatchObject([{ done: true, already: true }]);
    expect([next.closed, next.labels, next.asked[0]]).toEqual([['osl:oracle@0'], [], 'osl:oracle@0 readonly of big-1']);
  });

  test('one that cannot be attached is not attached later either', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('oracle'));
    next.failures.set('osl:oracle@0', 'E_TIMEOUT');
    expect(await next.attached.detach(['oracle'], false, null)).toMatchObject([{ volume: 'osl:oracle@0', done: true, already: false }]);
    expect([next.asked.length, next.record.awaited, next.released]).toEqual([1, [], ['oracle: detached by rsconfig -d']]);
  });

  test('without names, along with every attached volume', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle'), volume('tvol1')));
    next.offer(volume('tvol1'));
    await next.attached.restore();
    const outcomes = await next.attached.detach([], false, null);
    expect(outcomes.map(({ volume: label, done }) => `${label} ${done}`)).toEqual(['osl:tvol1@0 true', 'osl:oracle@0 true']);
    expect((await DaemonRun.after(next)).record.awaited).toEqual([]);
  });

  test('while it is being attached: attaching finishes first', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('oracle'));
    let release = (): void => undefined;
    next.held = new Promise((resolve) => {
      release = resolve;
    });
    const restoring = next.attached.restore();
    const detaching = next.attached.detach(['oracle'], false, null);
    release();
    expect(await detaching).toMatchObject([{ volume: 'osl:oracle@0', done: true, already: false }]);
    await restoring;
    expect(next.labels).toEqual([]);
    expect((await DaemonRun.after(next)).record.awaited).toEqual([]);
  });

  test('a name that matches both an attached and an awaited volume is refused', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    next.offer(volume('oracle', 'id-lab', 'lab'));
    await next.attached.attach(['lab:oracle@0'], false, null, TAKE.NO);
    expect(await next.attached.detach(['oracle'], false, null)).toMatchObject([{ done: false, error: { code: 'E_AMBIGUOUS' } }]);
  });

  test('a name that matches no awaited volume is looked up among the attached ones', async () => {
    const next = await DaemonRun.after(await runWith(volume('oracle')));
    expect(await next.attached.detach(['nosuch'], false, null)).toMatchObject([{ volume: 'nosuch', already: true }]);
    expect(next.record.awaited).toHaveLength(1);
  });
});

test('devices of the previous process are removed once their volume is no longer awaited, unless they are in use', async () => {
  const first = await runWith(volume('oracle'), volume('lab'), volume('mail'));
  const next = await DaemonRun.after(first);
  next.usedDevices.add('oracle');
  expect(await next.attached.detach(['oracle'], false, null)).toMatchObject([{ done: false, error: { code: 'E_IN_USE' } }]);
  expect(
    next.record.awaited.map(({ name }) => name),
    'still awaited',
  ).toContain('oracle');
  expect(await next.attached.detach(['oracle'], true, null)).toMatchObject([{ done: true }]);
  next.failures.set('osl:lab@0', 'E_HELD');
  next.offer(volume('lab'));
  next.offer(volume('mail'));
  await next.attached.restore();
  expect(next.released).toEqual(['oracle: detached by rsconfig -d', 'lab: It cannot (E_HELD)']);
});

// Regression: after a restart, a gate took the disk of a virtual machine whose NBD connection had ended with rsiod.

test('earlier volumes come before those that the configuration wants, and devices of no awaited volume are released', async () => {
  const next = await DaemonRun.after(await runWith(volume('db'), volume('away')));
  next.offer(volume('db'));
  next.leftDevices = [volume('away'), volume('away', 'id-other'), volume('unknown')];
  await next.attached.attachAll(true);
  expect([next.asked, next.record.isSettled]).toEqual([['osl:db@0 of big-1', 'wanted, verbose'], false]);
  await next.attached.releaseUnknown();
  expect(next.released).toEqual(['away: its volume was not attached', 'unknown: its volume was not attached']);
  next.offer(volume('away'));
  await next.pass(RESTORE_POLL_MS);
  expect([next.record.awaited, next.record.isSettled]).toEqual([[], false]);
  next.record.hasRestored = true;
  expect(next.record.isSettled).toBe(true);
});

describe('orders', () => {
  const order = (isAlone: boolean): Order => ({ kind: 'order', ticket: 'ticket', what: 'rsconfig restore', isAlone });

  test.each([
    ['is attached again for no one, and closed, after a restart', (): void => undefined, ['osl:db@0']],
    ['is closed before the next order opens it', (): void => undefined, ['osl:db@0']],
  ])('what only an order had %s', async (how, _none, closed) => {
    const first = await DaemonRun.after(null);
    first.offer(volume('db'));
    expect(await first.attached.attachFor(order(true), 'osl:db@0', false, null)).toMatchObject({ done: true });
    const next = await DaemonRun.after(first);
    next.offer(volume('db'));
    expect(next.record.awaited).toEqual([]);
    if (how.startsWith('is closed')) await next.attached.attachFor(order(true), 'osl:db@0', false, null);
    else await next.attached.restore();
    expect([next.closed, next.labels.length, next.said]).toEqual([closed, how.startsWith('is closed') ? 1 : 0, []]);
  });

  test('an order beside an awaited volume attaches it again, and its end leaves the volume attached', async () => {
    const next = await DaemonRun.after(await runWith(volume('db')));
    next.offer(volume('db'));
    await next.attached.attachFor(order(false), 'osl:db@0', false, null);
    await next.attached.endOrder('ticket', false);
    expect([next.labels, next.closed]).toEqual([['osl:db@0 id-db'], []]);
    const third = await DaemonRun.after(next);
    expect(third.record.awaited.map(({ name }) => name)).toEqual(['db']);
  });

  test('a volume without an owner that cannot be closed is closed later', async () => {
    const run = await DaemonRun.after(null);
    run.offer(volume('db'));
    await run.attached.attachFor(order(true), 'osl:db@0', false, null);
    run.uncloseable.add('osl:db@0');
    await expect(run.attached.endOrder('ticket', true)).rejects.toMatchObject({ code: 'E_NO_PATH' });
    expect(run.labels).toEqual(['osl:db@0 id-db']);
    run.uncloseable.clear();
    run.clock.advance(RESTORE_POLL_MS);
    await vi.waitFor(() => expect([run.labels, run.closed]).toEqual([[], ['osl:db@0']]));
  });

  test('another client took what an order had: nothing is said, because nobody here wants it', async () => {
    const first = await DaemonRun.after(null);
    first.offer(volume('db'));
    await first.attached.attachFor(order(true), 'osl:db@0', false, null);
    const next = await DaemonRun.after(first);
    next.offer(volume('db'));
    next.failures.set('osl:db@0', 'E_HELD');
    await next.attached.restore();
    expect([next.said, next.released, next.record.awaited]).toEqual([[], [], []]);
  });

  // Regression: what a person had asked for, while the detach of a program waited for the server, was detached.
  test.each([true, false])('a program that detaches leaves the volume to who asks for it meanwhile: in reach %s', async (isInReach) => {
    const run = await DaemonRun.after(null);
    run.offer(volume('db'));
    await run.attached.attach(['osl:db@0'], false, null, TAKE.NO, 'name', { kind: 'lasting', name: 'csi' });
    const next = await DaemonRun.started(run);
    const detaching = next.attached.detach(['osl:db@0'], false, 'csi');
    next.owners.settle(next.owners.claim('osl:db@0', 'id-db', PERSON));
    if (isInReach) next.offer(volume('db'));
    for (let look = 0; look <= START_REACH_MS / REACH_LOOK_MS; look++) {
      next.clock.advance(REACH_LOOK_MS);
      await new Promise(setImmediate);
    }
    expect(await detaching).toMatchObject([{ done: true }]);
    if (isInReach) expect(next.detachedFor).toEqual(['csi']);
    else expect([next.record.awaited.length, next.owners.lastingOf('osl:db@0')]).toEqual([1, ['person']]);
  });

  test('a program that detaches leaves the volume to its other owners, also before it is attached again', async () => {
    const run = await DaemonRun.after(null);
    run.offer(volume('db'));
    await run.attached.attach(['osl:db@0'], false, null, TAKE.NO);
    await run.attached.attach(['osl:db@0'], false, null, TAKE.NO, 'name', { kind: 'lasting', name: 'csi' });
    const next = await DaemonRun.after(run);
    expect(await next.attached.detach(['osl:db@0'], false, 'csi')).toMatchObject([{ done: true, already: false }]);
    expect(next.record.awaited.length).toBe(1);
    next.offer(volume('db'));
    await next.attached.restore();
    expect(await next.attached.detach(['osl:db@0'], false, 'csi')).toMatchObject([{ done: true }]);
  });

  // A released version recorded no owners. Its CSI driver and rsapp must be able to end what they have, and a person keeps what he claims again.
  test.each([
    [null, null],
    ['person', 'left'],
    ['csi', null],
  ])('what an earlier version attached, claimed again by %s, is ended by the driver: %s', async (again, left) => {
    const run = await DaemonRun.after(null);
    run.offer(volume('db'));
    await run.attached.attach(['osl:db@0'], false, null, TAKE.NO);
    const stored = JSON.parse(unsealed(readFileSync(place.file, 'utf8'))) as { content: { attached: Record<string, unknown>[] } };
    for (const one of stored.content.attached) delete one['owners'];
    writeFileSync(place.file, JSON.stringify(stored));
    const next = await DaemonRun.after(run);
    next.offer(volume('db'));
    await next.attached.restore();
    if (again !== null) await next.attached.attach(['osl:db@0'], false, null, TAKE.NO, 'name', { kind: 'lasting', name: again });
    const outcome = leftToOthers(next.owners, 'osl:db@0', 'csi');
    expect(outcome === null ? null : 'left').toBe(left);
    if (outcome !== null) expect(next.owners.lastingOf('osl:db@0')).toEqual(['person']);
  });
});
