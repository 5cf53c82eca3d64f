// Obstacles to a start outside of the configuration file: addresses, rights, sockets, another daemon, wrong usage. One line names the
// obstacle, nothing is left half-done, and a daemon that was running continues. Rules: G14.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { UNIX_PATH_MAX_BYTES } from '@rsio/base/daemon/limits';
import { clientConfig, serverConfig, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool, type RunResult } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const hosts = useHosts();
const MEMORY_ID = '0b7d3c1e-2f6a-4d58-8e19-5a4c7b9d0e21';
const VOLUMES = { oracle: { type: 'memory', size: '1m', id: MEMORY_ID } };

function expectOneLine({ code, stdout, stderr }: RunResult, line: RegExp, exitCode = 1): void {
  expect(stdout).toBe('');
  const lines = stderr.split('\n').filter((one) => one !== '' && !one.includes(': Warning: '));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(line);
  expect(code).toBe(exitCode);
}

/** Expects that the host has no process, no pid file, no socket and no memory volume. */
function expectNothingLeft(host: Host): void {
  expect(host.processes()).toEqual([]);
  for (const { runDir } of [host.rssrvPaths, host.rsiodPaths]) {
    const left = existsSync(runDir) ? readdirSync(runDir).filter((name) => name !== 'records.json') : [];
    expect(left).toEqual([]);
  }
  expect(existsSync(`/dev/shm/rsio-${process.geteuid?.()}/rsio-${MEMORY_ID}`)).toBe(false);
}

/** Loads koffi so that flock(2) fails with EBADF, as on a file system without locks. */
const WITHOUT_LOCKS = `
  const Module = require('node:module');
  const load = Module._load;
  const refusing = (flock) => Object.assign((_, how) => flock(-1, how), { async: (_, how, end) => flock.async(-1, how, end) });
  const wrapped = (library) => ({ func: (...words) => (/ flock[(]/.test(words[0]) ? refusing : (called) => called)(library.func(...words)) });
  Module._load = (name, ...rest) => {
    const loaded = load(name, ...rest);
    return name === 'koffi' ? { ...loaded, load: (file) => wrapped(loaded.load(file)) } : loaded;
  };
`;

/** Fails to load koffi, as on a platform for which koffi has no build. */
const WITHOUT_KOFFI = `
  const Module = require('node:module');
  const load = Module._load;
  Module._load = (name, ...rest) => {
    if (/(^|\\/)koffi(\\/index.cjs)?$/.test(name)) throw new Error('Cannot find the native Koffi module');
    return load(name, ...rest);
  };
`;

/** Returns a prefix of the command line of a program that runs the text before its own code. */
function preloading(text: string): string[] {
  const file = path.join(hosts.host().root, 'preload.cjs');
  writeFileSync(file, text);
  return ['env', `NODE_OPTIONS=--require=${file}`];
}

function isListening(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port });
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

