// Sends requests to the servers of one namespace, through the rsiod of the controller. rsiod has the paths and the login; the servers
// check the rights. Invariants: at most ORDERS_AT_ONCE_MAX requests are in progress. An answer has the shape that the table of rssrv
// gives. No answer counts as proof that an object is absent while another server does not answer.

import type { ControlMethodName, ControlMethods, NamespaceView } from '@rsio/api/rsiod/methods';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import { misfit } from '@rsio/base/lib/shape';
import { quoteText } from '@rsio/base/lib/units';
import { ORDERS_AT_ONCE_MAX, ORDERS_WAITING_MAX } from '../limits.ts';

/** Sends a request to rsiod. */
export type RsiodCall = <M extends ControlMethodName>(
  method: M,
  params: ControlMethods[M]['params'],
) => Promise<ControlMethods[M]['result']>;

/** Attaches a volume for an order of this program, until `close` or the end of this program. */
export type RsiodHold = (params: ControlMethods['order-attach']['params']) => Promise<{
  readonly result: ControlMethods['order-attach']['result'];
  close(): void;
}>;

/** A server of the namespace, as rsiod sees it. */
export interface Place {
  readonly server: string;
  /** Why requests cannot reach it; null if they can. */
  readonly trouble: string | null;
}

/** The namespace with its servers. */
export interface Site {
  readonly namespace: string;
  readonly namespaceid: number;
  /** Name of this client on the servers. */
  readonly nodename: string;
  readonly places: readonly Place[];
}

export class Orders {
  private readonly rsiod: RsiodCall;
  private readonly wanted: string | null;
  private inProgress = 0;
  private readonly waiting: (() => void)[] = [];

  /** `namespace`: name of the namespace; null for the only one. */
  constructor(rsiod: RsiodCall, namespace: string | null) {
    this.rsiod = rsiod;
    this.wanted = namespace;
  }

  /** Returns the namespace. Throws E_NO_PATH or E_USAGE. */
  async site(): Promise<Site> {
    const { namespaces } = await this.rsiod('query', { refresh: false });
    return siteOf(chooseNamespace(namespaces, this.wanted));
  }

  /** Sends a request to a server. Throws the error of the server or of rsiod. */
  async at<M extends ServerMethodName>(server: string, method: M, params: ServerMethods[M]['params']): Promise<ServerMethods[M]['result']> {
    const request = { namespace: this.wanted, server, method, params: { ...params }, waitMs: null };
    const { result } = await this.inTurn(() => this.rsiod('server-call', request));
    const trouble = misfit(SERVER_METHODS[method].result, result);
    if (trouble !== null)
      throw new RsError(
        'E_VERSION',
        `Server ${server} has another release: its answer to ${method} has another form (${trouble}); update it`,
      );
    // The compiler cannot know that the result was checked against the shape of this method.
    return result as unknown as ServerMethods[M]['result'];
  }

  /** Sends a request to rsiod itself. */
  own<M extends ControlMethodName>(method: M, params: ControlMethods[M]['params']): Promise<ControlMethods[M]['result']> {
    return this.inTurn(() => this.rsiod(method, params));
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.inProgress < ORDERS_AT_ONCE_MAX) this.inProgress++;
    else {
      if (this.waiting.length >= ORDERS_WAITING_MAX)
        throw new RsError('E_LIMIT', `${this.waiting.length} requests wait for their turn: repeat the call later`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      // The turn is passed on, so that no later request can take it first.
      const next = this.waiting.shift();
      if (next === undefined) this.inProgress--;
      else next();
    }
  }
}

/** Returns the namespace with this name; null stands for the only namespace. Throws E_NO_PATH or E_USAGE. */
export function chooseNamespace(namespaces: readonly NamespaceView[], wanted: string | null): NamespaceView {
  const named = namespaces.filter(({ name }) => wanted === null || name === wanted);
  const [only] = named;
  if (only !== undefined && named.length === 1) return only;
  const known = namespaces.map(({ name }) => name).join(', ');
  if (known === '') throw new RsError('E_NO_PATH', 'rsiod has no namespace: rsconfig join HOST adds one');
  if (wanted === null) throw new RsError('E_USAGE', `rsiod has the namespaces ${known}: choose one with --namespace`);
  throw new RsError('E_USAGE', `rsiod has no namespace ${quoteText(wanted)}: known are ${known}`);
}

function siteOf({ name, namespaceid, nodename, servers }: NamespaceView): Site {
  const places = servers.map((one): Place => {
    const why = one.paths.find(({ lastError }) => lastError !== null)?.lastError ?? 'it has not answered yet';
    return { server: one.name, trouble: one.state === 'connected' ? null : `server ${one.name} of ${name} is ${one.state}: ${why}` };
  });
  // A server can have several sections in the configuration. A section whose server was not reached may belong to a server that was
  // reached through another section.
  const isReached = ({ server }: Place): boolean => places.some((one) => one.server === server && one.trouble === null);
  return { namespace: name, namespaceid, nodename, places: places.filter((one) => one.trouble === null || !isReached(one)) };
}
