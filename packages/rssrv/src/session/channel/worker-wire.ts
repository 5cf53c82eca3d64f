// Starts a worker, and carries the messages between the listener and the process. The process sends its messages over a socket, one line of
// JSON each. It does not use the IPC channel of Node.js, because unexpected data in that channel would end the listener. Invariants: every message of the
// process is checked before another module sees it; all messages after the first wrong message are ignored.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { LineSplitter } from '@rsio/common/control/line-splitter';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { descriptorOf } from '@rsio/protocol/link/tcp-transport';
import { closeAll, DescriptorSender } from '../../machine/descriptor-passing.ts';
import type { Confinement } from '../../machine/confine.ts';
import type { SystemCalls } from '../../machine/system-calls.ts';
import type { Clock } from '@rsio/base/lib/clock';
import { type FromWorker, parsedMessage, type ToWorker } from './channel.ts';
import { CHANNEL_END_MS, WORKER_MESSAGE_MAX_BYTES, WORKER_UNREAD_MAX_BYTES } from '../limits.ts';

const WORKER_MODULE = new URL(import.meta.url.endsWith('.ts') ? '../../worker.ts' : './worker.js', import.meta.url);

/** How to start a worker. */
export interface Confining extends Confinement {
  readonly calls: SystemCalls;
  /** Called when a worker has started, with sentences about protection that this machine does not offer. */
  started(unprotected: readonly string[]): void;
}

export interface WireEvents {
  received(message: FromWorker): void;
  /** Called once if the process has sent a wrong message, has closed its channel, or does not read its messages. */
  broken(reason: string): void;
}

export interface WorkerWire {
  readonly child: ChildProcess;
  /** Passes descriptors to the process; null if the listener had no free descriptor for it. */
  readonly sender: DescriptorSender | null;
  /** The pipe of the process's log, and its stderr. */
  readonly lines: readonly Readable[];
  send(message: ToWorker): void;
  /**
   * Sends a message with a connection. The connection stays open in this process. Calls `sent` when this process may close the connection.
   */
  sendSocket(message: ToWorker & { type: 'session' }, socket: Socket, sent: () => void): void;
}

/** Starts a worker with the environment `env`. */
export function startProcess(clock: Clock, { user, calls }: Confining, env: NodeJS.ProcessEnv, events: WireEvents): WorkerWire {
  const [ours, theirs] = pairOf(calls);
  const child = started(JSON.stringify({ user }), theirs, env);
  const sender = ours === null ? null : new DescriptorSender(calls, clock, ours);
  const wire = streamOf(child, 3) as Duplex | null;
  const hear = listening(events);
  if (wire !== null) {
    followLines(wire, hear);
    watchEnd(clock, child, wire, () => hear(() => refuse('it has closed its channel')));
  }
  const send = (message: ToWorker): void => {
    if (wire === null || wire.destroyed) return;
    if (wire.writableLength > WORKER_UNREAD_MAX_BYTES) hear(() => refuse(`it has not read ${wire.writableLength} bytes`));
    else wire.write(`${JSON.stringify(message)}\n`);
  };
  return {
    child,
    sender,
    lines: linesOf(child),
    send,
    sendSocket: (message, socket, sent) => {
      const descriptor = descriptorOf(socket);
      if (sender === null || descriptor === null) return sent();
      sender
        .lend([descriptor])
        .then((socketTag) => send({ ...message, socketTag }))
        // Ignore the error: if the descriptor cannot be passed, the connection is closed, and the client connects again.
        .catch(() => undefined)
        .finally(sent);
    },
  };
}

/**
 * For each line, calls `hear` with a function that reads and checks the message in the line. For a line that is too long, this function
 * throws E_PROTOCOL.
 */
function followLines(wire: Duplex, hear: (read: () => FromWorker) => boolean): void {
  const splitter = new LineSplitter(WORKER_MESSAGE_MAX_BYTES);
  wire.on('error', () => undefined);
  wire.on('data', (chunk: Buffer) => {
    if (!splitter.push(chunk, (line) => void hear(() => parsedMessage(line))))
      hear(() => refuse(`a message is longer than ${WORKER_MESSAGE_MAX_BYTES} bytes`));
  });
}

/**
 * Watches for the end of the channel, after which the process must exit. Calls `closed` if the process is still running CHANNEL_END_MS
 * later.
 */
export function watchEnd(
  clock: Clock,
  child: Pick<ChildProcess, 'exitCode' | 'signalCode' | 'once'>,
  wire: Pick<Duplex, 'once'>,
  closed: () => void,
): void {
  wire.once('close', () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const timer = clock.after(CHANNEL_END_MS, closed);
    child.once('exit', () => timer.cancel());
  });
}

function refuse(reason: string): never {
  throw new RsError('E_PROTOCOL', reason);
}

/**
 * Returns a function that passes messages on to `events`. After the first wrong message, the function drops every message and returns
 * false.
 */
function listening(events: WireEvents): (read: () => FromWorker) => boolean {
  let isBroken = false;
  return (read) => {
    if (isBroken) return false;
    try {
      events.received(read());
    } catch (thrown) {
      const error = toRsError(thrown);
      if (error.code !== 'E_PROTOCOL') throw thrown;
      isBroken = true;
      events.broken(error.message);
    }
    return !isBroken;
  };
}

/** Starts the process with a socket for messages (3), the other end of the socket for descriptors (4), and a pipe for its log (5). */
function started(argument: string, theirs: number | null, env: NodeJS.ProcessEnv): ChildProcess {
  try {
    return spawn(process.execPath, [...process.execArgv, fileURLToPath(WORKER_MODULE), argument], {
      // The process gets a process session of its own, so that no signal of a terminal reaches it.
      detached: true,
      env,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', theirs ?? 'ignore', 'pipe'],
    });
  } finally {
    if (theirs !== null) closeAll([theirs]);
  }
}

function pairOf(calls: SystemCalls): readonly [number | null, number | null] {
  try {
    return calls.socketPair();
  } catch {
    // The listener has no free descriptor, and therefore cannot pass connections and files to this process. The clients have to try again.
    return [null, null];
  }
}

function linesOf(child: ChildProcess): Readable[] {
  return [streamOf(child, 2), streamOf(child, 5)].filter((one) => one !== null);
}

/** Returns null if the process could not be started: Node.js leaves `stdio` undefined when it has no descriptors left. */
function streamOf({ stdio }: ChildProcess, number: number): Readable | null {
  const streams: readonly unknown[] | undefined = stdio;
  return (streams?.[number] ?? null) as Readable | null;
}
