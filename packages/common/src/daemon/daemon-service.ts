// Contains what rssrv and rsiod have in common while they run: where warnings are written, what is logged at start and stop, and the order
// of the steps of starting and stopping. Processes and signals are handled in daemon-process.ts; the service does the actual work.
// Invariant: the daemon is ready only after the service has started, and the log is closed only after the service has stopped.

import type { Daemon } from './daemon-process.ts';
import { toRsError } from '../lib/errors.ts';
import type { DaemonLog } from '../log/log.ts';

export interface Service {
  /** Starts the service. If the service cannot start, the promise rejects, and no part of the service keeps running. */
  start(): Promise<void>;
  /** Stops the service. The sentence `reason` is meant for the connected peers. */
  stop(reason: string): Promise<void>;
  /**
   * Returns a sentence that says why the service must not stop now, or null if the service may stop. A service without this method may
   * always stop.
   */
  refusal?(): Promise<string | null>;
  /** Called on SIGHUP. Reopens the logs, rereads the configuration, and logs the result. */
  reload(): void;
}

/** Returns a function that writes a warning to the log and, until the daemon is ready, to the terminal. */
export function warner(daemon: Daemon, log: DaemonLog): (sentence: string) => void {
  return (sentence) => {
    log.warn(sentence);
    daemon.warn(`Warning: ${sentence}`);
  };
}

/**
 * Runs `work`. If `work` throws an error, logs the error before rethrowing it, because a background or restarted daemon may have no
 * terminal.
 */
export async function loggedWork(log: DaemonLog, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    log.error(`This process ends: ${message} [${code}]`, code === 'E_INTERNAL' ? { error: thrown } : {});
    log.flushSync();
    throw thrown;
  }
}

/**
 * If the previous daemon crashed, logs the crash. If the keeper was killed together with the daemon, only the next daemon can report the
 * crash.
 */
export function reportCrash(log: DaemonLog, program: string, { leftBy }: Daemon): void {
  if (leftBy !== null) log.warn(`The previous ${program} (pid ${leftBy}) was killed or crashed: the lines above, and dmesg, may say why`);
}

/**
 * Runs the service. When a request to stop arrives and the service does not refuse, stops the service and closes the log. The service's
 * method `stop` receives `farewell` as its reason. Rejects if `start` rejects.
 */
export async function runService(daemon: Daemon, log: DaemonLog, service: Service, farewell: string): Promise<void> {
  const stops = new Stops(daemon);
  daemon.onReload(() => service.reload());
  await service.start();
  daemon.ready();
  for (;;) {
    const reason = await stops.next();
    const refusal = (await service.refusal?.()) ?? null;
    if (refusal === null) {
      log.info(`Ends: ${reason}`);
      break;
    }
    log.warn(`Does not end (${reason}): ${refusal}`);
  }
  await service.stop(farewell);
  log.info('Has ended');
  log.close();
}

/**
 * Collects requests to stop, with their reasons. If several requests to stop arrive before `next` is called, `next` returns only the reason
 * of the last request.
 */
class Stops {
  private waiting: ((reason: string) => void) | null = null;
  private reason: string | null = null;

  constructor(daemon: Daemon) {
    daemon.onStop((reason) => {
      const { waiting } = this;
      this.waiting = null;
      if (waiting === null) this.reason = reason;
      else waiting(reason);
    });
  }

  next(): Promise<string> {
    const { reason } = this;
    this.reason = null;
    return reason === null ? new Promise((resolve) => (this.waiting = resolve)) : Promise.resolve(reason);
  }
}
