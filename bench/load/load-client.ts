// One client of a load: opens its connections, which a generator in C (native/load.c) then inherits. The generator takes orders on stdin
// and answers with events. measure.ts measures the server. Invariant: an order ends, fails, or is abandoned at its deadline; a generator
// that exits early is a failure.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { RsError } from '@rsio/base/lib/errors';
import { nativeProgram } from '../native/compile.ts';
import { FILE_BYTES } from '../workload.ts';
import { openIscsi } from './open-iscsi.ts';
import { openNbd } from './open-nbd.ts';
import { openNvme } from './open-nvme.ts';
import { openRsio, rsioFarewell } from './open-rsio.ts';
import type { LoadFigures, LoadShape, OpenConnection, Target, Window } from './orders.ts';

export interface ClientPlan {
  /** Number of the client at its server, from 0. */
  readonly client: number;
  readonly connections: number;
  readonly isReadonly: boolean;
  readonly cores: readonly number[];
  /** File of the volume; its pages are dropped from the cache while a run reads each block once. */
  readonly dropped?: string;
}

/** The order that the generator executes. */
export interface Run {
  readonly begun: Promise<void>;
  readonly ended: Promise<void>;
  readonly done: Promise<LoadFigures>;
}

type Kind = Target['volume']['kind'] | 'rsio-digest';

type Event =
  | { readonly event: 'ready'; readonly congestion: string }
  | { readonly event: 'begin' | 'end' }
  | ({ readonly event: 'done' } & LoadFigures)
  | { readonly event: 'failed'; readonly message: string };

/** Time that an order may take in addition to its warm-up and its window. */
const ORDER_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 5_000;
const INHERITED_FIRST = 3;
const SWEEP: LoadShape = { readPercent: 100, order: 'sequential', blockBytes: 64 * 1024, depth: 16 };

export class LoadClient {
  /** Congestion control of the client's connections; `none` over a Unix socket. */
  congestion = 'unknown';
  private readonly child: ChildProcess;
  private readonly fileBytes: number;
  private failure: Error | null = null;
  private waiting: { kind: Event['event']; resolve(event: Event): void; reject(error: Error): void }[] = [];

  private constructor(
    connections: readonly OpenConnection[],
    kind: Kind,
    cores: readonly number[],
    fileBytes: number,
    volumes: number,
    dropped?: string,
  ) {
    this.fileBytes = fileBytes;
    const farewell = kind === 'rsio' || kind === 'rsio-digest' ? rsioFarewell(kind === 'rsio-digest').toString('hex') : '';
    const inherited = connections.map(
      ({ words, early }, index) => `${INHERITED_FIRST + index}:${words[0]}:${words[1]}:${early.toString('hex')}`,
    );
    const args = ['-c', cores.join(','), nativeProgram('load'), kind, `${fileBytes}/${volumes}`, farewell, ...inherited];
    const env = dropped === undefined ? process.env : { ...process.env, LOAD_DROPS: dropped };
    this.child = spawn('taskset', args, { env, stdio: ['pipe', 'pipe', 'inherit', ...connections.map(({ socket }) => socket)] });
    for (const { socket } of connections) socket.destroy();
    this.child.on('error', (error) => this.fail(error));
    this.child.on('exit', () => this.fail(new RsError('E_SYSTEM', 'The load generator ended by itself')));
    this.child.stdin?.on('error', (error) => this.fail(error));
    if (this.child.stdout !== null) createInterface(this.child.stdout).on('line', (line) => this.heard(JSON.parse(line) as Event));
  }

  static async open(target: Target, plan: ClientPlan, fileBytes = FILE_BYTES): Promise<LoadClient> {
    const { volume } = target;
    const volumes = volume.kind === 'rsio' ? volume.volumes.length : 1;
    const kind = volume.kind === 'rsio' && volume.protection === 'digest' ? 'rsio-digest' : volume.kind;
    return LoadClient.adopt(await open(target, plan), kind, plan.cores, fileBytes, volumes, plan.dropped);
  }

