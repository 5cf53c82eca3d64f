// Reloads of rsiod: decides when a configuration may be taken, and applies it to all objects in order. reloader.ts reads and judges the file.
// Invariant: one reload is executed at a time, because a reload asks the data processes before it applies the configuration.

import type { RscltConfig } from '@rsio/common/config/schema/types';
import { toRsError } from '@rsio/base/lib/errors';
import type { ClientMetrics } from '../control/client-metrics.ts';
import { deviceFacts } from '../frontends/system/device-choice.ts';
import { type WithoutKeeper, withoutKeeper } from '../keeper/keeper-choice.ts';
import { unreachedSections } from '../network/unreachable-servers.ts';
import type { AttachingPhase } from './attaching.ts';
import type { Ends } from './ends.ts';
import type { ClientDaemonOptions, Foundation } from './foundation.ts';
import type { FrontendsPhase } from './frontends.ts';
import { reloadConfig } from './reloader.ts';
import type { ServersPhase } from './servers.ts';
import type { VolumesPhase } from './volumes.ts';

interface ReloadsParts extends Foundation, ServersPhase, VolumesPhase, FrontendsPhase, AttachingPhase {
  readonly metrics: ClientMetrics;
  readonly ends: Ends;
}

export class Reloads {
  private readonly options: ClientDaemonOptions;
  private readonly parts: ReloadsParts;
  private reloading: Promise<unknown> = Promise.resolve();
  private isRequested = false;

  constructor(options: ClientDaemonOptions, parts: ReloadsParts) {
    this.options = options;
    this.parts = parts;
  }

  /** Called when the daemon is running. A daemon that is starting keeps its first configuration. */
  begin(): void {
    if (this.isRequested) this.hangUp();
  }

  /** Handles SIGHUP: reopens the log and reloads the configuration. The result of the reload appears in the log and the events. */
  hangUp(): void {
    const { log } = this.options;
    const { role, ends } = this.parts;
    log.reopen();
    role.reopenLogs();
    if (ends.state === 'starting') this.isRequested = true;
    if (ends.state !== 'running') return;
    this.reload().catch((thrown: unknown) => {
      const error = toRsError(thrown);
      // Only internal errors are logged here, because the reload has already logged all other errors.
      if (error.kind === 'internal') log.error(`The configuration was not reloaded: ${error.message}`, { error: thrown });
    });
  }

  reload(): Promise<string[]> {
    const reloaded = this.reloading.then(() => this.reloadNow());
    this.reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  private async reloadNow(): Promise<string[]> {
    const { current, namespaces, notifications, attachments, role, ends } = this.parts;
    ends.checkRunning();
    const { paths, log } = this.options;
    return await reloadConfig({
      file: paths.configFile,
      log,
      current,
      namespaces,
      notifications,
      inUse: (namespace) => [...attachments.inUse(namespace), ...(role.processes?.labelsIn(namespace) ?? [])],
      obstacles: async (next) => [
        ...[unkept(this.options, next).obstacle].filter((sentence) => sentence !== null),
        ...((await role.processes?.obstacles(next)) ?? []),
      ],
      take: (next) => this.take(next),
    });
  }

  /** Applies a configuration. */
  take(next: RscltConfig): void {
    const { log } = this.options;
    const { current, namespaces, watcher, role, record, nbd, gates, attachments, metrics } = this.parts;
    current.begin(next);
    attachments.configure(role.settingsOf(next));
    namespaces.follow();
    if (!role.isData) void metrics.follow(next);
    watcher.watch(current.locals.map(({ address }) => address));
    if (!role.isData) for (const sentence of namespaces.list.flatMap(unreachedSections)) log.warn(sentence);
    const { warning } = unkept(this.options, next);
    if (warning !== null) log.warn(warning);
    role.exportsChanged(nbd);
    if (!role.isData) void gates.follow(next);
    attachments.configurationChanged();
    role.configure(next);
    void attachments.attachWanted(true).then(() => record.save());
  }
}

/** What a configuration loses if there is no keeper; nothing in a data process. */
export function unkept({ keeper, keeperLack, paths, part }: ClientDaemonOptions, config: RscltConfig): WithoutKeeper {
  return keeper === null && part === null ? withoutKeeper(config, deviceFacts(paths.root), keeperLack) : { obstacle: null, warning: null };
}
