// The settings of encryption on real daemons: a client that turns encryption on under load, a server that demands it, the messages of both
// ends, and join. eavesdropper.test.ts tests that data is unreadable on the network, and middleman.test.ts tests changes of data on the
// network. Rules: G23.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { clientConfig, keyOf, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { StampedFile } from '../support/io/stamped-writes.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const CIPHER = 'TLS_AES_128_GCM_SHA256';
const WAIT_MS = 20_000;
const LONG_MS = 120_000;

const hosts = useHosts();

async function ciphersOf(client: Host): Promise<string[]> {
  return [...(await client.rsconfigWell('-m', 'status', '-v')).matchAll(/ cipher: (.*)$/gm)].map(([, cipher = '']) => cipher);
}

async function waitForCiphers(client: Host, expected: readonly string[], what: string): Promise<void> {
  await waitFor(async () => (await ciphersOf(client)).join() === expected.join(), WAIT_MS, what);
}

/** Returns how often each path has died since rsiod was started. */
async function deathsOf(client: Host): Promise<number[]> {
  const { paths } = JSON.parse(await client.rsconfigWell('-m', 'stats', '--json')) as { paths: { deaths: number }[] };
  return paths.map(({ deaths }) => deaths);
}

it('a client encrypts its paths under load without losing one, and a server that then demands it ends plain ones only', {
  timeout: LONG_MS,
}, async () => {
  const [server, client, plain, newcomer] = [hosts.host(), hosts.host(), hosts.host(), hosts.host()];
  const network = await hosts.network(2);
  const path = server.file('oracle.img');
  await startServer(server, network, { volumes: { oracle: { path, size: '4m' }, other: { type: 'memory', size: '1m' } } });
  await startClient(client, network);
  await startClient(plain, network, { node: 'venus', client: 1 });
  await client.rsconfigWell('-a', 'oracle');
  const file = new StampedFile(path);
  const writer = await file.writer(client, 'osl/oracle');
  const writes = async (): Promise<void> => {
    const before = writer.count;
    await waitFor(() => writer.count >= before + 20, WAIT_MS, 'The client writes');
  };
  await writes();
  expect(await ciphersOf(client)).toEqual(['plain', 'plain']);
  const deaths = await deathsOf(client);

  expect(await client.rsconfigWell('namespace', 'set', 'osl', 'tls=on', '--reload')).toContain('namespace osl: tls = off -> tls = on');
  await waitForCiphers(client, [CIPHER, CIPHER], 'Both paths are encrypted');
  await writes();
  expect(await deathsOf(client)).toEqual(deaths);
  const seen = await server.rsadmWell('client', 'list', '-v');
  expect(
    seen
      .match(/^ {4}path .*$/gm)
      ?.map((line) => /[^ ]+$/.exec(line)?.[0])
      .toSorted(),
  ).toEqual([CIPHER, CIPHER, 'plain', 'plain']);
  const { clients } = JSON.parse(await server.rsadmWell('client', 'list', '--json')) as {
    clients: { name: string; paths: { cipher: string | null }[] }[];
  };
  expect(clients.map(({ name, paths }) => [name, ...paths.map(({ cipher }) => cipher)])).toEqual([
    ['big-2', CIPHER, CIPHER],
    ['venus', null, null],
  ]);

  await server.rsadmWell('namespace', 'set', 'tls=require');
  await waitFor(() => /Reload: tls is require: plain paths end, by /.test(server.log('rssrv')), WAIT_MS, 'The log names the change');
  await waitForCiphers(plain, ['-', '-'], 'The plain paths end');
  await waitFor(
    async () => /encrypted connections only.*\[E_TLS\]/.test(await plain.rsconfigWell('-m', 'status', '-v')),
    WAIT_MS,
    'The reason is shown',
  );
  await writes();
  expect(await ciphersOf(client)).toEqual([CIPHER, CIPHER]);
  expect(await deathsOf(client)).toEqual(deaths);

  const doctor = await plain.rsconfig('doctor');
  const [, command = ''] = /^ {8}rsconfig (?:--root \S+ )?(namespace set osl tls=on --reload)$/m.exec(doctor.stdout) ?? [];
  expect({ code: doctor.code, command }, doctor.stdout).toEqual({ code: 1, command: 'namespace set osl tls=on --reload' });
  await plain.rsconfigWell(...command.split(' '));
  await waitForCiphers(plain, [CIPHER, CIPHER], 'The other client is encrypted, too');

  const keyFile = newcomer.file('key');
  const key = (await server.rsadmWell('client', 'add', 'mars')).trim();
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  const near = network
    .clientAddresses(2)
    .slice(0, 1)
    .flatMap((address) => ['--interface', address]);
  const joined = await newcomer.rsconfig(
    'join',
    `${network.serverAddresses[0]}:${network.port}`,
    '--name',
    'mars',
    '--key-file',
    keyFile,
    ...near,
  );
  expect(joined.code, joined.stderr).toBe(0);
  expect(joined.stderr).toContain('Server big-9 accepts encrypted paths only: trying with tls = on');
  expect(readFileSync(newcomer.rsiodPaths.configFile, 'utf8')).toMatch(/^tls +\S* *= on$|^tls += on$/m);
  expect(await ciphersOf(newcomer)).toEqual([CIPHER]);

  expect(await writer.stop()).toEqual([]);
  file.look('At the end', writer);
  expect(file.breaches).toEqual([]);
});

it('a server with tls = off keeps the plain paths of a client that turns it on; each side says why, and a short key is refused', {
  timeout: LONG_MS,
}, async () => {
  const [server, client] = [hosts.host(), hosts.host()];
  const network = await hosts.network(1);
  await startServer(server, network, {
    volumes: { oracle: { type: 'memory', size: '1m' } },
    clients: { 'big-2': keyOf('big-2'), mars: '0xmars' },
  });
  expect((await server.rsadm('namespace', 'set', 'tls=require')).stderr).toMatch(/Short key of client mars with tls = require/);
  await server.rsadmWell('namespace', 'set', 'tls=off');
  await startClient(client, network);
  await client.rsconfigWell('namespace', 'set', 'osl', 'tls=on', '--reload');
  const status = async (): Promise<string> => client.rsconfigWell('-m', 'status', '-v');
  await waitFor(async () => /does not encrypt.*\[E_TLS\]/.test(await status()), WAIT_MS, 'The status says why the path is plain');
  expect(await status()).toMatch(/ connected tx: ok rx: ok\n.* cipher: plain \(tls = on applies to its next connection\)\n/);
  const { stdout } = await client.rsconfig('doctor');
  expect(stdout).toMatch(
    /remedy: set tls = allow in section \[namespace\] of its rssrvcfg .*or tls = off in section \[namespace osl\] here/,
  );
  await server.rsadmWell('namespace', 'set', 'tls=');
  await waitForCiphers(client, [CIPHER], 'The path is encrypted once the server allows it');
  expect((await client.rsconfig('doctor')).stdout).toMatch(new RegExp(`^ok: path .*: Encrypted with ${CIPHER}$`, 'm'));
  // rsiod refuses the whole file because of the short key, and keeps its configuration.
  client.writeConfig('rsiod', clientConfig(network, { key: '0xbig-2', defaults: { tls: 'on' } }));
  const reload = await client.rsconfig('reload');
  expect(reload).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Short nodekey with tls = on \(line \d+\): 7 characters can be guessed/),
  });
  expect(await ciphersOf(client)).toEqual([CIPHER]);
});
