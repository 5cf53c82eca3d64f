// crsio on a server, in a terminal with the keyboard alone and a real rssrv: the tests create a volume and give it to a client, check the
// pages about the server, and check the start page of a machine that is both server and client.

import { mkdirSync, readFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { expectScreen, type Mask } from './screen-file.ts';
import { TmuxTerminal } from './tmux-terminal.ts';

/** Creating a volume and giving it to a known client takes at most this many keys. Each typed character counts as a key. */
const KEYS_MAX = 12;

const hosts = useHosts();
let host: Host;
let network: TestNetwork;
let mask: Mask;

beforeEach(async (context) => {
  needTool(context, 'tmux', 'tmux');
  host = hosts.host();
  network = await hosts.network(1);
  mask = [
    [host.root, 'ROOT'],
    // The placeholder replaces both columns, and has their common width.
    [new RegExp(`${network.serverAddresses[0]} +${network.port}`, 'g'), '127.45.0.10       5000'],
    [/release \S+, pid \d+, since .*\)/g, 'release R, pid N, since TIME'],
    [/\[[█·#.]+\] +\d+%/g, '[BAR]  N%'],
    [/[\d.]+[KMGT] free/g, 'N.NG free'],
  ];
});

/** Starts a server with the clients big-2 and venus, and with one pool that has these volumes. */
async function startServer(...volumes: readonly string[]): Promise<void> {
  host.writeConfig('rssrv', serverConfig(network, { volumes: {} }));
  await host.start('rssrv');
  const pool = host.file('pool/x').replace(/\/x$/, '');
  mkdirSync(pool, { recursive: true });
  await host.rsadmWell('pool', 'add', 'fast', pool);
  for (const name of volumes) await host.rsadmWell('volume', 'create', name, '--size', '1g');
}

it('a volume is created and handed out with a dozen keys', async () => {
  await startServer();
  const terminal = await TmuxTerminal.start(host);
  await terminal.sees('0 volumes, 0 held');
  await expectScreen(terminal, 'server-menu', mask);
  let keys = 0;
  const press = async (...names: readonly string[]): Promise<void> => {
    keys += names.length;
    await terminal.press(...names);
  };
  const type = async (text: string): Promise<void> => {
    keys += text.length;
    await terminal.type(text);
  };
  await press('Enter');
  await terminal.sees('> name *');
  await type('db');
  await press('Tab');
  await type('20g');
  await press('Tab', 'F4');
  await terminal.sees('Space marks a client');
  await expectScreen(terminal, 'server-create', mask);
  await press('Down', 'Enter', 'F3');
  await terminal.sees('db@0 created in pool fast, 20.0G, for venus');
  expect(keys).toBeLessThanOrEqual(KEYS_MAX);
  expect(await host.rsadmWell('volume', 'show', 'db')).toMatch(/^ +clients: +venus$/m);
  await terminal.press('Escape', 'F10');
  await terminal.ended(0);
});

it('a client that the server does not know is added with the volume, and gets the command that joins', async () => {
  await startServer();
  const terminal = await TmuxTerminal.start(host);
  await terminal.sees('0 volumes, 0 held');
  await terminal.press('Enter');
  await terminal.type('web');
  await terminal.press('Tab');
  await terminal.type('1g');
  await terminal.press('Tab');
  await terminal.type('mars');
  await terminal.press('F3');
  await terminal.sees('> Create the volume, and add 1 client');
  await terminal.press('Enter');
  const screen = await terminal.sees('Key of client mars, shown only here:');
  expect(screen).toContain(`rsconfig join ${network.serverAddresses[0]}:${network.port} --name mars --key-file -`);
  const key = /^mars (\S+)$/m.exec(readFileSync(host.rssrvPaths.configFile, 'utf8'))?.[1] ?? 'no key';
  expect(screen).toContain(key);
  await terminal.press('Enter');
  await terminal.sees('> Choose its clients', key);
});

it('lists, filters and the status page, also on a large terminal', async () => {
  await startServer('alpha', 'beta', 'gamma');
  const terminal = await TmuxTerminal.start(host);
  await terminal.sees('3 volumes, 0 held');
  await terminal.press('Down', 'Enter');
  await terminal.sees('> - alpha@0');
  await expectScreen(terminal, 'server-volumes', mask);
  await terminal.resize(132, 43);
  await terminal.sees(/^└─{130}┘$/m);
  await expectScreen(terminal, 'server-volumes-132x43', mask);
  await terminal.resize(80, 24);
  await terminal.type('mm');
  await terminal.sees('> - gamma@0', 'alpha@0');
  await terminal.press('F8');
  await terminal.sees('Remove volume gamma@0, 1.0G, from pool fast?');
  await terminal.press('Up', 'Enter');
  await terminal.sees('gamma@0 removed; until');
  // Two Escapes in one read count as one, so they must arrive separately.
  await terminal.press('Escape');
  await terminal.sees('alpha@0');
  await terminal.press('Escape');
  await terminal.sees('> Volumes');
  await terminal.press('Down', 'Down', 'Down', 'Down', 'Enter');
  await terminal.sees('2 volumes, 0 held, 0 unavailable');
  await expectScreen(terminal, 'server-status', mask);
  await terminal.resize(79, 24);
  await terminal.sees('crsio needs 80x24');
  await expectScreen(terminal, 'server-too-small', mask);
});

it('pages of clients, pools and interfaces', async () => {
  await startServer('alpha');
  const terminal = await TmuxTerminal.start(host);
  await terminal.sees('1 volume, 0 held');
  await terminal.press('Down', 'Down', 'Enter');
  await terminal.sees('> - big-2');
  await expectScreen(terminal, 'server-clients', mask);
  await terminal.press('Escape');
  await terminal.sees('> Clients');
  await terminal.press('Down', 'Enter');
  await terminal.sees('> + fast');
  await expectScreen(terminal, 'server-pools', mask);
  await terminal.press('Enter');
  await terminal.sees('> Check');
  await terminal.press('Enter');
  await terminal.sees('Pool fast: 1 volume, nothing unexplained');
  await terminal.press('Escape');
  await terminal.sees('> + fast');
  await terminal.press('Escape');
  await terminal.sees('> Pools');
  await terminal.press('Down', 'Enter');
  await terminal.sees('> + if1');
  await expectScreen(terminal, 'server-interfaces', mask);
  await terminal.press('F8');
  await terminal.sees('rssrv stops listening there');
  await terminal.press('Up', 'Enter');
  // rssrv refuses a server without an interface, and the page says so.
  await terminal.sees('Removing interface if1: ');
  await terminal.press('Enter');
  await terminal.sees('> + if1');
});

it('colours repeat what signs say, NO_COLOR removes them, and while the server hangs, keys work and the waiting is counted', async () => {
  await startServer('alpha');
  const coloured = await TmuxTerminal.start(host, { env: { TERM: 'xterm-256color', NO_COLOR: '' } });
  await coloured.sees('1 volume, 0 held');
  await coloured.press('Down', 'Down', 'Down', 'Enter');
  await coloured.sees('> + fast');
  await coloured.press('Down');
  await coloured.sees('  + fast');
  // The sign + must be green.
  expect(await coloured.colouredScreen()).toContain('^[[32m+');
  const plain = await TmuxTerminal.start(host, { env: { NO_COLOR: '1' } });
  await plain.sees('1 volume, 0 held');
  expect(await plain.colouredScreen()).not.toMatch(/\^\[\[[0-9;]*3[0-6]m/);
  // crsio reports the change when the server continues.
  const pid = host.pid('rssrv');
  process.kill(pid, 'SIGSTOP');
  try {
    await plain.press('Enter');
    await plain.type('db');
    await plain.press('Tab');
    await plain.type('1g');
    await plain.press('F3');
    await plain.sees(/Creating volume db@0 \.\.\. [1-9]\d* s/);
    await plain.press('F1');
    await plain.sees('Creates a volume and hands it out');
    await plain.press('Escape');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await plain.sees('db@0 created in pool fast, 1.0G, for all clients');
});

it('without rssrv it shows the file and how to start rssrv, and follows once rssrv runs', async () => {
  host.writeConfig('rssrv', serverConfig(network, { volumes: { oracle: { type: 'memory', size: '16m' } } }));
  const terminal = await TmuxTerminal.start(host);
  await terminal.sees('! rssrv is not running on this machine');
  await terminal.press('Down', 'Enter');
  await terminal.sees('oracle@0');
  await expectScreen(terminal, 'server-not-running', mask);
  await host.start('rssrv');
  await terminal.sees('- oracle@0', 'not running');
});

it('a machine that is server and client has a start page, and each part keeps its place', async () => {
  await startServer('alpha');
  host.writeConfig('rsiod', clientConfig(network));
  const terminal = await TmuxTerminal.start(host);
  await terminal.sees('> Server ');
  await expectScreen(terminal, 'start', mask);
  await terminal.press('Down', 'Enter');
  await terminal.sees('RSIO client');
  await terminal.press('Home', 'Down', 'Enter');
  await terminal.sees('> osl');
  await terminal.press('F8');
  await terminal.sees('Remove namespace osl');
  await terminal.press('Up', 'Enter');
  await terminal.sees('* not saved');
  await terminal.press('Escape');
  await terminal.sees('> Add NEW Namespace');
  await terminal.press('Escape');
  await terminal.sees('> Client ');
  await terminal.press('Up', 'Enter');
  await terminal.sees('1 volume, 0 held');
  // If crsio is left on a page of the server, it asks about unsaved changes of the client's file.
  await terminal.press('F10');
  await terminal.sees('> Save and leave');
  await terminal.press('Down', 'Enter');
  await terminal.ended(0);
});
