// The real rsweb in a real browser, before a real rssrv and rsiod: a wrong and a right token, the pages about both daemons, orders by
// forms, and a question before a removal or a stop. An open page shows faults with a remedy and without a reload: a cut path, a pool that
// is 96 % full, a killed server. The test prints times and does not assert them: the intervals in limits.ts of rsweb ensure that a fault
// appears within two seconds. pages.test.ts tests the look of pages over the sample picture.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type ChaosProxy, chaosProxies } from '../support/faults/chaos-proxy.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { makeEmptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { CHROMIUM, startBrowser } from './browser.ts';
import { logIn, type RealWeb, startWeb } from './real-web.ts';

const TEST_MS = 300_000;
const WAIT_MS = 20_000;
const POOL_FILL = 0.96;

const hosts = useHosts('file');
let host: Host;
let browser: Browser | null = null;
let web: RealWeb;
let proxies: readonly ChaosProxy[] = [];
let pool = '';
/** Whether the pool has its own small file system, which the test can fill. */
let isPoolSmall = false;

beforeAll(async () => {
  if (CHROMIUM === null) return;
  browser = await startBrowser();
  host = hosts.host();
  const network = await hosts.network(2);
  pool = host.file('pool');
  mkdirSync(pool, { recursive: true });
  isPoolSmall = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'rsio-test', pool], { stdio: 'ignore' }).status === 0;
  // The unmount is lazy, because daemons may still run when the hosts are cleaned.
  if (isPoolSmall) hosts.onClean(() => spawnSync('umount', ['--lazy', pool], { stdio: 'ignore' }));
  await makeEmptyPool(pool);
  const relays = await chaosProxies(hosts, network);
  proxies = relays.proxies;
  await startServer(host, network, {
    volumes: { oracle: { type: 'memory', size: '16m' } },
    pools: { fast: { path: pool } },
    rights: { 'big-2': 'admin' },
  });
  await startClient(host, network, { serverAddresses: relays.serverAddresses });
  await host.rsconfigWell('-a', 'oracle');
  web = await startWeb(host);
}, TEST_MS);

beforeEach((context) => {
  context.skip(CHROMIUM === null, 'needs chromium: install chromium');
});

afterAll(() => browser?.close());

