// Reloads the configuration while the daemon is running. A new configuration is applied either completely or not at all. A reload and a
// refusal both produce events and log lines. If config-changes.ts finds a difference that cannot be applied at runtime, the whole
// configuration is refused. Invariant: if `reloadConfig` throws, the configuration is unchanged.

import { loadRscltConfig, warningSentences } from '@rsio/common/config/load-config';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { withSafeTriggers } from '@rsio/common/config/trigger-programs';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { problemTexts } from '@rsio/common/config/reader/findings';
import { configChanges, changeObstacles } from './config-changes.ts';

export interface ReloaderPorts {
  readonly file: string;
  readonly log: Log;
  readonly config: () => RscltConfig;
  /** Returns the labels of the attached volumes in a namespace. */
  readonly inUse: (namespace: string) => readonly string[];
  /** Returns the servers with attached volumes that the next configuration would make unreachable. */
  readonly lostBy: (next: RscltConfig) => readonly { readonly namespace: string; readonly server: string }[];
  /** Resolves with other reasons to refuse the next configuration, each with a remedy. */
  readonly obstacles: (next: RscltConfig) => Promise<readonly string[]>;
  readonly take: (next: RscltConfig) => void;
  readonly note: (object: string, from: string, to: string, reason: string) => void;
}

/**
 * Reloads the configuration and resolves with a text for each change. Rejects with E_IN_USE if a change is not possible now, and with the
 * errors of reading the file, such as E_CONFIG.
 */
export async function reloadConfig(ports: ReloaderPorts): Promise<string[]> {
  const { file, log, note } = ports;
  const next = await acceptable(ports);
  for (const sentence of warningSentences(next.warnings)) log.warn(sentence);
  const changes = configChanges(ports.config(), next);
  ports.take(next);
  for (const { object, from, to } of changes) {
    note(object, from, to, 'The configuration was reloaded');
    log.info(`Configuration: ${object}: ${from} -> ${to}`);
  }
  log.info(`Configuration ${file} was reloaded: ${changes.length} ${changes.length === 1 ? 'change' : 'changes'}`);
  return changes.map(({ object, from, to }) => `${object}: ${from} -> ${to}`);
}

async function acceptable(ports: ReloaderPorts): Promise<RscltConfig> {
  try {
    const next = withSafeTriggers(loadRscltConfig(ports.file));
    const obstacles = [
      ...changeObstacles(ports.config(), next, ports.inUse),
      ...lossObstacles(ports.lostBy(next)),
      ...(await ports.obstacles(next)),
    ];
    if (obstacles.length > 0) throw new RsError('E_IN_USE', obstacles.join('; '), { problems: obstacles });
    return next;
  } catch (thrown) {
    const error = toRsError(thrown);
    for (const text of problemTexts(error)) ports.log.warn(`The configuration is unchanged: ${text} [${error.code}]`);
    ports.note('configuration', 'read', 'refused', error.message);
    throw error;
  }
}

/** Returns a sentence for each server with attached volumes that a configuration would make unreachable. */
export function lossObstacles(lost: readonly { readonly namespace: string; readonly server: string }[]): string[] {
  return lost.map(
    ({ namespace, server }) =>
      `No [server] section of namespace ${namespace}, or no [interface], leads to server ${server} any more, but volumes of this server are attached: restore it, or detach them first (rsconfig -d)`,
  );
}
