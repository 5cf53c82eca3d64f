// Reloads the configuration while the daemon is running. A new configuration is applied either completely or not at all. A reload and a
// refusal both produce events and log lines. If config-changes.ts finds a difference that cannot be applied at runtime, the whole
// configuration is refused. Invariant: if `reloadConfig` throws, the configuration is unchanged.

import { loadRscltConfig, warningSentences } from '@rsio/common/config/load-config';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { withSafeTriggers } from '@rsio/common/config/trigger-programs';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { problemTexts } from '@rsio/common/config/reader/findings';
import type { Notifications } from '../control/notifications.ts';
import type { CurrentConfig } from '../network/current-config.ts';
import type { LostServer, Namespaces } from '../network/namespaces.ts';
import { configChanges, changeObstacles } from './config-changes.ts';

export interface ReloaderPorts {
  readonly file: string;
  readonly log: Log;
  readonly current: Pick<CurrentConfig, 'config'>;
  /** Returns the labels of the attached volumes in a namespace. */
  readonly inUse: (namespace: string) => readonly string[];
  readonly namespaces: Pick<Namespaces, 'lostBy'>;
  /** Resolves with other reasons to refuse the next configuration, each with a remedy. */
  readonly obstacles: (next: RscltConfig) => Promise<readonly string[]>;
  readonly take: (next: RscltConfig) => void;
  readonly notifications: Pick<Notifications, 'add'>;
}

/**
 * Reloads the configuration and resolves with a text for each change. Rejects with E_IN_USE if a change is not possible now, and with the
 * errors of reading the file, such as E_CONFIG.
 */
export async function reloadConfig(ports: ReloaderPorts): Promise<string[]> {
  const { file, log, notifications } = ports;
  const next = await acceptable(ports);
  for (const sentence of warningSentences(next.warnings)) log.warn(sentence);
  const changes = configChanges(ports.current.config, next);
  ports.take(next);
  for (const { object, from, to } of changes) {
    notifications.add(object, from, to, 'The configuration was reloaded');
    log.info(`Configuration: ${object}: ${from} -> ${to}`);
  }
  log.info(`Configuration ${file} was reloaded: ${changes.length} ${changes.length === 1 ? 'change' : 'changes'}`);
  return changes.map(({ object, from, to }) => `${object}: ${from} -> ${to}`);
}

async function acceptable(ports: ReloaderPorts): Promise<RscltConfig> {
  try {
    const next = withSafeTriggers(loadRscltConfig(ports.file));
    const obstacles = [
      ...changeObstacles(ports.current.config, next, ports.inUse),
      ...lossObstacles(ports.namespaces.lostBy(next)),
      ...(await ports.obstacles(next)),
    ];
    if (obstacles.length > 0) throw new RsError('E_IN_USE', obstacles.join('; '), { problems: obstacles });
    return next;
  } catch (thrown) {
    const error = toRsError(thrown);
    for (const text of problemTexts(error)) ports.log.warn(`The configuration is unchanged: ${text} [${error.code}]`);
    ports.notifications.add('configuration', 'read', 'refused', error.message);
    throw error;
  }
}

/** Returns a sentence for each server with attached volumes that a configuration would make unreachable. */
export function lossObstacles(lost: readonly LostServer[]): string[] {
  return lost.map(
    ({ namespace, server }) =>
      `No [server] section of namespace ${namespace}, or no [interface], leads to server ${server} any more, but volumes of this server are attached: restore it, or detach them first (rsconfig -d)`,
  );
}
