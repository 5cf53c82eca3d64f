// Tests what an exchange of the roles says if its source stops answering, before and after it was told to hand over. The peer is a
// stand-in, and the follower is real. roles.test.ts tests the exchange.

import type { ManagedVolumeView } from '@rsio/api/views/views';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { OfferedSource, peerConfig, seen } from '../../testing/offering-peers.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { PoolScene } from '../../testing/pool-scene.ts';
import { volumeIn } from '../../testing/volume-content.ts';
import { FailingStep } from '../../testing/stopped-verbs.ts';
import { WHOLE_CHANGES } from '../../testing/whole-turn.ts';
import { HAND_OVER_RETRY_MS, PEER_ANSWER_GRACE_MS } from '../limits.ts';
import { FollowerService } from './follower-service.ts';

usePoolDirectory();

const CHECK_MAX_MS = 15_000;
let service: FollowerService;
let scene: PoolScene;
/** What the peer answers to a check and to the order. */
let answers: { check: Error | null; order: Error | null; node: string };
/** The clients of this server. */
let clients: string[];
let waitsMs: number[];
let clock: FakeClock;
let failing: FailingStep;
/** Ids of the hand-overs for which the peer was asked. */
let asked: unknown[];

beforeEach(async () => {
  clock = new FakeClock();
  failing = new FailingStep('change: commit');
  scene = await PoolScene.open(directory, { clock, reached: failing.reached });
  scenes.push(scene);
  [answers, waitsMs, asked, clients] = [{ check: null, order: null, node: 'oslo' }, [], [], ['oslo']];
  const source = new OfferedSource(1, ['db']);
  const call = async (_name: string, method: string, params: object, withinMs: number): Promise<unknown> => {
    if (method === 'replication-poll') return { nowMs: clock.wallMs(), orders: [source.order(null)] };
    if (method !== 'replication-grant') throw new RsError('E_BUSY', 'not now');
    waitsMs.push(withinMs);
    asked.push((params as { wanted: string }).wanted);
    const error = (params as { checkOnly: boolean }).checkOnly ? answers.check : answers.order;
    if (error !== null) throw error;
    return { node: answers.node };
  };
  service = new FollowerService({
    clock,
    verbs: scene.verbs,
    snapshots: scene.snapshots,
    differences: { difference: () => Promise.reject(new Error('unused')) },
    log: { info: () => undefined, warn: () => undefined, debug: () => undefined },
    peers: {
      call,
      pull: () => Promise.reject(new Error('unused')),
      closeLeft: () => Promise.resolve(),
      state: (name) => ({ name, isConnected: true, pathsUp: 1, sinceMs: 0, trouble: null }),
    },
    isClient: (name) => clients.includes(name),
    configured: () => [peerConfig('oslo')],
    isRead: () => false,
    change: (work) => work(),
  });
  service.followers.start();
  await seen(() => scene.pools.states.flatMap(({ volumes }) => [...volumes.values()])).toHaveLength(1);
});

afterEach(() => service.followers.stop());

const reverse = (...names: readonly string[]) => {
  const changes = { ...WHOLE_CHANGES, by: 'test', note: () => undefined };
  const handlers = service.handlers(changes, () => Promise.reject(new Error('unused')), LOCAL_ASKER);
  return handlers['volume-reverse']({
    volumes: ['db', ...names].map((name) => ({ name, universe: 0 })),
    client: null,
    reversible: null,
    cancel: false,
    request: null,
  });
};
const silent = (isOutcomeUnknown: boolean) => new RsError('E_TIMEOUT', 'The server did not answer', { isOutcomeUnknown });
const WAYS =
  'rsadm volume replications shows whether the roles are being exchanged; ' +
  'rsadm volume reverse db --cancel gives it up, or if oslo is lost, rsadm volume promote db';

test('a source that does not answer the check fails the command soon, and nothing was changed', async () => {
  answers.check = silent(true);
  const message = `Server oslo does not answer, and nothing was changed: ${WAYS}`;
  await expect(reverse()).rejects.toMatchObject({ code: 'E_TIMEOUT', message, context: { isOutcomeUnknown: false } });
  expect(waitsMs).toHaveLength(1);
  expect(waitsMs[0]! + PEER_ANSWER_GRACE_MS).toBeLessThanOrEqual(CHECK_MAX_MS);
});

test('after the order to hand over, the outcome is unknown unless the order was not sent', async () => {
  answers.order = silent(true);
  const message = `Server oslo does not answer, and it is unknown whether it hands db over: ${WAYS}`;
  await expect(reverse()).rejects.toMatchObject({ message, context: { isOutcomeUnknown: true } });
  answers.order = silent(false);
  await expect(reverse()).rejects.toThrow(`Server oslo does not answer, and nothing was changed: ${WAYS}`);
});

test('an error that the source answers is passed on', async () => {
  answers.check = new RsError('E_UNREACHABLE', 'The source is not connected to bergen');
  await expect(reverse()).rejects.toBe(answers.check);
});