describe('rssrv', () => {
  it('the second of its addresses is in use: the first one is released', async () => {
    const host = hosts.host();
    const network = await hosts.network(2);
    const [first = '', second = ''] = network.serverAddresses;
    const other = net.createServer();
    await new Promise<void>((resolve) => other.listen(network.port, second, resolve));
    hosts.onClean(() => other.close());
    host.writeConfig('rssrv', serverConfig(network, { volumes: VOLUMES }));
    expectOneLine(
      await host.tryStart('rssrv'),
      new RegExp(
        `^rssrv: Cannot listen on ${second} port ${network.port} \\(interface if2\\): another program uses the port. Find it with ss -ltnp, stop it, or set another port \\[E_ADDRESS_IN_USE\\]$`,
      ),
    );
    expectNothingLeft(host);
    expect(await isListening(first, network.port)).toBe(false);
  });

  it('one address is missing on the machine: it starts and reports it, and --check reports the same', async () => {
    const host = hosts.host();
    const network = await hosts.network(2);
    const [first = '', second = ''] = network.serverAddresses;
    host.writeConfig('rssrv', serverConfig(network, { volumes: VOLUMES }).replace(second, '198.51.100.7'));
    const words =
      /^rssrv: Warning: Cannot listen on 198\.51\.100\.7 port \d+ \(interface if2\): this machine does not have the address. Correct it, or bring the interface up; meanwhile the server serves on its other interfaces \[E_ADDRESS_MISSING\]\n/;
    const checked = await host.check('rssrv');
    expect(checked).toMatchObject({ code: 0, stderr: expect.stringMatching(words) });
    expect((await host.start('rssrv')).stderr).toMatch(words);
    expect(await isListening(first, network.port)).toBe(true);
  });

  it('its only address is missing on the machine', async () => {
    const host = hosts.host();
    const network = await hosts.network(1);
    const config = serverConfig(network, { volumes: VOLUMES }).replace(network.serverAddresses[0] ?? '', '198.51.100.7');
    host.writeConfig('rssrv', config);
    expectOneLine(
      await host.tryStart('rssrv'),
      /^rssrv: Cannot listen on 198\.51\.100\.7 port \d+ \(interface if1\): this machine does not have the address. Correct it, or bring the interface up \[E_ADDRESS_MISSING\]$/,
    );
    expectNothingLeft(host);
  });

  it('--check reports files that cannot be locked and a low limit of open files, and a start reports the same', async (context) => {
    needTool(context, 'prlimit', 'util-linux');
    const host = hosts.host(['prlimit', '--nofile=150:150', ...preloading(WITHOUT_LOCKS)]);
    const free = { path: host.file('storage/free.img'), size: '1m', unlocked: 'yes' };
    const locked = { path: host.file('storage/locked.img'), size: '1m', unlocked: 'no' };
    const network = await hosts.network(1);
    host.writeConfig('rssrv', serverConfig(network, { volumes: { free, locked } }));
    const checked = await host.check('rssrv');
    const lines = checked.stderr.trimEnd().split('\n');
    expect([checked.code, lines]).toEqual([
      0,
      [
        expect.stringMatching(/Warning: The limit of open files is 150, but .* raise it/),
        expect.stringMatching(/Warning: \S+free\.img of volume free cannot be locked: make sure that no other program uses it$/),
        expect.stringMatching(
          /Warning: Volume locked: \S+locked\.img cannot be locked, .*: use a file system that has locks, .* set unlocked = yes \[E_VOLUME\]$/,
        ),
      ],
    ]);
    expect(readdirSync(path.join(host.root, 'storage'))).toEqual([]);
    const { stderr } = await host.start('rssrv');
    const said = `${stderr}${host.log('rssrv')}`;
    for (const line of lines) expect(said).toContain(line.replace('rssrv: Warning: ', ''));
    host.writeConfig('rssrv', serverConfig(network, { volumes: { free, locked, more: { type: 'memory', size: '1m' } } }));
    process.kill(host.pid('rssrv'), 'SIGHUP');
    const isSaid = (): boolean => /The limit of open files is 150, but .* for 3 volumes/.test(host.log('rssrv'));
    await waitFor(isSaid, 10_000, 'The reload says it with its numbers');
    await host.stop('rssrv');
  });

  it('a machine without koffi is named, by both daemons and by --check, and nothing is left', async () => {
    const host = hosts.host(preloading(WITHOUT_KOFFI));
    const network = await hosts.network(1);
    host.writeConfig('rssrv', serverConfig(network, { volumes: VOLUMES }));
    host.writeConfig('rsiod', clientConfig(network));
    const platform = `${process.platform}-${process.arch}`;
    for (const program of ['rssrv', 'rsiod'] as const)
      expectOneLine(
        await host.tryStart(program),
        new RegExp(
          `^${program}: The library koffi cannot be loaded on ${platform} \\(Cannot find the native Koffi module\\): install RSIO again, ` +
            'with its package or npm run build, on a platform for which koffi has a build, such as Linux on x86-64 or arm64 \\[E_SYSTEM\\]$',
        ),
      );
    expect(await host.check('rssrv')).toMatchObject({ code: 1, stderr: expect.stringContaining('The library koffi cannot be loaded') });
    expectNothingLeft(host);
  });

  it('--check says why server processes have more rights than they need', async (context) => {
    needTool(context, 'setpriv', 'util-linux');
    const host = hosts.host(process.geteuid?.() === 0 ? ['setpriv', '--bounding-set=-setuid'] : []);
    host.writeConfig('rssrv', serverConfig(await hosts.network(1), { volumes: VOLUMES }).replace('serverid', 'user = nobody\nserverid'));
    expect(await host.check('rssrv')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^rssrv: Warning: Server processes run as .*: (start rssrv as root|let rssrv have the capabilities) /),
    });
  });

  it('--check of addresses and volumes reports what a start would, changes nothing, and works beside a running daemon', async () => {
    const host = hosts.host();
    const network = await hosts.network(1);
    const volumes = { lost: { path: '/nowhere/lost.img', size: '1m' }, new: { path: host.file('storage/new.img'), size: '1m' } };
    const config = serverConfig(network, { volumes });
    host.writeConfig('rssrv', config);
    const doubt = 'rssrv: Warning: Volume lost: directory /nowhere does not exist: create it, or correct path = [E_VOLUME]\n';
    const good = await host.check('rssrv');
    expect(good).toMatchObject({ code: 0, stderr: doubt });
    expect(good.stdout).toMatch(/1 interface, 2 volumes and 2 clients: good\n$/);
    expect(readdirSync(path.join(host.root, 'storage'))).toEqual([]);
    await host.start('rssrv');
    expect(await host.check('rssrv')).toMatchObject({ code: 0, stderr: doubt });
    await host.stop('rssrv');
    host.writeConfig('rssrv', config.replace(network.serverAddresses[0] ?? '', '198.51.100.7'));
    const { code, stdout, stderr } = await host.check('rssrv');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^rssrv: Warning: .*\nrssrv: Cannot listen on 198\.51\.100\.7 .*does not have the address.* \[E_ADDRESS_MISSING\]\n$/,
    );
  });

  // Root may use every port, so this case exists only for other users.
  if (process.getuid?.() !== 0) {
    it('a port that needs a privilege', async () => {
      const host = hosts.host();
      const network = await hosts.network(1);
      host.writeConfig('rssrv', serverConfig({ ...network, port: 80 }, { volumes: VOLUMES }));
      expectOneLine(await host.tryStart('rssrv'), /no permission for this port. Run as root, or set a port of 1024 or above \[E_RIGHTS\]$/);
      expectNothingLeft(host);
    });
  }

  it('a second daemon on the same root is refused, and the first one continues', async () => {
    const host = hosts.host();
    const network = await hosts.network(2);
    await startServer(host, network, { volumes: VOLUMES });
    await startClient(host, network);
    await host.rsconfigWell('-a');
    const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
    hosts.onClean(() => nbd.close());
    for (const program of ['rssrv', 'rsiod'] as const) {
      const pid = host.pid(program);
      expectOneLine(
        await host.tryStart(program),
        new RegExp(
          `^${program}: ${program} is already running as pid ${pid} \\(.*/pid\\): stop it first, or choose another --root \\[E_ALREADY_RUNNING\\]$`,
        ),
      );
      expect(host.pid(program)).toBe(pid);
      await nbd.verify(0, 65536);
    }
    const { paths } = await host.call('stats', {});
    expect(paths.map(({ deaths }) => deaths)).toEqual([0, 0]);
  });

  it('files in the place of its folders', async () => {
    const host = hosts.host();
    const network = await hosts.network(1);
    host.writeConfig('rssrv', serverConfig(network, { volumes: VOLUMES }));
    writeFileSync(path.join(host.root, 'run'), 'no folder');
    expectOneLine(
      await host.tryStart('rssrv'),
      /^rssrv: Pid file .*\/pid cannot be written \((ENOTDIR|EEXIST)\): check its folder \[E_SYSTEM\]$/,
    );
    expect(host.processes()).toEqual([]);
  });

  it('volumes that cannot be opened, or that another server has locked, stop neither the server nor the other volumes', async () => {
    const [holder, host] = [hosts.host(), hosts.host()];
    const taken = { path: holder.file('storage/shared.img'), size: '1m' };
    await startServer(holder, await hosts.network(1), { volumes: { theirs: taken } });
    const network = await hosts.network(2);
    mkdirSync(path.join(host.root, 'folder'));
    const lost = { path: '/nowhere/lost.img', size: '1m' };
    const volumes = {
      bad: { path: path.join(host.root, 'folder') },
      lost,
      taken,
      hidden: { ...lost, path: '/nowhere/hidden.img', clients: 'venus' },
      ...VOLUMES,
    };
    host.writeConfig('rssrv', serverConfig(network, { volumes }));
    const result = await host.tryStart('rssrv');
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/^rssrv: .*bad.*folder.*: .* \[E_VOLUME\]$/m);
    expect(result.stderr).toMatch(
      /^rssrv: .*taken.*shared\.img is locked: stop the other rssrv, its processes or the program that uses it.* \[E_VOLUME\]\n$/m,
    );
    expect(result.stderr).toMatch(/^rssrv: Volume lost: directory \/nowhere does not exist: create it, or correct path = \[E_VOLUME\]$/m);
    await startClient(host, network);
    expect(await host.rsconfigWell('-a')).toMatch(/^osl:oracle@0 attached .*\n$/);
    for (const name of ['lost', 'osl:lost@0']) {
      expect(await host.rsconfig('-a', name)).toMatchObject({
        code: 1,
        stderr: `rsconfig: ${name}: Server big-9 cannot offer it: Volume lost: directory /nowhere does not exist: create it, or correct path = [E_VOLUME]\n`,
      });
    }
    // The error must be the same for a missing volume and for a volume that this client may not see. A different error would tell the
    // client that the volume exists.
    for (const name of ['lost@1', 'hidden', 'none']) expect((await host.rsconfig('-a', name)).stderr).toMatch(/E_UNKNOWN_VOLUME\]\n$/);
    mkdirSync(path.join(host.root, 'storage'));
    const text = readFileSync(host.rssrvPaths.configFile, 'utf8');
    writeFileSync(host.rssrvPaths.configFile, text.replace('/nowhere/lost.img', path.join(host.root, 'storage/lost.img')));
    process.kill(host.pid('rssrv'), 'SIGHUP');
    await waitFor(async () => (await host.rsconfig('-a', 'lost')).code === 0, 10_000, 'The volume can be had');
  });
});

