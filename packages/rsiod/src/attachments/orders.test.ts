// Orders that attach a volume for their own work, with the production attachments and a scripted server: who has the volume at the end, if
// somebody else attaches or detaches it at the same moment. The decider alone is tested in owners.test.ts. Rules: G50.

import { OP } from '@rsio/protocol/wire/frames';
import { TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { RsError } from '@rsio/base/lib/errors';
import { beforeEach, describe, expect, test } from 'vitest';
import { FakeFrontend, Scene } from '../testing/attachments-scene.ts';
import { type Order, PERSON } from './owners.ts';

class OrderFrontend extends FakeFrontend {
  readonly audience = ['programs', 'orders'] as const;
  cuts = 0;
  cut = (): void => void this.cuts++;
}

const order = (isAlone: boolean, ticket = 't'): Order => ({ kind: 'order', ticket, what: 'rsconfig restore', isAlone });
const OVERWRITE = order(true);
const SHARE = order(false);

let devices: FakeFrontend;
let nbd: OrderFrontend;
let scene: Scene;
beforeEach(() => {
  devices = new FakeFrontend();
  nbd = new OrderFrontend();
  scene = new Scene('none', [devices, nbd]);
});

const attach = (by: Order | null, name = 'oracle') =>
  by === null ? scene.attachments.attach([name], false, null) : scene.attachments.attach([name], false, null, TAKE.NO, 'name', by);
const closes = (): number => scene.asked(OP.CLOSE).length;

async function close(): Promise<void> {
  await scene.pass();
  if (scene.asked(OP.FLUSH).length > 0) await scene.answer(OP.FLUSH, STATUS.OK);
  await scene.pass();
  await scene.answer(OP.CLOSE, STATUS.OK);
  await scene.pass();
}

async function opened(by: Order | null): Promise<void> {
  const asked = attach(by);
  await scene.pass();
  await scene.grant();
  expect(await asked).toMatchObject([{ done: true }]);
}

test('an order has an export and no device, and its end closes the volume', async () => {
  await opened(OVERWRITE);
  expect([devices.shown.size, nbd.shown.size]).toEqual([0, 1]);
  const ended = scene.attachments.endOrder('t', false);
  await close();
  await ended;
  expect([scene.attachments.list.length, nbd.shown.size, scene.attachments.detached.size]).toEqual([0, 0, 0]);
  await scene.attachments.endOrder('t', true);
});

// Regression: while rsiod attached a volume again after a kill, restore and roll back shared the opening, and wrote to a mounted volume.
test.each(['attached', 'being attached'])('an overwriting order is refused while the volume is %s', async (when) => {
  const asked = attach(null);
  await scene.pass();
  if (when === 'attached') await scene.grant();
  const refused = await attach(OVERWRITE);
  expect(refused).toMatchObject([
    { done: false, error: { code: 'E_IN_USE', message: expect.stringContaining('(rsconfig -d n:oracle@0)') } },
  ]);
  if (when !== 'attached') await scene.grant();
  expect(await asked).toMatchObject([{ done: true }]);
  expect(scene.attachments.list.length).toBe(1);
});

test('nobody attaches a volume while an order overwrites it, or is about to', async () => {
  const asked = attach(OVERWRITE);
  await scene.pass();
  const refused = [{ done: false, error: { code: 'E_IN_USE', message: expect.stringContaining('rsconfig restore overwrites it now') } }];
  expect(await attach(null)).toMatchObject(refused);
  await scene.grant();
  expect(await asked).toMatchObject([{ done: true }]);
  expect(await attach(null)).toMatchObject(refused);
  expect(await attach(order(false, 'u'))).toMatchObject(refused);
  expect(await scene.attachments.takeOver('n:oracle@0', 'id', TAKE.NO)).toMatchObject(refused[0]!);
});

describe('what an order has left', () => {
  const NBD = ['1 NBD connection'];
  const label = 'n:oracle@0';
  const lose = async (): Promise<void> => {
    scene.network.routes[0]!.reach = 'refused';
    for (const path of scene.scripted.paths) path.connection.close('The path is lost', true);
    await scene.pass(100);
    expect(scene.attachments.list[0]?.target.pathCount).toBe(0);
  };

  // Regression: the claim of a restore ended with rsconfig. What qemu-img had left to write reached a volume that somebody else had mounted.
  test.each([NBD, []])(
    'keeps others away from what it overwrites, and writes nothing more, also without a path: users %j',
    async (...users) => {
      await opened(OVERWRITE);
      nbd.usersOf = () => Promise.resolve(users);
      await lose();
      await expect(scene.attachments.endOrder('t', true)).rejects.toMatchObject({ code: users.length > 0 ? 'E_IN_USE' : 'E_NO_PATH' });
      expect([nbd.cuts, await scene.write(1)]).toEqual([1, [STATUS.SHUTTING_DOWN]]);
      const message = expect.stringContaining('rsconfig restore has ended, but what it has left may still write');
      for (const one of [null, SHARE, order(true, 'u')])
        expect(await attach(one)).toMatchObject([{ done: false, error: { code: 'E_IN_USE', message } }]);
      expect(await scene.attachments.takeOver(label, 'id', TAKE.NO)).toMatchObject({ error: { code: 'E_IN_USE', message } });
      const forced = scene.attachments.detach(['oracle'], true, null);
      await scene.pass();
      expect(await forced).toMatchObject([{ done: true }]);
      expect(scene.attachments.owners.claim(label, 'id', PERSON).label).toBe(label);
    },
  );

  test('writes again only for somebody who has got the volume meanwhile', async () => {
    await opened(SHARE);
    await lose();
    await expect(scene.attachments.endOrder('t', true)).rejects.toMatchObject({ code: 'E_NO_PATH' });
    expect([nbd.cuts, await scene.write(1)]).toEqual([1, [STATUS.SHUTTING_DOWN]]);
    expect(await attach(null)).toMatchObject([{ done: true, already: true }]);
    expect(await scene.write(1)).toEqual([]);
  });

  // Regression: the end of a restore failed with E_IN_USE if rsiod had not noticed the end of qemu-img's connection yet.
  test('is cut off at the end of a command that has ended well, which waits until it is gone', async () => {
    await opened(OVERWRITE);
    let users = NBD;
    nbd.usersOf = () => Promise.resolve(users);
    const ended = scene.attachments.endOrder('t', false);
    await scene.pass(100);
    expect([nbd.cuts, scene.attachments.list.length, await scene.write(1)]).toEqual([1, 1, [STATUS.SHUTTING_DOWN]]);
    users = [];
    await scene.pass(100);
    await close();
    await ended;
    expect(scene.attachments.list.length).toBe(0);
  });

  test('keeps the volume from programs and gates while it may write', async () => {
    await opened(SHARE);
    nbd.usersOf = () => Promise.resolve(NBD);
    expect(await attach(null)).toMatchObject([
      { error: { code: 'E_IN_USE', message: expect.stringContaining('1 NBD connection may write') } },
    ]);
    expect([devices.shown.size, scene.attachments.list[0]?.shownTo]).toEqual([0, 'orders']);
    nbd.usersOf = () => Promise.resolve([]);
    expect(await attach(null)).toMatchObject([{ done: true, already: true }]);
    expect(devices.shown.size).toBe(1);
  });
});

test('a failed order leaves nothing that refuses the next one', async () => {
  const asked = attach(OVERWRITE);
  await scene.pass();
  await scene.refuse(STATUS.HELD, 'venus has it');
  expect(await asked).toMatchObject([{ error: { code: 'E_HELD' } }]);
  await opened(null);
});

// Regression: a snapshot of a mirror, or a backup of one, that shared the opening after a restart detached the user's mirror for good.
test.each(['person first', 'order first'])('%s: the end of the order leaves the volume to the person, with a device', async (who) => {
  const [one, other] = who === 'person first' ? [null, SHARE] : [SHARE, null];
  const first = attach(one);
  const second = attach(other);
  await scene.pass();
  await scene.grant();
  expect([await first, await second]).toMatchObject([[{ done: true }], [{ done: true }]]);
  expect([devices.shown.size, nbd.shown.size]).toEqual([1, 1]);
  await scene.attachments.endOrder('t', false);
  await scene.pass();
  expect([scene.attachments.list.length, closes()]).toEqual([1, 0]);
});

test('a person who attaches what an order has gets a device; if none can be made, the order keeps the volume', async () => {
  await opened(SHARE);
  devices.whyNot = new RsError('E_SYSTEM', 'No free loop device');
  expect(await attach(null)).toMatchObject([{ done: false, error: { message: 'No free loop device' } }]);
  expect([scene.attachments.list.length, scene.attachments.owners.lastingOf('n:oracle@0')]).toEqual([1, []]);
  devices.whyNot = null;
  expect(await attach(null)).toMatchObject([{ done: true, already: true }]);
  expect(devices.shown.size).toBe(1);
});

test('a detach by a person says which order has the volume, and with force ends the order', async () => {
  await opened(null);
  await attach(SHARE);
  expect(await scene.attachments.detach(['oracle'], false, null)).toMatchObject([
    { done: false, error: { code: 'E_IN_USE', message: expect.stringContaining('in use by rsconfig restore') } },
  ]);
  const forced = scene.attachments.detach(['oracle'], true, null);
  await close();
  expect(await forced).toMatchObject([{ done: true }]);
  expect(scene.attachments.owners.isFree('n:oracle@0')).toBe(true);
});

// Regression: an attach during a detach was answered with "already attached", and the volume was gone a moment later.
test.each(['the end of an order', 'a detach'])('an attach during %s waits for it, and attaches the volume again', async (what) => {
  await opened(what === 'a detach' ? null : SHARE);
  const leaving = what === 'a detach' ? scene.attachments.detach(['oracle'], false, null) : scene.attachments.endOrder('t', false);
  await scene.pass();
  const asked = attach(null);
  await close();
  await leaving;
  await scene.pass();
  await scene.grant(2);
  expect(await asked).toMatchObject([{ done: true, already: false }]);
  expect([scene.attachments.list.length, closes()]).toEqual([1, 0]);
});

test('a program that detaches leaves the volume to the other owners; the last one closes it', async () => {
  await opened(null);
  await scene.attachments.attach(['oracle'], false, null, TAKE.NO, 'name', { kind: 'lasting', name: 'csi' });
  expect(await scene.attachments.detach(['oracle'], false, 'rsapp')).toMatchObject([{ done: true, already: true }]);
  expect(await scene.attachments.detach(['oracle'], false, 'csi')).toMatchObject([{ done: true, already: false }]);
  expect(scene.attachments.list.length).toBe(1);
  const last = scene.attachments.detach(['oracle'], false, 'person');
  await close();
  expect([await last, scene.attachments.list.length]).toMatchObject([[{ done: true }], 0]);
});

test('what the configuration wants is not overwritten before a detach, also if it is not attached', async () => {
  scene = new Scene('all', [devices, nbd]);
  expect(await attach(OVERWRITE)).toMatchObject([
    { error: { code: 'E_IN_USE', message: 'The configuration wants it attached here: detach it first (rsconfig -d n:oracle@0)' } },
  ]);
  expect(await scene.attachments.detach(['oracle'], false, null)).toMatchObject([{ done: true, already: true }]);
  await opened(OVERWRITE);
});

test('a hold that an earlier process has left refuses an overwriting order', async () => {
  scene.holders = [{ node: 'node', address: '192.168.10.1', sinceMs: 1 }];
  scene.notify();
  expect(await attach(OVERWRITE)).toMatchObject([
    { error: { code: 'E_IN_USE', message: 'Server server says that this client holds it: detach it first (rsconfig -d n:oracle@0)' } },
  ]);
});
