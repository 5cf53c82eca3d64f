// Tests what the catalogue permits and refuses: names, sizes, the choice of a pool, the rights of clients, and the numbers in a refusal for
// lack of space. pools.test.ts tests how the decisions are executed on disk. Rules: G15, N12 in docs/GUARANTEES.md.

import { RsError } from '@rsio/base/lib/errors';
import { describe, expect, test } from 'vitest';
import { type Asker, clientAsker, LOCAL_ASKER } from './asker.ts';
import { asking } from '../testing/asking.ts';
import {
  type Catalogue,
  checkChange,
  type CreateRequest,
  decideCreate,
  decideGrow,
  decideRename,
  findToChange,
  findVolume,
  type PoolState,
} from './catalogue.ts';
import { decideSet } from './settings.ts';
import { POOL_VOLUMES_MAX, POOL_VOLUMES_PER_CLIENT_MAX, PURGED_AT_ONCE_MAX } from './limits.ts';
import type { VolumeId } from './disk/ids.ts';
import type { Manifest } from './disk/manifest.ts';
import type { RemovedVolume } from './disk/pool-scan.ts';
import { decidePurge, decideRestore } from './removed-volumes.ts';
import { createRequest } from '../testing/pool-scene.ts';

const GIB = 1024 ** 3;
let fileIds = 0;
const newId = (): string => `00000000-0000-4000-9000-${String(++fileIds).padStart(12, '0')}`;
const STAMP = { id: '00000000-0000-4000-8000-000000000001' as const, newId, request: null, nowMs: 5 };

function manifest(name: string, changes: Partial<Manifest> = {}): Manifest {
  return {
    id: `id-${name}` as VolumeId,
    name,
    universe: 0,
    sizeBytes: GIB,
    blockSizeBytes: 512,
    layout: { kind: 'simple' },
    thick: false,
    readonly: false,
    shared: false,
    clients: null,
    takeOver: null,
    takeOverForce: false,
    owner: null,
    createdMs: 0,
    stamps: [null],
    request: null,
    ...changes,
  };
}

function pool(name: string, changes: Partial<PoolState> = {}, volumes: readonly Manifest[] = []): PoolState {
  return {
    name,
    path: `/${name}`,
    limitBytes: null,
    reserve: 0,
    overcommit: 'warn',
    identity: null,
    isShared: false,
    ownership: null,
    isOpen: true,
    trouble: null,
    space: { totalBytes: 100 * GIB, freeBytes: 50 * GIB },
    hasReflink: true,
    volumes: new Map(volumes.map((volume) => [volume.id, volume])),
    removed: new Map(),
    snapshots: new Map(),
    purging: new Map(),
    parts: new Map(),
    partBytes: 0,
    unreadable: new Set(),
    findings: [],
    ...changes,
  };
}

const catalogue = (...pools: PoolState[]): Catalogue => ({ pools, configured: [{ name: 'section', universe: 0, clients: null }] });

const create = (where: Catalogue, changes: Partial<CreateRequest> = {}, asker: Asker = LOCAL_ASKER) =>
  decideCreate(where, createRequest({ sizeBytes: GIB, ...changes }), asker, STAMP);

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(RsError);
    return `${(thrown as RsError).code}: ${(thrown as RsError).message}`;
  }
  return 'permitted';
}

const MANAGER = clientAsker('big-2', asking([{ name: 'big-2', role: 'manage', pools: ['fast'], limitBytes: 5 * GIB, line: 1 }]));
const USER = clientAsker('venus', asking());
const ADMIN = clientAsker('ops', asking([{ name: 'ops', role: 'admin', pools: null, limitBytes: null, line: 1 }]));

