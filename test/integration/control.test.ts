// Answers of real daemons on the control socket, and the output of rsconfig with --json. An independent validator checks answers and output
// against the schemas in dist/docs/json, and the shapes of the product check every field. The answers to clients of other releases are also
// tested.

import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { CONTROL_METHODS, type ControlMethodName } from '@rsio/api/rsiod/methods';
import { misfit, type Shape } from '@rsio/base/lib/shape';
import { COMMANDS } from '@rsio/rsconfig/command-table';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, expect, it } from 'vitest';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import { clientConfig, serverConfig, type ServerConfigOptions } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { startPair } from '../support/hosts/pair.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const DOCS = fileURLToPath(new URL('../../dist/docs/json/', import.meta.url));
const ajv = new Ajv2020({ strict: true });
ajv.addSchema(JSON.parse(readFileSync(`${DOCS}definitions.json`, 'utf8')) as object, 'definitions.json');

const hosts = useHosts('file');
let server: Host;
let client: Host;
let network: TestNetwork;
let hasReflink: boolean;

function volumesOf(host: Host): ServerConfigOptions['volumes'] {
  return {
    oracle: { path: host.file('oracle.img'), size: '16m' },
    tvol1: { type: 'memory', size: '1m' },
    common: { type: 'memory', size: '1m', shared: 'yes' },
  };
}

beforeAll(async () => {
  ({ server, client, network } = await startPair(hosts, volumesOf));
  const mount = makeReflinkDisk(hosts, server);
  hasReflink = mount !== null;
  const pools = { fast: { path: await emptyPool(server, mount === null ? 'pool' : 'reflink/pool') } };
  server.writeConfig('rssrv', serverConfig(network, { volumes: volumesOf(server), pools, rights: { 'big-2': 'admin' } }));
  await server.rsadmWell('reload');
});

/** Expects that the document conforms to the schema of this name, and has exactly the fields of `shape`. */
function fits(name: string, shape: Shape, text: string): void {
  const document: unknown = JSON.parse(text);
  const validate = ajv.compile(JSON.parse(readFileSync(`${DOCS}${name}.json`, 'utf8')) as object);
  expect(validate(document), `${name}: ${ajv.errorsText(validate.errors)}`).toBe(true);
  expect(misfit(shape, document, 'exactly'), name).toBeNull();
}

/**
 * Commands with --json whose output an independent validator compares with the schema, each with its arguments and its exit code. Every
 * output of every test is compared with its shape (support/programs/json-output.ts). The test makes waiting I/O, holds and failures, so that
 * documents also contain parts that are usually missing.
 */
