// The packages that `npm run package` builds have the same bytes at each build, cause no complaint from lintian, have all files at their
// places, and do not need the checkout. A client and a server run from the unpacked packages. Data that is written to a volume can be read
// back, and is in the file of the volume.

import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isProgramThere } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { fileSystemOf } from '@rsio/rssrv/machine/file-system';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool, run, runWell } from '../support/programs/programs.ts';
import { TmuxTerminal } from '../tui/tmux-terminal.ts';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const BLOCK_BYTES = 4096;
/** Time limit of tests that build packages. A busy machine needs minutes to build and check the packages. */
const SLOW_MS = 170_000;
/** Optional libraries, which programs try to load and which the packages lack: a faster msgpackr, and terminals within a terminal. */
const OPTIONAL = /^(@msgpackr-extract\/|msgpackr-extract$|term\.js$|pty\.js$)/;
const BUILTIN = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));
/** The Node that runs the unpacked programs. RSIO_TEST_NODE names another Node. */
const NODE = process.env['RSIO_TEST_NODE'] ?? process.execPath;

const hosts = useHosts('test', 'programs');
let folder = '';
let built: string[] = [];

function build(into: string): Promise<string> {
  const args = [path.join(PROJECT, 'scripts/package.mjs'), '--out', path.join(folder, into)];
  // These packages are compressed less than a release, because compression takes half of the time of a build.
  const env = { SOURCE_DATE_EPOCH: '1795400000', DPKG_DEB_COMPRESSOR_LEVEL: '1' };
  return runWell(process.execPath, args, { cwd: folder, env, timeoutMs: SLOW_MS });
}

function filesBelow(where: string): string[] {
  return readdirSync(where, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(where, path.join(entry.parentPath, entry.name)))
    .toSorted();
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-packages-'));
  if (!isProgramThere('dpkg-deb' as 'sed')) return;
  await Promise.all([build('first'), build('second')]);
  built = filesBelow(path.join(folder, 'first'));
  for (const name of built.filter((one) => one.endsWith('.deb')))
    await runWell('dpkg-deb', ['-x', path.join(folder, 'first', name), path.join(folder, 'root')]);
});

afterAll(() => removeFolder(folder));

beforeEach((context) => needTool(context, 'dpkg-deb', 'dpkg'));

it('two builds give the same bytes, and the version of the product', () => {
  const { version } = JSON.parse(readFileSync(path.join(PROJECT, 'package.json'), 'utf8')) as { version: string };
  expect(built.filter((name) => name.endsWith('.deb')).length).toBeGreaterThan(1);
  for (const name of built) {
    expect(name).toContain(version);
    const [first, second] = ['first', 'second'].map((one) =>
      createHash('sha256')
        .update(readFileSync(path.join(folder, one, name)))
        .digest('hex'),
    );
    expect(first, name).toBe(second);
  }
});

it('lintian has no errors and no warnings', async (context) => {
  needTool(context, 'lintian', 'lintian');
  const debs = built.filter((name) => name.endsWith('.deb')).map((name) => path.join(folder, 'first', name));
  const asRoot = process.getuid?.() === 0 ? ['--allow-root'] : [];
  const { stdout, stderr } = await run('lintian', [...asRoot, '--fail-on', 'error,warning', ...debs], { cwd: folder, timeoutMs: SLOW_MS });
  expect(`${stdout}${stderr}`).toBe('');
});

it('every program, manual page and unit of the product is in a package, and nothing else of the checkout', () => {
  const files = filesBelow(path.join(folder, 'root'));
  const programs = readdirSync(path.join(PROJECT, 'bin')).filter((name) => !name.includes('.'));
  expect(files).toEqual(expect.arrayContaining(programs.map((name) => `usr/sbin/${name}`)));
  const pages = readdirSync(path.join(PROJECT, 'docs/man')).map((page) => page.replace(/\.md$/, ''));
  for (const page of pages) expect(files).toContain(`usr/share/man/man${page.slice(-1)}/${page}.gz`);
  expect(files).toContain('usr/share/doc/rsio-common/json/volume-list.json');
  const units = readdirSync(path.join(PROJECT, 'packaging')).filter((name) => name.endsWith('.service'));
  expect(files).toEqual(expect.arrayContaining(units.map((name) => `usr/lib/systemd/system/${name}`)));
  expect(files.filter((name) => /node_modules|\.ts$|\.map$|\.test\./.test(name))).toEqual([]);
  expect(files.filter((name) => name.startsWith('etc/') && !name.startsWith('etc/logrotate.d/'))).toEqual([]);
});

