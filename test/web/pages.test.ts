// The pages of rsweb in a real browser, Chromium without a window, over the sample picture: the browser refuses nothing and reports no
// error, rules of accessibility hold in light and dark colours, the keyboard reaches everything, everything can be read without scripts,
// and changes appear without a reload.

import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Picture } from '@rsio/rsweb/model/picture';
import { type SampleOptions, samplePicture, volumeIdAt, withFault } from '@rsio/rsweb/testing/sample-picture';
import { CHROMIUM, startBrowser } from './browser.ts';
import { type SampleServer, startSampleServer } from './sample-server.ts';

const WAIT_MS = 20_000;
const NARROW = 400;
/**
 * Indices of volumes in the sample that together have all kinds and states. The pages show only these volumes: axe-core examines every
 * cell, and further volumes of the same kind would only take time.
 */
const VOLUMES = [0, 1, 2, 3, 4, 5, 19, 28, 33, 40, 42, 45, 77];
const CLIENTS = [0, 1, 2, 9, 15, 33];
const TABS_MAX = 120;
const PATHS = [
  '/',
  `/volume/${volumeIdAt(33)}`,
  '/client/web-07',
  '/server/themis',
  '/pool/rhea%3Afast',
  '/mirror/mirror-1',
  '/events',
  '/impact?server=atlas&client=web-07',
  '/operations',
  '/operations/server/volume-create?p.name=web',
  '/operations/servers/audit',
  '/login',
  '/confirm',
  '/gone',
];
const CUT = {
  id: 'path db-01 themis if0',
  severity: 'error',
  what: 'The last path of client db-01 to server themis is down',
  where: 'client db-01',
  remedy: 'Check the cable of if0',
  commands: ['rsconfig doctor'],
  href: '/client/db-01',
  sinceMs: null,
} as const;

const VIEWPORT = { width: 1280, height: 900 };
/** Pages that were opened with special options, and are not used again. */
const special = new WeakSet<Page>();

let browser: Browser;
let server: SampleServer;
/** `pages`: pages of the current test. `idle`: pages that the next test may use, because Chromium needs a new process for each new page. */
let pages: Page[] = [];
const idle: Page[] = [];
let complaints: string[] = [];

beforeAll(async () => {
  if (CHROMIUM === null) return;
  [browser, server] = await Promise.all([startBrowser(), startSampleServer()]);
});

beforeEach((context) => {
  context.skip(CHROMIUM === null, 'needs chromium: install chromium');
  complaints = [];
  server.show(smallPicture());
});

afterEach(async () => {
  await Promise.all(pages.map((page) => (special.has(page) ? page.context().close() : leave(page))));
  idle.push(...pages.filter((page) => !special.has(page)));
  pages = [];
});

afterAll(async () => {
  if (CHROMIUM === null) return;
  await browser.close();
  await server.close();
});

function smallPicture(options?: SampleOptions): Picture {
  const { volumes, clients, paths, ...rest } = samplePicture(options);
  const few = clients.filter((_, place) => CLIENTS.includes(place));
  return {
    ...rest,
    volumes: volumes.filter((_, place) => VOLUMES.includes(place)),
    clients: few,
    paths: paths.filter(({ client }) => few.some(({ name }) => name === client)),
  };
}

/** Leaves a page, clears its storage and resets its settings. Only the cache of the browser remains for the next test. */
async function leave(page: Page): Promise<void> {
  await page.evaluate('localStorage.clear(); sessionStorage.clear()');
  await page.goto('about:blank');
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(VIEWPORT);
}

