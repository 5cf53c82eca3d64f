// Reads the configuration anew while the daemon runs: whole or not at all, and said aloud either way. What of it cannot change is
// config-changes.ts's, carrying the rest out the daemon's. Invariant: nothing has changed when it throws.

import { loadRscltConfig, warningSentences } from '@rsio/common/config/load-config';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { problemTexts } from '@rsio/common/config/reader/findings';
import { configChanges, changeObstacles } from './config-changes.ts';

export interface ReloaderPorts {
  readonly file: string;
  readonly log: Log;
  /** The one in use. */
  readonly config: () => RscltConfig;
  /** Labels of a namespace's attached volumes. */
  readonly inUse: (namespace: string) => readonly string[];
  /** Names of servers of a namespace that have attached volumes and could not be reached any more. */
  readonly lostBy: (next: RscltConfig) => readonly { readonly namespace: string; readonly server: string }[];
  /** What else stands in the way of it: sentences with remedies. */
  readonly obstacles: (next: RscltConfig) => readonly string[];
  readonly take: (next: RscltConfig) => void;
  /** An event. */
  readonly note: (object: string, from: string, to: string, reason: string) => void;
}

/** A sentence for each change. Throws why not: E_CONFIG and what else reading throws; E_IN_USE: something of it cannot change now. */
export function reloadConfig(ports: ReloaderPorts): string[] {
  const { file, log, note } = ports;
  const next = acceptable(ports);
  for (const sentence of warningSentences(next.warnings)) log.warn(sentence);
  const changes = configChanges(ports.config(), next);
  ports.take(next);
  for (const { object, from, to } of changes) {
    note(object, from, to, 'The configuration was read anew');
    log.info(`Configuration: ${object}: ${from} -> ${to}`);
  }
  log.info(`Configuration ${file} was read anew: ${changes.length} ${changes.length === 1 ? 'change' : 'changes'}`);
  return changes.map(({ object, from, to }) => `${object}: ${from} -> ${to}`);
}

function acceptable(ports: ReloaderPorts): RscltConfig {
  try {
    const next = loadRscltConfig(ports.file);
    const obstacles = [
      ...changeObstacles(ports.config(), next, ports.inUse),
      ...ports.lostBy(next).map(lossSentence),
      ...ports.obstacles(next),
    ];
    if (obstacles.length > 0) throw new RsError('E_IN_USE', obstacles.join('; '), { problems: obstacles });
    return next;
  } catch (thrown) {
    const error = toRsError(thrown);
    for (const text of problemTexts(error)) ports.log.warn(`The configuration stays as it was: ${text} [${error.code}]`);
    ports.note('configuration', 'read', 'refused', error.message);
    throw error;
  }
}

function lossSentence({ namespace, server }: { namespace: string; server: string }): string {
  return `No [server] section of namespace ${namespace}, or no [interface], leads to server ${server} any more, of which volumes are attached: put it back, or detach them first (rsconfig -d)`;
}