// Regression: a hidden volume in an unmounted pool or in a section was refused with a different error than a missing volume.
test('a volume that the asker may not attach does not exist for it, whatever state it is in', () => {
  const clients = ['venus'];
  const where: Catalogue = {
    pools: [pool('fast', {}, [manifest('there', { clients })]), pool('gone', { trouble: 'no /srv/gone' }, [manifest('lost', { clients })])],
    configured: [{ name: 'section', universe: 0, clients }],
  };
  const found = (name: string, asker: Asker): string => refusal(() => findVolume(where, { name, universe: 0 }, asker));
  for (const name of ['there', 'lost', 'section']) expect(found(name, MANAGER)).toBe(found('missing', MANAGER).replace('missing', name));
  expect(['there', 'lost', 'section'].map((name) => found(name, USER).slice(0, 8))).toEqual(['permitte', 'E_POOL: ', 'E_VOLUME']);
});

describe('a shared pool', () => {
  const own = (id: string): Partial<PoolState> => ({ identity: { id } as PoolState['identity'] });
  const where = catalogue(pool('fast', { isShared: true, ...own('fast-id') }), pool('slow'), pool('own', own('own-id')));
  const REFUSAL = 'E_USAGE: Pool fast is shared, and a volume of several files would have a part in it: use pools on disks of this server';

  test('gets whole volumes', () => {
    expect(create(where, { pool: 'fast' }).pool.name).toBe('fast');
  });

  // The code that looks at a shared pool's record, and the code that closes such a pool, consider only the home of a volume.
  test.each([[['fast', 'slow']], [['slow', 'fast']]])('is refused for a volume over %j', (pools) => {
    expect(refusal(() => create(where, { pools }))).toBe(REFUSAL);
    expect(refusal(() => create(where, { pools, chunkBytes: 65_536 }))).toBe(REFUSAL);
  });

  test('is refused for the growth of a concat volume', () => {
    const parts = ['own-id', 'slow-id'].map((poolId) => ({ poolId, fileId: newId(), sizeBytes: GIB / 2 }));
    const concat = manifest('db', { layout: { kind: 'concat', parts } as Manifest['layout'], stamps: [null, null] });
    const found = { pool: where.pools[2]!, manifest: concat };
    expect(refusal(() => decideGrow(where, found, 2 * GIB, LOCAL_ASKER, null, { pool: 'fast', newId }))).toBe(REFUSAL);
  });
});

describe('names and sizes', () => {
  const where = catalogue(pool('fast', {}, [manifest('rdb'), manifest('log')]), pool('slow', {}, [manifest('old', { universe: 1 })]));
  test.each([
    ['a name in the same pool', { name: 'log' }, 'E_EXISTS: Volume log exists: choose another name'],
    ['a name in another pool', { name: 'old', universe: 1 }, 'E_EXISTS: Volume old@1 exists: choose another name'],
    ['the name of a section', { name: 'section' }, 'E_EXISTS: Volume section exists: choose another name'],
    [
      'the name of which another is the raw device',
      { name: 'db' },
      'E_EXISTS: Volume rdb exists, and rdb is the name of the raw device of db: choose another name',
    ],
    [
      'the raw device of another',
      { name: 'rlog' },
      'E_EXISTS: Volume log exists, and rlog is the name of the raw device of log: choose another name',
    ],
    ['a name that is none', { name: 'a/b' }, /^E_USAGE: Wrong volume name "a\/b": allowed is/],
    ['no size', { name: 'x', sizeBytes: 0 }, /^E_USAGE: Wrong size 0: allowed is 512 to/],
    [
      'half a block',
      { name: 'x', sizeBytes: 4096 + 512, blockSizeBytes: 4096 as const },
      'E_USAGE: Wrong size 4608: allowed are multiples of the block size 4096, such as 8k',
    ],
    ['more than a volume can have', { name: 'x', sizeBytes: 2 ** 53 - 512 }, /^E_USAGE: Wrong size/],
  ])('%s is refused', (_, changes, expected) => {
    const got = refusal(() => create(where, changes));
    if (typeof expected === 'string') expect(got).toBe(expected);
    else expect(got).toMatch(expected);
  });

  test('one name in two universes is permitted, and a volume may keep its own name', () => {
    expect(create(where, { name: 'log', universe: 1 }).manifest).toMatchObject({ name: 'log', universe: 1 });
    const log = findVolume(where, { name: 'log', universe: 0 }, LOCAL_ASKER);
    expect(decideRename(where, log, { name: 'log', universe: 2 }, null).universe).toBe(2);
  });
});

