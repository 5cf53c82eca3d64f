// Tests what the audit records of an order, and its bounds for clients. Rules: G52.

import type { AuditEntry } from '@rsio/api/rssrv/audit-methods';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, expect, test } from 'vitest';
import { turns } from '../testing/contenders.ts';
import type { Book } from '../events/audit-files.ts';
import type { Changes } from '../pools/requests/requests.ts';
import { Audit, isRecorded, type Order } from './audit.ts';
import {
  AUDIT_LIST_MAX,
  AUDIT_TEXT_MAX_CHARS,
  AUDIT_UNIT_BYTES,
  AUDIT_UNIT_EACH_MS,
  AUDIT_UNITS_AT_ONCE,
  AUDIT_UNSAVED_MAX,
  AUDIT_WAIT_MS,
  AUDIT_PACES_MAX,
} from './limits.ts';

interface State {
  readonly id: string;
  readonly [key: string]: unknown;
}

let clock: FakeClock;
let kept: [Book, AuditEntry][];
let state: Map<string, State>;

let warnings: string[];
let failure: Error | null;
let audit: Audit;
let hanging: Promise<void>;

beforeEach(() => {
  clock = new FakeClock();
  kept = [];
  warnings = [];
  failure = null;
  hanging = Promise.resolve();
  state = new Map([['oracle', { id: 'v1', name: 'oracle', sizeBytes: 1, request: 'a', clients: null }]]);
  const nothing = (): void => undefined;
  audit = new Audit({
    clock,
    log: {
      debug: nothing,
      info: nothing,
      error: nothing,
      warn: (text: string) => void warnings.push(text),
      child: () => {
        throw new Error('no child');
      },
    },
    files: {
      folder: '/state/audit',
      add: async (book, line) => {
        await hanging;
        if (failure !== null) throw failure;
        kept.push([book, JSON.parse(line) as AuditEntry]);
      },
      read: async (matches, limit) => ({
        entries: kept
          .map(([, entry]) => entry)
          .filter(matches)
          .slice(-limit),
        isWhole: true,
      }),
    },
    stateOf: (wanted) => ('id' in wanted ? [...state.values()].find(({ id }) => id === wanted.id) : state.get(wanted.name)) ?? null,
  });
});

const VOLUME = { name: 'oracle', universe: 0 };

function order(method: ServerMethodName, params: object = VOLUME, over: Partial<Order> = {}): Order {
  return { who: 'root', node: null, paced: over.node ?? null, id: 'x1', method, params, ...over };
}

/** The queue of changes, which begins each change at once. */
const queue: Changes = { run: (change) => change({ aside: (work) => work() }), checkWanted: () => undefined };

async function give(given: Order, work: () => unknown = () => undefined): Promise<AuditEntry> {
  await audit.around(given, (watched) => watched(queue).run(async () => work())).catch(() => undefined);
  return kept.at(-1)![1];
}

test('an order that is refused before it is looked at has an entry, at the rate of its person, and none that pushes out those of the server', async () => {
  const reader = order('volume-remove', VOLUME, { who: 'anna', paced: 'user anna' });
  const error = new RsError('E_RIGHTS', 'Method volume-remove is refused');
  await audit.refused(reader, error);
  expect(kept).toEqual([
    [
      'clients',
      expect.objectContaining({ who: 'anna', order: 'volume-remove', volume: 'oracle', volumeId: 'v1', outcome: 'E_RIGHTS', changes: [] }),
    ],
  ]);
  for (let count = 0; count < AUDIT_UNITS_AT_ONCE + 10; count++) await audit.refused(reader, error);
  expect(kept.length).toBeLessThanOrEqual(AUDIT_UNITS_AT_ONCE);
  await audit.refused({ ...reader, who: 'bob', paced: 'user bob' }, error);
  expect(kept.at(-1)![1]).toMatchObject({ who: 'bob', left: null });
  const before = kept.length;
  for (const method of ['volume-list', 'replication-poll'] as const) await audit.refused({ ...reader, paced: null, method }, error);
  expect(kept).toHaveLength(before);
});

