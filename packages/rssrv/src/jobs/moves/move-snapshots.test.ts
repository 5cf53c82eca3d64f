// Tests moves of volumes with snapshots: all snapshots move with their content, including snapshots that are made during the move, but no
// snapshot that is removed during the move. After a stop at each step, the volume is in one pool with all of its snapshots. Other tests
// check refused moves. Rules: G28.

import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { type MoveHooks, MoveScene } from '../../testing/move-scene.ts';
import { PLAIN_CLONES } from '../../testing/plain-clones.ts';
import { PoolScene } from '../../testing/pool-scene.ts';
import { directory, NAMES, openMoves, parent, useTwoPools } from '../../testing/two-pools.ts';
import { snapshotContent, volumeContent, volumeIn, writeVolume } from '../../testing/volume-content.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import { eachStop, type Run, type Stop } from '../../testing/stopped-verbs.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';

const KIB = 1024;
const SIZE = 32 * KIB;
const DB = { name: 'db', universe: 0 };

useTwoPools();

/** Writes one block, and leaves the other blocks unchanged. */
function write({ scene }: MoveScene, block: number, value: number): void {
  const content = volumeContent(scene, 'db');
  content.fill(value, block * 4 * KIB, (block + 1) * 4 * KIB);
  writeVolume(scene, 'db', content);
}

const snapshot = ({ scene }: MoveScene, name: string) =>
  scene.snapshots.snapshot([{ ...DB, snapshot: name }], LOCAL_ASKER, null, WHOLE_TURN);

/** Returns the pool of the volume, and the first byte of each block of the volume and of its snapshots. */
function found({ scene }: MoveScene): Record<string, string> {
  const bytes = (content: Buffer): string =>
    Array.from({ length: content.length / (4 * KIB) }, (_, index) => content[index * 4 * KIB]).join('');
  const volume = volumeIn(scene, 'db');
  const snapshots = snapshotsOf(volume).list.map((one) => [one.name, bytes(snapshotContent(scene, 'db', one))]);
  return { pool: volume.pool.name, db: bytes(volumeContent(scene, 'db')), ...(Object.fromEntries(snapshots) as Record<string, string>) };
}

/** Moves a volume that has two snapshots and has grown. A client writes just before the last step makes the clients wait. */
async function wholeMove(at: string, reached?: (step: string) => void): Promise<MoveScene> {
  let moves: MoveScene | null = null;
  const hooks: MoveHooks = { waiting: () => write(moves!, 7, 9) };
  moves = await openMoves(at, reached === undefined ? {} : { reached }, hooks);
  await moves.scene.create({ pool: 'fast', sizeBytes: SIZE });
  write(moves, 0, 1);
  await snapshot(moves, 'one');
  write(moves, 1, 2);
  await snapshot(moves, 'two');
  await moves.scene.verbs.grow(DB, SIZE + 8 * KIB, LOCAL_ASKER, null);
  write(moves, 2, 3);
  write(moves, 9, 4);
  await moves.begin('slow');
  await moves.run();
  return moves;
}

const MOVED = { pool: 'slow', db: '1230000904', one: '10000000', two: '12000000' };
const BEFORE = { pool: 'fast', db: '1230000004', one: '10000000', two: '12000000' };

