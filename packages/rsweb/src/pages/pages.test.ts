// Tests the pages as texts: no text of a machine becomes markup, faults come first with their remedies, links sort and filter tables,
// faults are visible in the diagram, and removed objects have no page.

import { describe, expect, test } from 'vitest';
import { WORKS } from '@rsio/api/views/views';
import type { View } from '../markup/view.ts';
import type { HistoryName, Ring } from '../model/history.ts';
import type { Picture, Replication } from '../model/picture.ts';
import { IMPACT_BOXES_MAX } from '../limits.ts';
import { OPERATIONS } from '../api/operations.ts';
import { type Answered, filledIn } from '../orders/operation-desk.ts';
import { resultView } from '@rsio/api/views/result-view';
import { MARKUP } from '../testing/sample-faults.ts';
import { sampleTold } from '../testing/sample-facts.ts';
import { sampleHistory } from '../testing/sample-history.ts';
import { SAMPLE_MS, samplePicture, volumeIdAt } from '../testing/sample-picture.ts';
import { clientPage } from './client.ts';
import { confirmPage } from './confirm.ts';
import { errorPage } from './error.ts';
import { eventsPage } from './events.ts';
import { impactPage } from './impact.ts';
import { loginPage } from './login.ts';
import { mirrorPage } from './mirror.ts';
import { operationPage, operationsPage, orderedPage } from './operations.ts';
import { overviewPage } from './overview.ts';
import { poolPage } from './pool.ts';
import { serverPage } from './server.ts';
import { volumePage } from './volume.ts';

const picture = samplePicture();

function view(query = '', more: Partial<View> = {}): View {
  return {
    nowMs: SAMPLE_MS,
    path: '/',
    token: 'anna',
    mayManage: false,
    mayOrder: () => more.mayManage === true,
    mayCall: (needs) => needs === 'view' || more.mayManage === true,
    csrf: 'csrf',
    notice: null,
    history: sampleHistory(),
    query: new URLSearchParams(query),
    ...more,
  };
}

/**
 * Returns a value in which every text that a machine supplies is replaced by a text with markup. Ids and names of states are not replaced.
 */
function hostile(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((element) => hostile(element, key));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, hostile(part, name)]));
  const isKept = ['id', 'server', 'client', 'pool', 'mirror', 'volume', 'volumes', 'state', 'severity', 'tx', 'rx', 'role'].includes(key);
  return typeof value === 'string' && !isKept ? MARKUP : value;
}

const HOSTILE: Answered = { parts: resultView({ [MARKUP]: MARKUP, list: [{ [MARKUP]: MARKUP }] }), trouble: null, parameter: MARKUP };
const FILLED = filledIn(
  OPERATIONS.servers.get('volume-create')!,
  new URLSearchParams({ 'p.name': MARKUP, server: MARKUP, namespace: MARKUP }),
);

function pagesOf(of: Picture, seen: View): string[] {
  const volume = volumeIdAt(33);
  return [
    overviewPage(of, seen),
    volumePage(of, seen, volume),
    clientPage(of, seen, 'web-07'),
    serverPage(of, seen, 'themis'),
    poolPage(of, seen, 'rhea:fast'),
    mirrorPage(of, seen, 'mirror-1'),
    eventsPage(of, seen),
    impactPage(
      of,
      { ...seen, path: '/impact', query: new URLSearchParams(`server=atlas&client=${encodeURIComponent(MARKUP)}`) },
      sampleTold(),
    ),
    operationsPage(of, seen),
    operationPage(FILLED, HOSTILE, of, seen),
    operationPage(FILLED, { ...HOSTILE, trouble: MARKUP }, of, seen),
    orderedPage(FILLED, HOSTILE, {}, of, seen),
    orderedPage(FILLED, { parts: null, trouble: null, parameter: null }, { [MARKUP]: MARKUP }, of, seen),
    orderedPage(FILLED, { ...HOSTILE, trouble: MARKUP }, {}, of, seen),
    loginPage({ csrf: MARKUP, next: MARKUP, trouble: MARKUP, host: MARKUP }),
    errorPage({ status: 500, title: MARKUP, what: MARKUP, remedy: MARKUP }),
    confirmPage(
      { title: MARKUP, what: MARKUP, consequence: MARKUP, object: MARKUP, fields: { [MARKUP]: MARKUP }, action: '/x', href: '/' },
      of,
      seen,
    ),
  ].map(String);
}