test('a volume that a client takes over has an entry in the book of clients, at the rate of its orders', async () => {
  const volume = { id: 'v1', ...VOLUME };
  audit.takenOver(volume, 'mars', ['big-2', 'big-3']);
  await turns();
  expect(kept).toEqual([
    [
      'clients',
      {
        atMs: clock.wallMs(),
        who: 'client mars',
        order: 'take-over',
        volume: 'oracle',
        volumeId: 'v1',
        asked: [],
        changes: ['holder: big-2, big-3 -> mars'],
        outcome: 'done',
        why: null,
        id: null,
        left: null,
      },
    ],
  ]);
  for (let count = 0; count < AUDIT_UNITS_AT_ONCE + 10; count++) audit.takenOver(volume, 'mars', ['big-2']);
  await turns();
  expect(kept.length).toBeLessThanOrEqual(AUDIT_UNITS_AT_ONCE);
  clock.advance(AUDIT_UNIT_EACH_MS);
  expect(await give(order('volume-remove', VOLUME, { who: 'client mars', node: 'mars' }))).toMatchObject({ left: 11 });
  expect((await audit.read({ since: null, who: 'mars', volume: VOLUME, limit: 1 })).entries[0]).toMatchObject({ order: 'volume-remove' });
});

test('more persons than have a rate of their own share one', async () => {
  const all = Array.from({ length: AUDIT_PACES_MAX }, (_, index) => order('volume-remove', VOLUME, { paced: `user ${index}` }));
  for (const one of all) await audit.refused(one, new RsError('E_RIGHTS', 'x'));
  const before = kept.length;
  for (let count = 0; count < AUDIT_UNITS_AT_ONCE + 10; count++)
    await audit.refused(order('volume-remove', VOLUME, { paced: `another ${count}` }), new RsError('E_RIGHTS', 'x'));
  expect(kept.length - before).toBeLessThanOrEqual(AUDIT_UNITS_AT_ONCE);
});

test('what an order changes is told, with its asker, its parameters and its id', async () => {
  const entry = await give(order('volume-grow', { ...VOLUME, sizeBytes: 2, pool: null, request: 'x1' }), () =>
    state.set('oracle', { id: 'v1', name: 'oracle', sizeBytes: 2, request: 'b', clients: ['mars'] }),
  );
  expect(entry).toEqual({
    atMs: clock.wallMs(),
    who: 'root',
    order: 'volume-grow',
    volume: 'oracle',
    volumeId: 'v1',
    asked: ['sizeBytes=2'],
    changes: ['sizeBytes: 1 -> 2', 'clients: null -> ["mars"]'],
    outcome: 'done',
    why: null,
    id: 'x1',
    left: null,
  });
});

test('a volume that is renamed is followed, one that is created or removed is told', async () => {
  const renamed = await give(order('volume-rename', { ...VOLUME, newName: 'ledger', newUniverse: null }), () => {
    state.set('ledger', { ...state.get('oracle')!, name: 'ledger' });
    state.delete('oracle');
  });
  expect(renamed.changes).toEqual(['name: oracle -> ledger']);
  expect((await give(order('volume-create'), () => state.set('oracle', { id: 'v2' }))).changes).toEqual(['there now']);
  expect((await give(order('volume-remove'), () => state.delete('oracle'))).changes).toEqual(['gone']);
});

test('a clone changes nothing of the volume that it is made of', async () => {
  const cloned = order('volume-clone', { ...VOLUME, snapshot: 'monday', newName: 'other', newUniverse: 0 });
  const entry = await give(cloned, () => state.set('other', { id: 'v9', name: 'other', sizeBytes: 9 }));
  expect([entry.volume, entry.changes, entry.asked]).toEqual(['oracle', [], ['snapshot=monday', 'newName=other', 'newUniverse=0']]);
});

test('an order about one volume in a list names it, and what a reload has applied is told', async () => {
  expect((await give(order('volume-snapshot', { snapshots: [{ ...VOLUME, snapshot: 'monday' }] }))).volume).toBe('oracle');
  expect((await give(order('volume-promote', { volumes: [VOLUME, { name: 'b', universe: 1 }] }))).volume).toBeNull();
  expect((await give(order('reload', {}), () => ({ applied: ['client mars is new'] }))).changes).toEqual(['client mars is new']);
});

