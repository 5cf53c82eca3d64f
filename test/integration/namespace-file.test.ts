// The file of a namespace with real daemons: one file makes all servers equal, a server that was away follows, a change by hand is found, a
// client gets another key under I/O, and what a client that applies a file cannot do. packages/common/src/config/namespace-edit.test.ts tests
// what an edit changes. Rules: G53.

import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { KEY_NEW_CHARS } from '@rsio/common/config/schema/limits';
import { rssrvPaths } from '@rsio/common/config/root-paths';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, ENCRYPTED, keyOf, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const hosts = useHosts();
const NAMES = ['pi-1', 'pi-2', 'pi-3'];
const MIB = 1024 * 1024;
let servers: Host[];
let admin: Host;
let addresses: string[];
let network: Awaited<ReturnType<typeof hosts.network>>;

/** Three servers that know only the administrator's client, and this client. */
beforeEach(async () => {
  network = await hosts.network(1);
  addresses = [10, 11, 12].map((last) => network.subnets[0]!.address(last));
  servers = [];
  for (const [index, address] of addresses.entries()) servers.push(await startedServer(index, address));
  admin = await startedClient('big-2', keyOf('big-2'), 0);
});

async function startedServer(index: number, address: string): Promise<Host> {
  const host = hosts.host();
  // Only pi-1 has a pool.
  const pools = index === 0 ? { fast: { path: await emptyPool(host) } } : {};
  await startServer(
    host,
    { ...network, serverAddresses: [address] },
    {
      name: NAMES[index]!,
      server: { serverid: String(index + 1) },
      volumes: {},
      pools,
      clients: { 'big-2': keyOf('big-2') },
      rights: { 'big-2': 'admin' },
    },
  );
  return host;
}

async function startedClient(node: string, key: string, position: number): Promise<Host> {
  const host = hosts.host();
  const options = { node, key, client: position, serverAddresses: addresses, defaults: ENCRYPTED };
  host.writeConfig('rsiod', clientConfig(network, options));
  await host.start('rsiod');
  await host.pathsUp(addresses.length);
  return host;
}

/** Writes the file of the namespace, and returns its name. */
function written(...sections: string[]): string {
  const file = path.join(admin.root, 'osl.conf');
  writeFileSync(
    file,
    ['[namespace osl]\nnamespaceid = 200\n[client big-2]\nkey-file = big-2.key\nrights = admin\n', ...sections].join(''),
    {
      mode: 0o600,
    },
  );
  writeFileSync(path.join(admin.root, 'big-2.key'), `${keyOf('big-2')}\n`, { mode: 0o600 });
  return file;
}

const VENUS = `[client venus]\nkey = ${keyOf('venus')}\nrights = manage pool=fast\n`;
const configOf = (host: Host): string => readFileSync(rssrvPaths(host.root).configFile, 'utf8');

