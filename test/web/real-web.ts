// Starts the real rsweb on a host of a test, with a token that may give orders. browser.ts starts the browser, and sample-server.ts shows
// pages without daemons.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonPaths } from '@rsio/common/config/root-paths';
import type { Page } from 'playwright-core';
import type { Host } from '../support/hosts/host.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { wellOf } from '../support/programs/programs.ts';

const ADDRESS = '127.0.0.1';

export interface RealWeb {
  readonly url: string;
  readonly token: string;
}

export async function startWeb(host: Host): Promise<RealWeb> {
  const made = await host.run('rsweb', ['token', 'anna', '--manage']);
  const section = wellOf('rsweb token', made);
  const [token = ''] = /rsweb_[\w-]{43}/.exec(made.stderr) ?? [];
  const { configFile } = daemonPaths(host.root, 'rsweb');
  const port = await freePort(ADDRESS);
  mkdirSync(path.dirname(configFile), { recursive: true });
  writeFileSync(configFile, `[web]\nlisten = ${ADDRESS}:${port}\n${section}`, { mode: 0o600 });
  wellOf('rsweb', await host.run('rsweb', ['--manage']));
  return { url: `http://${ADDRESS}:${port}`, token };
}

/** Logs in on the page that is open: the login page, or another page that asks for a token. */
export async function logIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
}
