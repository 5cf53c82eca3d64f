// Tests what other commands do with replicated volumes, row by row as in the table of docs/OPERATING.md: the command works and the replication goes
// on, or the command is refused at once.

import fs from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { decideMove } from '../../jobs/moves/move-rules.ts';
import { decidePartMove } from '../../jobs/moves/part-rules.ts';
import { ReplicaStore } from '../../mirrors/replica-verbs.ts';
import { Asker, LOCAL_ASKER } from '../../pools/asker.ts';
import { momentsOf } from '../../pools/source-moments.ts';
import { ScheduleRunner } from '../../snapshots/schedule-runner.ts';
import { MoveScene } from '../../testing/move-scene.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { named, openSources, type SourceScene, SourceTime } from '../../testing/source-scene.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';
import { problemOf } from './source-orders.ts';

usePoolDirectory();

const DB = { name: 'db', universe: 0 };
const END = 'rsadm volume replicate db log --end ends the replication';
let time: SourceTime;
let s: SourceScene;

beforeEach(async () => {
  time = new SourceTime();
  s = await openSources(directory, time, { names: ['fast', 'slow'] });
  scenes.push(s.scene);
  await s.scene.create({ name: 'db', pool: 'fast', sizeBytes: 65_536 });
  await s.scene.create({ name: 'log', pool: 'fast', sizeBytes: 65_536 });
  await s.begin(['db', 'log']);
  await s.confirm(await s.moment());
  time.later(10_000);
});

async function refusal(work: () => Promise<unknown>): Promise<string> {
  return (async () => work())().then(
    () => 'not refused',
    (thrown: unknown) => `${(thrown as { code: string }).code}: ${(thrown as Error).message}`,
  );
}

/** Expects that the replication makes and confirms further moments, and has the earlier one. */
async function goesOn(): Promise<void> {
  const before = momentsOf(s.only);
  expect(problemOf(s.only, () => true)).toBeNull();
  const moment = await s.moment();
  expect(await s.confirm(moment)).toBe(0);
  expect(momentsOf(s.only).map(({ group }) => group)).toEqual([...before.map(({ group }) => group), moment.group]);
}

