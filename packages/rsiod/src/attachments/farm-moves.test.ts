// Tests attached volumes that follow the owner of their pool, with the production namespace, trunks and events, and three scripted servers.
// The frames of a move are tested in the protocol's moves.test.ts, the decision in pool-owner.test.ts. Rules: F9.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { Request } from '@rsio/protocol/client/requests/request';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { attachmentView } from '../control/views.ts';
import { FarmScene, type FarmServer } from '../testing/farm-scene.ts';
import { ATTACH_WAIT_MS } from './limits.ts';

/** A scene in which the volume is attached at the first server, under generation 5. */
async function attached(generation: number | null = 5): Promise<[FarmScene, FarmServer, FarmServer, FarmServer]> {
  const scene = new FarmScene();
  const [one, two, three] = scene.servers as [FarmServer, FarmServer, FarmServer];
  await scene.owns(one, 5);
  const asked = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.grant(one, generation);
  expect(await asked).toMatchObject([{ done: true, error: null }]);
  return [scene, one, two, three];
}

test('a server on which nothing is attached announces a higher generation: the volume goes there, and everything shows it', async () => {
  const [scene, one, two] = await attached();
  scene.lines.splice(0);
  scene.happened.splice(0);
  await scene.owns(two, 6);
  expect([scene.opens, scene.at, scene.recorded]).toEqual([['big-2'], 'server big-2, big-2', 1]);
  expect(scene.lines).toContain('n:oracle@0: moved from server big-1 to big-2 (generation 6)');
  expect(scene.happened).toMatchObject([
    {
      object: 'volume n:oracle@0',
      from: 'server big-1',
      to: 'server big-2',
      reason: 'Its pool moved from server big-1 to big-2 (generation 6)',
    },
  ]);
  const { sharedPool } = attachmentView(scene.attachments.list[0]!, null, scene.attachments.offers);
  expect(sharedPool).toBe(true);
  expect(scene.attachments.list[0]!.target.reason).toBe('Its pool moved from server big-1 to big-2 (generation 6)');
  await scene.grant(two, 6);
  expect(scene.attachments.list[0]!.target.standing).toBe('ready');
  expect(one.asked(OP.CLOSE)).toHaveLength(1);
  expect(scene.happened).toHaveLength(1);
});

test('an equal or lower generation moves nothing, and neither does a server that announces again what it had', async () => {
  const [scene, one, two, three] = await attached();
  for (const generation of [4, 5]) await scene.owns(two, generation);
  expect(scene.at).toBe('server big-1, big-1');
  await scene.owns(three, 7);
  await scene.grant(three, 7);
  await scene.owns(one, 5);
  await scene.owns(two, 6);
  expect([scene.at, scene.opens, scene.recorded]).toEqual(['server big-3, big-3', [], 1]);
});

test('a zombie does not win while the owner is not in reach: the generations only grow', async () => {
  const [scene, , two, three] = await attached();
  await scene.owns(two, 9);
  two.path.connection.close('The machine is off', true);
  two.scripted.decide = () => undefined;
  await scene.owns(three, 7);
  expect(scene.at).toBe('server big-2, big-2');
  await scene.owns(three, 10);
  expect([scene.at, scene.opens]).toEqual(['server big-3, big-3', ['big-3']]);
});

test('a zombie does not win after the server of the volume has owned the pool again', async () => {
  const [scene, one, two] = await attached();
  await scene.owns(one, 8);
  await scene.owns(two, 7);
  one.path.connection.close('The machine is off', true);
  one.scripted.decide = () => undefined;
  await scene.pass(10);
  expect([scene.at, scene.opens]).toEqual(['server big-1, big-1', []]);
  await scene.owns(two, 9);
  expect([scene.at, scene.opens]).toEqual(['server big-2, big-2', ['big-2']]);
});

test('a volume that was attached without a generation does not move', async () => {
  const [scene, , two] = await attached(null);
  await scene.owns(two, 9);
  expect([scene.at, scene.opens]).toEqual(['server big-1, big-1', []]);
});

