// Tests orders, moments and confirmations at the source: what is refused and why, which settings change, which moments are removed, and
// what repeated requests do. source-stops.test.ts stops each change at each step, and source-seams.test.ts has the other commands.

import { beforeEach, describe, expect, test } from 'vitest';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { named, openSources, order, OTHER_PEER, PEER, type SourceScene, SourceTime } from '../../testing/source-scene.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';
import { Asker, LOCAL_ASKER } from '../../pools/asker.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { MOMENTS_UNCONFIRMED_MAX, SNAPSHOT_GROUP_MAX } from '../../pools/limits.ts';
import { countSnapshots } from '../../pools/snapshots/owned-bytes.ts';
import { momentsOf } from '../../pools/source-moments.ts';

usePoolDirectory();

const MANAGER = new Asker('venus', { role: 'manage', pools: null, limitBytes: null });
let time: SourceTime;
let s: SourceScene;

beforeEach(async () => {
  time = new SourceTime();
  s = await openSources(directory, time, { names: ['fast', 'slow'], limits: { venus: 3 * 1_048_576 } });
  scenes.push(s.scene);
  await s.scene.create({ name: 'db', pool: 'fast' });
  await s.scene.create({ name: 'log', pool: 'slow' });
});

/** Changes a manifest as another part of the server would. */
function put(name: string, changes: Partial<Manifest>): void {
  const { pool, manifest } = s.volume(name);
  s.scene.pools.put(pool.name, { ...manifest, ...changes });
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'not refused',
    (thrown: unknown) => `${(thrown as { code: string }).code}: ${(thrown as Error).message}`,
  );
}

