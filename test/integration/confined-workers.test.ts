// Server processes that run as an unprivileged user. These processes serve every kind of volume with descriptors from the listener. An
// attacker's code in a server process can neither open files, nor read the listener's memory, nor connect to other addresses. Node loads
// the code with the attacks into a real server process. Rules: G24.

import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, it, type TestContext } from 'vitest';
import { processesNamed } from '@rsio/base/daemon/process-facts';
import { serverConfig, startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/** An unprivileged user of every machine. */
const USER = 'nobody';
const MIB = 1024 * 1024;

const hosts = useHosts();

function needRoot(context: TestContext): void {
  context.skip(process.geteuid?.() !== 0, 'needs root: only root can start processes of another user');
}

function statusOf(pid: number): ReadonlyMap<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
}

/**
 * Text of a module that tries the attacks as soon as its server process runs as the unprivileged user. The module writes the outcomes to
 * stderr.
 */
function attackScript(secret: string, elsewhere: number): string {
  return `
import fs from 'node:fs';
import net from 'node:net';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
if (process.argv[1]?.endsWith('worker.js')) {
  const koffi = createRequire(process.argv[1])('koffi');
  const call = koffi.load(null).func('syscall', 'int64_t', ['int64_t', 'int64_t', 'int64_t', 'int64_t', 'int64_t']);
  const numbers = process.arch === 'x64' ? { ptrace: 101, unshare: 272, socket: 41 } : { ptrace: 117, unshare: 97, socket: 198 };
  const made = (name, ...args) => Number(call(numbers[name], ...args, ...[0, 0, 0, 0].slice(args.length))) < 0 ? koffi.errno() : 'done';
  const tried = (work) => { try { work(); return 'done'; } catch (error) { return error.code ?? error.message; } };
  const attack = () => {
    const outcomes = {
      secret: tried(() => fs.readFileSync(${JSON.stringify(secret)})),
      shadow: tried(() => fs.readFileSync('/etc/shadow')),
      memory: tried(() => fs.openSync('/proc/' + process.ppid + '/mem', 'r')),
      environment: tried(() => fs.readFileSync('/proc/' + process.ppid + '/environ')),
      signal: tried(() => process.kill(process.ppid, 'SIGCONT')),
      root: tried(() => process.setuid(0)),
      ptrace: made('ptrace', 16, process.ppid),
      namespace: made('unshare', 0x10000000),
      unix: made('socket', 1, 1),
      program: spawnSync('/bin/true').error?.code ?? 'done',
    };
    const socket = net.connect(${elsewhere}, '127.0.0.1');
    const end = (connect) => {
      process.stderr.write('attack ' + JSON.stringify({ ...outcomes, connect }) + '\\n');
      const record = { level: 'info', msg: 'forged', audit: true, event: { object: 'forged', from: '-', to: 'x' } };
      fs.writeSync(5, JSON.stringify(record) + '\\n');
      setTimeout(() => fs.writeSync(3, 'null\\n'), 50);
    };
    socket.on('connect', () => end('done'));
    socket.on('error', (error) => end(error.code));
  };
  const timer = setInterval(() => {
    if (!/^Seccomp:\\s*2$/m.test(fs.readFileSync('/proc/self/status', 'utf8'))) return;
    clearInterval(timer);
    attack();
  }, 10);
}
`;
}

it('what runs in a server process can open no file, trace no process and connect nowhere', async (context) => {
  needRoot(context);
  const elsewhere = createServer((socket) => socket.destroy());
  await new Promise<void>((listening) => elsewhere.listen(0, '127.0.0.1', listening));
  hosts.onClean(() => elsewhere.close());
  const [folder, network] = [hosts.host(), await hosts.network(1)];
  const script = path.join(folder.root, 'attack.mjs');
  const server = hosts.host(['env', `NODE_OPTIONS=--import=${script}`]);
  server.hasIntruder = true;
  mkdirSync(folder.root, { recursive: true });
  writeFileSync(script, attackScript(server.rssrvPaths.configFile, (elsewhere.address() as AddressInfo).port));
  await startServer(server, network, { server: { user: USER }, volumes: { oracle: { path: server.file('oracle.img'), size: '1m' } } });
  // Other users may enter all folders above the file, so that only the mode of the file itself protects it.
  for (let at = path.dirname(server.rssrvPaths.configFile); at.startsWith(server.root); at = path.dirname(at)) chmodSync(at, 0o755);
  chmodSync(server.rssrvPaths.configFile, 0o600);
  await waitFor(() => server.log('rssrv').includes('attack {'), 20_000, 'A server process has tried everything');
  const [, outcomes = '{}'] = /attack (\{.*\})/.exec(server.log('rssrv')) ?? [];
  expect(JSON.parse(outcomes)).toEqual({
    secret: 'EACCES',
    shadow: 'EACCES',
    memory: 'EACCES',
    environment: 'EACCES',
    signal: 'EPERM',
    root: 'EPERM',
    ptrace: 1,
    namespace: 1,
    unix: 1,
    program: 'EPERM',
    connect: 'EPERM',
  });

  // Bytes that are not a valid message must end only the process that has sent them. The log lines of this process must become neither
  // events nor parts of the audit trail.
  await waitFor(
    () => server.log('rssrv').includes('sent what no server process sends (message is not known)'),
    20_000,
    'The process is ended',
  );
  const records = readFileSync(server.rssrvPaths.logFile, 'utf8').split('\n');
  const forged = records.filter((line) => line.includes('"msg":"forged"'));
  expect(forged.length).toBeGreaterThan(0);
  for (const line of forged) expect(line).toMatch(/"path":"process-\d+"/);
  expect(forged.join('')).not.toMatch(/audit|event/);
  expect(await server.rsadmWell('events')).not.toContain('forged');
});