it('one file makes all servers equal, a server that was away follows, and a change by hand is found', async () => {
  const file = written(VENUS);
  const none = await admin.rsconfig('drift');
  expect([none.code, none.stderr]).toEqual([
    1,
    'rsconfig: No file of namespace osl was applied yet: rsconfig apply FILE applies one (rsio-namespace(5))\n',
  ]);
  const plan = await admin.rsconfigWell('apply', file, '--plan');
  expect(plan.split('\n')).toEqual([
    'pi-1: client venus is added, with the right manage pool=fast',
    'pi-2: client venus is added, with the right use, because this server has no pool fast',
    'pi-3: client venus is added, with the right use, because this server has no pool fast',
    '',
  ]);
  expect(configOf(servers[0]!)).not.toContain('venus');
  await servers[2]!.kill('rssrv');
  const without = await admin.rsconfig('apply', file);
  expect(without.code).toBe(1);
  expect(without.stderr).toMatch(/pi-3: pi-3 is away: server pi-3 of osl/);
  expect(configOf(servers[0]!)).toContain(`venus ${keyOf('venus')}\n`);
  await servers[2]!.start('rssrv');
  await admin.pathsUp(3);
  const older = await admin.rsconfig('drift');
  expect([older.code, older.stderr]).toEqual([
    1,
    expect.stringMatching(/pi-3: no file was applied here, and pi-1 has generation 1: apply/),
  ]);
  expect(await admin.rsconfigWell('apply', file)).toMatch(/^pi-1: nothing to change\npi-2: nothing to change\npi-3: client venus is added/);
  expect(await admin.rsconfigWell('drift')).toMatch(/osl\/pi-3 +1 +[0-9a-f]{16} .*client big-2 +0/);

  await servers[1]!.rsadmWell('client', 'rights', 'venus', 'admin');
  const drift = await admin.rsconfig('drift');
  expect([drift.code, drift.stderr]).toEqual([
    1,
    expect.stringMatching(/pi-2: applying the file again: client venus: the right admin -> use, because this server has no pool fast\n/),
  ]);
  await servers[1]!.rsadmWell('client', 'add', 'guest');
  expect((await admin.rsconfig('drift')).stderr).toContain(
    'pi-2: Not in the file: client guest; write it into the file (rsio-namespace(5) says how), or apply --prune removes it',
  );
  expect(await admin.rsconfigWell('apply', file)).toContain('pi-2: client venus: the right admin -> use');
  expect(configOf(servers[1]!)).toContain('guest ');
  expect(await admin.rsconfigWell('apply', file, '--prune')).toContain('pi-2: client guest is removed');
  expect(await admin.rsconfigWell('apply', file, '--prune')).toBe(
    'pi-1: nothing to change\npi-2: nothing to change\npi-3: nothing to change\n',
  );
  // A part changes what it says, and the file stays the one that drift compares with.
  const part = path.join(admin.root, 'part.conf');
  writeFileSync(part, '[namespace osl]\nnamespaceid = 200\n[client venus]\niops = 200\n', { mode: 0o600 });
  expect((await admin.rsconfig('apply', part, '--part', '--prune')).code).toBe(2);
  expect(await admin.rsconfigWell('apply', part, '--part')).toContain('pi-2: client venus: the right use -> use iops=200\n');
  expect((await admin.rsconfig('drift')).stderr).toContain('pi-2: applying the file again: client venus: the right use iops=200 -> use');
  await admin.rsconfigWell('apply', file);

  // rsadm does the same on one server, and a restart forgets nothing.
  await servers[1]!.kill('rssrv');
  await servers[1]!.start('rssrv');
  expect(await servers[1]!.rsadmWell('drift')).toMatch(
    /^pi-2 has generation 1 \([0-9a-f]{16}\), .* by client big-2\nNothing differs from it\n/,
  );
  expect(await servers[1]!.rsadmWell('apply', written(VENUS.replace('manage pool=fast', 'use\niops = 100')))).toBe(
    'client venus: the right use -> use iops=100\n',
  );
  await admin.pathsUp(3);
  const newer = await admin.rsconfig('drift');
  expect(newer.stderr).toMatch(/pi-1: it has generation 1, and pi-2 has 2: apply the file again/);

  // The keys are in no log and no list, and the copy of the file is readable by its owner only.
  expect(statSync(rssrvPaths(servers[0]!.root).namespaceFile).mode & 0o077).toBe(0);
  const audit = await servers[0]!.rsadmWell('audit', '--json');
  expect(audit).toContain('"client venus is added, with the right manage pool=fast"');
  expect(audit).not.toContain(keyOf('venus'));
});

