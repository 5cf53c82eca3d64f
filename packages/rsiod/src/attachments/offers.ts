// Lists the volumes that the servers offer, decides which volume a name means, and chooses the server from which a volume is attached. Two
// offers concern the same volume only if their ids are equal. Invariants: a name that fits two volumes is refused with a message that lists
// both; a volume that a client holds at one server is attached from that server or not at all; the list of offers always matches the latest
// reports from the servers. Rules: N1.

import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { formatTime } from '@rsio/base/log/log-line';
import { isSnapshot, parseVolumeName, servedNameParts, snapshotName, volumeLabel, type WrittenName } from '@rsio/base/lib/volume-name';
import type { Holder } from '@rsio/protocol/wire/messages';
import type { Namespace } from '../network/namespace.ts';
import type { Namespaces } from '../network/namespaces.ts';
import type { Server } from '../network/server.ts';
import { ownersOf } from './pool-owner.ts';

export interface Offer {
  readonly namespace: string;
  /** Name of the server that makes the offer; an empty string where the server does not matter. */
  readonly server: string;
  readonly isConnected: boolean;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
}

/** An offer with the facts that decide from which server the volume is attached. */
export interface HeldOffer extends Offer {
  readonly serverid: number;
  /** True if the server offers the volume read-only. A read-only offer cannot conflict with the offers of other servers. */
  readonly readonly: boolean;
  readonly holders: readonly Holder[];
  /** If the volume is a replica: the id of its mirror, which is also the `id` of the offer. Otherwise null. */
  readonly mirror: string | null;
  /** If the volume is a follower: name of the server with its source. No client can open it, but only its snapshots. Otherwise absent. */
  readonly follows?: string;
  /** If the volume lies in a shared pool: the generation under which the server owns the pool. Otherwise null, and null for a replica. */
  readonly poolGeneration: number | null;
  /**
   * Id of the pool of the volume, which only this server uses if there is no generation; null if there is none, or the server is too old to
   * name it.
   */
  readonly poolId: string | null;
}

/** One volume and every server that offers the volume, in the order of the configuration. */
export interface Choice<O extends Offer> {
  readonly label: string;
  readonly offers: readonly O[];
}

/** Returns a label such as `osl:oracle@0`, or `osl:oracle@0@monday` for a snapshot. */
export function labelOf({ namespace, name, universe }: Pick<Offer, 'namespace' | 'name' | 'universe'>): string {
  return volumeLabel({ namespace, name, universe });
}

/** Returns the other labels under which servers offer the volume with this label, through other namespaces. */
export function twinsOf(offers: readonly Offer[], label: string): string[] {
  const ids = new Set(offers.flatMap((offer) => (labelOf(offer) === label ? [offer.id] : [])));
  return offers.flatMap((offer) => (ids.has(offer.id) && labelOf(offer) !== label ? [labelOf(offer)] : []));
}

export function isCalledLike(
  one: Pick<Offer, 'namespace' | 'name' | 'universe'>,
  other: Pick<Offer, 'namespace' | 'name' | 'universe'>,
): boolean {
  return one.name === other.name && one.universe === other.universe && one.namespace === other.namespace;
}

/** True if the offer is for this attached volume or, if a snapshot is attached, for the volume of the snapshot. */
export function isOffer(offer: Offer, { namespace, name, universe, id }: Pick<Offer, 'namespace' | 'name' | 'universe' | 'id'>): boolean {
  const { volume, snapshot } = servedNameParts(name);
  if (snapshot === null) return offer.namespace === namespace && offer.id === id;
  return isCalledLike(offer, { namespace, name: volume, universe });
}

/** Resolves with the reason why a server that has the volume cannot offer it; null if no server reports a reason. */
export async function whyMissing(
  namespaces: readonly Namespace[],
  offers: readonly Offer[],
  name: string,
  server: string | null,
): Promise<string | null> {
  const parts = parseVolumeName(name);
  if (parts === null) return null;
  // A server offers the volume, so its answer to the attach has already given the reason.
  if (parts.snapshot !== null && offers.some((offer) => offer.name === parts.volume && offer.universe === (parts.universe ?? 0)))
    return null;
  const asked = namespaces.filter(({ config }) => parts.namespace === null || config.name === parts.namespace);
  const servers = asked.flatMap(({ orderedServers }) => orderedServers).filter((one) => server === null || one.name === server);
  const reasons = await Promise.all(
    servers.map(async (one) => {
      const why = await one.whyMissing(parts.volume, parts.universe ?? 0);
      return why === null ? null : `Server ${one.name} cannot offer it: ${why}`;
    }),
  );
  return reasons.find((reason) => reason !== null) ?? null;
}

