// Tests that a hostile source cannot affect what the picture shows of other sources. The reports of a hostile source count only for its own
// server and client. False claims cause findings. The source cannot displace objects, links or commands of another source.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import {
  CLAIMS_MAX,
  ELEMENTS_MAX,
  EVENTS_MAX,
  FINDINGS_MAX,
  FINDINGS_SHOWN,
  HEARSAY_SERVERS_MAX,
  SOURCE_POOLS_MAX,
  SOURCES_MAX,
} from '../limits.ts';
import { shownApplications } from '../model/applications.ts';
import type { Application, Client, Event, Finding, Mirror, Path, Picture, Pool, Server, Volume } from '../model/picture.ts';
import { samplePicture } from '../testing/sample-picture.ts';
import { Hub } from './hub.ts';
import { NOTHING, type Source } from './source.ts';

const sample = samplePicture({ isWell: true });

function first<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined) throw new Error('The sample has none');
  return one;
}

const server = (name: string, machine: string | null): Server => ({ ...first(sample.servers), id: name, name, machine });
const client = (name: string, machine: string | null, volumes: string[] = []): Client => ({
  ...first(sample.clients),
  id: name,
  name,
  machine,
  volumes,
});
const pool = (of: string, name: string, path: string): Pool => ({ ...first(sample.pools), id: `${of}:${name}`, server: of, name, path });
const volume = (id: string, of: string, name: string, more: Partial<Volume> = {}): Volume => ({
  ...first(sample.volumes),
  id,
  server: of,
  name,
  pool: `${of}:fast`,
  waits: [],
  ...more,
});
const path = (from: string, to: string, more: Partial<Path> = {}): Path => ({
  ...first(sample.paths),
  id: `${from}:10.0.0.1>${to}:10.0.0.2`,
  client: from,
  server: to,
  localAddress: '10.0.0.1',
  address: '10.0.0.2',
  ...more,
});
const problem = (id: string, more: Partial<Finding> = {}): Finding => ({
  id,
  severity: 'error',
  what: id,
  where: 'server big-9',
  remedy: '',
  commands: ['rm -rf /'],
  href: '/server/big-9',
  sinceMs: 1,
  ...more,
});
const event = (id: string, atMs: number): Event => ({
  id,
  atMs,
  machine: 'x',
  object: 'server big-9',
  from: 'up',
  to: 'down',
  reason: '',
  href: '/server/big-9',
});

/** The picture of this machine's rssrv. The rsweb on the client db-1 reports another picture. */
const own: Picture = {
  ...NOTHING,
  machines: [{ id: 'big-9', name: 'big-9', isLocal: true, state: 'answers', reason: null, programs: [] }],
  servers: [server('big-9', 'big-9')],
  pools: [pool('big-9', 'fast', '/srv/fast')],
  volumes: [volume('aaaa', 'big-9', 'oracle')],
  findings: [problem('full pool', { what: 'The pool is full', sinceMs: 9, commands: ['rsadm pool list'] })],
  events: [event('1', 1)],
};
const good: Picture = {
  ...NOTHING,
  servers: [server('venus', 'source venus'), server('big-9', null)],
  pools: [pool('venus', 'fast', '/srv/venus')],
  volumes: [volume('bbbb', 'venus', 'mail')],
  findings: [problem('lost', { what: 'A disk is lost', where: 'server venus', href: '/server/venus', commands: ['dmesg'], sinceMs: 9 })],
  events: [event('1', 2)],
};

async function shown(...told: readonly [name: string, picture: Picture][]): Promise<Picture> {
  const clock = new FakeClock();
  const hub = new Hub(
    clock,
    () => false,
    () => {},
  );
  const sources = told.map(
    ([name, picture]): Source => ({
      name,
      isOwn: name === 'own',
      restMs: 0,
      sample: () => Promise.resolve(picture),
      failed: () => NOTHING,
      close: () => {},
    }),
  );
  hub.take(sources);
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(1_000);
  hub.close();
  return hub.picture;
}

const told = (bad: Partial<Picture>): Promise<Picture> =>
  shown(['source mars', { ...NOTHING, ...bad }], ['own', own], ['source venus', good]);