const CALLS: Readonly<Record<string, readonly (readonly [args: string, code: number])[]>> = {
  local: [['-l', 0]],
  query: [['-q', 0]],
  attach: [
    ['-a --read-only tvol1', 0],
    ['-a', 0],
    ['-a nosuch oracle', 1],
  ],
  detach: [
    ['-d tvol1 nosuch', 1],
    ['-d common', 0],
  ],
  status: [['-m status', 0]],
  stats: [['-m stats', 0]],
  'mirror-list': [['mirror list', 0]],
  test: [['-m test', 0]],
  events: [['events', 0]],
  // node-messages.test.ts waits for events and messages.
  'wait-event': [['wait-event --position', 0]],
  send: [['send venus hello', 0]],
  watch: [['watch --count 1', 0]],
  explore: [['explore SERVER', 0]],
  doctor: [['doctor', -1]],
  'volume-create': [['volume create db --size 1m --attach', 0]],
  'volume-list': [
    ['volume list', 0],
    ['volume list --removed', 0],
  ],
  'pool-list': [['pool list', 0]],
  'volume-show': [['volume show db', 0]],
  'volume-grow': [['volume grow db 2m', 0]],
  'volume-set': [['volume set db clients=big-2', 0]],
  'volume-allow': [['volume allow db venus', 0]],
  'volume-revoke': [['volume revoke db venus', 0]],
  'volume-pause': [['volume pause db --for 1m', 0]],
  'volume-resume': [['volume resume db', 0]],
  'volume-stop': [['volume stop db', 0]],
  'volume-start': [['volume start db', 0]],
  'volume-snapshot': [['volume snapshot db@monday', 0]],
  'volume-diff': [['volume diff db@monday', 0]],
  'volume-clone': [['volume clone db@monday copy', 0]],
  'volume-rename': [
    ['-d db', 0],
    ['volume rename db data', 0],
  ],
  'volume-rollback': [['volume rollback data@monday', 0]],
  'volume-image': [['volume image data --universe 3', 0]],
  'volume-refresh': [['volume refresh data@3', 0]],
  'volume-split': [['volume split data@3', 0]],
  'volume-replicate': [['volume replicate data --to big-2 --every 1h', 0]],
  'volume-replications': [
    ['volume replications', 0],
    ['volume replicate data --end', 0],
  ],
  'volume-remove': [
    ['volume remove data@monday --yes', 0],
    ['volume remove data --yes', 0],
  ],
  'volume-restore': [['volume restore data', 0]],
  'volume-purge': [
    ['volume remove data --yes', 0],
    ['volume purge data --yes', 0],
  ],
  'volume-jobs': [['volume jobs', 0]],
  // rolling-restart.test.ts restarts servers by it.
  servers: [['servers', -1]],
  'gate-list': [['gate list', 0]],
  'gate-secret': [['gate secret nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555', 0]],
  'interface-list': [['interface list', 0]],
  'server-list': [['server list', 0]],
  check: [
    ['check', 0],
    ['check WRONG', 1],
  ],
  reload: [['reload', 0]],
  'key-new': [['key new', 0]],
};

/** Commands that need a pool on a file system with reflink. */
const ON_REFLINK: readonly string[] = [
  'volume-snapshot',
  'volume-diff',
  'volume-clone',
  'volume-rollback',
  'volume-image',
  'volume-refresh',
  'volume-split',
  'volume-replicate',
];

it.for(Object.entries(CALLS))('rsconfig --json: %s', async ([name, calls], context) => {
  context.skip(ON_REFLINK.includes(name) && !hasReflink, 'needs xfsprogs and root');
  const wrong = client.file('wrong.cfg');
  writeFileSync(wrong, '[interface if0]\nadress = 1.2.3.4\n[namespace x]\n', { mode: 0o644 });
  const [address = ''] = network.serverAddresses;
  client.writeConfig('rsiod', `${clientConfig(network)}# changed\n`);
  for (const [args, code] of calls) {
    if (args.includes('@monday') && !hasReflink) continue;
    const words = args.split(' ').map((word) => (word === 'WRONG' ? wrong : word === 'SERVER' ? `${address}:${network.port}` : word));
    const result = await client.run('rsconfig', [...words, '--json'], 60_000);
    if (code >= 0) expect(result.code, `${args}: ${result.stderr}`).toBe(code);
    // A step of another command only prepares the next step, and is not checked.
    if (name.startsWith('volume-') && !args.startsWith(name.replaceAll('-', ' '))) continue;
    const command = COMMANDS.find(({ call }) =>
      call.by === 'option' ? call.option === name : call.by === 'monitor' ? call.word === name : call.words.replaceAll(' ', '-') === name,
    );
    fits(name, command?.json ?? { form: { kind: 'flag' }, help: null }, result.stdout);
  }
});

/** Returns the answer to a request line, without using our client code. */
function raw(request: object): Promise<Record<string, unknown>> {
  const socket = connect(client.rsiodPaths.controlSocket);
  socket.end(`${JSON.stringify(request)}\n`);
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(JSON.parse(text) as Record<string, unknown>));
  });
}