/** Groups the offers by volume, so that each volume appears once. */
export function distinctVolumes<O extends Offer>(offers: readonly O[]): Choice<O>[] {
  const byKey = new Map<string, O[]>();
  for (const offer of offers) {
    const key = `${labelOf(offer)} ${offer.id}`;
    byKey.set(key, [...(byKey.get(key) ?? []), offer]);
  }
  return [...byKey.values()].map((group) => ({ label: labelOf(group[0]!), offers: group }));
}

/**
 * Returns all volumes that `server` offers and that can be opened; if `server` is null, all volumes that any server offers. Each volume appears once. Throws
 * E_UNKNOWN_VOLUME if `server` is not null and offers no volume.
 */
export function volumesOf<O extends Offer>(offers: readonly O[], server: string | null): Choice<O>[] {
  const volumes = distinctVolumes(openable(offers).filter((offer) => server === null || offer.server === server));
  if (server !== null && volumes.length === 0) {
    throw new RsError('E_UNKNOWN_VOLUME', `No connected server ${server} offers a volume: rsconfig -q lists servers and volumes`);
  }
  return volumes;
}

/**
 * Returns the volume for a name such as `oracle`, `osl:oracle`, `osl:oracle@0` or, for a snapshot, `osl:oracle@0@monday`. A name without a
 * universe means only the volume in universe 0, because a volume in another universe is an image, which has other content. Only volumes of
 * `server` are considered; if `server` is null, the volumes of all servers are considered. Throws E_USAGE for a name in any other form.
 * Throws E_UNKNOWN_VOLUME if no volume fits; the message lists volumes with that name in other universes. Throws E_AMBIGUOUS with a list of
 * candidates if several volumes fit.
 */
export function chooseVolume<O extends Offer>(offers: readonly O[], name: string, server: string | null): Choice<O> {
  const { namespace, volume, universe, snapshot } = writtenParts(name);
  const served = snapshot === null ? volume : snapshotName(volume, snapshot);
  const named = offers.filter(
    (offer) =>
      offer.name === served && (namespace === null || offer.namespace === namespace) && (server === null || offer.server === server),
  );
  const meant = universe ?? 0;
  const found = distinctVolumes(named.filter((offer) => offer.universe === meant));
  const [only] = found;
  if (only === undefined) {
    const wanted = universe === null && named.length > 0 ? `${name} in universe 0` : name;
    const what = server === null ? `No server in reach offers a volume ${wanted}` : `Server ${server} offers no volume ${wanted}`;
    throw new RsError('E_UNKNOWN_VOLUME', `${what}: ${namesakes(named)}rsconfig -q lists the volumes`);
  }
  if (found.length === 1) return only;
  // A follower has the name of its source, and cannot be opened: the name means the source, or what was promoted.
  const [own, ...others] = found.filter(({ offers: [first] }) => !isFollower(first));
  if (own !== undefined && others.length === 0) return own;
  const remedy = own === undefined ? NONE_OPENS : `name one of them${found.some(hasServer) ? ', or choose with --server' : ''}`;
  throw new RsError('E_AMBIGUOUS', `${name} means more than one volume: ${listOf(found)}: ${remedy}`);
}

const NONE_OPENS =
  'none can be attached now, because each follows another server or is being handed over: rsadm volume replications there shows when that ends; for a snapshot, choose with --server';

function hasServer({ offers: [first] }: Choice<Offer>): boolean {
  return first?.server !== '';
}

/** Returns the offers of volumes that can be opened, which followers cannot. */
export function openable<O extends Offer>(offers: readonly O[]): readonly O[] {
  return offers.filter((offer) => !isFollower(offer));
}

function isFollower(offer: object | undefined): boolean {
  return offer !== undefined && 'follows' in offer;
}

/** Returns a text such as `osl:oracle@1 (server big-9), osl:oracle@2`. */
export function listOf(choices: readonly Choice<Offer>[]): string {
  const servers = ({ offers }: Choice<Offer>): string => offers.map(({ server }) => server).join(', ');
  return choices.map((choice) => (servers(choice) === '' ? choice.label : `${choice.label} (server ${servers(choice)})`)).join(', ');
}

/**
 * Returns the beginning of a remedy: a text that lists the volumes with the same name in other universes. Returns an empty text if there is
 * no such volume.
 */
