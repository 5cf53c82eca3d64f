// A server process with the sessions of one or several clients (the key `processes` in rssrvcfg). The worker passes messages from the
// channel to the right session, and owns the log, the buffers and the range helper of all its sessions. The worker must not continue
// without its listener, so it exits when the channel closes (S10).

import type { Socket } from 'node:net';
import { nameProcess } from '@rsio/common/daemon/process-facts';
import { systemClock } from '@rsio/common/lib/clock';
import { copyToStderr, type DaemonLog, type LogLevel, openLog } from '@rsio/common/log/log';
import { BufferPool } from '@rsio/common/structures/buffer-pool';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { ThreadShares } from './backends/io/thread-shares.ts';
import { RangeHelper } from './backends/ranges/range-helper.ts';
import type { FromWorker, ToSession, ToWorker, WorkerLog } from './workers/channel.ts';
import { STORAGE_THREADS, WORKER_DRAIN_TIMEOUT_MS, WORKER_FAREWELL_MS } from './workers/limits.ts';
import { SessionHost } from './workers/session-host.ts';

class WorkerProcess {
  private readonly hosts = new Map<string, SessionHost>();
  /** Maps each session id to the session's node. */
  private readonly nodes = new Map<string, string>();
  private log: DaemonLog | null = null;
  private readonly pools = { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() };
  private readonly threads = new ThreadShares(STORAGE_THREADS);
  private readonly helper = new RangeHelper({
    clock: systemClock,
    onLost: (reason, retryMs) => {
      const until = retryMs === null ? 'from now on' : `until it is restarted, in ${retryMs / 1000} s at the earliest`;
      this.log?.warn(`Punching holes and fast zeroing are not available ${until}: their helper process failed (${reason})`);
    },
    onBack: () => this.log?.info('Punching holes and fast zeroing are available again'),
  });

  receive(message: ToWorker, socket: Socket | undefined): void {
    switch (message.type) {
      case 'session':
        this.receiveFor(message.session, message.message, socket);
        return;
      case 'reopen-log':
        this.log?.reopen();
        this.log?.setLevel(message.level as LogLevel);
        return;
      case 'ping':
        this.send({ type: 'pong' });
        return;
      case 'exit':
        exitSoon(0);
    }
  }

  /**
   * Called when the listener has exited. Finishes and flushes the I/O in progress, and then exits, at the latest after
   * WORKER_DRAIN_TIMEOUT_MS.
   */
  listenerLost(): void {
    systemClock.after(WORKER_DRAIN_TIMEOUT_MS, () => process.exit(1));
    void Promise.all([...this.hosts.values()].map((host) => host.listenerLost())).then(() => exitSoon(0));
  }

  send(message: FromWorker): void {
    if (process.connected) process.send?.(message);
  }

  private receiveFor(session: string, message: ToSession, socket: Socket | undefined): void {
    const host = this.hosts.get(session);
    if (host !== undefined) host.receive(message, socket);
    else if (message.type === 'begin') this.begin(session, message);
    // The session of this socket has already ended.
    else socket?.destroy();
  }

  private setTitle(): void {
    const nodes = [...new Set(this.nodes.values())];
    nameProcess(`rssrv: ${nodes.length === 0 ? 'standby' : nodes.length === 1 ? nodes[0] : `${nodes.length} nodes`}`);
  }

  private begin(session: string, beginning: Extract<ToSession, { type: 'begin' }>): void {
    const host = new SessionHost(session, beginning, {
      log: (this.log ??= logOf(beginning.log)),
      helper: this.helper,
      threads: this.threads,
      pools: this.pools,
      isListenerThere: () => process.connected,
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

function logOf({ file, node, level, copiesToStderr: copy }: WorkerLog): DaemonLog {
  return openLog({ file, node, level: level as LogLevel, copy: copy ? copyToStderr : undefined });
}

/** Exits after a short delay, so that the process can still send its last messages. */
function exitSoon(code: number): void {
  systemClock.after(WORKER_FAREWELL_MS, () => process.exit(code));
}

nameProcess('rssrv: standby');
const worker = new WorkerProcess();
process.on('message', (message, handle) => worker.receive(message as ToWorker, handle as Socket | undefined));
process.on('disconnect', () => worker.listenerLost());
// The listener decides when this process exits.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
worker.send({ type: 'ready' });
