// rsconfig join on an empty root and on a configured one: it compares the written file byte by byte, uses the client afterwards, and covers
// every case in which the command writes nothing. The commands name interfaces, so that no packet leaves this machine; the netlab tests
// real cards. Tests share servers, and each test joins as another node, so that no earlier session of the node disturbs it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { decodeDiscovery, encodeOffer } from '@rsio/protocol/explorer/discovery-datagram';
import { udpSockets } from '@rsio/protocol/explorer/datagram-sockets';
import { sampleRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { beforeAll, describe, expect, it } from 'vitest';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { runHere } from '../support/programs/here.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const USAGE_MS = 30_000;
const NEXT =
  'rsconfig: Next: list the offered volumes with rsconfig -q, attach them with rsconfig -a, or create one with rsconfig volume create NAME --size 20g --attach';

const hosts = useHosts();
const shared = useHosts('file');

interface Served {
  readonly network: TestNetwork;
  readonly server: Host;
}

interface Scene extends Served {
  readonly client: Host;
  readonly node: string;
}

/** Node names that a server knows: one for each test. */
const NODES = Array.from({ length: 12 }, (_, index) => `big-${index + 20}`);
let nodesUsed = 0;

/** Starts a server with two interfaces. `edit` changes the text of its file. */
async function serve(edit: (text: string) => string = (text) => text): Promise<Served> {
  const network = await shared.network(2);
  const server = shared.host();
  const clients = Object.fromEntries(NODES.map((node) => [node, keyOf(node)]));
  server.writeConfig('rssrv', edit(serverConfig(network, { volumes: { oracle: { type: 'memory', size: '16m' } }, clients })));
  await server.start('rssrv');
  return { network, server };
}

/** Makes a client that has joined no server yet. */
function scene(served: Served): Scene {
  return { ...served, client: hosts.host(), node: NODES[nodesUsed++] ?? '' };
}

let usual: Served;

beforeAll(async () => {
  usual = await serve();
});

interface JoinOptions {
  readonly key?: string;
  readonly port?: number;
  /** Number of the client's interfaces that join may use. */
  readonly interfaces?: number;
}

function join(
  { network, client, node }: Scene,
  { key = keyOf(node), port = network.port, interfaces = 2 }: JoinOptions,
  ...args: string[]
) {
  const keyFile = client.file('key');
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  const near = network.clientAddresses().slice(0, interfaces);
  return client.rsconfig(
    'join',
    `${network.serverAddresses[0]}:${port}`,
    ...['--name', node, '--key-file', keyFile],
    ...near.flatMap((address) => ['--interface', address]),
    ...args,
  );
}

function fileOf({ client }: Scene): string {
  return readFileSync(client.rsiodPaths.configFile, 'utf8');
}

/** The expected file, in the form of the sample in the manual. */
function expectedFile({ network, node }: Scene): string {
  const [near, far] = [network.clientAddresses(), network.serverAddresses];
  return sampleRscltcfg({ near, far, port: network.port, node, key: keyOf(node) });
}

it('turns an empty root into a working client with one command', async () => {
  const all = scene(usual);
  const { code, stdout, stderr } = await join(all, {});
  expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
  expect(fileOf(all)).toBe(expectedFile(all));
  const isEnd = async (): Promise<boolean> => stdout.endsWith(await all.client.rsconfigWell('-m', 'status'));
  await waitFor(isEnd, 5_000, `It ends with the status: ${stdout}`);
  expect(stdout.match(/connected tx: ok rx: ok$/gm)).toHaveLength(2);
  expect(stderr.trimEnd().split('\n').at(-1)).toBe(NEXT);
  expect(await all.client.rsconfigWell('-q')).toContain('oracle           disk');
  expect(await all.client.rsconfigWell('-a')).toContain('osl:oracle@0 attached');
});

it('a running client adopts a second interface without a restart; joining once more adds nothing', async () => {
  const all = scene(usual);
  const first = await join(all, { interfaces: 1 });
  expect(first).toMatchObject({ code: 0 });
  expect(first.stdout).toMatch(/^if2 of big-9 \(\S+\) is not used: not on a common subnet with any interface of the client$/m);
  const pid = all.client.pid('rsiod');
  const second = await join(all, {});
  expect(second).toMatchObject({ code: 0 });
  expect(second.stdout).toContain(`    server big-9-2, ${all.network.serverAddresses[1]}\n`);
  await all.client.pathsUp(2);
  expect(all.client.pid('rsiod')).toBe(pid);
  const text = fileOf(all);
  const third = await join(all, {});
  expect(third).toMatchObject({ code: 0 });
  expect(third.stderr).toContain(`${all.client.rsiodPaths.configFile} already has all of this`);
  expect(fileOf(all)).toBe(text);
});

it('with signed exploration the namespacekey is written too', async () => {
  const signed = (text: string): string =>
    text.replace('namespaceid = 200', 'namespaceid = 200\nexplore = signed\nnamespacekey = secret-of-osl');
  const all = scene(await serve(signed));
  const keyFile = all.client.file('namespacekey');
  writeFileSync(keyFile, 'secret-of-osl\n', { mode: 0o600 });
  expect(await join(all, {}, '--no-start', '--namespacekey-file', keyFile)).toMatchObject({ code: 0 });
  expect(fileOf(all)).toContain('namespacekey  = secret-of-osl\n');
});

it('of two servers in the namespace it joins the one that accepts the key and names the other; exit code 1', async () => {
  const all = scene(usual);
  const other = hosts.host();
  const { network } = all;
  const elsewhere = { ...network, serverAddresses: network.subnets.map((subnet) => subnet.address(11)) };
  const text = serverConfig(elsewhere, { volumes: {}, clients: { venus: keyOf('venus') } });
  other.writeConfig('rssrv', text.replace('server big-9', 'server big-8').replace('serverid = 1', 'serverid = 2'));
  await other.start('rssrv');
  const { code, stdout, stderr } = await join(all, {});
  expect(code).toBe(1);
  expect(stdout).toContain('Found namespace osl with namespaceid 200: server big-9 (id 1), server big-8 (id 2)\n');
  expect(stderr).toMatch(/^rsconfig: The server big-8 does not accept this name with this key: .* \[E_AUTH\]$/m);
  expect(fileOf(all)).toBe(expectedFile(all));
  await all.client.pathsUp(2);
});

/** Starts a relay that answers in place of the server, and passes all bytes on in both directions. */
async function relay({ network }: Scene, address: string): Promise<void> {
  const { port, serverAddresses } = network;
  const tcp = net.createServer((near) => {
    const far = net.connect(port, serverAddresses[0]);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => near.destroy() && far.destroy());
    hosts.onClean(() => near.destroy() && far.destroy());
  });
  await new Promise<void>((resolve) => tcp.listen(port, address, resolve));
  hosts.onClean(() => tcp.close());
  const heard = (datagram: Buffer, from: { readonly address: string; readonly port: number }): void => {
    const received = decodeDiscovery(datagram, null);
    if (received.kind !== 'discover') return;
    const { nonce } = received.message;
    const interfaces = [{ name: 'if1', address, port, linkMbps: null, mtuBytes: null }];
    const one = { namespace: 'osl', namespaceid: 200, server: 'big-8', serverid: 1, instance: 'f'.repeat(32), interfaces };
    voice.send(encodeOffer({ version: 1, nonce, ...one }, null, 0), from, () => undefined);
  };
  const voice = await udpSockets.open({ address, port }, { onDatagram: heard, onFailed: () => undefined });
  const ear = await udpSockets.open({ address: '127.255.255.255', port }, { onDatagram: heard, onFailed: () => undefined });
  hosts.onClean(() => voice.close());
  hosts.onClean(() => ear.close());
}