test('the audit of a volume has each order that is about it, also one about several volumes, and one that made it of another', async () => {
  state.set('b', { id: 'v2' });
  const both = [VOLUME, { name: 'b', universe: 0 }];
  for (const [method, params] of [
    ['volume-promote', { volumes: both, from: null }],
    ['volume-drill', { volumes: both, suffix: '-drill' }],
    ['volume-snapshot', { snapshots: both.map((one) => ({ ...one, snapshot: 'monday' })) }],
    ['volume-seed', { volume: { name: 'c', universe: 0 }, from: VOLUME }],
    ['volume-clone', { ...VOLUME, snapshot: null, newName: 'd', newUniverse: 2 }],
    ['volume-grow', { name: 'e', universe: 0, sizeBytes: 2 }],
  ] as const)
    await give(order(method, params));
  const about = async (name: string, universe = 0): Promise<string[]> =>
    (await audit.read({ since: null, who: null, volume: { name, universe }, limit: 100 })).entries.map((entry) => entry.order);
  expect(await about('oracle')).toEqual(['volume-promote', 'volume-drill', 'volume-snapshot', 'volume-seed', 'volume-clone']);
  expect(await about('b')).toEqual(['volume-promote', 'volume-drill', 'volume-snapshot']);
  expect([await about('oracle-drill'), await about('c'), await about('d', 2)]).toEqual([
    ['volume-drill'],
    ['volume-seed'],
    ['volume-clone'],
  ]);
  // A volume that has another name now is found by its id.
  state.set('renamed', { id: 'v2' });
  expect(await about('renamed')).toHaveLength(3);
});

test.each([
  ['client-kick', { name: 'mars' }, null, ['name=mars']],
  ['client-release', { name: 'mars', volume: 'oracle', universe: 0, force: true }, 'oracle', ['name=mars', 'force=true']],
  ['client-release', { name: 'mars', volume: null, universe: 0, force: false }, null, ['name=mars', 'force=false']],
  ['volume-revoke', { ...VOLUME, client: 'mars', request: 'x1' }, 'oracle', ['client=mars']],
  [
    'volume-seed',
    { volume: VOLUME, from: { name: 'carried', universe: 1 } },
    'oracle',
    ['volume={"name":"oracle","universe":0}', 'from={"name":"carried","universe":1}'],
  ],
  ['pool-make', { path: '/srv/fast', noHolders: false }, null, ['path=/srv/fast', 'noHolders=false']],
] as const)('%s of %j names its object: volume %s, asked %j', async (method, params, volume, asked) => {
  const entry = await give(order(method, params));
  expect([entry.volume, entry.asked]).toEqual([volume, asked]);
});

test('the entry precedes the answer, and a refused order has one, and its error', async () => {
  const refused = audit.around(order('volume-remove', VOLUME, { who: 'client mars', node: 'mars' }), async () => {
    throw new RsError('E_RIGHTS', 'Client mars may not\nremove');
  });
  await expect(refused).rejects.toMatchObject({ code: 'E_RIGHTS' });
  expect(kept).toEqual([
    [
      'clients',
      expect.objectContaining({ who: 'client mars', outcome: 'E_RIGHTS', why: String.raw`Client mars may not\nremove`, changes: [] }),
    ],
  ]);
  expect(await audit.around(order('volume-stop'), async () => kept.length)).toBe(1);
  expect(kept.at(-1)![0]).toBe('server');
});

test('reads, and what machines repeat all the time, have no entry; every other method has one', async () => {
  for (const method of Object.keys(SERVER_METHODS) as ServerMethodName[]) {
    kept = [];
    await audit.around(order(method, {}), async () => undefined);
    expect([method, kept.length]).toEqual([method, isRecorded(SERVER_METHODS[method]) ? 1 : 0]);
  }
  const unrecorded = (Object.keys(SERVER_METHODS) as ServerMethodName[]).filter(
    (method) => SERVER_METHODS[method].repeats !== null && !isRecorded(SERVER_METHODS[method]),
  );
  expect(unrecorded.toSorted()).toEqual([
    'config-check',
    'message-send',
    'message-take',
    'replication-confirm',
    'replication-moment',
    'replication-poll',
  ]);
});

