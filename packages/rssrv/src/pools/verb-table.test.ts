// Runs each cell of the table of states and verbs on a real pool: the verb runs on a volume in that state, or is refused with the error of the
// table. Also checks that no handler checks states on its own. Rules: T8.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { toRsError } from '@rsio/common/lib/errors';
import { snapshotHandlers } from '../admin/snapshot-handlers.ts';
import { CopyScene, DB } from '../testing/copy-scene.ts';
import { removeFolder } from '@rsio/common/testing/remove-folder';
import { ReplicaStore } from '../mirrors/replica-verbs.ts';
import { systemClock } from '@rsio/common/lib/clock';
import { PoolScene } from '../testing/pool-scene.ts';
import { directory, parent, useTwoPools } from '../testing/two-pools.ts';
import { volumeIn } from '../testing/volume-content.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from '../testing/whole-turn.ts';
import { decideOtherContent } from '../snapshots/snapshot-rules.ts';
import { LOCAL_ASKER } from './asker.ts';
import { findVolume } from './catalogue.ts';
import type { Manifest } from './disk/manifest.ts';
import { ALL_STATES, ALL_VERBS, cellOf, type State, type Verb } from './verb-table.ts';

useTwoPools();

const SIZE_BYTES = 65_536;
const MIRROR = 'a'.repeat(32);
const OTHER = '00000000-0000-4000-8000-0000000000ff';
const ORDER = { to: 'big-8', pool: null, everyMs: 60_000, keep: 3, limitBytes: null, createdMs: 0, confirmed: null };
const FOLLOWER = {
  ...{ replication: OTHER, peer: 'site-b', sourceId: OTHER, sourceName: 'db', sourceUniverse: 0, members: [OTHER], promoted: null },
};
const RELATION = { ofName: 'log', ofUniverse: 0, momentMs: 1, refresh: OTHER };

/** The state of a volume that a test builds. `plain` is in no state. */
type Built = State | 'plain';

interface Bench {
  readonly scene: PoolScene;
  readonly copies: CopyScene;
  readonly found: () => ReturnType<typeof volumeIn>;
}

/** The verbs of mirrors need a replica, and the verbs of images an image or a volume with an image. */
const OF_REPLICAS: readonly Verb[] = ['grow with its mirror', 'snapshot with its mirror', 'make a moment with its mirror'];

async function bench(at: string, state: Built, verb: Verb): Promise<Bench> {
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
  return { scene, copies, found };
}

async function put(scene: PoolScene, manifest: Manifest, marks: Partial<Manifest>): Promise<void> {
  const pool = scene.pools.states.find(({ volumes }) => volumes.has(manifest.id))!;
  const marked = { ...manifest, ...marks };
  await scene.verbs.onDisk(pool, 10_000, (files) => files.replaceManifest(marked));
  scene.pools.put(pool, marked);
}

const jobs = ({ copies }: Bench) => copies.service.handlers(LOCAL_ASKER, WHOLE_CHANGES);
const LIMITS = { limitBytes: null, request: null };