function namesakes(others: readonly Offer[]): string {
  return others.length === 0 ? '' : `${listOf(distinctVolumes(others))} has the name in another universe, give it with @ if you mean it; `;
}

/**
 * Like `chooseVolume`, but the name can also mean a snapshot. Servers do not list snapshots, so the offers of a snapshot are those of its
 * volume, with the volume's id and without holders.
 */
export function chooseToAttach<O extends HeldOffer>(offers: readonly O[], name: string, server: string | null): Choice<O> {
  const { namespace, volume, universe, snapshot } = writtenParts(name);
  if (snapshot === null) return chooseVolume(offers, name, server);
  const prefix = namespace === null ? '' : `${namespace}:`;
  const chosen = chooseVolume(offers, `${prefix}${volume}${universe === null ? '' : `@${universe}`}`, server);
  const own = chosen.offers.map((offer) => ({ ...offer, name: snapshotName(offer.name, snapshot), readonly: true, holders: [] }));
  return { label: labelOf(own[0]!), offers: own };
}

function writtenParts(name: string): WrittenName {
  const parts = parseVolumeName(name);
  if (parts !== null) return parts;
  throw new RsError(
    'E_USAGE',
    `${name} is not the name of a volume or snapshot: use NAME, NAMESPACE:NAME or NAMESPACE:NAME@UNIVERSE (0 to 3), with @SNAPSHOT for a snapshot`,
  );
}

/**
 * Makes the error for attaching a volume while another volume with the same label is attached. Devices are named after their volume, so
 * users could not tell which of the two volumes they write to. `server` is the server of the attached volume, if known.
 */
export function nameTaken<O extends Offer>({ label, offers }: Choice<O>, server: string | null): RsError {
  const other = server === null ? '' : ` of server ${server}`;
  return new RsError(
    'E_IN_USE',
    `Another volume${other} is attached as ${label}, not that of server ${offers[0]?.server ?? '?'}: detach it first (rsconfig -d ${label})`,
  );
}

/**
 * Chooses, among the servers in `choice`, the server from which a volume is attached. If a client holds the volume at one server, that
 * server is chosen, because only that server sees the holder's unsynced writes and decides about the hold. If no client holds the volume,
 * the connected server with the lowest serverid is chosen, so that all clients choose the same server. `all` contains every offer,
 * including those from servers that are not in `choice`; `node` is this client. A volume in a shared pool is attached from the owner of
 * the pool, whatever other servers say about its holders. If offers name several pools, the volume lies in one of them, and each attempt
 * uses the owner of the next pool; `tries` is the number of earlier attempts. Throws E_HELD if the volume is held at a server that is
 * unreachable or not in `choice`, E_MOVED if the owner is not in `choice`, and E_NO_PATH if no server is reachable.
 */
export function serverFor<O extends HeldOffer>(choice: Choice<O>, all: readonly O[], node: string, tries: number): O {
  const [first] = choice.offers;
  const [owners = []] = ownersOf(all.filter(({ namespace, id }) => namespace === first?.namespace && id === first.id)).values();
  const owner = owners[tries % owners.length];
  if (owner !== undefined) return offerOf(choice, owner);
  // Any server can serve a snapshot, because the holder of the volume does not matter for snapshots.
  if (first !== undefined && isSnapshot(first.name)) return firstConnected(choice);
  const held = all.filter(
    (offer) => offer.namespace === first?.namespace && offer.id === first.id && !offer.readonly && offer.holders.length > 0,
  );
  const isForeign = ({ holders }: O): boolean => holders.some((holder) => holder.node !== node);
  const keeper = held.find(isForeign) ?? held.find(({ isConnected }) => !isConnected) ?? held[0];
  if (keeper === undefined) return firstConnected(choice);
  const chosen = choice.offers.find((offer) => offer.serverid === keeper.serverid && labelOf(offer) === labelOf(keeper));
  if (chosen === undefined) throw new RsError('E_HELD', `${heldSentence(choice.label, keeper)}: attach it from there`);
  if (keeper.isConnected) return chosen;
  throw new RsError('E_HELD', `${heldSentence(choice.label, keeper)}, which is not in reach: rsconfig -m status -v says why`);
}

function offerOf<O extends HeldOffer>({ label, offers }: Choice<O>, owner: O): O {
  const chosen = offers.find(({ serverid }) => serverid === owner.serverid);
  if (chosen !== undefined) return chosen;
  throw new RsError(
    'E_MOVED',
    `Server ${owner.server} serves ${label} as ${labelOf(owner)}, because it owns the pool of the volume (generation ${owner.poolGeneration ?? 0}): attach it from there`,
  );
}

