// Tests moves of volumes between pools. After a stop of the server at each step on disk, the next start finds the volume in exactly one
// pool with all writes, and finishes the move. Other tests check refused, cancelled and failed moves. The tests run on any file system,
// because a stand-in compares contents instead of extents. Rules: C5, G28.

import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { GATE_RECORD_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { NO_SNAPSHOTS } from '../../pools/snapshots/snapshot-scan.ts';
import { findVolume } from '../../pools/catalogue.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { GATE_RECORD_HEAD_BYTES } from '../../pools/limits.ts';
import { type MoveHooks, MoveScene } from '../../testing/move-scene.ts';
import { directory, NAMES, openMoves, parent, useTwoPools, writeBlock } from '../../testing/two-pools.ts';
import { eachStop, isBefore, type Stop } from '../../testing/stopped-verbs.ts';
import { decideMove } from './move-rules.ts';

const SIZE_BYTES = 1_048_576;
const DB = { name: 'db', universe: 0 };

useTwoPools();

/** Writes to the file that the server serves, as a client would. */
function write({ scene }: MoveScene, block: number, value: number): void {
  const { path: file } = [...scene.served.values()][0]!;
  writeBlock(file, block, value);
}

/** Returns the names of the pools that have the volume, the bytes with which the volume's first blocks are filled, and leftover files. */
function found(at: string): { readonly pools: string[]; readonly values: number[]; readonly left: string[] } {
  const files = (folder: string): string[] => (fs.existsSync(folder) ? fs.readdirSync(folder) : []);
  const pools = NAMES.filter((name) => files(path.join(at, name, 'volumes')).length > 0);
  const [id] = pools.flatMap((name) => files(path.join(at, name, 'volumes')));
  const content = fs.readFileSync(path.join(at, pools[0]!, 'volumes', id!, 'data'));
  const left = NAMES.flatMap((name) => [...files(path.join(at, name, 'moving')), ...files(path.join(at, name, 'removed'))]);
  expect(content).toHaveLength(SIZE_BYTES);
  return { pools, values: [0, 1, 2, 3].map((block) => content[block * 4_096]!), left };
}

/** Returns hooks that write like clients: in each round, and once more just before the clients wait. */
const writing = (scene: () => MoveScene): MoveHooks => ({
  round: (rounds) => {
    write(scene(), 1, 10 + rounds);
    // Block 3 is written in the first round only, so only one round copies it.
    if (rounds === 1) write(scene(), 3, 5);
  },
  waiting: () => write(scene(), 2, 9),
});

async function wholeMove(at: string, reached?: (step: string) => void): Promise<void> {
  let moves: MoveScene | null = null;
  moves = await openMoves(
    at,
    reached === undefined ? {} : { reached },
    writing(() => moves!),
  );
  await moves.scene.create({ pool: 'fast' });
  write(moves, 0, 7);
  await moves.begin('slow');
  await moves.run();
  await moves.scene.pools.close();
}

test('a move takes along what is written meanwhile, and leaves nothing', async () => {
  await wholeMove(directory);
  expect(found(directory)).toEqual({ pools: ['slow'], values: [7, 12, 9, 5], left: [] });
  const moves = await openMoves();
  expect(moves.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
  expect(findVolume({ pools: moves.scene.pools.states, configured: [] }, DB, LOCAL_ASKER).manifest).not.toHaveProperty('movedFrom');
  await moves.scene.pools.close();
});

test('after a stop at each step, the volume is in one pool, and the next start finishes the move', async () => {
  const seen = new Map<string, string>();
  const check = async ({ step, at }: Stop): Promise<void> => {
    // Check what the server finds when it opens the pools, before any job runs.
    const first = await openMoves(at);
    const places = first.scene.pools.states.filter(({ volumes }) => volumes.size > 0).map(({ name }) => name);
    expect(places, step).toHaveLength(1);
    seen.set(step, places[0]!);
    await first.scene.pools.close();
    const again = await openMoves(at);
    await again.run();
    expect(again.scene.picture(), step).not.toContain('finding');
    await again.scene.pools.close();
    expect({ step, pools: found(at).pools, left: found(at).left }).toEqual({ step, pools: ['slow'], left: [] });
    expect(found(at).values[0], step).toBe(7);
    // After the commit point, none of the last writes may be missing.
    if (places[0] === 'slow') expect(found(at).values, step).toEqual([7, 12, 9, 5]);
  };
  await eachStop(wholeMove, check, { isLeftOut: isBefore });
  expect(seen.get('move: manifest')).toBe('fast');
  expect(seen.get('move: commit')).toBe('slow');
});

test('a move carries the gate record, which is in the pool of the volume after a stop at each step', async () => {
  const RECORD = Buffer.from('record');
  const recordOf = async ({ scene }: MoveScene): Promise<Buffer | null> => {
    const pool = scene.pools.states.find(({ volumes }) => volumes.size > 0)!;
    const [id] = pool.volumes.keys();
    return scene.pools.onLedger(pool.identity!.id, (files) => files.readRecord(id!));
  };
  const run = async (at: string, reached: (step: string) => void): Promise<void> => {
    const moves = await openMoves(at, { reached });
    const { id } = (await moves.scene.create({ pool: 'fast' })).manifest;
    await moves.scene.pools.onLedger(moves.scene.pools.states[0]!.identity!.id, (files) => files.replaceRecord(id, RECORD));
    await moves.begin('slow');
    await moves.run();
    await moves.scene.pools.close();
  };
  const steps = await eachStop(
    run,
    async ({ step, at }) => {
      const first = await openMoves(at);
      expect(await recordOf(first), step).toEqual(RECORD);
      await first.run();
      expect(await recordOf(first), step).toEqual(RECORD);
      expect(first.scene.picture(), step).not.toContain('finding');
      await first.scene.pools.close();
      expect(found(at).pools, step).toEqual(['slow']);
    },
    { isLeftOut: (step) => isBefore(step) || step.startsWith('record:') || step === 'move: begun' },
  );
  expect(steps).toContain('move: record');
});

test('a move of a volume whose gate record is no record, and of any length, carries no more of it than a record has', async () => {
  const moves = await openMoves(directory);
  const { id } = (await moves.scene.create({ pool: 'fast' })).manifest;
  const recordIn = (pool: string): string => poolPaths.record(poolPaths.volume(path.join(directory, pool), id));
  fs.writeFileSync(recordIn('fast'), Buffer.alloc(SIZE_BYTES, 'x'));
  await moves.begin('slow');
  await moves.run();
  expect(fs.statSync(recordIn('slow')).size).toBe(GATE_RECORD_HEAD_BYTES + GATE_RECORD_MAX_BYTES);
  const [slow] = moves.scene.pools.states.filter(({ volumes }) => volumes.size > 0);
  await expect(moves.scene.pools.onLedger(slow!.identity!.id, (files) => files.readRecord(id))).rejects.toMatchObject({ code: 'E_VOLUME' });
  await moves.scene.pools.close();
});

test('a cancelled move leaves the volume where it is, and nothing in the new pool', async () => {
  let moves: MoveScene | null = null;
  moves = await openMoves(directory, {}, { round: () => void moves!.jobs.cancel('1') });
  await moves.scene.create({ pool: 'fast' });
  write(moves, 0, 7);
  await moves.begin('slow');
  await moves.run();
  expect(moves.jobs.find('1').state).toBe('cancelled');
  await moves.scene.pools.close();
  expect(found(directory)).toEqual({ pools: ['fast'], values: [7, 0, 0, 0], left: [] });
});

test('while the new pool is away after a stop in the last step, the volume waits for it, and is not changed', async () => {
  const moved = path.join(parent, 'stopped');
  await wholeMove(directory, (step) => void (step === 'move: commit' && fs.renameSync(directory, moved))).catch(() => undefined);
  fs.renameSync(path.join(moved, 'slow'), path.join(parent, 'away'));
  const alone = await openMoves(moved, { absent: ['slow'] });
  expect([...alone.scene.served.values()][0]?.pool?.trouble).toMatch(/^its move to pool id .* was interrupted in the last step/);
  await expect(alone.scene.verbs.rename(DB, { name: 'new', universe: 0 }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_BUSY' });
  await alone.run();
  expect(alone.jobs.find('1')).toMatchObject({ state: 'waiting' });
  await alone.jobs.stop();
  await alone.scene.pools.close();
  fs.renameSync(path.join(parent, 'away'), path.join(moved, 'slow'));
  const both = await openMoves(moved);
  await both.run();
  await both.scene.pools.close();
  expect(found(moved)).toEqual({ pools: ['slow'], values: [7, 12, 9, 5], left: [] });
});

test.each(['move: spent', 'move: manifest'])('after a stop at %s, what clients take back is taken back in the copy, too', async (last) => {
  const moved = path.join(parent, 'stopped');
  const reached = (step: string): void => void (step === last && fs.renameSync(directory, moved));
  await wholeMove(directory, reached).catch(() => undefined);
  const again = await openMoves(moved);
  // In this block, the base has zeros, and the interrupted last step has copied other data. The client now writes the zeros again.
  write(again, 2, 0);
  await again.run();
  await again.scene.pools.close();
  expect(found(moved)).toMatchObject({ pools: ['slow'], values: [7, 12, 0, 5] });
});

test('a volume that an absent pool may still have is not moved on, so it never comes back there', async () => {
  const names = [...NAMES, 'third'];
  const [moved, away] = [path.join(parent, 'stopped'), path.join(parent, 'away')];
  const reached = (step: string): void => void (step === 'move: commit' && fs.renameSync(directory, moved));
  const first = await openMoves(directory, { names, reached });
  await first.scene.create({ pool: 'fast' });
  write(first, 0, 7);
  await first.begin('slow');
  await first.run().catch(() => undefined);
  await first.scene.pools.close();
  fs.renameSync(path.join(moved, 'fast'), away);
  const done = await openMoves(moved, { names, absent: ['fast'] });
  await done.run();
  await done.scene.pools.close();
  const alone = await openMoves(moved, { names, absent: ['fast'] });
  write(alone, 0, 8);
  await alone.begin('third');
  await alone.run();
  expect(alone.jobs.list.at(-1)?.reason).toMatch(/^Volume db was moved from pool id .*, which may still have it/);
  await alone.jobs.stop();
  await alone.scene.pools.close();
  fs.renameSync(away, path.join(moved, 'fast'));
  const all = await openMoves(moved, { names });
  const places = (): string[] => all.scene.pools.states.filter(({ volumes }) => volumes.size > 0).map(({ name }) => name);
  expect(places()).toEqual(['slow']);
  await all.run();
  expect(places()).toEqual(['third']);
  await all.scene.pools.close();
});

test('what moves have left without a job is deleted', async () => {
  const moves = await openMoves();
  fs.mkdirSync(path.join(directory, 'slow', 'moving', 'x'), { recursive: true });
  await moves.run();
  expect(fs.readdirSync(path.join(directory, 'slow', 'moving'))).toEqual([]);
  await moves.scene.pools.close();
});

describe('refusals', () => {
  async function refusal(prepare: (moves: MoveScene) => Promise<unknown>, to = 'slow'): Promise<string> {
    const moves = await openMoves();
    await moves.scene.create({ pool: 'fast' });
    await prepare(moves);
    await moves.scene.pools.measure();
    const catalogue = { pools: moves.scene.pools.states, configured: [] };
    try {
      decideMove(catalogue, findVolume(catalogue, DB, LOCAL_ASKER), to, LOCAL_ASKER);
      return '';
    } catch (thrown) {
      return (thrown as Error).message;
    } finally {
      await moves.scene.pools.close();
    }
  }

  test('the same pool', async () => {
    expect(await refusal(async () => undefined, 'fast')).toBe('Volume db is already in pool fast: name another pool');
  });

  const lacks = ({ scene }: MoveScene, name: string): void => {
    Object.defineProperty(scene.pools.states.find((one) => one.name === name)!, 'hasReflink', { value: false });
  };
  const withSnapshot = ({ scene }: MoveScene): void => {
    const fast = scene.pools.states.find((one) => one.name === 'fast')!;
    const snapshots = { ...NO_SNAPSHOTS, list: [{ snapshot: 'one' }] };
    Object.defineProperty(fast, 'snapshots', { value: new Map([...fast.volumes.keys()].map((id) => [id, snapshots])) });
  };

  test.each<[string, (moves: MoveScene) => void, RegExp]>([
    [
      'the pool has no reflink',
      (moves) => lacks(moves, 'fast'),
      /^Volume db cannot be moved, because the file system of pool fast has no reflink: make a volume in a pool on XFS or btrfs/,
    ],
    ['the new pool has no reflink', (moves) => lacks(moves, 'slow'), /^$/],
    [
      'the new pool has no reflink, and the volume has a snapshot',
      (moves) => (withSnapshot(moves), lacks(moves, 'slow')),
      /^Volume db has snapshots, which pool slow cannot have, because its file system has no reflink/,
    ],
  ])('file systems: %s', async (_what, prepare, sentence) => {
    expect(await refusal(async (moves) => prepare(moves))).toMatch(sentence);
  });

  test('an unknown pool', async () => {
    expect(await refusal(async () => undefined, 'other')).toMatch(/^No pool "other"/);
  });
});