describe('space', () => {
  test('a limit bounds what volumes promise, and the refusal has the numbers', () => {
    const where = catalogue(pool('fast', { limitBytes: 4 * GIB }, [manifest('a', { sizeBytes: 3 * GIB })]));
    expect(create(where).pool.name).toBe('fast');
    expect(refusal(() => create(where, { sizeBytes: 2 * GIB }))).toBe(
      'E_SPACE: Pool fast has no room: asked 2g, free 50g, promised 3g, limit 4g: remove a volume, use another pool, or raise limit in section [pool fast] of rssrvcfg',
    );
    const a = findVolume(where, { name: 'a', universe: 0 }, LOCAL_ASKER);
    expect(decideGrow(where, a, 4 * GIB, LOCAL_ASKER, null, null).sizeBytes).toBe(4 * GIB);
    expect(refusal(() => decideGrow(where, a, 4 * GIB + 512, LOCAL_ASKER, null, null))).toMatch(
      /^E_SPACE: Pool fast has no room: asked \d+, free 50g, promised 3g, limit 4g/,
    );
  });

  test('a thin volume may exceed the free space, a thick one may not use the reserve', () => {
    const where = catalogue(pool('fast', { reserve: 0.1, space: { totalBytes: 100 * GIB, freeBytes: 12 * GIB } }));
    expect(create(where, { sizeBytes: 500 * GIB }).manifest.sizeBytes).toBe(500 * GIB);
    expect(create(where, { sizeBytes: 2 * GIB, thick: true }).manifest.thick).toBe(true);
    expect(refusal(() => create(where, { sizeBytes: 3 * GIB, thick: true }))).toBe(
      'E_SPACE: Pool fast has no room: asked 3g, free 2g, promised 0, limit none: free space there, or create the volume without --thick',
    );
  });

  test('the pool with the most room is chosen among those that are usable and permitted', () => {
    const free = (gib: number) => ({ space: { totalBytes: 100 * GIB, freeBytes: gib * GIB } });
    const where = catalogue(
      pool('a', free(10)),
      pool('b', { ...free(90), trouble: 'it is not mounted' }),
      pool('c', free(60)),
      pool('fast', free(20)),
    );
    expect(create(where).pool.name).toBe('c');
    expect(create(where, { clients: ['big-2'] }, MANAGER).pool.name).toBe('fast');
    expect(create(catalogue(pool('a', { ...free(90), limitBytes: GIB / 2 }), pool('c', free(60)))).pool.name).toBe('c');
    const plain = pool('plain', { ...free(90), hasReflink: false });
    expect(create(catalogue(plain, pool('c', free(20)))).pool.name, 'with reflink').toBe('c');
    expect(create(catalogue(plain, pool('c', { ...free(20), limitBytes: GIB / 2 }))).pool.name, 'no other has room').toBe('plain');
    expect(create(catalogue(plain, pool('c', free(20))), { sizeBytes: 30 * GIB }).pool.name, 'it would not fit').toBe('plain');
    expect(refusal(() => create(where, { pool: 'b' }))).toBe('E_POOL: Pool b cannot be used: it is not mounted');
    expect(refusal(() => create(where, { pool: 'z' }))).toBe('E_UNKNOWN_POOL: No pool "z": there are a, b, c, fast');
    expect(refusal(() => create(catalogue()))).toBe(
      'E_UNKNOWN_POOL: The server has no pool for this volume: rsadm pool add NAME PATH makes one',
    );
  });

  test('a volume never becomes smaller', () => {
    const where = catalogue(pool('fast', {}, [manifest('a')]));
    expect(refusal(() => decideGrow(where, findVolume(where, { name: 'a', universe: 0 }, LOCAL_ASKER), GIB, LOCAL_ASKER, null, null))).toBe(
      'E_VOLUME: Volume a has 1g, and 1g is not more: a volume cannot be made smaller',
    );
  });
});

