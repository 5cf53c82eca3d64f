// On SIGHUP, rereads the configuration and applies either all of it or nothing. The module reload-plan.ts decides what changes, and the
// listener makes the changes. Invariants: one reload runs at a time; after the last SIGHUP, the file is read at least once.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { warningSentences } from '@rsio/common/config/load-config';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { LOG_LEVELS, type Log, type LogLevel } from '@rsio/common/log/log';
import { problemTexts } from '@rsio/common/config/reader/findings';
import { type ReloadPlan, reloadPlan } from './reload-plan.ts';
import type { VolumeStanding } from '../volumes/volume-plan.ts';

/** A configuration that is not yet in force. */
export interface LoadedConfig {
  /** With the volumes of the pools. */
  readonly config: RssrvConfig;
  /** Closes what was opened for the configuration. Called if it does not come into force. */
  discard(): Promise<void>;
}

interface Waiter {
  readonly resolve: (changes: readonly string[]) => void;
  readonly reject: (error: RsError) => void;
}

export interface ReloadPorts<Loaded extends LoadedConfig> {
  readonly log: Log;
  current(): RssrvConfig;
  /** Reads the configuration file, and opens its pools. Throws if the file is invalid or unreadable. */
  load(): Promise<Loaded>;
  /** Executes a reload when no other change of the server is in progress. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Returns the status of a volume in the configuration in force. */
  standingOf(volume: ServerVolumeConfig): VolumeStanding;
  /** Applies the whole plan, or throws and changes nothing. */
  apply(plan: ReloadPlan, next: Loaded): Promise<void>;
  /** Sets the level for this log and the workers' logs. */
  setLevel(level: LogLevel): void;
}

/** Log levels, the most verbose first. */
const LEVELS: readonly string[] = ['trace', ...LOG_LEVELS, 'fatal'];
const KEPT = 'the server keeps its current configuration';

export class Reloader<Loaded extends LoadedConfig> {
  private readonly ports: ReloadPorts<Loaded>;
  private running: Promise<void> | null = null;
  /** Requests that the next reload answers. */
  private waiters: Waiter[] = [];

  constructor(ports: ReloadPorts<Loaded>) {
    this.ports = ports;
  }

  /** Reloads at once or, if a reload is in progress, once more after that reload. */
  ask(): void {
    void this.request().catch(() => undefined);
  }

  /**
   * Like `ask`. Returns a text for each change. Throws the error of the reading, or E_CONFIG with the reasons why the file was refused; the
   * server then keeps its configuration.
   */
  request(): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.waiters.push({ resolve, reject });
      this.running ??= this.run().finally(() => {
        this.running = null;
      });
    });
  }

  /** Resolves when no reload is in progress. */
  async idle(): Promise<void> {
    await this.running;
  }

  private async run(): Promise<void> {
    while (this.waiters.length > 0) {
      const waiters: Waiter[] = [];
      try {
        const changes = await this.ports.exclusive(() => {
          // Requests that come while this reload waits for its turn get its outcome, because the file has not been read yet.
          waiters.push(...this.waiters.splice(0));
          return this.reload();
        });
        for (const { resolve } of waiters) resolve(changes);
      } catch (thrown) {
        const error = toRsError(thrown);
        for (const text of problemTexts(error)) this.ports.log.error(`Reload: ${text} [${error.code}]`);
        this.ports.log.error(`Reload refused: ${KEPT}`);
        for (const { reject } of [...waiters, ...this.waiters.splice(0)]) reject(error);
      }
    }
  }

  private async reload(): Promise<readonly string[]> {
    const { log } = this.ports;
    const next = await this.ports.load();
    const before = this.ports.current().server.logLevel;
    const after = next.config.server.logLevel;
    const plan = await this.applied(next).catch(async (error: unknown) => {
      await next.discard();
      throw error;
    });
    if (isMore(after, before)) this.ports.setLevel(after as LogLevel);
    for (const sentence of warningSentences(plan.newWarnings)) log.warn(sentence);
    log.info(plan.changes.length === 0 ? 'Reload: nothing has changed' : `Reload: ${plan.changes.join('; ')}`);
    if (isMore(before, after)) this.ports.setLevel(after as LogLevel);
    return plan.changes;
  }

  /** Applies the configuration. Throws E_CONFIG with all reasons if it cannot come into force. */
  private async applied(next: Loaded): Promise<ReloadPlan> {
    const plan = reloadPlan(this.ports.current(), next.config, (volume) => this.ports.standingOf(volume));
    if (plan.kind === 'refuse') throw new RsError('E_CONFIG', plan.sentences.join('; '), { problems: plan.sentences });
    await this.ports.apply(plan, next);
    return plan;
  }
}

/** Returns true if `level` logs more than `other`. */
function isMore(level: string, other: string): boolean {
  return LEVELS.indexOf(level) < LEVELS.indexOf(other);
}
