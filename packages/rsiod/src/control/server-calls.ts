// The control methods `server-call` and `await-volume`, with which local programs send requests to a server. rsiod chooses the server and
// passes the request on; the server checks the rights of this client. Invariant: a request goes to exactly one server, or is refused with a
// list of the possible servers. A server that does not answer does not block requests to other servers. The error of a server that does not
// answer says whether its last word was that it has no volume of that name.

import { CONTROL_ANSWER_MS, SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { HAD_NONE, SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { Namespace } from '../network/namespace.ts';
import type { Namespaces } from '../network/namespaces.ts';
import type { Server } from '../network/server.ts';
import { SILENCES } from '../mirrors/commands/mirror-server.ts';
import type { Absences, NamedServer, VolumeWord } from './absences.ts';
import { SERVER_CALLS_MAX, SERVER_METHOD_MAX_CHARS } from './limits.ts';

type CallRequest = ControlMethods['server-call']['params'];
type CallResult = ControlMethods['server-call']['result'];

interface KnownServer extends NamedServer {
  readonly namespace: string;
  /** Name of the server. If the client has never reached the server, this is the name of its section in the configuration. */
  readonly name: string;
  /** Null if the client has never reached the server. */
  readonly server: Server | null;
  /** The last error on a path to the server; null if there was no error. */
  readonly lastError: string | null;
}

interface CallParts {
  readonly log: Pick<Log, 'info'>;
  readonly absences: Pick<Absences, 'has' | 'said' | 'shown' | 'changes'>;
  readonly namespaces: Pick<Namespaces, 'list'>;
}

export class ServerCalls {
  private readonly parts: CallParts;
  private readonly inProgress = new Map<Server, number>();

  constructor(parts: CallParts) {
    this.parts = parts;
  }

  async call({ namespace, server: name, method, params, waitMs }: CallRequest): Promise<CallResult> {
    if (method.length > SERVER_METHOD_MAX_CHARS)
      throw new RsError('E_USAGE', `Name of a method has ${method.length} characters: allowed are at most ${SERVER_METHOD_MAX_CHARS}`);
    const known = chooseServer(knownServers(this.parts.namespaces.list), namespace, name);
    const volume = method === 'volume-show' ? volumeIn(params) : null;
    const answer = this.pass(known, method, params, waitMs ?? limitOf(method));
    const result = volume === null ? await answer : await this.heard(known, volume, answer);
    if (typeof result !== 'object' || result === null || Array.isArray(result))
      throw new RsError(
        'E_PROTOCOL',
        `Server ${known.name} of ${known.namespace} sent an answer to ${method} that is no object: see its log`,
      );
    return { namespace: known.namespace, server: known.name, result: { ...result } };
  }

  private async pass(known: KnownServer, method: string, params: object, limitMs: number): Promise<unknown> {
    const server = connected(known);
    // Only requests that change something have the field `request`, the id of the request.
    if (Object.hasOwn(params, 'request')) {
      this.parts.log.info(`Change ${quoteText(method)} is passed on to server ${known.name} of ${known.namespace}`);
      await this.parts.absences.changes(known, params);
    }
    return await this.counted(server, () => server.callAdmin(method, params, limitMs));
  }

  /** Remembers whether the server has the volume. Throws the error of the answer. */
  private async heard(known: KnownServer, volume: VolumeWord, answer: Promise<unknown>): Promise<unknown> {
    const { absences } = this.parts;
    try {
      const result = await answer;
      await absences.shown(known, [volume]);
      return result;
    } catch (thrown) {
      const error = toRsError(thrown);
      // The list may be newer than the answer.
      const isListed = known.server?.volumes.some(({ name, universe }) => name === volume.name && universe === volume.universe) === true;
      if (error.code === 'E_UNKNOWN_VOLUME' && !isListed) await absences.said(known, volume);
      if (!SILENCES.includes(error.code) || !absences.has(known, volume)) throw thrown;
      throw new RsError(error.code, error.message, { ...error.context, [HAD_NONE]: true }, thrown);
    }
  }

  async awaitVolume({ namespace, server, id }: ControlMethods['await-volume']['params']): Promise<{ readonly listed: boolean }> {
    const known = chooseServer(knownServers(this.parts.namespaces.list), namespace, server);
    return { listed: await (known.server ?? connected(known)).whenListed(id) };
  }

  private async counted<T>(server: Server, work: () => Promise<T>): Promise<T> {
    const before = this.inProgress.get(server) ?? 0;
    if (before >= SERVER_CALLS_MAX)
      throw new RsError('E_LIMIT', `${before} requests to server ${server.name} are in progress: try again when one of them has ended`);
    this.inProgress.set(server, before + 1);
    try {
      return await work();
    } finally {
      const left = (this.inProgress.get(server) ?? 1) - 1;
      if (left === 0) this.inProgress.delete(server);
      else this.inProgress.set(server, left);
    }
  }
}

function volumeIn(params: object): VolumeWord | null {
  const { name, universe } = params as { readonly name?: unknown; readonly universe?: unknown };
  return typeof name === 'string' && typeof universe === 'number' ? { name, universe } : null;
}

/** Time limit for the server's answer, in ms. A method that this release does not know gets the time limit for changes. */
function limitOf(method: string): number {
  const known: Readonly<Record<string, { readonly waitMs: number } | undefined>> = SERVER_METHODS;
  return Object.hasOwn(known, method) ? (known[method]?.waitMs ?? CONTROL_ANSWER_MS) : SERVER_CHANGE_MS;
}

function knownServers(namespaces: readonly Namespace[]): KnownServer[] {
  return namespaces.flatMap((namespace) => {
    const { name, namespaceid, servers: sections } = namespace.config;
    const bySection = namespace.serversBySection();
    const reached = namespace.orderedServers.filter(({ isProved }) => isProved);
    const errorOf = (isMeant: (route: Namespace['routes'][number]) => boolean): string | null =>
      namespace.routes.find((route) => isMeant(route) && route.supervisor.lastErrorSentence !== null)?.supervisor.lastErrorSentence ?? null;
    return [
      ...reached.map((server) => ({
        namespace: name,
        namespaceid,
        serverid: server.serverid,
        name: server.name,
        server,
        lastError: errorOf((route) => route.server === server),
      })),
      ...sections
        .filter(({ position }) => bySection.get(position) === undefined)
        .map((section) => ({
          namespace: name,
          namespaceid,
          serverid: namespace.serveridOf(section.position),
          name: section.name,
          server: null,
          lastError: errorOf(({ remote }) => remote.position === section.position),
        })),
    ];
  });
}

/** Throws E_USAGE, E_AMBIGUOUS or E_NO_PATH. */
export function chooseServer<K extends Pick<KnownServer, 'namespace' | 'name' | 'server'>>(
  servers: readonly K[],
  namespace: string | null,
  name: string | null,
): K {
  const named = servers.filter((one) => (namespace === null || one.namespace === namespace) && (name === null || one.name === name));
  // A server can have several sections in the configuration. A section whose server was not reached may belong to a server that was
  // reached through another section, so it does not make the choice ambiguous.
  const isReached = (one: K): boolean =>
    named.some((other) => other.server !== null && other.namespace === one.namespace && other.name === one.name);
  const candidates = named.filter((one) => one.server !== null || !isReached(one));
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) return only;
  const shown = (list: readonly K[]): string => list.map((one) => `${one.name} of ${one.namespace}`).join(', ');
  if (only !== undefined) {
    const what = name === null ? 'The request is for one server, and there are' : `Server ${name} is one of`;
    throw new RsError('E_AMBIGUOUS', `${what} ${shown(candidates)}: choose one with --server and --namespace`);
  }
  if (servers.length === 0) throw new RsError('E_NO_PATH', 'No server is configured: rsconfig join HOST adds one');
  const wanted = `${name === null ? 'server' : `server ${quoteText(name)}`}${namespace === null ? '' : ` in namespace ${quoteText(namespace)}`}`;
  const unreached = servers.filter((one) => one.server === null && (namespace === null || one.namespace === namespace));
  // rsiod learns the name of a server at the first contact, for example a moment after the start of rsiod.
  if (name !== null && unreached.length > 0)
    throw new RsError(
      'E_NO_PATH',
      `No ${wanted} was reached yet, and neither was ${shown(unreached)}: rsconfig -m status -v shows the paths`,
    );
  throw new RsError('E_USAGE', `There is no ${wanted}: known are ${shown(servers)}`);
}

/** Throws E_NO_PATH. */
function connected({ server, name, namespace, lastError }: KnownServer): Server {
  if (server?.isConnected === true) return server;
  const why = lastError === null ? '' : ` (${lastError})`;
  throw new RsError('E_NO_PATH', `Server ${name} of ${namespace} is not connected${why}: rsconfig -m status -v shows its paths`);
}
