// The two clients that show the cost of a replay log, and their server: an unchanged rsiod, and an rsiod whose logs do nothing
// (without-log.ts). Each client has a volume of type null, so that only protocol and log are measured. The server can delay flushes of this
// volume. Invariant: the caller of startLogScene can stop each process as soon as the process runs.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { rsiodPaths, rssrvPaths } from '@rsio/common/config/root-paths';
import { callControl } from '@rsio/api/rsiod/call-rsiod';
import { RsError } from '@rsio/base/lib/errors';
import { faultsFile, type ServerFaults } from '@rsio/test/support/faulty-server/volume-faults';
import { clientConfig, serverConfig } from '@rsio/test/support/hosts/configs';
import { FAULTY_SERVER } from '@rsio/test/support/programs/programs';
import { Child, freePort } from './child.ts';
import type { Target } from './load/orders.ts';
import { NAMESPACE } from './scene.ts';
import { FILE_BYTES } from './workload.ts';

export interface LogClient {
  readonly name: string;
  readonly pid: number;
  readonly target: Target;
  readonly controlSocket: string;
}

export interface LogScene {
  /** The client with a log, then the client without. */
  readonly clients: readonly [LogClient, LogClient];
  /** While `isHeld` is true, a FLUSH takes seconds. */
  holdFlushes(isHeld: boolean): void;
}

/** Both clients run rsiod's compiled modules, because no module of the bundled program can be replaced. */
const RSIOD = fileURLToPath(new URL('../../packages/gates/dist/rsiod/main.js', import.meta.url));
const WITHOUT_LOG = new URL('./without-log.js', import.meta.url).href;
const SERVER_HOST = '127.45.0.1';
const CLIENT_HOSTS = ['127.45.0.2', '127.45.0.3'] as const;
const ATTACHED_WITHIN_MS = 20_000;
const LOOK_MS = 50;
const HELD_MS = 20_000;

interface Node {
  readonly name: string;
  readonly key: string;
  readonly volume: string;
}

/** Starts the scene. As soon as a process runs, a function that ends this process is added to `stops`. */
export async function startLogScene(
  directory: string,
  serverCore: number,
  core: number,
  stops: (() => Promise<void>)[],
): Promise<LogScene> {
  const port = await freePort(SERVER_HOST);
  const heldFile = join(directory, 'held');
  const nodes = ['with log', 'without log'].map((name, index) => ({
    name,
    key: randomBytes(16).toString('hex'),
    volume: `v${index}`,
  }));
  const root = join(directory, 'server');
  writeServerFile(root, port, heldFile, nodes);
  const server = new Child('rssrv', serverCore, 'env', [
    `RSIO_TEST_HOST=${root}`,
    process.execPath,
    FAULTY_SERVER,
    '--root',
    root,
    '--foreground',
  ]);
  stops.push(() => server.stop());
  await server.listening(SERVER_HOST, port);
  const clients: LogClient[] = [];
  for (const [index, node] of nodes.entries()) {
    const preload = index === 0 ? [] : ['--import', WITHOUT_LOG];
    clients.push(await startClient(join(directory, node.volume), node, { port, core, preload, host: CLIENT_HOSTS[index] ?? '' }, stops));
  }
  const [first, second] = clients;
  if (first === undefined || second === undefined) throw new RsError('E_INTERNAL', 'Two clients are needed');
  return {
    clients: [first, second],
    holdFlushes: (isHeld) => (isHeld ? writeFileSync(heldFile, '') : rmSync(heldFile, { force: true })),
  };
}

function writeServerFile(root: string, port: number, heldFile: string, nodes: readonly Node[]): void {
  const volumes = nodes.map(({ name, volume }) => [volume, { type: 'null', size: String(FILE_BYTES), clients: nodenameOf(name) }] as const);
  const clients = nodes.map(({ name, key }) => [nodenameOf(name), key] as const);
  const options = { volumes: Object.fromEntries(volumes), clients: Object.fromEntries(clients) };
  writeConfig(rssrvPaths(root).configFile, serverConfig({ port, serverAddresses: [SERVER_HOST] }, options));
  const faults = { delays: [{ operation: 'flush', minMs: HELD_MS, maxMs: HELD_MS, whileFile: heldFile }] } as const;
  const all: ServerFaults = Object.fromEntries(nodes.map(({ volume }) => [volume, faults]));
  writeFileSync(faultsFile(root), JSON.stringify(all));
}

function writeConfig(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode: 0o600 });
}

async function startClient(
  root: string,
  { name, key, volume }: Node,
  { port, core, preload, host }: { port: number; core: number; preload: readonly string[]; host: string },
  stops: (() => Promise<void>)[],
): Promise<LogClient> {
  const { configFile, controlSocket, nbdSocket } = rsiodPaths(root);
  const network = { port, serverAddresses: [SERVER_HOST], clientAddresses: () => [host] };
  writeConfig(configFile, clientConfig(network, { node: nodenameOf(name), key, defaults: { attach: 'all' } }));
  const child = new Child(`rsiod ${name}`, core, process.execPath, [...preload, RSIOD, '--root', root, '--foreground']);
  stops.push(() => child.stop());
  await attached(name, controlSocket);
  const target = { host: nbdSocket, port: null, volume: { kind: 'nbd', export: `${NAMESPACE}/${volume}` } } as const;
  return { name, pid: child.pid, target, controlSocket };
}

async function attached(name: string, controlSocket: string): Promise<void> {
  const endMs = performance.now() + ATTACHED_WITHIN_MS;
  while (!existsSync(controlSocket) || (await callControl(controlSocket, 'local', {})).attachments.length === 0) {
    if (performance.now() > endMs) throw new RsError('E_TIMEOUT', `rsiod ${name} has attached nothing within ${ATTACHED_WITHIN_MS} ms`);
    await after(LOOK_MS);
  }
}

function nodenameOf(name: string): string {
  return name.replaceAll(' ', '-');
}
