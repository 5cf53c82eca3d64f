// Detaching volumes: by force, twice at once, while another client takes the volume, and without the server's confirmation.
// Attaching is in attachments.test.ts. Rules: M13.

import { PATH_SETTLED_MS, REOPEN_RETRY_MS } from '@rsio/protocol/client/limits';
import { quietLog } from '@rsio/base/log/log';
import { DETACH_WAIT_MS, STOP_VOLUME_MS, STOP_WAIT_MS } from './limits.ts';
import { OP } from '@rsio/protocol/wire/frames';
import { FailureAnswer, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { describe, expect, test } from 'vitest';
import { FakeFrontend, Scene } from '../testing/attachments-scene.ts';

describe('detaching by force', () => {
  // Regression: requests in flight stayed with the server and could overwrite data of the next attachment.
  test('abandons requests in flight: the session is left, nothing is sent again, and the next session ends the hold', async () => {
    const scene = new Scene();
    await scene.attached();
    const statuses = await scene.write(1);
    const detached = scene.attachments.detach(['oracle'], true, null);
    await scene.pass(DETACH_WAIT_MS - 1000);
    expect(statuses).toEqual([]);
    const session = scene.namespace.servers.get(1)!.trunk.session!.id;
    await scene.pass(2000);
    expect([statuses, scene.attachments.list]).toEqual([[STATUS.OUTCOME_UNKNOWN], []]);
    scene.scripted.loseSession();
    await scene.pass(PATH_SETTLED_MS * 5);
    expect(scene.namespace.servers.get(1)!.trunk.session!.id).not.toEqual(session);
    expect([scene.asked(OP.WRITE), scene.opens]).toMatchObject([[], [{ take: TAKE.NO, resume: 'i' }]]);
    await scene.grant(4);
    expect(scene.asked(OP.CLOSE).map(({ header }) => header.handle)).toEqual([4]);
    await scene.answer(OP.CLOSE, STATUS.OK);
    expect(await detached).toMatchObject([{ done: true, error: null }]);
  });

  test('abandons requests in flight also if the server answers and only the FLUSH hangs', async () => {
    const scene = new Scene();
    await scene.attached();
    const statuses = await scene.write(1);
    const detached = scene.attachments.detach(['oracle'], true, null);
    await scene.answer(OP.WRITE, STATUS.OK);
    await scene.pass();
    expect([statuses, scene.asked(OP.FLUSH).length]).toEqual([[STATUS.OK], 1]);
    await scene.pass(DETACH_WAIT_MS + 1000);
    await scene.pass();
    expect(scene.scripted.connections.some(({ closedReason }) => closedReason !== null)).toBe(true);
    await scene.pass(DETACH_WAIT_MS * 2);
    expect(await detached).toMatchObject([{ done: true }]);
    expect(scene.asked(OP.FLUSH)).toEqual([]);
    expect(scene.events.filter((event) => event.startsWith('attached > cut 512 written bytes'))).toHaveLength(1);
  });
});

// Regression: an NBD client stayed connected, and its writes after the final flush were acknowledged and lost.
describe('users are refused from before the last flush', () => {
  test.each([true, false])('with force: %s', async (force) => {
    const scene = new Scene();
    await scene.attached();
    const [volume] = scene.attachments.list;
    const detached = scene.attachments.detach(['oracle'], force, null);
    await scene.pass(500);
    expect(scene.asked(OP.FLUSH)).toHaveLength(1);
    const writes = await scene.write(1);
    let extents: number | null = null;
    volume!.extents(0, 512, (status) => (extents = status));
    await scene.pass();
    expect([writes, extents, scene.asked(OP.WRITE).length]).toEqual([[STATUS.SHUTTING_DOWN], STATUS.SHUTTING_DOWN, 0]);
    for (const op of [OP.FLUSH, OP.CLOSE]) {
      await scene.answer(op, STATUS.OK);
      await scene.pass(500);
    }
    expect(await detached).toMatchObject([{ done: true, error: null }]);
  });

  test('and are served again if the detach fails', async () => {
    const scene = new Scene();
    await scene.attached();
    const detached = scene.attachments.detach(['oracle'], false, null);
    await scene.pass(500);
    await scene.answer(OP.FLUSH, STATUS.IO_ERROR);
    expect(await detached).toMatchObject([{ done: false }]);
    const writes = await scene.write(1);
    await scene.answer(OP.WRITE, STATUS.OK);
    expect(writes).toEqual([STATUS.OK]);
  });
});

describe('a second request to detach a volume waits for the first', () => {
  // Regression: two simultaneous requests to detach a volume both passed the check, so that each of them sent FLUSH and CLOSE.
  test('and finds the volume detached: the server is asked for one FLUSH and one CLOSE', async () => {
    const scene = new Scene();
    await scene.attached();
    const both = Promise.all([1, 2].map(() => scene.attachments.detach(['oracle'], false, null)));
    for (const op of [OP.FLUSH, OP.CLOSE]) {
      await scene.pass(500);
      await scene.pass(500);
      expect(scene.asked(op)).toHaveLength(1);
      await scene.answer(op, STATUS.OK);
    }
    expect((await both).flat()).toMatchObject([
      { done: true, already: false },
      { done: true, already: true },
    ]);
  });

  // Regression: while one request was detaching a volume, a second request to detach it succeeded at once, even if the first request failed
  // later.
  test('and detaches the volume itself, by force, if the first one has failed', async () => {
    const scene = new Scene();
    await scene.attached();
    const first = scene.attachments.detach(['oracle'], false, null);
    await scene.pass();
    let isOver = false;
    const second = scene.attachments.detach(['oracle'], true, null).finally(() => (isOver = true));
    await scene.pass(DETACH_WAIT_MS - 1000);
    expect(isOver).toBe(false);
    await scene.answer(OP.FLUSH, STATUS.IO_ERROR);
    expect(await first).toMatchObject([{ done: false, error: { code: 'E_VOLUME' } }]);
    expect(scene.attachments.list).toHaveLength(1);
    for (const op of [OP.FLUSH, OP.CLOSE]) {
      await scene.pass(500);
      await scene.pass(500);
      await scene.answer(op, STATUS.OK);
    }
    expect(await second).toMatchObject([{ done: true, already: false }]);
    expect(scene.attachments.list).toEqual([]);
  });
});

// Regression: the detach failed because another client had taken the volume. rsiod then made the volume's devices again, and nothing
// removed these devices later.
test('a volume that another client takes during a detach is not shown again', async () => {
  const frontend = new FakeFrontend();
  const scene = new Scene('none', [frontend]);
  await scene.attached();
  const detached = scene.attachments.detach(['oracle'], false, null);
  await scene.pass(500);
  await scene.answer(OP.FLUSH, STATUS.STALE);
  await scene.pass(REOPEN_RETRY_MS);
  await scene.refuse(STATUS.TAKEN, 'Volume oracle was taken over by venus');
  expect(await detached).toMatchObject([{ done: false }]);
  expect([scene.attachments.list, frontend.shown.size]).toEqual([[], 0]);
});

// Regression: rsiod took every answer to CLOSE, even an error, as the end of the hold.
test('a detach that the server does not confirm fails, and the error says that the hold may remain', async () => {
  const scene = new Scene();
  await scene.attached();
  const detached = scene.attachments.detach(['oracle'], false, null);
  await scene.pass(500);
  await scene.answer(OP.FLUSH, STATUS.OK);
  await scene.pass(500);
  await scene.answer(OP.CLOSE, STATUS.IO_ERROR, FailureAnswer.encode({ sentence: 'The holder could not be kept', holders: [] }));
  const [outcome] = await detached;
  expect([outcome?.done, outcome?.error?.message]).toEqual([
    false,
    'n:oracle@0 is detached here, but server server may still hold it for this node: The holder could not be kept',
  ]);
});

test('the end of the daemon waits a bounded time for the servers, and says what is left', async () => {
  const warned: string[] = [];
  const scene = new Scene('none', [], { ...quietLog, warn: (text) => void warned.push(text) });
  await scene.attached();
  let isOver = false;
  void scene.attachments.stop().then(() => (isOver = true));
  await scene.pass(STOP_WAIT_MS / 2);
  expect([isOver, warned]).toEqual([false, []]);
  await scene.pass(STOP_WAIT_MS / 2 + STOP_VOLUME_MS);
  expect(isOver).toBe(true);
  expect(warned).toEqual(['Some volumes could not be detached within 10.05 s: this node still holds them']);
});
