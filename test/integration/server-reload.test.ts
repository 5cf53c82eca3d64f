// SIGHUP makes rssrv reload its file. The tests cover changes that rssrv applies while sessions are alive, as raw sessions see them, and
// files that rssrv refuses as a whole. server-discovery.test.ts tests discovery datagrams, and the tests of rsiod test rsiod's reaction to
// a new list.

import { readFileSync, renameSync } from 'node:fs';
import net from 'node:net';
import { OP } from '@rsio/protocol/wire/frames';
import { ListAnswer } from '@rsio/protocol/wire/messages';
import { errnoName } from '@rsio/base/lib/errors';
import { beforeEach, describe, expect, it } from 'vitest';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { RawClient, type RawFrame } from '../support/peers/raw-peer.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const RELOAD_MS = 10_000;
/** A path on a removed interface ends within this time. The client has 5 s to retire the path, and the server checks once a second. */
const UNLISTED_END_MS = 8_000;

const hosts = useHosts();
let host: Host;
let network: TestNetwork;

/** The server's file with the first `interfaces` of the network's addresses; each edit is [from, to]. */
function file(interfaces: number, ...edits: readonly (readonly [string, string])[]): string {
  const shown = { ...network, serverAddresses: network.serverAddresses.slice(0, interfaces) };
  let text = serverConfig(shown, { volumes: { oracle: { type: 'memory', size: '1m' } } });
  for (const [from, to] of edits) {
    if (!text.includes(from)) throw new Error(`The file has no ${from}`);
    text = text.replace(from, to);
  }
  return text;
}

/** Returns the log lines with the outcomes of reloads, one line for each reload. */
function outcomes(): string[] {
  return host
    .log('rssrv')
    .split('\n')
    .filter((line) => /^Reload refused|^Reload: (?!.*\[E_)/.test(line));
}

/** Writes the file, sends SIGHUP, and returns all log lines about it. */
async function reload(text: string): Promise<string> {
  const before = host.log('rssrv').length;
  const count = outcomes().length;
  host.writeConfig('rssrv', text);
  process.kill(host.pid('rssrv'), 'SIGHUP');
  await waitFor(() => outcomes().length > count, RELOAD_MS, 'The reload has ended');
  return host.log('rssrv').slice(before);
}

function login(address: string, node = 'big-2', join?: RawClient): Promise<RawClient> {
  return RawClient.login({ address, port: network.port }, { node, nodekey: keyOf(node), namespaceid: 200 }, join);
}

async function list(client: RawClient): Promise<ListAnswer> {
  const answer = await client.call({ op: OP.LIST, slot: 9 });
  return ListAnswer.decode(answer.body, 0, answer.body.length);
}

function isNotify({ op }: RawFrame): boolean {
  return op === OP.NOTIFY;
}

/** Tries to connect. Returns `open`, or the errno of the failure. */
function reach(address: string, port = network.port): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port });
    socket.on('error', (error) => resolve(errnoName(error) ?? 'error'));
    socket.on('connect', () => {
      socket.destroy();
      resolve('open');
    });
  });
}

beforeEach(async () => {
  host = hosts.host();
  network = await hosts.network(3);
});

async function start(interfaces: number): Promise<void> {
  host.writeConfig('rssrv', file(interfaces));
  await host.start('rssrv');
}

