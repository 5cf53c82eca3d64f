// The real rsweb in a real browser: a wrong token and the right one, the pages of what a server and a client do, orders by forms with a question
// before a removal, and a fault that an open page shows by itself. What pages look like is tested over the sample picture (pages.test.ts).

import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { CHROMIUM, startBrowser } from './browser.ts';
import { logIn, startWeb } from './real-web.ts';

const TEST_MS = 120_000;
const WAIT_MS = 30_000;

const hosts = useHosts();

/** What the browser complains of, without answers that a test asks for. */
function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (!/401 \(Unauthorized\)|ERR_INCOMPLETE_CHUNKED|ERR_ABORTED/.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return complaints;
}

it('a browser logs in, looks at everything, gives orders and sees a fault', { timeout: TEST_MS }, async (context) => {
  context.skip(CHROMIUM === null, 'needs chromium: install chromium');
  const [host, network, browser] = [hosts.host(), await hosts.network(2), await startBrowser()];
  try {
    await startServer(host, network, {
      volumes: { oracle: { type: 'memory', size: '16m' } },
      pools: { fast: { path: await emptyPool(host) } },
    });
    await startClient(host, network);
    await host.rsconfigWell('-a', 'oracle');
    const { url, token } = await startWeb(host);
    const page = await browser.newPage();
    page.setDefaultTimeout(WAIT_MS);
    const complaints = complaintsOf(page);

    await page.goto(url);
    await logIn(page, 'wrong');
    await page.getByRole('alert').getByText('The token is wrong').waitFor();
    await logIn(page, token);
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();

    // The picture fills by itself, and each part of it leads to its page.
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
    await page.getByLabel('Name of the volume').fill('new');
    await page.getByLabel('Size, such as 20g').fill('16m');
    await page.getByRole('button', { name: 'Create a volume' }).click();
    await page.getByText('Volume new@0 is created').waitFor();
    await page.locator('#volumes').getByRole('link', { name: 'new@0' }).click();
    await page.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('heading', { level: 1, name: 'Remove volume new@0?' }).waitFor();
    await page.getByRole('button', { name: 'Remove volume new@0' }).click();
    await page.getByText('Volume new@0 is removed').waitFor();

    // The server is killed: the open page says so, with a remedy, and stays usable.
    const startMs = performance.now();
    await host.kill('rssrv');
    await page.locator('.finding.bad').first().waitFor();
    console.log(`web: a killed rssrv was seen after ${Math.round(performance.now() - startMs)} ms`);
    await page.locator('.finding.bad .remedy').first().waitFor();
    expect(await page.locator('#announcer').count()).toBe(1);
    expect(complaints).toEqual([]);

    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { level: 1, name: 'Log in' }).waitFor();
    await page.goto(`${url}/events`);
    expect(new URL(page.url()).pathname).toBe('/login');
  } finally {
    await browser.close();
  }
});
