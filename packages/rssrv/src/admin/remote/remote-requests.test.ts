// Tests requests of clients: which methods each right permits, rights that change while a request waits, what a client may see, bounds for
// one client and for all clients, and long answers. The tests of pools/requests/ show that a change is executed only once. Rules: A1, A4,
// G18.

import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import type { ClientRights, ClientRole } from '@rsio/common/config/schema/types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { job, volume as managedVolume, pool, removedVolume, replication, snapshot } from '@rsio/api/testing/server-views';
import { ADMIN_PART_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import { expect, test } from 'vitest';
import type { AdminReply, AdminRequest } from '../../session/session-admin.ts';
import { REMOTE_BURST, REMOTE_READS_AT_ONCE_MAX, REMOTE_REQUESTS_MAX, REMOTE_REST_MAX_MS } from '../limits.ts';
import { type AskingSession, type RemoteAsker, RemoteRequests } from './remote-requests.ts';

/** The rights that each right includes. With `view`, a client may call what only reads. */
const INCLUDES: { readonly [R in ClientRole]: readonly string[] } = {
  copy: ['copy'],
  use: ['copy', 'use'],
  view: [],
  manage: ['copy', 'use', 'manage'],
  admin: ['copy', 'use', 'manage', 'admin'],
};
const ROLES = Object.keys(INCLUDES) as ClientRole[];
const ID = '00000000-0000-4000-8000-0000000000aa';
/** Valid parameters for each method. */
const PARAMS: Readonly<Record<string, object>> = {
  'volume-show': { name: 'db' },
  'volume-snapshot': { snapshots: [{ name: 'db', universe: 0, snapshot: 'monday' }] },
  'volume-snapshot-remove': { name: 'db', snapshot: 'monday' },
  'volume-clone': { name: 'db', snapshot: 'monday', newName: 'copy' },
  'volume-rollback': { name: 'db', snapshot: 'monday' },
  'volume-image': { name: 'db', newUniverse: 1 },
  'volume-refresh': { images: [{ name: 'db', universe: 1 }] },
  'volume-image-restore': { name: 'db', fromUniverse: 1 },
  'volume-split': { name: 'db', universe: 1 },
  'volume-create': { name: 'db', sizeBytes: 512 },
  'volume-grow': { name: 'db', sizeBytes: 512 },
  'volume-rename': { name: 'db', newName: 'dc' },
  'volume-set': { name: 'db', settings: ['readonly=yes'] },
  'volume-remove': { name: 'db' },
  'volume-restore': { name: 'db' },
  'volume-purge': { name: 'db' },
  'volume-move': { name: 'db', pool: 'slow' },
  'job-cancel': { id: '1' },
  'job-limit': { id: '1' },
  'pool-check': { name: 'fast' },
  'message-send': { to: 'venus', id: '1', text: 'hello' },
  'message-take': { taken: [] },
  'volume-replicate': { volumes: [{ name: 'db', universe: 0 }], to: 'venus', everyMs: 60_000, keep: 3 },
  'volume-replicate-end': { volumes: [{ name: 'db', universe: 0 }] },
  'replication-poll': { reports: [] },
  'replication-moment': { replication: ID },
  'replication-confirm': { replication: ID, group: ID },
  'replication-hand-over': { replication: ID, server: 's', reverse: 'i' },
  'replication-grant': { replication: ID, wanted: ID },
  'replication-release': { replication: ID, granted: ID },
};

class RemoteScene {
  readonly clock = new FakeClock();
  readonly executed: string[] = [];
  readonly askers: RemoteAsker[] = [];
  clients = [{ name: 'big-2' }, { name: 'venus' }];
  rights: ClientRights[] = [];
  tenants = false;
  isThere = true;
  results: Readonly<Record<string, unknown>> = {};
  hold: Promise<void> = Promise.resolve();
  readonly remote: RemoteRequests;

  constructor(role: ClientRole = 'use', pools: readonly string[] | null = null) {
    this.setRole(role, pools);
    this.remote = new RemoteRequests({
      clock: this.clock,
      log: { error: (text: string) => this.executed.push(text) },
      config: () => ({ clients: this.clients, rights: this.rights, namespace: { tenants: this.tenants } }),
      execute: async (method, _params, asker, id) => {
        this.askers.push(asker);
        if (id !== null) asker.check(method);
        this.executed.push(`${method} ${id}`);
        await this.hold;
        if (method === 'volume-list') return this.results[method] ?? { volumes: [], removed: [] };
        return (
          this.results[method] ?? {
            volume: managedVolume(),
            removed: removedVolume(),
            volumes: [],
            pools: [],
            methods: [],
            jobs: [job()],
            job: job(),
            snapshots: [snapshot({ by: 'venus' })],
            kept: snapshot({ by: 'big-2' }),
            replication: replication(),
            replications: [replication()],
          }
        );
      },
    });
  }

  setRole(role: ClientRole, pools: readonly string[] | null = null): void {
    this.rights = [{ name: 'big-2', role, pools, limitBytes: null, line: 1 } as ClientRights];
  }

  session(node = 'big-2'): AskingSession {
    return { id: `session of ${node}`, node, isThere: () => this.isThere };
  }

  send(request: AdminRequest, node?: string): Promise<AdminReply> {
    return this.remote.answer(this.session(node), request);
  }

  async call(method: string, params: object | string = PARAMS[method] ?? {}, node?: string): Promise<Record<string, unknown>> {
    const text = typeof params === 'string' ? params : JSON.stringify(params);
    const reply = await this.send({ what: 'admin-call', id: 'id', method, params: text, withinMs: 1_000 }, node);
    return 'part' in reply ? (JSON.parse(Buffer.from(reply.part, 'base64').toString()) as Record<string, unknown>) : { ...reply };
  }

  async error(method: string, params?: object | string): Promise<string> {
    const { error } = await this.call(method, params);
    return error === undefined ? 'no error' : `${(error as { code: string }).code}: ${(error as { message: string }).message}`;
  }
}

const METHODS = Object.keys(SERVER_METHODS) as ServerMethodName[];

test.each(METHODS)('%s: each right', async (method) => {
  const needed = SERVER_METHODS[method].right;
  for (const role of ROLES) {
    const scene = new RemoteScene(role);
    const isRead = SERVER_METHODS[method].repeats === null;
    const isAllowed = needed !== null && (INCLUDES[role].includes(needed) || (role === 'view' && isRead));
    // If PARAMS lacks the parameters of a method, the test can only show that the method is refused.
    if (isAllowed && PARAMS[method] === undefined && Object.keys(SERVER_METHODS[method].params).length > 0) continue;
    if (method === 'volume-purge') scene.results = { [method]: { purged: [], left: 0 } };
    const error = await scene.error(method, PARAMS[method] ?? {});
    if (isAllowed) expect(error).toBe('no error');
    else if (needed === null) expect(error).toMatch(/^E_(RIGHTS|USAGE): /);
    else expect(error).toMatch(new RegExp(`^E_(RIGHTS|USAGE): .*(its right is ${role}, and ${needed} is needed|is wrong: give)`));
    expect(scene.executed.length).toBe(isAllowed ? 1 : 0);
  }
});

test('the refusal names what the client wanted, its right, and the right that it needs', async () => {
  expect(await new RemoteScene().error('volume-create')).toBe(
    'E_RIGHTS: Client big-2 may not create volumes: its right is use, and manage is needed; rsadm client rights big-2 manage gives it',
  );
});

test('a change carries the id of the call, whatever its parameters say', async () => {
  const scene = new RemoteScene('manage');
  await scene.call('volume-create', { ...PARAMS['volume-create'], request: 'another' });
  await scene.call('volume-list');
  expect(scene.executed).toEqual(['volume-create id', 'volume-list null']);
});

test.each([
  ['an unknown method', 'volume-eat', '{}', 'E_USAGE: Unknown method'],
  ['a name of every object', 'constructor', '{}', 'E_USAGE: Unknown method'],
  ['no JSON', 'volume-list', '{', 'E_USAGE: The parameters are not JSON'],
  ['a list', 'volume-list', '[]', 'E_USAGE: Parameters of volume-list are not an object'],
  ['null', 'volume-list', 'null', 'E_USAGE: Parameters of volume-list are not an object'],
  ['deep nesting', 'volume-list', '['.repeat(30_000) + ']'.repeat(30_000), 'E_USAGE: Parameters of volume-list are not an object'],
  ['an unknown parameter', 'volume-list', '{"all":true}', 'E_USAGE: Unknown parameter all'],
  ['a wrong parameter', 'volume-list', '{"pool":7}', 'E_USAGE: Parameter pool of volume-list is wrong'],
])('%s is refused', async (_what, method, params, error) => {
  const scene = new RemoteScene('admin');
  expect(await scene.error(method, params)).toContain(error);
  expect(scene.executed).toEqual([]);
});

test('the rights are those of the moment, also for a request that waits', async () => {
  const scene = new RemoteScene('admin');
  let open: () => void = () => undefined;
  scene.hold = new Promise((resolve) => (open = resolve));
  const first = scene.call('client-list');
  const second = scene.call('client-list');
  await turns();
  const [asker] = scene.askers;
  expect(asker!.role).toBe('admin');
  scene.setRole('use');
  expect(asker!.role).toBe('use');
  open();
  await first;
  await turns(scene.clock);
  expect((await second)['error']).toMatchObject({ code: 'E_RIGHTS' });
  expect(scene.executed).toEqual(['client-list null']);
  scene.clients = [];
  expect(await scene.error('volume-list')).toMatch(/^E_AUTH: /);
});

test('a client sees of a snapshot whether it has made it, and not which other client has', async () => {
  const scene = new RemoteScene('manage');
  expect(await scene.call('volume-show')).toMatchObject({ result: { snapshots: [{ snapshot: 'monday', by: null }] } });
  expect(await scene.call('volume-rollback')).toMatchObject({ result: { kept: { by: 'big-2' } } });
});

test('a client sees the volumes that it may attach, without paths and without the names of others', async () => {
  const scene = new RemoteScene('use');
  const [all, mine, hers] = [
    managedVolume({ name: 'all', owner: 'venus', takeOver: ['venus'] }),
    managedVolume({ name: 'mine', clients: ['venus', 'big-2'], owner: 'big-2', takeOver: ['big-2', 'venus'] }),
    managedVolume({ name: 'hers', clients: ['venus'] }),
  ];
  const gone = [
    removedVolume({ name: 'gone', by: 'venus' }),
    removedVolume({ name: 'slow', pool: 'slow' }),
    removedVolume({ clients: [] }),
  ];
  scene.results = { 'volume-list': { volumes: [all, mine, hers], removed: gone }, 'volume-show': { volume: hers, snapshots: [] } };
  const seen = [
    { ...all, path: null, owner: null, takeOver: [] },
    { ...mine, path: null, clients: ['big-2'], takeOver: ['big-2'] },
  ];
  expect(await scene.call('volume-list')).toEqual({ result: { volumes: seen, removed: [] } });
  expect(await scene.error('volume-show')).toMatch(/^E_UNKNOWN_VOLUME: /);
  scene.setRole('manage', ['fast']);
  expect(await scene.call('volume-list')).toEqual({ result: { volumes: seen, removed: [{ ...gone[0], by: null }] } });
  for (const role of ['admin', 'view'] as const) {
    scene.setRole(role);
    expect(await scene.call('volume-list')).toEqual({ result: scene.results['volume-list'] });
  }
});

test('a client does not see why a replication fails, because the reason may name files', async () => {
  const scene = new RemoteScene('manage');
  const failing = replication({ state: 'failing', text: 'Pool fast cannot be used: /srv/fast is not mounted' });
  const copying = replication({ state: 'copying', text: 'copies volume db' });
  scene.results = {
    'replication-list': { replications: [failing, copying] },
    'volume-replicate': { replication: failing },
    'volume-replicate-end': { replication: failing },
  };
  const hidden = { ...failing, text: 'The administrator of the server sees why' };
  expect(await scene.call('replication-list')).toEqual({ result: { replications: [hidden, copying] } });
  expect(await scene.call('volume-replicate')).toEqual({ result: { replication: hidden } });
  expect(await scene.call('volume-replicate-end')).toEqual({ result: { replication: hidden } });
  for (const role of ['admin', 'view'] as const) {
    scene.setRole(role);
    expect(await scene.call('replication-list')).toEqual({ result: { replications: [failing, copying] } });
  }
});

test('a client with manage sees its pools, without paths', async () => {
  const scene = new RemoteScene('manage', ['fast']);
  scene.results = { 'pool-list': { pools: [pool({ findings: ['/srv/fast/x'], reason: '/srv' }), pool({ name: 'slow' })] } };
  const { result } = await scene.call('pool-list');
  expect(result).toMatchObject({ pools: [{ name: 'fast', path: '', findings: [] }] });
  expect(JSON.stringify(result)).not.toContain('/srv');
});

test('the methods that a client is told are those that it may call', async () => {
  const scene = new RemoteScene('use');
  scene.results = { daemon: { program: 'rssrv', methods: METHODS } };
  const { result } = await scene.call('daemon');
  const { methods } = result as { methods: ServerMethodName[] };
  expect(methods.every((method) => ['copy', 'use'].includes(SERVER_METHODS[method].right ?? ''))).toBe(true);
  expect(methods).toContain('volume-list');
});

test('more requests than the bound are refused at once, and the reads of all clients are few at a time', async () => {
  const scene = new RemoteScene('use');
  let open: () => void = () => undefined;
  scene.hold = new Promise((resolve) => (open = resolve));
  scene.clients = Array.from({ length: REMOTE_REQUESTS_MAX }, (_, index) => ({ name: `n${index}` }));
  const calls = scene.clients.map(({ name }) => scene.call('volume-list', {}, name));
  await turns();
  expect(scene.executed.length).toBe(REMOTE_READS_AT_ONCE_MAX);
  expect(await scene.error('volume-list')).toMatch(/^E_LIMIT: /);
  open();
  await turns(scene.clock);
  for (const call of calls) expect(await call).toHaveProperty('result');
});

test('a client that reads without end rests for as long as it took, and one that sends without end waits', async () => {
  const scene = new RemoteScene('use');
  let open: () => void = () => undefined;
  scene.hold = new Promise((resolve) => (open = resolve));
  const [first, second] = [scene.call('volume-list'), scene.call('volume-list')];
  await turns();
  scene.clock.advance(REMOTE_REST_MAX_MS / 2);
  open();
  await first;
  await turns();
  expect(scene.executed.length).toBe(1);
  scene.clock.advance(REMOTE_REST_MAX_MS / 2);
  await second;
  expect(scene.executed.length).toBe(2);
  for (let times = 0; times < REMOTE_BURST; times++) await scene.send({ what: 'admin-rest', answer: 1, offset: 0 });
  let isAnswered = false;
  void scene.send({ what: 'admin-rest', answer: 1, offset: 0 }).then(() => (isAnswered = true));
  await turns();
  expect(isAnswered).toBe(false);
  await turns(scene.clock);
  expect(isAnswered).toBe(true);
});

// Regression: a client that began a new session for each burst of requests was not paced. A request that arrived after the end of its
// session made an entry for that session again.
test('a new session does not renew the pace of its client, and a pace that counts no more is forgotten', async () => {
  const scene = new RemoteScene();
  const rest = { what: 'admin-rest', answer: 1, offset: 0 } as const;
  for (let times = 0; times < REMOTE_BURST; times++) await scene.send(rest);
  scene.remote.sessionEnded(scene.session().id);
  let isAnswered = false;
  void scene.remote.answer({ ...scene.session(), id: 'the next session' }, rest).then(() => (isAnswered = true));
  await turns();
  expect(isAnswered).toBe(false);
  await turns(scene.clock);
  expect(isAnswered).toBe(true);
  scene.clock.advance(60_000);
  scene.remote.sessionEnded('the next session');
  expect(scene.remote.pacesKept).toBe(0);
});

test('what waited for the pace of its client is not begun for a session that has ended', async () => {
  const scene = new RemoteScene('admin');
  for (let times = 0; times < REMOTE_BURST; times++) await scene.send({ what: 'admin-rest', answer: 1, offset: 0 });
  const late = scene.call('volume-list');
  scene.isThere = false;
  await turns(scene.clock);
  expect(await late).toMatchObject({ adminStatus: STATUS.SHUTTING_DOWN, sentence: 'The session has ended' });
  expect(scene.executed).toEqual([]);
});

test('a long answer is read in parts by its session, until the session ends', async () => {
  const scene = new RemoteScene('admin');
  const volumes = Array.from({ length: 500 }, (_, index) => managedVolume({ name: `v${index}` }));
  scene.results = { 'volume-list': { volumes, removed: [] } };
  const reply = await scene.send({ what: 'admin-call', id: 'id', method: 'volume-list', params: '{}', withinMs: 1_000 });
  if (!('part' in reply)) throw new Error('Refused');
  expect(reply.totalBytes).toBeGreaterThan(ADMIN_PART_MAX_BYTES);
  const rest = { what: 'admin-rest', answer: reply.answer, offset: ADMIN_PART_MAX_BYTES } as const;
  expect(await scene.send(rest)).toHaveProperty('part');
  expect(await scene.send(rest, 'venus')).toMatchObject({ adminStatus: STATUS.STALE });
  scene.remote.sessionEnded(scene.session().id);
  expect(await scene.send(rest)).toMatchObject({ adminStatus: STATUS.STALE });
});

test('the answer for a session that has ended is dropped', async () => {
  const scene = new RemoteScene('admin');
  scene.isThere = false;
  expect(await scene.call('volume-list')).toMatchObject({ adminStatus: STATUS.SHUTTING_DOWN });
  expect(scene.executed).toEqual([]);
});

test('a server that stops begins nothing more', async () => {
  const scene = new RemoteScene('manage');
  let open: () => void = () => undefined;
  scene.hold = new Promise((resolve) => (open = resolve));
  const calls = [scene.call('volume-list'), scene.call('volume-list')];
  await turns();
  scene.remote.close();
  open();
  await turns(scene.clock);
  for (const call of calls) expect(await call).toMatchObject({ adminStatus: STATUS.SHUTTING_DOWN });
  expect(await scene.call('volume-create')).toMatchObject({ adminStatus: STATUS.SHUTTING_DOWN });
  expect(scene.executed).toEqual(['volume-list null']);
});

async function turns(clock?: FakeClock): Promise<void> {
  for (let times = 0; times < 50; times++) {
    clock?.advance(50);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
