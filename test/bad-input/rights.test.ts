// Daemons of a user who lacks a permission: one line names the missing permission, the location and the remedy. If the daemon can run
// without the permission, the line is a warning, and the daemon serves everything that does not need the permission. If the daemon cannot
// run without the permission, the line is an error, and the daemon does not start. Under root, the tests run the daemons as the user
// nobody.

import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { launcher, run } from '../support/programs/programs.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const AS_NOBODY = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];

const hosts = useHosts();
let host: Host;
let network: TestNetwork;

let tried: Promise<boolean> | undefined;

/** Whether the user nobody may read the checkout. */
async function isReadable(): Promise<boolean> {
  const [first, ...rest] = [...AS_NOBODY, launcher('rssrv'), '--version'];
  return run(first, rest).then(
    ({ code }) => code === 0,
    () => false,
  );
}

beforeEach(async (context) => {
  tried ??= isReadable();
  context.skip(!(await tried), 'needs a checkout that others may read');
  host = hosts.host(AS_NOBODY);
  give(host.root);
  network = await hosts.network(1);
});

function give(...paths: string[]): void {
  if (isRoot) for (const one of paths) chownSync(one, NOBODY, NOBODY);
}

/**
 * Makes a folder and its parents below the root of the host. The folders belong to the user of the daemon. `mode`: permissions of the
 * folder.
 */
function folder(name: string, mode = 0o755): string {
  const whole = path.join(host.root, name);
  mkdirSync(whole, { recursive: true });
  for (let at = whole; at !== host.root; at = path.dirname(at)) give(at);
  chmodSync(whole, mode);
  // The permissions are restored, because otherwise a test that does not run as root could not remove the contents of the folder.
  hosts.onClean(() => chmodSync(whole, 0o755));
  return whole;
}

function configure(): void {
  folder('etc/dvsc');
  const volumes = {
    made: { path: path.join(folder('storage', 0o555), 'made.img'), size: '1m' },
    there: { path: path.join(folder('closed'), 'there.img'), size: '1m' },
    own: { type: 'memory', size: '1m' },
  };
  writeFileSync(volumes.there.path, Buffer.alloc(1024 * 1024), { mode: 0o400 });
  give(volumes.there.path);
  host.writeConfig('rssrv', serverConfig(network, { volumes }));
  host.writeConfig('rsiod', clientConfig(network));
  give(host.rssrvPaths.configFile, host.rsiodPaths.configFile);
}

it('files of volumes, logs and devices that may not be made: each is said, and all else works', async () => {
  configure();
  folder('var/log', 0o555);
  const deviceIs = (device: string): void => {
    host.writeConfig('rsiod', clientConfig(network, { defaults: { device } }));
    give(host.rsiodPaths.configFile);
  };
  deviceIs('block');
  const said: string[] = [];
  for (const program of ['rssrv', 'rsiod'] as const) {
    const { code, stderr } = await host.tryStart(program);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      new RegExp(
        `^${program}: Warning: Cannot write log ${daemonPaths(host.root, program).logFile} \\(EACCES: .*\\): continuing without it; make it writable and send SIGHUP$`,
        'm',
      ),
    );
    said.push(...stderr.split('\n').filter((line) => line.includes('E_VOLUME')));
  }
  const at = (name: string): string => path.join(host.root, name);
  expect(said).toEqual([
    `rssrv: Volume made: ${at('storage/made.img')} cannot be created (EACCES): let rssrv write to ${at('storage')}, and check that there is space [E_VOLUME]`,
    `rssrv: Volume there: ${at('closed/there.img')} cannot be opened (EACCES): let rssrv read and write it, or set readonly = yes [E_VOLUME]`,
  ]);
  await host.pathsUp(1);
  const { code, stderr } = await host.rsconfig('-a', 'own');
  expect(stderr).toBe(
    'rsconfig: osl:own@0: device = block is not possible, because rsiod does not run as root: start it as root, or use nbd-socket [E_RIGHTS]\n',
  );
  expect(code).toBe(1);
  deviceIs('nbd-socket');
  await host.rsconfigWell('reload');
  expect(await host.rsconfigWell('-a')).toMatch(/^osl:own@0 attached nbd\+unix:.*\n$/);
});

it.each(['rssrv', 'rsiod'] as const)('the configuration may not be read: %s', async (program) => {
  configure();
  const { configFile } = daemonPaths(host.root, program);
  chmodSync(configFile, 0);
  const { code, stderr } = await host.tryStart(program);
  expect(stderr).toBe(`${program}: No permission to read ${configFile}: run as root or as the owner of the file [E_RIGHTS]\n`);
  expect(code).toBe(1);
});

it.each(['rssrv', 'rsiod'] as const)('the state folder may not be written: %s', async (program) => {
  configure();
  const stateDir = folder(`var/lib/rsio/${program}`, 0o555);
  const { code, stderr } = await host.tryStart(program);
  const file = path.join(stateDir, program === 'rssrv' ? 'volumes.json' : 'identity.json');
  const what = program === 'rssrv' ? `rssrv: ${file}` : `rsiod: State file ${file}`;
  const lines = stderr.split('\n').filter((line) => line.includes('E_SYSTEM'));
  expect(lines).toEqual([expect.stringMatching(/ cannot be written \(EACCES\): (?:let|allow) .* \[E_SYSTEM\]$/)]);
  expect(lines[0]).toContain(what);
  expect(code).toBe(1);
  expect(host.processes()).toEqual([]);
});

it.each(['rssrv', 'rsiod'] as const)('the run folder may not be written: %s', async (program) => {
  configure();
  folder('run', 0o555);
  const { code, stderr } = await host.tryStart(program);
  expect(stderr).toBe(
    `${program}: Pid file ${daemonPaths(host.root, program).pidFile} cannot be written (EACCES): start as root, or choose another --root [E_RIGHTS]\n`,
  );
  expect(code).toBe(1);
  expect(host.processes()).toEqual([]);
});
