// Runs each cell of the table of states and verbs on a real pool: the verb runs on a volume in that state, or is refused with the error of the
// table. Also checks that no handler checks states on its own. Rules: T8.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { toRsError } from '@rsio/base/lib/errors';
import { snapshotHandlers } from '../admin/snapshot-handlers.ts';
import { tenantsOf } from '../testing/asking.ts';
import { CopyScene, DB } from '../testing/copy-scene.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { ReplicaStore } from '../mirrors/replica-verbs.ts';
import { systemClock } from '@rsio/base/lib/clock';
import { PoolScene } from '../testing/pool-scene.ts';
import { directory, parent, useTwoPools } from '../testing/two-pools.ts';
import { volumeIn } from '../testing/volume-content.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from '../testing/whole-turn.ts';
import { decideOtherContent } from '../snapshots/snapshot-rules.ts';
import { type Asker, clientAsker, LOCAL_ASKER } from './asker.ts';
import { findVolume } from './catalogue.ts';
import type { Manifest } from './disk/manifest.ts';
import { ALL_STATES, ALL_VERBS, cellOf, type State, type Verb } from './verb-table.ts';

useTwoPools();

const SIZE_BYTES = 65_536;
const MIRROR = 'a'.repeat(32);
const OTHER = '00000000-0000-4000-8000-0000000000ff';
const ORDER = { to: 'big-8', pool: null, everyMs: 60_000, keep: 3, limitBytes: null, createdMs: 0, confirmed: null };
const FOLLOWER = {
  replication: OTHER,
  peer: 'site-b',
  sourceId: OTHER,
  sourceName: 'db',
  sourceUniverse: 0,
  members: [OTHER],
  promoted: null,
};
const RELATION = { ofName: 'log', ofUniverse: 0, momentMs: 1, refresh: OTHER };

/** The state of a volume that a test builds. `plain` is in no state. */
type Built = State | 'plain';

interface Bench {
  readonly scene: PoolScene;
  readonly copies: CopyScene;
  readonly found: () => ReturnType<typeof volumeIn>;
  readonly asker: Asker;
}

/** The verbs of mirrors need a replica, and the verbs of images an image or a volume with an image. */
const OF_REPLICAS: readonly Verb[] = ['grow with its mirror', 'snapshot with its mirror', 'make a moment with its mirror'];

async function bench(at: string, state: Built, verb: Verb, asker: Asker): Promise<Bench> {
  const scene = await PoolScene.open(at, { clock: systemClock, names: ['fast', 'b', 'slow', 'gone'], absent: ['gone'] });
  const copies = new CopyScene(scene);
  await copies.jobs.load();
  const isStriped = state === 'several files' || verb === 'move a file';
  const pools = isStriped ? { pools: ['fast', 'b'] } : { pool: 'fast' };
  await scene.create({ name: 'log', pool: 'fast', sizeBytes: SIZE_BYTES });
  await scene.create({ sizeBytes: SIZE_BYTES, ...pools });
  const found = () => volumeIn(scene, 'db');
  const { manifest } = found();
  const ofId = volumeIn(scene, 'log').manifest.id;
  if (state !== 'empty follower') await scene.snapshots.snapshot([{ ...DB, snapshot: 'monday' }], LOCAL_ASKER, null, WHOLE_TURN);
  if (verb === 'restore from an image')
    await put(scene, (await scene.create({ universe: 1, pool: 'fast', sizeBytes: SIZE_BYTES })).manifest, {
      image: { ...RELATION, ofId: manifest.id, ofName: 'db' },
    });
  const image = { ...RELATION, ofId };
  const next = { id: OTHER, homeId: OTHER, stamp: 's', sizeBytes: SIZE_BYTES, momentMs: 2, request: null };
  const replication = { id: OTHER, members: [manifest.id], order: ORDER };
  const marks: Readonly<Record<Exclude<Built, 'snapshot in the making' | 'unfinished snapshot'>, Partial<Manifest>>> = {
    plain: {},
    'unfinished refresh': { image: { ...image, next } },
    'last step of a move': { movedTo: OTHER },
    'left behind': { movedFrom: OTHER },
    'handed over': { replication: { ...replication, handOver: { replication: OTHER, server: 'site-b', node: 'site-a', group: null } } },
    follower: { follower: FOLLOWER },
    'empty follower': { follower: FOLLOWER },
    replica: { replica: { mirror: MIRROR, identity: MIRROR } },
    source: { replication },
    'perhaps a source': { replication: { id: OTHER, members: [OTHER, manifest.id], order: null } },
    image: { image },
    'several files': {},
  };
  const isMaking = state === 'snapshot in the making';
  await put(scene, found().manifest, {
    ...(verb === 'refresh an image' ? { image } : {}),
    ...(OF_REPLICAS.includes(verb) ? { replica: { mirror: MIRROR, identity: MIRROR } } : {}),
    ...(isMaking || state === 'unfinished snapshot' ? {} : marks[state]),
  });
  if (isMaking || state === 'unfinished snapshot') {
    const record = { ...found().pool.snapshots.get(manifest.id)!.list[0]!, id: OTHER, name: 'half' };
    const half = { ...record, group: { ...record.group, poolId: OTHER } };
    scene.pools.putSnapshots('fast', manifest.id, (all) => ({ ...all, [isMaking ? 'making' : 'pending']: [half] }));
  }
  return { scene, copies, found, asker };
}