it('no program asks for a library that would be looked for on the target', () => {
  const programs = filesBelow(path.join(folder, 'root/usr/lib/rsio')).filter((name) => name.includes('/dist/program/'));
  expect(programs.length).toBeGreaterThan(5);
  for (const program of programs) {
    const text = readFileSync(path.join(folder, 'root/usr/lib/rsio', program), 'utf8');
    const asked = [...text.matchAll(/(?:^import .*? from |^import |\brequire\d*\()["']([^."'/][^"']*)["']/gm)].map(([, name = '']) => name);
    const missing = asked.filter((name) => !BUILTIN.has(name) && !OPTIONAL.test(name));
    expect({ program, missing }).toEqual({ program, missing: [] });
  }
});

it('programs are compiled at the installation and after an update of Node, and no compiled code is left by a removal', async () => {
  for (const name of built.filter((one) => one.endsWith('.deb'))) {
    const control = path.join(folder, `control of ${name}`);
    await runWell('dpkg-deb', ['-e', path.join(folder, 'first', name), control]);
    const [triggers = '', postinst = '', prerm = ''] = ['triggers', 'postinst', 'prerm'].map((file) =>
      readFileSync(path.join(control, file), 'utf8'),
    );
    expect(triggers).toBe('interest-noawait /usr/bin/node\n');
    const list = await runWell('dpkg-deb', ['-c', path.join(folder, 'first', name)]);
    const programs = [...new Set([...list.matchAll(/\.\/usr\/lib\/rsio\/(\w+)\/dist\/program\//g)].map(([, one = '']) => one))];
    expect({ name, programs }).not.toEqual({ name, programs: [] });
    for (const one of programs) {
      expect(postinst, name).toMatch(new RegExp(`\\b${one}\\b.*program-compiler\\.cjs`));
      expect(prerm, name).toContain(`/usr/lib/rsio/${one}/dist/program/*.code`);
    }
  }
  const library = path.join(folder, 'root/usr/lib/rsio');
  for (const one of readdirSync(library)) await runWell(NODE, [path.join(library, one, 'dist/program/program-compiler.cjs')]);
  const names = filesBelow(library);
  const bundles = names.filter((one) => one.endsWith('.bundle.js'));
  expect(names.filter((one) => one.endsWith('.code'))).toEqual(bundles.map((one) => one.replace(/js$/, 'code')));
});

it('a server process of another release than its listener ends, and says so', async () => {
  const worker = path.join(folder, 'root/usr/lib/rsio/rssrv/dist/program/worker.js');
  const { code, stderr } = await run(NODE, [worker], { env: { RSIO_LISTENER_VERSION: '0.0.1' } });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^rssrv 0\.0\.1 is running, but its files are those of \d.*: restart rssrv$/m);
});

it('crsio draws its screen and ends, with the terminal library and the terminal descriptions of the package', async (context) => {
  needTool(context, 'tmux', 'tmux');
  const host = hosts.host();
  const commandLine = [NODE, path.join(folder, 'root/usr/sbin/crsio'), '--root', host.root];
  const terminal = await TmuxTerminal.start(host, { commandLine });
  await terminal.sees('RSIO client');
  await terminal.press('F10');
  await terminal.ended(0);
});

it('server and client run from the unpacked packages, and keep what is written', async (context) => {
  const [server, client] = [hosts.host(), hosts.host()];
  context.skip((await fileSystemOf(server.root)) !== 'other', 'needs a directory on a disk for temporary files: set TMPDIR');
  const { subnets } = await hosts.network(2);
  const [near, far] = [subnets.map((one) => one.address(20)), subnets.map((one) => one.address(10))];
  const packaged = (host: typeof server, program: string, ...args: readonly string[]): Promise<string> =>
    runWell(NODE, [path.join(folder, 'root/usr/sbin', program), '--root', host.root, ...args], {
      cwd: host.root,
      env: { RSIO_TEST_HOST: host.root },
    });
  for (const program of readdirSync(path.join(folder, 'root/usr/sbin')).filter((name) => name !== 'fence_rsio'))
    expect(await packaged(server, program, '--version')).toMatch(new RegExp(`^${program} \\(RSIO\\) \\d`));
  await packaged(server, 'rsadm', 'init', '--name', 'big-9', '--namespace', 'osl', '--address', far.join(','));
  await packaged(server, 'rssrv');
  const pool = path.join(server.root, 'pool');
  mkdirSync(pool);
  await packaged(server, 'rsadm', 'pool', 'add', 'fast', pool);
  const key = path.join(client.root, 'key');
  writeFileSync(key, await packaged(server, 'rsadm', 'client', 'add', 'big-2', '--rights', 'manage'));
  chmodSync(key, 0o600);
  const through = near.flatMap((address) => ['--interface', address]);
  await packaged(client, 'rsconfig', 'join', far[0] ?? '', '--name', 'big-2', '--key-file', key, ...through);
  await packaged(client, 'rsconfig', 'volume', 'create', 'oracle', '--size', '8m', '--attach');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  const block = Buffer.alloc(BLOCK_BYTES, 'kept');
  await nbd.write(0, block);
  await nbd.flush();
  expect(await nbd.read(0, BLOCK_BYTES)).toEqual(block);
  nbd.close();
  const data = filesBelow(pool).find((name) => name.endsWith('/data')) ?? '';
  expect(readFileSync(path.join(pool, data)).subarray(0, BLOCK_BYTES)).toEqual(block);
});
