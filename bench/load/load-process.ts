// The process of one load generator: one connection to one server, kept through all rounds, driven by orders from the bench. It reads the
// servers' processor time itself, so that window and figures are of the same moments. It ends when the bench does.

import { setTimeout as after } from 'node:timers/promises';
import { toRsError } from '@rsio/protocol/lib/errors';
import { cpuSecondsOf, machineBusySeconds } from '../proc.ts';
import { CHECK, FILE_BYTES } from '../workload.ts';
import { ByteStream } from './byte-stream.ts';
import { Load } from './load.ts';
import { NbdDialect } from './nbd-dialect.ts';
import type { Measured, Order, Report, Target } from './orders.ts';
import { RsioDialect } from './rsio-dialect.ts';

interface Sample {
  readonly atMs: number;
  readonly answered: number;
  readonly server: number;
  readonly generator: number;
  readonly machine: number;
}

const MICROSECONDS = 1e6;

let load: Load | null = null;

function report(message: Report): void {
  if (process.connected) process.send?.(message);
}

function failed(thrown: unknown): void {
  report({ type: 'failed', message: toRsError(thrown).message });
}

function opened(): Load {
  if (load === null) throw new Error('No connection is open');
  return load;
}

async function open({ host, port, volume }: Target): Promise<void> {
  const dialect = volume.kind === 'rsio' ? new RsioDialect(volume) : new NbdDialect(volume);
  const stream = new ByteStream();
  await stream.connect(host, port, failed);
  await dialect.open(stream);
  const made = new Load(dialect, (bytes) => stream.send(bytes));
  stream.handOver((buffer, lengthBytes) => made.push(buffer, lengthBytes));
  load = made;
}

async function check(): Promise<void> {
  const blocks = FILE_BYTES / CHECK.blockBytes;
  await opened().begin(CHECK, 0, blocks, true);
}

function sample(running: Load, serverPids: readonly number[]): Sample {
  const { user, system } = process.cpuUsage();
  return {
    atMs: performance.now(),
    answered: running.answered,
    server: cpuSecondsOf(serverPids),
    generator: (user + system) / MICROSECONDS,
    machine: machineBusySeconds(),
  };
}

async function measure(order: Extract<Order, { type: 'measure' }>): Promise<Measured> {
  const running = opened();
  const ended = running.begin(order.workload, order.seed, Number.POSITIVE_INFINITY, false);
  await after(order.warmUpMs);
  const first = sample(running, order.serverPids);
  await after(order.windowMs);
  const last = sample(running, order.serverPids);
  running.stop();
  await ended;
  const seconds = (last.atMs - first.atMs) / 1000;
  const serverCores = (last.server - first.server) / seconds;
  const generatorCores = (last.generator - first.generator) / seconds;
  return {
    windowMs: last.atMs - first.atMs,
    iops: (last.answered - first.answered) / seconds,
    serverCores,
    generatorCores,
    otherCores: Math.max(0, (last.machine - first.machine) / seconds - serverCores - generatorCores),
  };
}

async function execute(order: Order): Promise<Measured | null> {
  switch (order.type) {
    case 'open':
      await open(order.target);
      return null;
    case 'check':
      await check();
      return null;
    case 'measure':
      return measure(order);
  }
}

process.on('message', (message) => {
  execute(message as Order).then((measured) => report({ type: 'done', measured }), failed);
});
process.on('uncaughtException', failed);
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group: the bench decides.
process.on('SIGINT', () => undefined);
