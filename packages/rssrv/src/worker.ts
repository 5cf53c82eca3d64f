// A worker: a process of rssrv with the sessions of one or several clients (the key `processes` in rssrvcfg). The worker passes messages
// from the channel to the right session, and owns the log, the buffers and the threads of all its sessions. The worker first gives up
// its rights (machine/). A worker must not continue without its listener, so it exits when the channel to the listener closes (S10).

import net, { type Socket } from 'node:net';
import { assert } from '@rsio/base/lib/assert';
import { systemClock } from '@rsio/base/lib/clock';
import { programVersion } from '@rsio/base/lib/version';
import { type DaemonLog, type LowestLevel, openLog } from '@rsio/base/log/log';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { systemDropPages } from './storage/io/drop-pages.ts';
import { systemFileSize } from './storage/io/file-size.ts';
import { systemNowaitRead } from './storage/io/nowait-read.ts';
import { ThreadShares } from './storage/io/thread-shares.ts';
import { LISTENER_VERSION, confine, type Confinement, PASSED_LOG, PASSED_SOCKET } from './machine/confine.ts';
import { fileCalls } from './machine/file-calls.ts';
import { DescriptorReceiver } from './machine/descriptor-passing.ts';
import { type SystemCalls, systemCalls } from './machine/system-calls.ts';
import { FIGURES_INTERVAL_MS } from './volumes/limits.ts';
import type { FromWorker, ToSession, ToWorker, WorkerLog } from './session/channel/channel.ts';
import { STORAGE_THREADS, WORKER_DRAIN_TIMEOUT_MS, WORKER_FAREWELL_MS } from './server/limits.ts';
import { type ListenerChannel, listenerChannel } from './session/channel/listener-channel.ts';
import { SessionHost, type SessionHostPorts } from './server/workers/session-host.ts';

/** Values that a process must get before it gives up its rights, because a confined process cannot get them. */
interface Given {
  readonly calls: SystemCalls;
  readonly receiver: DescriptorReceiver;
  readonly unprotected: readonly string[];
}

/** Calls on files that Node.js does not offer. A call is null if this machine does not support it. */
type FileCalls = Pick<SessionHostPorts, 'calls' | 'nowait' | 'fileSize' | 'dropPages'>;

class WorkerProcess {
  private readonly given: Given;
  private readonly calls: FileCalls;
  private readonly channel: ListenerChannel;
  private readonly hosts = new Map<string, SessionHost>();
  /** Maps each session id to the session's node. */
  private readonly nodes = new Map<string, string>();
  private log: DaemonLog | null = null;
  private readonly pools = { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() };
  private readonly threads = new ThreadShares(STORAGE_THREADS);

  constructor(given: Given, calls: FileCalls, channel: ListenerChannel) {
    this.given = given;
    this.calls = calls;
    this.channel = channel;
  }

  /** Reports the figures of all sessions at an interval. */
  reportLater(): void {
    systemClock.after(FIGURES_INTERVAL_MS, () => {
      for (const host of this.hosts.values()) host.report();
      this.reportLater();
    });
  }

  receive(message: ToWorker): void {
    switch (message.type) {
      case 'session':
        this.receiveFor(message.session, message.message, this.passedSocket(message.socketTag));
        return;
      case 'log-level':
        this.log?.setLevel(message.level as LowestLevel);
        return;
      case 'ping':
        this.send({ type: 'pong' });
        return;
      case 'exit':
        exitSoon(0);
    }
  }

  /**
   * Called when the listener has exited. Finishes and flushes the I/O in progress, and then exits, no later than after
   * WORKER_DRAIN_TIMEOUT_MS.
   */
  listenerLost(): void {
    systemClock.after(WORKER_DRAIN_TIMEOUT_MS, () => process.exit(1));
    void Promise.all([...this.hosts.values()].map((host) => host.listenerLost())).then(() => exitSoon(0));
  }

  send(message: FromWorker): void {
    if (this.channel.isOpen()) this.channel.send(message);
  }