it('a client gets another key at all servers under I/O, and its old key ends when it uses the new one', { timeout: 120_000 }, async () => {
  await admin.rsconfigWell('apply', written(VENUS));
  const venus = await startedClient('venus', keyOf('venus'), 1);
  await venus.rsconfigWell('volume', 'create', 'db', '--size', '16m');
  await venus.rsconfigWell('-a', 'db');
  const io = await NbdIo.open(venus.rsiodPaths.nbdSocket, 'osl/db');
  let written_ = 0;
  let isOn = true;
  const writing = (async () => {
    for (; isOn; written_++) await io.write((written_ % 16) * MIB, Buffer.alloc(4096, written_ % 251));
  })();

  const begun = await admin.rsconfig('client', 'rekey', 'venus');
  expect([begun.code, begun.stderr]).toEqual([0, expect.stringMatching(/pi-3: .* both are valid until it uses the new one\n/)]);
  expect(begun.stderr).not.toContain(String.raw`\n`);
  const key = begun.stdout.trim();
  for (const server of servers) expect(configOf(server)).toContain(`venus ${keyOf('venus')} ${key}\n`);
  venus.writeConfig('rsiod', clientConfig(network, { node: 'venus', key, client: 1, serverAddresses: addresses, defaults: ENCRYPTED }));
  await venus.rsconfigWell('reload');
  const keyFile = path.join(admin.root, 'venus.key');
  writeFileSync(keyFile, key, { mode: 0o600 });
  const done = await admin.rsconfig('client', 'rekey', 'venus', '--key-file', keyFile, '--finish');
  expect([done.code, done.stdout, done.stderr]).toEqual([
    0,
    '',
    expect.stringMatching(/pi-3: client venus has one key again: its old key ends/),
  ]);
  for (const server of servers) expect(configOf(server)).toContain(`venus ${key}\n`);
  expect(await servers[1]!.rsadmWell('audit', '--who', 'big-2')).not.toContain('plan=true');
  const progress = await venus.rsconfig('progress');
  expect([progress.code, progress.stderr]).toEqual([0, expect.stringContaining('no right to see jobs there: pi-2, pi-3\n')]);
  const before = written_;
  await expect.poll(() => written_ - before, { timeout: 30_000 }).toBeGreaterThan(100);
  isOn = false;
  await writing;
  io.close();
  // The file still has the old key, which does not come back.
  const drift = await admin.rsconfig('drift');
  expect(drift.stderr).toMatch(/pi-1: applying the file again: client venus has a second key/);
  const again = await admin.rsconfig('apply', written(VENUS));
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringMatching(/pi-1: The key of client venus in the file has ended on server pi-1: write/),
  ]);
  for (const server of servers) expect(configOf(server)).toContain(`venus ${key}\n`);

  // The client gets another name everywhere when it has stopped, and nowhere before.
  const connected = await admin.rsconfig('client', 'rename', 'venus', 'mars');
  expect([connected.code, connected.stderr]).toEqual([1, expect.stringMatching(/pi-1: Client venus holds 1 volume/)]);
  expect(connected.stderr).toMatch(/pi-2: (Client venus is connected|Not done, because)/);
  for (const server of servers) expect(configOf(server)).toContain(`venus ${key}\n`);
  await venus.rsconfigWell('-d', 'db');
  await venus.stop('rsiod');
  const renamed = 'pi-1: client venus is mars now\npi-2: client venus is mars now\npi-3: client venus is mars now\n';
  await expect.poll(async () => (await admin.rsconfig('client', 'rename', 'venus', 'mars')).stdout, { timeout: 30_000 }).toBe(renamed);
  expect(await admin.rsconfigWell('client', 'rename', 'venus', 'mars')).toBe(renamed);
  for (const server of servers) expect(configOf(server)).toContain(`mars ${key}\n`);
  const { volume } = JSON.parse(await admin.rsconfigWell('volume', 'show', 'db', '--json')) as { volume: { owner: string } };
  expect(volume.owner).toBe('mars');
});