test('what all tell of themselves is shown, and links and commands stay with their objects', async () => {
  const picture = await shown(['own', own], ['source venus', good]);
  expect(picture.servers.map(({ name }) => name)).toEqual(['big-9', 'venus']);
  expect(picture.volumes.map(({ id }) => id)).toEqual(['aaaa', 'bbbb']);
  expect(picture.findings.map(({ where, href, commands }) => [where, href, commands])).toEqual([
    ['server big-9', '/server/big-9', ['rsadm pool list']],
    ['source venus: server venus', '/server/venus', ['dmesg']],
  ]);
});

test('a source adds nothing to the server of another one, and changes nothing of it', async () => {
  const { servers, pools, volumes, findings } = await told({
    servers: [server('mars', 'source mars'), server('big-9', null), server('venus', null)],
    pools: [pool('big-9', 'fast', '/evil'), pool('venus', 'new', '/evil'), { ...pool('mars', 'x', '/evil'), id: 'venus:fast' }],
    volumes: [
      volume('cccc', 'big-9', 'oracle'),
      volume('dddd', 'venus', 'mail'),
      volume('bbbb', 'venus', 'evil', {
        state: 'unavailable',
        mirror: 'm',
        waits: [{ client: 'x', waitsFor: 'x', requests: 1, sinceMs: 1 }],
      }),
      volume('aaaa', 'mars', 'evil', { pool: 'big-9:fast' }),
    ],
  });
  expect(servers.map(({ id, machine }) => [id, machine])).toEqual([
    ['mars', 'source mars'],
    ['big-9', 'big-9'],
    ['venus', 'source venus'],
  ]);
  expect(pools.map(({ id, path: at }) => [id, at])).toEqual([
    ['big-9:fast', '/srv/fast'],
    ['venus:fast', '/srv/venus'],
  ]);
  expect(
    new Map(volumes.map((one) => [one.id, `${one.server} ${one.name} ${one.pool} ${one.state} ${one.mirror} ${one.waits.length}`])),
  ).toEqual(
    new Map([
      ['aaaa', `big-9 oracle big-9:fast served ${first(sample.volumes).mirror} 0`],
      ['bbbb', `venus mail venus:fast served ${first(sample.volumes).mirror} 0`],
      ['mars:evil@0', `mars evil null served ${first(sample.volumes).mirror} 0`],
    ]),
  );
  expect(findings.length).toBe(2);
});

test('a server that two sources speak for is shown for each, and as disputed; one of this machine stays its own', async () => {
  const claims = { servers: [server('venus', 'source mars'), server('big-9', 'source mars')] };
  const { servers, volumes, findings } = await told({
    ...claims,
    volumes: [volume('bbbb', 'venus', 'evil'), volume('eeee', 'big-9', 'evil')],
    findings: [problem('x'), problem('y', { where: 'server venus', href: '/server/venus' })],
  });
  expect(servers.map(({ id }) => id).toSorted()).toEqual([
    'big-9',
    'big-9 (told by source mars)',
    'venus (told by source mars)',
    'venus (told by source venus)',
  ]);
  expect(volumes.map(({ server: of, name }) => `${of}: ${name}`).toSorted()).toEqual([
    'big-9 (told by source mars): evil',
    'big-9: oracle',
    'venus (told by source mars): evil',
    'venus (told by source venus): mail',
  ]);
  const disputes = findings.filter(({ id }) => id.startsWith('disputed'));
  expect(disputes.map(({ severity, where }) => `${severity} ${where}`)).toEqual(['error server venus', 'warning server big-9']);
  expect(findings.filter(({ commands }) => commands.length > 0).map(({ what }) => what)).toEqual(['The pool is full']);
  expect(findings.filter(({ href }) => href !== null).map(({ what }) => what)).toEqual(['The pool is full']);
});

test('a source speaks for few servers, and for no names that are none', async () => {
  const many = Array.from({ length: 5_000 }, (_, at) => server(`s${at}`, 'source mars'));
  const pools = Array.from({ length: 5_000 }, (_, at) => pool('s0', `p${at}`, '/evil'));
  const { servers, pools: shownPools } = await told({
    pools,
    servers: [server('a b', 'source mars'), { ...server('x', 'source mars'), name: 'big-9' }, ...many],
  });
  expect(servers.filter(({ machine }) => machine === 'source mars').length).toBe(CLAIMS_MAX);
  expect(servers.every(({ id, name }) => id === name && /^[\w-]+$/.test(name))).toBe(true);
  expect(servers.length).toBeLessThanOrEqual(CLAIMS_MAX + HEARSAY_SERVERS_MAX + 2);
  expect(shownPools.length).toBe(SOURCE_POOLS_MAX + 2);
});

