// SIGHUP: reads the configuration anew and has it applied, whole or not at all; every outcome is said in the log. What changes is decided in
// reload-plan.ts, and done by the listener. Invariant: one reload at a time, and the last SIGHUP's file is read after that SIGHUP.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { warningSentences } from '@rsio/common/config/load-config';
import { toRsError } from '@rsio/common/lib/errors';
import { LOG_LEVELS, type Log, type LogLevel } from '@rsio/common/log/log';
import { problemTexts } from '@rsio/common/config/reader/findings';
import { type ReloadPlan, reloadPlan } from './reload-plan.ts';
import type { VolumeStanding } from '../volumes/volume-plan.ts';

export interface ReloadPorts {
  readonly log: Log;
  /** What the server runs by. */
  current(): RssrvConfig;
  /** What the file says. Throws when it is wrong or cannot be read. */
  load(): RssrvConfig;
  /** How a volume that it runs by stands. */
  standingOf(volume: ServerVolumeConfig): VolumeStanding;
  /** Throws when something stands in the way; nothing is changed then. */
  apply(plan: ReloadPlan, next: RssrvConfig): Promise<void>;
  /** Of this log and those of the sessions' processes. */
  setLevel(level: LogLevel): void;
}

/** As the file may name them, the most talkative first. */
const LEVELS: readonly string[] = ['trace', ...LOG_LEVELS, 'fatal'];
const KEPT = 'the server goes on by the configuration it has';

export class Reloader {
  private readonly ports: ReloadPorts;
  private running: Promise<void> | null = null;
  private isAskedAgain = false;

  constructor(ports: ReloadPorts) {
    this.ports = ports;
  }

  /** Reloads now, or once more when the reload under way has ended. */
  ask(): void {
    this.isAskedAgain = true;
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
  }

  /** Resolves when no reload is under way. */
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

/** Whether more is logged at `level` than at `other`: what a reload says is in the log if either lets it. */
function isMore(level: string, other: string): boolean {
  return LEVELS.indexOf(level) < LEVELS.indexOf(other);
}
