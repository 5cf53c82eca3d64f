// Tests rsadm from its arguments to its output, against a real control socket with handlers of the test: the request that each command
// sends, its output, the refusals, and what happens to rssrvcfg. Tables and warnings have tests of their own in output/.

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shownCall } from '@rsio/common/cli/command';
import { type ControlServer, type HandlersOf, startControlServer } from '@rsio/common/control/control-server';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/common/control/server-methods';
import { misfit } from '@rsio/common/control/shape';
import { executeProgram } from '@rsio/common/daemon/arguments';
import { RsError } from '@rsio/common/lib/errors';
import { quietLog } from '@rsio/common/log/log';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COMMANDS } from './command-table.ts';
import { rsadm, rsadmSpec } from './program.ts';
import { client, pool, removedVolume, volume } from '@rsio/common/testing/server-views';

type Handlers = Partial<HandlersOf<typeof SERVER_METHODS>>;

const CONFIG = `# Server of the test
[namespace osl]
namespaceid = 200

[server big-9]
serverid = 1

[interface if1]
address = 10.0.0.9

[pool fast]
# the disks
path = /srv/fast

[clients]
big-2 z2bqehhz57cbs2vh8e9vvyhue9sfr8eb`;

let root: string;
let daemon: ControlServer | null;
/** The requests that rssrv received, in order. */
let asked: (readonly [method: string, params: unknown])[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rsio-ra-'));
  mkdirSync(join(root, 'etc/dvsc'), { recursive: true });
  writeFileSync(configFile(), CONFIG, { mode: 0o600 });
  daemon = null;
  asked = [];
});

afterEach(async () => {
  await daemon?.close();
  rmSync(root, { recursive: true, force: true });
});

function configFile(): string {
  return join(root, 'etc/dvsc/rssrvcfg');
}

function config(): string {
  return readFileSync(configFile(), 'utf8');
}

const NOW_MS = new FakeClock().wallMs();

const ANSWERS: Handlers = {
  daemon: () => ({
    program: 'rssrv',
    version: '9.9.9',
    control: 1,
    methods: [],
    pid: 4711,
    nodename: 'big-9',
    startedMs: 0,
    configuredMs: 0,
  }),
  'pool-make': () => ({ isNew: true, volumes: 0 }),
  'pool-check': () => ({ pool: pool() }),
  'pool-list': () => ({ pools: [pool()] }),
  'volume-list': () => ({ volumes: [volume()], removed: [removedVolume({ untilMs: NOW_MS + 5_400_000 })] }),
  'volume-show': () => ({ volume: volume() }),
  'volume-create': () => ({ volume: volume() }),
  'volume-grow': () => ({ volume: volume({ sizeBytes: 2 ** 40 }) }),
  'volume-rename': () => ({ volume: volume({ name: 'data', universe: 1 }) }),
  'volume-set': () => ({ volume: volume({ readonly: true }) }),
  'volume-remove': () => ({ removed: removedVolume() }),
  'volume-restore': () => ({ volume: volume() }),
  'client-list': () => ({ clients: [client()] }),
  reload: () => ({ applied: ['pool x is added'] }),
};

/** Starts an rssrv that answers as in ANSWERS, except for these methods. */
async function serve(handlers: Handlers = {}): Promise<void> {
  const all = { ...ANSWERS, ...handlers };
  const noted = Object.fromEntries(
    Object.entries(all).map(([method, handler]) => [
      method,
      (params: never) => {
        // The program also greets rssrv with `daemon` before a request that may take long.
        if (method !== 'daemon') asked.push([method, params]);
        return handler(params);
      },
    ]),
  );
  daemon = await startControlServer(join(root, 'run/rsio/rssrv/control'), SERVER_METHODS, noted, quietLog);
}

function refusing(code: 'E_CONFIG' | 'E_RIGHTS' | 'E_SPACE', message: string): () => never {
  return () => {
    throw new RsError(code, message);
  };
}

