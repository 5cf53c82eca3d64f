// Tests the I/O of an attached volume, and the reported events, if another client takes the volume, another instance of this node replaces
// this client, or the server reports an error. Attaching is in attachments.test.ts. Rules: R5, E2.

import { STORAGE_ERRORS_LOG_MS } from '@rsio/base/log/limits';
import { PATH_SETTLED_MS, REOPEN_RETRY_MS, UNFIT_RETRY_MS } from '@rsio/protocol/client/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { Farewell, IOCTL, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { describe, expect, test } from 'vitest';
import { Scene, VENUS } from '../testing/attachments-scene.ts';

describe('a volume that another client takes', () => {
  async function taken(scene: Scene): Promise<number[]> {
    await scene.attached();
    const statuses = await scene.write(1);
    await scene.answer(OP.WRITE, STATUS.STALE);
    await scene.pass(REOPEN_RETRY_MS);
    expect(scene.opens.at(-1)).toMatchObject({ take: TAKE.NO, resume: 'i' });
    await scene.refuse(STATUS.TAKEN, 'Volume oracle was taken over by venus');
    return statuses;
  }

  test('leaves the list, its I/O fails, and one event names the new holder', async () => {
    const scene = new Scene();
    expect([await taken(scene), scene.attachments.list]).toEqual([[STATUS.TAKEN], []]);
    expect(scene.events.filter((event) => event.includes('venus'))).toEqual(['open > lost Volume oracle was taken over by venus']);
  });

  test('is attached again by the administrator only, not by the configuration', async () => {
    const scene = new Scene('all');
    await taken(scene);
    const asked = scene.opens.length;
    scene.scripted.loseSession();
    await scene.pass(PATH_SETTLED_MS * 5);
    // The configuration does not attach the lost volume, neither at a start (`true`) nor at a reload (`false`).
    for (const says of [false, true]) await scene.attachments.attachWanted(says);
    await scene.pass(REOPEN_RETRY_MS * 3);
    expect([asked, scene.opens.length]).toEqual([2, 0]);
    const refused = scene.attachments.attach(['oracle'], false, null);
    await scene.pass();
    await scene.refuse(STATUS.HELD, 'venus has it');
    await refused;
    await scene.attachments.attachWanted(true);
    await scene.pass();
    expect(scene.opens.length).toBe(1);
    const again = scene.attachments.attach(['oracle'], false, null, TAKE.OVER);
    await scene.pass();
    await scene.grant(2);
    expect(await again).toMatchObject([{ done: true }]);
  });

  test('while it is idle: a list without our hold triggers a request, and STALE shows the loss', async () => {
    const scene = new Scene();
    await scene.attached();
    scene.notify();
    expect(scene.asked(OP.IOCTL)).toEqual([]);
    scene.holders = [VENUS];
    scene.notify();
    expect(scene.asked(OP.IOCTL).map(({ header }) => header.aux)).toEqual([IOCTL.IDENTIFY]);
    await scene.answer(OP.IOCTL, STATUS.STALE);
    await scene.pass(REOPEN_RETRY_MS);
    await scene.refuse(STATUS.TAKEN, 'Volume oracle was taken over by venus');
    expect(scene.attachments.list).toEqual([]);
  });
});

/** Long enough for every retry timer to fire many times. */
const LATER_MS = 55_000;

