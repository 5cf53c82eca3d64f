// Tests a hand-over at the source: who may ask for it, what is closed for clients and when, what is refused meanwhile, and how it is called
// off. followers/roles.test.ts tests the other server's part, and how the volumes follow. Rules: T9.

import { RsError } from '@rsio/base/lib/errors';
import { beforeEach, expect, test, vi } from 'vitest';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { closedFor } from '../../pools/follower-rules.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { named, openSources, order, OTHER_PEER, PEER, type SourceScene, SourceTime } from '../../testing/source-scene.ts';
import { FailingStep } from '../../testing/stopped-verbs.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';
import { HandOver } from './hand-over.ts';
import { orderOf } from './source-orders.ts';

usePoolDirectory();

const SERVER = 'oslo';
const REVERSE = '00000000-0000-4000-8000-0000000000aa';
const OTHER_ID = '00000000-0000-4000-8000-0000000000bb';
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
  ({ id } = await s.begin(['db', 'log'], { reversible: SERVER }));
  handOver = new HandOver({
    verbs: s.scene.verbs,
    peers: () => [{ name: SERVER, nodename: 'bergen' } as PeerConfig],
    peerState: (name) => ({ name, isConnected, pathsUp: 1, sinceMs: 0, trouble: null }),
  });
});

const close = (): Promise<void> => handOver.close(id, REVERSE, PEER);
/** Closes the volumes, and makes the last moment. */
async function closeWithLast(): Promise<void> {
  await close();
  await handOver.last(id, REVERSE, (await s.moment()).group, PEER);
}
const closed = (name: string): string | undefined => closedFor(s.volume(name).manifest)?.server;
const handed = (momentsMax = 9) => orderOf(s.only, () => true, momentsMax).handOver;
test('closes all members, makes a last moment, and the order names it only then', async () => {
  await close();
  expect(['db', 'log'].map(closed)).toEqual([SERVER, SERVER]);
  expect([...s.scene.served.values()].map(({ pool }) => pool?.follows?.server)).toEqual([SERVER, SERVER]);
  expect(handed()).toBe(null);
  // The last moment does not wait, although another one was just made.
  await s.moment();
  const last = await s.moment();
  await handOver.last(id, REVERSE, last.group, PEER);
  expect(handed()).toEqual({ replication: REVERSE, group: last.group, node: 'bergen' });
  await s.confirm(last);
  expect(handed()?.group).toBe(last.group);
});

test('the last moment is the newest one, and none is made after it, because only the newest one is copied', async () => {
  await close();
  const asked = await s.moment();
  const newest = await s.moment();
  await handOver.last(id, REVERSE, asked.group, PEER);
  expect(handed()?.group).toBe(newest.group);
  expect((await s.moment()).group).toBe(newest.group);
});

test('refuses while a client has a member, and leaves none closed', async () => {
  s.scene.used.add(s.volume('log').manifest.id);
  await expect(close()).rejects.toMatchObject({ code: 'E_HELD' });
  expect(['db', 'log'].map(closed)).toEqual([undefined, undefined]);
});

test('the check before a hand-over does not refuse because a moment is being copied, but because a client has a member', () => {
  const { verbs } = s.scene;
  const refuse = vi.spyOn(verbs, 'checkUnheld').mockImplementation(() => {
    throw new RsError('E_HELD', 'A moment is being copied', { isPassing: true });
  });
  expect(handOver.check(id, PEER)).toBe('bergen');
  refuse.mockRestore();
  s.scene.used.add(s.volume('log').manifest.id);
  expect(() => handOver.check(id, PEER)).toThrow('in use');
});

test('refuses a client that is not the one of the order, an unknown server, and a server that is not connected', async () => {
  await expect(handOver.close(id, REVERSE, OTHER_PEER)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  isConnected = false;
  expect(() => handOver.check(id, PEER)).toThrow('not connected');
  await s.sources.replicate(order(['db', 'log'], { reversible: 'elsewhere' }), LOCAL_ASKER, null);
  expect(() => handOver.check(id, PEER)).toThrow('rsadm peer add elsewhere');
  expect(closed('db')).toBe(undefined);
});

test('closes for nobody without the consent of a person here, whatever the right of the client is', async () => {
  await s.sources.replicate(order(['db', 'log']), LOCAL_ASKER, null);
  await expect(close()).rejects.toMatchObject({ code: 'E_RIGHTS', message: expect.stringContaining('--keep 2 --reversible PEER') });
  expect(closed('db')).toBe(undefined);
});

test('a volume of several files is not handed over, because its first file would follow', async () => {
  await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
  const { pool, manifest } = s.volume('db');
  const parts = [{ poolId: manifest.id, fileId: manifest.id, sizeBytes: 512 }] as const;
  s.scene.pools.put(pool.name, { ...manifest, layout: { kind: 'concat', parts } } as unknown as typeof manifest);
  const asked = s.sources.replicate(order(['db'], { reversible: SERVER }), LOCAL_ASKER, null);
  await expect(asked).rejects.toThrow('Volume db has several files, and cannot be handed over');
});

test('a repeated request goes on with the first one, and another one is refused until the first is given up', async () => {
  await close();
  await close();
  await expect(handOver.close(id, OTHER_ID, PEER)).rejects.toMatchObject({ code: 'E_USAGE' });
  expect(s.volume('db').manifest.replication?.handOver?.replication).toBe(REVERSE);
});

test('opens again for exactly the hand-over that is given up, also after an interruption', async () => {
  await closeWithLast();
  await handOver.release(id, OTHER_ID, PEER);
  expect(['db', 'log'].map(closed)).toEqual([SERVER, SERVER]);
  failing.isOn = true;
  await expect(handOver.release(id, REVERSE, PEER)).rejects.toThrow('EIO');
  // The order still names the hand-over, so that the request is repeated.
  await s.scene.pools.readAgain('fast');
  expect(orderOf(s.only, () => true, 9).granted).toBe(REVERSE);
  await handOver.release(id, REVERSE, PEER);
  expect(['db', 'log'].map(closed)).toEqual([undefined, undefined]);
  expect(orderOf(s.only, () => true, 9).granted).toBe(null);
});

test('a last moment that was made before the hand-over was called off is recorded for no other one', async () => {
  await close();
  const { group } = await s.moment();
  await handOver.release(id, REVERSE, PEER);
  await expect(handOver.last(id, REVERSE, group, PEER)).rejects.toMatchObject({ code: 'E_USAGE' });
  await handOver.close(id, OTHER_ID, PEER);
  await expect(handOver.last(id, REVERSE, group, PEER)).rejects.toMatchObject({ code: 'E_USAGE' });
  expect(handed()).toBe(null);
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