describe('rsiod', () => {
  const shared = useHosts('file');
  let server: TestNetwork;

  /** Starts one server, which the clients of these tests use one after the other. */
  beforeAll(async () => {
    server = await shared.network(2);
    await startServer(shared.host(), server, { volumes: VOLUMES });
  });

  it('a root whose socket paths are too long', async () => {
    const host = hosts.host();
    const network = await hosts.network(1);
    const root = path.join(host.root, 'r'.repeat(UNIX_PATH_MAX_BYTES));
    mkdirSync(path.join(root, 'etc'), { recursive: true });
    writeFileSync(path.join(root, 'etc/rscltcfg'), clientConfig(network), { mode: 0o600 });
    const result = await host.run('rsiod', ['--root', root]);
    expectOneLine(
      result,
      /^rsiod: Socket path .* has \d+ bytes, more than the 107 the system takes: choose a shorter --root \[E_SOCKET_PATH\]$/,
    );
    expect(host.processes()).toEqual([]);
    expect(readdirSync(path.join(root, 'run/rsio/rsiod'))).toEqual([]);
  });

  it('an interface address missing on the machine: its path reports it, and the other path works', async () => {
    const host = hosts.host();
    const [, second = ''] = server.clientAddresses();
    const config = clientConfig(server, { defaults: { paths: 'all' } }).replace(second, '198.51.100.7');
    host.writeConfig('rsiod', config);
    await host.start('rsiod');
    const status = await host.rsconfigWell('-m', 'status', '-v');
    expect(status).toMatch(
      /^1 if1 IP\(TCP\) 198\.51\.100\.7\/\d+\n {4}rep: .* (down|connecting) tx: - rx: -\n.*\n {8}error: No connection from 198\.51\.100\.7 to .*EADDRNOTAVAIL: this machine does not have the local address/m,
    );
    expect(await host.rsconfigWell('-a')).toMatch(/^osl:oracle@0 attached/);
  });
});

