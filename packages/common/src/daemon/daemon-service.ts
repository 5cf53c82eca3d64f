// The part of a run that rssrv and rsiod have in common: where warnings go, the log lines at start and end, and the order of the steps.
// Processes and signals are the job of daemon-process.ts, and the actual work is the job of the service.
// Invariant: the daemon is ready only after the service has started, and the log is closed only after the service has stopped.

import type { Daemon } from './daemon-process.ts';
import { toRsError } from '../lib/errors.ts';
import type { DaemonLog } from '../log/log.ts';

export interface Service {
  /** Starts the service. Rejects if it cannot start, and then leaves nothing behind. */
  start(): Promise<void>;
  /** Stops the service. `reason`: a sentence for connected peers. */
  stop(reason: string): Promise<void>;
  /** A sentence that says why the service must not end now; null: it may end. A service without this method may always end. */
  refusal?(): Promise<string | null>;
  /** Called on SIGHUP: reopens the logs, reads the configuration again, and logs the result. */
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
 * Runs `work`, and logs its error before throwing it, because a daemon in the background, or one that was restarted, may have no terminal.
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

/** Logs that the previous daemon crashed, if it did. If its keeper was killed too, only the next daemon can report the crash. */
export function reportCrash(log: DaemonLog, program: string, { leftBy }: Daemon): void {
  if (leftBy !== null) log.warn(`The previous ${program} (pid ${leftBy}) was killed or crashed: the lines above, and dmesg, may say why`);
}

/**
 * Runs the service until it receives and accepts a request to stop, then closes the log. `farewell`: the reason for `stop`. Rejects if
 * `start` does.
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

/** Requests to stop, with their reasons. If several requests arrive before `next` is called, only the last is returned. */
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