describe('rights', () => {
  const removed = { manifest: manifest('gone'), removal: { removedMs: 1, by: null, request: null } };
  const where = catalogue(
    pool('fast', { removed: new Map([['id-gone', removed]]) }, [
      manifest('mine', { owner: 'big-2', sizeBytes: 3 * GIB }),
      manifest('hers', { clients: ['venus'] }),
    ]),
    pool('slow', {}, [manifest('far')]),
  );
  const found = (name: string) => findVolume(where, { name, universe: 0 }, LOCAL_ASKER);

  test('a client with `use` may create no volumes, and is told which right it lacks', () => {
    expect(refusal(() => create(where, {}, USER))).toBe(
      'E_RIGHTS: Client venus may not create volumes: its right is use, and manage is needed; rsadm client rights venus manage gives it',
    );
  });

  test('`manage` does not permit changes in other pools or of what the client may not attach', () => {
    const change = (asker: Asker, name: string) => refusal(() => findToChange(where, { name, universe: 0 }, asker, 'change volumes'));
    expect(change(MANAGER, 'mine')).toBe('permitted');
    expect(change(MANAGER, 'far')).toBe(
      'E_RIGHTS: Client big-2 may not change pool slow: its pools are fast; rsadm client rights big-2 manage pool=fast,slow limit=5g gives it',
    );
    expect(change(MANAGER, 'hers')).toBe('E_UNKNOWN_VOLUME: No volume hers on this server: volume list shows them');
    expect(change(ADMIN, 'hers')).toBe('permitted');
  });

  test('`manage` in the pool of a volume is not enough if a file of the volume is in another pool', () => {
    const own = (id: string): Partial<PoolState> => ({ identity: { id } as PoolState['identity'] });
    const volume = (name: string, ...pools: readonly string[]) => {
      const parts = pools.map((poolId) => ({ poolId, fileId: newId(), sizeBytes: GIB / pools.length }));
      return manifest(name, { layout: { kind: 'concat', parts } as Manifest['layout'], stamps: pools.map(() => null) });
    };
    const volumes = [volume('own', 'fast-id', 'fast-id'), volume('both', 'fast-id', 'slow-id'), volume('lost', 'fast-id', 'gone-id')];
    const parted = catalogue(pool('none'), pool('fast', own('fast-id'), volumes), pool('slow', own('slow-id')));
    const change = (name: string, asker = MANAGER) =>
      refusal(() => findToChange(parted, { name, universe: 0 }, asker, 'remove volumes')).replace(/: its pools.*/, '');
    expect([change('own'), change('both'), change('lost')]).toEqual([
      'permitted',
      'E_RIGHTS: Client big-2 may not change pool slow',
      'E_RIGHTS: Client big-2 may not change pool id gone-id, which is not open',
    ]);
    expect([change('both', ADMIN), change('lost', ADMIN)]).toEqual(['permitted', 'permitted']);
  });

  test('a change of a volume that was found by its id is refused like one of an unknown volume, if the client may not attach it', () => {
    const change = (asker: Asker, clients: readonly string[]) =>
      refusal(() => checkChange(where, asker, where.pools[0]!, manifest('removed', { clients: [...clients] }), 'restore volumes'));
    expect(change(MANAGER, ['venus'])).toMatch(/^E_UNKNOWN_VOLUME/);
    expect([change(MANAGER, ['venus', 'big-2']), change(ADMIN, ['venus'])]).toEqual(['permitted', 'permitted']);
  });

  test('`manage` beyond its limit is refused with the numbers; `admin` has no limit', () => {
    expect(refusal(() => create(where, { sizeBytes: 2 * GIB, clients: ['big-2'] }, MANAGER))).toBe('permitted');
    expect(refusal(() => create(where, { sizeBytes: 3 * GIB, clients: ['big-2'] }, MANAGER))).toBe(
      'E_RIGHTS: Client big-2 asks for 3g and has 3g of its limit 5g: remove a snapshot, or remove a volume and delete it for good (volume purge NAME), or raise its limit= with rsadm client rights',
    );
    expect(refusal(() => decideGrow(where, found('mine'), 6 * GIB, MANAGER, null, null))).toMatch(
      /^E_RIGHTS: Client big-2 asks for 3g and has 3g of its limit 5g/,
    );
    expect(refusal(() => create(where, { sizeBytes: 30 * GIB }, ADMIN))).toBe('permitted');
  });

  test('a client with a limit cannot get space beyond it by growing or restoring what others created', () => {
    const others = manifest('others', { id: 'id-others' as VolumeId, owner: null });
    const removed = { manifest: { ...others, name: 'gone' }, removal: { removedMs: 1, by: null, request: null } };
    const both = catalogue(pool('fast', { removed: new Map([['id-gone', removed]]) }, [others]));
    const target = findVolume(both, { name: 'others', universe: 0 }, LOCAL_ASKER);
    const wrong = /^E_RIGHTS: Client big-2 has a limit, and may not take space for volume \w+, which an administrator created/;
    expect(refusal(() => decideGrow(both, target, 2 * GIB, MANAGER, null, null))).toMatch(wrong);
    expect(refusal(() => decideRestore(both, { name: 'gone', universe: 0 }, MANAGER, null))).toMatch(wrong);
    expect(refusal(() => decideGrow(both, target, 2 * GIB, ADMIN, null, null))).toBe('permitted');
  });

  test('a client cannot create a volume that it may not attach, nor lock itself out of one', () => {
    expect(refusal(() => create(where, { clients: ['venus'] }, MANAGER))).toBe(
      'E_RIGHTS: Client big-2 would not be able to attach volume db: name it in clients',
    );
    expect(refusal(() => decideSet(found('mine'), { clients: ['venus'] }, MANAGER, null, 0))).toBe(
      'E_RIGHTS: Client big-2 would not be able to attach volume mine: name it in clients',
    );
  });

  test('only `admin` may permit a take-over that loses writes', () => {
    expect(refusal(() => decideSet(found('mine'), { takeOverForce: true }, MANAGER, null, 0))).toMatch(
      /^E_RIGHTS: Client big-2 may not permit forced take-over/,
    );
    expect(refusal(() => decideSet(found('mine'), { takeOverForce: true }, ADMIN, null, 0))).toBe('permitted');
    expect(refusal(() => create(where, { takeOverForce: true, clients: ['big-2'] }, MANAGER))).toMatch(
      /^E_RIGHTS: Client big-2 may not permit forced take-over/,
    );
  });
});