describe('an order', () => {
  test('is in the home, and the other members have its mark', async () => {
    const { id, order: made } = await s.begin(['db', 'log'], { pool: 'far', limitBytes: 1_024 });
    const members = ['db', 'log'].map((name) => s.volume(name).manifest.id);
    expect(s.volume('log').manifest.replication).toEqual({ id, members, order: null });
    expect(s.volume('db').manifest.replication).toEqual({ id, members, order: made });
    const settings = { to: 'big-8', pool: 'far', everyMs: 60_000, keep: 2, limitBytes: 1_024, createdMs: time.nowMs, confirmed: null };
    expect(made).toEqual(settings);
    expect(s.only.members.map(({ manifest }) => manifest.name)).toEqual(['db', 'log']);
  });

  test('of the same volumes to the same client changes settings, keeps what was confirmed, and a null keeps the pool', async () => {
    const { id } = await s.begin(['db', 'log'], { pool: 'far' });
    const moment = await s.moment();
    await s.confirm(moment);
    const changed = await s.begin(['log', 'db'], { everyMs: 5_000, keep: 7, limitBytes: 2_048 });
    expect([changed.id, changed.memberIds]).toEqual([id, ['db', 'log'].map((name) => s.volume(name).manifest.id)]);
    expect(changed.order).toMatchObject({ everyMs: 5_000, keep: 7, limitBytes: 2_048, pool: 'far', confirmed: { group: moment.group } });
    expect((await s.begin(['db', 'log'], { pool: 'near' })).order.pool).toBe('near');
  });

  test('that is repeated with the same request is not executed again', async () => {
    const first = await s.sources.replicate(order(['db', 'log']), LOCAL_ASKER, 'r');
    time.later(5);
    expect((await s.sources.replicate(order(['db', 'log']), LOCAL_ASKER, 'r')).id).toBe(first.id);
    expect(s.only.order.createdMs).toBe(first.order.createdMs);
    // The stamp is only in the home, because a member without it would answer for an order that was not given.
    expect(s.volume('log').manifest.request).toBeNull();
  });

  test('needs the right manage, the pools, and volumes that the asker may attach', async () => {
    expect(await refusal(s.begin(['db'], {}, PEER))).toMatch(/^E_RIGHTS: Client big-8 may not replicate volumes: its right is use/);
    const elsewhere = new Asker('venus', { role: 'manage', pools: ['slow'], limitBytes: null });
    expect(await refusal(s.begin(['db', 'log'], {}, elsewhere))).toMatch(/^E_RIGHTS: Client venus may not change pool fast/);
    put('log', { clients: ['big-8'] });
    expect(await refusal(s.begin(['db', 'log'], {}, MANAGER))).toMatch(/^E_UNKNOWN_VOLUME: No volume log /);
    expect(s.all).toEqual([]);
  });

  const replica = { mirror: 'a'.repeat(32), identity: 'b'.repeat(32) };
  const follower = {
    replication: crypto.randomUUID(),
    peer: 'big-1',
    sourceId: crypto.randomUUID(),
    sourceName: 'x',
    sourceUniverse: 0,
    members: [],
    promoted: null,
  };
  test.each<[string, string[], Partial<Parameters<SourceScene['begin']>[1]>, () => void, RegExp]>([
    ['no volumes', [], {}, () => undefined, /^E_USAGE: 1 to 64 volumes can be replicated together, and 0 are given$/],
    ['a volume twice', ['db', 'db'], {}, () => undefined, /^E_USAGE: Volume db is given twice/],
    ['an unknown volume', ['db', 'x'], {}, () => undefined, /^E_UNKNOWN_VOLUME: No volume x on this server/],
    ['a wrong pool', ['db'], { pool: 'a b' }, () => undefined, /^E_USAGE: Wrong pool name "a b": allowed is /],
    [
      'an unknown client',
      ['db'],
      { to: 'x' },
      () => undefined,
      /^E_UNKNOWN_CLIENT: No client "x" in \[clients\] of rssrvcfg: rsadm client add /,
    ],
    [
      'a server whose client has the name of a peer',
      ['db'],
      { to: 'x' },
      () => void s.clients.add('peer-x'),
      /^E_UNKNOWN_CLIENT: No client "x" in .* but client peer-x, .*: give --to peer-x$/,
    ],
    [
      'a client that may not attach one of the volumes',
      ['db', 'log'],
      {},
      () => put('log', { clients: ['venus'] }),
      /^E_RIGHTS: Client "big-8" may not attach volume log: volume allow log big-8 lets it$/,
    ],
    [
      'a replica together with another volume',
      ['db', 'log'],
      {},
      () => put('db', { replica }),
      /^E_USAGE: Volume db is a replica of mirror a+, and shares no moment with other volumes: replicate it alone$/,
    ],
    [
      'a follower',
      ['db'],
      {},
      () => put('db', { follower }),
      /^E_USAGE: Volume db follows volume x of server big-1, and cannot be replicated/,
    ],
    [
      'a volume that moves',
      ['db'],
      {},
      () => put('db', { movedTo: crypto.randomUUID() }),
      /^E_BUSY: Volume db is in the last step of its move to another pool/,
    ],
  ])('of %s is refused', async (_what, names, changes, prepare, error) => {
    prepare();
    expect(await refusal(s.begin(names, changes))).toMatch(error);
    expect(s.all).toEqual([]);
    expect(s.scene.picture()).not.toContain('"order"');
  });

  test('of too many volumes is refused', async () => {
    const names = Array.from({ length: SNAPSHOT_GROUP_MAX + 1 }, (_unused, index) => `v${index}`);
    expect(await refusal(s.begin(names))).toMatch(/^E_USAGE: 1 to 64 volumes can be replicated together, and 65 are given$/);
  });

  test('of a pool without reflink names the pool and the remedy', async () => {
    const [state] = s.scene.pools.states;
    Object.defineProperty(state!, 'hasReflink', { value: false });
    expect(await refusal(s.begin(['log', 'db']))).toMatch(
      /^E_NO_REFLINK: Volume db cannot be replicated, because the file system of pool fast has no reflink: make a volume in a pool on XFS or btrfs/,
    );
  });

  test('of volumes that could get different servers is refused', async () => {
    const { pool } = s.volume('log');
    Object.defineProperty(pool, 'isShared', { value: true });
    expect(await refusal(s.begin(['db', 'log']))).toMatch(/^E_USAGE: Pool slow is shared, .*: replicate them apart$/);
    await s.begin(['log']);
  });

  test('of a promoted follower and of an image is accepted', async () => {
    put('db', { follower: { ...follower, promoted: { group: crypto.randomUUID(), momentMs: 1, atMs: 2 } } });
    const image = { ofId: crypto.randomUUID(), ofName: 'x', ofUniverse: 0, momentMs: 1, refresh: crypto.randomUUID() };
    put('log', { image });
    await s.begin(['db', 'log']);
  });

  test('of a replicated volume is refused, with the command that ends the other one', async () => {
    await s.begin(['db', 'log']);
    const end = 'rsadm volume replicate db log --end ends the replication';
    const one = `E_EXISTS: Volume db is replicated to client big-8 already, together with other volumes, and can have one replication: ${end}`;
    expect(await refusal(s.begin(['db']))).toBe(one);
    expect(await refusal(s.begin(['db', 'log'], { to: 'big-7' }))).toBe(one);
    await s.scene.create({ name: 'web' });
    for (const names of [
      ['db', 'web'],
      ['web', 'db'],
    ])
      expect(await refusal(s.begin(names))).toBe(one);
    put('log', { clients: ['big-8'] });
    expect(await refusal(s.begin(['db'], {}, MANAGER))).toMatch(/: it has volumes that are not for this client: an administrator/);
  });

  test('that names a client tells a client nothing about others', async () => {
    put('db', { clients: ['venus'] });
    const of = (to: string): Promise<string> => refusal(s.begin(['db'], { to }, MANAGER));
    expect(await of('big-8')).toBe('E_RIGHTS: Client "big-8" may not attach volume db: ask an administrator of the server to allow it');
    expect((await of('nobody')).replace('nobody', 'big-8')).toBe(await of('big-8'));
  });
});