function rowsOf(page: string, id: string): string[] {
  return [...page.matchAll(new RegExp(`<tr id="${id}-[^"]*"><th scope="row"><a [^>]*>([^<]*)</a>`, 'g'))].map(([, name = '']) => name);
}

test('no text of a machine, a query or a token becomes markup on any page', () => {
  const seen = view(`name=${encodeURIComponent(MARKUP)}&text=${encodeURIComponent(MARKUP)}&x=${encodeURIComponent(MARKUP)}`, {
    mayManage: true,
    csrf: MARKUP,
    notice: MARKUP,
    token: MARKUP,
  });
  for (const page of pagesOf(hostile(picture) as Picture, seen)) {
    expect(page).toContain('&lt;img src=x');
    expect(page).not.toContain('<img');
    expect(page).not.toMatch(/\son\w+="/);
    expect(page).not.toMatch(/\sstyle=|<style|<script>|javascript:/);
  }
});

test('a form is only for an order that the token permits', () => {
  const mayOrder = (order: string): boolean => order !== 'volume-stop';
  const volumes = picture.volumes.map((one) => ({ ...one, server: picture.servers.find(({ machine }) => isLocal(machine))?.id ?? '' }));
  const page = volumePage({ ...picture, volumes }, view('', { mayManage: true, mayOrder }), volumeIdAt(4))!.text;
  expect(page).toContain('action="/orders/volume-start"');
  expect(page).not.toContain('action="/orders/volume-stop"');
});

test.each<[Replication['state'], readonly string[]]>([
  ['waiting', ['drill', 'reverse', 'promote']],
  ['absent', ['drill', 'promote']],
  ['ended', ['drill', 'promote']],
  ['promoted', []],
  ['split', []],
  ['closed', []],
  ['constructor' as never, ['drill', 'reverse', 'promote']],
])('followers whose replication is %s have forms only for the orders that can work', (state, orders) => {
  const server = picture.servers.find(({ machine }) => isLocal(machine))?.id ?? '';
  const replications = picture.replications.filter(({ direction }) => direction === 'in').map((one) => ({ ...one, server, state }));
  const page = overviewPage({ ...picture, replications }, view('', { mayManage: true })).text;
  const forms = [...page.matchAll(/action="\/orders\/volume-(drill|reverse|promote)"/g)].map(([, order]) => order);
  expect(forms).toEqual(orders);
});

function isLocal(machine: string | null): boolean {
  return picture.machines.some((one) => one.isLocal && one.id === machine);
}

test('a state that no table names, such as one of a prototype, is shown with its own word', () => {
  const events = picture.events.map((event, at) => ({ ...event, to: at % 2 === 0 ? '__proto__' : 'constructor' }));
  expect(eventsPage({ ...picture, events }, view()).text).toContain('> __proto__</span>');
});

test('every page is a document with a title, a main part and one first heading', () => {
  for (const page of pagesOf(picture, view())) {
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    for (const part of ['<meta charset="utf-8"><title>', '<main id="main"', '<h1>']) expect(page.split(part)).toHaveLength(2);
  }
});

test('work in progress has a bar and its orders, at its server and at its client', () => {
  const mayManage = view('', { mayManage: true });
  const page = serverPage(picture, mayManage, 'atlas')!.text;
  expect(page).toContain('<progress max="100" value="30" aria-label="Done of move oracle-003@0">30 %</progress>');
  for (const order of ['job-cancel', 'job-limit']) expect(page).toContain(`action="/orders/${order}"`);
  expect(serverPage(picture, view(), 'atlas')!.text).not.toContain('/orders/job-cancel');
  expect(page).toMatch(/failing<\/span>.*no path to berlin/s);
  const client = clientPage(picture, mayManage, 'db-01')!.text;
  for (const text of ['server rhea', 'osl:web-002@0: held by web-07']) expect(client).toContain(text);
  expect(client).not.toContain('/orders/job-cancel');
});

test.each(WORKS)('work of the kind %s is on the overview, with its bar and its figures', (kind) => {
  const works = picture.works.slice(0, 1).map((one) => ({ ...one, kind }));
  const page = overviewPage({ ...picture, works }, view()).text;
  expect(page).toContain(`aria-label="Done of ${kind} oracle-003@0">30 %</progress>`);
  expect(page).toMatch(/6\.0G of 20\.0G.*115\.3 MB\/s.*3 min/s);
});

describe('the overview', () => {
  const page = overviewPage(picture, view()).text;

  test('begins with what is wrong, errors first, each with a remedy and commands alone on their lines', () => {
    expect(page.indexOf('id="findings"')).toBeLessThan(page.indexOf('id="totals"'));
    expect(page).toContain('2 errors, 2 warnings');
    expect(page).toContain('<pre class="command"><code>rsadm volume list --pool fast</code></pre>');
    expect(page).toContain('<title>(2) ');
    expect(overviewPage(samplePicture({ isWell: true }), view()).text).toContain('Nothing is wrong.');
  });

  test('draws each client, server, pool and volume, and marks what has a fault', () => {
    expect([...page.matchAll(/class="box client/g)]).toHaveLength(50);
    expect([...page.matchAll(/class="box server/g)]).toHaveLength(4);
    expect([...page.matchAll(/class="cell /g)]).toHaveLength(200);
    expect(page).toContain('<title>Client web-07: silent, 4 of 4 paths down, 0.0 MB/s</title>');
    expect(page).toContain('<title>Pool fast: ready, 96% used</title>');
    expect([...page.matchAll(/class="trunk (part|cut)"/g)].length).toBeGreaterThan(0);
    expect(overviewPage(samplePicture({ isWell: true }), view()).text).not.toMatch(/class="trunk (part|cut)"/);
  });

  test('keeps clients with a fault in the picture when there are too many to draw', () => {
    const many = Array.from({ length: 80 }, (_, index) => ({
      ...picture.clients[index % 50]!,
      id: `c${index}`,
      name: `c${index}`,
      state: 'connected' as const,
    }));
    const broken = { ...many[0]!, id: 'z-broken', name: 'z-broken', state: 'silent' as const };
    const crowded = overviewPage({ ...picture, clients: [...many, broken] }, view()).text;
    expect(crowded).toContain('<title>Client z-broken: silent');
    expect(crowded).toContain('21 further clients without a fault');
  });

  test('sorts each table by links that keep the rest of the query', () => {
    const sorted = rowsOf(overviewPage(picture, view('clients=-name&name=web')).text, 'clients');
    expect(sorted.slice(0, 3)).toEqual(['web-10', 'web-09', 'web-08']);
    const bySize = overviewPage(picture, view('volumes=-size&name=web')).text;
    expect(bySize).toMatch(/aria-sort="descending"><a href="\/\?volumes=size&amp;name=web#volumes">Size/);
    expect(bySize).toContain('href="/?volumes=name&amp;name=web#volumes"');
  });

  test('filters volumes by name, server, pool, client and state, and says how many it hides', () => {
    const names = (query: string): string[] => rowsOf(overviewPage(picture, view(query)).text, 'volumes');
    expect(names('')).toHaveLength(50);
    expect(names('volumes-page=4')).toHaveLength(50);
    expect(names('name=WIKI-0').every((name) => name.startsWith('wiki-0'))).toBe(true);
    expect(names('state=unavailable')).toHaveLength(1);
    expect(names('name=rhea')).toHaveLength(50);
    expect(overviewPage(picture, view('name=rhea')).text).toContain('50 volumes of 200');
    expect(overviewPage(picture, view('state=paused')).text).toContain('1 volume of 200');
    expect(overviewPage(picture, view('name=nothing')).text).toContain('No volume matches.');
  });

  test('shows further rows on further pages', () => {
    const volumes = Array.from({ length: 101 }, (_, index) => ({ ...picture.volumes[0]!, id: `v${index}`, name: `v${index}` }));
    const shown = (query: string): string[] => rowsOf(overviewPage({ ...picture, volumes }, view(query)).text, 'volumes');
    expect(shown('')).toHaveLength(50);
    expect(shown('volumes-page=3&volumes=name')).toEqual(['v100@0']);
    expect(shown('volumes-page=99&volumes=name')).toEqual(['v100@0']);
    expect(shown('volumes-page=x')).toHaveLength(50);
  });
});

describe('the page of an object', () => {
  test('has what concerns it: findings, waits, events, links', () => {
    const waiting = volumePage(picture, view(), volumeIdAt(33))!.text;
    expect(waiting).toMatch(/I\/O of client <a [^>]*>\S+<\/a> waits for a path to server rhea \(12 requests, for 1 min\)/);
    const lost = volumePage(picture, view(), volumeIdAt(42))!.text;
    expect(lost).toContain('rsadm reload');
    expect(poolPage(picture, view(), 'rhea:fast')!.text).toContain('more than 95% full');
    expect(clientPage(picture, view(), 'web-07')!.text).toContain('No answer within 3000 ms');
    expect(mirrorPage(picture, view(), 'mirror-1')!.text).toContain('325.1 MB/s');
  });

  test('shows a shared pool that another server serves without a fault', () => {
    const away = { state: 'elsewhere', reason: 'served by venus', totalBytes: null, freeBytes: null, isShort: false } as const;
    const shared = { ...picture, pools: picture.pools.map((pool) => (pool.id === 'rhea:fast' ? { ...pool, ...away } : pool)) };
    const shown = ' elsewhere</span> <span class="wrap">served by venus</span>';
    expect(serverPage(shared, view(), 'rhea')!.text).toContain(shown);
    expect(serverPage(picture, view(), 'rhea')!.text).not.toContain(shown);
    expect(poolPage(shared, view(), 'rhea:fast')!.text).toContain('<p class="reason">served by venus</p>');
  });

  test('does not exist if the object does not', () => {
    for (const page of [volumePage, clientPage, serverPage, poolPage, mirrorPage]) expect(page(picture, view(), '__proto__')).toBeNull();
  });

  test('of a client has its applications, and orders about them only at its own machine', () => {
    const page = clientPage(picture, view('', { mayManage: true }), 'db-01')!.text;
    expect([...page.matchAll(/<tr id="applications-([^"]*)"/g)].map(([, id]) => id)).toEqual(['db-01:ledger', 'db-01:wiki']);
    expect(clientPage(picture, view(), 'web-07')!.text).not.toContain('id="applications"');
    expect(page).not.toContain('/orders/app-');
    const clients = picture.clients.map((client) => (client.id === 'db-01' ? { ...client, machine: 'atlas' } : client));
    const own = clientPage({ ...picture, clients }, view('', { mayManage: true }), 'db-01')!.text;
    expect(own).toContain('<option value="db-01:ledger">ledger</option>');
    for (const order of ['app-start', 'app-stop', 'app-move', 'app-enable', 'app-disable', 'node-drain', 'node-drain-end'])
      expect(own).toContain(`action="/orders/${order}"`);
    expect(clientPage({ ...picture, clients }, view(), 'db-01')!.text).not.toContain('/orders/');
  });

  test('offers orders to visitors who may manage, and to no others', () => {
    expect(volumePage(picture, view(), volumeIdAt(4))!.text).not.toContain('/orders/');
    const managing = view('', { mayManage: true });
    const page = volumePage(picture, managing, volumeIdAt(4))!.text;
    const forms = page.match(/<form id="order-[\s\S]*?<\/form>/g) ?? [];
    expect(forms.length).toBeGreaterThan(3);
    expect(forms.every((form) => form.includes('name="csrf" value="csrf"'))).toBe(true);
    expect(serverPage(picture, managing, 'atlas')!.text).toContain('action="/orders/volume-create"');
    expect(clientPage(picture, managing, 'web-07')!.text).toContain('action="/orders/client-kick"');
  });

  test.each([
    ['served', ['pause', 'stop']],
    ['paused', ['resume', 'stop']],
    ['stopped', ['start']],
    ['unavailable', []],
  ] as const)('offers what can hold or let go the I/O of a volume that is %s', (state, offered) => {
    const volumes = picture.volumes.map((volume) => ({ ...volume, state }));
    const page = volumePage({ ...picture, volumes }, view('', { mayManage: true }), volumeIdAt(4))!.text;
    const forms = [...page.matchAll(/<form id="order-volume-(pause|resume|stop|start)".*?(disabled.*?)?<\/form>/g)];
    expect(
      forms.map(([, order]) => order),
      'none moves when the state changes',
    ).toEqual(['pause', 'resume', 'stop', 'start']);
    expect(forms.filter(([, , disabled]) => disabled === undefined).map(([, order]) => order)).toEqual(offered);
    expect(volumePage({ ...picture, volumes }, view(), volumeIdAt(4))!.text).not.toContain('/orders/');
  });

  test('offers no orders about objects of other machines, and says where to give them', () => {
    const managing = view('', { mayManage: true });
    const page = volumePage(picture, managing, volumeIdAt(3))!.text;
    expect(page).not.toContain('/orders/');
    expect(page).toContain('at the rsweb of server hyperion');
    expect(serverPage(picture, managing, 'themis')!.text).not.toContain('/orders/');
  });

  test('plots its history as SVG with a name, also without figures', () => {
    const page = volumePage(picture, view(), volumeIdAt(3))!.text;
    expect(page).toMatch(/role="img" aria-label="Latency: p50 \d+ us, p99 [\d.]+ ms, p99.9 [\d.]+ ms"/);
    const young = (of: HistoryName): Ring[] =>
      sampleHistory()
        .ringsOf(of)
        .map((ring) => ({ ...ring, stepMs: 1_000 }));
    const spans = (history: View['history']): number =>
      volumePage(picture, view('', { history }), volumeIdAt(3))!.text.match(/>\d+ (min|h)</g)?.length ?? 0;
    expect([spans(sampleHistory()), spans({ ringsOf: young })], 'a time stands there once').toEqual([2, 0]);
    const empty = volumePage(picture, view('', { history: { ringsOf: () => [] } }), volumeIdAt(3))!.text;
    expect(empty).toContain('No I/O was seen yet');
  });
});

test('pages are live, but a question about an order is not, because it cannot be loaded again', () => {
  const order = { title: 'x', what: 'x', consequence: 'x', object: 'x', fields: {}, action: '/orders/volume-stop', href: '/' };
  expect(confirmPage(order, picture, view('', { path: '/orders/volume-stop' })).text).toContain('<body data-page="still">');
  expect(overviewPage(picture, view()).text).toContain('<body data-page="live">');
});

test('events are filtered by text, the newest first', () => {
  const page = eventsPage(picture, view('text=wiki-05')).text;
  expect([...page.matchAll(/<tr id="events-/g)]).toHaveLength(1);
  const all = eventsPage(picture, view()).text;
  expect(all.indexOf('web-07')).toBeLessThan(all.indexOf('wiki-05'));
});

test('a pool has the day on which it is full at each of its two paces, and the earlier one in the table', () => {
  const [pool] = picture.pools.filter(({ id }) => id === 'rhea:fast');
  const day = 24 * 60 * 60 * 1_000;
  const paced = { ...pool!, fullInWeekPaceMs: null, fullInMonthPaceMs: 3 * day };
  const date = new Date(SAMPLE_MS + 3 * day).toISOString().slice(0, 10).replaceAll('-', '_');
  const page = String(poolPage({ ...picture, pools: [paced] }, view(), 'rhea:fast'));
  expect(page).toMatch(new RegExp(`last 7 days</dt>\\s*<dd>-</dd>[^]*last 30 days</dt>\\s*<dd>${date}</dd>`));
  expect(String(overviewPage({ ...picture, pools: [{ ...paced, fullInWeekPaceMs: 9 * day }] }, view()))).toContain(date);
});

describe('the page about what stops', () => {
  const shown = (query: string, told: Parameters<typeof impactPage>[2] = sampleTold()): string =>
    impactPage(picture, view(query, { path: '/impact' }), told).text;
  const effects = (page: string): string[] =>
    [...page.matchAll(/<tr id="impacts-[^"]*"><th scope="row">([^<]*)<\/th><td>.*?<\/span> (\w+)<\/span>/g)].map(
      (row) => `${row[2]} ${row[1]}`,
    );

  test('asks nothing before a choice, and is linked from the overview and from each server', () => {
    const page = shown('', null);
    expect(page).toContain('<input type="checkbox" name="server" value="atlas">');
    expect(page).not.toContain('What happens');
    expect(page).toContain('<body data-page="still">');
    expect(overviewPage(picture, view()).text).toContain('href="/impact"');
    expect(serverPage(picture, view(), 'themis')!.text).toContain('href="/impact?server=themis"');
  });

  test('says of what is chosen what stops, moves and is unknown, the worst first', () => {
    const page = shown('server=atlas');
    expect(page).toContain('name="server" value="atlas" checked>');
    expect(effects(page)).toEqual(['stops osl:oracle@0', 'unknown themis', 'moves farm', 'moves osl:logs@0', 'stops 1 volume']);
    expect(page).toContain('2 things would stop, and not everything is known');
    expect(page).toContain('rsadm pool move farm --to rhea moves it without the wait');
    // All servers lose the disk of a shared pool.
    const pools = [{ ...picture.pools[0]!, id: 'rhea:farm', server: 'rhea', name: 'farm' }];
    const disk = impactPage({ ...picture, pools }, view('pool=rhea:farm', { path: '/impact' }), sampleTold()).text;
    expect(effects(disk)).toContain('stops osl:logs@0');
  });

  test('never says that all is well without an answer', () => {
    const well = 'Everything stays as it is.';
    expect(shown('server=atlas', sampleTold('rsiod is not running'))).toContain('of atlas could not be asked: rsiod is not running');
    const none = { namespaces: [], trouble: null };
    expect(effects(shown('server=atlas', none))).toEqual(['unknown -', 'unknown atlas']);
    expect(effects(shown('client=web-07', none))).toEqual(['unknown -']);
    expect(effects(shown('server=hyperion'))).toEqual(['unknown hyperion', 'unknown themis']);
    const [told] = sampleTold().namespaces;
    const facts = { ...told!.facts, servers: told!.facts.servers.filter(({ trouble }) => trouble === null) };
    const calm = { namespaces: [{ ...told!, facts }], trouble: null };
    expect(shown('client=web-07', calm)).toContain(well);
    const gone = shown('client=web-07&client=gone', calm);
    expect(gone).toContain('There is no client gone any more');
    for (const query of ['server=atlas', 'server=hyperion', 'server=gone']) expect(shown(query)).not.toContain(well);
    expect(gone).not.toContain(well);
  });

  test('has a box for each chosen machine, also if there are too many to show', () => {
    const clients = Array.from({ length: IMPACT_BOXES_MAX + 40 }, (_, index) => ({
      ...picture.clients[0]!,
      id: `c${index}`,
      name: `c${index}`,
    }));
    const page = impactPage({ ...picture, clients }, view('client=c99', { path: '/impact' }), sampleTold()).text;
    expect([...page.matchAll(/name="client"/g)]).toHaveLength(IMPACT_BOXES_MAX);
    expect(page).toContain('name="client" value="c99" checked>');
    expect(page).toContain('40 further ones');
  });
});