/** Opens a page without a login. `complaints`: the complaints of the browser, except those about answers that a test provokes. */
async function newPage(): Promise<{ readonly page: Page; readonly complaints: readonly string[] }> {
  if (browser === null) throw new Error('There is no browser');
  const page = await browser.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (!/401 \(Unauthorized\)|ERR_INCOMPLETE_CHUNKED|ERR_ABORTED/.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(web.url);
  return { page, complaints };
}

/** Waits until an open page shows a fault with this text and its remedy, and prints the time. */
async function seen(page: Page, what: string, text: RegExp, startMs: number): Promise<void> {
  const found = page.locator('.finding', { hasText: text }).first();
  await found.waitFor();
  console.log(`web: ${what} was seen after ${Math.round(performance.now() - startMs)} ms`);
  await found.locator('.remedy').first().waitFor();
}

it('a browser logs in, looks at everything and gives orders', { timeout: TEST_MS }, async () => {
  const { page, complaints } = await newPage();
  await logIn(page, 'wrong');
  await page.getByRole('alert').getByText('The token is wrong').waitFor();
  await logIn(page, web.token);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();

  // The overview fills without a reload. Each part of the overview is a link to the page about this part.
  await page.getByText('Nothing is wrong.').waitFor();
  for (const [kind, name] of [
    ['clients', 'big-2'],
    ['servers', 'big-9'],
    ['pools', 'fast'],
    ['volumes', 'oracle@0'],
  ] as const) {
    await page.locator(`#${kind}`).getByRole('link', { name, exact: true }).first().click();
    await page.getByRole('heading', { level: 1 }).getByText(name).waitFor();
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.locator('.uplot canvas').first().waitFor();
  }

  await page.locator('#servers').getByRole('link', { name: 'big-9', exact: true }).click();
  await page.getByRole('link', { name: 'What stops if this server is off?' }).click();
  await page.getByRole('row', { name: /^osl:oracle@0 .*stops volume - big-2 only big-9 has it/ }).waitFor();
  await page.getByRole('checkbox', { name: 'big-9', exact: true }).uncheck();
  await page.getByRole('checkbox', { name: 'big-2', exact: true }).check();
  await page.getByRole('button', { name: 'What stops?' }).click();
  await page.getByText('Everything stays as it is.').waitFor();
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.locator('#servers').getByRole('link', { name: 'big-9', exact: true }).click();
  await page.getByLabel('Name of the volume').fill('new');
  await page.getByLabel('Size, such as 20g').fill('16m');
  await page.getByRole('button', { name: 'Create a volume' }).click();
  await page.getByText('Volume new@0 is created').waitFor();
  await page.locator('#volumes').getByRole('link', { name: 'new@0' }).click();
  for (const [button, done] of [
    ['Pause', 'is paused'],
    ['Resume', 'goes on'],
    ['Stop \u2026', 'is stopped'],
    ['Start', 'is started'],
  ] as const) {
    await page.getByRole('button', { name: button, exact: true }).click();
    if (done === 'is stopped') await page.getByRole('button', { name: 'Stop volume new@0' }).click();
    await page.locator('.notice', { hasText: `Volume new@0 ${done}` }).waitFor();
  }
  await page.getByRole('button', { name: 'Remove \u2026' }).click();
  await page.getByRole('heading', { level: 1, name: 'Remove volume new@0?' }).waitFor();
  await page.getByRole('button', { name: 'Remove volume new@0' }).click();
  await page.getByText('Volume new@0 is removed').waitFor();
  expect(complaints).toEqual([]);
  await page.close();
});

it('an open page shows a cut path and a pool that is 96 % full until they are repaired', { timeout: TEST_MS }, async (context) => {
  const { page, complaints } = await newPage();
  await logIn(page, web.token);
  await page.getByText('Nothing is wrong.').waitFor();
  await page.locator('#link[data-state=on]').waitFor({ state: 'attached' });
  let startMs = performance.now();
  proxies[0]?.set({ newConnections: 'refuse' });
  proxies[0]?.cut();
  await seen(page, 'a cut path', /Path .* of client big-2 to server big-9 is (down|silent)/, startMs);
  proxies[0]?.heal();
  await page.getByText('Nothing is wrong.').waitFor();
  expect(complaints).toEqual([]);

  context.skip(!isPoolSmall, 'a full pool needs the right to mount (root, CAP_SYS_ADMIN)');
  startMs = performance.now();
  const { blocks, bavail, bsize } = statfsSync(pool);
  writeFileSync(`${pool}/filler`, Buffer.alloc(Math.ceil(blocks * POOL_FILL - (blocks - bavail)) * bsize, 1));
  await seen(page, 'a pool that is 96 % full', /Pool fast .*(full|reserve)/, startMs);
  rmSync(`${pool}/filler`);
  await page.getByText('Nothing is wrong.').waitFor();
  await page.close();
});

it('an open page shows that the server was killed, stays usable, and logs out', { timeout: TEST_MS }, async () => {
  const { page, complaints } = await newPage();
  if (page.url().endsWith('/login')) await logIn(page, web.token);
  await page.locator('#link[data-state=on]').waitFor({ state: 'attached' });
  const startMs = performance.now();
  await host.kill('rssrv');
  await seen(page, 'a killed rssrv', /./, startMs);
  expect(await page.locator('#announcer').count()).toBe(1);
  expect(complaints).toEqual([]);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('heading', { level: 1, name: 'Log in' }).waitFor();
  await page.goto(`${web.url}/events`);
  expect(new URL(page.url()).pathname).toBe('/login');
});
