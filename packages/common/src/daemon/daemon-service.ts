// What rssrv and rsiod do alike between start and end: where warnings go, and the log lines of one run.
// Processes and signals are daemon-process.ts' job, and the work is the service's.
// Invariant: the daemon is ready only after the service has started, and the log is closed only after the service has stopped.

import type { Daemon } from './daemon-process.ts';
import { toRsError } from '../lib/errors.ts';
import type { DaemonLog } from '../log/log.ts';

export interface Service {
  /** Rejects if it cannot start; it then leaves nothing behind. */
  start(): Promise<void>;
  /** `reason`: a sentence for connected peers. */
  stop(reason: string): Promise<void>;
  /** Why the service must not end now, a sentence; null: it may. Without this method it always may. */
  refusal?(): Promise<string | null>;
  /** SIGHUP: reopens the logs, reads the configuration again, and logs the result itself. */
  reload(): void;
}

/** Writes a warning to the log and, until the daemon is ready, to the terminal. */
export function warner(daemon: Daemon, log: DaemonLog): (sentence: string) => void {
  return (sentence) => {
    log.warn(sentence);
    daemon.warn(`Warning: ${sentence}`);
  };
}

/** Runs `work` and logs its error as well, because a daemon in the background, or one that was restarted, may have no terminal. */
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

/** Logs that the previous daemon crashed. Only its successor can report this if the keeper was killed, too. */
export function reportCrash(log: DaemonLog, program: string, { leftBy }: Daemon): void {
  if (leftBy !== null) log.warn(`The previous ${program} (pid ${leftBy}) was killed or crashed: the lines above, and dmesg, may say why`);
}

/** Runs the service until the daemon is asked to stop, then closes the log. `farewell` is the reason given to `stop`. Rejects if `start` does. */
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

/** Requests to stop, with their reasons; of several unread ones, the last. */
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
