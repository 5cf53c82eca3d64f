// The servers that are not in reach, and why: what -a says when it cannot have all, or cannot find a name. Asks rsiod, never a server.
// Invariant: a server that is away is named with the last error of its paths, so that nobody takes a dead cable for an empty server.

import type { PathView, ServerView } from '@rsio/common/control/methods';
import { plural } from '@rsio/common/lib/units';
import { endPoint, stateName } from '../../output/format.ts';
import type { CommandContext } from '../../cli/command-context.ts';

/** Of one server more are not told: they end alike, and -m status has them all. */
const PATHS_TOLD_MAX = 4;

export interface ServerAway {
  /** `server big-5 of osl is down`. */
  readonly sentence: string;
  /** `if0 -> 192.168.10.9/5000: Connection refused`. */
  readonly why: string;
}

/** `only`: no other server is meant; null: all are. */
export async function serversAway({ call }: Pick<CommandContext, 'call'>, only: string | null): Promise<ServerAway[]> {
  const { namespaces } = await call('query', { refresh: false });
  const servers = namespaces.flatMap(({ name, servers: own }) => own.map((server) => ({ namespace: name, server })));
  return servers
    .filter(({ server }) => server.state !== 'connected' && (only === null || server.name === only))
    .map(({ namespace, server }) => ({ sentence: `server ${server.name} of ${namespace} is ${server.state}`, why: whyAway(server) }));
}

/** For a line of its own. */
export function awaySentence({ sentence, why }: ServerAway): string {
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}: ${why}: see rsconfig -m status -v`;
}

function whyAway({ paths }: ServerView): string {
  if (paths.length === 0) return 'no interface of this machine has a path to it';
  const told = paths.slice(0, PATHS_TOLD_MAX).map(pathText);
  const left = paths.length - told.length;
  return [...told, ...(left > 0 ? [`and ${plural(left, 'more path')}`] : [])].join('; ');
}

function pathText(path: PathView): string {
  return `${path.interface} -> ${endPoint(path.address, path.port)}: ${path.lastError ?? stateName(path.state)}`;
}