function firstConnected<O extends HeldOffer>({ label, offers }: Choice<O>): O {
  const connected = offers.filter(({ isConnected }) => isConnected).toSorted((left, right) => left.serverid - right.serverid)[0];
  if (connected !== undefined) return connected;
  const servers = offers.map(({ server }) => server);
  const which = servers.length === 1 ? `server ${servers[0]}, which offers` : `any of the servers ${servers.join(', ')}, which offer`;
  throw new RsError('E_NO_PATH', `No path to ${which} ${label}: rsconfig -m status -v says why`);
}

/** Says which client holds the volume. If the server is unreachable, the text names the holder that the server reported last. */
function heldSentence(label: string, { server, name, universe, namespace, holders }: HeldOffer): string {
  const [holder] = holders;
  const offered = labelOf({ namespace, name, universe });
  const what = offered === label ? label : `${label}, which is ${offered} there too,`;
  return `${what} is held by ${holder?.node ?? '?'} at ${holder?.address ?? '?'} since ${formatTime(holder?.sinceMs ?? 0)} through server ${server}`;
}

/** Returns the choice if no other choice in `all` has the same label. Throws E_AMBIGUOUS. */
export function unambiguous<O extends Offer>(choice: Choice<O>, all: readonly Choice<O>[]): Choice<O> {
  const rivals = all.filter((other) => other.label === choice.label);
  if (rivals.length === 1) return choice;
  return chooseVolume(
    rivals.flatMap((rival) => rival.offers),
    choice.label,
    null,
  );
}

/** Like chooseToAttach, but considers only the volume with this id. */
export function chooseById<O extends HeldOffer>(offers: readonly O[], name: string, id: string): Choice<O> {
  return chooseToAttach(
    offers.filter((offer) => offer.id === id),
    name,
    null,
  );
}

export interface ServerOffer extends HeldOffer {
  readonly from: Server;
  readonly config: ClientNamespaceConfig;
}

/**
 * Lists all volumes that the servers of all namespaces offer. The list is rebuilt only after a change, because it is read for each volume,
 * and there may be a thousand volumes.
 */
export class OfferList {
  /** The values from which the current list was built. */
  private seen: readonly unknown[] = [];
  private offers: readonly ServerOffer[] = [];
  private readonly namespaces: Pick<Namespaces, 'list'>;

  constructor(namespaces: Pick<Namespaces, 'list'>) {
    this.namespaces = namespaces;
  }

  get list(): readonly ServerOffer[] {
    const servers = this.namespaces.list.flatMap((namespace) =>
      namespace.orderedServers.map((from) => ({ from, config: namespace.config })),
    );
    const seen = servers.flatMap(({ from, config }) => [from, config, from.volumes, from.name, from.serverid, from.isConnected]);
    if (seen.length === this.seen.length && seen.every((value, at) => value === this.seen[at])) return this.offers;
    this.seen = seen;
    this.offers = withOneName(
      servers.flatMap(({ from, config }) =>
        from.volumes.map(({ name, universe, id, readonly, holders, mirror, follows, poolGeneration, poolId }) => ({
          namespace: config.name,
          server: from.name,
          serverid: from.serverid,
          isConnected: from.isConnected,
          name,
          universe,
          // All replicas of a mirror count as one volume with the mirror's id. The holders of the replicas are ignored, because the voters
          // know which client has the mirror.
          id: mirror ?? id,
          readonly,
          holders: mirror === undefined ? holders : [],
          mirror: mirror ?? null,
          ...(follows === undefined ? {} : { follows }),
          // The replicas of a mirror do not move.
          poolGeneration: mirror === undefined ? (poolGeneration ?? null) : null,
          poolId: mirror === undefined ? (poolId ?? null) : null,
          from,
          config,
        })),
      ),
    );
    return this.offers;
  }
}

/** The replicas of a mirror may have different names on their servers. The mirror gets the name of the first listed replica. */
function withOneName(offers: readonly ServerOffer[]): readonly ServerOffer[] {
  const first = new Map<string, ServerOffer>();
  return offers.map((offer) => {
    if (offer.mirror === null) return offer;
    const key = `${offer.namespace} ${offer.mirror}`;
    const { name, universe } = first.get(key) ?? offer;
    if (!first.has(key)) first.set(key, offer);
    return { ...offer, name, universe };
  });
}
