// Planted faults in front of a real rssrv, rsiod and rsweb: a path that is cut and a pool that is 96 % full appear on a page that is open in Chromium,
// with a remedy, and vanish when they are repaired. The times are printed; the promise of two seconds is kept by the intervals of rsweb's
// limits, and no time is asserted here.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { makeEmptyPool } from '../support/hosts/empty-pool.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { chaosProxies } from '../support/faults/chaos-proxy.ts';
import { CHROMIUM, startBrowser } from './browser.ts';
import { logIn, startWeb } from './real-web.ts';

const TEST_MS = 120_000;
const WAIT_MS = 30_000;
const POOL_FILL = 0.96;

const hosts = useHosts();

/** Prints how long an open page takes to show a finding with this text. */
async function seen(page: Page, what: string, text: RegExp, startMs: number): Promise<void> {
  const found = page.locator('.finding', { hasText: text }).first();
  await found.waitFor();
  console.log(`web: ${what} was seen after ${Math.round(performance.now() - startMs)} ms`);
  expect(await found.locator('.remedy').count()).toBe(1);
}

it('an open page shows a cut path and a pool that is 96 % full, each with its remedy, until they are repaired', {
  timeout: TEST_MS,
}, async (context) => {
  context.skip(CHROMIUM === null, 'needs chromium: install chromium');
  const host = hosts.host();
  const pool = host.file('pool');
  mkdirSync(pool, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'rsio-test', pool], { stdio: 'ignore' });
  context.skip(mounted.status !== 0, 'needs the right to mount (root, CAP_SYS_ADMIN)');
  const browser = await startBrowser();
  try {
    await makeEmptyPool(pool);
    const network = await hosts.network(2);
    const { proxies, serverAddresses } = await chaosProxies(hosts, network);
    await startServer(host, network, { volumes: { oracle: { type: 'memory', size: '16m' } }, pools: { fast: { path: pool } } });
    await startClient(host, network, { serverAddresses });
    await host.rsconfigWell('-a', 'oracle');
    const { url, token } = await startWeb(host);
    const page = await browser.newPage();
    page.setDefaultTimeout(WAIT_MS);
    await page.goto(url);
    await logIn(page, token);
    await page.getByText('Nothing is wrong.').waitFor();
    await page.locator('#link[data-state=on]').waitFor({ state: 'attached' });

    let startMs = performance.now();
    proxies[0]?.set({ newConnections: 'refuse' });
    proxies[0]?.cut();
    await seen(page, 'a cut path', /Path .* of client big-2 to server big-9 is (down|silent)/, startMs);
    proxies[0]?.heal();
    await page.getByText('Nothing is wrong.').waitFor();

    startMs = performance.now();
    const { blocks, bavail, bsize } = statfsSync(pool);
    writeFileSync(`${pool}/filler`, Buffer.alloc(Math.ceil(blocks * POOL_FILL - (blocks - bavail)) * bsize, 1));
    await seen(page, 'a pool that is 96 % full', /Pool fast .*(full|reserve)/, startMs);
    rmSync(`${pool}/filler`);
    await page.getByText('Nothing is wrong.').waitFor();
  } finally {
    await browser.close();
    // Daemons of the test end afterwards: a lazy unmount does not wait for them.
    spawnSync('umount', ['--lazy', pool], { stdio: 'ignore' });
  }
});
