// The groups of persons on the server, with a real rssrv and with rsadm as another user: members of control-group can view the server, but
// cannot change anything and do not see keys; members of the other groups can do more. The error for other users names the remedy. Reloads add the socket of the group, give it to another group and remove
// it. Uses groups that every system has. Rules: G21.

import { chmodSync, chownSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { AuditEntry } from '@rsio/api/rssrv/audit-methods';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { callMethod } from '@rsio/common/control/control-client';
import type { LocalRole } from '@rsio/common/config/schema/local-roles';
import { groupId } from '@rsio/base/files/groups';
import { needPrograms } from '@rsio/base/testing/needs';
import { beforeEach, expect, it } from 'vitest';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { launcher, run, type RunResult, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const TEST_MS = 300_000;
const KNOWN_MS = 30_000;
const KEYS = [keyOf('big-2'), keyOf('venus'), '0xkey-of-the-namespace', '0xkey-of-the-server'];

const hosts = useHosts();
let server: Host;

beforeEach(async (context) => {
  needPrograms(context, 'perl', 'setpriv');
  context.skip(process.getuid?.() !== 0, 'needs root, to run rsadm as another user');
  context.skip(
    ['bin', 'daemon', 'sys', 'tty'].some((name) => groupId(name) === undefined),
    'needs the groups bin, daemon, sys and tty',
  );
  server = hosts.host();
  chmodSync(server.root, 0o711);
  const network = await hosts.network(1);
  const text = serverConfig(network, {
    volumes: {},
    pools: { fast: { path: await emptyPool(server) } },
    server: { serverkey: '0xkey-of-the-server' },
  });
  server.writeConfig('rssrv', text.replace(/(namespaceid = .*)/, '$1\nnamespacekey = 0xkey-of-the-namespace'));
  await server.start('rssrv');
  await server.rsadmWell('volume', 'create', 'oracle', '--size', '1m');
});

/** Runs rsadm as a user who owns no file. */
function as(group: string, ...args: readonly string[]): Promise<RunResult> {
  return run('setpriv', asUser(group, ...args));
}

function asUser(group: string, ...args: readonly string[]): string[] {
  return ['--reuid=65534', `--regid=${group}`, '--clear-groups', launcher('rsadm'), '--root', server.root, ...args];
}

it('a program gives up rights with a role, and gets none', async () => {
  const socket = server.rssrvPaths.controlSocket;
  const kick = (role: LocalRole): Promise<unknown> => callMethod(SERVER_METHODS, socket, 'client-kick', { name: 'big-2' }, { role });
  for (const role of ['reader', 'operator'] as const) await expect(kick(role)).rejects.toMatchObject({ code: 'E_RIGHTS' });
  expect(await kick('administrator')).toMatchObject({ wasConnected: false });
  const set = { name: 'oracle', universe: 0, settings: ['iops=50'], request: null };
  await expect(callMethod(SERVER_METHODS, socket, 'volume-set', set, { role: 'operator' })).rejects.toMatchObject({ code: 'E_RIGHTS' });
  await expect(callMethod(SERVER_METHODS, socket, 'daemon', {}, { role: 'king' as LocalRole })).rejects.toMatchObject({ code: 'E_USAGE' });
  const { entries } = JSON.parse(await server.rsadmWell('audit', '--json')) as { entries: AuditEntry[] };
  expect(
    entries
      .filter(({ order }) => order === 'client-kick')
      .map(({ outcome }) => outcome)
      .slice(0, 3),
  ).toEqual(['E_RIGHTS', 'E_RIGHTS', 'done']);
});

it('members of the group read, and change nothing', { timeout: TEST_MS }, async () => {
  const before = await as('daemon', 'status');
  expect(before.code).toBe(1);
  expect(before.stderr).toMatch(/ or let a group read with rsadm control-group set NAME \[E_RIGHTS\]\n$/);
  expect(await server.rsadmWell('control-group', 'set', 'daemon')).toBe('control-group is daemon: its members may read\n');
  const commands = [
    ['status'],
    ['client', 'list'],
    ['stats', '--json'],
    ['events'],
    ['volume', 'list'],
    ['volume', 'show', 'oracle'],
    ['pool', 'list'],
    ['interface', 'list'],
  ];
  for (const command of commands) {
    const { code, stdout, stderr } = await as('daemon', ...command);
    expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' });
    expect(stdout).not.toBe('');
  }
  const following = start('setpriv', asUser('daemon', 'events', '-f'));
  await server.rsadmWell('client', 'fence', 'venus');
  await waitFor(() => following.stdout().includes('venus'), KNOWN_MS, 'A member sees an event as it happens');
  following.kill();
  await following.ended;
  const readSocket = server.rssrvPaths.groupSockets.reader;
  const refusal = `is refused, because members of group daemon may only read through ${readSocket}: run as root or as the user of rssrv [E_RIGHTS]`;
  const created = await as('daemon', 'volume', 'create', 'other', '--size', '1m');
  expect(created).toMatchObject({ code: 1, stderr: `rsadm: Method volume-create ${refusal}\n` });
  expect(await as('daemon', 'reload')).toMatchObject({ code: 1, stderr: `rsadm: Method reload ${refusal}\n` });
  expect(await server.rsadmWell('volume', 'list')).not.toContain('other');
  const file = server.file('readable');
  writeFileSync(file, readFileSync(server.rssrvPaths.configFile));
  chmodSync(file, 0o644);
  const checked = await as('daemon', 'check', file);
  expect(checked.code).toBe(0);
  expect(checked.stderr).toContain('rssrv was not asked: Method config-check is refused');
});

it('who is not in the group is told so', { timeout: TEST_MS }, async () => {
  await server.rsadmWell('control-group', 'set', 'daemon');
  const { code, stderr } = await as('sys', 'volume', 'list');
  expect(code).toBe(1);
  const { controlSocket, groupSockets } = server.rssrvPaths;
  const readSocket = groupSockets.reader;
  const remedy = `run as the user of rssrv, or, to read, as a member of the group of ${readSocket} [E_RIGHTS]`;
  expect(stderr).toBe(`rsadm: No permission to open control socket ${controlSocket}: ${remedy}\n`);
});

it('no answer to a reader has a key', { timeout: TEST_MS }, async () => {
  await server.rsadmWell('control-group', 'set', 'daemon');
  const oracle = { name: 'oracle', universe: 0 };
  const params: Partial<Record<ServerMethodName, object>> = {
    'volume-show': oracle,
    'volume-diff': { ...oracle, snapshot: 'monday', until: null, offsetBytes: 0 },
  };
  const methods = (Object.keys(SERVER_METHODS) as ServerMethodName[]).filter((method) => SERVER_METHODS[method].repeats === null);
  for (const method of methods) {
    const call = callMethod(SERVER_METHODS, server.rssrvPaths.groupSockets.reader, method, (params[method] ?? {}) as never, {});
    // volume-diff is permitted, but fails here, because the volume has no snapshot.
    const text = method === 'volume-diff' ? await call.then(() => 'answered', String) : JSON.stringify(await call);
    if (method === 'volume-diff') expect(text).toContain('oracle');
    expect({ method, found: KEYS.filter((key) => text.includes(key)) }).toEqual({ method, found: [] });
  }
});

it('a reload and a restart change the socket, and refuse a group that does not exist', { timeout: TEST_MS }, async () => {
  const { configFile, groupSockets } = server.rssrvPaths;
  const readSocket = groupSockets.reader;
  const before = readFileSync(configFile, 'utf8');
  await server.rsadmWell('control-group', 'set', 'daemon');
  await server.rsadmWell('control-group', 'set', 'sys');
  expect([statSync(readSocket).gid, statSync(readSocket).mode & 0o777]).toEqual([groupId('sys'), 0o660]);
  expect((await as('daemon', 'volume', 'list')).code).toBe(1);
  expect((await as('sys', 'volume', 'list')).code).toBe(0);
  await server.stop('rssrv');
  expect(existsSync(readSocket)).toBe(false);
  await server.start('rssrv');
  expect((await as('sys', 'volume', 'list')).stdout).toContain('oracle');
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace('= sys', '= nobody-has-this'));
  const remedy = 'create the group, or set control-group to another one [E_CONFIG]';
  const missing = new RegExp(`rssrvcfg:\\d+: control-group nobody-has-this is not in /etc/group: ${remedy.replace(/[[\]]/g, '\\$&')}\n$`);
  expect((await server.rsadm('reload')).stderr).toMatch(missing);
  expect((await as('sys', 'volume', 'list')).code).toBe(0);
  await server.stop('rssrv');
  expect((await server.tryStart('rssrv')).stderr).toMatch(missing);
  expect((await server.run('rssrv', ['--check'])).stderr).toMatch(missing);
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace('= nobody-has-this', '= sys'));
  await server.start('rssrv');
  expect(await server.rsadmWell('control-group', 'set', '-')).toBe('control-group was removed\n');
  expect(existsSync(readSocket)).toBe(false);
  expect(readFileSync(configFile, 'utf8')).toBe(before);
});