// Regression: some followers wanted a hand-over that no server was ever asked for.
test('a wish that could not be recorded at all followers is taken back', async () => {
  failing.isOn = true;
  await expect(reverse()).rejects.toThrow('EIO');
  expect(waitsMs).toHaveLength(1);
  await scene.pools.close();
  const again = await PoolScene.open(directory, { clock: new FakeClock() });
  scenes.push(again);
  const found = again.pools.states.flatMap(({ volumes }) => [...volumes.values()].map(({ follower }) => follower?.wanted));
  expect(found).toEqual([undefined]);
});

// Regression: the lane gives up what only some followers want, and a late message about that would have opened the source again.
test('a wish that only some followers have gets a new id, and one that all have keeps its id', async () => {
  const { manifest } = volumeIn(scene, 'db');
  const follower = manifest.follower!;
  const wanted = { replication: '00000000-0000-4000-8000-0000000000a1', node: 'oslo', reversible: false };
  await scene.create({ name: 'log', sizeBytes: 4096 });
  const log = volumeIn(scene, 'log').manifest;
  const ofLog = { ...follower, sourceId: '00000000-0000-4000-8000-0000000000a2', sourceName: 'log' };
  scene.pools.put('fast', { ...manifest, follower: { ...follower, wanted } });
  scene.pools.put('fast', { ...log, follower: ofLog });
  await reverse('log');
  expect([asked.length, new Set(asked).size, asked.includes(wanted.replication)]).toEqual([2, 1, false]);
  const known = asked[0];
  await reverse('log');
  expect(asked).toEqual([known, known, known, known]);
});

test('the old source may attach the volumes as the client of its name, or else as the one that rsconfig peer add makes', async () => {
  [clients, answers.node] = [['peer-oslo'], 'peer-oslo'];
  await reverse();
  expect(volumeIn(scene, 'db').manifest.follower?.wanted?.node).toBe('peer-oslo');
  clients = ['oslo', 'peer-oslo'];
  await expect(reverse()).rejects.toThrow('connects to this server as client peer-oslo, and not as oslo: give --client peer-oslo');
  clients = ['big-2'];
  await expect(reverse()).rejects.toThrow('has no client oslo: rsadm client add oslo adds it');
});

test('the roles are not exchanged while a volume of the source has no follower', async () => {
  const { manifest } = volumeIn(scene, 'db');
  const follower = manifest.follower!;
  const members = [...follower.members, '00000000-0000-4000-8000-0000000000a2'];
  scene.pools.put('fast', { ...manifest, follower: { ...follower, members } });
  await expect(reverse()).rejects.toMatchObject({
    code: 'E_BUSY',
    message: expect.stringContaining('more volumes than there are followers'),
  });
  expect(asked).toEqual([]);
});

/** `before`: what happens while the command waits for its turn. */
const seed = (before: () => Promise<unknown>, from = 'carried') => {
  const run: typeof WHOLE_CHANGES.run = async (work, what) => {
    await before();
    return WHOLE_CHANGES.run(work, what);
  };
  const changes = { ...WHOLE_CHANGES, run, by: 'test', note: () => undefined };
  const handlers = service.handlers(changes, () => Promise.reject(new Error('unused')), LOCAL_ASKER);
  return handlers['volume-seed']({ volume: { name: 'db', universe: 0 }, from: { name: from, universe: 0 }, request: null });
};
const remove = (name: string) => scene.verbs.remove({ name, universe: 0 }, LOCAL_ASKER, null);

test.each(['carried', 'db'])('volume %s, which was removed while volume seed waited, is named', async (name) => {
  await scene.create({ name: 'carried', sizeBytes: 4096 });
  await expect(seed(() => remove(name))).rejects.toMatchObject({
    code: 'E_UNKNOWN_VOLUME',
    message: `No volume ${name} on this server: volume list shows them`,
  });
});

test('a refused volume seed does not interrupt the replication', async () => {
  let isQuiet = false;
  const { followers } = service;
  followers.whileQuiet = async (_, work) => {
    isQuiet = true;
    return work();
  };
  await expect(seed(() => Promise.resolve(), 'db')).rejects.toThrow('db is a follower itself');
  expect(isQuiet).toBe(false);
});

// Regression: the last moment for which the peer had asked before its promotion was still in the making, and the demotion was refused.
test('a demotion waits for a snapshot in the making', async () => {
  await scene.verbs.rename({ name: 'db', universe: 0 }, { name: 'follower', universe: 0 }, LOCAL_ASKER, null);
  await scene.create({ name: 'db' });
  let tries = 0;
  const run: typeof WHOLE_CHANGES.run = (work, what) =>
    tries++ === 0 ? Promise.reject(new RsError('E_BUSY', 'A snapshot is being made')) : WHOLE_CHANGES.run(work, what);
  const changes = { ...WHOLE_CHANGES, run, by: 'test', note: () => undefined };
  const handlers = service.handlers(changes, () => Promise.resolve({} as ManagedVolumeView), LOCAL_ASKER);
  const demoted = handlers['volume-demote']({ volumes: [{ name: 'db', universe: 0 }], peer: 'oslo', checkOnly: false, request: null });
  await seen(() => [tries]).toEqual([1]);
  await seen(() => {
    clock.advance(HAND_OVER_RETRY_MS);
    return [tries];
  }).toEqual([2]);
  expect((await demoted).kept).toMatch(/^before-demotion-/);
});