test('a server that comes into reach with a higher generation gets the volume', async () => {
  const [scene, , two] = await attached();
  two.path.connection.close('cut', true);
  two.generation = 6;
  two.scripted.generation++;
  await scene.pass(20_000);
  expect([scene.at, scene.opens]).toEqual(['server big-2, big-2', ['big-2']]);
});

test('a server that comes back into reach with the list that it had gets the volume, if it was attached elsewhere meanwhile', async () => {
  const scene = new FarmScene();
  const [one, two] = scene.servers as [FarmServer, FarmServer];
  await scene.owns(one, 5);
  await scene.owns(two, 6);
  const { decide } = two.scripted;
  two.scripted.decide = () => undefined;
  two.path.connection.close('cut', true);
  await scene.pass(10);
  const asked = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.grant(one, 5);
  expect(await asked).toMatchObject([{ done: true }]);
  two.scripted.decide = decide;
  const lists = two.scripted.paths.flatMap((path) => path.requests(OP.LIST)).length;
  await scene.pass(20_000);
  expect([scene.at, scene.opens]).toEqual(['server big-2, big-2', ['big-2']]);
  expect(two.scripted.paths.flatMap((path) => path.requests(OP.LIST))).toHaveLength(lists);
});

test('a list that arrives while the first OPEN is in flight counts as soon as the volume is attached', async () => {
  const scene = new FarmScene();
  const [one, two] = scene.servers as [FarmServer, FarmServer];
  await scene.owns(one, 5);
  const asked = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.owns(two, 6);
  expect(scene.opens).toEqual(['big-1']);
  await scene.grant(one, 5);
  expect(await asked).toMatchObject([{ done: true }]);
  await scene.pass();
  expect([scene.at, scene.opens]).toEqual(['server big-2, big-2', ['big-2']]);
});

test('the first OPEN is refused with MOVED: the attach fails with E_MOVED, or goes on at the owner if one is known by then', async () => {
  const scene = new FarmScene();
  const [one, two] = scene.servers as [FarmServer, FarmServer];
  await scene.owns(one, 5);
  const failing = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.refuse(one, STATUS.MOVED, 'This server does not own pool fast any more');
  expect(await failing).toMatchObject([
    { done: false, error: { code: 'E_MOVED', message: 'This server does not own pool fast any more' } },
  ]);
  const going = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.owns(two, 6);
  await scene.refuse(one, STATUS.MOVED, 'This server does not own pool fast any more');
  await scene.pass();
  expect(scene.opens).toEqual(['big-2']);
  await scene.grant(two, 6);
  expect(await going).toMatchObject([{ done: true, error: null }]);
  expect(scene.at).toBe('server big-2, big-2');
});

test('a detach after the move ends at the new server', async () => {
  const [scene, one, two] = await attached();
  await scene.owns(two, 6);
  await scene.grant(two, 6);
  one.path.connection.close('The machine is off', true);
  one.scripted.decide = () => undefined;
  const detaching = scene.attachments.detach(['oracle'], false, null);
  await scene.pass();
  scene.say(two, two.asked(OP.IOCTL)[0]!, STATUS.OK, Buffer.alloc(0));
  two.path.answerIo(two.asked(OP.FLUSH)[0]!, STATUS.OK);
  await scene.pass();
  await scene.pass();
  scene.say(two, two.asked(OP.CLOSE)[0]!, STATUS.OK, Buffer.alloc(0));
  await scene.pass();
  expect(await detaching).toMatchObject([{ done: true, error: null }]);
});

test('a stop while the volume moves ends', async () => {
  const [scene, , two] = await attached();
  await scene.owns(two, 6);
  const stopping = scene.attachments.stop();
  for (let times = 0; times < 40; times++) await scene.pass(1_000);
  await stopping;
  scene.namespace.stop(STATUS.IO_ERROR, 'The end');
  expect(scene.attachments.list).toEqual([]);
});

