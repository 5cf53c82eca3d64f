// Determines which volumes the server offers to each client, and the refusal of an OPEN for any other volume. This module is pure.
// Invariant: a client sees only volumes that it may attach, even in refusals; a client with the right `view` sees all. Rules: A6.

import { randomBytes } from 'node:crypto';
import { giftTo } from '@rsio/common/config/client-rights';
import type { ClientRights, RssrvConfig, TlsPolicy } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { servedNameParts } from '@rsio/base/lib/volume-name';
import type { ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import type { ListAnswer, OpenRequest, ServerInterface, VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { rightsRemedy } from '../pools/asker.ts';
import { isFor, type ServedVolume } from '../storage/io/served-volume.ts';
import { clientText } from '../pools/requests/client-text.ts';
import type { Grant } from '../volumes/holds/grants.ts';
import type { ToSession } from '../session/channel/channel.ts';
import type { ServedSession } from './served-session.ts';
import type { VolumeFailure } from '../volumes/volume-failures.ts';

/** Returns true if the client with these rights is told about the volume. */
function isListed(volume: Pick<ServedVolume, 'clients'>, node: string, rights: readonly ClientRights[]): boolean {
  const { lists } = giftTo(node, rights);
  return lists === 'all' || (lists === 'own' && isFor(volume, node));
}

/** Returns the volumes that this client may see. All but a client with the right `view` may also attach them. */
export function offeredTo(node: string, served: readonly ServedVolume[], rights: readonly ClientRights[]): ServedVolume[] {
  return served.filter((volume) => isListed(volume, node, rights));
}

/** Returns the list of the offered volumes for the client of a session. */
export function listFor(
  { generation }: Pick<ServedSession, 'generation'>,
  interfaces: readonly ServerInterface[],
  offered: readonly ServedVolume[],
  factsOf: (volume: ServedVolume) => Pick<VolumeEntry, 'holders' | 'waitsForSpace' | 'heldBy'>,
): ListAnswer {
  return { generation, interfaces, volumes: offered.map((volume) => volumeEntry(volume, factsOf(volume))) };
}

/** Tells clients that the list has changed: clients that may see one of the volumes in `seenBy`, or all clients if `seenBy` is null. */
export function announceList(
  sessions: readonly ServedSession[],
  list: Omit<Extract<ToSession, { type: 'list-changed' }>, 'type'>,
  seenBy: readonly Pick<ServedVolume, 'clients'>[] | null,
  rights: readonly ClientRights[],
): void {
  for (const session of sessions) {
    if (seenBy !== null && !seenBy.some((volume) => isListed(volume, session.client.node, rights))) continue;
    session.generation = list.generation;
    session.workerSession.send({ type: 'list-changed', ...list });
  }
}

function volumeEntry(volume: ServedVolume, facts: Pick<VolumeEntry, 'holders' | 'waitsForSpace' | 'heldBy'>): VolumeEntry {
  const { name, id, universe, sizeBytes, blockSizeBytes, readonly, shared } = volume;
  const mirror = volume.replica?.mirror;
  const { pool, follows } = volume;
  return {
    name,
    id,
    universe,
    sizeBytes,
    blockSizeBytes,
    readonly,
    shared,
    ...facts,
    ...(mirror === undefined ? {} : { mirror }),
    ...(follows === undefined ? {} : { follows: follows.server }),
    ...(pool === undefined ? {} : { poolId: pool.ids[0] }),
    ...(pool?.ownership === undefined ? {} : { poolGeneration: pool.ownership.generation }),
  };
}

/**
 * Returns the refusal of an OPEN for a volume that is not served. If the volume is in `failures`, the status makes the client wait; if not,
 * the status tells the client that the volume does not exist. `server` is the name of the server. `whyNoSnapshot` says that a volume of
 * this client lacks the requested snapshot; null if the OPEN fails for another reason.
 */
export function notOffered(
  node: string,
  { name, universe }: OpenRequest,
  failures: readonly VolumeFailure[],
  server: string,
  whyNoSnapshot: string | null,
): Grant {
  const { volume } = servedNameParts(name);
  const failure =
    whyNoSnapshot === null ? failures.find((one) => one.name === volume && one.universe === universe && isFor(one, node)) : undefined;
  const [status, sentence] =
    failure === undefined
      ? ([STATUS.UNKNOWN_VOLUME, whyNoSnapshot ?? `Server ${server} has no volume ${volume} for this client`] as const)
      : ([failure.error.context['hasMoved'] === true ? STATUS.MOVED : STATUS.VOLUME_UNAVAILABLE, failureText(failure)] as const);
  return { granted: false, status, sentence, holders: [] };
}

/** Returns the refusal of each OPEN of a client whose right shows volumes and opens none. */
export function onlyViews(node: string, { name }: OpenRequest): Grant {
  const sentence = `Client ${node} may not open volume ${name}: its right is view, and use is needed; ${rightsRemedy(node, 'use')}`;
  return { granted: false, status: STATUS.NO_RIGHTS, sentence, holders: [] };
}

/**
 * Returns the text for clients about a volume that cannot be served. The clients of a pool's volume do not learn why the pool cannot be
 * used; the clients of a configured volume get the reason.
 */
function failureText({ name, error: { message, context } }: VolumeFailure): string {
  return typeof context['pool'] === 'string' ? clientText(message, `Volume ${name} cannot be used now`) : message;
}

/** Returns the identity that the server shows to clients, with a new instance for this start. */
export function identityOf(config: RssrvConfig): ServerIdentity {
  const { tls } = config.namespace;
  return {
    namespaceid: config.namespace.namespaceid,
    server: config.server.name,
    serverid: config.server.serverid,
    instance: randomBytes(16).toString('hex'),
    serverkey: config.server.serverkey,
    versions: PROTOCOL_VERSIONS,
    features: [
      ...[FEATURE.DIGEST, FEATURE.PROBE, FEATURE.REVOKE, FEATURE.ADMIN, FEATURE.MIRROR, FEATURE.DATA_PROCESSES],
      ...(tls === 'off' ? [] : [FEATURE.TLS]),
    ],
    requiresTls: tls === 'require',
  };
}

/** Returns the identity with the TLS features that this setting permits or requires. */
export function identityWith(identity: ServerIdentity, tls: TlsPolicy): ServerIdentity {
  const features = identity.features.filter((feature) => feature !== FEATURE.TLS || tls !== 'off');
  return { ...identity, features, requiresTls: tls === 'require' };
}

/**
 * Throws E_TLS if a connection with these features may not become a path, because the `tls` setting has changed since the HELLO of the
 * connection.
 */
export function checkTls(features: readonly string[], { server, namespace }: Pick<RssrvConfig, 'server' | 'namespace'>): void {
  if (namespace.tls !== 'require' || features.includes(FEATURE.TLS)) return;
  throw new RsError('E_TLS', plainRefused(server.name));
}

/** Returns the text for a client whose plain connections the server closes. */
export function plainRefused(server: string): string {
  return `Server ${server} accepts encrypted connections only: set tls = on in section [namespace] of rscltcfg on the client`;
}