it('a client cannot apply a file that shuts it out or stops another client, one without admin none, and no key goes over a plain path', async () => {
  const file = written(VENUS);
  await admin.rsconfigWell('apply', file);
  const venus = await startedClient('venus', keyOf('venus'), 1);
  await venus.rsconfigWell('volume', 'create', 'db', '--size', '16m');
  await venus.rsconfigWell('-a', 'db');
  const held = await admin.rsconfig('client', 'remove', 'venus');
  expect([held.code, held.stderr]).toEqual([
    1,
    expect.stringMatching(/pi-1: Client venus holds db@?0? of server pi-1: detach there first/),
  ]);
  // What one server refuses is done at none.
  expect(held.stderr).toMatch(/pi-2: Not done, because another server refuses: Client venus holds/);
  for (const server of servers) expect(configOf(server)).toContain('venus ');

  const mine = await venus.rsconfig('apply', file);
  expect([mine.code, mine.stderr]).toEqual([1, expect.stringMatching(/may not .*admin is needed/)]);
  writeFileSync(file, `[namespace osl]\nnamespaceid = 200\n[client big-2]\nkey = ${keyOf('big-2')}\nrights = manage\n`);
  const out = await admin.rsconfig('apply', file);
  expect([out.code, out.stderr]).toEqual([1, expect.stringMatching(/would take the right admin or the key from client big-2/)]);
  expect(configOf(servers[1]!)).toContain('big-2 admin\n');

  admin.writeConfig('rsiod', clientConfig(network, { serverAddresses: addresses }));
  await admin.rsconfigWell('reload');
  const plain = await admin.rsconfig('apply', written(VENUS));
  expect([plain.code, plain.stderr]).toEqual([1, expect.stringMatching(/are not encrypted, and the order has keys: set tls = on/)]);
});

it('two servers become peers of each other by one command', { timeout: 120_000 }, async () => {
  const one = await admin.rsconfig('peer', 'add', 'pi-1', 'pi-9');
  expect([one.code, one.stderr]).toEqual([2, expect.stringContaining('No server pi-9 in namespace osl: there are pi-1, pi-2, pi-3')]);
  expect((await admin.rsconfig('peer', 'add', 'pi-1', 'pi-1')).code).toBe(2);
  const connected = async (): Promise<unknown> => {
    const lists = [];
    for (const server of servers) {
      const { peers } = JSON.parse(await server.rsadmWell('peer', 'list', '--json')) as { peers: { name: string; isConnected: boolean }[] };
      lists.push(peers.map(({ name, isConnected }) => [name, isConnected]));
    }
    return lists;
  };
  const said = await admin.rsconfigWell('peer', 'add', 'pi-1', 'pi-2');
  expect(said.split('\n')).toEqual([
    'pi-1: client peer-pi-2 is added, with the right copy',
    'pi-1: peer pi-2 is added',
    'pi-2: client peer-pi-1 is added, with the right copy',
    'pi-2: peer pi-1 is added',
    '',
  ]);
  const [, key = ''] = /nodekey = (\S+)/.exec(configOf(servers[0]!).replaceAll(/ +/g, ' ')) ?? [];
  expect([key.length, configOf(servers[1]!).includes(`peer-pi-1 ${key}\n`)]).toEqual([KEY_NEW_CHARS, true]);
  await expect.poll(connected, { timeout: 30_000 }).toEqual([[['pi-2', true]], [['pi-1', true]], []]);
  // Written into the file as its page says, they are no difference any more.
  await admin.rsconfigWell('apply', written());
  const beyond = await admin.rsconfig('drift');
  expect([beyond.code, beyond.stderr]).toEqual([
    1,
    expect.stringMatching(
      /pi-1: Not in the file: client peer-pi-2, peer pi-2; write them into the file .*, which ends the copies from a peer\n/,
    ),
  ]);
  const sections = servers.slice(0, 2).map((server, at) => {
    const [, section = ''] = /(\[peer [^[]*)/.exec(configOf(server)) ?? [];
    const [, ofOther = ''] = /^\s*peer-pi-\d (\S+)$/m.exec(configOf(servers[1 - at]!)) ?? [];
    return `${section.trimEnd()}\nserver = ${NAMES[at]}\n[client peer-${NAMES[at]}]\nkey = ${ofOther}\nrights = copy\n`;
  });
  await admin.rsconfigWell('apply', written(...sections));
  expect(await admin.rsconfigWell('drift')).toMatch(/osl\/pi-1 +2 /);
  expect(await connected()).toEqual([[['pi-2', true]], [['pi-1', true]], []]);
  const again = await admin.rsconfig('peer', 'add', 'pi-2', 'pi-1');
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringMatching(/Server pi-2 has a peer pi-1 or .* rsadm peer remove pi-1 and rsadm client remove peer-pi-1 removes it/),
  ]);
});