test('a snapshot follows the owner of the pool of its volume', async () => {
  const scene = new FarmScene();
  const [one, two] = scene.servers as [FarmServer, FarmServer];
  await scene.owns(one, 5);
  const asked = scene.attachments.attach(['oracle@monday'], false, null);
  await scene.pass();
  await scene.grant(one, 5, 'snapshot');
  await scene.pass();
  scene.say(one, one.asked(OP.IOCTL)[0]!, STATUS.BAD_REQUEST, Buffer.alloc(0));
  await scene.pass();
  expect(await asked).toMatchObject([{ done: true, error: null }]);
  await scene.owns(two, 6);
  expect([scene.at, scene.opens]).toEqual(['server big-2, big-2', ['big-2']]);
});

test('a replica with a generation stays a replica: it is offered without one, and no plain volume goes to it', async () => {
  const [scene, , two] = await attached();
  two.changes = { mirror: 'a'.repeat(32) };
  await scene.owns(two, 6);
  expect(scene.attachments.offers.map(({ server, poolGeneration }) => [server, poolGeneration])).toEqual([
    ['big-1', 5],
    ['big-2', null],
  ]);
  expect(scene.at).toBe('server big-1, big-1');
});

/** A scene in which the volume is attached at the first server, in pool fast under generation 6. */
async function attachedFast(): Promise<[FarmScene, FarmServer, FarmServer, FarmServer]> {
  const scene = new FarmScene();
  const [one, two, three] = scene.servers as [FarmServer, FarmServer, FarmServer];
  await scene.owns(one, 6, 'fast');
  const asked = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.grant(one, 6);
  expect(await asked).toMatchObject([{ done: true, error: null }]);
  return [scene, one, two, three];
}

test.each(['the list', 'an OPEN'])('a job moves the volume to another pool, as %s says: it follows the owner of this pool', async (how) => {
  const [scene, one, two] = await attachedFast();
  if (how === 'the list') await scene.owns(one, 2, 'slow');
  else {
    one.scripted.loseSession();
    for (let times = 0; times < 10; times++) await scene.pass(1_000);
    await scene.grant(one, 2, 'id', 'slow');
  }
  expect([scene.at, scene.opens]).toEqual(['server big-1, big-1', []]);
  await scene.owns(two, 3, 'slow');
  expect([scene.at, scene.opens]).toEqual(['server big-2, big-2', ['big-2']]);
  await scene.grant(two, 3);
  expect(scene.attachments.list[0]!.target.attachments[0]!.ownership).toEqual({ poolId: 'slow', generation: 3 });
});

test('a zombie that lists the old pool under a higher number does not win', async () => {
  const [scene, one, two, three] = await attachedFast();
  await scene.owns(one, 2, 'slow');
  await scene.owns(two, 5, 'fast');
  await scene.owns(three, 9, 'fast');
  expect([scene.at, scene.opens]).toEqual(['server big-1, big-1', []]);
  expect(scene.attachments.list[0]!.target.standing).toBe('ready');
});

/** The server answers a READ with STALE, so that the client opens the volume again. */
async function revoked(scene: FarmScene, server: FarmServer): Promise<void> {
  const request = Object.assign(new Request(), { op: OP.READ, count: 1, bodyBytes: SECTOR_BYTES, buffer: Buffer.alloc(SECTOR_BYTES) });
  scene.attachments.list[0]!.target.submit(request, scene.clock.monotonicMs());
  await scene.pass();
  server.path.answerIo(server.asked(OP.READ)[0]!, STATUS.STALE);
  await scene.pass(1_000);
  expect(scene.opens).toEqual([server.scripted.name]);
}

test('the list of a server that has refused OPEN replaces nothing, until an OPEN is granted', async () => {
  const [scene, one] = await attachedFast();
  const [attachment] = scene.attachments.list[0]!.target.attachments;
  await revoked(scene, one);
  await scene.refuse(one, STATUS.MOVED, 'This server does not own pool fast any more');
  await scene.owns(one, 2, 'slow');
  expect([attachment!.ownership, attachment!.refusals]).toEqual([{ poolId: 'fast', generation: 6 }, 1]);
  await scene.pass(1_000);
  await scene.grant(one, 2);
  expect([attachment!.ownership, attachment!.refusals]).toEqual([{ poolId: 'slow', generation: 2 }, 0]);
});