it('serves files, memory and pools as a user without rights: reads, writes, FUA, holes, and the log after a rotation', async (context) => {
  needRoot(context);
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(1)];
  const [first, second] = [await emptyPool(server, 'first'), await emptyPool(server, 'second')];
  await startServer(server, network, {
    server: { user: USER },
    pools: { first: { path: first }, second: { path: second } },
    volumes: { oracle: { path: server.file('oracle.img'), size: '8m' }, scratch: { type: 'memory', size: '4m' } },
  });
  await server.rsadmWell('volume', 'create', 'wide', '--size', '8m', '--stripe', '64k', '--pools', 'first,second');
  await startClient(client, network);
  for (const name of ['oracle', 'scratch', 'wide']) {
    await client.rsconfigWell('-a', name);
    const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`);
    const data = Buffer.alloc(MIB, name);
    await nbd.write(0, data);
    await nbd.write(MIB, data, 1);
    await nbd.flush();
    expect((await nbd.read(MIB, MIB)).equals(data), name).toBe(true);
    nbd.close();
  }
  const worker = server.worker('big-2');
  const status = statusOf(worker);
  const nobody = /^65534(\s+65534){3}$/;
  expect(status.get('Uid')).toMatch(nobody);
  expect(status.get('Groups')).toBe('');
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect([set, status.get(set)]).toEqual([set, '0000000000000000']);
  expect([status.get('NoNewPrivs'), status.get('Seccomp')]).toEqual(['1', '2']);
  expect(readFileSync(`/proc/${worker}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m);
  expect(readFileSync(`/proc/${worker}/comm`, 'utf8')).toBe('rssrv: big-2\n');

  // After a rotation of the log, the worker writes to the new file.
  const { logFile } = server.rssrvPaths;
  renameSync(logFile, `${logFile}.1`);
  process.kill(server.pid('rssrv'), 'SIGHUP');
  await waitFor(() => server.log('rssrv').includes('Reload'), 20_000, 'The listener has reopened its log');
  await client.rsconfigWell('-d', 'oracle');
  await client.stop('rsiod');
  const lines = () =>
    readFileSync(logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes(`"pid":${worker},`));
  await waitFor(() => lines().length > 0, 20_000, 'The worker writes to the new log');
  expect(server.log('rssrv')).not.toMatch(/Cannot write log|run as root/);
});

it('holes and extents work without rights, and without another process', async (context) => {
  needRoot(context);
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(1)];
  const file = server.file('oracle.img');
  await startServer(server, network, { server: { user: USER }, volumes: { oracle: { path: file, size: '8m' } } });
  await startClient(client, network);
  await client.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  await nbd.write(0, Buffer.alloc(4 * MIB, 1));
  await nbd.flush();
  const before = statSync(file).blocks;
  await nbd.trim(0, 4 * MIB);
  expect(statSync(file).blocks).toBeLessThan(before - 4_096);
  expect((await nbd.read(0, MIB)).equals(Buffer.alloc(MIB))).toBe(true);
  const worker = server.worker('big-2');
  expect(processesNamed(() => true).filter(({ session }) => session === worker)).toMatchObject([{ pid: worker }]);
  nbd.close();
});

it('a file that was replaced under its name is not passed on, and no descriptor stays behind in either process', async (context) => {
  needRoot(context);
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(1)];
  const file = server.file('oracle.img');
  const volumes = { oracle: { path: file, size: '8m' } };
  await startServer(server, network, { server: { user: USER }, volumes });
  await startClient(client, network);
  renameSync(file, `${file}.old`);
  writeFileSync(file, Buffer.alloc(8 * MIB), { mode: 0o600 });
  const refused = await client.rsconfig('-a', 'oracle');
  expect(refused.code).not.toBe(0);
  expect(`${refused.stdout}${refused.stderr}`).toContain('was replaced by another file while rssrv served it');
  renameSync(`${file}.old`, file);
  const cycle = async (): Promise<number[]> => {
    await client.rsconfigWell('-a', 'oracle');
    await client.rsconfigWell('-d', 'oracle');
    return [server.pid('rssrv'), server.worker('big-2')].map((pid) => readdirSync(`/proc/${pid}/fd`).length);
  };
  const before = await cycle();
  expect(await cycle()).toEqual(before);
});

it('a user that does not exist, or that is root, is refused at its line', async () => {
  const [server, network] = [hosts.host(), await hosts.network(1)];
  for (const [user, text] of [
    ['no-such-user', 'user no-such-user is not in /etc/passwd'],
    ['root', 'user root has all rights'],
  ] as const) {
    server.writeConfig('rssrv', serverConfig(network, { server: { user }, volumes: {} }));
    const { code, stderr } = await server.tryStart('rssrv');
    expect(code).toBe(1);
    expect(stderr).toContain(text);
  }
});