test('the most volumes that a server may have bounds creation and restoration', () => {
  const many = Array.from({ length: POOL_VOLUMES_MAX - 1 }, (_, index) => manifest(`v${index}`));
  const full = catalogue(pool('fast', { removed: removedOf(manifest('gone')) }, many));
  expect(refusal(() => create(full))).toMatch(/^E_LIMIT: The pools have 10000 volumes.*volume purge/);
  expect(refusal(() => decideRestore(full, { name: 'gone', universe: 0 }, LOCAL_ASKER, null))).toBe('permitted');
});

function removedOf(...manifests: readonly Manifest[]): PoolState['removed'] {
  return new Map(manifests.map((one, index) => [one.id, { manifest: one, removal: { removedMs: index + 1, by: null, request: null } }]));
}

test('volumes that a client creates and removes count until they are deleted for good: for it, its pool, and the number of its volumes', () => {
  const gone = manifest('gone', { owner: 'big-2', sizeBytes: 5 * GIB, thick: true });
  const where = catalogue(pool('fast', { limitBytes: 6 * GIB, removed: removedOf(gone) }));
  expect(refusal(() => create(where, { clients: ['big-2'] }, MANAGER))).toMatch(
    /^E_RIGHTS: Client big-2 asks for 1g and has 5g of its limit 5g/,
  );
  expect(refusal(() => create(where, { sizeBytes: 2 * GIB }))).toBe(
    'E_SPACE: Pool fast has no room: asked 2g, free 50g, promised 5g, limit 6g: 5g are removed volumes, which volume purge deletes for good',
  );
  expect(
    refusal(() => decideRestore(where, { name: 'gone', universe: 0 }, MANAGER, null)),
    'it counts already',
  ).toBe('permitted');
  const own = Array.from({ length: POOL_VOLUMES_PER_CLIENT_MAX - 1 }, (_, index) => manifest(`v${index}`, { owner: 'ops' }));
  const many = catalogue(pool('fast', { removed: removedOf(manifest('gone', { owner: 'ops' })) }, own));
  expect(refusal(() => create(many, {}, ADMIN))).toMatch(/^E_LIMIT: Client ops has 2500 volumes, and no more are allowed/);
  expect(refusal(() => create(many))).toBe('permitted');
});