const RUN: Readonly<Record<Verb, (bench: Bench) => unknown>> = {
  grow: ({ scene }) => scene.verbs.grow(DB, 2 * SIZE_BYTES, LOCAL_ASKER, null),
  'grow with its mirror': ({ scene }) => scene.verbs.grow(DB, 2 * SIZE_BYTES, LOCAL_ASKER, null, null, MIRROR),
  rename: ({ scene }) => scene.verbs.rename(DB, { name: 'new', universe: 0 }, LOCAL_ASKER, null),
  remove: ({ scene }) => scene.verbs.remove(DB, LOCAL_ASKER, null),
  'set a schedule': ({ scene }) => scene.verbs.set(DB, { schedule: 'hourly keep 2' }, LOCAL_ASKER, null),
  'set shared or read-only': ({ scene }) => scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null),
  'confirm another file': ({ scene, found }) => scene.verbs.set(DB, { sameContent: found().manifest.stamps[0] ?? '' }, LOCAL_ASKER, null),
  snapshot: ({ scene }) => scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday' }], LOCAL_ASKER, null, WHOLE_TURN),
  'make a moment': ({ scene }) =>
    scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday', replication: OTHER }], LOCAL_ASKER, null, WHOLE_TURN),
  'snapshot with its mirror': ({ scene }) => mirrorSnapshot(scene, {}),
  'make a moment with its mirror': ({ scene }) => mirrorSnapshot(scene, { replication: OTHER }),
  'change the content': ({ scene, found }) =>
    found().pool.snapshots.get(found().manifest.id)?.list.length
      ? scene.snapshots.rollback({ ...DB, snapshot: 'monday' }, LOCAL_ASKER, null)
      : decideOtherContent(
          scene.verbs.catalogue,
          findVolume(scene.verbs.catalogue, DB, LOCAL_ASKER),
          null,
          scene.verbs.stamp(null),
          'rollback',
        ),
  move: (one) => jobs(one)['volume-move']({ ...DB, from: null, pool: 'slow', ...LIMITS }),
  'move a file': (one) => jobs(one)['volume-move']({ ...DB, from: 'b', pool: 'slow', ...LIMITS }),
  copy: (one) => jobs(one)['volume-copy']({ ...DB, snapshot: null, newName: 'new', newUniverse: 0, pool: 'slow', ...LIMITS }),
  export: (one) =>
    jobs(one)['volume-export']({ ...DB, snapshot: null, target: path.join(parent, 'out.raw'), format: 'raw', force: false, ...LIMITS }),
  'export a snapshot': (one) =>
    jobs(one)['volume-export']({ ...DB, snapshot: 'monday', target: path.join(parent, 'out.raw'), format: 'raw', force: false, ...LIMITS }),
  'make an image': ({ scene }) => scene.images.image(DB, 1, LOCAL_ASKER, null),
  'refresh an image': ({ scene }) => scene.images.refresh([DB], LOCAL_ASKER, null),
  'restore from an image': ({ scene }) => scene.images.restore(DB, 1, LOCAL_ASKER, null),
  compare: ({ scene, found }) => {
    const inventory = { catalogue: scene.verbs.catalogue };
    const differences = { difference: () => Promise.resolve({ ranges: [], endBytes: SIZE_BYTES }) };
    const handlers = snapshotHandlers({ inventory, differences, snapshots: scene.snapshots } as never, LOCAL_ASKER);
    const [{ name } = { name: '' }] = found().pool.snapshots.get(found().manifest.id)?.list ?? [];
    return handlers['volume-diff']({ ...DB, snapshot: name, until: null, offsetBytes: 0 });
  },
  'become a replica': ({ scene, found }) =>
    new ReplicaStore(
      scene.verbs,
      () => MIRROR,
      (work) => work(),
      { info: () => undefined },
    ).place(found().manifest.id, MIRROR),
  'stop serving': ({ scene }) => scene.verbs.whileUnserved(findVolume(scene.verbs.catalogue, DB, LOCAL_ASKER), () => Promise.resolve()),
};

function mirrorSnapshot(scene: PoolScene, more: { replication?: string }): Promise<unknown> {
  const moment = { mirror: MIRROR, term: 1, number: 1, id: '00000000-0000-4000-8000-0000000000aa' };
  return scene.snapshots.snapshot([{ ...DB, snapshot: 'tuesday', moment, ...more }], LOCAL_ASKER, null, WHOLE_TURN);
}

/** Cells that no volume can reach, or whose verb another rule refuses first. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'compare / empty follower': 'it has no snapshot with which it could be compared',
  'export a snapshot / empty follower': 'it has no snapshot',
  'change the content / unfinished snapshot': 'the snapshot of this test has no files, and is settled together with the kept content',
  'restore from an image / unfinished snapshot': 'as above',
};

async function outcome(state: Built, verb: Verb, at: string): Promise<string> {
  const one = await bench(at, state, verb);
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