it("--no-start only writes the file, which is valid; an address that only relays the server's answers is named and not written", async () => {
  const all = scene(usual);
  const address = all.network.subnets[0]!.address(66);
  await relay(all, address);
  const { code, stdout } = await join(all, {}, '--no-start');
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`${address.replaceAll('.', '\\.')}:\\d+ of big-8 cannot be used: .* does not list that address`));
  expect(fileOf(all)).toBe(expectedFile(all));
  expect(existsSync(all.client.rsiodPaths.pidFile)).toBe(false);
  await all.client.start('rsiod');
  await all.client.pathsUp(2);
});

describe('a server that has another address', () => {
  /** A client that knows the server at its first address, and the same server at `last` of the same subnets. */
  async function moved(last: number): Promise<Scene & { readonly elsewhere: TestNetwork }> {
    const all = scene(await serve());
    expect(await join(all, {})).toMatchObject({ code: 0 });
    const remembers = (): boolean => existsSync(all.client.rsiodPaths.serversFile);
    await waitFor(remembers, 5_000, 'rsiod remembers the server');
    return { ...all, elsewhere: { ...all.network, serverAddresses: all.network.subnets.map((subnet) => subnet.address(last)) } };
  }
  const configAt = ({ elsewhere, node }: Scene & { readonly elsewhere: TestNetwork }): string =>
    serverConfig(elsewhere, { volumes: { oracle: { type: 'memory', size: '16m' } }, clients: { [node]: keyOf(node) } });

  it('gets the new addresses in its sections, and no second sections', async () => {
    const all = await moved(12);
    const { client, server, elsewhere, network } = all;
    await server.stop('rssrv');
    server.writeConfig('rssrv', configAt(all));
    await server.start('rssrv');
    const { code, stdout } = await join({ ...all, network: elsewhere }, {});
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`    server big-9-1, ${elsewhere.serverAddresses[0]} (before: ${network.serverAddresses[0]})\n`);
    expect(fileOf(all)).toBe(expectedFile({ ...all, network: elsewhere }));
    await client.pathsUp(2);
  });

  it('is refused while another server answers at the old address with the same serverid', async () => {
    const all = await moved(13);
    const copy = hosts.host();
    copy.writeConfig('rssrv', configAt(all).replace('server big-9', 'server big-7'));
    await copy.start('rssrv');
    const before = fileOf(all);
    const { code, stderr } = await join({ ...all, network: all.elsewhere }, {});
    expect({ code, stderr }).toMatchObject({ code: 1 });
    expect(stderr).toMatch(
      /Server big-[79] at \S+ and server big-[79] at \S+ both have serverid 1: .*; nothing was written \[E_AMBIGUOUS\]\n$/,
    );
    expect(fileOf(all)).toBe(before);
  });
});

