// On SIGHUP, rereads the configuration and applies either all of it or nothing. The module reload-plan.ts decides what changes, and the
// listener makes the changes. Invariants: one reload runs at a time; the file is read at least once after each SIGHUP.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { warningSentences } from '@rsio/common/config/load-config';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { isMoreVerbose, type Log, type LowestLevel } from '@rsio/base/log/log';
import { problemTexts } from '@rsio/common/config/reader/findings';
import { eventOf } from '../events/event-log.ts';
import { type ReloadPlan, reloadPlan } from './reload-plan.ts';
import type { VolumeStanding } from '../volumes/volume-plan.ts';

/** A configuration that is not yet in force. */
export interface LoadedConfig {
  /** The configuration, including the volumes of the pools. */
  readonly config: RssrvConfig;
  /** Closes the pools that were opened for the configuration. Called if the configuration does not come into force. */
  discard(): Promise<void>;
}

interface Waiter {
  /** Asker of the reload, for the audit trail. */
  readonly by: string;
  readonly resolve: (changes: readonly string[]) => void;
  readonly reject: (error: RsError) => void;
}

export interface ReloadPorts<Loaded extends LoadedConfig> {
  readonly log: Log;
  current(): RssrvConfig;
  /**
   * Reads the configuration file, and opens the pools. `text`, if given, replaces the content of the file. Throws if the text is invalid or
   * the file is unreadable.
   */
  load(text?: string): Promise<Loaded>;
  /** Examines a configuration without opening its volumes, and changes nothing. Throws if the configuration cannot come into force. */
  examine(next: Loaded): Promise<void>;
  /** Executes `work` (a reload) when no other change of the server is in progress. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Returns the status of a volume in the configuration in force. */
  standingOf(volume: ServerVolumeConfig): VolumeStanding;
  /** Applies the whole plan, or throws and changes nothing. */
  apply(plan: ReloadPlan, next: Loaded): Promise<void>;
  /** A reload has ended that nobody waits for. `error` is null if the file is in force now. */
  ended(by: string, changes: readonly string[], error: RsError | null): void;
  /** Sets the log level of the listener and of all workers. */
  setLevel(level: LowestLevel): void;
}

/** Log levels, the most verbose first. */
const KEPT = 'the server keeps its current configuration';

export class Reloader<Loaded extends LoadedConfig> {
  private readonly ports: ReloadPorts<Loaded>;
  private running: Promise<void> | null = null;
  /** Requests that the next reload answers. */
  private waiters: Waiter[] = [];
  /** True while the server serves clients. */
  private isServing = false;
  /**
   * The asker of the last call of `askLater`, for example `SIGHUP`, so that the reload is made when the server is up. Null if no reload was
   * requested.
   */
  private wantedBy: string | null = null;

  constructor(ports: ReloadPorts<Loaded>) {
    this.ports = ports;
  }

  /** Called when the server is up. Makes the reload that was requested earlier. */
  begin(): void {
    this.isServing = true;
    if (this.wantedBy !== null) this.ask(this.wantedBy);
  }

  /** Called when the server stops. */
  end(): void {
    this.isServing = false;
  }

  /** Reads the configuration as soon as the server is up. */
  askLater(by: string): void {
    this.wantedBy = by;
    if (this.isServing) this.ask(by);
  }

  /** Reloads at once or, if a reload is in progress, once more after that reload. `by` is the asker, such as `SIGHUP`. */
  ask(by: string): void {
    void this.request(by).then(
      (changes) => this.ports.ended(by, changes, null),
      (thrown: unknown) => this.ports.ended(by, [], toRsError(thrown)),
    );
  }

  /**
   * Reloads like `ask`, and returns a text for each change. If the file cannot be read, throws the error of the read. If the file is
   * refused, throws E_CONFIG with the reasons. After any error, the server keeps its configuration.
   */
  request(by: string): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.waiters.push({ by, resolve, reject });
      this.running ??= this.run();
    });
  }

  /**
   * Examines a text as the next configuration file and changes nothing. Returns the changes that a reload with this text would make, or
   * throws the error of that reload. A reload with the text can still fail when it opens volumes or sockets.
   */
  check(text: string): Promise<{ readonly changes: readonly string[]; readonly warnings: readonly string[] }> {
    return this.ports.exclusive(async () => {
      const next = await this.ports.load(text);
      try {
        const plan = this.planFor(next);
        await this.ports.examine(next);
        return { changes: plan.changes, warnings: warningSentences(next.config.warnings) };
      } finally {
        await next.discard();
      }
    });
  }

  /** Resolves when no reload is in progress. */
  async idle(): Promise<void> {
    await this.running;
  }

  private async run(): Promise<void> {
    while (this.waiters.length > 0) await this.once();
    // `running` must become null in the same event-loop turn as the last check for waiters, so that a later request starts a new reload.
    this.running = null;
  }

  /** Executes one reload for all waiters. Never rejects. */
  private async once(): Promise<void> {
    const waiters: Waiter[] = [];
    try {
      const changes = await this.ports.exclusive(() => {
        // Requests that arrive before this point get the outcome of this reload, because the file has not been read yet.
        waiters.push(...this.waiters.splice(0));
        return this.reload([...new Set(waiters.map(({ by }) => by))]);
      });
      for (const { resolve } of waiters) resolve(changes);
    } catch (thrown) {
      const error = toRsError(thrown);
      for (const text of problemTexts(error)) this.ports.log.error(`Reload: ${text} [${error.code}]`);
      this.ports.log.error(`Reload refused: ${KEPT}`, eventOf('configuration', '-', 'refused', problemTexts(error).join('; ')));
      // A request that arrived after the file was read gets its own reload, because the file may have been corrected since.
      const refused = waiters.length > 0 ? waiters : this.waiters.splice(0);
      for (const { reject } of refused) reject(error);
    }
  }

  /** Reads the configuration and applies it. `by` lists all askers of this reload. */
  private async reload(by: readonly string[]): Promise<readonly string[]> {
    const { log } = this.ports;
    const next = await this.ports.load();
    const before = this.ports.current().server.logLevel;
    const after = next.config.server.logLevel;
    const plan = await this.applied(next).catch(async (error: unknown) => {
      await next.discard();
      throw error;
    });
    if (isMoreVerbose(after, before)) this.ports.setLevel(after);
    for (const sentence of warningSentences(plan.newWarnings)) log.warn(sentence);
    if (plan.changes.length === 0) log.info('Reload: nothing has changed');
    else this.logChanges(plan, by.join(' and '));
    if (isMoreVerbose(before, after)) this.ports.setLevel(after);
    return plan.changes;
  }

  private logChanges({ changes, isAudited }: ReloadPlan, by: string): void {
    const what = `${changes.join('; ')}${isAudited ? `, by ${by}` : ''}`;
    this.ports.log.info(`Reload: ${what}`, {
      ...eventOf('configuration', '-', 'applied', what),
      ...(isAudited ? { audit: true } : {}),
    });
  }

  /** Applies the configuration. Throws E_CONFIG with all reasons if the configuration cannot come into force. */
  private async applied(next: Loaded): Promise<ReloadPlan> {
    const plan = this.planFor(next);
    await this.ports.apply(plan, next);
    return plan;
  }

  private planFor(next: Loaded): ReloadPlan {
    const plan = reloadPlan(this.ports.current(), next.config, (volume) => this.ports.standingOf(volume));
    if (plan.kind === 'refuse') throw new RsError('E_CONFIG', plan.sentences.join('; '), { problems: plan.sentences });
    return plan;
  }
}

/** Returns true if `level` logs more than `other`. */
