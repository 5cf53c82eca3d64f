// The tokens and the configuration file of rsweb of a host.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { wellOf } from '../programs/programs.ts';
import type { Host } from './host.ts';

/** Makes a token. Returns it with its section of rswebcfg. */
export async function tokenOf(host: Host, name: string, ...args: string[]): Promise<{ token: string; section: string }> {
  const result = await host.run('rsweb', ['token', name, ...args]);
  const [token = ''] = /rsweb_[\w-]{43}/.exec(result.stderr) ?? [];
  return { token, section: wellOf('rsweb token', result) };
}

export function writeWeb(host: Host, text: string): void {
  const { configFile } = daemonPaths(host.root, 'rsweb');
  mkdirSync(path.dirname(configFile), { recursive: true });
  writeFileSync(configFile, text, { mode: 0o600 });
}

/** Makes the running rsweb read its file again. */
export function reloadWeb(host: Host): void {
  process.kill(Number(readFileSync(daemonPaths(host.root, 'rsweb').pidFile, 'utf8')), 'SIGHUP');
}