describe('deleting removed volumes for good', () => {
  const removed = removedOf(manifest('a', { owner: 'big-2' }), manifest('b'), manifest('a', { id: 'id-a2' as VolumeId, universe: 1 }));
  const where = catalogue(pool('fast', { removed }), pool('dead', { trouble: 'silent', removed: removedOf(manifest('c')) }));
  const ageOf = (_pool: PoolState, { removal }: RemovedVolume): number => 12 - removal.removedMs;
  const ids = (volume: string | null, olderMs: number, asker = LOCAL_ASKER, id: string | null = null) =>
    decidePurge(where, { volume: volume === null ? null : { name: volume, universe: 0 }, id, olderMs }, asker, ageOf).chosen.map(
      ({ manifest: { id } }) => id,
    );

  test('all, those of a name, or those that were removed by a time, and never of a pool that cannot be changed', () => {
    expect([ids(null, 0), ids('a', 0), ids(null, 10), ids(null, 12), ids(null, 0, LOCAL_ASKER, 'id-b')]).toEqual([
      ['id-a', 'id-b', 'id-a2'],
      ['id-a'],
      ['id-a', 'id-b'],
      [],
      ['id-b'],
    ]);
    expect(refusal(() => ids('c', 0))).toMatch(/^E_UNKNOWN_VOLUME: No removed volume c can be deleted/);
  });

  test('a client deletes only what it has created', () => {
    expect([ids(null, 0, MANAGER), ids(null, 0, ADMIN)]).toEqual([['id-a'], ['id-a', 'id-b', 'id-a2']]);
    expect(refusal(() => ids('b', 0, MANAGER))).toMatch(/^E_UNKNOWN_VOLUME: No removed volume b that this client has created/);
    expect(refusal(() => ids('a', 0, USER))).toMatch(/^E_RIGHTS: Client venus may not delete removed volumes/);
  });

  test('one request deletes a bounded number, and tells how many are left', () => {
    const many = Array.from({ length: PURGED_AT_ONCE_MAX + 3 }, (_, index) => manifest(`v${index}`));
    const all = { volume: null, id: null, olderMs: 0 };
    const { chosen, left } = decidePurge(catalogue(pool('fast', { removed: removedOf(...many) })), all, LOCAL_ASKER, () => 0);
    expect([chosen.length, left]).toEqual([PURGED_AT_ONCE_MAX, 3]);
  });
});
