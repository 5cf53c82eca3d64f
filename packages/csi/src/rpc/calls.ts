// Runs the calls of orchestrators: counts them, refuses too many, and refuses a second call about an object while one is in progress.
// Invariant: at most one call about a volume, snapshot or name is in progress. The second gets ABORTED, as the specification asks, and
// the orchestrator repeats it.

import type { Clock } from '@rsio/base/lib/clock';
import { quoteText } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { CSI_CALLS_MAX } from '../limits.ts';
import { type Code, CsiError, sentenceOf, toCsiError } from './status.ts';

export interface CallsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'debug'>;
  /** Called when a call has ended. */
  readonly ended: (method: string, status: Code, tookMs: number) => void;
}

export class Calls {
  inProgress = 0;
  private readonly ports: CallsPorts;
  /** The objects about which a call is in progress, and when it began. */
  private readonly busy = new Map<string, number>();

  constructor(ports: CallsPorts) {
    this.ports = ports;
  }

  /** Runs a call. Throws CsiError only. `method`: name of the call, such as CreateVolume. */
  async run<T>(method: string, work: () => Promise<T>): Promise<T> {
    const { clock, log, ended } = this.ports;
    const beganMs = clock.monotonicMs();
    const done = (status: Code): void => ended(method, status, clock.monotonicMs() - beganMs);
    if (this.inProgress >= CSI_CALLS_MAX) {
      done('RESOURCE_EXHAUSTED');
      throw new CsiError('RESOURCE_EXHAUSTED', `${CSI_CALLS_MAX} calls are in progress: repeat the call when one of them has ended`);
    }
    this.inProgress++;
    try {
      const answer = await work();
      done('OK');
      return answer;
    } catch (thrown) {
      const error = toCsiError(thrown);
      if (error.status === 'INTERNAL') log.warn(`${method} failed: ${error.message}`, { error: thrown });
      else log.info(`${method}: ${error.status}: ${sentenceOf(error)}`);
      done(error.status);
      throw error;
    } finally {
      this.inProgress--;
    }
  }

  /** Does `work` for an object. Throws ABORTED if another call works on the object. `object`: such as `volume X`. */
  async alone<T>(object: string, work: () => Promise<T>): Promise<T> {
    const nowMs = this.ports.clock.monotonicMs();
    const beganMs = this.busy.get(object);
    if (beganMs !== undefined) {
      const tookS = Math.round((nowMs - beganMs) / 1_000);
      throw new CsiError('ABORTED', `Another call about ${quoteText(object)} has been in progress for ${tookS} s: repeat this call later`);
    }
    this.busy.set(object, nowMs);
    try {
      return await work();
    } finally {
      this.busy.delete(object);
    }
  }
}