  private receiveFor(session: string, message: ToSession, socket: Socket | undefined): void {
    const host = this.hosts.get(session);
    if (host !== undefined) host.receive(message, socket);
    else if (message.type === 'begin') this.begin(session, message);
    // The message is for a session that has already ended.
    else {
      socket?.destroy();
      SessionHost.discard(message, this.given.receiver);
    }
  }

  /**
   * Returns the connection that came as a descriptor; undefined if no connection came, or if this process had no free descriptor for it.
   */
  private passedSocket(tag: number | undefined): Socket | undefined {
    if (tag === undefined) return undefined;
    try {
      const [fd] = this.given.receiver.take(tag);
      return fd === undefined ? undefined : new net.Socket({ fd });
    } catch {
      return undefined;
    }
  }

  /**
   * Opens the log, which is a pipe to the listener. A broken pipe must not end this process. The process ends when the channel to the
   * listener closes.
   */
  private firstLog({ node, level }: WorkerLog): DaemonLog {
    const log = openLog({ file: 'the pipe', node, level: level as LowestLevel, open: () => PASSED_LOG, warn: () => undefined });
    log.debug(`Reads: ${this.calls.nowait === null ? 'their time decides' : 'the kernel says'} whether data is cached`);
    return log;
  }

  private setTitle(): void {
    const nodes = [...new Set(this.nodes.values())];
    this.setName(`rssrv: ${nodes.length === 0 ? 'standby' : nodes.length === 1 ? nodes[0] : `${nodes.length} nodes`}`);
  }

  /** Sets the name of the process. A system call, because another user cannot change the name in /proc. */
  setName(name: string): void {
    this.given.calls.setName(name);
  }

  private begin(session: string, beginning: Extract<ToSession, { type: 'begin' }>): void {
    const host = new SessionHost(session, beginning, {
      log: (this.log ??= this.firstLog(beginning.log)),
      threads: this.threads,
      ...this.calls,
      pools: this.pools,
      receiver: this.given.receiver,
      isListenerThere: () => this.channel.isOpen(),
      send: (message) => {
        if (message.type === 'ended') {
          this.hosts.delete(session);
          this.nodes.delete(session);
          this.setTitle();
        }
        this.send({ type: 'session', session, message });
      },
    });
    this.hosts.set(session, host);
    this.nodes.set(session, beginning.node ?? '?');
    this.setTitle();
  }
}

/** Gives up the rights of this process in the way that `argument`, a Confinement, describes. */
function confined(argument: string | undefined): Given {
  assert(argument !== undefined, 'A worker that its listener has not started');
  const calls = systemCalls();
  const unprotected = confine(JSON.parse(argument) as Confinement, calls);
  return { calls, unprotected, receiver: new DescriptorReceiver(calls, PASSED_SOCKET) };
}

/**
 * Exits if an upgrade has replaced the files of rssrv but has not yet restarted the listener. A process of the new release may
 * misunderstand the messages of the old listener.
 */
function endIfReplaced(listenerVersion: string | undefined): void {
  if (listenerVersion === undefined || listenerVersion === programVersion()) return;
  process.stderr.write(`rssrv ${listenerVersion} is running, but its files are those of ${programVersion()}: restart rssrv\n`);
  process.exit(1);
}

/** Exits after a short delay, so that the process can still send its last messages. */
function exitSoon(code: number): void {
  systemClock.after(WORKER_FAREWELL_MS, () => process.exit(code));
}

endIfReplaced(process.env[LISTENER_VERSION]);
// Get the calls before `confined` is called, because a confined process can no longer read the files of koffi.
const calls = { calls: fileCalls(), nowait: systemNowaitRead(), fileSize: systemFileSize(), dropPages: systemDropPages() };
const given = confined(process.argv[2]);
const channel = listenerChannel();
const worker = new WorkerProcess(given, calls, channel);
worker.setName('rssrv: standby');
channel.follow(
  (message) => worker.receive(message),
  () => worker.listenerLost(),
);
// A worker ignores SIGINT, because the listener decides when the worker exits.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
worker.reportLater();
worker.send({ type: 'ready', unprotected: given.unprotected });