async function run(argv: readonly string[], ask: ((question: string) => Promise<string>) | null = null) {
  let out = '';
  let err = '';
  const ports = { clock: new FakeClock(), ask, newId: () => 'id-1' };
  const code = await executeProgram(rsadmSpec, (invocation) => rsadm(invocation, ports), {
    argv,
    env: { RSIO_ROOT: root },
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text.replaceAll(root, 'ROOT');
    },
  });
  return { code, out, err };
}

const name = { name: 'oracle', universe: 0 };
const request = 'id-1';
const created = {
  ...name,
  sizeBytes: 20 * 1024 ** 3,
  blockSizeBytes: 512,
  pool: null,
  thick: false,
  readonly: false,
  shared: false,
  clients: null,
  takeOver: null,
  takeOverForce: false,
  request,
};

const POOLS = 'POOL    SIZE   FREE  PROMISED  LIMIT  VOLUMES  PATH\nfast  100.0G  55.0G     20.0G      -        1  /srv/fast\n';
const VOLUMES = 'VOLUME     SIZE  USED  POOL  HELD BY\noracle@0  20.0G  1.5K  fast  -\n';
const CLIENTS = 'CLIENT  STATE      ADDRESS       RIGHTS  HOLDS\nbig-2   connected  192.168.10.2  use     oracle@0\n';
const REMOVED =
  'VOLUME     SIZE  POOL  REMOVED                    BY  KEPT FOR\noracle@0  20.0G  fast  1970_01_01-00:00:00 (GMT)  -   1h 30m\n';
const DETAILS = `oracle@0
    id:        8a65f309-f092-4c5a-913e-b2a388712c4e
    state:     served
    size:      20.0G (21474836480 bytes), blocks of 512
    used:      1.5K
    pool:      fast
    file:      /srv/fast/volumes/8a65f309-f092-4c5a-913e-b2a388712c4e/data
    mode:      read-write
    clients:   all
    take-over: all
    owner:     -
    created:   1970_01_01-00:00:00 (GMT)
    held by:   -
`;