async function put(scene: PoolScene, manifest: Manifest, marks: Partial<Manifest>): Promise<void> {
  const pool = scene.pools.states.find(({ volumes }) => volumes.has(manifest.id))!;
  const marked = { ...manifest, ...marks };
  await scene.verbs.onDisk(pool, 10_000, (files) => files.replaceManifest(marked));
  scene.pools.put(pool, marked);
}

const jobs = ({ copies, asker }: Bench) => copies.service.handlers(asker, WHOLE_CHANGES);
const LIMITS = { limitBytes: null, request: null };

const RUN: Readonly<Record<Verb, (bench: Bench) => unknown>> = {
  grow: ({ scene, asker }) => scene.verbs.grow(DB, 2 * SIZE_BYTES, asker, null),
  'grow with its mirror': ({ scene, asker }) => scene.verbs.grow(DB, 2 * SIZE_BYTES, asker, null, null, MIRROR),
  rename: ({ scene, asker }) => scene.verbs.rename(DB, { name: 'new', universe: 0 }, asker, null),
  remove: ({ scene, asker }) => scene.verbs.remove(DB, asker, null),
  'set a schedule': ({ scene, asker }) => scene.verbs.set(DB, { schedule: 'hourly keep 2' }, asker, null),
  'set shared or read-only': ({ scene, asker }) => scene.verbs.set(DB, { readonly: true }, asker, null),
  'confirm another file': ({ scene, found, asker }) => scene.verbs.set(DB, { sameContent: found().manifest.stamps[0] ?? '' }, asker, null),
  snapshot: ({ scene, asker }) => scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday' }], asker, null, WHOLE_TURN),
  'make a moment': ({ scene, asker }) =>
    scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday', replication: OTHER }], asker, null, WHOLE_TURN),
  'snapshot with its mirror': ({ scene, asker }) => mirrorSnapshot(scene, asker, {}),
  'make a moment with its mirror': ({ scene, asker }) => mirrorSnapshot(scene, asker, { replication: OTHER }),
  'change the content': ({ scene, found, asker }) =>
    found().pool.snapshots.get(found().manifest.id)?.list.length
      ? scene.snapshots.rollback({ ...DB, snapshot: 'monday' }, asker, null)
      : decideOtherContent(scene.verbs.catalogue, findVolume(scene.verbs.catalogue, DB, asker), null, scene.verbs.stamp(null), 'rollback'),
  move: (one) => jobs(one)['volume-move']({ ...DB, from: null, pool: 'slow', ...LIMITS }),
  'move a file': (one) => jobs(one)['volume-move']({ ...DB, from: 'b', pool: 'slow', ...LIMITS }),
  copy: (one) => jobs(one)['volume-copy']({ ...DB, snapshot: null, newName: 'new', newUniverse: 0, pool: 'slow', ...LIMITS }),
  export: (one) =>
    jobs(one)['volume-export']({ ...DB, snapshot: null, target: path.join(parent, 'out.raw'), format: 'raw', force: false, ...LIMITS }),
  'export a snapshot': (one) =>
    jobs(one)['volume-export']({ ...DB, snapshot: 'monday', target: path.join(parent, 'out.raw'), format: 'raw', force: false, ...LIMITS }),
  'make an image': ({ scene, asker }) => scene.images.image(DB, 1, asker, null),
  'refresh an image': ({ scene, asker }) => scene.images.refresh([DB], asker, null),
  'restore from an image': ({ scene, asker }) => scene.images.restore(DB, 1, asker, null),
  compare: ({ scene, found, asker }) => {
    const inventory = { catalogue: scene.verbs.catalogue };
    const differences = { difference: () => Promise.resolve({ ranges: [], endBytes: SIZE_BYTES }) };
    const handlers = snapshotHandlers({ inventory, differences, snapshots: scene.snapshots } as never, asker);
    const [{ name } = { name: '' }] = found().pool.snapshots.get(found().manifest.id)?.list ?? [];
    return handlers['volume-diff']({ ...DB, snapshot: name, until: null, offsetBytes: 0 });
  },
  'become a replica': ({ scene, found }) =>
    new ReplicaStore(
      scene.verbs,
      () => MIRROR,
      (work) => work(),
      { info: () => undefined },
      { isServed: () => true, end: () => Promise.resolve() },
    ).place(found().manifest.id, MIRROR),
  'stop serving': ({ scene }) => scene.verbs.whileUnserved(findVolume(scene.verbs.catalogue, DB, LOCAL_ASKER), () => Promise.resolve()),
};

