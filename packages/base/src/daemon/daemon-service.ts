// Common parts of rssrv and rsiod: warnings, the log lines at start and stop, and the order of the steps of starting and stopping.
// Invariant: the daemon is ready only after the service has started, and the log is closed only after the service has stopped.

import type { Daemon } from './daemon-process.ts';
import { toRsError } from '../lib/errors.ts';
import type { DaemonLog } from '../log/log.ts';

export interface Service {
  /** Starts the service. If the service cannot start, the promise rejects and no part of the service keeps running. */
  start(): Promise<void>;
  /** Stops the service. The connected peers get the sentence `reason`. */
  stop(reason: string): Promise<void>;
  /**
   * Returns a sentence that says why the service must not stop now; null if it may stop. If the service does not have this method, it can
   * be stopped at any time.
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

/** Runs `work`. Logs and rethrows an error, because a background or restarted daemon may have no terminal. */
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

/** Logs a crash of the previous daemon. If daemon and keeper were both killed, only the next daemon can report the crash. */
export function reportCrash(log: DaemonLog, program: string, { leftBy }: Daemon): void {
  if (leftBy !== null) log.warn(`The previous ${program} (pid ${leftBy}) was killed or crashed: the lines above, and dmesg, may say why`);
}

/**
 * Runs the service until it accepts a request to stop, stops it with the reason `farewell`, and closes the log. Rejects if `start` rejects.
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
 * Collects requests to stop, with their reasons. If several requests arrive before a call of `next`, `next` returns only the last reason.
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