describe('each command sends its request and prints the answer', () => {
  test.each<[string[], ServerMethodName, unknown, string]>([
    [['pool', 'list'], 'pool-list', {}, POOLS],
    [['pool', 'check', 'fast'], 'pool-check', { name: 'fast' }, 'pool fast: 1 volume, nothing unexplained\n'],
    [['volume', 'list'], 'volume-list', { pool: null }, VOLUMES],
    [['volume', 'list', '--pool', 'fast'], 'volume-list', { pool: 'fast' }, VOLUMES],
    [['volume', 'list', '--removed'], 'volume-list', { pool: null }, REMOVED],
    [['volume', 'show', 'oracle'], 'volume-show', name, DETAILS],
    [['volume', 'show', 'oracle@0'], 'volume-show', name, DETAILS],
    [['volume', 'create', 'oracle', '--size', '20g'], 'volume-create', created, 'oracle@0 created in pool fast, 20.0G\n'],
    [
      ['volume', 'create', 'x@3', '--size=1M', '--pool', 'p', '--thick', '--read-only', '--shared', '--block-size', '4096'],
      'volume-create',
      {
        ...created,
        name: 'x',
        universe: 3,
        sizeBytes: 1_048_576,
        blockSizeBytes: 4096,
        pool: 'p',
        thick: true,
        readonly: true,
        shared: true,
      },
      'oracle@0 created in pool fast, 20.0G\n',
    ],
    [['volume', 'grow', 'oracle', '1t'], 'volume-grow', { ...name, sizeBytes: 2 ** 40, request }, 'oracle@0 now has 1.0T\n'],
    [
      ['volume', 'rename', 'oracle', 'data@1'],
      'volume-rename',
      { ...name, newName: 'data', newUniverse: 1, request },
      'oracle@0 is now data@1\n',
    ],
    [
      ['volume', 'set', 'oracle', 'readonly=yes', 'shared=no'],
      'volume-set',
      { ...name, settings: ['readonly=yes', 'shared=no'], request },
      DETAILS.replace('read-write', 'read-only'),
    ],
    [
      ['volume', 'remove', 'oracle', '--yes'],
      'volume-remove',
      { ...name, request },
      'oracle@0 removed; until 1970_01_02-00:00:00 (GMT), rsadm volume restore oracle brings it back\n',
    ],
    [['volume', 'restore', 'oracle'], 'volume-restore', { ...name, request }, 'oracle@0 restored in pool fast\n'],
    [['client', 'list'], 'client-list', {}, CLIENTS],
    [['reload'], 'reload', {}, 'pool x is added\n'],
  ])('%j', async (argv, method, params, out) => {
    await serve();
    expect(await run(argv)).toEqual({ code: 0, out, err: '' });
    expect(asked).toEqual([[method, params]]);
  });

  test.each<[string[], ServerMethodName]>([
    [['pool', 'list'], 'pool-list'],
    [['pool', 'check', 'fast'], 'pool-check'],
    [['volume', 'list'], 'volume-list'],
    [['volume', 'list', '--removed'], 'volume-list'],
    [['volume', 'show', 'oracle'], 'volume-show'],
    [['volume', 'create', 'oracle', '--size', '20g'], 'volume-create'],
    [['volume', 'grow', 'oracle', '1t'], 'volume-grow'],
    [['volume', 'rename', 'oracle', 'data'], 'volume-rename'],
    [['volume', 'set', 'oracle', 'readonly=yes'], 'volume-set'],
    [['volume', 'remove', 'oracle', '--yes'], 'volume-remove'],
    [['volume', 'restore', 'oracle'], 'volume-restore'],
    [['client', 'list'], 'client-list'],
    [['reload'], 'reload'],
  ])('%j --json prints the answer of %s, and nothing else', async (argv, method) => {
    await serve();
    const { code, out, err } = await run([...argv, '--json']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const answer: unknown = JSON.parse(out);
    expect(misfit(SERVER_METHODS[method].result, answer, 'exactly')).toBeNull();
    expect(answer).toEqual((ANSWERS[method] as () => unknown)());
  });

  test('every command with --json has a shape, and is tested here', () => {
    const withJson = COMMANDS.filter(({ options }) => Object.hasOwn(options, 'json'));
    expect(withJson.filter(({ json }) => json === undefined)).toEqual([]);
    expect(withJson.map(({ call }) => shownCall(call))).toEqual([
      'status',
      'reload',
      'pool list',
      'pool check',
      'volume list',
      'volume show',
      'volume create',
      'volume grow',
      'volume rename',
      'volume set',
      'volume remove',
      'volume restore',
      'client list',
      'client add',
    ]);
  });

  test.each<[string[], Handlers, string]>([
    [['pool', 'list'], { 'pool-list': () => ({ pools: [] }) }, 'No pool: rsadm pool add NAME PATH makes one'],
    [
      ['volume', 'list'],
      { 'volume-list': () => ({ volumes: [], removed: [] }) },
      'No volume: rsadm volume create NAME --size SIZE makes one',
    ],
    [['volume', 'list', '--pool', 'fast'], { 'volume-list': () => ({ volumes: [], removed: [] }) }, 'No volume in pool fast'],
    [['volume', 'list', '--removed'], { 'volume-list': () => ({ volumes: [volume()], removed: [] }) }, 'No removed volume can be restored'],
    [['client', 'list'], { 'client-list': () => ({ clients: [] }) }, 'No client: rsadm client add NAME lets one connect'],
    [['reload'], { reload: () => ({ applied: [] }) }, 'rssrv already uses this ROOT/etc/dvsc/rssrvcfg: nothing has changed'],
  ])('%j of an empty list says so on stderr', async (argv, handlers, sentence) => {
    await serve(handlers);
    expect(await run(argv)).toEqual({ code: 0, out: '', err: `rsadm: ${sentence}\n` });
  });

  test('a volume that is created and not served is said, with the reason', async () => {
    await serve({ 'volume-create': () => ({ volume: volume({ state: 'unavailable', reason: 'its file is locked' }) }) });
    const { code, err } = await run(['volume', 'create', 'oracle', '--size', '20g']);
    expect({ code, err }).toEqual({ code: 0, err: 'rsadm: oracle@0 is not served: its file is locked\n' });
  });

  test('a client that is not configured is said when a volume is made for it', async () => {
    const clients = ['big-2', 'mars'];
    await serve({ 'volume-create': () => ({ volume: volume({ clients }) }), 'volume-set': () => ({ volume: volume({ clients }) }) });
    const err = 'rsadm: oracle@0 is for mars, not listed in [clients]: rsadm client add NAME lets a client connect\n';
    expect((await run(['volume', 'create', 'oracle', '--size', '20g', '--clients', 'big-2,mars'])).err).toBe(err);
    expect((await run(['volume', 'set', 'oracle', 'clients=big-2,mars'])).err).toBe(err);
    expect((await run(['volume', 'set', 'oracle', 'shared=no'])).err, 'the clients are not changed').toBe('');
    expect(asked[0]).toEqual(['volume-create', { ...created, clients }]);
  });

  test('a refusal of rssrv is one line, and control characters in it are escaped', async () => {
    await serve({ 'volume-create': refusing('E_SPACE', 'Pool fast has no room\u001b[2J: remove a volume') });
    const err = 'rsadm: Pool fast has no room\\x1b[2J: remove a volume [E_SPACE]\n';
    expect(await run(['volume', 'create', 'oracle', '--size', '20g'])).toEqual({ code: 1, out: '', err });
  });
});

describe('status', () => {
  test('shows pools, volumes and clients on one page', async () => {
    await serve();
    const out = `server big-9, release 9.9.9, pid 4711\n\n${POOLS}\n${VOLUMES}\n${CLIENTS}`;
    expect(await run(['status'])).toEqual({ code: 0, out, err: '' });
    expect(await run([]), 'the first command').toEqual({ code: 0, out, err: '' });
  });

  test('of a new server says how to begin', async () => {
    await serve({
      'pool-list': () => ({ pools: [] }),
      'volume-list': () => ({ volumes: [], removed: [] }),
      'client-list': () => ({ clients: [] }),
    });
    expect((await run(['status'])).out).toBe(
      'server big-9, release 9.9.9, pid 4711\n\nNo pool: rsadm pool add NAME PATH makes one\n\n' +
        'No volume: rsadm volume create NAME --size SIZE makes one\n\nNo client: rsadm client add NAME lets one connect\n',
    );
  });

  test('a warning makes the exit code 1, also with --json', async () => {
    await serve({ 'volume-list': () => ({ volumes: [volume({ state: 'unavailable', reason: 'its file is locked' })], removed: [] }) });
    const { code, out } = await run(['status']);
    expect({ code, last: out.split('\n\n').at(-1) }).toEqual({
      code: 1,
      last: 'Warning: Volume oracle@0 is not served: its file is locked\n',
    });
    const json = await run(['status', '--json']);
    expect({ code: json.code, err: json.err }).toEqual({ code: 1, err: '' });
    const page: unknown = JSON.parse(json.out);
    expect(page).toMatchObject({ daemon: { pid: 4711 }, pools: [pool()], clients: [client()] });
    expect(page).toHaveProperty('warnings', ['Volume oracle@0 is not served: its file is locked']);
    const shape = COMMANDS.find(({ call }) => shownCall(call) === 'status')?.json;
    expect(shape === undefined ? 'no shape' : misfit(shape, page, 'exactly')).toBeNull();
  });
});

describe('pool check', () => {
  test('prints what is unexplained, exit code 1', async () => {
    const findings = ['/srv/fast/a\nb does not belong to the pool', '/srv/fast/c does not belong to the pool'];
    await serve({ 'pool-check': () => ({ pool: pool({ findings }) }) });
    const out = '/srv/fast/a\\nb does not belong to the pool\n/srv/fast/c does not belong to the pool\n';
    expect(await run(['pool', 'check', 'fast'])).toEqual({ code: 1, out, err: '' });
    expect((await run(['pool', 'check', 'fast', '--json'])).code).toBe(1);
  });

  test('prints why the pool cannot be used', async () => {
    await serve({ 'pool-check': () => ({ pool: pool({ state: 'unavailable', reason: 'it is not mounted: mount it' }) }) });
    const out = 'Pool fast cannot be used: it is not mounted: mount it\n';
    expect(await run(['pool', 'check', 'fast'])).toEqual({ code: 1, out, err: '' });
  });
});

describe('removing a volume', () => {
  const question = 'Remove volume oracle@0, 20.0G, from pool fast? [y/N] ';

  test.each(['y', 'yes', ' YES '])('asks, and %j consents', async (answer) => {
    await serve();
    const questions: string[] = [];
    const { code } = await run(['volume', 'remove', 'oracle'], async (text) => {
      questions.push(text);
      return answer;
    });
    expect(code).toBe(0);
    expect(questions).toEqual([question]);
    expect(asked.map(([method]) => method)).toEqual(['volume-show', 'volume-remove']);
  });

  test.each(['', 'n', 'no', 'yesterday', 'ja'])('asks, and %j does not consent', async (answer) => {
    await serve();
    expect(await run(['volume', 'remove', 'oracle'], async () => answer)).toEqual({
      code: 1,
      out: '',
      err: 'rsadm: Nothing was removed\n',
    });
    expect(asked.map(([method]) => method)).toEqual(['volume-show']);
  });

  test('without a terminal needs --yes, and sends nothing without it', async () => {
    await serve();
    const err = 'rsadm: Removing needs consent: give --yes, see rsadm --help [E_USAGE]\n';
    for (const argv of [['oracle'], ['oracle', '--json']])
      expect(await run(['volume', 'remove', ...argv])).toEqual({ code: 2, out: '', err });
    expect(asked).toEqual([]);
  });
});

describe('edits of rssrvcfg', () => {
  test('client add prints the key alone on stdout, and adds the line', async () => {
    await serve({ reload: () => ({ applied: ['client mars is added'] }) });
    const { code, out, err } = await run(['client', 'add', 'mars', '--rights', 'manage pool=fast limit=5g']);
    expect({ code, err }).toEqual({ code: 0, err: 'rsadm: client mars is added\n' });
    expect(out).toMatch(/^[2-9a-z]{32}\n$/);
    expect(config()).toBe(`${CONFIG}\nmars ${out.trim()}\n\n[rights]\nmars manage pool=fast limit=5g`);
    expect(statSync(configFile()).mode & 0o777).toBe(0o600);
    expect(asked).toEqual([['reload', {}]]);
  });

  test('client add --json prints name and key', async () => {
    await serve();
    const { code, out } = await run(['client', 'add', 'mars', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ name: 'mars', key: expect.stringMatching(/^[2-9a-z]{32}$/) });
  });

  test('client rights and client remove change only the lines of the client', async () => {
    await serve();
    expect(await run(['client', 'rights', 'big-2', 'manage', 'pool=fast'])).toEqual({ code: 0, out: 'pool x is added\n', err: '' });
    expect(config()).toBe(`${CONFIG}\n\n[rights]\nbig-2 manage pool=fast`);
    expect((await run(['client', 'remove', 'big-2'])).code).toBe(0);
    expect(config()).not.toContain('big-2');
    expect(config()).toContain('# the disks\npath = /srv/fast\n');
  });

  test('pool add prepares the directory, adds the section and reports the pool', async () => {
    await serve({
      'pool-make': () => ({ isNew: false, volumes: 3 }),
      'pool-list': () => ({ pools: [pool(), pool({ name: 'slow', path: '/srv/slow' })] }),
    });
    const out = 'pool x is added\n/srv/slow already was a pool, with 3 volumes\n';
    expect(await run(['pool', 'add', 'slow', '/srv/slow', '--limit', '5t', '--reserve', '10%'])).toEqual({ code: 0, out, err: '' });
    expect(asked).toEqual([
      ['pool-make', { path: '/srv/slow' }],
      ['reload', {}],
      ['pool-list', {}],
    ]);
    expect(config()).toBe(CONFIG.replace('/srv/fast\n', '/srv/fast\n\n[pool slow]\npath = /srv/slow\nlimit = 5t\nreserve = 10%\n'));
  });

  test('pool add of a pool that then cannot be used says why, exit code 1', async () => {
    await serve({ 'pool-list': () => ({ pools: [pool({ name: 'slow', state: 'unavailable', reason: 'it is locked: stop the other' })] }) });
    const { code, err } = await run(['pool', 'add', 'slow', '/srv/slow']);
    expect({ code, err }).toEqual({ code: 1, err: 'rsadm: Pool slow cannot be used: it is locked: stop the other\n' });
  });

  test.each<[string[], string]>([
    [['fast', '/srv/slow'], 'Pool fast exists, in line 11: choose another name'],
    [['a b', '/srv/slow'], 'Wrong pool name "a b": allowed is 1 to 63'],
    [['slow', '/srv/fast/'], 'ROOT/etc/dvsc/rssrvcfg was not changed: Duplicate pool path "/srv/fast/" (first in line 13)'],
    [['slow', '/srv/slow', '--limit', '5x'], 'ROOT/etc/dvsc/rssrvcfg was not changed: Wrong value "5x" for limit: allowed is'],
    [['slow', '/srv/slow', '--reserve', '5'], 'ROOT/etc/dvsc/rssrvcfg was not changed: Wrong value "5" for reserve: allowed is'],
    [['slow', '/srv/a\nb'], 'Wrong value for "path": allowed is text without line breaks'],
  ])('pool add %j is refused before the directory is prepared', async (words, message) => {
    await serve();
    const { code, out, err } = await run(['pool', 'add', ...words]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`rsadm: ${message}`);
    expect(err).toMatch(/^[^\n]* \[E_CONFIG\]\n$/);
    expect(asked).toEqual([]);
    expect(config()).toBe(CONFIG);
  });

  test.each<[string[], string]>([
    [['add', 'big-2'], 'Client big-2 exists, in line 16: choose another name, or remove it first'],
    [['add', 'a b'], 'Wrong client name "a b"'],
    [['add', 'mars', '--rights', 'bogus'], 'ROOT/etc/dvsc/rssrvcfg was not changed: Client mars in [rights] has the right "bogus"'],
    [['add', 'mars', '--rights', ''], 'ROOT/etc/dvsc/rssrvcfg was not changed: Client mars in [rights] has the right ""'],
    [['add', 'mars', '--rights', 'use\nbig-2 admin'], 'Wrong rights "use\\nbig-2 admin" of client mars: give them in one line'],
    [['rights', 'mars', 'admin'], 'No client "mars" in [clients]: rsadm client list shows the clients'],
    [
      ['rights', 'big-2', 'manage', 'pool=nosuch'],
      'ROOT/etc/dvsc/rssrvcfg was not changed: Client big-2 in [rights] may use pool "nosuch"',
    ],
    [['remove', 'mars'], 'No client "mars" in [clients]: rsadm client list shows the clients'],
  ])('client %j is refused, and nothing is changed', async (words, message) => {
    await serve();
    const { code, out, err } = await run(['client', ...words]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`rsadm: ${message}`);
    expect(err).toMatch(/^[^\n]* \[E_CONFIG\]\n$/);
    expect(asked).toEqual([]);
    expect(config()).toBe(CONFIG);
  });

  test.each(['\n', '\r\n'])('if rssrv refuses the file, it is restored byte for byte (line ends %j)', async (end) => {
    const before = CONFIG.replaceAll('\n', end);
    writeFileSync(configFile(), before);
    chmodSync(configFile(), 0o640);
    const seen: string[] = [];
    await serve({
      reload: () => {
        seen.push(config());
        throw new RsError('E_CONFIG', 'Interface if1 cannot be opened: check its address');
      },
    });
    for (const argv of [
      ['client', 'add', 'mars'],
      ['client', 'rights', 'big-2', 'admin'],
      ['client', 'remove', 'big-2'],
      ['pool', 'add', 'slow', '/srv/slow'],
    ]) {
      const err = 'rsadm: Interface if1 cannot be opened: check its address [E_CONFIG]\n';
      expect(await run(argv)).toEqual({ code: 1, out: '', err });
      expect(config()).toBe(before);
      expect(statSync(configFile()).mode & 0o777).toBe(0o640);
    }
    expect(seen.filter((text) => text === before)).toEqual([]);
    expect(seen).toHaveLength(4);
  });

  test('if another program changes the file meanwhile, the refusal says that it cannot be put back', async () => {
    await serve({
      reload: () => {
        writeFileSync(configFile(), '# of somebody else\n');
        throw new RsError('E_CONFIG', 'Interface if1 cannot be opened: check its address');
      },
    });
    const { code, out, err } = await run(['client', 'remove', 'big-2']);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe(
      'rsadm: Interface if1 cannot be opened: check its address; the change stays in ROOT/etc/dvsc/rssrvcfg, which cannot be put back ' +
        '(ROOT/etc/dvsc/rssrvcfg was changed by another program meanwhile: check the file and try again) [E_CONFIG]\n',
    );
    expect(config()).toBe('# of somebody else\n');
  });

  test('if rssrv ends during the reload, the file is restored, and a sentence says what rssrv uses', async () => {
    await serve({ reload: () => new Promise(() => undefined) });
    const running = run(['client', 'remove', 'big-2']);
    await expect.poll(() => asked.length, { timeout: 5_000, interval: 2 }).toBe(1);
    await daemon?.close();
    const { code, err } = await running;
    expect(code).toBe(1);
    expect(err).toContain(
      'rsadm: ROOT/etc/dvsc/rssrvcfg is as it was before: when rssrv answers again, rsadm reload makes it use the file\n',
    );
    expect(err).toMatch(/\[E_RESET\]\n$/);
    expect(config()).toBe(CONFIG);
  });

  test('a change without effect is said', async () => {
    await serve({ reload: () => ({ applied: [] }) });
    const err = 'rsadm: rssrv works as before: the change has no effect\n';
    expect(await run(['client', 'rights', 'big-2', 'use'])).toEqual({ code: 0, out: '', err });
  });

  test('without rssrv, clients are changed in the file, and rssrv reads it when it starts', async () => {
    const err = 'rsadm: rssrv is not running: it reads the file when it starts\n';
    const added = await run(['client', 'add', 'mars']);
    expect({ code: added.code, err: added.err }).toEqual({ code: 0, err });
    expect(config()).toBe(`${CONFIG}\nmars ${added.out.trim()}`);
    expect(await run(['client', 'remove', 'mars'])).toEqual({ code: 0, out: '', err });
    expect(config()).toBe(CONFIG);
  });

  test('a broken file is not edited', async () => {
    await serve();
    writeFileSync(configFile(), `${CONFIG}\n[server two]\nserverid = 2\n`);
    const err =
      'rsadm: ROOT/etc/dvsc/rssrvcfg:17: Second section [server two] (first in line 5): allowed is one [server NAME] [E_CONFIG]\n';
    for (const argv of [
      ['client', 'add', 'mars'],
      ['pool', 'add', 'slow', '/srv/slow'],
    ])
      expect(await run(argv)).toEqual({ code: 1, out: '', err });
    expect(asked).toEqual([]);
  });

  test('a missing file is not made', async () => {
    await serve();
    rmSync(configFile());
    const err = 'rsadm: No configuration file ROOT/etc/dvsc/rssrvcfg: write one first (see rssrvcfg(5)) [E_NO_CONFIG]\n';
    expect(await run(['client', 'add', 'mars'])).toEqual({ code: 1, out: '', err });
    expect(asked).toEqual([]);
  });
});

describe('wrong usage', () => {
  const NAMES = '1 to 63 of the characters A-Z a-z 0-9 _ . - (but not "." or "..")';
  const SIZES = 'a size from 512 to 8589934591m: a whole number of bytes, or a whole number with the unit k, m, g, t or p (powers of 1024)';

  test.each<[string[], string]>([
    [['volume', 'create', 'x'], 'No --size: give the size of the volume, such as 20g'],
    [['volume', 'create', 'x', '--size', '0'], `Wrong --size "0": allowed is ${SIZES}`],
    [['volume', 'create', 'x', '--size', '1.5g'], `Wrong --size "1.5g": allowed is ${SIZES}`],
    [['volume', 'create', 'x', '--size', '1g', '--block-size', ''], 'Wrong --block-size "": allowed is 512 or 4096'],
    [['volume', 'create', 'x', '--size', '1g', '--block-size', '\u001b'], 'Wrong --block-size "\\u001b": allowed is 512 or 4096'],
    [['volume', 'create', 'x', '--size', '1g', '--pool', ''], `Wrong --pool "": allowed is ${NAMES}`],
    [
      ['volume', 'create', 'x', '--size', '1g', '--clients', 'a,,b'],
      'Wrong --clients "a,,b": allowed is all, or names separated by commas or spaces',
    ],
    [['volume', 'create', 'osl:x', '--size', '1g'], `Wrong volume name "osl:x": the name is ${NAMES}, optionally followed by @UNIVERSE`],
    [['volume', 'grow', 'x', '+1g'], `Wrong SIZE "+1g": allowed is ${SIZES}`],
    [['volume', 'list', '--pool', 'a b'], `Wrong --pool "a b": allowed is ${NAMES}`],
    [['volume', 'rename', 'x', 'x@0'], 'Volume x@0 already has this name: give another one'],
    [['pool', 'check', 'a\nb'], `Wrong pool name "a\\nb": allowed is ${NAMES}`],
    [['pool', 'add', 'slow', 'srv/slow'], 'Wrong PATH "srv/slow": give an absolute path'],
    [['pool', 'add', 'slow'], 'Too few arguments for pool add: use rsadm pool add NAME PATH [--limit SIZE] [--reserve P%]'],
    [['client', 'add'], 'Too few arguments for client add: use rsadm client add NAME [--rights R]'],
    [['status', 'x'], 'Unexpected argument x: this command takes no names'],
    [['client', 'list', '--size', '1g'], '--size is valid only with volume create'],
    [['frobnicate'], 'Unknown command frobnicate: the commands begin with status, reload, pool, volume, client or completion'],
    [['volum', 'list'], 'Unknown command volum: did you mean volume?'],
    [['pool'], 'Incomplete command pool: give pool list, pool add or pool check'],
    [['completion', 'zsh'], 'No completion for zsh: there is one for bash'],
  ])('%j', async (argv, message) => {
    await serve();
    expect(await run(argv)).toEqual({ code: 2, out: '', err: `rsadm: ${message}, see rsadm --help [E_USAGE]\n` });
    expect(asked).toEqual([]);
    expect(config()).toBe(CONFIG);
  });
});

test('without rssrv one line says how to start it', async () => {
  const err =
    'rsadm: rssrv is not running, nothing listens on ROOT/run/rsio/rssrv/control: start it with: rssrv --root ROOT [E_NOT_RUNNING]\n';
  for (const argv of [[], ['reload'], ['volume', 'list'], ['volume', 'remove', 'x', '--yes'], ['pool', 'add', 'slow', '/srv/slow']])
    expect(await run(argv)).toEqual({ code: 1, out: '', err });
  expect(config()).toBe(CONFIG);
});

describe('--help', () => {
  test('has every command once, in groups, in at most 80 columns', async () => {
    const { out } = await run(['--help']);
    expect(out.match(/^[A-Z].*:$/gm)).toEqual(['Server:', 'Pools:', 'Volumes:', 'Clients:', 'Shell:', 'Options:']);
    for (const { synopsis, summary } of COMMANDS) {
      const at = out.indexOf(`\n  ${synopsis.split('\n')[0]}`);
      expect(at, synopsis).toBeGreaterThan(0);
      expect(out.indexOf(summary, at), summary).toBeGreaterThan(at);
    }
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test.each(COMMANDS.map((command) => [shownCall(command.call), command] as const))(
    'of %s names each of its options, in at most 80 columns',
    async (call, command) => {
      const { code, out } = await run([...call.split(' '), '--help']);
      expect(code).toBe(0);
      expect(out.startsWith(`usage: rsadm ${command.synopsis.split('\n')[0]}\n`)).toBe(true);
      for (const option of Object.keys(command.options)) expect(out).toMatch(new RegExp(`^ .*--${option}\\b`, 'm'));
      for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    },
  );
});