test('a volume moves with its snapshots, and leaves nothing', async () => {
  const moves = await wholeMove(directory);
  expect(moves.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
  expect(found(moves)).toEqual(MOVED);
  await snapshot(moves, 'three');
  await moves.scene.snapshots.rollback({ ...DB, snapshot: 'one' }, LOCAL_ASKER, null);
  const picture = moves.scene.picture();
  await moves.scene.pools.close();
  expect(picture).not.toMatch(/finding|pending/);
  expect(await PoolScene.picture(directory, { clock: systemClock, names: NAMES })).toBe(picture);
  expect(fs.readdirSync(path.join(directory, 'fast', 'volumes'))).toEqual([]);
  for (const name of NAMES) expect(fs.readdirSync(path.join(directory, name, 'moving'))).toEqual([]);
});

test('snapshots that are made, removed and replaced during the move', async () => {
  let moves: MoveScene | null = null;
  // Number of rounds that have ended. A round that copies a snapshot ends when the clone becomes the base of the next round.
  let copied = 0;
  const changes: (() => Promise<unknown>)[] = [
    () => moves!.scene.snapshots.remove({ ...DB, snapshot: 'one' }, LOCAL_ASKER, null),
    () => snapshot(moves!, 'one'),
    () => snapshot(moves!, 'three'),
  ];
  const pending: Promise<unknown>[] = [];
  const reached = (step: string): void => {
    if (step !== 'move: copied') return;
    const change = changes[copied++];
    if (change !== undefined) pending.push((pending.at(-1) ?? Promise.resolve()).then(change));
  };
  moves = await openMoves(directory, { reached });
  await moves.scene.create({ pool: 'fast', sizeBytes: SIZE });
  write(moves, 0, 1);
  await snapshot(moves, 'one');
  write(moves, 1, 2);
  await snapshot(moves, 'two');
  write(moves, 2, 3);
  await moves.begin('slow');
  await moves.run();
  await Promise.all(pending);
  expect(moves.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
  expect(found(moves)).toEqual({ pool: 'slow', db: '12300000', one: '12300000', two: '12000000', three: '12300000' });
  await moves.scene.pools.close();
  const again = await openMoves();
  expect(found(again)).toMatchObject({ one: '12300000', two: '12000000', three: '12300000' });
  expect(again.scene.picture()).not.toMatch(/finding|pending/);
  await again.scene.pools.close();
});

test('after a stop at each step, the volume is in one pool with all snapshots, and the next start finishes the move', async () => {
  const run: Run = async (at, reached) => (await wholeMove(at, reached)).scene.pools.close();
  const check = async ({ step, at }: Stop): Promise<void> => {
    // Check what the server finds when it opens the pools, before any job runs.
    const first = await openMoves(at);
    const { pool, ...contents } = found(first);
    // The served file has the last writes, whether it is in the old or in the new pool.
    const db = contents['db'] === MOVED.db ? MOVED.db : BEFORE.db;
    expect({ step, pool, ...contents }).toEqual({ step, ...(pool === 'fast' ? BEFORE : MOVED), db: pool === 'fast' ? db : MOVED.db });
    await first.scene.pools.close();
    const again = await openMoves(at);
    await again.run();
    expect({ step, ...found(again) }).toEqual({ step, ...MOVED, db });
    expect(again.scene.picture(), step).not.toMatch(/finding|pending/);
    await again.scene.pools.close();
    for (const folder of NAMES.map((name) => path.join(at, name, 'moving')))
      expect(fs.existsSync(folder) ? fs.readdirSync(folder) : [], step).toEqual([]);
  };
  const steps = await eachStop(run, check, { isLeftOut: (_step, index, all) => index < all.indexOf('move: begun') });
  expect(steps).toContain('move: snapshot');
});

test('a pool without reflink takes no snapshots, and is named; the volume stays where it is', async () => {
  // The server asks by a clone of the file of the pool, and believes the answer until it opens the pool again.
  const cloneFile: typeof PLAIN_CLONES.cloneFile = (from, to) =>
    to.startsWith(path.join(directory, 'slow')) && to.endsWith('probe')
      ? Promise.reject(Object.assign(new Error('EOPNOTSUPP'), { code: 'EOPNOTSUPP' }))
      : PLAIN_CLONES.cloneFile(from, to);
  const moves = await openMoves(directory, { reflink: { ...PLAIN_CLONES, cloneFile } });
  await moves.scene.create({ pool: 'fast', sizeBytes: SIZE });
  await snapshot(moves, 'one');
  await moves.begin('slow');
  await moves.run();
  expect(moves.jobs.find('1')).toMatchObject({
    state: 'failed',
    reason: expect.stringContaining(`The file system of ${path.join(directory, 'slow')} has no reflink`) as string,
  });
  expect(found(moves)).toMatchObject({ pool: 'fast', one: '00000000' });
  await moves.scene.pools.close();
});

test('a snapshot of a group whose first volume has moved is finished when its own pool comes back', async () => {
  const names = [...NAMES, 'third'];
  const stoppedAt = path.join(parent, 'stopped');
  const reached = (step: string): void => void (step === 'snapshot: commit' && fs.renameSync(directory, stoppedAt));
  const { scene } = await openMoves(directory, { names, reached });
  await scene.create({ pool: 'fast', sizeBytes: SIZE });
  await scene.create({ name: 'log', pool: 'third', sizeBytes: SIZE });
  const group = ['db', 'log'].map((name) => ({ ...DB, name, snapshot: 'monday' }));
  await scene.snapshots.snapshot(group, LOCAL_ASKER, null, WHOLE_TURN).catch(() => undefined);
  await scene.pools.close();
  const [third, away] = [path.join(stoppedAt, 'third'), path.join(parent, 'away')];
  fs.renameSync(third, away);
  const moves = await openMoves(stoppedAt, { names, absent: ['third'] });
  await moves.begin('slow');
  await moves.run();
  expect(found(moves)).toMatchObject({ pool: 'slow', monday: '00000000' });
  await moves.scene.pools.close();
  fs.renameSync(away, third);
  // While the pool of the first volume is absent, the server cannot know whether the group has its snapshots, so the second volume's
  // snapshot stays pending.
  const [slow, elsewhere] = [path.join(stoppedAt, 'slow'), path.join(parent, 'elsewhere')];
  fs.renameSync(slow, elsewhere);
  const alone = await openMoves(stoppedAt, { names, absent: ['slow'] });
  expect(alone.scene.picture()).toContain('pending snapshot monday');
  await alone.scene.pools.close();
  fs.renameSync(elsewhere, slow);
  const all = await openMoves(stoppedAt, { names });
  expect(snapshotsOf(volumeIn(all.scene, 'log')).list.map(({ name }) => name)).toEqual(['monday']);
  expect(all.scene.picture()).not.toMatch(/finding|pending/);
  await all.scene.pools.close();
});