describe('a command that works', () => {
  const { snapshots, verbs, images } = {
    snapshots: () => s.scene.snapshots,
    verbs: () => s.scene.verbs,
    images: () => s.scene.images,
  };
  const settings = { readonly: true, schedule: 'hourly keep 2' };
  test.each<[string, () => Promise<unknown>]>([
    ['volume rename', () => verbs().rename(DB, { name: 'data', universe: 3 }, LOCAL_ASKER, null)],
    ['volume grow', () => verbs().grow(DB, 131_072, LOCAL_ASKER, null)],
    ['volume set', () => verbs().set(DB, settings, LOCAL_ASKER, null)],
    ['volume rollback', () => snapshots().rollback({ ...DB, snapshot: 'replica-20261128-100000' }, LOCAL_ASKER, null)],
    ['volume snapshot', () => snapshots().snapshot([{ ...DB, snapshot: 'monday' }], LOCAL_ASKER, null, WHOLE_TURN)],
    [
      'volume clone',
      () => snapshots().clone({ ...DB, snapshot: 'replica-20261128-100000' }, { name: 'copy', universe: 0 }, LOCAL_ASKER, null, WHOLE_TURN),
    ],
    ['volume image', () => images().image(DB, 1, LOCAL_ASKER, null)],
    [
      'volume restore --from',
      async () => {
        await images().image(DB, 1, LOCAL_ASKER, null);
        await images().restore(DB, 1, LOCAL_ASKER, null);
      },
    ],
    [
      'volume create and volume remove of another volume',
      async () => {
        await s.scene.create({ name: 'x' });
        await verbs().remove({ name: 'x', universe: 0 }, LOCAL_ASKER, null);
      },
    ],
  ])('%s', async (_what, work) => {
    await work();
    await goesOn();
  });

  test('volume clone makes a volume that is not replicated', async () => {
    const to = { name: 'copy', universe: 0 };
    await s.scene.snapshots.clone({ ...DB, snapshot: 'replica-20261128-100000' }, to, LOCAL_ASKER, null, WHOLE_TURN);
    expect(s.volume('copy').manifest.replication).toBeUndefined();
  });

  test('volume refresh and volume split of an image that is replicated', async () => {
    await s.scene.images.image(DB, 1, LOCAL_ASKER, null);
    const image = { name: 'db', universe: 1 };
    await s.sources.replicate(
      { volumes: [image], to: 'big-7', pool: null, everyMs: 60_000, keep: 2, limitBytes: null, reversible: null },
      LOCAL_ASKER,
      null,
    );
    const mark = (): unknown => s.all.find(({ order }) => order.to === 'big-7')?.memberIds;
    const before = mark();
    await s.scene.images.refresh([image], LOCAL_ASKER, null);
    await s.scene.images.split(image, LOCAL_ASKER, null);
    expect([before, mark()]).toEqual([mark(), before]);
    expect(before).toBeDefined();
  });

  test('volume move takes the mark, the order and the moments along', async () => {
    const id = s.volume('db').manifest.id;
    await s.scene.verbs.rename({ name: 'log', universe: 0 }, { name: 'other', universe: 0 }, LOCAL_ASKER, null);
    const moves = new MoveScene(s.scene);
    await moves.jobs.load();
    await moves.begin('slow');
    await moves.run();
    expect(moves.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
    expect([s.volume('db').pool.name, s.volume('db').manifest.id, s.only.home.manifest.id]).toEqual(['slow', id, id]);
    await goesOn();
  });

  test('a schedule never removes a moment, and moments do not count for it', async () => {
    await s.scene.verbs.set(DB, { schedule: 'hourly keep 1' }, LOCAL_ASKER, null);
    const runner = new ScheduleRunner({
      clock: { ...time.clock, after: () => ({ cancel: () => undefined }) },
      snapshots: s.scene.snapshots,
      log: { info: () => undefined, warn: () => undefined, debug: () => undefined },
      pools: () => s.scene.pools.states,
      around: (_wanted, make) => make(),
      tried: () => undefined,
      change: (work) => work(WHOLE_TURN),
    });
    for (let hour = 0; hour < 3; hour++) {
      time.later(3_600_000);
      await runner.look();
    }
    runner.close();
    expect(s.snapshotsOf('db')).toEqual(['replica-20261128-100000', 'hourly-20261128T1300Z']);
    await goesOn();
  });

  test('volume revoke of the client, and its removal from [clients], are shown as the reason why the replication fails', async () => {
    await s.scene.verbs.set(DB, { clients: ['venus'] }, LOCAL_ASKER, null);
    expect(problemOf(s.only, () => true)?.text).toBe('Client big-8 may no longer attach volume db: volume allow db big-8 lets it');
    expect(problemOf(s.only, () => false)?.text).toMatch(/^Client big-8 is no longer in \[clients\] of rssrvcfg: /);
  });
});

describe('a command that is refused', () => {
  test('volume remove', async () => {
    for (const name of ['db', 'log'])
      expect(await refusal(() => s.scene.verbs.remove({ name, universe: 0 }, LOCAL_ASKER, null))).toBe(
        `E_USAGE: Volume ${name} is replicated to client big-8, and cannot be removed: ${END}`,
      );
    await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
    await s.scene.verbs.remove(DB, LOCAL_ASKER, null);
    // A removed volume that comes back has no replication, because its replication was ended before.
    await s.scene.verbs.restore(DB, LOCAL_ASKER, null);
    expect(s.all).toEqual([]);
  });

  test('volume remove by a client does not name volumes that the client may not attach', async () => {
    await s.scene.verbs.set({ name: 'log', universe: 0 }, { clients: ['big-8'] }, LOCAL_ASKER, null);
    const venus = new Asker('venus', { role: 'manage', pools: null, limitBytes: null });
    const text = await refusal(() => s.scene.verbs.remove(DB, venus, null));
    expect(text).toMatch(/: it has volumes that are not for this client: an administrator of the server can end the replication$/);
  });

  test('volume remove of a moment that the other server needs; an earlier one is removed', async () => {
    await s.begin(['db', 'log'], { keep: 9 });
    await s.confirm(await s.moment());
    time.later(10_000);
    await s.moment();
    const remove = (snapshot: string) => refusal(() => s.scene.snapshots.remove({ ...DB, snapshot }, LOCAL_ASKER, null));
    const [old = '', confirmed = '', next = ''] = s.snapshotsOf('db');
    const needed = `is a moment that client big-8 needs for its next copy: remove it when big-8 has a later one, or ${END}`;
    expect(await remove(confirmed)).toBe(`E_USAGE: Snapshot db@${confirmed} ${needed}`);
    expect(await remove(next)).toBe(`E_USAGE: Snapshot db@${next} ${needed}`);
    expect(await remove(old)).toBe('not refused');
    await goesOnAfter();
  });

  async function goesOnAfter(): Promise<void> {
    await s.confirm(momentsOf(s.only).at(-1)!);
    time.later(10_000);
    await s.confirm(await s.moment());
  }

  test('volume remove of each moment before the first confirmation, because any may be the first base', async () => {
    await s.scene.create({ name: 'x', sizeBytes: 65_536 });
    await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
    await s.begin(['x']);
    await s.moment();
    const [snapshot = ''] = s.snapshotsOf('x');
    expect(await refusal(() => s.scene.snapshots.remove({ name: 'x', universe: 0, snapshot }, LOCAL_ASKER, null))).toMatch(/^E_USAGE: /);
  });

  test('volume move to a pool without reflink, and away from the others of a shared pool', async () => {
    const pools = s.scene.pools.states;
    const to = (changes: object): Promise<string> => {
      const catalogue = { pools: pools.map((pool) => (pool.name === 'slow' ? { ...pool, ...changes } : pool)), configured: [] };
      return refusal(async () => decideMove(catalogue, s.volume('db'), 'slow', LOCAL_ASKER));
    };
    expect(await to({})).toBe('not refused');
    expect(await to({ hasReflink: false })).toBe(
      `E_USAGE: Volume db is replicated to client big-8, and cannot move to pool slow, whose file system has no reflink: ${END}`,
    );
    expect(await to({ isShared: true })).toMatch(/cannot leave the volumes that share its moments, because pool slow is shared: /);
    await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
    await s.begin(['db']);
    expect(await to({ isShared: true })).toBe('not refused');
  });

  test('volume move --from to a pool without reflink', async () => {
    await s.scene.create({ name: 'big', pools: ['fast', 'slow'], sizeBytes: 8 * 1_048_576 });
    await s.begin(['big'], { to: 'big-7' });
    const third = { ...s.scene.pools.states[1]!, name: 'third', identity: { id: crypto.randomUUID(), createdMs: 1 }, hasReflink: false };
    const catalogue = { pools: [...s.scene.pools.states, { ...third, volumes: new Map(), parts: new Map() }], configured: [] };
    expect(await refusal(async () => decidePartMove(catalogue, s.volume('big'), 'slow', 'third', LOCAL_ASKER))).toMatch(
      /^E_USAGE: Volume big is replicated to client big-7, and cannot move to pool third, whose file system has no reflink: /,
    );
  });

  test('mirror create with a replicated volume', async () => {
    const store = new ReplicaStore(
      s.scene.verbs,
      () => 'b'.repeat(32),
      (work) => work(),
      { info: () => undefined },
      { isServed: () => true, end: () => Promise.resolve() },
    );
    expect(await refusal(() => store.place(s.volume('db').manifest.id, 'a'.repeat(32)))).toBe(
      `E_USAGE: Volume db is replicated to client big-8, and cannot become a replica of a mirror: ${END}`,
    );
    expect(s.volume('db').manifest.replica).toBeUndefined();
  });
});

describe('while the pool of the home is not open', () => {
  async function withoutFast(isConfigured: boolean): Promise<SourceScene> {
    await s.scene.create({ name: 'far', pool: 'slow', sizeBytes: 65_536 });
    await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
    await s.begin(['db', 'far']);
    await s.confirm(await s.moment());
    await s.scene.pools.close();
    fs.renameSync(`${directory}/fast`, `${directory}/away`);
    const half = await openSources(directory, time, isConfigured ? { names: ['fast', 'slow'], absent: ['fast'] } : { names: ['slow'] });
    scenes.push(half.scene);
    return half;
  }
  const FAR = { name: 'far', universe: 0 };
  const away =
    /^E_POOL: Volume far may be replicated together with a volume that is perhaps in a pool that is not open \(fast\): mount the pool, then run rsadm reload/;

  test('no change of a member is made that the replication would forbid', async () => {
    const half = await withoutFast(true);
    expect(half.all).toEqual([]);
    const [snapshot = ''] = half.snapshotsOf('far');
    expect(await refusal(() => half.scene.verbs.remove(FAR, LOCAL_ASKER, null))).toMatch(away);
    expect(await refusal(() => half.scene.snapshots.remove({ ...FAR, snapshot }, LOCAL_ASKER, null))).toMatch(away);
    expect(await refusal(() => half.begin(['far']))).toMatch(away);
    expect(await refusal(() => half.sources.end([FAR], LOCAL_ASKER, null, false))).toMatch(away);
  });

  test('a member is free once the pool is no longer configured, and the order that comes back does not have it', async () => {
    const half = await withoutFast(false);
    expect(await half.sources.end([FAR], LOCAL_ASKER, null, false)).toBeNull();
    await half.scene.pools.close();
    fs.renameSync(`${directory}/away`, `${directory}/fast`);
    const whole = await openSources(directory, time, { names: ['fast', 'slow'] });
    scenes.push(whole.scene);
    expect(whole.only.members.map(({ manifest }) => manifest.name)).toEqual(['db']);
    expect(problemOf(whole.only, () => true)?.text).toMatch(
      /^Of the 2 volumes of the replication, 1 are in no open pool, or were replaced: /,
    );
    expect(await whole.sources.end([DB], LOCAL_ASKER, null, false)).not.toBeNull();
    await whole.begin(['db', 'far']);
  });
});
