// Makes warnings about output that is empty or incomplete. Invariant: warnings go to stderr, so that stdout keeps the format that programs
// expect.

import {
  type AttachmentView,
  type AwaitedView,
  type NamespaceView,
  type ServerView,
  type StatusView,
  waitingText,
} from '@rsio/api/rsiod/methods';
import type { ErrorCode } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { endPoint } from './format.ts';

/** Maximum number of reasons shown per server; rsconfig -m status -v shows all of them. */
const REASONS_SHOWN_MAX = 4;
const CODE_AT_END = / \[(E_[A-Z_]+)\]$/;
/** Error codes which mean that a server does not answer. */
const NO_ANSWER_CODES: ReadonlySet<string> = new Set<ErrorCode>(['E_UNREACHABLE', 'E_TIMEOUT', 'E_RESET']);

/** Servers that vote for mirrors: keys of `voterKey`. A witness needs no volume. */
export type Voters = ReadonlySet<string>;

export function voterKey(namespace: string, server: string): string {
  return `${namespace} ${server}`;
}

/** Returns true for a server from which the client gets nothing, although it is connected. */
export function offersNothing({ state, volumes }: ServerView): boolean {
  return state === 'connected' && volumes.length === 0;
}

export function queryWarnings(namespaces: readonly NamespaceView[], voters: Voters, configFile: string): string[] {
  if (namespaces.length === 0) return [`No namespace is configured: add one to ${configFile}`];
  return namespaces.flatMap((namespace) => {
    if (namespace.servers.length === 0)
      return [`Namespace ${namespace.name} has no server: add a [server NAME] section below it in ${configFile}`];
    return namespace.servers.flatMap((server) => serverWarnings(namespace, voters, server));
  });
}

function serverWarnings(namespace: NamespaceView, voters: Voters, server: ServerView): string[] {
  if (server.state !== 'connected')
    return [`Server ${server.name} of ${namespace.name} is ${server.state}${serverErrors(server)}: see rsconfig -m status -v`];
  if (!offersNothing(server) || voters.has(voterKey(namespace.name, server.name))) return [];
  return [
    `Server ${server.name} of ${namespace.name} offers no volume to ${namespace.nodename}: on it, rsadm volume list shows its volumes, and rsadm volume show NAME the clients of one`,
  ];
}

/**
 * Returns the reasons why a server that answers is not connected, each with one of the affected paths. The text is empty if the server does
 * not answer, because the state `down` already means that.
 */
function serverErrors({ paths }: ServerView): string {
  const reasons = new Map<string, string>();
  for (const path of paths) {
    const code = CODE_AT_END.exec(path.lastError ?? '')?.[1];
    if (path.lastError === null || code === undefined || NO_ANSWER_CODES.has(code) || reasons.has(path.lastError)) continue;
    reasons.set(path.lastError, `${path.interface} -> ${endPoint(path.address, path.port)}: ${path.lastError}`);
  }
  return [...reasons.values()]
    .slice(0, REASONS_SHOWN_MAX)
    .map((reason, index) => `${index === 0 ? ':' : ';'} ${reason}`)
    .join('');
}

export function waitingWarnings(attachments: readonly AttachmentView[]): string[] {
  return attachments.flatMap((attachment) =>
    attachment.state === 'waiting'
      ? [`${volumeLabel(attachment)} is attached, but its I/O is waiting: rsconfig -m status -v shows why`]
      : [],
  );
}

export function awaitedWarnings(awaited: readonly AwaitedView[]): string[] {
  return awaited.map((one) => {
    const label = volumeLabel(one);
    return `${label} was attached before rsiod restarted and is not attached again yet: ${one.reason}; rsconfig -d ${label} ends the attempts`;
  });
}

export function statusWarnings(status: StatusView, configFile: string): string[] {
  if (status.interfaces.length === 0) return [`No interface is configured: add one to ${configFile}`];
  const idle = status.interfaces.filter((view) => view.reps.length === 0);
  return [
    ...idle.map((view) => `Interface ${view.name} (${view.address}) has no path: rsconfig doctor shows why, see also ${configFile}`),
    ...status.waiting.map((view) => `${view.volume} ${waitingText(view)}: see rsconfig -m status -v`),
    ...awaitedWarnings(status.awaited ?? []),
  ];
}