describe('interfaces', () => {
  it('a new interface is listened on and announced to a live session, which joins through it', async () => {
    await start(1);
    const [first = '', second = ''] = network.serverAddresses;
    const client = await login(first);
    expect(await reach(second)).toBe('ECONNREFUSED');
    const said = await reload(file(2));
    expect(said).toContain(`Reload: interface if2 (${second}:${network.port}) was added`);
    const { generation, interfaces } = client.welcome;
    expect(interfaces.map(({ name }) => name)).toEqual(['if1']);
    expect((await client.next(isNotify)).aux).toBeGreaterThan(generation);
    const answer = await list(client);
    expect(answer.generation).toBeGreaterThan(generation);
    expect(answer.interfaces).toEqual([
      { name: 'if1', address: first, port: network.port },
      { name: 'if2', address: second, port: network.port },
    ]);
    const joined = await login(second, 'big-2', client);
    expect(joined.welcome).toMatchObject({ generation: answer.generation, interfaces: answer.interfaces, path: 1 });
    const { handle } = await joined.open('oracle');
    await joined.verify(handle, 0, 8);
  });

  it('a removed interface admits no client and closes its remaining paths; the session continues', async () => {
    await start(2);
    const [first = '', second = ''] = network.serverAddresses;
    const client = await login(first);
    const joined = await login(second, 'big-2', client);
    joined.homeSlot = 1;
    const { handle } = await joined.open('oracle');
    await reload(file(1));
    expect(await reach(second)).toBe('ECONNREFUSED');
    await client.next(isNotify);
    expect((await list(client)).interfaces.map(({ address }) => address)).toEqual([first]);
    // The path still works until its client learns of the change.
    await joined.verify(handle, 0, 8);
    expect(await joined.farewell()).toEqual({ code: 'E_DRAINING', sentence: "Interface if2 was removed from the server's configuration" });
    await joined.ended(UNLISTED_END_MS);
    client.homeSlot = 2;
    await client.verify(handle, 8, 8);
    expect(client.ending).toBeNull();
    expect(host.worker('big-2')).toBeGreaterThan(0);
  });

  it('a session that starts during a reload gets the new list in the end', async () => {
    await start(1);
    for (let round = 0; round < 6; round++) {
      const to = { address: network.serverAddresses[0] ?? '', port: network.port };
      const client = await RawClient.connect(to, { node: 'big-2', nodekey: keyOf('big-2'), namespaceid: 200 });
      await client.greet();
      client.prove(null);
      await Promise.all([client.welcomedBy(null), reload(file(2 - (round % 2)))]);
      const newest = (await list(client)).generation;
      const told = [client.welcome.generation, ...client.frames.filter(isNotify).map(({ aux }) => aux)];
      expect(Math.max(...told), `round ${round}`).toBe(newest);
      client.close();
    }
  });

  it('one of several addresses may be missing and is awaited; a port in use refuses the whole file', async () => {
    await start(1);
    const [first = '', second = '', third = ''] = network.serverAddresses;
    const besides = await reload(file(2, [`address = ${second}`, 'address = 192.0.2.1']));
    expect(besides).toMatch(/Cannot listen on 192\.0\.2\.1 port \d+ \(interface if2\): .+; meanwhile .+ \[E_ADDRESS_MISSING\]/);
    expect(besides).toMatch(/Reload: interface if2 \(192\.0\.2\.1:\d+\) was added/);
    await reload(file(1));
    const missing = await reload(file(1, [`address = ${first}`, 'address = 192.0.2.1']));
    expect(missing).toMatch(
      /Reload: Cannot listen on 192\.0\.2\.1 port \d+ \(interface if1\): this machine does not have the address. .+ \[E_ADDRESS_MISSING\]/,
    );
    expect(missing).toContain('Reload refused: the server keeps its current configuration');
    expect(await reach(second)).toBe('ECONNREFUSED');
    const other = net.createServer();
    await new Promise<void>((resolve) => other.listen({ host: third, port: network.port }, resolve));
    hosts.onClean(() => other.close());
    expect(await reload(file(3))).toMatch(/\(interface if3\): another program uses the port. .+ \[E_ADDRESS_IN_USE\]/);
    expect(await reach(second)).toBe('ECONNREFUSED');
    expect((await login(first)).welcome.interfaces).toHaveLength(1);
    await new Promise((resolve) => other.close(resolve));
    await reload(file(3));
    expect([await reach(second), await reach(third)]).toEqual(['open', 'open']);
  });
});

describe('a file that is not applied', () => {
  it('an invalid file: every problem is reported with its line, and the server keeps the old configuration', async () => {
    await start(1);
    const client = await login(network.serverAddresses[0] ?? '');
    const said = await reload(file(2, ['namespaceid = 200', 'namespaceid = 70000'], ['[clients]', '[clients]\nbig-6']));
    expect(said).toMatch(/Reload: \S+\/rssrvcfg:2: .*70000/);
    expect(said).toMatch(/Reload: \S+\/rssrvcfg:\d+: Line in \[clients\] is one word/);
    expect(said).toContain('Reload refused');
    expect(client.frames.filter(isNotify)).toEqual([]);
    expect(await reach(network.serverAddresses[1] ?? '')).toBe('ECONNREFUSED');
    expect((await list(client)).generation).toBe(client.welcome.generation);
  });

  it("a change of the server's identity is refused with section and remedy, together with all other changes", async () => {
    await start(1);
    const edits = [
      ['serverid = 1', 'serverid = 2'],
      ['[clients]', '[volume tvol1]\ntype = null\nsize = 1m\n[clients]'],
    ] as const;
    const said = await reload(file(2, ...edits));
    expect(said).toMatch(/Reload: serverid in \[server big-9\] has changed.*: restart rssrv, or take the change back/);
    expect(await reach(network.serverAddresses[1] ?? '')).toBe('ECONNREFUSED');
    const client = await login(network.serverAddresses[0] ?? '');
    expect((await list(client)).volumes).toMatchObject([{ name: 'oracle', sizeBytes: 1024 * 1024 }]);
  });
});

