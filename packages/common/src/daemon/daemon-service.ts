// What rssrv and rsiod do alike between start and end: who hears a warning, and one life with its lines in the log.
// Leaves processes and signals to daemon-process.ts, and the work to the service.
// Invariant: the daemon is ready only after the service has started, and the log is closed only after it has stopped.

import type { Daemon } from './daemon-process.ts';
import { toRsError } from '../lib/errors.ts';
import type { DaemonLog } from '../log/log.ts';

export interface Service {
  /** Rejects with what stands in the way; nothing is left behind then. */
  start(): Promise<void>;
  /** `reason`: a sentence for those who are connected. */
  stop(reason: string): Promise<void>;
  /** Why it does not end now, a sentence; null: it does. Without it, it always does. */
  refusal?(): Promise<string | null>;
  /** SIGHUP: opens the logs anew and reads the configuration again; says by itself what became of it. */
  reload(): void;
}

/** A warning for the log and, while somebody waits at a terminal, for them too. */
export function warner(daemon: Daemon, log: DaemonLog): (sentence: string) => void {
  return (sentence) => {
    log.warn(sentence);
    daemon.warn(`Warning: ${sentence}`);
  };
}

/** Does what a daemon does; what stands in its way is in the log, too, because in the background, or begun anew, there may be nobody else to hear it. */
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

/** That the daemon before this one has not ended in order; nobody else can say it, when its keeper was killed, too. */
export function reportCrash(log: DaemonLog, program: string, { leftBy }: Daemon): void {
  if (leftBy !== null)
    log.warn(
      `The ${program} before this one (pid ${leftBy}) did not end in order: it was killed, or it fell; lines above, and dmesg, may say why`,
    );
}

/** Runs the service until the daemon is told to stop; closes the log. `farewell` is what `stop` is given. Rejects with what `start` does. */
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

/** What the daemon is told to stop for; of several while nobody waits, the last. */
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
