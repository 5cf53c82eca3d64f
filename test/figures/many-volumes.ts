// `npm run drill -- many-volumes`: measures how long a server takes to create ten thousand volumes in a pool, to list them, to restart after a kill,
// and to give a client its list. The program also measures the memory of the server. Invariant: the exit code is 0 if and only if each step
// ended with every volume.

import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { LineSplitter } from '@rsio/common/control/line-splitter';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const HELP = `usage: npm run drill -- many-volumes [--volumes N] [--clients N]

Creates N volumes in a pool by command (default 10000), one at a time over one connection, lists them, attaches one, kills rssrv with
SIGKILL, and starts it again. N clients (default 100) have a line in rssrvcfg; one of them is there and may see all volumes.
`;
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

async function play(count: number, clients: number): Promise<void> {
  const hosts = new Hosts();
  try {
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
    console.log(`${count} volumes, ${clients} clients in rssrvcfg, load ${loadavg()[0]?.toFixed(1)}`);

    const control = new Control(host.rssrvPaths.controlSocket);
    const tookMs: number[] = [];
    const beganMs = performance.now();
    for (let number = 0; number < count; number++) {
      const startMs = performance.now();
      await control.call('volume-create', { name: `v${number}`, sizeBytes: SIZE_BYTES });
      tookMs.push(performance.now() - startMs);
    }
    const part = Math.min(PART, Math.ceil(count / 2));
    print('create, all', `${seconds(performance.now() - beganMs)}`);
    print(`create, first ${part}`, `${mean(tookMs.slice(0, part))} ms each`);
    print(`create, last ${part}`, `${mean(tookMs.slice(-part))} ms each`);
    control.close();
    memory(host, 'after creating');

    await timed('client has its list', () => waitFor(() => isListed(host, count), LISTED_MS, 'The client has the whole list'));
    await timed('rsadm volume list', () => host.rsadmWell('volume', 'list'));
    await timed('volume-list method', () => call(host, 'volume-list', {}));
    await host.rsconfigWell('-a', `v${count - 1}`);
    await timed('volume-show method', () => call(host, 'volume-show', { name: 'v0' }));
    await timed('grow one', () => call(host, 'volume-grow', { name: 'v0', sizeBytes: 2 * SIZE_BYTES }));
    await timed('rename one', () => call(host, 'volume-rename', { name: 'v0', newName: 'w0' }));
    await timed('remove one', () => call(host, 'volume-remove', { name: 'w0' }));

    await host.kill('rssrv');
    const killedMs = performance.now();
    await host.start('rssrv');
    const startedMs = performance.now();
    const { volumes } = (await call(host, 'volume-list', {})) as { volumes: readonly { state: string }[] };
    const served = volumes.filter(({ state }) => state === 'served').length;
    if (served !== count - 1) throw new Error(`${served} volumes are served after the restart, not ${count - 1}`);
    print('restart, kill -9', seconds(startedMs - killedMs));
    await host.pathsUp(1, LISTED_MS);
    await waitFor(() => isListed(host, count - 1), LISTED_MS, 'The client has the whole list again');
    print('client has its list', `${seconds(performance.now() - killedMs)} after the kill`);
    memory(host, 'after the restart');
  } finally {
    await hosts.clean();
  }
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

async function timed(what: string, step: () => Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  await step();
  print(what, seconds(performance.now() - startMs));
}

function print(what: string, value: string): void {
  console.log(`${what.padEnd(24)} ${value}`);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function mean(values: readonly number[]): string {
  return (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(1);
}

/** Prints the memory of the listener and of its processes. */
function memory(host: Host, when: string): void {
  const listener = host.pid('rssrv');
  const children = readFileSync(`/proc/${listener}/task/${listener}/children`, 'utf8').trim().split(' ').map(Number);
  const mib = (pid: number): string => {
    const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return `${Math.round(Number(kib) / 1024)} MiB`;
  };
  print(
    `memory ${when}`,
    `listener ${mib(listener)}, its processes ${children
      .filter((pid) => pid > 0)
      .map(mib)
      .join(', ')}`,
  );
}

const { values } = parseArgs({
  options: { volumes: { type: 'string', default: '10000' }, clients: { type: 'string', default: '100' }, help: { type: 'boolean' } },
});
if (values.help === true) {
  process.stdout.write(HELP);
} else {
  await play(Number(values.volumes), Number(values.clients));
}