  /** Makes a client from open connections; each connection has opened all `volumes` volumes. */
  static async adopt(
    connections: readonly OpenConnection[],
    kind: Kind,
    cores: readonly number[],
    fileBytes: number,
    volumes = 1,
    dropped?: string,
  ): Promise<LoadClient> {
    const made = new LoadClient(connections, kind, cores, fileBytes, volumes, dropped);
    const ready = await made.event('ready', ORDER_TIMEOUT_MS);
    if (ready.event === 'ready') made.congestion = ready.congestion;
    return made;
  }

  run(shape: LoadShape, seed: number, { warmUpMs, windowMs }: Window): Run {
    return this.order(shape, { seed, warmUpMs, windowMs, requests: 0, isChecked: false });
  }

  /** Reads the whole volume once in order, and compares every byte; or writes every byte once. */
  async sweep(kind: 'read' | 'write'): Promise<LoadFigures> {
    const shape = { ...SWEEP, readPercent: kind === 'read' ? 100 : 0 };
    const requests = this.fileBytes / SWEEP.blockBytes;
    return this.order(shape, { seed: 1, warmUpMs: 0, windowMs: 0, requests, isChecked: kind === 'read' }).done;
  }

  /** Sends a number of requests, and compares the data of READs. */
  async checked(shape: LoadShape, requests: number): Promise<LoadFigures> {
    return this.order(shape, { seed: 1, warmUpMs: 0, windowMs: 0, requests, isChecked: true }).done;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined) return;
    const gone = once(this.child, 'exit');
    this.child.stdin?.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), END_TIMEOUT_MS);
    await gone;
    clearTimeout(timer);
  }

  private order(
    { readPercent, order, blockBytes, depth }: LoadShape,
    how: { seed: number; warmUpMs: number; windowMs: number; requests: number; isChecked: boolean },
  ): Run {
    const { seed, warmUpMs, windowMs, requests, isChecked } = how;
    const withinMs = warmUpMs + windowMs + ORDER_TIMEOUT_MS;
    const begun = requests > 0 ? Promise.resolve() : this.event('begin', withinMs).then(() => undefined);
    const ended = this.event('end', withinMs).then(() => undefined);
    const done = this.event('done', withinMs).then((event) => event as LoadFigures & Event);
    // A caller sees the failure in the promise that it awaits; rejections of the other promises must not end the bench as unhandled.
    for (const promise of [begun, ended, done]) promise.catch(() => undefined);
    this.child.stdin?.write(
      `${readPercent} ${order} ${blockBytes} ${depth} ${seed} ${warmUpMs} ${windowMs} ${requests} ${isChecked ? 1 : 0}\n`,
    );
    return { begun, ended, done };
  }

  private event(kind: Event['event'], withinMs: number): Promise<Event> {
    if (this.failure !== null) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.fail(new RsError('E_TIMEOUT', `The load generator did not report "${kind}" in time`)), withinMs);
      const settled = (): void => clearTimeout(timer);
      this.waiting.push({
        kind,
        resolve: (event) => {
          settled();
          resolve(event);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
    });
  }

  private heard(event: Event): void {
    if (event.event === 'failed') {
      this.fail(new RsError('E_SYSTEM', `The load generator failed: ${event.message}`));
      return;
    }
    const index = this.waiting.findIndex(({ kind }) => kind === event.event);
    if (index >= 0) this.waiting.splice(index, 1)[0]?.resolve(event);
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const one of this.waiting.splice(0)) one.reject(this.failure);
  }
}

function open(target: Target, { client, connections, isReadonly, cores }: ClientPlan): Promise<OpenConnection[]> {
  const { volume } = target;
  switch (volume.kind) {
    case 'rsio':
      return openRsio(target, volume, { client, paths: connections, isReadonly, cores });
    case 'nbd':
      return openNbd(target, volume, connections, cores);
    case 'iscsi':
      return openIscsi(target, volume, connections);
    case 'nvme':
      return openNvme(target, volume, connections);
  }
}