test('paths, mirrors and clients are told by their ends only', async () => {
  const mirror = (id: string, holder: string | null): Mirror => ({ ...first(sample.mirrors), id, holder });
  const { paths, mirrors, clients } = await shown(
    [
      'source mars',
      {
        ...NOTHING,
        clients: [client('app', 'source mars'), client('db', null, ['aaaa'])],
        paths: [path('db', 'big-9')],
        mirrors: [mirror('m', 'db'), mirror('n', null)],
      },
    ],
    ['own', { ...own, clients: [client('db', null)] }],
    [
      'source db',
      {
        ...NOTHING,
        clients: [client('db', 'source db', ['aaaa'])],
        paths: [path('db', 'big-9', { state: 'down' })],
        mirrors: [mirror('m', 'db')],
      },
    ],
    ['source one', { ...NOTHING, clients: [client('twice', 'source one')] }],
    ['source two', { ...NOTHING, clients: [client('twice', 'source two')] }],
  );
  expect(paths.map(({ state }) => state)).toEqual(['down']);
  expect(mirrors.map(({ id, holder }) => [id, holder])).toEqual([['m', 'db']]);
  expect(clients.map(({ id, machine }) => [id, machine])).toEqual([
    ['app', 'source mars'],
    ['db', 'source db'],
    ['twice', null],
  ]);
});

test('applications are told by the clients of their sources, and the own view of this machine stays', async () => {
  const app = (reporter: string, more: Partial<Application>): Application => ({
    ...first(sample.applications),
    id: `${reporter}:pg`,
    name: 'pg',
    reporter,
    nodes: ['db', 'mars'],
    ...more,
  });
  const waits = app('db', { state: 'waiting', on: null, why: 'x' });
  const picture = await shown(
    ['own', { ...own, clients: [client('db', 'big-9')], applications: [waits] }],
    [
      'source mars',
      {
        ...NOTHING,
        clients: [client('mars', 'source mars')],
        applications: [
          app('mars', { on: 'mars' }),
          app('db', {}),
          app('venus', { on: 'venus' }),
          app('db', { id: 'mars:pg' }),
          app('mars', { id: 'mars:$x', name: '$x' }),
        ],
      },
    ],
  );
  expect(picture.applications.map(({ id, state }) => `${id} ${state}`)).toEqual(['db:pg waiting', 'mars:pg running']);
  expect(shownApplications(picture).map(({ id }) => id)).toEqual(['mars:pg', 'db:pg']);
  expect(picture.findings.map(({ what }) => what)).toContain('Application pg is wanted, and runs nowhere (x)');
});

test('a flood of one source hides no finding, event or object of another one', async () => {
  const count = ELEMENTS_MAX + 5;
  const { findings, events, volumes } = await told({
    servers: [server('mars', 'source mars')],
    findings: Array.from({ length: FINDINGS_MAX * 2 }, (_, at) => problem(at === 0 ? 'full pool' : `f${at}`, { sinceMs: 0 })),
    events: Array.from({ length: EVENTS_MAX * 2 }, (_, at) => event(`${at}`, 1e12)),
    volumes: Array.from({ length: count }, (_, at) => volume(`v${at}`, 'mars', `v${at}`)),
  });
  const page = findings.slice(0, FINDINGS_SHOWN).map(({ what }) => what);
  expect(page).toContain('The pool is full');
  expect(page).toContain('A disk is lost');
  expect(findings.length).toBe(FINDINGS_MAX);
  expect(events.filter(({ atMs }) => atMs < 10).length).toBe(2);
  expect(events.length).toBe(EVENTS_MAX);
  expect(volumes.length).toBe(ELEMENTS_MAX);
  expect(volumes.filter(({ server: of }) => of !== 'mars').map(({ id }) => id)).toEqual(['aaaa', 'bbbb']);
  expect(FINDINGS_SHOWN).toBeGreaterThan(SOURCES_MAX);
});