describe('a server that answers no exploration', () => {
  const silent = (text: string): string => text.replace('namespaceid = 200', 'namespaceid = 200\nexplore = no');
  let served: Served;

  beforeAll(async () => {
    served = await serve(silent);
  });

  it('is joined with --id, by the interfaces that a login shows', async () => {
    const all = scene(served);
    expect(await join(all, {}, '--id', '200', '--label', 'osl')).toMatchObject({ code: 0 });
    expect(fileOf(all)).toBe(expectedFile(all));
    await all.client.pathsUp(2);
  });

  it('without --id the error names the namespaceid that the server serves, and nothing is written', async () => {
    const all = scene(served);
    const { code, stderr } = await join(all, {});
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /big-9 serves namespaceid 200, not 0 .*: give the right one with --id, or the namespacekey where one is set \[E_NAMESPACE\]\n$/,
    );
    expect(existsSync(all.client.rsiodPaths.configFile)).toBe(false);
  });
});

describe('nothing is written', () => {
  it('if the key is wrong, which is tried once and reported only as wrong', async () => {
    const all = scene(usual);
    const { code, stderr } = await join(all, { key: '0xnot-the-key' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/The server big-9 does not accept this name with this key: .*nothing was written \[E_AUTH\]\n$/);
    expect(stderr).not.toContain('0xnot-the-key');
    expect(existsSync(all.client.rsiodPaths.configFile)).toBe(false);
    const wrong = new RegExp(`wrong key for node ${all.node}`, 'g');
    await all.server.logged('rssrv', new RegExp(wrong.source));
    expect(all.server.log('rssrv').match(wrong)).toHaveLength(1);
  });

  it('if no server answers: each interface that was tried is named', async () => {
    const all = scene(usual);
    const port = await freePort(all.network.serverAddresses[0] ?? '');
    const { code, stderr } = await join(all, { port });
    expect(code).toBe(1);
    for (const address of all.network.clientAddresses()) expect(stderr).toContain(`from lo (${address}): No connection: ECONNREFUSED`);
    expect(stderr).toMatch(/\[E_UNREACHABLE\]\n$/);
    expect(existsSync(all.client.rsiodPaths.configFile)).toBe(false);
  });

  it('if the file has the namespace with another key; comments and spacing stay', async () => {
    const all = scene(usual);
    const text = `# by hand\n[namespace mine]\nnamespaceid=200\nnodename=${all.node}\nnodekey=0xanother\n`;
    all.client.writeConfig('rsiod', text);
    const { code, stderr } = await join(all, {});
    expect(code).toBe(1);
    expect(stderr).toMatch(/already has namespaceid 200, as mine with another key: correct it there, .* \[E_CONFIG\]\n$/);
    expect(fileOf(all)).toBe(text);
  });
});

it.each([
  [['--key', 'k'], 'No --name'],
  [['--name', 'big-2'], 'No key'],
  [['--name', 'big 2', '--key', 'k'], 'big 2'],
  [['--name', 'big-2', '--key', 'k', '--id', '70000'], 'Wrong --id 70000'],
  [['--name', 'big-2', '--key-file', '-', '--serverkey-file', '-'], 'Several keys on stdin'],
])('wrong usage: %j', async (args, said) => {
  const { code, stderr } = await runHere('rsconfig', ['--root', hosts.host().root, 'join', '127.0.0.1', ...args], USAGE_MS);
  expect(code).toBe(2);
  expect(stderr).toContain(said);
});