describe('the end', () => {
  test('removes the marks of all volumes, and keeps their snapshots', async () => {
    const { id } = await s.begin(['db', 'log']);
    await s.confirm(await s.moment());
    const ended = await s.sources.end(named('log', 'db'), LOCAL_ASKER, 'r', false);
    expect(ended?.id).toBe(id);
    expect(s.scene.picture()).not.toContain('"order"');
    expect(s.snapshotsOf('db')).toEqual(['replica-20261128-100000']);
    expect(await s.sources.end(named('log', 'db'), LOCAL_ASKER, 'r', false)).toBeNull();
    expect(await refusal(s.sources.end(named('db'), LOCAL_ASKER, null, false))).toBe(
      'E_USAGE: Volume db is not replicated: volume replications lists the replications',
    );
    await s.scene.snapshots.remove({ name: 'db', universe: 0, snapshot: 'replica-20261128-100000' }, LOCAL_ASKER, null);
  });

  test('names all volumes, so that none is forgotten', async () => {
    await s.begin(['db', 'log']);
    expect(await refusal(s.sources.end(named('log'), LOCAL_ASKER, null, false))).toMatch(
      /^E_USAGE: .* together with others: rsadm volume replicate db log --end ends the replication of all$/,
    );
    await s.scene.create({ name: 'x' });
    await s.begin(['x']);
    expect(await refusal(s.sources.end(named('db', 'log', 'x'), LOCAL_ASKER, null, false))).toMatch(
      /^E_USAGE: Volumes db and x are not replicated together/,
    );
    expect(s.all).toHaveLength(2);
  });

  test('of marks whose home is lost removes the marks', async () => {
    await s.begin(['db', 'log']);
    put('db', { replication: undefined } as unknown as Partial<Manifest>);
    expect(s.all).toEqual([]);
    expect(await s.sources.end(named('log'), LOCAL_ASKER, null, false)).toBeNull();
    expect(s.volume('log').manifest.replication).toBeUndefined();
  });
});

