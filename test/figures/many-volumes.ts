// `npm run drill -- many-volumes`: measures how long a server takes to create ten thousand volumes in a pool, to list them, to restart after a kill,
// and to give a client its list. The program also measures the memory of the server. Invariant: each step must end with
// every volume.

import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { LineSplitter } from '@rsio/common/control/line-splitter';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { defineDrill } from '../support/drills/harness.ts';
import { count } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { seconds } from '../support/drills/table.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const LISTED_MS = 60_000;
const SIZE_BYTES = 1 << 20;
const PART = 500;
const ANSWER_MAX_BYTES = 64 << 20;

/** One connection to the control socket, with one request at a time. */
class Control {
  private readonly socket: Socket;
  private readonly answers: ((line: string) => void)[] = [];
  private id = 0;

  constructor(path: string) {
    this.socket = connect(path);
    const splitter = new LineSplitter(ANSWER_MAX_BYTES);
    this.socket.on('data', (piece: Buffer) => void splitter.push(piece, (line) => this.answers.shift()?.(line)));
  }

  async call(method: string, params: object): Promise<unknown> {
    this.socket.write(`${JSON.stringify({ id: ++this.id, method, params })}\n`);
    const line = await new Promise<string>((resolve) => this.answers.push(resolve));
    const answer = JSON.parse(line) as { result?: unknown; error?: { message: string } };
    if (answer.error !== undefined) throw new Error(answer.error.message);
    return answer.result;
  }

  close(): void {
    this.socket.destroy();
  }
}

async function play(scene: Scene, { volumes: wanted, clients }: { volumes: number; clients: number }): Promise<void> {
  const { hosts } = scene;
  const print = (what: string, value: string): void => scene.say(`${what.padEnd(24)} ${value}`);
  const timed = async (what: string, step: () => Promise<unknown>): Promise<void> => {
    scene.round(what);
    const startMs = performance.now();
    await step();
    print(what, seconds(performance.now() - startMs, 2));
  };
  const host = hosts.host();
  const network = await hosts.network(1);
  const pool = host.file('pool');
  await mkdir(pool);
  const allocate = (): Promise<void> => Promise.reject(new Error('An empty pool needs no space'));
  await new PoolFiles(pool, { allocate }).makePool({ id: crypto.randomUUID(), createdMs: Date.now() });
  const names = ['big-2', ...Array.from({ length: clients - 1 }, (_, number) => `node-${number}`)];
  const keys = Object.fromEntries(names.map((name) => [name, keyOf(name)]));
  host.writeConfig('rssrv', serverConfig(network, { volumes: {}, clients: keys, pools: { fast: { path: pool, reserve: '0%' } } }));
  await host.start('rssrv');
  host.writeConfig('rsiod', clientConfig(network));
  await host.start('rsiod');
  await host.pathsUp(1);
  scene.say(`${wanted} volumes, ${clients} clients in rssrvcfg`);
  scene.round('create');

  const control = new Control(host.rssrvPaths.controlSocket);
  const tookMs: number[] = [];
  const beganMs = performance.now();
  for (let number = 0; number < wanted; number++) {
    const startMs = performance.now();
    await control.call('volume-create', { name: `v${number}`, sizeBytes: SIZE_BYTES });
    tookMs.push(performance.now() - startMs);
  }
  const part = Math.min(PART, Math.ceil(wanted / 2));
  print('create, all', seconds(performance.now() - beganMs, 2));
  print(`create, first ${part}`, `${mean(tookMs.slice(0, part))} ms each`);
  print(`create, last ${part}`, `${mean(tookMs.slice(-part))} ms each`);
  control.close();
  print('memory after creating', memory(host));

  await timed('client has its list', () => waitFor(() => isListed(host, wanted), LISTED_MS, 'The client has the whole list'));
  await timed('rsadm volume list', () => host.rsadmWell('volume', 'list'));
  await timed('volume-list method', () => call(host, 'volume-list', {}));
  await host.rsconfigWell('-a', `v${wanted - 1}`);
  await timed('volume-show method', () => call(host, 'volume-show', { name: 'v0' }));
  await timed('grow one', () => call(host, 'volume-grow', { name: 'v0', sizeBytes: 2 * SIZE_BYTES }));
  await timed('rename one', () => call(host, 'volume-rename', { name: 'v0', newName: 'w0' }));
  await timed('remove one', () => call(host, 'volume-remove', { name: 'w0' }));

  scene.round('restart after a kill');
  await host.kill('rssrv');
  const killedMs = performance.now();
  await host.start('rssrv');
  const startedMs = performance.now();
  const { volumes: after } = (await call(host, 'volume-list', {})) as { volumes: readonly { state: string }[] };
  const served = after.filter(({ state }) => state === 'served').length;
  if (served !== wanted - 1) throw new Error(`${served} volumes are served after the restart, not ${wanted - 1}`);
  print('restart, kill -9', seconds(startedMs - killedMs, 2));
  await host.pathsUp(1, LISTED_MS);
  await waitFor(() => isListed(host, wanted - 1), LISTED_MS, 'The client has the whole list again');
  print('client has its list', `${seconds(performance.now() - killedMs, 2)} after the kill`);
  print('memory after the restart', memory(host));
}

async function call(host: Host, method: string, params: object): Promise<unknown> {
  const control = new Control(host.rssrvPaths.controlSocket);
  try {
    return await control.call(method, params);
  } finally {
    control.close();
  }
}

async function isListed(host: Host, count: number): Promise<boolean> {
  const listed = await host.rsconfigWell('-q');
  return listed.split('\n').filter((line) => / [vw]\d+ /.test(line)).length === count;
}

function mean(values: readonly number[]): string {
  return (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(1);
}

/** Returns the memory of the listener and of its processes. */
function memory(host: Host): string {
  const listener = host.pid('rssrv');
  const children = readFileSync(`/proc/${listener}/task/${listener}/children`, 'utf8').trim().split(' ').map(Number);
  const mib = (pid: number): string => {
    const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return `${Math.round(Number(kib) / 1024)} MiB`;
  };
  const processes = children.filter((pid) => pid > 0).map(mib);
  return `listener ${mib(listener)}, its processes ${processes.join(', ')}`;
}

export const drill = defineDrill({
  about: `Creates N volumes in a pool by command, one at a time over one connection, lists them, attaches one, kills rssrv with SIGKILL, and starts
    it again. The clients have a line in rssrvcfg; one of them is there and may see all volumes.`,
  needs: [],
  unit: 'steps',
  endsAtOnce: true,
  options: { volumes: count(10_000, 'number of volumes'), clients: count(100, 'number of clients') },
  play,
});
