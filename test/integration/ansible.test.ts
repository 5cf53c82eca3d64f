// The modules of packaging/ansible with real daemons: the playbook of docs/HYPERVISORS.md in check mode, then for the first, the second and
// a third time with other sizes, what the modules refuse, and the end of everything. Skipped without ansible-core.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { programVersion } from '@rsio/base/lib/version';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, ENCRYPTED, keyOf, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { launcher, needTool, run, type RunResult } from '../support/programs/programs.ts';

const PACKAGING = fileURLToPath(new URL('../../packaging', import.meta.url));
const PLAYBOOK = path.join(PACKAGING, 'examples/volumes.yml');
const MODULES = ['rsio_volume', 'rsio_mirror', 'rsio_client', 'rsio_namespace'];
const NAMES = ['big-9', 'big-8', 'big-7'];
const PLAY_MS = 120_000;
/** A play takes seconds of processor time, and the machine may be busy. */
const TEST_MS = 900_000;
const MIB = 1024 * 1024;

const hosts = useHosts();
let servers: Host[];
let admin: Host;

beforeEach((context) => {
  needTool(context, 'ansible-playbook', 'ansible-core');
  admin = hosts.host();
  for (const folder of ['collections/ansible_collections/osl', 'keys', 'tools']) mkdirSync(admin.file(folder), { recursive: true });
  symlinkSync(path.join(PACKAGING, 'ansible'), admin.file('collections/ansible_collections/osl/rsio'));
  symlinkSync(launcher('rsconfig'), admin.file('tools/rsconfig'));
  for (const name of ['db-1', 'db-2']) writeFileSync(admin.file(`keys/${name}`), `${keyOf(name)}\n`, { mode: 0o600 });
});

async function startAll(): Promise<void> {
  const network = await hosts.network(1);
  const addresses = [10, 11, 12].map((last) => network.subnets[0]!.address(last));
  servers = [];
  for (const [index, address] of addresses.entries()) {
    const host = hosts.host();
    const pools = { fast: { path: await emptyPool(host) } };
    const clients = { 'big-2': keyOf('big-2') };
    const own = { name: NAMES[index]!, server: { serverid: String(index + 1) }, volumes: {}, pools, clients, rights: { 'big-2': 'admin' } };
    await startServer(host, { ...network, serverAddresses: [address] }, own);
    servers.push(host);
  }
  admin.writeConfig('rsiod', clientConfig(network, { serverAddresses: addresses, defaults: ENCRYPTED }));
  await admin.start('rsiod');
  await admin.pathsUp(addresses.length);
}

/** Runs a program of Ansible on the administrator's host. */
function ansible(program: string, ...args: readonly string[]): Promise<RunResult> {
  const env = {
    RSIO_ROOT: admin.root,
    HOME: admin.root,
    PATH: `${admin.file('tools')}:${process.env['PATH'] ?? ''}`,
    ANSIBLE_COLLECTIONS_PATH: admin.file('collections'),
    ANSIBLE_NOCOLOR: '1',
    ANSIBLE_PIPELINING: '1',
    ANSIBLE_PYTHON_INTERPRETER: '/usr/bin/python3',
    PYTHONDONTWRITEBYTECODE: '1',
  };
  return run(program, args, { timeoutMs: PLAY_MS, env });
}

async function play(file: string, ...more: readonly string[]): Promise<string> {
  const { stdout, stderr } = await ansible('ansible-playbook', '-i', 'localhost,', '-c', 'local', file, ...more);
  return stdout + stderr;
}

const example = (size: string, ...more: readonly string[]): Promise<string> =>
  play(PLAYBOOK, '-e', JSON.stringify({ rsio_size: size, rsio_keys: admin.file('keys') }), ...more);

/** Runs a playbook with these tasks, all of them even if some fail. */
function tasks(...given: readonly Readonly<Record<string, object>>[]): Promise<string> {
  const file = admin.file('tasks.yml');
  writeFileSync(file, JSON.stringify([{ hosts: 'all', gather_facts: false, ignore_errors: true, tasks: given }]));
  return play(file);
}

