// The ports of the commands about mirrors, and their view of the client's namespaces and servers. Invariant: a command can name a server
// only after the server has proved its identity.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { Namespace } from '../../network/namespace.ts';
import { type MirrorServer, mirrorServer } from './mirror-server.ts';

export interface MirrorNamespace {
  readonly name: string;
  /** Name of this client on its servers. */
  readonly nodename: string;
  readonly servers: readonly MirrorServer[];
  /** The `[server]` sections whose servers have not been reached yet, so that the servers' names are unknown. */
  readonly unreached: readonly string[];
}

export interface CommandPorts {
  readonly log: Pick<Log, 'info' | 'warn'>;
  namespaces(): readonly MirrorNamespace[];
  /**
   * True if this client has attached a volume with this label, such as osl:db@0. If `mirror` is given, only the mirror with this id counts.
   */
  isAttached(label: string, mirror?: string): boolean;
  /** Returns a new random UUID. */
  readonly newId: () => string;
}

export function mirrorNamespaces(namespaces: readonly Namespace[], clock: Clock): MirrorNamespace[] {
  return namespaces.map((namespace) => {
    const { config, orderedServers } = namespace;
    const reached = namespace.serversBySection();
    return {
      name: config.name,
      nodename: config.nodename,
      servers: orderedServers.filter(({ isProved }) => isProved).map((server) => mirrorServer(server, clock)),
      unreached: config.servers.filter(({ position }) => reached.get(position) === undefined).map(({ name }) => name),
    };
  });
}

/** Returns the only namespace that has all of the named servers. */
export function oneNamespace(namespaces: readonly MirrorNamespace[], names: readonly string[]): MirrorNamespace {
  const [first, ...others] = namespaces;
  if (first === undefined) throw new RsError('E_NO_PATH', 'No server is configured: rsconfig join HOST adds one');
  if (others.length === 0) return first;
  const having = namespaces.filter(({ servers }) => names.every((name) => servers.some((server) => server.name === name)));
  const [only, second] = having;
  if (only !== undefined && second === undefined) return only;
  const list = namespaces.map(({ name }) => name).join(', ');
  if (second !== undefined)
    throw new RsError('E_AMBIGUOUS', `Several namespaces have servers ${names.join(', ')}: choose one of ${list} with --namespace`);
  throw new RsError(
    'E_USAGE',
    `No namespace has all servers ${names.join(', ')}: the servers of a mirror are in one namespace; known are ${list}`,
  );
}

/** Throws E_NO_PATH, E_VERSION or E_USAGE. */
export function serverNamed({ name: namespace, servers, unreached }: MirrorNamespace, name: string): MirrorServer {
  const server = servers.find((one) => one.name === name);
  if (server !== undefined) {
    if (server.trouble !== null) throw server.trouble;
    return server;
  }
  const known = servers.map((one) => one.name).join(', ') || 'none';
  // rsiod learns the name of a server when it reaches the server, for example a moment after its start.
  if (unreached.length > 0)
    throw new RsError(
      'E_NO_PATH',
      `Server ${quoteText(name)} of namespace ${namespace} was not reached yet, and neither was ${unreached.join(', ')}: rsconfig -m status -v shows the paths`,
    );
  throw new RsError('E_USAGE', `No server ${quoteText(name)} of namespace ${namespace} was reached: known are ${known}`);
}
