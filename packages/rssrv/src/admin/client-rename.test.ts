// Tests that a client gets another name in each place of the pools that names it, also if the server stops at any step, and that a client that
// could write keeps its name. rssrvcfg-edit.test.ts tests the file.

import { type IniDocument, parseIni, printIni } from '@rsio/common/config/reader/ini-document';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { clientAsker, LOCAL_ASKER } from '../pools/asker.ts';
import { directory, open, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import type { PoolScene } from '../testing/pool-scene.ts';
import { tenantsOf } from '../testing/asking.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';
import { clientNameHandlers, type RenameFile, type RenamePorts } from './client-rename.ts';
import type { LoggedChanges } from './logged-changes.ts';

usePoolDirectory();

const BIG_2 = clientAsker('big-2', tenantsOf('big-2'));
const IDLE: RenamePorts = { fences: { has: () => false }, holds: { heldBy: () => [] }, sessions: { isThere: () => false } };

const CONFIG = '[clients]\nbig-2 0xkey\n';
/** An rssrvcfg in memory. */
function fileOf(text: string): RenameFile & { text: string; readonly checked: string[] } {
  const file = {
    text,
    checked: [] as string[],
    renames: [] as string[],
    wasRenamed: (name: string, to: string) => file.renames.includes(`${name} ${to}`),
    renamed: async (name: string, to: string) => void file.renames.push(`${name} ${to}`),
    document: () => parseIni(file.text),
    check: (next: string) => Promise.resolve(file.checked.push(next)),
    change: (edit: (document: IniDocument) => IniDocument) => Promise.resolve((file.text = printIni(edit(parseIni(file.text))))),
  };
  return file;
}
const NO_FILE = fileOf('');

function rename(
  scene: PoolScene,
  ports: Partial<RenamePorts> = {},
  jobs: readonly string[] = [],
  asker = LOCAL_ASKER,
  { file, plan }: { readonly file: RenameFile | null; readonly plan: boolean } = { file: null, plan: false },
): Promise<unknown> {
  const changes = { run: (work: () => Promise<unknown>) => work(), note: () => undefined, by: 'a test' } as unknown as LoggedChanges;
  const ofName = (name: string): readonly string[] => (name === 'big-2' ? jobs : []);
  const handlers = clientNameHandlers(changes, scene.verbs, { ...IDLE, ...ports }, ofName, file ?? NO_FILE, asker);
  return Promise.resolve().then(() => handlers['client-rename']({ name: 'big-2', to: 'mars', file: file !== null, plan }));
}

async function filled(reached?: (step: string) => void): Promise<PoolScene> {
  const scene = await open(reached);
  await scene.create({ clients: ['big-2', 'venus'], takeOver: ['big-2'] }, BIG_2);
  await scene.verbs.set({ name: 'db', universe: 0 }, { managers: ['big-2'] }, BIG_2, null);
  await scene.create({ name: 'gone' }, BIG_2);
  await scene.verbs.remove({ name: 'gone', universe: 0 }, BIG_2, null);
  await scene.snapshots.snapshot([{ name: 'db', universe: 0, snapshot: 'monday' }], BIG_2, null, WHOLE_TURN);
  return scene;
}

test('it has the new name in all places, durably, and told twice, nothing changes', async () => {
  const scene = await filled();
  expect(await rename(scene)).toEqual({
    name: 'big-2',
    to: 'mars',
    volumes: 2,
    snapshots: 1,
    held: 0,
    pools: ['fast'],
    elsewhere: [],
    changes: [expect.any(String)],
  });
  const now = scene.picture();
  expect(now).toContain('"clients":["mars","venus"]');
  expect(now).toContain('"takeOver":["mars"]');
  expect(now).toContain('"managers":["mars"]');
  expect(now).toContain('"creator":"mars"');
  expect(now.match(/"owner":"mars"/g)).toHaveLength(1);
  expect(scene.pools.states[0]?.removed.values().next().value?.manifest.owner).toBe('mars');
  expect(scene.served.get('db@0')?.clients).toEqual(['mars', 'venus']);
  expect(await rename(scene)).toMatchObject({ volumes: 0, snapshots: 0 });
  await scene.pools.close();
  scenes.pop();
  const again = await open();
  expect(again.picture()).toBe(now);
  expect(again.pools.states[0]?.removed.values().next().value?.manifest.owner).toBe('mars');
});

test('a stop after any step leaves a rename that is finished when it is told again', async () => {
  for (let left = 1; left <= 2; left++) {
    let isArmed = false;
    let steps = 0;
    const scene = await open((step) => {
      if (isArmed && /change: commit|remove: manifest/.test(step) && ++steps === left) throw new Error('The server stops');
    }, `${directory}/${left}`);
    await scene.create({ clients: ['big-2'] }, BIG_2);
    await scene.create({ name: 'gone' }, BIG_2);
    await scene.verbs.remove({ name: 'gone', universe: 0 }, BIG_2, null);
    isArmed = true;
    await expect(rename(scene)).rejects.toThrow();
    isArmed = false;
    const later = await open(undefined, `${directory}/${left}`);
    await rename(later);
    const [pool] = later.pools.states;
    const owners = [...pool!.volumes.values(), ...[...pool!.removed.values()].map(({ manifest }) => manifest)].map(({ owner }) => owner);
    expect(owners).toEqual(['mars', 'mars']);
  }
});

test.each<[string, Partial<RenamePorts>, readonly string[], RegExp]>([
  ['a fence', { fences: { has: (node) => node === 'big-2' } }, [], /is fenced: rsadm client unfence big-2/],
  ['a fence of the new name', { fences: { has: (node) => node === 'mars' } }, [], /mars is fenced/],
  ['a hold', { holds: { heldBy: () => ['v'] } }, [], /holds 1 volume: detach there/],
  ['a job', {}, ['j-1'], /has open jobs \(j-1\)/],
  ['a session', { sessions: { isThere: () => true } }, [], /is connected: stop rsiod there/],
])('%s keeps the name', async (_, ports, jobs, why) => {
  const scene = await filled();
  const before = scene.picture();
  await expect(rename(scene, ports, jobs)).rejects.toMatchObject({ code: 'E_IN_USE', message: expect.stringMatching(why) as string });
  expect(scene.picture()).toBe(before);
});

test('a client that is a server of a replication keeps its name, and each refusal names the order that ends it', async () => {
  const scene = await filled();
  const [pool] = scene.pools.states;
  const [manifest] = pool!.volumes.values();
  const id = '8df585ab-9ef4-48a8-8b47-ec4fbe4e947a';
  const order = { to: 'big-2', pool: null, everyMs: 60_000, keep: 3, limitBytes: null };
  scene.verbs.pools.put(pool!.name, { ...manifest!, replication: { id, order } as never });
  await expect(rename(scene)).rejects.toMatchObject({
    code: 'E_IN_USE',
    message: expect.stringContaining('volume replicate db --end') as string,
  });
  const follower = { wanted: { replication: id, node: 'big-2', reversible: false } };
  scene.verbs.pools.put(pool!.name, { ...manifest!, follower: follower as never });
  await expect(rename(scene)).rejects.toMatchObject({
    code: 'E_IN_USE',
    message: expect.stringContaining('volume reverse db --cancel') as string,
  });
});

test('a client without the right admin renames no client', async () => {
  await expect(rename(await open(), {}, [], BIG_2)).rejects.toMatchObject({ code: 'E_RIGHTS' });
});

test('with the file, the pools have the new name before the file, a plan changes nothing, and told twice, nothing changes', async () => {
  const scene = await filled();
  const file = fileOf(CONFIG);
  const before = scene.picture();
  await rename(scene, {}, [], LOCAL_ASKER, { file, plan: true });
  expect([file.text, scene.picture()]).toEqual([CONFIG, before]);
  expect(file.checked).toEqual(['[clients]\nmars 0xkey\n']);
  const held = { ...IDLE, holds: { heldBy: (name: string) => (name === 'big-2' ? ['db@0'] : []) } };
  await expect(rename(scene, held, [], LOCAL_ASKER, { file, plan: true })).rejects.toThrow('holds 1 volume');
  // The file cannot be changed: told again, the order is finished.
  const broken = { ...file, document: () => parseIni(file.text), change: () => Promise.reject(new Error('Disk is full')) };
  await expect(rename(scene, {}, [], LOCAL_ASKER, { file: broken, plan: false })).rejects.toThrow(
    'The pools name mars now, and rssrvcfg still big-2',
  );
  expect(scene.picture()).toContain('"clients":["mars","venus"]');
  expect(file.text).toBe(CONFIG);
  expect(await rename(scene, {}, [], LOCAL_ASKER, { file, plan: false })).toMatchObject({ volumes: 0, pools: ['fast'], elsewhere: [] });
  expect(file.text).toBe('[clients]\nmars 0xkey\n');
  // A shared pool that comes here later has the old name: told again, it gets the new one.
  await scene.create({ name: 'later' }, BIG_2);
  const again = await rename(scene, {}, [], LOCAL_ASKER, { file, plan: false });
  expect(again).toMatchObject({ volumes: 1, changes: ['client big-2 is mars now: 1 volume and 0 snapshots of pools named it'] });
  expect(scene.picture()).not.toContain('"owner":"big-2"');
});

test('a client that is not there was not renamed, whoever has the other name, and a plan asks for what the order refuses', async () => {
  const scene = await filled();
  const give = (file: RenameFile, plan = false): Promise<unknown> => rename(scene, {}, [], LOCAL_ASKER, { file, plan });
  for (const text of ['[clients]\n', '[clients]\nmars 0xkey\n']) await expect(give(fileOf(text))).rejects.toThrow('No client "big-2"');
  const [pool] = scene.pools.states;
  const broken = { pools: { states: [{ ...pool!, trouble: 'I/O error' }] } } as unknown as typeof scene.verbs;
  const changes = { run: (work: () => Promise<unknown>) => work(), note: () => undefined, by: 'a test' } as unknown as LoggedChanges;
  const handlers = clientNameHandlers(changes, broken, IDLE, () => [], fileOf(CONFIG), LOCAL_ASKER);
  const plan = async (): Promise<unknown> => handlers['client-rename']({ name: 'big-2', to: 'mars', file: true, plan: true });
  await expect(plan()).rejects.toThrow('keeps its name, because pool fast cannot be changed now: I/O error');
});

test('if what the server remembers of names cannot be used, nothing is renamed, not even in the pools', async () => {
  const scene = await filled();
  const damaged = (): never => {
    throw new RsError('E_SYSTEM', 'namespace.json cannot be used');
  };
  const file = Object.assign(fileOf(CONFIG), { wasRenamed: damaged, renamed: async () => damaged() });
  const before = scene.picture();
  for (const plan of [true, false])
    await expect(rename(scene, {}, [], LOCAL_ASKER, { file, plan })).rejects.toThrow(/^namespace.json cannot/);
  expect([scene.picture(), file.text]).toEqual([before, CONFIG]);
});
