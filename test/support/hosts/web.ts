// The tokens and the configuration file of rsweb of a host.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { wellOf } from '../programs/programs.ts';
import type { Host } from './host.ts';
import { freePort } from './loopback.ts';

export const WEB_ADDRESS = '127.0.0.1';

/** A token with its section of rswebcfg. */
export interface HostToken {
  readonly token: string;
  readonly section: string;
}

/** Makes a token. Returns it with its section of rswebcfg. */
export async function tokenOf(host: Host, name: string, ...args: string[]): Promise<HostToken> {
  const result = await host.run('rsweb', ['token', name, ...args]);
  const [token = ''] = /rsweb_[\w-]{43}/.exec(result.stderr) ?? [];
  return { token, section: wellOf('rsweb token', result) };
}

export function writeWeb(host: Host, text: string): void {
  const { configFile } = daemonPaths(host.root, 'rsweb');
  mkdirSync(path.dirname(configFile), { recursive: true });
  writeFileSync(configFile, text, { mode: 0o600 });
}

/** Starts an rsweb that takes orders from programs with these tokens. Returns its port. */
export async function startWeb(host: Host, ...tokens: readonly HostToken[]): Promise<number> {
  const port = await freePort(WEB_ADDRESS);
  writeWeb(host, `[web]\nlisten = ${WEB_ADDRESS}:${port}\n${tokens.map(({ section }) => section).join('')}`);
  wellOf('rsweb', await host.run('rsweb', ['--manage']));
  return port;
}

/** Makes the running rsweb read its file again. */
export function reloadWeb(host: Host): void {
  process.kill(Number(readFileSync(daemonPaths(host.root, 'rsweb').pidFile, 'utf8')), 'SIGHUP');
}
