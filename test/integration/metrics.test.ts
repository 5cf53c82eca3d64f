// The metrics of both daemons with real processes: their content under load, the check by promtool, and a real Prometheus that reads both
// daemons with the rules of the project. Further tests cover a reload that moves the metrics to another address, an address that is in use,
// a token, and slow or hostile readers.

import { mkdirSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { CONNECTIONS_MAX } from '@rsio/common/metrics/limits';
import { CLIENT_METRICS } from '@rsio/rsiod/control/metric-table';
import { SERVER_METRICS } from '@rsio/rssrv/admin/metric-table';
import { beforeAll, describe, expect, it } from 'vitest';
import { clientConfig, serverConfig, startClient } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool, run, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const TEST_MS = 300_000;
const PORT = 9_510;
const TOKEN = 'a-token-of-the-lab-0123456789';
const RULES = new URL('../../packaging/prometheus/rsio.rules.yml', import.meta.url).pathname;
const PROMETHEUS_PORT = 9_090;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const hosts = useHosts('file');
let server: Host;
let client: Host;
let network: TestNetwork;
let onServer: string;
let onClient: string;

function ask(address: string, path = '/metrics', headers: Record<string, string> = {}, method = 'GET', port = PORT): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: address, port, path, headers, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** The values of all series of a metric, by their labels. */
function seriesOf(text: string, name: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return Object.fromEntries(
    lines.map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

function serverText(metrics: string, token = ''): string {
  return serverConfig(network, {
    volumes: { oracle: { type: 'memory', size: '16m' } },
    pools: { ssd: { path: server.file('pool') } },
    server: { metrics, ...(token === '' ? {} : { 'metrics-token': token }) },
  });
}

beforeAll(async () => {
  server = hosts.host();
  client = hosts.host();
  network = await hosts.network(2);
  onServer = network.serverAddresses[0] ?? '';
  onClient = network.clientAddresses()[0] ?? '';
  await emptyPool(server);
  server.writeConfig('rssrv', serverText(`${onServer}:${PORT}`));
  await server.start('rssrv');
  await server.rsadmWell('volume', 'create', 'db', '--size', '64m', '--pool', 'ssd');
  await startClient(client, network, { defaults: { metrics: `${onClient}:${PORT}` } });
  await client.rsconfigWell('-a', 'oracle');
  const io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => io.close());
  for (let index = 0; index < 50; index++) {
    await io.write(index * 4_096, Buffer.alloc(4_096, index));
    await io.read(index * 4_096, 4_096);
  }
  await io.flush();
  io.close();
  await client.rsconfigWell('gate', 'add', 'g1', onClient, '--hosts', 'all', '--offers', 'oracle', '--reload');
  const hasIt = async (): Promise<boolean> => (await client.call('gates', {})).gates[0]?.volumes.length === 1;
  await waitFor(hasIt, TEST_MS, 'The gate has taken the volume from the program that has ended');
}, TEST_MS);

it('both daemons show what they do, in the order and with the types of their tables', { timeout: TEST_MS }, async () => {
  const [fromServer, fromClient] = await Promise.all([ask(onServer), ask(onClient)]);
  for (const { status, type } of [fromServer, fromClient])
    expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  for (const [{ body }, table] of [
    [fromServer, SERVER_METRICS],
    [fromClient, CLIENT_METRICS],
  ] as const) {
    const told = [...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    const all = Object.entries(table).map(([name, { type }]) => `${name} ${type}`);
    expect(told).toEqual(all.filter((one) => told.includes(one)));
    expect(told.length).toBeGreaterThan(all.length * 0.7);
  }
  expect(seriesOf(fromClient.body, 'rsio_client_path_up')).toEqual({
    [`{namespace="osl",server="big-9",interface="if0",path="${network.serverAddresses[0]}:${network.port}"}`]: 1,
    [`{namespace="osl",server="big-9",interface="if1",path="${network.serverAddresses[1]}:${network.port}"}`]: 1,
  });
  const oracle = '{namespace="osl",volume="oracle@0"';
  expect(seriesOf(fromClient.body, 'rsio_client_volume_operations_total')).toMatchObject({
    [`${oracle},operation="write"}`]: 50,
    [`${oracle},operation="flush"}`]: 1,
  });
  expect(seriesOf(fromClient.body, 'rsio_client_volume_latency_seconds_count')[`${oracle},operation="write"}`]).toBe(50);
  expect(seriesOf(fromClient.body, 'rsio_client_gate_listening')).toEqual({ [`{gate="g1",address="${onClient}:4420"}`]: 1 });
  expect(seriesOf(fromClient.body, 'rsio_client_gate_volumes')).toEqual({ '{gate="g1"}': 1 });
  expect(seriesOf(fromClient.body, 'rsio_client_volume_waiting')).toEqual({ [`${oracle}}`]: 0 });
  expect(seriesOf(fromServer.body, 'rsio_server_volume_written_bytes_total')).toEqual({ '{client="big-2",volume="oracle@0"}': 50 * 4_096 });
  expect(seriesOf(fromServer.body, 'rsio_server_client_connected')).toEqual({ '{client="big-2"}': 1, '{client="venus"}': 0 });
  expect(seriesOf(fromServer.body, 'rsio_server_client_paths')).toEqual({
    '{client="big-2",interface="if1"}': 1,
    '{client="big-2",interface="if2"}': 1,
  });
  expect(seriesOf(fromServer.body, 'rsio_server_pool_ready')).toEqual({ '{pool="ssd"}': 1 });
  expect(seriesOf(fromServer.body, 'rsio_server_volume_snapshots')).toEqual({ '{volume="db@0"}': 0 });
  expect(seriesOf(fromServer.body, 'rsio_server_worker_resident_memory_bytes')['']).toBeGreaterThan(1e6);
  expect(seriesOf(fromServer.body, 'rsio_server_series_left_out')).toEqual({ '': 0 });
});

it('promtool finds nothing to criticize in either text', { timeout: TEST_MS }, async (context) => {
  needTool(context, 'promtool', 'prometheus');
  for (const address of [onServer, onClient]) {
    const { body } = await ask(address);
    const file = server.file('metrics.txt');
    writeFileSync(file, body);
    const { code, stdout, stderr } = await run('sh', ['-c', 'promtool check metrics <"$1"', 'sh', file]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  }
});

it('Prometheus scrapes both daemons and evaluates our rules on them', { timeout: TEST_MS }, async (context) => {
  needTool(context, 'prometheus', 'prometheus');
  const folder = server.file('prometheus/data');
  mkdirSync(folder, { recursive: true });
  const file = server.file('prometheus/prometheus.yml');
  const job = (name: string, address: string): string =>
    `  - job_name: ${name}\n    scrape_interval: 1s\n    static_configs:\n      - targets: ['${address}:${PORT}']\n`;
  writeFileSync(
    file,
    `global:\n  evaluation_interval: 1s\nrule_files: ['${RULES}']\nscrape_configs:\n${job('rsio-server', onServer)}${job('rsio-client', onClient)}`,
  );
  const prometheus = start(
    'prometheus',
    [`--config.file=${file}`, `--storage.tsdb.path=${folder}`, `--web.listen-address=${onServer}:${PROMETHEUS_PORT}`, '--log.level=warn'],
    { timeoutMs: TEST_MS },
  );
  hosts.onClean(async () => {
    prometheus.kill('SIGKILL');
    await prometheus.ended;
  });
  const query = async (path: string): Promise<string> => (await ask(onServer, path, {}, 'GET', PROMETHEUS_PORT)).body;
  const isScraped = async (): Promise<boolean> => {
    const answer = await query(
      `/api/v1/query?query=${encodeURIComponent('count(rsio_client_path_up == 1) * count(rsio_server_sessions == 1)')}`,
    );
    return answer.includes('"2"]');
  };
  await waitFor(() => isScraped().catch(() => false), TEST_MS, 'Prometheus knows two paths and one session');
  const areEvaluated = async (): Promise<boolean> => {
    const rules = await query('/api/v1/rules');
    return rules.includes('"RsioPathDown"') && !rules.includes('"health":"unknown"');
  };
  await waitFor(areEvaluated, TEST_MS, 'The rules are evaluated');
  expect(await query('/api/v1/rules')).not.toContain('"health":"err"');
  expect(await query('/api/v1/alerts')).toContain('"alerts":[]');
});

it('a server process that does not report delays no answer, and the age of its figures grows', { timeout: TEST_MS }, async () => {
  const ageOf = async (): Promise<number> =>
    seriesOf((await ask(onServer)).body, 'rsio_server_client_report_age_seconds')['{client="big-2"}'] ?? 0;
  const pid = server.worker('big-2');
  process.kill(pid, 'SIGSTOP');
  try {
    await waitFor(async () => (await ageOf()) > 1, TEST_MS, 'The figures are old');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await waitFor(async () => (await ageOf()) < 1, TEST_MS, 'The figures are new');
});

describe('who may read', () => {
  it('only GET and HEAD of /metrics are answered', async () => {
    expect(await ask(onServer, '/metrics?x=1')).toMatchObject({ status: 200 });
    expect(await ask(onServer, '/metrics', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect(await ask(onServer, '/')).toMatchObject({ status: 404 });
    expect(await ask(onServer, '/metrics', {}, 'POST')).toMatchObject({ status: 405 });
  });

  it('one slow reader, and many that only connect, stop nobody', { timeout: TEST_MS }, async () => {
    const idle: Socket[] = [];
    hosts.onClean(async () => idle.forEach((socket) => socket.destroy()));
    for (let index = 0; index < CONNECTIONS_MAX * 3; index++) {
      const socket = connect(PORT, onServer);
      socket.on('error', () => undefined);
      idle.push(socket);
      await once(socket, 'connect');
      // Every second reader sends half a request and then nothing.
      if (index % 2 === 0) socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: ');
    }
    expect(await ask(onServer)).toMatchObject({ status: 200 });
    const flood = connect(PORT, onServer);
    idle.push(flood);
    flood.on('error', () => undefined);
    flood.write(`GET /metrics HTTP/1.1\r\n${'X-Many: 12345678\r\n'.repeat(1_000)}`);
    await once(flood, 'close');
    expect(await ask(onServer)).toMatchObject({ status: 200 });
  });

  it('a reload moves the metrics, gives them a token, and reports an address in use without ending', { timeout: TEST_MS }, async () => {
    const squatter = createServer().listen(PORT + 1, onServer);
    hosts.onClean(async () => void squatter.close());
    await once(squatter, 'listening');
    server.writeConfig('rssrv', serverText(`${onServer}:${PORT + 1}`));
    expect(await server.rsadmWell('reload')).toContain(`metrics is ${onServer}:${PORT + 1}`);
    await server.logged('rssrv', `Cannot offer metrics on ${onServer}:${PORT + 1}: another program uses the port. Find it with ss -ltnp`);
    await expect(ask(onServer)).rejects.toThrow(/ECONNREFUSED/);
    server.writeConfig('rssrv', serverText(`${onServer}:${PORT}`, TOKEN));
    await server.rsadmWell('reload');
    expect(await ask(onServer)).toMatchObject({ status: 401 });
    expect(await ask(onServer, '/else', { authorization: 'Bearer wrong' })).toMatchObject({ status: 401 });
    expect(await ask(onServer, '/metrics', { authorization: `Bearer ${TOKEN}` })).toMatchObject({ status: 200 });
    expect(server.log('rssrv')).not.toContain(TOKEN);
    client.writeConfig('rsiod', clientConfig(network, { defaults: { metrics: 'off' } }));
    expect(await client.rsconfigWell('reload')).toContain(`metrics = ${onClient}:${PORT} -> metrics = off`);
    await expect(ask(onClient)).rejects.toThrow(/ECONNREFUSED/);
  });
});