async function newPage(options: BrowserContextOptions): Promise<Page> {
  const context = await browser.newContext({ viewport: VIEWPORT, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('response', (answer) => {
    if (answer.status() >= 400 && !answer.url().endsWith('/gone')) complaints.push(`${answer.status()} ${answer.url()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url)) complaints.push(`A request to elsewhere: ${request.url()}`);
  });
  return page;
}

async function open(path: string, options?: BrowserContextOptions): Promise<Page> {
  const page = (options === undefined ? idle.pop() : undefined) ?? (await newPage(options ?? {}));
  if (options !== undefined) special.add(page);
  pages.push(page);
  await page.goto(server.url + path);
  const hasPlots = options?.javaScriptEnabled !== false && (await page.locator('[data-plot]').count()) > 0;
  if (hasPlots) await page.locator('.uplot canvas').first().waitFor();
  return page;
}

/** Returns the complaints, except those about a page that does not exist and that a test requests on purpose. */
function real(all: readonly string[]): string[] {
  return all.filter((text) => !/404 \(Not Found\)/.test(text));
}

async function violations(page: Page, rules: readonly string[] | null): Promise<string[]> {
  if (!(await page.evaluate(`'axe' in window`))) await page.evaluate(axe.source);
  const options = { resultTypes: ['violations'], ...(rules === null ? {} : { runOnly: rules }) };
  const found = await page.evaluate(`axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => violations)`);
  return (found as axe.Result[]).flatMap(({ id, nodes }) =>
    nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ''}`),
  );
}

/** Returns the main part of the page as the server sends it, without the parts that scripts add. */
async function shown(page: Page): Promise<string> {
  const text = await page.evaluate(`(() => {
    const copy = document.querySelector('main').cloneNode(true);
    for (const element of copy.querySelectorAll('.copy')) element.remove();
    for (const plot of copy.querySelectorAll('[data-plot]')) plot.replaceChildren();
    return copy.innerHTML;
  })()`);
  return String(text);
}

describe.each(PATHS)('%s', (path) => {
  test('loads without a complaint, keeps the rules of axe-core in both colour schemes, and fits a narrow window', async () => {
    const page = await open(path);
    expect(await violations(page, null)).toEqual([]);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await violations(page, ['color-contrast'])).toEqual([]);
    await page.setViewportSize({ width: NARROW, height: 800 });
    await expect.poll(() => page.evaluate('document.documentElement.scrollWidth'), { timeout: WAIT_MS }).toBe(NARROW);
    expect(real(complaints)).toEqual([]);
  });
});

test('everything can be read, sorted and filtered without script', async () => {
  server.show(samplePicture());
  const page = await open('/', { javaScriptEnabled: false });
  expect(await page.locator('.finding').count()).toBe(4);
  expect(await page.locator('figure svg path').count()).toBeGreaterThan(5);
  await page.locator('#volumes').getByRole('link', { name: 'Read', exact: true }).click();
  await page.waitForURL(({ search }) => search === '?volumes=-read');
  await page.getByLabel('Name, server, pool or client').fill('wiki');
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.waitForURL(({ searchParams }) => searchParams.get('volumes') === '-read' && searchParams.size > 1);
  expect(await page.locator('#volumes tbody tr').count()).toBe(18);
  await page.locator('#volumes tbody a').first().click();
  await page.waitForURL(({ pathname }) => pathname !== '/');
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(/^Volume wiki-/);
});

test('what stops is asked with the keyboard alone, and without script', async () => {
  const page = await open('/server/atlas', { javaScriptEnabled: false });
  await page.getByRole('link', { name: 'What stops if this server is off?' }).press('Enter');
  await page.waitForURL(({ search }) => search === '?server=atlas');
  expect(await page.getByRole('checkbox', { name: 'atlas', exact: true }).isChecked()).toBe(true);
  await page.getByRole('checkbox', { name: 'web-07' }).press('Space');
  await page.getByRole('button', { name: 'What stops?' }).press('Enter');
  await page.waitForURL(({ searchParams }) => searchParams.get('client') === 'web-07');
  expect(await page.getByRole('row', { name: /osl:oracle@0 .*stops/ }).count()).toBe(1);
});

test('the keyboard reaches everything on a page, visibly, and the content first if wanted', async () => {
  const page = await open(`/volume/${volumeIdAt(4)}`);
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content');
  expect(await page.evaluate('document.activeElement.getBoundingClientRect().left')).toBeGreaterThanOrEqual(0);
  await page.keyboard.press('Enter');
  expect(await page.evaluate('document.activeElement.id')).toBe('main');
  await page.reload();
  const reached = new Set<string>();
  for (let count = 0; count < TABS_MAX; count++) {
    await page.keyboard.press('Tab');
    const at = (await page.evaluate(`(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const name = element.getAttribute('aria-label') ?? (element.labels?.[0] ?? element).textContent.trim();
      return { name, tag: element.tagName, outline: outlineStyle + ' ' + outlineWidth };
    })()`)) as { name: string; tag: string; outline: string };
    if (at.tag === 'BODY') break;
    expect(at.name, `a name of ${at.tag}`).not.toBe('');
    expect(at.outline, `the focus of ${at.name}`).toMatch(/^(solid|auto) [^0]/);
    reached.add(at.name);
  }
  for (const name of ['Overview', 'Log out', 'Make a snapshot', 'Grow', 'Remove \u2026', 'atlas']) expect(reached).toContain(name);
});

test('parts of the picture and tables have names for screen readers', async () => {
  const page = await open('/');
  const tree = await page.locator('main').ariaSnapshot();
  for (const part of [
    'link "Client web-07: silent, 4 of 4 paths down, 0.0 MB/s"',
    'link "Pool fast: ready, 96% used"',
    'table "Volumes"',
    'columnheader "READ p99"',
    'rowheader "wiki-05@0"',
    'region "What is wrong 2 errors, 2 warnings"',
    'img "Latency: p50',
  ])
    expect(tree.includes(part), part).toBe(true);
  const frame = await page.locator('body').ariaSnapshot();
  for (const part of ['banner', 'navigation "Pages"', 'main', 'contentinfo']) expect(frame.includes(part), part).toBe(true);
});

test('a new fault appears by itself, is announced, and moves neither the focus nor what is open', async () => {
  const page = await open('/');
  const filter = page.getByLabel('Name, server, pool or client');
  await filter.fill('half a wor');
  const startMs = performance.now();
  server.show(withFault(smallPicture({ tick: 5 }), CUT));
  const fault = page.locator('.finding').first().getByText(CUT.what);
  await fault.waitFor();
  console.log(`web: a fault was seen ${Math.round(performance.now() - startMs)} ms after the picture had it`);
  await page.locator('#announcer').getByText(`New: `, { exact: false }).waitFor({ state: 'attached' });
  expect(await page.locator('#announcer').textContent()).toContain(CUT.what);
  expect(await page.title()).toMatch(/^\(3\) /);
  expect(await filter.inputValue()).toBe('half a wor');
  expect(await page.evaluate('document.activeElement.name')).toBe('name');
  const [fresh, live] = [await shown(await open('/')), await shown(page)];
  expect(live).toBe(fresh);
  expect(await page.locator('.finding .copy').count()).toBe(8);
  server.show(smallPicture({ isWell: true }));
  await page.getByText('Nothing is wrong.').waitFor();
  expect(await shown(page)).toBe(await shown(await open('/')));
  expect(complaints).toEqual([]);
});

// Regression: when a volume had just been started, its buttons moved, so that a click on "Remove" reached "Stop".
test('nothing moves under a pressed pointer, and the page changes after that', async () => {
  const path = `/volume/${volumeIdAt(4)}`;
  const [page, other] = [await open(path), await open(path)];
  for (const one of [page, other]) await one.locator('#link[data-state=on]').waitFor({ state: 'attached' });
  await page.getByRole('button', { name: 'Remove' }).hover();
  await page.mouse.down();
  const fault = { ...CUT, href: path };
  const { volumes, ...rest } = smallPicture({ tick: 5 });
  const stopped = volumes.map((volume) => ({ ...volume, state: 'stopped' as const }));
  server.show(withFault({ ...rest, volumes: stopped }, fault));
  // The other page, whose pointer is not pressed, already changes here.
  await other.locator('.finding').getByText(CUT.what).waitFor();
  await other.evaluate('new Promise((resolve) => setTimeout(resolve, 200))');
  expect(await page.locator('.finding').getByText(CUT.what).count()).toBe(0);
  await page.mouse.up();
  await page.waitForURL('**/orders/volume-remove');
  complaints = real(complaints).filter((text) => !/^404 .*volume-remove$/.test(text));
  expect(complaints).toEqual([]);
  // The pointer leaves the button before it is released, so that the press does not become a click.
  await other.getByRole('button', { name: 'Start' }).hover();
  await other.mouse.down();
  server.show(smallPicture({ isWell: true }));
  await other.mouse.move(5, 5);
  await other.mouse.up();
  await other.locator('.finding').first().waitFor({ state: 'detached' });
});

test('a command is copied with a click', async () => {
  const page = await open('/client/web-07', { permissions: ['clipboard-read', 'clipboard-write'] });
  await page.getByRole('button', { name: 'Copy rsconfig doctor' }).click();
  await page.getByText('Copied').waitFor();
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe('rsconfig doctor');
});
