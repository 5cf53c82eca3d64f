// Tests that errors which a client sees name no paths, no other clients and no other pools. If a client may not attach a volume, each order
// refuses the volume like a volume that does not exist. Rules: G18.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { Asker, clientAsker, LOCAL_ASKER } from '../../pools/asker.ts';
import { asking } from '../../testing/asking.ts';
import { CopyScene } from '../../testing/copy-scene.ts';
import { directory, openTwoPools, useTwoPools } from '../../testing/two-pools.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from '../../testing/whole-turn.ts';
import { visibleError } from './visible-errors.ts';

useTwoPools();

const MANAGER = new Asker('big-2', { role: 'manage', pools: ['fast'], limitBytes: null });
const USER = clientAsker('big-2', asking());
const WHY = 'the administrator of the server sees why';

const seen = (error: RsError, asker: Asker = MANAGER): string => {
  const { code, message, context } = visibleError(error, asker);
  return `${code}: ${message} ${JSON.stringify(context)}`;
};

test('an administrator sees errors as they are', () => {
  const error = new RsError('E_POOL', 'Pool fast cannot be used: /srv/fast is gone', { pool: 'fast', path: '/srv/fast' });
  expect(visibleError(error, new Asker(MANAGER.node, { ...MANAGER.rights, role: 'admin' }))).toBe(error);
});

// Regression: the reason of E_POOL named the path of the pool, and an error of volume-diff named the path of a file.
test.each<[string, RsError, string]>([
  [
    'a pool of the client',
    new RsError('E_POOL', 'Pool fast cannot be used: EIO, read /srv/fast/pool.json', { pool: 'fast' }),
    `E_POOL: Pool "fast" cannot be used now: ${WHY} {}`,
  ],
  [
    'another pool',
    new RsError('E_POOL', 'Pool slow cannot be used: it is not open', { pool: 'slow' }),
    `E_POOL: A pool of the server cannot be used now: ${WHY} {}`,
  ],
  [
    'the names of pools',
    new RsError('E_UNKNOWN_POOL', 'No pool x: there are fast, slow', { pool: 'x' }),
    'E_UNKNOWN_POOL: There is no such pool for this client: pool list shows its pools {}',
  ],
  [
    'a file that is compared',
    new RsError('E_VOLUME', '/srv/fast/volumes/1/data cannot be opened (EIO): check the pool', { path: '/srv/fast/volumes/1/data' }),
    `E_VOLUME: The volume cannot be used now: ${WHY} {}`,
  ],
  [
    'an error of the system',
    new RsError('E_SYSTEM', "EIO: i/o error, open '/srv/x'", { errno: 'EIO', isOutcomeUnknown: true }),
    `E_SYSTEM: The server could not do it: ${WHY} {"errno":"EIO","isOutcomeUnknown":true}`,
  ],
  [
    'what others have asked for',
    new RsError('E_TIMEOUT', 'Nothing was changed, because the server was busy for 1m with snapshot secret@x, by client venus: repeat it', {
      busyWith: 'snapshot secret@x, by client venus',
    }),
    'E_TIMEOUT: Nothing was changed, because the server was busy for 1m with other changes: repeat it {}',
  ],
  [
    'a job that copies elsewhere',
    new RsError('E_BUSY', 'Job 7, copy of volume db to nbd://vault/x, has not ended', { job: '7' }),
    `E_BUSY: The server has something else to do with this volume: ${WHY} {"job":"7"}`,
  ],
  [
    'what is its own stays',
    new RsError('E_HELD', 'Volume db is in use by venus', { volume: 'db', holders: ['venus'] }),
    'E_HELD: Volume db is in use by venus {"volume":"db","holders":["venus"]}',
  ],
])('%s', (_, error, expected) => {
  expect(seen(error)).toBe(expected);
});

test('a client without the right manage does not learn the names of pools', () => {
  expect(seen(new RsError('E_POOL', 'x', { pool: 'fast' }), USER)).toBe(`E_POOL: A pool of the server cannot be used now: ${WHY} {}`);
});

test('each order refuses a volume that the client may not attach as one that does not exist', async () => {
  const copies = new CopyScene(await openTwoPools(directory, {}));
  await copies.jobs.load();
  const { scene, service } = copies;
  await scene.create({ name: 'secret', pool: 'fast', sizeBytes: 65_536, clients: ['venus'] });
  await scene.snapshots.snapshot([{ name: 'secret', universe: 0, snapshot: 's' }], LOCAL_ASKER, null, WHOLE_TURN);
  const orders = service.handlers(MANAGER, WHOLE_CHANGES);
  const job = { limitBytes: null, request: null };
  const all: Readonly<Record<string, (name: string) => unknown>> = {
    grow: (name) => scene.verbs.grow({ name, universe: 0 }, 131_072, MANAGER, null),
    rename: (name) => scene.verbs.rename({ name, universe: 0 }, { name: 'x', universe: 0 }, MANAGER, null),
    set: (name) => scene.verbs.set({ name, universe: 0 }, { readonly: true }, MANAGER, null),
    remove: (name) => scene.verbs.remove({ name, universe: 0 }, MANAGER, null),
    restore: (name) => scene.verbs.restore({ name, universe: 0 }, MANAGER, null),
    snapshot: (name) => scene.snapshots.snapshot([{ name, universe: 0, snapshot: 's' }], MANAGER, null, WHOLE_TURN),
    snapshotRemove: (name) => scene.snapshots.remove({ name, universe: 0, snapshot: 's' }, MANAGER, null),
    clone: (name) => scene.snapshots.clone({ name, universe: 0, snapshot: 's' }, { name: 'x', universe: 0 }, MANAGER, null, WHOLE_TURN),
    rollback: (name) => scene.snapshots.rollback({ name, universe: 0, snapshot: 's' }, MANAGER, null),
    refresh: (name) => scene.images.refresh([{ name, universe: 0 }], MANAGER, null),
    imageRestore: (name) => scene.images.restore({ name, universe: 0 }, 1, MANAGER, null),
    split: (name) => scene.images.split({ name, universe: 0 }, MANAGER, null),
    image: (name) => service.images.image({ name, universe: 0, newUniverse: 1, pool: null, limitBytes: null }, MANAGER, WHOLE_CHANGES),
    copy: (name) => orders['volume-copy']({ name, universe: 0, snapshot: null, newName: 'x', newUniverse: 0, pool: null, ...job }),
    copySnapshot: (name) => orders['volume-copy']({ name, universe: 0, snapshot: 's', newName: 'x', newUniverse: 0, pool: null, ...job }),
  };
  const errorOf = async (order: (name: string) => unknown, name: string): Promise<string> => {
    try {
      await order(name);
      return 'permitted';
    } catch (thrown) {
      return seen(thrown as RsError);
    }
  };
  for (const [what, order] of Object.entries(all)) {
    const [hidden, missing] = [await errorOf(order, 'secret'), await errorOf(order, 'absent')];
    expect(missing, what).toMatch(/^E_UNKNOWN_VOLUME: /);
    expect(hidden, what).toBe(missing.replaceAll('absent', 'secret'));
  }
  await scene.pools.close();
});
