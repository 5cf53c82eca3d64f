// Tests what clients with the right `manage` may do to the volumes of each other, by their requests and on real pools: with `tenants`, a
// volume belongs to the client that created it; without it, as in each file of an earlier release, to all. pools/verb-table.test.ts has each
// verb. Rules: A1.

import { expect, test } from 'vitest';
import type { ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { tenantsOf } from '../../testing/asking.ts';
import { open, usePoolDirectory } from '../../testing/pool-directory.ts';
import type { PoolScene } from '../../testing/pool-scene.ts';
import { volumeIn } from '../../testing/volume-content.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';
import { accessHandlers } from '../access-handlers.ts';
import { LoggedChanges } from '../logged-changes.ts';
import { volumeView } from '../server-views.ts';
import { snapshotHandlers } from '../snapshot-handlers.ts';
import { volumeHandlers } from '../volume-handlers.ts';
import { RemoteRequests } from './remote-requests.ts';

usePoolDirectory();

const NEW = { name: 'db', universe: 0, sizeBytes: 65_536 };

/** Returns a server: each call is a request of the client, and its result is `done` or the error. */
function serverOf(scene: PoolScene, tenants: boolean) {
  const viewOf = async (pool: Parameters<typeof scene.verbs.configOf>[0], manifest: Parameters<typeof scene.verbs.configOf>[1]) => {
    const status = { id: manifest.id, sizeBytes: 65_536, reason: null, holders: [], waitsForSpace: false };
    const relation = { image: null, follows: null };
    return volumeView(scene.verbs.configOf(pool, manifest), manifest, status as never, null, 0, null, relation, null);
  };
  const inventory = {
    viewOf,
    get catalogue() {
      return scene.verbs.catalogue;
    },
    snapshotViews: () => Promise.resolve([]),
    show: ({ name }: { name: string }) =>
      viewOf(volumeIn(scene, name).pool, volumeIn(scene, name).manifest).then((volume) => ({ volume, snapshots: [] })),
  };
  const remote = new RemoteRequests({
    clock: new FakeClock(),
    log: { error: () => undefined },
    config: () => ({
      ...tenantsOf('big-2', 'big-3'),
      namespace: { tenants },
      clients: [{ name: 'big-2' }, { name: 'big-3' }],
    }),
    execute: async (method, params, asker) => {
      const queue = { run: (work: (turn: never) => unknown) => work(WHOLE_TURN as never), checkWanted: () => undefined };
      const changes = new LoggedChanges({ info: () => undefined }, queue as never, inventory as never, asker);
      const take = async (_: unknown, __: unknown, unlist: () => unknown) => ({ wasHeld: true, left: await unlist() });
      const ports = { revocations: { take }, fences: { order: (_: unknown, work: () => unknown) => work() } };
      const triggers = { around: (_: unknown, __: unknown, make: () => unknown) => make() };
      const handlers = {
        ...volumeHandlers(changes, inventory as never, scene.verbs, { look: () => undefined } as never, asker),
        ...accessHandlers(changes, scene.verbs, ports as never, asker),
        ...snapshotHandlers({ clock: new FakeClock(), changes, inventory, snapshots: scene.snapshots, triggers } as never, asker),
      } as unknown as Record<string, (given: object) => Promise<unknown>>;
      return handlers[method]!({ ...params, request: null });
    },
  });
  return async (node: string, method: ServerMethodName, params: object): Promise<Record<string, unknown>> => {
    const session = { id: node, node, isThere: () => true };
    const request = { what: 'admin-call' as const, id: 'id', method, params: JSON.stringify(params), withinMs: 1_000 };
    const reply = await remote.answer(session, request);
    return JSON.parse(Buffer.from((reply as { part: string }).part, 'base64').toString()) as Record<string, unknown>;
  };
}

const outcome = ({ error }: Record<string, unknown>): string =>
  error === undefined ? 'done' : `${(error as { code: string }).code}: ${(error as { message: string }).message}`;

const ATTACKS: readonly (readonly [ServerMethodName, object])[] = [
  ['volume-set', { name: 'db', settings: ['clients=big-3'] }],
  ['volume-set', { name: 'db', settings: ['take-over=big-3'] }],
  ['volume-set', { name: 'db', settings: ['managers=big-3'] }],
  ['volume-set', { name: 'db', settings: ['readonly=yes'] }],
  ['volume-allow', { name: 'db', client: 'big-3' }],
  ['volume-revoke', { name: 'db', client: 'big-2' }],
  ['volume-rename', { name: 'db', newName: 'mine' }],
  ['volume-grow', { name: 'db', sizeBytes: 131_072 }],
  ['volume-snapshot-remove', { name: 'db', snapshot: 'monday' }],
  ['volume-rollback', { name: 'db', snapshot: 'monday' }],
  ['volume-remove', { name: 'db' }],
];

test.each(ATTACKS)('%s %j: refused with tenants, also if the client may attach the volume', async (method, params) => {
  const scene = await open();
  const call = serverOf(scene, true);
  expect(outcome(await call('big-2', 'volume-create', NEW))).toBe('done');
  await scene.snapshots.snapshot([{ name: 'db', universe: 0, snapshot: 'monday' }], LOCAL_ASKER, null, WHOLE_TURN);
  // A volume of another client does not exist for a client that it does not name.
  expect(outcome(await call('big-3', method, params))).toBe('E_UNKNOWN_VOLUME: No volume db on this server: volume list shows them');
  expect(outcome(await call('big-2', 'volume-set', { name: 'db', settings: ['clients=big-2,big-3'] }))).toBe('done');
  const before = volumeIn(scene, 'db').manifest;
  expect(outcome(await call('big-3', method, params))).toMatch(/^E_RIGHTS: Client big-3 may not .*: db belongs to another client/);
  expect(volumeIn(scene, 'db').manifest).toEqual(before);
  expect(outcome(await call('big-2', 'volume-set', { name: 'db', settings: ['managers=big-3'] }))).toBe('done');
  expect(outcome(await call('big-3', method, params))).toBe('done');
});

test.each(ATTACKS.filter(([method]) => method !== 'volume-revoke'))('%s %j: permitted without tenants', async (method, params) => {
  const scene = await open();
  const call = serverOf(scene, false);
  expect(outcome(await call('big-2', 'volume-create', NEW))).toBe('done');
  await scene.snapshots.snapshot([{ name: 'db', universe: 0, snapshot: 'monday' }], LOCAL_ASKER, null, WHOLE_TURN);
  expect(outcome(await call('big-3', method, params))).toBe('done');
});

test('with tenants, a new volume is for its creator alone, unless the creator names others; copies of it are for the same clients', async () => {
  const scene = await open();
  const call = serverOf(scene, true);
  await call('big-2', 'volume-create', NEW);
  await call('big-2', 'volume-create', { ...NEW, name: 'pair', clients: ['big-2', 'big-3'] });
  const access = (name: string): unknown => {
    const { clients, takeOver, owner } = volumeIn(scene, name).manifest;
    return { clients, takeOver, owner };
  };
  expect(access('db')).toEqual({ clients: ['big-2'], takeOver: ['big-2'], owner: 'big-2' });
  expect(access('pair')).toEqual({ clients: ['big-2', 'big-3'], takeOver: null, owner: 'big-2' });
  expect(outcome(await call('big-3', 'volume-snapshot', { snapshots: [{ name: 'pair', universe: 0, snapshot: 'mine' }] }))).toBe('done');
  expect(outcome(await call('big-3', 'volume-clone', { name: 'pair', snapshot: 'mine', newName: 'copy' }))).toBe('done');
  expect(access('copy')).toEqual({ clients: ['big-2', 'big-3'], takeOver: null, owner: 'big-3' });
  // A client removes the snapshots that it has made.
  expect(outcome(await call('big-3', 'volume-snapshot-remove', { name: 'pair', snapshot: 'mine' }))).toBe('done');
});

test('an owner sees the clients that it has named, and another client only itself', async () => {
  const call = serverOf(await open(), true);
  await call('big-2', 'volume-create', { ...NEW, clients: ['big-2', 'big-3'] });
  const shown = async (node: string): Promise<unknown> => {
    const { result } = await call(node, 'volume-show', { name: 'db' });
    const { clients, owner, isOwn } = (result as { volume: Record<string, unknown> }).volume;
    return { clients, owner, isOwn };
  };
  expect(await shown('big-2')).toEqual({ clients: ['big-2', 'big-3'], owner: 'big-2', isOwn: true });
  expect(await shown('big-3')).toEqual({ clients: ['big-3'], owner: null, isOwn: false });
});

test('with tenants, a client restores and deletes no removed volume of another one', async () => {
  const scene = await open();
  const call = serverOf(scene, true);
  await call('big-2', 'volume-create', { ...NEW, clients: ['big-2', 'big-3'] });
  await call('big-2', 'volume-remove', { name: 'db' });
  expect(outcome(await call('big-3', 'volume-restore', { name: 'db' }))).toMatch(
    /^E_RIGHTS: Client big-3 may not restore volumes of others/,
  );
  expect(outcome(await call('big-3', 'volume-purge', { name: 'db' }))).toMatch(/^E_UNKNOWN_VOLUME: /);
  expect(outcome(await call('big-2', 'volume-restore', { name: 'db' }))).toBe('done');
});