describe('wrong usage', () => {
  it.each([
    ['rssrv', ['--frobnicate'], /^rssrv: Unknown option --frobnicate: see rssrv --help \[E_USAGE\]$/],
    ['rssrv', ['word'], /^rssrv: Unexpected argument word.*: see rssrv --help \[E_USAGE\]$/],
    ['rssrv', ['--check=yes'], /^rssrv: .*--check.*: see rssrv --help \[E_USAGE\]$/],
    ['rsiod', ['--root'], /^rsiod: .*--root.*: see rsiod --help \[E_USAGE\]$/],
    ['rsiod', ['--root', ''], /^rsiod: --root is empty: name a folder, see rsiod --help \[E_USAGE\]$/],
    ['rsconfig', ['-q', '-l'], /^rsconfig: -q and -l exclude each other: give one, see rsconfig --help \[E_USAGE\]$/],
    ['rsconfig', ['-m', 'weather'], /^rsconfig: Unknown -m weather: give status, stats or test, see rsconfig --help \[E_USAGE\]$/],
  ])('%s %s', async (program, args, line) => {
    const host = hosts.host();
    expectOneLine(await host.run(program, args), line, 2);
    expectNothingLeft(host);
  });

  it('rsconfig without rsiod', async () => {
    const host = hosts.host();
    for (const args of [['-q'], ['-a'], ['-m', 'status'], ['events']]) {
      expectOneLine(
        await host.rsconfig(...args),
        /^rsconfig: rsiod is not running, nothing listens on .*\/control: start it with: rsiod --root .* \[E_NOT_RUNNING\]$/,
      );
    }
  });
});