const PARAMS: Readonly<Partial<Record<ControlMethodName, object>>> = {
  attach: { names: ['nosuch'] },
  'message-send': { to: 'venus', text: 'hello' },
  'progress-note': { kind: 'backup', id: 'backup 1', name: 'osl:db@0', about: 'to /backup', doneBytes: 1 },
  'backup-done': { namespace: 'osl', name: 'db', universe: 0, snapshot: 'monday' },
  detach: { names: ['nosuch'] },
  'order-attach': { name: 'nosuch', what: 'a test' },
  'order-detach': { ticket: 'of nobody' },
  'server-call': { method: 'volume-list' },
  'snapshot-begin': { snapshots: [{ namespace: 'osl', name: 'oracle', universe: 0, snapshot: 'monday' }] },
  'snapshot-end': { ticket: 1 },
  'await-volume': { namespace: 'osl', server: 'big-9' },
};

/** Methods whose answers are checked by keeper.test.ts, volume-notes.test.ts and the tests of rsiod's mirrors/. */
const ELSEWHERE = ['restart', 'stop', 'volume-note', 'volume-note-set', 'nodes-seen'];
const isElsewhere = (method: string): boolean => ELSEWHERE.includes(method) || method.startsWith('mirror-');

it('a daemon without a keeper refuses a restart and continues', async () => {
  const { pid } = await client.call('daemon', {});
  expect(await raw({ id: 1, method: 'restart' })).toMatchObject({
    error: { code: 'E_SYSTEM', message: expect.stringContaining('no keeper') },
  });
  expect((await client.call('daemon', {})).pid).toBe(pid);
});

it.each((Object.keys(CONTROL_METHODS) as ControlMethodName[]).filter((method) => !isElsewhere(method)))(
  'method %s answers as its table and the schema control.json say',
  async (method) => {
    const { namespaces } = await client.call('query', { refresh: false });
    const offered = { id: namespaces[0]?.servers[0]?.volumes[0]?.id };
    const params = { ...PARAMS[method], ...(method === 'await-volume' ? offered : {}) };
    const { id, version, release, result } = await raw({ id: 'x', method, params });
    const daemon = await client.call('daemon', {});
    expect({ id, version, release }).toEqual({ id: 'x', version: daemon.control, release: daemon.version });
    expect(misfit(CONTROL_METHODS[method].result, result, 'exactly')).toBeNull();
    const { $defs } = JSON.parse(readFileSync(`${DOCS}control.json`, 'utf8')) as { $defs: Record<string, object> };
    expect(ajv.validate($defs[`${method}.result`] ?? {}, result), ajv.errorsText()).toBe(true);
    expect(daemon.methods).toContain(method);
  },
);

it("a request of another version is refused with both versions and the daemon's identity", async () => {
  expect(await raw({ id: 1, version: 99, method: 'detach', params: { names: [] } })).toMatchObject({
    id: 1,
    error: {
      code: 'E_VERSION',
      message: expect.stringMatching(/version 99 of the control interface, this daemon \(release [\d.]+\) uses \d+/),
    },
  });
  expect(await raw({ id: 1, version: 99, method: 'daemon' })).toMatchObject({ result: { program: 'rsiod' } });
});

it('volumes that wait, or are awaited after a restart, have the declared shape', async () => {
  await client.rsconfigWell('-a', 'oracle');
  await server.stop('rssrv');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  const writing = nbd.write(0, Buffer.alloc(4_096)).catch(() => undefined);
  await waitFor(async () => (await client.call('status', {})).waiting.length === 1, 10_000, 'The volume waits');
  for (const [name, ...args] of [
    ['status', '-m', 'status'],
    ['query', '-q'],
    ['stats', '-m', 'stats'],
  ] as const) {
    const { stdout } = await client.rsconfig(...args, '--json');
    fits(name, CONTROL_METHODS[name].result, stdout);
  }
  await client.kill('rsiod');
  await client.start('rsiod');
  const { awaited } = await client.call('local', {});
  expect(awaited).toMatchObject([{ name: 'oracle', server: 'big-9' }]);
  fits('local', CONTROL_METHODS.local.result, (await client.rsconfig('-l', '--json')).stdout);
  nbd.close();
  await writing;
});
