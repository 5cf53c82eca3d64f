// Tests what becomes of a promotion and of a drill if the pool of the followers is full to the last block. After a disaster, a promotion is
// the only way to the data, and nobody can make room at the source any more. Rules: T7.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { following } from '../../pools/follower-rules.ts';
import { SPARE_BYTES } from '../../pools/limits.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { named, openSources, type SourceScene, SourceTime } from '../../testing/source-scene.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';
import { FollowerVerbs } from './follower-verbs.ts';
import { Promotion } from './promotion.ts';

usePoolDirectory();

const uuid = (digit: string): string => `00000000-0000-4000-8000-00000000000${digit}`;
const NAMES = ['db', 'log'];
let s: SourceScene;
/** Called at each clone of a file; returns true if the file system has no room for it. */
let isFull: () => boolean;
const spares = (): readonly string[] => readdirSync(join(s.scene.pools.states[0]!.path, 'spare'));

beforeEach(async () => {
  isFull = () => false;
  const reached = (step: string): void => {
    if ((step === 'clone: data' || step === 'clone: aside') && isFull()) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
  };
  s = await openSources(directory, new SourceTime(), { reached });
  scenes.push(s.scene);
  const followers = new FollowerVerbs(s.scene.verbs);
  const members = NAMES.map((name, index) => ({ id: uuid(String(index + 1)), name, universe: 0, sizeBytes: 4096, blockSizeBytes: 512 }));
  const snapshots = members.map(({ id, sizeBytes, blockSizeBytes }, index) => ({
    volumeId: id,
    id: uuid(String(index + 3)),
    snapshot: 'last',
    sizeBytes,
    blockSizeBytes,
    origin: null,
  }));
  const moment = { group: uuid('b'), momentMs: 1_000, place: null, snapshots };
  const settings = { pool: 'fast', everyMs: 60_000, keep: 3, limitBytes: null, confirmed: null, problem: null, isMirror: false };
  const order = { replication: uuid('9'), ...settings, shared: null, handOver: null, members, moments: [moment] };
  for (const member of members) await followers.create(order, member, { name: 'oslo', pools: null });
  for (const snapshot of snapshots) {
    const found = followers.of(order.replication).find(({ manifest }) => manifest.follower?.sourceId === snapshot.volumeId)!;
    const { state } = await followers.prepare(found.manifest.id, snapshot, null);
    await followers.arrived(found.manifest.id, { ...state, positionBytes: snapshot.sizeBytes }, 0);
    await followers.commit(found.manifest.id, moment, snapshot, null);
  }
  const folder = join(s.scene.pools.states[0]!.path, 'spare');
  mkdirSync(folder, { recursive: true });
  for (const name of ['0', '1', '2']) writeFileSync(join(folder, name), Buffer.alloc(SPARE_BYTES));
});

const promotion = (): Promotion => new Promotion(s.scene.verbs, s.scene.snapshots);

test('a promotion takes the room that the pool keeps for changes on a full file system', async () => {
  const before = spares().length;
  // Each clone needs the space of one spare file more than the clone before it.
  let needs = 0;
  isFull = () => before - spares().length <= needs;
  const { volumes } = await promotion().promote(named(...NAMES), LOCAL_ASKER, null, (manifest) => {
    needs++;
    return manifest;
  });
  expect(volumes.map(({ manifest }) => following(manifest))).toEqual([null, null]);
  expect(spares()).toHaveLength(before - 2);
});

test('a promotion without any room names the pool, changes nothing, and succeeds when there is room', async () => {
  isFull = () => true;
  await expect(promotion().promote(named(...NAMES), LOCAL_ASKER, null)).rejects.toThrow(
    /Pool fast .*cannot be changed \(ENOSPC\): free space/,
  );
  expect(NAMES.map((name) => following(s.volume(name).manifest)?.promoted)).toEqual([null, null]);
  isFull = () => false;
  await promotion().promote(named(...NAMES), LOCAL_ASKER, null);
  expect(NAMES.map((name) => following(s.volume(name).manifest))).toEqual([null, null]);
});

test('a drill whose second clone finds no room leaves no clone, and the spare room to a promotion', async () => {
  const before = spares().length;
  let clones = 0;
  isFull = () => ++clones > 1;
  const drill = (): Promise<unknown> => promotion().drill(named(...NAMES), '-drill', LOCAL_ASKER, null, WHOLE_TURN);
  await expect(drill()).rejects.toThrow(
    /^The clones for the drill cannot be made \(.*\(ENOSPC\): free space there\): no clone is left; volume promote works on a full pool, too$/,
  );
  expect([s.scene.served.has('db-drill@0'), spares().length]).toEqual([false, before]);
  isFull = () => false;
  await drill();
  expect(s.scene.served.has('log-drill@0')).toBe(true);
});
