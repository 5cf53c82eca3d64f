// On SIGHUP, rereads the configuration and applies either all of it or nothing. The module reload-plan.ts decides what changes, and the
// listener makes the changes. Invariants: one reload runs at a time; after the last SIGHUP, the file is read at least once.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { warningSentences } from '@rsio/common/config/load-config';
import { toRsError } from '@rsio/common/lib/errors';
import { LOG_LEVELS, type Log, type LogLevel } from '@rsio/common/log/log';
import { problemTexts } from '@rsio/common/config/reader/findings';
import { type ReloadPlan, reloadPlan } from './reload-plan.ts';
import type { VolumeStanding } from '../volumes/volume-plan.ts';

export interface ReloadPorts {
  readonly log: Log;
  current(): RssrvConfig;
  /** Reads the configuration file. Throws if the file is invalid or unreadable. */
  load(): RssrvConfig;
  standingOf(volume: ServerVolumeConfig): VolumeStanding;
  /** Applies the whole plan, or throws and changes nothing. */
  apply(plan: ReloadPlan, next: RssrvConfig): Promise<void>;
  /** Sets the level for this log and the workers' logs. */
  setLevel(level: LogLevel): void;
}

/** Log levels, the most verbose first. */
const LEVELS: readonly string[] = ['trace', ...LOG_LEVELS, 'fatal'];
const KEPT = 'the server keeps its current configuration';

export class Reloader {
  private readonly ports: ReloadPorts;
  private running: Promise<void> | null = null;
  private isAskedAgain = false;

  constructor(ports: ReloadPorts) {
    this.ports = ports;
  }

  /** Reloads at once or, if a reload is in progress, once more after that reload. */
  ask(): void {
    this.isAskedAgain = true;
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
  }

  /** Resolves when no reload is in progress. */
  async idle(): Promise<void> {
    await this.running;
  }

  private async run(): Promise<void> {
    while (this.isAskedAgain) {
      this.isAskedAgain = false;
      try {
        await this.reload();
      } catch (thrown) {
        const error = toRsError(thrown);
        for (const text of problemTexts(error)) this.ports.log.error(`Reload: ${text} [${error.code}]`);
        this.ports.log.error(`Reload refused: ${KEPT}`);
      }
    }
  }

  private async reload(): Promise<void> {
    const { log } = this.ports;
    const next = this.ports.load();
    const plan = reloadPlan(this.ports.current(), next, (volume) => this.ports.standingOf(volume));
    if (plan.kind === 'refuse') {
      for (const sentence of plan.sentences) log.error(`Reload: ${sentence} [E_CONFIG]`);
      log.error(`Reload refused: ${KEPT}`);
      return;
    }
    const before = this.ports.current().server.logLevel;
    const after = next.server.logLevel;
    await this.ports.apply(plan, next);
    if (isMore(after, before)) this.ports.setLevel(after as LogLevel);
    for (const sentence of warningSentences(plan.newWarnings)) log.warn(sentence);
    log.info(plan.changes.length === 0 ? 'Reload: nothing has changed' : `Reload: ${plan.changes.join('; ')}`);
    if (isMore(before, after)) this.ports.setLevel(after as LogLevel);
  }
}

/** Returns true if `level` logs more than `other`. */
function isMore(level: string, other: string): boolean {
  return LEVELS.indexOf(level) < LEVELS.indexOf(other);
}