it('operators change volumes, administrators do everything, and the audit names who it was', { timeout: TEST_MS }, async () => {
  await server.rsadmWell('control-group', 'set', 'bin');
  expect(await server.rsadmWell('operate-group', 'set', 'daemon')).toBe(
    'operate-group is daemon: its members may read, and make the changes of a client with the right manage\n',
  );
  expect(await server.rsadmWell('admin-group', 'set', 'sys')).toBe('admin-group is sys: its members may do everything\n');
  const { groupSockets, configFile } = server.rssrvPaths;
  for (const [role, group] of [
    ['reader', 'bin'],
    ['operator', 'daemon'],
    ['administrator', 'sys'],
  ] as const)
    expect([statSync(groupSockets[role]).gid, statSync(groupSockets[role]).mode & 0o777]).toEqual([groupId(group), 0o660]);
  const said = async (group: string, ...args: readonly string[]): Promise<string> => {
    const { code, stderr } = await as(group, ...args);
    return code === 0 ? 'done' : stderr;
  };
  const asRoot = 'run as root or as the user of rssrv';
  const may = 'read, and make the changes of a client with the right manage';
  const change = ['volume', 'grow', 'oracle', '2m'];
  expect(await said('bin', ...change)).toContain(
    `through ${groupSockets.reader}: ${asRoot}, or as a member of group daemon, or as a member of group sys [E_RIGHTS]`,
  );
  expect(await said('daemon', ...change)).toBe('done');
  expect(await said('daemon', 'volume', 'list')).toBe('done');
  expect(await said('daemon', 'volume', 'set', 'oracle', 'iops=100')).toMatch(
    /^rsadm: An operator on the server may not set limits of I\/O: its right is manage, and admin is needed; run as root .* admin-group \[E_RIGHTS\]\n$/,
  );
  expect(await said('daemon', 'client', 'kick', 'big-2')).toBe(
    `rsadm: Method client-kick is refused, because members of group daemon may only ${may} through ${groupSockets.operator}: ${asRoot}, or as a member of group sys [E_RIGHTS]\n`,
  );
  expect(await said('sys', 'volume', 'set', 'oracle', 'iops=100')).toBe('done');
  expect(await said('sys', 'reload')).toBe('done');
  for (const mode of [0o600, 0o644]) {
    chmodSync(configFile, mode);
    for (const group of ['daemon', 'sys'])
      expect(await said(group, 'client', 'rights', 'big-2', 'admin')).toContain(
        `No permission to edit ${configFile}, which no group of rssrvcfg(5) permits`,
      );
  }
  expect(await said('tty', 'volume', 'list')).toContain(
    `, or, to read, as a member of the group of ${groupSockets.reader}, or, to change volumes, as a member of the group of ${groupSockets.operator}`,
  );
  const { entries } = JSON.parse(await server.rsadmWell('audit', '--json', '--who', 'nobody')) as { entries: AuditEntry[] };
  expect(entries.map(({ who, order, outcome }) => `${who} ${order} ${outcome}`)).toEqual([
    'nobody volume-grow E_RIGHTS',
    'nobody volume-grow done',
    'nobody volume-set E_RIGHTS',
    'nobody client-kick E_RIGHTS',
    'nobody volume-set done',
    'nobody reload done',
  ]);
  // A socket that a crash has left, of a group that rssrv does not serve any more, does not hide the others.
  await server.kill('rssrv');
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace(/admin-group = .*\n/, ''));
  await server.start('rssrv');
  expect(existsSync(groupSockets.administrator)).toBe(true);
  chownSync(groupSockets.administrator, 0, groupId('daemon')!);
  expect(await said('daemon', 'volume', 'list')).toBe('done');
});