describe('clients', () => {
  it('removing a client ends its session with a reason, and no other session; it cannot return until it is in the file again', async () => {
    await start(1);
    const [address = ''] = network.serverAddresses;
    const [venus, stays] = [await login(address, 'venus'), await login(address)];
    await venus.open('oracle');
    expect(await reload(file(1, [`venus ${keyOf('venus')}\n`, '']))).toContain('client venus is removed');
    expect(await venus.farewell()).toMatchObject({ code: 'E_AUTH', sentence: expect.stringContaining('removed from the clients') });
    await expect(login(address, 'venus')).rejects.toMatchObject({ code: 'E_AUTH' });
    expect((await list(stays)).volumes, 'a hold ends by CLOSE only').toMatchObject([{ holders: [{ node: 'venus' }] }]);
    await reload(file(1));
    const back = await login(address, 'venus');
    expect((await back.open('oracle')).handle).toBe(1);
  });

  it('a new client may log in; another key ends the session under the old key, and admits the owner of the new one', async () => {
    await start(1);
    const [address = ''] = network.serverAddresses;
    const thief = await login(address);
    const { handle } = await thief.open('oracle');
    await thief.verify(handle, 0, 8);
    const said = await reload(
      file(1, [keyOf('big-2'), '0xthe-new-secret-of-big-2'], ['[clients]\n', `[clients]\nmars ${keyOf('mars')}\n`]),
    );
    expect(said).toContain('client mars is added');
    expect(said).toContain('client big-2 has a new key: a session by the old one ends, its holds stay');
    expect(said).not.toContain('0xthe-new');
    expect(await thief.farewell()).toMatchObject({
      code: 'E_AUTH',
      sentence: expect.stringMatching(/^The key of node big-2 .* has changed: use the new one$/),
    });
    expect((await login(address, 'mars')).welcome.path).toBe(0);
    await expect(login(address, 'big-2', thief)).rejects.toMatchObject({ code: expect.stringMatching(/E_AUTH|E_NO_SESSION/) });
    const anew = { node: 'big-2', nodekey: '0xthe-new-secret-of-big-2', namespaceid: 200, hello: { machine: 'the-owners', process: 'p' } };
    const owner = async (): Promise<RawClient | null> => RawClient.login({ address, port: network.port }, anew).catch(() => null);
    const back = (await waitFor(owner, 10_000, 'The owner is let in'))!;
    await back.verify((await back.open('oracle')).handle, 0, 8);
  });

  it('a proof that was requested before its client was removed comes too late', async () => {
    await start(1);
    const [address = ''] = network.serverAddresses;
    const client = await RawClient.connect({ address, port: network.port }, { node: 'venus', nodekey: keyOf('venus'), namespaceid: 200 });
    await client.greet();
    await reload(file(1, [`venus ${keyOf('venus')}\n`, '']));
    client.prove(null);
    expect(await client.farewell()).toMatchObject({ code: 'E_DRAINING' });
  });
});

it("the log level changes for the sessions' processes too, and logs are reopened", async () => {
  await start(1);
  const [address = ''] = network.serverAddresses;
  const client = await login(address);
  const started = (path: number): boolean => new RegExp(`^\\S.*${path}-if1-rx0`, 'm').test(readFileSync(host.rssrvPaths.logFile, 'utf8'));
  await waitFor(() => started(0), RELOAD_MS, 'A path leaves a line');
  await reload(file(1, ['serverid = 1', 'serverid = 1\nlog-level = error']));
  await login(address, 'big-2', client);
  await reload(file(1));
  await login(address, 'big-2', client);
  await waitFor(() => started(2), RELOAD_MS, 'A path leaves a line again');
  expect(started(1), 'at level error it leaves none').toBe(false);
  renameSync(host.rssrvPaths.logFile, `${host.rssrvPaths.logFile}.1`);
  process.kill(host.pid('rssrv'), 'SIGHUP');
  await waitFor(() => host.log('rssrv').includes('Reload: nothing has changed'), RELOAD_MS, "The listener's lines are in the new file");
  await login(address, 'big-2', client);
  await waitFor(() => started(3), RELOAD_MS, "The session's lines are in the new file");
});
