// A server process of the bench: pinned to one core, ready when it accepts connections, and ended when the bench ends. Invariant: the
// caller that started the process can stop it at any time, and `stop` ends within a bounded time.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { RsError } from '@rsio/base/lib/errors';

const START_TIMEOUT_MS = 10_000;
const START_POLL_MS = 20;
const END_TIMEOUT_MS = 10_000;
const SAID_MAX_CHARS = 2_000;

export class Child {
  readonly pid: number;
  private readonly name: string;
  private readonly process: ChildProcess;
  private said = '';

  /** Starts the program through taskset, which replaces itself with the program: the pid stays the same. */
  constructor(name: string, core: number, command: string, args: readonly string[]) {
    this.name = name;
    this.process = spawn('taskset', ['-c', String(core), command, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.pid = this.process.pid ?? 0;
    // Even if the bench ends abruptly, no server is left behind.
    const atEnd = (): void => void this.process.kill('SIGTERM');
    process.once('exit', atEnd);
    this.process.once('exit', () => process.off('exit', atEnd));
    this.process.on('error', (error) => {
      this.said = error.message;
    });
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.said = `${this.said}${chunk.toString()}`.slice(-SAID_MAX_CHARS);
    });
  }

  /** Resolves when the address accepts connections. */
  async listening(host: string, port: number): Promise<void> {
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    while (!(await connects(host, port))) {
      if (this.hasEnded || performance.now() > deadlineMs) {
        throw new RsError(
          'E_UNREACHABLE',
          `${this.name} does not listen on ${host} port ${port}: ${this.said.trim() || 'it printed nothing'}`,
        );
      }
      await after(START_POLL_MS);
    }
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), END_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }

  private get hasEnded(): boolean {
    return this.pid === 0 || this.process.exitCode !== null || this.process.signalCode !== null;
  }
}

export async function connects(host: string, port: number): Promise<boolean> {
  const socket = net.connect({ host, port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A port of the address on which no process currently listens. */
export async function freePort(host: string): Promise<number> {
  const server = net.createServer().listen({ host, port: 0 });
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new RsError('E_SYSTEM', `No port is free on ${host}`);
  return address.port;
}