describe('a moment', () => {
  test('is one group of snapshots of all members, with names in UTC', async () => {
    const { id } = await s.begin(['db', 'log']);
    const moment = await s.moment();
    expect(momentsOf(s.only)).toEqual([moment]);
    expect(moment.momentMs).toBe(time.nowMs);
    for (const name of ['db', 'log']) expect(s.snapshotsOf(name)).toEqual(['replica-20261128-100000']);
    expect(moment.snapshots.map(({ group, replication, creator }) => [group.id, replication, creator])).toEqual([
      [moment.group, id, null],
      [moment.group, id, null],
    ]);
  });

  test('gets another name if the name is taken', async () => {
    await s.begin(['db']);
    const taken = { name: 'db', universe: 0, snapshot: 'replica-20261128-100000' };
    await s.scene.snapshots.snapshot([taken], LOCAL_ASKER, null, WHOLE_TURN);
    await s.moment();
    expect(s.snapshotsOf('db')).toEqual(['replica-20261128-100000', 'replica-20261128-100000-2']);
  });

  test('of a repeated request is the same, even if no other may be made now', async () => {
    await s.begin(['db', 'log']);
    const moment = await s.moment('r');
    expect(await s.moment('r')).toEqual(moment);
    expect(await s.moment('other'), 'the client has lost the answer').toEqual(moment);
    await s.sources.confirm(s.only.id, moment.group, PEER);
    expect(await refusal(s.moment('other'))).toMatch(/^E_BUSY: The newest moment was made 0 ms ago/);
  });

  test('is refused to every other client with the same text', async () => {
    const { id } = await s.begin(['db']);
    const of = (replication: string): string => {
      try {
        s.sources.next(replication, OTHER_PEER, null);
        return 'no error';
      } catch (thrown) {
        return (thrown as Error).message.replaceAll(replication, 'ID');
      }
    };
    expect(of(id)).toBe('Client big-7 has no replication "ID" on this server: its source may have ended it');
    expect(of('x')).toBe(of(id));
    expect(await refusal(s.sources.confirm(id, 'x', LOCAL_ASKER))).toMatch(/^E_UNKNOWN_VOLUME: /);
  });

  test('is refused while too many are not confirmed', async () => {
    await s.begin(['db']);
    for (let count = 0; count < MOMENTS_UNCONFIRMED_MAX; count++) {
      await s.moment();
      time.later(1_000);
    }
    expect(await refusal(s.moment())).toBe('E_BUSY: The last 4 moments are not confirmed: copy and confirm the newest one first');
    await s.confirm(momentsOf(s.only).at(-1)!);
    await s.moment();
  });

  test('is made even after the clock was set back', async () => {
    await s.begin(['db']);
    const first = await s.moment();
    time.later(-3_600_000);
    const second = await s.moment();
    // The time is what the clock says, and the order does not depend on it.
    expect(second.momentMs).toBe(first.momentMs - 3_600_000);
    expect(momentsOf(s.only).map(({ group }) => group)).toEqual([first.group, second.group]);
    await s.confirm(second);
    await expect(s.confirm(first)).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  test('is refused while a volume is missing, and does not tell the client the reason', async () => {
    await s.begin(['db', 'log']);
    s.scene.pools.remove('slow', { manifest: s.volume('log').manifest, removal: { removedMs: 1, by: null, request: null } });
    expect(await refusal(s.moment())).toBe('E_BUSY: A pool of the source cannot be used: the administrator of the server sees why');
  });

  test('counts towards the limit of the owner', async () => {
    await s.scene.create({ name: 'own', clients: ['venus', 'big-8'] }, MANAGER);
    await s.begin(['own'], {}, MANAGER);
    for (let count = 0; count < 3; count++) {
      time.later(1_000);
      await s.confirm(await s.moment());
    }
    expect(s.snapshotsOf('own')).toHaveLength(2);
    expect(countSnapshots(s.scene.pools.states, 'venus')).toBe(2);
  });
});

describe('a confirmation', () => {
  async function moments(count: number): Promise<void> {
    for (let made = 0; made < count; made++) {
      time.later(10_000);
      await s.confirm(await s.moment());
    }
  }

  test('keeps the newest moments, and removes earlier ones of all members', async () => {
    await s.begin(['db', 'log'], { keep: 3 });
    await moments(5);
    const names = ['replica-20261128-100030', 'replica-20261128-100040', 'replica-20261128-100050'];
    for (const name of ['db', 'log']) expect(s.snapshotsOf(name)).toEqual(names);
    expect(s.only.order.confirmed).toEqual({ group: momentsOf(s.only).at(-1)?.group, momentMs: time.nowMs });
  });

  test('never removes newer moments, other snapshots, or moments that the volume got as a follower', async () => {
    await s.begin(['db'], { keep: 1 });
    await s.scene.snapshots.snapshot([{ name: 'db', universe: 0, snapshot: 'monday' }], LOCAL_ASKER, null, WHOLE_TURN);
    const first = await s.moment();
    const { pool, manifest } = s.volume('db');
    const inherited = { ...first.snapshots[0]!, id: crypto.randomUUID(), name: 'inherited', createdMs: 1 };
    const origin = { snapshot: crypto.randomUUID(), group: crypto.randomUUID() };
    s.scene.pools.putSnapshots(pool.name, manifest.id, (all) => ({ ...all, list: [{ ...inherited, origin }, ...all.list] }));
    time.later(10_000);
    const second = await s.moment();
    time.later(10_000);
    await s.moment();
    expect(await s.confirm(second)).toBe(1);
    expect(s.snapshotsOf('db')).toEqual(['inherited', 'monday', 'replica-20261128-100010', 'replica-20261128-100020']);
  });

  test('leaves a moment that a client reads, and the next confirmation removes it', async () => {
    await s.begin(['db'], { keep: 1 });
    const [read] = (await s.moment()).snapshots;
    s.scene.used.add(read!.id);
    await moments(2);
    expect(s.snapshotsOf('db')).toEqual(['replica-20261128-100000', 'replica-20261128-100020']);
    s.scene.used.delete(read!.id);
    expect(await s.confirm(momentsOf(s.only).at(-1)!)).toBe(1);
    expect(s.snapshotsOf('db')).toEqual(['replica-20261128-100020']);
    expect(s.warned).toEqual([]);
  });

  test('also removes snapshots of moments that are no longer complete', async () => {
    await s.begin(['db', 'log'], { keep: 1 });
    const first = await s.moment();
    await moments(1);
    expect(momentsOf(s.only)).toHaveLength(1);
    await s.begin(['db', 'log'], { keep: 2 });
    await moments(1);
    await s.scene.snapshots.remove({ name: 'log', universe: 0, snapshot: 'replica-20261128-100010' }, LOCAL_ASKER, null);
    await moments(1);
    expect(s.snapshotsOf('db')).toEqual(['replica-20261128-100020', 'replica-20261128-100030']);
    expect(first.group).not.toBe(s.only.order.confirmed?.group);
  });

  test('of an earlier moment, or of none, is refused; of the same one again it changes nothing', async () => {
    await s.begin(['db', 'log'], { keep: 5 });
    const first = await s.moment();
    await moments(1);
    const { confirmed } = s.only.order;
    expect(await refusal(s.confirm(first))).toMatch(/^E_USAGE: Moment .* is older than the moment that was confirmed last/);
    expect(await refusal(s.confirm({ group: crypto.randomUUID() }))).toMatch(/^E_UNKNOWN_SNAPSHOT: .*no complete moment/);
    expect(await s.confirm({ group: confirmed!.group })).toBe(0);
    expect(s.only.order.confirmed).toEqual(confirmed);
  });

  test('does not replace the stamp of the last request', async () => {
    await s.sources.replicate(order(['db']), LOCAL_ASKER, 'r');
    await moments(1);
    expect(s.volume('db').manifest.request).toBe('r');
  });

  test('never removes the snapshot of another volume that has the same name', async () => {
    await s.begin(['log'], { keep: 1 });
    const old = await s.moment();
    time.later(10_000);
    const next = await s.moment();
    // A pool that was brought from another server has a volume of the same name, with snapshots of the same names.
    const { manifest } = s.volume('log');
    const twin = { ...manifest, id: crypto.randomUUID() };
    s.scene.pools.put('fast', twin);
    s.scene.pools.putSnapshots('fast', twin.id, (all) => ({
      ...all,
      list: old.snapshots.map((one) => ({ ...one, id: crypto.randomUUID() })),
    }));
    const ofTwin = () => s.scene.pools.states[0]!.snapshots.get(twin.id)!.list.map(({ name }) => name);
    const before = ofTwin();
    expect(await s.confirm(next)).toBe(1);
    expect([s.warned, ofTwin()]).toEqual([[], before]);
  });
});