const changed = (said: string): string => /ok=\d+ +changed=\d+ .*failed=\d+ .*ignored=\d+/.exec(said)?.[0].replaceAll(/ +/g, ' ') ?? said;
const done = (count: number, all = 4): unknown => expect.stringMatching(new RegExp(`^ok=${all} changed=${count} .*failed=0 .*ignored=0$`));

const volumeTask = (more: object): Record<string, object> => ({ 'osl.rsio.rsio_volume': { name: 'logs', ...more } });
const mirrorTask = (more: object): Record<string, object> => ({ 'osl.rsio.rsio_mirror': { name: 'db', ...more } });

async function state(): Promise<unknown> {
  const { attachments } = await admin.call('local', {});
  const clients = [];
  for (const server of servers) {
    const { clients: its } = JSON.parse(await server.rsadmWell('client', 'list', '--json')) as { clients: { name: string }[] };
    const names = its.map(({ name }) => name);
    clients.push(names.toSorted().join(' '));
  }
  const sizes = attachments.map(({ name, blocks, blockSizeBytes }) => [name, (blocks * blockSizeBytes) / MIB] as const);
  return { sizes: Object.fromEntries(sizes), clients: [...new Set(clients)] };
}

it('the playbook: nothing in check mode, then everything, then no change, then other sizes, and the end', {
  timeout: TEST_MS,
}, async () => {
  await startAll();
  const nothing = { sizes: {}, clients: ['big-2'] };
  const planned = await example('16m', '--check', '--diff');
  expect(changed(planned)).toEqual(expect.stringMatching(/^ok=3 changed=3 .*failed=0 .*ignored=0$/));
  expect(planned).toMatch(new RegExp(`\\+.*"size": ${16 * MIB}`));
  expect(await state()).toEqual(nothing);
  const first = await example('16m', '-vvv');
  expect(changed(first)).toEqual(done(3));
  expect(first).not.toContain(keyOf('db-1'));
  const all = { clients: ['big-2 db-1 db-2'] };
  expect(await state()).toEqual({ sizes: { logs: 16, db: 16 }, ...all });
  expect(changed(await example('16m'))).toEqual(done(0));
  expect(changed(await example('32m'))).toEqual(done(2));
  expect(await state()).toEqual({ sizes: { logs: 32, db: 32 }, ...all });
  const { volume } = JSON.parse(await admin.rsconfigWell('volume', 'show', 'logs', '--json')) as { volume: object };
  expect(volume).toMatchObject({ note: 'kept by Ansible', schedule: { text: 'hourly keep 24, daily keep 7' } });

  const gone = [
    volumeTask({ state: 'detached' }),
    volumeTask({ state: 'absent' }),
    mirrorTask({ state: 'detached' }),
    mirrorTask({ state: 'absent', remove_volumes: true }),
    { 'osl.rsio.rsio_client': { name: 'db-1', state: 'absent' } },
    { 'osl.rsio.rsio_client': { name: 'db-2', state: 'absent' } },
  ];
  expect(changed(await tasks(...gone))).toEqual(done(6, 6));
  expect(await state()).toEqual(nothing);
  expect(changed(await tasks(...gone))).toEqual(done(0, 6));
});

