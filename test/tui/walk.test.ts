// The steps of the original hands-on lab in a terminal of 80x24, with the keyboard only and without a configuration file at the beginning.
// crsio finds a real rssrv and writes a file that equals the one in the manual byte for byte, and rsiod runs with this file over two paths.

import { readFileSync, statSync } from 'node:fs';
import { sampleRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { expect, it } from 'vitest';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { addNamespace, removeNamespace, whyNoNetlab } from '../support/netlab/netns.ts';
import { needTool, runWell } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { expectScreen, type Mask } from './screen-file.ts';
import { TmuxTerminal } from './tmux-terminal.ts';

const KEY = keyOf('big-2');
/** Port of the server in this test. A new file of crsio has the same port by default. */
const PORT = 5000;
const FREE_DEADLINE_MS = 5_000;

const hosts = useHosts();

/**
 * Returns the prefix for the programs of this test. If possible, the prefix runs them in a separate network namespace, which has a further
 * card that crsio could offer.
 */
async function ownNetwork(): Promise<readonly string[]> {
  if ((await whyNoNetlab()) !== null) return [];
  const name = await addNamespace('walk');
  hosts.onClean(() => removeNamespace(name));
  await runWell('ip', ['-n', name, 'link', 'add', 'card0', 'type', 'veth', 'peer', 'name', 'card1']);
  await runWell('ip', ['-n', name, 'address', 'add', '192.0.2.1/24', 'dev', 'card0']);
  for (const card of ['card0', 'card1']) await runWell('ip', ['-n', name, 'link', 'set', card, 'up']);
  return ['ip', 'netns', 'exec', name];
}

/**
 * Whether no other server of this machine uses the port. Without a separate namespace, broadcasts on 127/8 would reach another server on
 * this port.
 */
async function isPortFree(): Promise<boolean> {
  const hex = `:${PORT.toString(16).toUpperCase().padStart(4, '0')} `;
  const isFree = (): boolean => !readFileSync('/proc/net/udp', 'utf8').includes(hex);
  return waitFor(isFree, FREE_DEADLINE_MS, `UDP port ${PORT} free`).catch(() => false);
}

function maskOf(host: Host, network: TestNetwork): Mask {
  return [
    [host.root, 'ROOT'],
    ...network.clientAddresses().map((address, index) => [address, `127.${45 + index}.0.20`] as const),
    ...network.serverAddresses.map((address, index) => [address, `127.${45 + index}.0.10`] as const),
  ];
}

it('from no file to two connected paths', async (context) => {
  needTool(context, 'tmux', 'tmux');
  const command = await ownNetwork();
  context.skip(command.length === 0 && !(await isPortFree()), `needs UDP port ${PORT}: another server of this machine has it`);
  const [server, client, network] = [hosts.host(command), hosts.host(command), await hosts.network(2)];
  const [near, far] = [network.clientAddresses(), network.serverAddresses];
  const volumes = { oracle: { type: 'memory', size: '16m', id: '7d444840-9dc0-11d1-b245-5ffdce74fad2' } };
  server.writeConfig('rssrv', serverConfig({ port: PORT, serverAddresses: far }, { volumes }));
  await server.start('rssrv');
  const mask = maskOf(client, network);
  const terminal = await TmuxTerminal.start(client);
  const shows = async (text: string | RegExp, name: string): Promise<void> => {
    await terminal.sees(text);
    await expectScreen(terminal, name, mask);
  };

  await shows('> Interfaces', 'menu-empty');
  await terminal.press('Enter');
  for (const [index, address] of near.entries()) {
    await terminal.sees('Add interface');
    if (index > 0) await terminal.press('Down');
    await terminal.press('Enter');
    await terminal.sees('New interface');
    await terminal.type(address);
    if (index === 0) await shows(address, 'interface-form');
    await terminal.press('Enter', 'Enter');
    await terminal.sees(new RegExp(`if${index} +${address} `));
  }
  await terminal.press('F3');
  await shows('rsiod is not running', 'interfaces-saved');
  await terminal.press('Escape');
  await terminal.sees('> Add NEW Namespace');
  await terminal.press('Enter');
  await terminal.sees('New namespace');
  await terminal.press('F7');
  await shows('> Find NEW Namespace', 'namespace-actions');
  await terminal.press('Enter');
  await shows('Find NEW Namespace: 1 found', 'namespaces-found');
  await terminal.press('Enter');
  await terminal.sees(/> nodename/);
  await terminal.type('big-2');
  await terminal.press('Enter');
  await terminal.type(KEY);
  await shows('••', 'login');
  await terminal.press('F7', 'Down');
  await terminal.sees('> Find New Namespace Servers');
  await terminal.press('Enter');
  await shows('Servers of osl: 2 new', 'servers-found');
  await terminal.press('F3');
  await terminal.sees('> Start rsiod', '* not saved');
  await terminal.press('Down', 'Enter', 'Escape');
  await shows('Namespace osl', 'namespace');
  const file = client.rsiodPaths.configFile;
  expect(readFileSync(file, 'utf8')).toBe(sampleRscltcfg({ near, far, port: PORT, key: KEY }));
  expect(statSync(file).mode & 0o777).toBe(0o600);

  await client.start('rsiod');
  await client.pathsUp(2);
  expect(await client.rsconfigWell('-q')).toContain('000 osl\n  clt: big-2\n  srv: 000 big-9\n      0  oracle ');
  expect(await client.rsconfigWell('-a')).toContain('osl:oracle@0 attached ');
  const paths = near.map(
    (address, index) =>
      `${index} if${index} IP(TCP) ${address}/${PORT}\n    rep: 00${index} IP(TCP) ${far[index]}/${PORT} connected tx: ok rx: ok\n`,
  );
  await waitFor(
    async () => (await client.rsconfigWell('-m', 'status')) === paths.join(''),
    FREE_DEADLINE_MS,
    `The status is ${paths.join('')}`,
  );

  await terminal.press('Escape');
  await terminal.sees('> Status');
  await terminal.press('F10');
  await terminal.ended(0);
});