describe('a client that was replaced', () => {
  const said = { code: 'E_REPLACED', sentence: 'Node node was started anew at 192.168.10.2' };

  test('fails its I/O with the reason at a BYE, begins no session, and reports why', async () => {
    const scene = new Scene('all');
    await scene.attached();
    const statuses = await scene.write(1);
    scene.path!.say(OP.BYE, 0, Farewell.encode(said));
    await scene.pass();
    expect([statuses, scene.attachments.list]).toEqual([[STATUS.TAKEN], []]);
    expect(scene.events.at(-1)).toContain(`instead of this one (${said.sentence})`);
    const sessions = scene.scripted.paths.length;
    await scene.pass(LATER_MS);
    expect(scene.scripted.paths.length).toBe(sessions);
    expect(scene.namespace.routes[0]!.supervisor.lastErrorSentence).toContain('[E_REPLACED]');
    expect(await scene.attachments.attach(['oracle'], false, null)).toMatchObject([{ done: false, error: { code: 'E_REPLACED' } }]);
  });

  test('fails its I/O if a server that proves itself refuses it for this reason', async () => {
    const scene = new Scene();
    await scene.attached();
    const statuses = await scene.write(1);
    scene.scripted.decide = (path) => path.refuse('E_REPLACED', said.sentence);
    scene.scripted.loseSession();
    await scene.pass(LATER_MS);
    expect([statuses, scene.attachments.list]).toEqual([[STATUS.TAKEN], []]);
    expect(scene.events.at(-1)).toContain(said.sentence);
  });

  test('waits if an unproven peer says so, and continues when it is welcomed', async () => {
    const scene = new Scene();
    await scene.attached();
    const statuses = await scene.write(1);
    const { decide } = scene.scripted;
    scene.scripted.decide = (path) => path.refuseUnproved('E_REPLACED', said.sentence);
    scene.scripted.loseSession();
    await scene.pass(LATER_MS);
    expect([statuses, scene.attachments.list.length]).toEqual([[], 1]);
    scene.scripted.decide = decide;
    await scene.pass(10_000);
    await scene.grant(7);
    await scene.answer(OP.WRITE, STATUS.OK);
    expect([statuses, scene.attachments.list.length]).toEqual([[STATUS.OK], 1]);
  });
});

describe('a server that reports slow storage', () => {
  const SLOW = 'Server process 7 of node node stands still';
  const STALL = 5_000;

  async function refused(by: 'refuse' | 'refuseUnproved'): Promise<{ scene: Scene; statuses: number[]; welcome: () => void }> {
    const scene = new Scene();
    await scene.attached();
    for (const { stall } of scene.attachments.list) stall.setPolicy(STALL);
    const statuses = await scene.write(1);
    const { decide } = scene.scripted;
    scene.scripted.decide = (path) => path[by]('E_DRAINING', SLOW);
    scene.scripted.loseSession();
    await scene.pass(20 * STALL);
    return { scene, statuses, welcome: () => (scene.scripted.decide = decide) };
  }

  test('is awaited beyond the stall limit, and its report is shown', async () => {
    const { scene, statuses, welcome } = await refused('refuse');
    expect([statuses, scene.stalls]).toEqual([[], ['waiting']]);
    expect(scene.attachments.list[0]!.stall.serverMessage).toContain(SLOW);
    welcome();
    await scene.pass(STALL);
    await scene.grant(7);
    await scene.answer(OP.WRITE, STATUS.OK);
    expect(statuses).toEqual([STATUS.OK]);
  });

  test('is not awaited if an unproven peer reports it', async () => {
    const { statuses } = await refused('refuseUnproved');
    expect(statuses).toEqual([STATUS.OUTCOME_UNKNOWN]);
  });
});

test('full storage is one event, and its recovery another', async () => {
  const scene = new Scene();
  await scene.attached();
  const before = scene.events.length;
  for (const status of [STATUS.NO_SPACE, STATUS.NO_SPACE]) {
    const statuses = await scene.write(1);
    await scene.answer(OP.WRITE, status);
    expect(statuses).toEqual([STATUS.NO_SPACE]);
  }
  await scene.pass(STORAGE_ERRORS_LOG_MS);
  await scene.write(1);
  await scene.answer(OP.WRITE, STATUS.OK);
  await scene.pass(STORAGE_ERRORS_LOG_MS);
  expect(scene.stalls).toEqual(['failing', 'failing', 'open']);
  expect(scene.events.slice(before)).toEqual([
    "open > failing A write ended with ENOSPC: The server's storage is full: free space on the server (see the log of server server)",
    'failing > open A write has succeeded since, and ENOSPC has not occurred again',
  ]);
});

test('the I/O of a volume that returns read-only waits, and one event gives the reason', async () => {
  const scene = new Scene();
  await scene.attached();
  const statuses = await scene.write(1);
  scene.scripted.loseSession();
  await scene.pass(PATH_SETTLED_MS * 5);
  await scene.grant(2, true);
  await scene.pass(UNFIT_RETRY_MS);
  await scene.grant(3, true);
  const said = scene.events.filter((event) => event.includes('is now read-only on its server, but was attached writable'));
  expect([statuses, said.length, scene.attachments.list[0]?.readonly]).toEqual([[], 1, false]);
});
