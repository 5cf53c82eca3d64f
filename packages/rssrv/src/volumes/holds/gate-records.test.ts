// Tests who may read and write a gate record, and the order of writes and changes of the holder: no write of a former holder is stored
// after a take-over was granted, even if the storage answers late. The pool is simulated; gate-record.test.ts tests the files. Rules: D2.

import { RsError } from '@rsio/base/lib/errors';
import { STATUS } from '@rsio/protocol/wire/status';
import { beforeEach, expect, test } from 'vitest';
import { BIG2, MARS, OPEN, OVER, turns, VOLUME } from '../../testing/contenders.ts';
import { POOL, RecordScene } from '../../testing/record-scene.ts';
import type { RecordReply } from './gate-records.ts';

let scene: RecordScene;

beforeEach(() => {
  scene = new RecordScene();
});

const status = async (reply: Promise<RecordReply>): Promise<number> => (await reply).recordStatus;

/** A promise, and the function that resolves it. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

test('the holder writes, and every client of the volume reads', async () => {
  expect(await scene.read()).toEqual({ recordStatus: STATUS.OK, sentence: '', record: null });
  expect(await status(scene.write(BIG2, await scene.opens(BIG2), 'one'))).toBe(STATUS.OK);
  expect(await scene.read()).toMatchObject({ recordStatus: STATUS.OK, record: Buffer.from('one').toString('base64') });
});

test('a client without the hold, a reader, an older grant and an ended session write nothing', async () => {
  expect(await status(scene.write(BIG2, 9, 'x'))).toBe(STATUS.STALE);
  const epoch = await scene.opens(BIG2);
  expect(await status(scene.write(MARS, 9, 'x'))).toBe(STATUS.STALE);
  expect(await status(scene.write({ ...BIG2, instance: 4 }, epoch, 'x'))).toBe(STATUS.STALE);
  expect(await status(scene.write(BIG2, epoch - 1, 'x'))).toBe(STATUS.STALE);
  scene.isThere = false;
  expect(await status(scene.write(BIG2, epoch, 'x'))).toBe(STATUS.STALE);
  scene.isThere = true;
  await scene.holds.release('id', BIG2, epoch);
  expect(await status(scene.write(BIG2, epoch, 'x'))).toBe(STATUS.STALE);
  const reader = await scene.opens(BIG2, { ...OPEN, readonly: true });
  expect(await status(scene.write(BIG2, reader, 'x'))).toBe(STATUS.STALE);
  expect(scene.record).toBeNull();
});

test('a take-over waits for a write in progress, and what waits behind the take-over is STALE', async () => {
  const epoch = await scene.opens(BIG2);
  const storage = gate();
  scene.storage = storage.passed;
  const [first, second] = [scene.write(BIG2, epoch, 'first'), scene.write(BIG2, epoch, 'second')];
  let isGranted = false;
  const taking = scene.opens(MARS, OVER).then((mine) => {
    isGranted = true;
    return mine;
  });
  const third = scene.write(BIG2, epoch, 'third');
  await turns();
  expect(isGranted).toBe(false);
  storage.open();
  expect([await status(first), await status(second), await status(third)]).toEqual([STATUS.OK, STATUS.OK, STATUS.STALE]);
  const mine = await taking;
  expect(scene.record?.toString()).toBe('second');
  expect(await status(scene.write(MARS, mine, 'mars'))).toBe(STATUS.OK);
  expect(await status(scene.write(BIG2, mine, 'late'))).toBe(STATUS.STALE);
  expect(scene.record?.toString()).toBe('mars');
});

test('a write that the pool has given up holds a take-over back until the storage has answered', async () => {
  const epoch = await scene.opens(BIG2);
  const [storage, limit] = [gate(), gate()];
  [scene.storage, scene.limit] = [storage.passed, limit.passed];
  const late = scene.write(BIG2, epoch, 'late');
  await turns();
  limit.open();
  await turns();
  let isGranted = false;
  const taking = scene.opens(MARS, OVER).then(() => {
    isGranted = true;
  });
  await turns();
  expect([isGranted, scene.record]).toEqual([false, null]);
  storage.open();
  await taking;
  expect(await status(late)).toBe(STATUS.IO_ERROR);
  expect(scene.record?.toString()).toBe('late');
});

test('a write that the pool has given up before it began never begins', async () => {
  const epoch = await scene.opens(BIG2);
  const [place, limit] = [gate(), gate()];
  [scene.place, scene.limit] = [place.passed, limit.passed];
  const given = scene.write(BIG2, epoch, 'late');
  await turns();
  limit.open();
  expect(await status(given)).toBe(STATUS.IO_ERROR);
  await scene.opens(MARS, OVER);
  place.open();
  await turns();
  expect(scene.record).toBeNull();
});

test('a volume that is not served, as in the last step of a move, is not written, and `idle` waits for a write in progress', async () => {
  const epoch = await scene.opens(BIG2);
  const storage = gate();
  scene.storage = storage.passed;
  const [first, second] = [scene.write(BIG2, epoch, 'first'), scene.write(BIG2, epoch, 'second')];
  await turns();
  scene.isServed = false;
  let isIdle = false;
  const idle = scene.records.idle('id').then(() => {
    isIdle = true;
  });
  await turns();
  expect(isIdle).toBe(false);
  storage.open();
  await idle;
  expect(scene.record?.toString()).toBe('first');
  expect([await status(first), await status(second)]).toEqual([STATUS.OK, STATUS.STALE]);
  expect(scene.record?.toString()).toBe('first');
  await scene.records.idle('id');
});

test.each([
  ['in no pool', VOLUME, 'in no pool'],
  ['shared', { ...VOLUME, pool: POOL, shared: true }, 'shared'],
  ['a replica', { ...VOLUME, pool: POOL, replica: { mirror: 'm', identity: 'i', mapPath: '/m' } }, 'replica of a mirror'],
])('a volume that is %s has no record: UNSUPPORTED', async (_what, volume, why) => {
  const epoch = await scene.opens(BIG2);
  scene.volume = volume;
  for (const reply of [await scene.read(), await scene.write(BIG2, epoch, 'x')])
    expect(reply).toMatchObject({ recordStatus: STATUS.UNSUPPORTED, sentence: expect.stringContaining(why) as string });
});

test('a client learns nothing about volumes that it may not use', async () => {
  scene.record = Buffer.from('secret');
  scene.volume = { ...scene.volume, clients: ['big-2'] };
  const unknown = await scene.read(MARS, 'none');
  expect(unknown).toMatchObject({ recordStatus: STATUS.UNKNOWN_VOLUME, record: null });
  expect(await scene.read()).toEqual(unknown);
  expect(await status(scene.read(BIG2))).toBe(STATUS.OK);
});

test('a server that has lost the pool does not tell the old record', async () => {
  scene.record = Buffer.from('old');
  scene.volume = { ...scene.volume, pool: { ...POOL, ownership: { generation: 7, life: 5 } } };
  expect(await status(scene.read())).toBe(STATUS.OK);
  scene.isMine = false;
  expect(await scene.read()).toMatchObject({ recordStatus: STATUS.MOVED, record: null });
});

test('a full disk is NO_SPACE and keeps the old record; other errors do not name files of the server, and the log does', async () => {
  const epoch = await scene.opens(BIG2);
  await scene.write(BIG2, epoch, 'old');
  scene.files.replaceRecord = () =>
    Promise.reject(new RsError('E_POOL', 'Pool fast at /x cannot be changed (ENOSPC)', { errno: 'ENOSPC' }));
  expect(await scene.write(BIG2, epoch, 'new')).toMatchObject({ recordStatus: STATUS.NO_SPACE });
  expect(scene.record?.toString()).toBe('old');
  scene.files.readRecord = () => Promise.reject(new RsError('E_VOLUME', '/x/gate.record is damaged: restore it', {}));
  const reply = await scene.read();
  expect(reply).toMatchObject({ recordStatus: STATUS.IO_ERROR, record: null });
  expect(reply.sentence).toMatch(/^The gate record of volume oracle cannot be used, because its file is damaged/);
  expect(scene.logged.at(-1)).toContain('/x/gate.record is damaged: restore it');
});
