// Gives orders about the namespace to all its servers, through rsiod. Invariant: keys go over encrypted paths only, unless the person says
// otherwise.

import { NamespaceSpread, type Spread as SpreadAt, type SpreadOrder } from '@rsio/api/manage/namespace-spread';
import { NAMESPACE_METHODS } from '@rsio/api/rssrv/namespace-methods';
import type { OptionSpec } from '@rsio/common/cli/command';
import { list, object, orNull, text } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import { ADMIN_PARAMS_MAX_BYTES } from '@rsio/protocol/wire/limits';
import type { CommandContext } from '../../cli/context.ts';
import { INVENTORY_WAIT_MS, SERVERS_ASKED_AT_ONCE_MAX } from '../../limits.ts';
import type { Place } from '@rsio/api/manage/asked-servers';
import { callAt, placesOf } from '../server-volumes/servers.ts';

type Context = Pick<CommandContext, 'call' | 'clock'>;
export type Spread = SpreadAt<Place>;

export const PLAIN_OPTION = {
  plain: { kind: 'flag', help: 'send keys even over paths without tls = on' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** The answers of all servers, for --json. */
export const SPREAD = object({
  servers: list(
    object({
      namespace: text(),
      server: text(),
      error: orNull(object({ code: text('Stable: E_...'), message: text() }), 'Why the server has not done it; null: it has'),
      result: orNull(NAMESPACE_METHODS['namespace-apply'].result),
    }),
  ),
});

export function spreadJson(spread: readonly Spread[]): object {
  const servers = spread.map(({ place, answer, error }) => ({
    namespace: place.namespace,
    server: place.server,
    error: error === null ? null : { code: error.code, message: error.message },
    result: answer,
  }));
  return { servers };
}

/** Returns the servers of the namespace with this number. Throws E_USAGE if the client has no such namespace. */
export async function placesOfNamespace(context: Context, namespaceid: number, file: string): Promise<Place[]> {
  const { namespaces } = await context.call('query', { refresh: false });
  const found = namespaces.find((one) => one.namespaceid === namespaceid);
  if (found !== undefined) return placesOf(context, { namespace: found.name, server: null });
  throw new RsError(
    'E_USAGE',
    `This client has no namespace with the namespaceid ${namespaceid} of ${file}: rsconfig join HOST adds one, or run rsadm apply on each server`,
  );
}

/** Throws E_TLS if a path to one of the servers may be plain. */
export async function checkEncrypted(context: Context, places: readonly Place[]): Promise<void> {
  const { namespaces } = await context.call('query', { refresh: false });
  for (const { namespace, server } of places) {
    const paths = namespaces.find(({ name }) => name === namespace)?.servers.find(({ name }) => name === server)?.paths ?? [];
    if (paths.every(({ tls, cipher, state }) => tls && (cipher !== null || state === 'down'))) continue;
    throw new RsError(
      'E_TLS',
      `The paths to server ${server} of ${namespace} are not encrypted, and the order has keys: set tls = on ` +
        `(rsconfig namespace set ${namespace} tls=on --reload), run rsadm apply on the server, or give --plain`,
    );
  }
}

export type Entry = readonly [key: string, value: string];
export interface Section {
  readonly header: string;
  readonly entries: readonly Entry[];
}

/** Gives an order about some clients and peers to servers of one namespace. */
export async function spreadPart(
  context: Context,
  places: readonly Place[],
  sections: readonly Section[],
  {
    clients,
    endKeys = [],
    plan = false,
  }: { readonly clients: SpreadOrder['clients']; readonly endKeys?: readonly string[]; readonly plan?: boolean },
): Promise<Spread[]> {
  const { namespaces } = await context.call('query', { refresh: false });
  const name = places[0]?.namespace ?? '';
  const namespaceid = namespaces.find((one) => one.name === name)?.namespaceid ?? 0;
  const all = [{ header: `namespace ${name}`, entries: [['namespaceid', String(namespaceid)] as const] }, ...sections];
  const lines = all.flatMap(({ header, entries }) => [`[${header}]`, ...entries.map(([key, value]) => `${key} = ${value}`)]);
  return spread(context, places, { text: `${lines.join('\n')}\n`, plan, part: true, clients, prune: false, endKeys, hash: null });
}

/** Gives the order to all these servers. Never rejects. */
export function spread(context: Context, places: readonly Place[], order: SpreadOrder): Promise<Spread[]> {
  const checked = (place: Place): void => {
    if (!place.isConnected) throw new RsError('E_NO_PATH', `${place.server} is away: ${place.trouble}`);
  };
  const all = new NamespaceSpread<Place>({
    atOnce: SERVERS_ASKED_AT_ONCE_MAX,
    applied: async (place) => {
      checked(place);
      return (await callAt(context, place, 'namespace-show', {}, INVENTORY_WAIT_MS)).applied;
    },
    apply: async (place, params) => {
      checked(place);
      if (Buffer.byteLength(JSON.stringify(params)) > ADMIN_PARAMS_MAX_BYTES)
        throw new RsError(
          'E_LIMIT',
          `The file is too long for a client, which may send ${ADMIN_PARAMS_MAX_BYTES} bytes: run rsadm apply on each server`,
        );
      return await callAt(context, place, 'namespace-apply', params);
    },
  });
  return all.give(places, order);
}

/** Returns at which servers the client has not used its new key, and what helps there. `waiting`: the servers where it has two keys. */
export function unprovenText(name: string, waiting: readonly Pick<Spread, 'place' | 'answer'>[]): string {
  const found = waiting.flatMap(({ place, answer }) =>
    (answer?.secondKeys ?? []).filter(({ client, isProven }) => client === name && !isProven).map((one) => ({ ...one, at: place.server })),
  );
  const absent = found.filter(({ sessionKey }) => sessionKey === null).map(({ at }) => at);
  const old = found.filter(({ sessionKey }) => sessionKey !== null).map(({ at }) => at);
  const remedies = [
    ...(old.length === 0 ? [] : [`at ${old.join(', ')} it uses the old key: give it the new one (step 2)`]),
    ...(absent.length === 0
      ? []
      : [
          `at ${absent.join(', ')} it is not connected: connect it (rsconfig join ADDRESS on the client), or run ` +
            `rsadm client rekey ${name} --finish --force at ${absent.length === 1 ? 'this server' : 'these servers'}`,
        ]),
  ];
  const where = found.length === 0 ? waiting.map(({ place }) => place.server) : found.map(({ at }) => at);
  return `Client ${name} has not used its new key at ${where.join(', ')}, and keeps both keys: ${[...remedies, 'then give the order again'].join('; ')}`;
}