test('the server of the volume is a zombie of the old pool: after its refusal, the volume goes to the owner in the other pool', async () => {
  const [scene, one, two] = await attachedFast();
  await scene.owns(two, 3, 'slow');
  expect(scene.at).toBe('server big-1, big-1');
  await revoked(scene, one);
  await scene.refuse(one, STATUS.MOVED, 'This server does not own pool fast any more');
  await scene.pass(10);
  expect([scene.at, scene.opens]).toEqual(['server big-2, big-2', ['big-2']]);
  await scene.grant(two, 3);
  expect(scene.attachments.list[0]!.target.standing).toBe('ready');
});

test('wrong guesses go on to the next server, back to the old one, and in one round a second', async () => {
  const [scene, one, two, three] = await attachedFast();
  await scene.owns(two, 3, 'slow');
  await scene.owns(three, 1, 'third');
  await scene.owns(one, null);
  expect(scene.opens).toEqual(['big-2']);
  await scene.owns(two, 4, 'slow');
  expect(scene.attachments.list[0]!.target.attachments[0]!.ownership).toEqual({ poolId: 'fast', generation: 6 });
  await scene.refuse(two, STATUS.TAKEN, 'A zombie knows an old hold');
  await scene.pass(10);
  expect(scene.opens).toEqual(['big-3']);
  await scene.refuse(three, STATUS.UNKNOWN_VOLUME, 'No such volume');
  await scene.pass(10);
  expect(scene.opens).toEqual([]);
  await scene.pass(1_000);
  expect(scene.opens).toEqual(['big-3']);
  await scene.refuse(three, STATUS.UNKNOWN_VOLUME, 'No such volume');
  await scene.pass(10);
  expect(scene.opens).toEqual(['big-2']);
  await scene.owns(one, 6, 'fast');
  expect(scene.opens).toEqual(['big-2']);
  await scene.refuse(two, STATUS.MOVED, 'This server does not own pool slow');
  await scene.pass(10);
  expect(one.asked(OP.CLOSE)).toEqual([]);
  const [revoke] = one.asked(OP.REVOKE);
  if (revoke !== undefined) one.path.say(OP.REVOKED, 6);
  await scene.pass(10);
  expect(scene.opens).toEqual(['big-1']);
  await scene.grant(one, 6);
  expect([scene.at, scene.attachments.list[0]!.target.standing]).toEqual(['server big-1, big-1', 'ready']);
});

test.each([STATUS.MOVED, STATUS.HELD])(
  'the first attach with offers in two pools: status %s of one server leads to the other',
  async (status) => {
    const scene = new FarmScene();
    const [one, two] = scene.servers as [FarmServer, FarmServer];
    await scene.owns(one, 6, 'fast');
    await scene.owns(two, 3, 'slow');
    const failing = scene.attachments.attach(['oracle'], false, null);
    await scene.pass();
    await scene.refuse(one, status, 'Refused by one');
    await scene.pass();
    await scene.refuse(two, STATUS.MOVED, 'Refused by two');
    const message = status === STATUS.MOVED ? 'Refused by two' : 'Refused by one';
    expect(await failing).toMatchObject([{ done: false, error: { message } }]);
    const asked = scene.attachments.attach(['oracle'], false, null);
    await scene.pass();
    expect(scene.opens).toEqual(['big-1']);
    await scene.refuse(one, status, 'Refused by one');
    await scene.pass();
    expect(scene.opens).toEqual(['big-2']);
    await scene.grant(two, 3);
    expect(await asked).toMatchObject([{ done: true, error: null }]);
    expect(scene.at).toBe('server big-2, big-2');
  },
);