test('an order that only plans or checks, and an apply that changes nothing, have an entry only if they are refused', async () => {
  const orders = [
    [order('namespace-apply', { text: 't', plan: true }), { changes: ['client new is added'], isSame: true }],
    [order('namespace-apply', { text: 't', plan: false }), { changes: [], isSame: true }],
    [order('client-rename', { name: 'a', to: 'b', plan: true }), {}],
    [order('volume-demote', { volumes: [VOLUME], peer: 'b', checkOnly: true }), {}],
    [order('namespace-apply', { text: 't', plan: false }), { changes: [], isSame: false }],
    [order('volume-demote', { volumes: [VOLUME], peer: 'b', checkOnly: false }), {}],
  ] as const;
  for (const [given, result] of orders) await audit.around(given, async () => result);
  expect(kept.map(([, entry]) => entry.order)).toEqual(['namespace-apply', 'volume-demote']);
  kept = [];
  for (const [given] of orders)
    await give(given, () => {
      throw new RsError('E_IN_USE', 'Refused');
    });
  expect(kept.map(([, { outcome }]) => outcome)).toEqual(orders.map(() => 'E_IN_USE'));
});

test('no text of an asker is longer than its bound, or has control characters', async () => {
  const hostile = `\u001b[31m${'x'.repeat(10_000)}`;
  const many = Object.fromEntries(Array.from({ length: 100 }, (_unused, at) => [`p${at}`, hostile]));
  const entry = await give(order('volume-set', { ...VOLUME, ...many }, { who: hostile }), () => {
    throw new Error(hostile);
  });
  expect(entry.asked).toHaveLength(AUDIT_LIST_MAX);
  for (const text of [entry.who, entry.why!, ...entry.asked]) {
    expect(text.length).toBeLessThan(AUDIT_TEXT_MAX_CHARS + 20);
    expect(text).not.toMatch(/\p{Cc}/u);
  }
});

test.each([
  ['short', {}],
  ['as long as they can be', Object.fromEntries(Array.from({ length: 100 }, (_unused, at) => [`p${at}`, '\n'.repeat(10_000)]))],
])(
  'a client that floods with entries that are %s fills a bounded part, its next one counts the others, and nobody else loses any',
  async (_what, more) => {
    const flood = order('volume-remove', { ...VOLUME, ...more }, { who: 'client mars', node: 'mars' });
    for (let at = 0; at < AUDIT_UNITS_AT_ONCE + 7; at++) await give(flood);
    const bytes = kept.reduce((sum, [, entry]) => sum + Buffer.byteLength(JSON.stringify(entry)), 0);
    const longest = Math.max(...kept.map(([, entry]) => Buffer.byteLength(JSON.stringify(entry))));
    expect(bytes).toBeLessThan(AUDIT_UNITS_AT_ONCE * AUDIT_UNIT_BYTES + longest);
    const left = AUDIT_UNITS_AT_ONCE + 7 - kept.length;
    expect(left).toBeGreaterThanOrEqual(7);
    expect((await give(order('volume-remove', VOLUME, { who: 'client venus', node: 'venus' }))).left).toBeNull();
    expect((await give(order('volume-remove'))).left).toBeNull();
    clock.advance(AUDIT_UNIT_EACH_MS * Math.ceil(longest / AUDIT_UNIT_BYTES));
    expect((await give(flood)).left).toBe(left);
  },
);

test('an order that waits for its turn tells only its own change, and one that fails after its change tells it', async () => {
  let begin = (): void => undefined;
  const turn = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const waiting: Changes = { ...queue, run: (change) => turn.then(() => change({ aside: (work) => work() })) };
  const set = (fields: object): void => void state.set('oracle', { ...state.get('oracle')!, ...fields });
  const late = audit.around(order('volume-set'), (watched) => watched(waiting).run(async () => set({ readonly: true })));
  await give(order('volume-grow'), () => set({ sizeBytes: 2 }));
  begin();
  await late;
  const failed = await give(order('volume-grow'), () => {
    set({ sizeBytes: 3 });
    throw new RsError('E_POOL', 'The pool does not answer');
  });
  expect(kept.map(([, { changes }]) => changes)).toEqual([['sizeBytes: 1 -> 2'], ['readonly: none -> true'], ['sizeBytes: 2 -> 3']]);
  expect(failed.outcome).toBe('E_POOL');
});

