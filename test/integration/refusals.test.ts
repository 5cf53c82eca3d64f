// Clients that a server refuses, and clients that find no server. The test checks the messages to the administrator: at the prompt, in `-m
// status -v` and in both logs. To the client, a wrong key and an unknown name look alike; the server's log distinguishes them. Other
// obstacles are in test/bad-input/start.test.ts.

import net from 'node:net';
import { expect, it } from 'vitest';
import { type ClientConfigOptions, clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/**
 * A start of rsiod without a server takes at most this time. rsiod waits 3 s for a server. The remaining time is for the start of Node and
 * for writing the state.
 */
const UP_WITHOUT_SERVER_MS = 15_000;

const hosts = useHosts();
const memory = { oracle: { type: 'memory', size: '1m' } };

it('wrong key, unknown name and wrong namespaceid have a clear reason on both sides', async () => {
  const [server, network] = [hosts.host(), await hosts.network(1)];
  await startServer(server, network, { volumes: memory });
  const start = async (options: ClientConfigOptions, code: string): Promise<Host> => {
    const host = hosts.host();
    host.writeConfig('rsiod', clientConfig(network, options));
    const started = await host.tryStart('rsiod');
    expect(started.code).toBe(0);
    expect(started.stderr).toMatch(
      new RegExp(`Warning: No path to server \\S+ of namespace osl at \\S+: Server refused .+ \\[${code}\\]\n`),
    );
    return host;
  };
  const [wrongKey, unknown, wrongNamespace] = await Promise.all([
    start({ client: 0, key: '0xanother-secret-of-somebody' }, 'E_AUTH'),
    start({ client: 1, node: 'mars' }, 'E_AUTH'),
    start({ client: 2, namespaceid: 201 }, 'E_NAMESPACE'),
  ]);
  const errorOf = async (host: Host): Promise<string> => {
    const status = await host.rsconfigWell('-m', 'status', '-v');
    expect(status).toMatch(/ (down|connecting|proving|probation) tx: - rx: -\n/);
    const shown = /error: (.+), \d{4}_/.exec(status)?.[1] ?? status;
    const query = await host.rsconfig('-q');
    expect(query.stderr).toMatch(/^rsconfig: Server \S+ of osl is \w+: \S+ -> \S+: .+ \[E_\w+\].*: see rsconfig -m status -v$/m);
    const reasons = [...host.log('rsiod').matchAll(/ is down: (.+)$/gm)].map(([, reason = '']) => reason);
    expect(reasons).toContain(shown);
    return reasons.find((reason) => !/E_LIMIT|E_TIMEOUT/.test(reason)) ?? shown;
  };
  const errors = [await errorOf(wrongKey), await errorOf(unknown), await errorOf(wrongNamespace)];
  expect(errors[0]).toContain("Server big-9 does not accept this node's proof: check nodename, nodekey and serverkey on both sides");
  expect(errors[1], 'from outside unknown name and wrong key look alike').toBe(errors[0]?.replaceAll('big-2', 'mars'));
  expect(errors[2]).toContain("Server big-9 serves namespaceid 200, not 201: correct namespaceid or the server's address");
  const log = server.log('rssrv');
  const said = (client: number): string => {
    const address = network.clientAddresses(client)[0] ?? '';
    return log.split('\n').find((line) => line.startsWith(`Refused ${address} on if1: `)) ?? `nothing about ${address}`;
  };
  expect(said(0)).toMatch(/big-2.*key|key.*big-2/i);
  expect(said(1)).toMatch(/mars/);
  expect(said(1)).not.toMatch(/wrong key/i);
  expect(said(2)).toMatch(/201/);
  report('refusals', { 'wrong key': errors[0] ?? '', 'wrong namespaceid': errors[2] ?? '' });
});

it('rsiod comes up although a server accepts connections and sends nothing', async () => {
  const [client, network] = [hosts.host(), await hosts.network(1)];
  const silent = net.createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen({ host: network.serverAddresses[0], port: network.port }, resolve));
  hosts.onClean(() => silent.close());
  client.writeConfig('rsiod', clientConfig(network));
  const { code, stderr, elapsedMs } = await client.tryStart('rsiod');
  expect(code).toBe(0);
  expect(stderr).toContain('Warning: No server of namespace osl is in reach');
  expect(elapsedMs).toBeLessThan(UP_WITHOUT_SERVER_MS);
  report('rsiod before a silent server', { 'ms until the prompt': elapsedMs });
});

it('rsiod without a reachable server comes up with a warning, and connects when one appears', async () => {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  client.writeConfig('rsiod', clientConfig(network));
  const { code, stderr, elapsedMs } = await client.tryStart('rsiod');
  expect(code).toBe(0);
  expect(stderr).toContain('rsiod: Warning: No server of namespace osl is in reach: rsiod keeps trying; rsconfig -m status -v says why\n');
  expect(elapsedMs).toBeLessThan(UP_WITHOUT_SERVER_MS);
  const status = await client.rsconfigWell('-m', 'status');
  expect(status.match(/ (down|connecting) tx: - rx: -$/gm)).toHaveLength(2);
  expect(await client.rsconfigWell('-m', 'status', '-v')).toMatch(/ECONNREFUSED: nothing listens there/);
  await startServer(server, network, { volumes: memory });
  const startMs = performance.now();
  await client.pathsUp(2);
  const connectedMs = performance.now() - startMs;
  await waitFor(async () => (await client.rsconfigWell('-q')).includes('oracle'), 5_000, 'The list is there');
  expect(await client.rsconfigWell('-a')).toContain('osl:oracle@0 attached');
  report('rsiod before its server', { 'ms until the prompt': elapsedMs, 'ms from server to paths': connectedMs });
});