test('the first attach from a named server tries it, although the owner in another pool is listed before it', async () => {
  const scene = new FarmScene();
  const [one, two] = scene.servers as [FarmServer, FarmServer];
  await scene.owns(one, 6, 'fast');
  await scene.owns(two, 3, 'slow');
  const asked = scene.attachments.attach(['oracle'], false, 'big-2');
  await scene.pass();
  expect(scene.opens).toEqual(['big-2']);
  await scene.grant(two, 3);
  expect(await asked).toMatchObject([{ done: true, error: null }]);
});

test('an OPEN that was given up ends no hold when its server grants it after another server has granted the volume', async () => {
  const scene = new FarmScene();
  const [one, two] = scene.servers as [FarmServer, FarmServer];
  await scene.owns(one, 5);
  const first = scene.attachments.attach(['oracle'], false, null);
  await scene.pass(ATTACH_WAIT_MS + 100);
  expect(await first).toMatchObject([{ error: { code: 'E_TIMEOUT' } }]);
  await scene.owns(two, 6);
  const second = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.grant(two, 6);
  expect(await second).toMatchObject([{ done: true, error: null }]);
  await scene.grant(one, 5);
  await scene.pass(10_000);
  expect([one.asked(OP.CLOSE), one.path.requests(OP.REVOKE).length]).toEqual([[], 1]);
  one.path.say(OP.REVOKED, 5);
  await scene.owns(one, 7);
  expect([scene.at, scene.opens]).toEqual(['server big-1, big-1', ['big-1']]);
});

test('a different volume of the same name is closed and its hold ends, although another server has granted one in a shared pool', async () => {
  const scene = new FarmScene();
  const [one, two] = scene.servers as [FarmServer, FarmServer];
  one.changes = { id: 'other', poolGeneration: undefined };
  await scene.owns(one, 1);
  const first = scene.attachments.attach(['oracle'], false, null);
  await scene.pass(10);
  await scene.grant(one, null, 'other');
  await first;
  const detached = scene.attachments.detach(['oracle'], false, null);
  for (let turn = 0; turn < 3; turn++) {
    for (const frame of [...one.asked(OP.FLUSH), ...one.asked(OP.IOCTL)]) scene.say(one, frame, STATUS.OK, Buffer.alloc(0));
    await scene.pass(10);
  }
  // The server still executes a request of the handle, so that CLOSE is repeated.
  scene.say(one, one.asked(OP.CLOSE)[0]!, STATUS.BAD_REQUEST, Buffer.alloc(0));
  await scene.owns(two, 6);
  const second = scene.attachments.attach(['oracle'], false, 'big-2');
  await scene.pass();
  await scene.grant(two, 6);
  expect(await second).toMatchObject([{ done: true, error: null }]);
  await scene.pass(5_000);
  expect([one.asked(OP.CLOSE).length, one.path.requests(OP.REVOKE)]).toEqual([1, []]);
  scene.say(one, one.asked(OP.CLOSE)[0]!, STATUS.OK, Buffer.alloc(0));
  await scene.pass();
  expect(await detached).toMatchObject([{ done: true, error: null }]);
});

test('an OPEN that was given up, and is granted for a different volume of the same name, is closed', async () => {
  const scene = new FarmScene();
  const [one, two] = scene.servers as [FarmServer, FarmServer];
  one.changes = { id: 'other', poolGeneration: undefined };
  await scene.owns(one, 1);
  const first = scene.attachments.attach(['oracle'], false, null);
  await scene.pass(ATTACH_WAIT_MS + 100);
  expect(await first).toMatchObject([{ error: { code: 'E_TIMEOUT' } }]);
  await scene.owns(two, 6);
  const second = scene.attachments.attach(['oracle'], false, 'big-2');
  await scene.pass();
  await scene.grant(two, 6);
  await second;
  await scene.grant(one, null, 'other');
  await scene.pass(1_000);
  expect([one.asked(OP.CLOSE).length, one.path.requests(OP.REVOKE)]).toEqual([1, []]);
});