function mirrorSnapshot(scene: PoolScene, asker: Asker, more: { replication?: string }): Promise<unknown> {
  const moment = { mirror: MIRROR, term: 1, number: 1, id: '00000000-0000-4000-8000-0000000000aa' };
  return scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday', moment, ...more }], asker, null, WHOLE_TURN);
}

/** Cells that no volume can reach, or whose verb another rule refuses first. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'compare / empty follower': 'it has no snapshot with which it could be compared',
  'export a snapshot / empty follower': 'it has no snapshot',
  'change the content / unfinished snapshot': 'the snapshot of this test has no files, and is settled together with the kept content',
  'restore from an image / unfinished snapshot': 'as above',
};

async function outcome(state: Built, verb: Verb, at: string, asker: Asker = LOCAL_ASKER, marks: Partial<Manifest> = {}): Promise<string> {
  const one = await bench(at, state, verb, asker);
  await put(one.scene, one.found().manifest, marks);
  try {
    await RUN[verb](one);
    return 'runs';
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    return `${code}: ${message}`;
  } finally {
    await one.scene.pools.close();
    await removeFolder(at);
  }
}

test.each(ALL_VERBS.map((verb) => [verb] as const))('%s runs, or is refused as the table says, in each state', async (verb) => {
  const wrong: string[] = [];
  for (const state of ['plain', ...ALL_STATES] as const) {
    const wanted = state === 'plain' ? null : cellOf(verb, state);
    const seen = await outcome(state, verb, path.join(directory, `${verb} ${state}`.replaceAll(' ', '-')));
    const isAsWanted = wanted === null ? seen === 'runs' : seen.startsWith(`${wanted}: `);
    if (!isAsWanted && !Object.hasOwn(ELSEWHERE, `${verb} / ${state}`))
      wrong.push(`${verb} / ${state}: ${wanted ?? 'runs'}, and is ${seen}`);
  }
  expect(wrong).toEqual([]);
});

/** Verbs of the server itself, of administrators, and of the holder of a mirror, for which other rules say who may do them. */
const OTHER_RULES: readonly Verb[] = ['stop serving', 'become a replica', 'export', 'export a snapshot', 'compare', 'change the content'];
/** Verbs that leave the volume as it is. Every other verb, and every new one, is only for the owner. */
const FOR_ALL_THAT_ATTACH: readonly Verb[] = [
  ...(['snapshot', 'make a moment', 'snapshot with its mirror', 'make a moment with its mirror', 'copy', 'make an image'] as const),
];

test.each(ALL_VERBS.filter((verb) => !OTHER_RULES.includes(verb)).map((verb) => [verb] as const))(
  'with tenants, %s is for the owner of the volume, its managers and administrators',
  async (verb) => {
    const at = (who: string): string => path.join(directory, `${verb} ${who}`.replaceAll(' ', '-'));
    const server = tenantsOf('big-2', 'big-3');
    const outcomeFor = (who: string, asker: Asker, marks: Partial<Manifest>): Promise<string> =>
      outcome('plain', verb, at(who), asker, marks);
    const ofOther = { owner: 'big-2' };
    const refused = await outcomeFor('stranger', clientAsker('big-3', server), ofOther);
    if (FOR_ALL_THAT_ATTACH.includes(verb)) expect(refused).toBe('runs');
    else expect(refused).toMatch(/^E_RIGHTS: Client big-3 may not .* of others: (db|log) belongs to (another client|an administrator)/);
    expect(await outcomeFor('owner', clientAsker('big-2', server), ofOther)).toBe('runs');
    expect(await outcomeFor('manager', clientAsker('big-3', server), { ...ofOther, managers: ['big-3'] })).toBe('runs');
    expect(await outcomeFor('stranger of old', clientAsker('big-3', { ...server, namespace: { tenants: false } }), ofOther)).toBe('runs');
  },
);

test('no handler checks the state of a volume on its own', () => {
  const root = path.resolve(import.meta.dirname, '..');
  const files = (fs.readdirSync(root, { recursive: true }) as string[]).filter((file) => /(?<!\.test)\.ts$/.test(file));
  // The rules themselves, and the room of replications, whose verbs have rules of their own (T8 to T11).
  const isRule = (file: string): boolean =>
    /^(pools\/(catalogue|verb-table|[a-z-]+-rules|source-marks|repair\/.*)\.ts|replication\/|testing\/)/.test(file);
  const own = files.filter(
    (file) =>
      !isRule(file) &&
      /\b(checkNoFollower|checkNoReplica|checkNotBusy|checkNoSource)\(/.test(fs.readFileSync(path.join(root, file), 'utf8')),
  );
  expect(own).toEqual([]);
});