test('a refused rename changes nothing, and the orders before a rename are found by the new name', async () => {
  const rename = order('volume-rename', { ...VOLUME, newName: 'ledger', newUniverse: 0 });
  const refused = await give(rename, () => {
    throw new RsError('E_EXISTS', 'There is a volume ledger');
  });
  expect([refused.outcome, refused.changes]).toEqual(['E_EXISTS', []]);
  await give(rename, () => {
    state.set('ledger', { ...state.get('oracle')!, name: 'ledger' });
    state.set('oracle', { id: 'v2', name: 'oracle' });
  });
  await give(order('volume-stop', { name: 'oracle', universe: 0 }));
  const found = async (name: string): Promise<string[]> =>
    (await audit.read({ since: null, who: null, volume: { name, universe: 0 }, limit: 10 })).entries.map(
      (one) => `${one.order} ${one.outcome}`,
    );
  expect(await found('ledger')).toEqual(['volume-rename E_EXISTS', 'volume-rename done']);
  expect(await found('other')).toEqual([]);
});

test('what the server does by itself has entries at the rate of one client, with what failed', async () => {
  const snapshots = [{ name: 'oracle', universe: 0, snapshot: 'hourly-1' }];
  audit.byServer('schedule', 'volume-snapshot', { snapshots }, null);
  audit.byServer('schedule', 'volume-snapshot', { snapshots }, new RsError('E_SPACE', 'Pool fast is full'));
  audit.byServer('SIGHUP', 'reload', {}, null, { applied: ['client big-2 is added'] });
  await turns();
  expect(
    kept.map(([book, { who, order: what, volume, outcome, why, changes }]) => [book, who, what, volume, outcome, why, changes]),
  ).toEqual([
    ['clients', 'schedule', 'volume-snapshot', 'oracle', 'done', null, []],
    ['clients', 'schedule', 'volume-snapshot', 'oracle', 'E_SPACE', 'Pool fast is full', []],
    ['server', 'SIGHUP', 'reload', null, 'done', null, ['client big-2 is added']],
  ]);
  for (let left = 10_000; left > 0; left--) audit.byServer('schedule', 'volume-snapshot', { snapshots }, null);
  await turns();
  expect(kept.length).toBeLessThan(5_000);
});

test('a disk that fails delays no order, and the log names the order', async () => {
  failure = new Error('no space left on device');
  expect(await audit.around(order('volume-stop'), async () => 'stopped')).toBe('stopped');
  expect(warnings).toEqual([
    expect.stringMatching(
      /^An order is missing in the audit, volume-stop by root \(no space left on device\): free space in \/state\/audit, or check/,
    ),
  ]);
});

test('a disk that hangs delays an order by a bounded time, keeps a bounded number of entries, and saves them when it answers', async () => {
  let answer = (): void => undefined;
  hanging = new Promise((resolve) => {
    answer = resolve;
  });
  const stop = (): Promise<string> => audit.around(order('volume-stop'), async () => 'stopped');
  const first = stop();
  await turns();
  clock.advance(AUDIT_WAIT_MS);
  expect(await first).toBe('stopped');
  const others = Array.from({ length: AUDIT_UNSAVED_MAX - 1 }, stop);
  await turns();
  // No further entry waits.
  expect(await stop()).toBe('stopped');
  answer();
  await Promise.all(others);
  expect(kept).toHaveLength(AUDIT_UNSAVED_MAX);
  expect(warnings).toEqual([
    expect.stringContaining('the disk does not answer yet'),
    expect.stringContaining('(the disk does not answer)'),
  ]);
});

test('the list is narrowed by time, asker and volume', async () => {
  await give(order('reload', {}));
  clock.advance(3_600_000);
  await give(order('volume-stop'));
  await give(order('volume-stop', VOLUME, { who: 'client mars', node: 'mars' }));
  const read = async (over: object): Promise<string[]> =>
    (await audit.read({ since: null, who: null, volume: null, limit: 10, ...over })).entries.map((one) => `${one.order} ${one.who}`);
  expect(await read({})).toHaveLength(3);
  expect(await read({ since: '30m' })).toEqual(['volume-stop root', 'volume-stop client mars']);
  expect(await read({ who: 'mars' })).toEqual(['volume-stop client mars']);
  expect(await read({ volume: VOLUME, who: 'root' })).toEqual(['volume-stop root']);
  await expect((async () => audit.read({ since: 'yesterday', who: null, volume: null, limit: 1 }))()).rejects.toThrow(/Wrong --since/);
});
