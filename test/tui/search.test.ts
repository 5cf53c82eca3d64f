// The search for servers while rsiod runs: a server does not answer discovery, an interface cannot be used, and a key is wrong. Afterwards
// the test saves the file, rsiod adopts it, and the paths of rsiod are tested. rssrv and rsiod are real.

import { readFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { TmuxTerminal } from './tmux-terminal.ts';

const hosts = useHosts();
let client: Host;
let network: TestNetwork;
let near: readonly string[];
let far: readonly string[];

/**
 * Starts a server and a client. The server has three interfaces, and does not answer discovery. The client has two interfaces, and its file
 * has one interface of the server.
 */
beforeEach(async (context) => {
  needTool(context, 'tmux', 'tmux');
  const server = hosts.host();
  client = hosts.host();
  network = await hosts.network(3);
  near = network.clientAddresses();
  far = network.serverAddresses;
  const text = serverConfig(network, { volumes: { oracle: { type: 'memory', size: '16m' } } });
  server.writeConfig('rssrv', text.replace('port = ', 'explore = no\nport = '));
  await server.start('rssrv');
});

function clientFile(key: string): string {
  const whole = clientConfig(network, { key, serverAddresses: far.slice(0, 1), defaults: { paths: 'configured' } });
  return whole.replace(`[interface if2]\naddress = ${near[2]}\n\n`, '');
}

async function search(key: string): Promise<TmuxTerminal> {
  client.writeConfig('rsiod', clientFile(key));
  const terminal = await TmuxTerminal.start(client);
  await terminal.sees('> Interfaces');
  await terminal.press('Down', 'Enter');
  await terminal.sees('> osl');
  await terminal.press('Enter');
  await terminal.sees('Server interfaces');
  await terminal.press('F7');
  await terminal.sees('> Find New Namespace Servers');
  await terminal.press('Enter');
  return terminal;
}

it('a silent server is queried over TCP, one interface is rejected with its reason, and rsiod adopts the new path and measures it', async () => {
  const terminal = await search(keyOf('big-2'));
  await terminal.sees('Servers of osl: 1 new');
  await terminal.sees(new RegExp(`${far[0]} +already there as big-9-1`));
  await terminal.sees(new RegExp(`${far[1]} +added as big-9-2`));
  await terminal.sees(new RegExp(`${far[2]} +left out *│\n│ +not on a common subnet with any interface of the client`));
  await client.start('rsiod');
  await client.pathsUp(1);
  await terminal.press('F3');
  await terminal.sees(/rsiod has applied it, 1 change$/m);
  await client.pathsUp(2);
  expect(readFileSync(client.rsiodPaths.configFile, 'utf8')).toBe(`${clientFile(keyOf('big-2'))}\n[server big-9-2]\naddress = ${far[1]}\n`);
  await terminal.press('Enter');
  await terminal.sees('Server interfaces');
  await terminal.press('F7', 'Down', 'Down', 'Down');
  await terminal.sees('> Test paths');
  await terminal.press('Enter');
  await terminal.sees(`if1 ${near[1]} -> ${far[1]}/${network.port}`);
  await terminal.sees(/(?:round trip \d+\.\d\d ms, in \d+ MB\/s, out \d+ MB\/s[^]*){2}/);
});

it('a key that the server does not know is reported, and nothing is added', async () => {
  const terminal = await search('0xanother-key-than-the-servers');
  await terminal.sees('Servers of osl: 0 new');
  const screen = await terminal.sees(new RegExp(`! ${far[0]}: [^]*key`));
  expect(screen.replaceAll(/[│\s]+/g, ' ')).toMatch(new RegExp(`! ${far[0]}: .*key`));
  expect(screen).not.toContain('not saved');
});