it('the modules refuse what could be another thing, and say what a command of a person would', { timeout: TEST_MS }, async () => {
  await startAll();
  const made = await tasks(
    volumeTask({ size: '32m', pool: 'fast', server: 'big-9', state: 'attached' }),
    mirrorTask({ size: '16m', servers: ['big-9', 'big-8'], witness: 'big-7', state: 'attached' }),
  );
  expect(changed(made)).toEqual(done(2, 2));
  // Names of two things, and what another thing of the name would be.
  await servers[1]!.rsadmWell('volume', 'create', 'logs', '--size', '1m', '--pool', 'fast');
  const twice = await tasks(volumeTask({ state: 'absent' }), volumeTask({ server: 'big-8', state: 'attached' }));
  expect(twice).toContain('Several servers have a volume logs');
  expect(twice).toMatch(/Another volume osl:logs is attached here, with the id/);
  await servers[1]!.rsadmWell('volume', 'remove', 'logs', '--yes');
  const refused = await tasks(
    ...[
      volumeTask({ state: 'absent' }),
      volumeTask({ pool: 'slow' }),
      volumeTask({ size: '1m' }),
      mirrorTask({ servers: ['big-9', 'big-7'] }),
      mirrorTask({ state: 'absent' }),
    ],
    ...[volumeTask({ name: 'db', size: '1m' }), volumeTask({ name: 'osl:logs' }), volumeTask({ name: 'logs@1', state: 'absent' })],
  );
  for (const part of [
    ...[
      'Volume logs has 33554432 bytes, and a volume never becomes smaller',
      'Volume logs is attached here: detach it first',
      'is in pool fast and not in slow',
      'its replicas are on big-8, big-9',
    ],
    ...[
      'Mirror db is attached here: detach it first',
      'db is a mirror: use osl.rsio.rsio_mirror',
      "Wrong name 'osl:logs'",
      "Wrong name 'logs@1'",
    ],
  ])
    expect(refused).toContain(part);
  // A form of the schedule that is not that of the server, a note that begins like an option, and a list with a name twice.
  const odd = { snapshots: 'hourly keep 024,daily keep 7', note: '-x', clients: ['big-2', 'big-2'] };
  expect(changed(await tasks(volumeTask(odd)))).toEqual(done(1, 1));
  expect(changed(await tasks(volumeTask(odd)))).toEqual(done(0, 1));
  // A server that is away may have another volume of the name.
  await servers[2]!.stop('rssrv');
  const away = await tasks(volumeTask({ note: 'other' }), volumeTask({ size: '32m' }), volumeTask({ name: 'new', size: '1m' }));
  expect(away).toContain('Whether there is another volume logs is not known');
  expect(away).toContain('Whether volume new exists is not known');
  expect(changed(away)).toMatch(/^ok=3 changed=0 .*ignored=2$/);
  await servers[2]!.start('rssrv');
  await admin.pathsUp(servers.length);
});

it('a client gets another key, and a namespace is kept by its file', { timeout: TEST_MS }, async () => {
  await startAll();
  const client = (more: object): Record<string, object> => ({ 'osl.rsio.rsio_client': { name: 'db-1', ...more } });
  expect(await tasks(client({ rights: 'manage' }))).toContain('No client db-1 on server big-9');
  expect(changed(await tasks(client({ key: keyOf('db-1'), iops: '500' })))).toEqual(done(1, 1));
  const both = await tasks(client({ rights: 'manage pool=fast' }), client({ key: keyOf('db-1'), rights: 'manage pool=fast' }));
  expect(changed(both)).toEqual(done(1, 2));
  const text = `[namespace osl]\nnamespaceid = 200\n[client big-2]\nkey = ${keyOf('big-2')}\nrights = admin\n[client db-1]\nkey = ${keyOf('other')}\n`;
  const kept = { 'osl.rsio.rsio_namespace': { content: text } };
  const said = await tasks(kept, kept);
  expect(changed(said)).toEqual(done(1, 2));
  expect(said).not.toContain(keyOf('other'));
  const { servers: shown } = JSON.parse((await admin.rsconfig('drift', '--json')).stdout) as { servers: { secondKeys: object[] }[] };
  expect(shown.map(({ secondKeys }) => secondKeys)).toEqual(NAMES.map(() => [expect.objectContaining({ client: 'db-1', isNewer: true })]));
  await servers[2]!.stop('rssrv');
  const away = await tasks({ 'osl.rsio.rsio_namespace': { content: `${text}iops = 70\n`, wait: '1s' } });
  expect(away).toContain('FAILED!');
  expect(away).toContain('big-7 is away');
});

it('each module has a manual, and the collection the version of the product', { timeout: TEST_MS }, async () => {
  const { code, stdout } = await ansible('ansible-doc', '--json', ...MODULES.map((name) => `osl.rsio.${name}`));
  const manuals = JSON.parse(stdout) as Record<string, { doc: { options: object }; examples: string }>;
  for (const name of MODULES) {
    const manual = manuals[`osl.rsio.${name}`];
    expect([code, Object.keys(manual!.doc.options).includes('rsconfig'), manual!.examples.includes(name)]).toEqual([0, true, true]);
  }
  expect(readFileSync(path.join(PACKAGING, 'ansible/galaxy.yml'), 'utf8')).toContain(`\nversion: ${programVersion()}\n`);
});
