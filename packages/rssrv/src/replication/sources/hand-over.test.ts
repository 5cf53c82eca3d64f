// Tests a hand-over at the source: what is closed for clients and when, what is refused meanwhile, a stop after each step, and what the
// volumes become. The other server's part is tested in followers/roles.test.ts.

import { beforeEach, expect, test } from 'vitest';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { closedFor, following } from '../../pools/follower-rules.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { named, openSources, order, OTHER_PEER, PEER, type SourceScene, SourceTime } from '../../testing/source-scene.ts';
import { FailingStep } from '../../testing/stopped-verbs.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';
import { HandOver } from './hand-over.ts';
import { orderOf } from './source-orders.ts';

usePoolDirectory();

const SERVER = 'oslo';
const REVERSE = '00000000-0000-4000-8000-0000000000aa';
const NEW_IDS = ['b', 'c'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`);
let time: SourceTime;
let s: SourceScene;
let isConnected: boolean;
let handOver: HandOver;
let failing: FailingStep;
let id: string;

beforeEach(async () => {
  [time, isConnected] = [new SourceTime(), true];
  failing = new FailingStep('change: commit');
  s = await openSources(directory, time, { reached: failing.reached });
  scenes.push(s.scene);
  for (const name of ['db', 'log']) await s.scene.create({ name });
  ({ id } = await s.begin(['db', 'log']));
  handOver = new HandOver({
    verbs: s.scene.verbs,
    peers: () => [{ name: SERVER, nodename: 'bergen' } as PeerConfig],
    peerState: (name) => ({ name, isConnected, pathsUp: 1, sinceMs: 0, trouble: null }),
  });
});

const close = (): Promise<void> => handOver.close(id, SERVER, REVERSE, PEER);
/** Closes the volumes, and makes the last moment. */
async function closeWithLast(): Promise<void> {
  await close();
  await handOver.last(id, (await s.moment()).group, PEER);
}
const closed = (name: string): string | undefined => closedFor(s.volume(name).manifest)?.server;
const handed = (momentsMax = 9) => orderOf(s.only, () => true, momentsMax).handOver;
const reversed = () =>
  ['db', 'log'].map((name, index) => ({ sourceId: s.volume(name).manifest.id, id: NEW_IDS[index] ?? '', name, universe: 0 }));

test('closes all members, makes a last moment, and the order names it only then', async () => {
  await close();
  expect(['db', 'log'].map(closed)).toEqual([SERVER, SERVER]);
  expect([...s.scene.served.values()].map(({ pool }) => pool?.follows?.server)).toEqual([SERVER, SERVER]);
  expect(handed()).toBe(null);
  // The last moment does not wait, although another one was just made.
  await s.moment();
  const last = await s.moment();
  await handOver.last(id, last.group, PEER);
  expect(handed()).toEqual({ replication: REVERSE, group: last.group, node: 'bergen' });
  await s.confirm(last);
  expect(handed()?.group).toBe(last.group);
});

test('the last moment is the newest one, and none is made after it, because only the newest one is copied', async () => {
  await close();
  const asked = await s.moment();
  const newest = await s.moment();
  await handOver.last(id, asked.group, PEER);
  expect(handed()?.group).toBe(newest.group);
  expect((await s.moment()).group).toBe(newest.group);
});

test('refuses while a client has a member, and leaves none closed', async () => {
  s.scene.used.add(s.volume('log').manifest.id);
  await expect(close()).rejects.toMatchObject({ code: 'E_HELD' });
  expect(['db', 'log'].map(closed)).toEqual([undefined, undefined]);
});

test('refuses a client that is not the one of the order, an unknown server, and a server that is not connected', async () => {
  await expect(handOver.close(id, SERVER, REVERSE, OTHER_PEER)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  expect(() => handOver.check(id, 'elsewhere', PEER)).toThrow('rsadm peer add elsewhere');
  isConnected = false;
  expect(() => handOver.check(id, SERVER, PEER)).toThrow('not connected');
  expect(closed('db')).toBe(undefined);
});

test('a repeated request goes on with the first one', async () => {
  await close();
  await handOver.close(id, SERVER, NEW_IDS[0] ?? '', PEER);
  expect(s.volume('db').manifest.replication?.handOver?.replication).toBe(REVERSE);
});

test('what would change the content is refused meanwhile, and so are other settings and the end', async () => {
  const { snapshots } = await s.moment();
  await close();
  const at = { name: 'db', universe: 0, snapshot: snapshots[0]?.name ?? '' };
  const busy = { code: 'E_BUSY' };
  await expect(s.scene.snapshots.rollback(at, LOCAL_ASKER, null)).rejects.toMatchObject(busy);
  await expect(s.scene.snapshots.snapshot([{ ...at, snapshot: 'own' }], LOCAL_ASKER, null, WHOLE_TURN)).rejects.toMatchObject(busy);
  await expect(s.scene.verbs.grow({ name: 'db', universe: 0 }, 2_097_152, LOCAL_ASKER, null)).rejects.toMatchObject(busy);
  await expect(s.sources.replicate(order(['db', 'log'], { keep: 9 }), LOCAL_ASKER, null)).rejects.toMatchObject(busy);
  await expect(s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false)).rejects.toMatchObject(busy);
  await handOver.cancel(s.only.members);
  expect(['db', 'log'].map(closed)).toEqual([undefined, undefined]);
  await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
});

test('makes the members followers of the volumes that have taken over, the home last', async () => {
  await expect(handOver.done(id, reversed(), PEER)).rejects.toMatchObject({ code: 'E_USAGE' });
  await close();
  // Without the last moment, the other server cannot have the content.
  await expect(handOver.done(id, reversed(), PEER)).rejects.toMatchObject({ code: 'E_USAGE' });
  await closeWithLast();
  await expect(handOver.done(id, reversed().slice(0, 1), PEER)).rejects.toMatchObject({ code: 'E_USAGE' });
  expect(s.all).toHaveLength(1);
  await handOver.done(id, reversed(), PEER);
  const marks = ['db', 'log'].map((name) => following(s.volume(name).manifest));
  expect(marks).toMatchObject(NEW_IDS.map((sourceId) => ({ replication: REVERSE, peer: SERVER, sourceId, members: NEW_IDS })));
  expect(s.all).toEqual([]);
  expect(['db', 'log'].map((name) => s.volume(name).manifest.replication)).toEqual([undefined, undefined]);
});

test('goes on after an interruption, also after a restart, when one volume follows already', async () => {
  await closeWithLast();
  failing.isOn = true;
  await expect(handOver.done(id, reversed(), PEER)).rejects.toThrow('EIO');
  expect(['db', 'log'].map((name) => following(s.volume(name).manifest) === null)).toEqual([true, false]);
  expect(handed()?.replication).toBe(REVERSE);
  await s.scene.pools.readAgain('fast');
  await handOver.done(id, reversed(), PEER);
  expect(['db', 'log'].map((name) => following(s.volume(name).manifest)?.sourceId)).toEqual(NEW_IDS);
  expect(s.all).toEqual([]);
});

test('waits for a member whose pool is not open', async () => {
  await closeWithLast();
  const { pool, manifest } = s.volume('log');
  const volumes = new Map([...pool.volumes].filter(([key]) => key !== manifest.id));
  const verbs = Object.create(s.scene.verbs, {
    pools: { value: Object.create(s.scene.pools, { states: { value: [{ ...pool, volumes }] } }) },
    catalogue: { value: { ...s.scene.verbs.catalogue, pools: [{ ...pool, volumes }] } },
  });
  const away = new HandOver({ verbs, peers: () => [], peerState: () => null });
  await expect(away.done(id, reversed(), PEER)).rejects.toMatchObject({ code: 'E_BUSY' });
  expect(s.all).toHaveLength(1);
});
