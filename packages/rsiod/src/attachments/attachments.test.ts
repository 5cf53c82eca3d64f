// Attaching volumes, with the production namespace, trunk and notifications, and a scripted server. Detaching is in detaching.test.ts, and
// volumes that fail or are taken by other clients are in lost-volumes.test.ts. Re-sent requests are tested in the trunk's revoke.test.ts,
// and the file of attached volumes is tested in attached-list.test.ts. Rules: N3, G25, G31.

import { quietLog } from '@rsio/base/log/log';
import { RsError } from '@rsio/base/lib/errors';
import { PATH_SETTLED_MS } from '@rsio/protocol/client/limits';
import { TAKE_OVER_WAIT_MS } from '@rsio/protocol/link/limits';
import { ATTACH_WAIT_MS } from './limits.ts';
import { OP } from '@rsio/protocol/wire/frames';
import { SnapshotsAnswer, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { describe, expect, test, vi } from 'vitest';
import { attachmentView } from '../control/views.ts';
import { FakeFrontend, Scene } from '../testing/attachments-scene.ts';
import { CONFIGURATION } from './owners.ts';

describe('attaching', () => {
  test.each([
    [TAKE.NO, 'HELD', 'E_HELD'],
    [TAKE.OVER, 'HELD', 'E_HELD'],
    [TAKE.NO, 'BESIDE', 'E_BUSY'],
    [TAKE.FORCE, 'TAKEN', 'E_TAKEN'],
  ] as const)("the OPEN says take %d, and a refusal with %s is reported with the server's text", async (take, status, code) => {
    const scene = new Scene();
    const asked = scene.attachments.attach(['oracle'], false, null, take);
    await scene.pass();
    expect(scene.opens).toEqual([{ name: 'oracle', universe: 0, readonly: false, take, resume: null, mirror: null }]);
    await scene.refuse(STATUS[status], 'venus has it');
    expect(await asked).toEqual([
      { volume: 'n:oracle@0', done: false, already: false, device: null, error: { code, message: 'venus has it' } },
    ]);
    expect(scene.attachments.list).toEqual([]);
  });

  test('a snapshot is opened read-only by its own name, and the volume is another attachment', async () => {
    const scene = new Scene();
    await scene.attached();
    const asked = scene.attachments.attach(['oracle@monday'], false, null);
    await scene.pass();
    expect(scene.opens.at(-1)).toEqual({ name: 'oracle@monday', universe: 0, readonly: true, take: TAKE.NO, resume: null, mirror: null });
    await scene.grant(2, true, 'snapshot-id');
    // The server sends the list of older snapshots in two parts, so the client asks twice.
    await scene.pass();
    await scene.answer(OP.IOCTL, STATUS.OK, SnapshotsAnswer.encode({ snapshots: [{ name: 'sunday', id: 'b' }], hasMore: true }));
    await scene.pass();
    await scene.answer(OP.IOCTL, STATUS.OK, SnapshotsAnswer.encode({ snapshots: [{ name: 'saturday', id: 'a' }], hasMore: false }));
    expect(await asked).toMatchObject([{ volume: 'n:oracle@0@monday', done: true, already: false }]);
    expect(await scene.attachments.attach(['n:oracle@0@monday'], false, null)).toMatchObject([{ done: true, already: true }]);
    expect(scene.attachments.list[1]?.olderSnapshots.map(({ id }) => id)).toEqual(['b', 'a']);
    expect(scene.attachments.list.map(({ name, id, readonly }) => [name, id, readonly])).toEqual([
      ['oracle', 'id', false],
      ['oracle@monday', 'snapshot-id', true],
    ]);
    const unknown = scene.attachments.attach(['oracle@sunday'], false, null);
    await scene.pass();
    await scene.refuse(STATUS.UNKNOWN_VOLUME, 'Volume oracle has no snapshot sunday');
    expect(await unknown).toMatchObject([
      { done: false, error: { code: 'E_UNKNOWN_VOLUME', message: 'Volume oracle has no snapshot sunday' } },
    ]);
    const detached = scene.attachments.detach(['oracle@monday'], true, null);
    await scene.pass();
    await scene.answer(OP.CLOSE, STATUS.OK);
    await detached;
    expect(scene.attachments.list.map(({ name }) => name)).toEqual(['oracle']);
    expect([...scene.attachments.detached]).toEqual([]);
  });

  test('after a restart, another snapshot of the name is not attached in its place', async () => {
    const scene = new Scene();
    const [{ server } = { server: '' }] = scene.attachments.offers;
    const again = scene.attachments.attachAgain('n:oracle@0@monday', true, server, 'first-id');
    await scene.pass();
    await scene.grant(2, true, 'other-id');
    expect(await again).toMatchObject({
      done: false,
      error: { code: 'E_VOLUME', message: expect.stringContaining('another snapshot of this name') },
    });
    await scene.pass();
    expect(scene.attachments.list).toEqual([]);
    expect(scene.asked(OP.CLOSE).map(({ header }) => header.handle)).toEqual([2]);
    const same = scene.attachments.attachAgain('n:oracle@0@monday', true, server, 'first-id');
    await scene.answer(OP.CLOSE, STATUS.OK);
    await scene.pass();
    await scene.grant(3, true, 'first-id');
    // A server of an earlier release refuses the request for the list of older snapshots. The snapshot is attached nevertheless.
    await scene.pass();
    await scene.answer(OP.IOCTL, STATUS.UNSUPPORTED);
    expect(await same).toMatchObject({ done: true });
  });

  test('a take-over has a longer time limit, and a volume that is granted after it is given back', async () => {
    const scene = new Scene();
    const asked = scene.attachments.attach(['oracle'], false, null, TAKE.OVER);
    await scene.pass(TAKE_OVER_WAIT_MS - 1000);
    expect(TAKE_OVER_WAIT_MS).toBeGreaterThan(ATTACH_WAIT_MS);
    let isOver = false;
    void asked.then(() => (isOver = true));
    await scene.pass();
    expect(isOver).toBe(false);
    await scene.pass(2000);
    expect(await asked).toMatchObject([{ done: false, error: { code: 'E_TIMEOUT' } }]);
    await scene.grant(5);
    expect(scene.asked(OP.CLOSE).map(({ header }) => header.handle)).toEqual([5]);
  });

  test('a take-over of a volume that is attached here succeeds at once', async () => {
    const scene = new Scene();
    await scene.attached();
    expect(await scene.attachments.attach(['oracle'], false, null, TAKE.OVER)).toMatchObject([{ done: true, already: true }]);
    expect(scene.opens.length).toBe(1);
  });

  test('a volume that is attached or being opened read-write is not reported as attached read-only', async () => {
    const scene = new Scene();
    const first = scene.attachments.attach(['oracle'], false, null);
    const second = scene.attachments.attach(['oracle'], true, null);
    await scene.pass();
    await scene.grant();
    expect(await first).toMatchObject([{ done: true }]);
    await scene.pass();
    expect(await second).toMatchObject([{ done: false, error: { code: 'E_IN_USE' } }]);
    expect(await scene.attachments.attach(['oracle'], true, null)).toMatchObject([{ done: false, error: { code: 'E_IN_USE' } }]);
    expect(await scene.attachments.attach([], true, null)).toMatchObject([{ done: false, error: { code: 'E_IN_USE' } }]);
    expect(await scene.attachments.attach([], false, null)).toMatchObject([{ done: true, already: true }]);
  });

  test('equal attach requests share one OPEN', async () => {
    const scene = new Scene();
    const both = [TAKE.OVER, TAKE.OVER].map((take) => scene.attachments.attach(['oracle'], false, null, take));
    await scene.pass();
    await scene.grant();
    expect(await Promise.all(both)).toMatchObject([[{ done: true }], [{ done: true }]]);
    expect(scene.opens.length).toBe(1);
  });

  test('a request for more waits its turn: after a refusal it is tried, after a success it is already done', async () => {
    for (const isGranted of [false, true]) {
      const scene = new Scene();
      const plain = scene.attachments.attach(['oracle'], false, null);
      const forced = [TAKE.FORCE, TAKE.FORCE].map((take) => scene.attachments.attach(['oracle'], false, null, take));
      await scene.pass();
      expect(scene.opens.map(({ take }) => take)).toEqual([TAKE.NO]);
      if (isGranted) await scene.grant();
      else await scene.refuse(STATUS.HELD, 'venus has it');
      expect(await plain).toMatchObject([{ done: isGranted }]);
      await scene.pass();
      expect(scene.opens.map(({ take }) => take)).toEqual(isGranted ? [TAKE.NO] : [TAKE.NO, TAKE.FORCE]);
      if (!isGranted) await scene.grant();
      expect(await Promise.all(forced)).toMatchObject([[{ done: true }], [{ done: true }]]);
      expect(scene.attachments.list.length).toBe(1);
    }
  });
});

// Regression: if the devices of a volume could not be made, rsiod recorded the volume as detached by the administrator, and did not attach
// it at the next start.
test('a volume whose devices could not be made is attached by the next reload that finds it in the configuration', async () => {
  const frontend = new FakeFrontend();
  frontend.whyNot = new RsError('E_SYSTEM', '/dev/fuse is missing');
  const scene = new Scene('all', [frontend]);
  const attach = async (): Promise<void> => {
    const asked = scene.attachments.attachWanted(true);
    await scene.pass();
    await scene.grant();
    for (const op of frontend.whyNot === null ? [] : [OP.FLUSH, OP.CLOSE]) {
      await scene.pass(500);
      await scene.answer(op, STATUS.OK);
    }
    await asked;
  };
  await attach();
  expect([scene.attachments.list, [...scene.attachments.detached]]).toEqual([[], []]);
  frontend.whyNot = null;
  await attach();
  expect(scene.attachments.list).toHaveLength(1);
});

test('a changed configuration gives attached volumes its stall policy, and forgets what was detached in other namespaces', async () => {
  const scene = new Scene();
  await scene.attached();
  const { list, detached } = scene.attachments;
  const { stall } = list[0]!;
  const configured = stall.policy;
  expect(configured).not.toBe(77_000);
  stall.setPolicy(77_000);
  for (const one of ['n:former@0 id', 'm:former@0 id', 'nn:former@0 id']) detached.add(one);
  scene.attachments.configurationChanged();
  expect([stall.policy, [...detached]]).toEqual([configured, ['n:former@0 id']]);
});

// Otherwise a mirror that was taken away from this client comes back to it without an order (packages/protocol/src/mirror/membership/attach.ts).
test('a mirror is attached automatically after a restart and for the configuration, and not for a person or a program', async () => {
  const scene = new Scene('all');
  const { attachments } = scene;
  scene.mirror = 'a'.repeat(32);
  scene.notify();
  await scene.pass();
  const [{ server } = { server: '' }] = attachments.offers;
  const asked = vi.spyOn(attachments.mirrors, 'attach').mockRejectedValue(new RsError('E_HELD', 'venus has claimed it'));
  const ways: readonly [boolean, () => Promise<unknown>][] = [
    [true, () => attachments.attachAgain('n:oracle@0', false, server, 'a'.repeat(32))],
    [true, () => attachments.attachWanted(false)],
    [true, () => attachments.attach(['oracle'], false, null, TAKE.NO, 'any', CONFIGURATION)],
    [false, () => attachments.attach(['oracle'], false, null)],
    [false, () => attachments.attach([], false, null)],
    [false, () => attachments.attach(['oracle'], false, null, TAKE.NO, 'name', { kind: 'lasting', name: 'rsio-csi' })],
  ];
  for (const [isAutomatic, attach] of ways) {
    await attach();
    expect(asked.mock.lastCall?.[0]).toMatchObject({ mirror: scene.mirror, isAutomatic });
  }
  expect(asked).toHaveBeenCalledTimes(ways.length);
});

// Regression: `attach = oracle` attached the image oracle@1 in addition to the volume oracle@0. The image could then not be refreshed, and
// both file systems had the same UUID.
test.each([
  ['oracle', [0]],
  ['oracle@1', [1]],
  ['all', [0, 1]],
])('of a volume with an image, attach = %s means the universes %j', async (attach, expected) => {
  const scene = new Scene(attach);
  scene.universes = [1, 0];
  scene.notify();
  await scene.pass();
  const asked = scene.attachments.attachWanted(false);
  await scene.pass();
  expect(scene.opens.map(({ universe }) => universe).toSorted((left, right) => left - right)).toEqual(expected);
  for (const _ of expected) await scene.refuse(STATUS.HELD, 'venus has it');
  await asked;
});

// Regression: while the pool of the volume oracle@0 was not mounted, rsiod attached the image oracle@1 in its place.
test('an image is not attached in place of its missing volume, and the missing volume is said once', async () => {
  const warnings: string[] = [];
  const scene = new Scene('oracle', [], { ...quietLog, warn: (sentence) => void warnings.push(sentence) });
  scene.universes = [1];
  scene.notify();
  await scene.pass();
  for (let times = 0; times < 2; times++) await scene.attachments.attachWanted(false);
  expect(scene.opens).toEqual([]);
  expect(warnings).toEqual([expect.stringMatching(/^n:oracle@0 is not attached .*: rsconfig -a n:oracle@0 says why; n:oracle@1 \(server/)]);
});

test('a volume keeps one name, also after a detach and a new session', async () => {
  const scene = new Scene();
  const shown = (): string => attachmentView(scene.attachments.list[0]!, { raw: null, block: null }, scene.attachments.offers).byId;
  await scene.attached();
  expect(shown()).toBe('rsio-1-id');
  const detached = scene.attachments.detach(['oracle'], false, null);
  for (const op of [OP.FLUSH, OP.CLOSE]) {
    await scene.pass(500);
    await scene.pass(500);
    await scene.answer(op, STATUS.OK);
  }
  expect(await detached).toMatchObject([{ done: true }]);
  scene.scripted.loseSession();
  await scene.pass(PATH_SETTLED_MS * 5);
  const again = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.grant(7);
  expect(await again).toMatchObject([{ done: true, already: false }]);
  expect(shown()).toBe('rsio-1-id');
});

// Regression: if rsiod crashed while it sent unflushed writes again, nothing reported that these writes may be lost.
test('the devices note a new incarnation when unflushed writes were sent again, and not before', async () => {
  const frontend = new FakeFrontend();
  const noted: string[] = [];
  frontend.incarnationChanged = (volume) => void noted.push(volume.incarnation);
  const scene = new Scene('none', [frontend]);
  await scene.attached();
  await scene.write(1);
  await scene.answer(OP.WRITE, STATUS.OK);
  scene.scripted.loseSession();
  await scene.pass(PATH_SETTLED_MS * 5);
  await scene.grant(2, false, 'id', 'second');
  expect([scene.asked(OP.WRITE).length, noted, scene.attachments.list[0]?.incarnation]).toEqual([1, [], 'l']);
  await scene.answer(OP.WRITE, STATUS.OK);
  expect(noted).toEqual(['second']);
});
