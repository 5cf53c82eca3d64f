// The orders of a source as the client that copies gets them, its next moment, and the confirmation of a moment. Pure. Invariants: a client
// learns only of replications to itself, and of their volumes only while it may attach all of them. An order lists complete moments only.
// The moment that was confirmed last is never replaced by an earlier one.

import { REPLICATION_TEXT_MAX_CHARS } from '@rsio/common/control/limits';
import type { ReplicationOrder, SourceMoment } from '@rsio/api/rssrv/replication-methods';
import { RsError } from '@rsio/base/lib/errors';
import { timeName } from '@rsio/base/lib/time-name';
import { quoteText } from '@rsio/base/lib/units';
import type { Asker } from '../../pools/asker.ts';
import { type Catalogue, type Found, volumeText } from '../../pools/catalogue.ts';
import type { HandOverMark, Manifest, ManifestOrder } from '../../pools/disk/manifest.ts';
import { sourceIdOf } from '../../pools/mirror-sources.ts';
import { ADMINISTRATOR_SEES } from '../../pools/requests/client-text.ts';
import { isDoneBy } from '../../pools/requests/request-stamp.ts';
import { handOverOf, type Replication, replicationsIn } from '../../pools/source-marks.ts';
import { checkUnconfirmed, type Moment, momentsOf } from '../../pools/source-moments.ts';
import { type NewSnapshot } from '../../snapshots/snapshot-rules.ts';
import { MOMENT_INTERVAL_MS } from '../limits.ts';

/** Returns true if the server has a client with this name. */
export type IsClient = (name: string) => boolean;

/** What prevents moments. `forClient`: the text for the client that copies, which learns nothing else of the server. */
export interface SourceProblem {
  readonly text: string;
  readonly forClient: string;
}

/** Returns true if the client can open the volume, whatever its rights to administer. */
export function isFor({ clients }: Pick<Manifest, 'clients'>, client: string): boolean {
  return clients === null || clients.includes(client);
}

/** Returns why no moment of the replication can be made now; null if one can. */
export function problemOf({ order, members, memberIds }: Replication, isClient: IsClient): SourceProblem | null {
  const { to } = order;
  const barred = members.find(({ manifest }) => !isFor(manifest, to));
  const forClient = `Client ${to} may no longer attach all volumes of the replication: ${ADMINISTRATOR_SEES}`;
  if (!isClient(to)) return { text: `Client ${to} is no longer in [clients] of rssrvcfg: add it again, or end the replication`, forClient };
  if (barred !== undefined) {
    const text = volumeText(barred.manifest);
    return { text: `Client ${to} may no longer attach volume ${text}: volume allow ${text} ${to} lets it`, forClient };
  }
  const closed = `A pool of the source cannot be used: ${ADMINISTRATOR_SEES}`;
  if (members.length < memberIds.length) {
    const what = `Of the ${memberIds.length} volumes of the replication, ${memberIds.length - members.length} are in no open pool, or were replaced`;
    return { text: `${what}: mount the other pools, then run rsadm reload, or end the replication`, forClient: closed };
  }
  const stuck = members.find(({ pool }) => pool.trouble !== null)?.pool;
  return stuck === undefined
    ? null
    : { text: `Pool ${stuck.name} cannot be used: ${stuck.trouble ?? 'it is not open'}`, forClient: closed };
}

/** Returns the replications to this client. Local programs have none. */
export function replicationsTo({ pools }: Catalogue, client: string | null): readonly Replication[] {
  return client === null ? [] : replicationsIn(pools).filter(({ order }) => order.to === client);
}

/** Returns the replication to this client. The refusal is the same whether another client has such a replication or none. */
export function replicationTo(catalogue: Catalogue, id: string, asker: Asker): Replication {
  const found = replicationsTo(catalogue, asker.node).find((one) => one.id === id);
  if (found !== undefined) return found;
  throw new RsError('E_UNKNOWN_VOLUME', `${asker.text} has no replication ${quoteText(id)} on this server: its source may have ended it`);
}

/** Returns the order as the client that copies gets it. `momentsMax`: maximum number of moments. */
export function orderOf(replication: Replication, isClient: IsClient, momentsMax: number): ReplicationOrder {
  const { id, order, members, home } = replication;
  const { to, pool, everyMs, keep, limitBytes, confirmed } = order;
  const isVisible = members.every(({ manifest }) => isFor(manifest, to));
  const problem = problemOf(replication, isClient);
  const handOver = handOverOf(replication);
  const base = {
    replication: id,
    pool,
    everyMs,
    keep,
    limitBytes,
    confirmed: confirmed?.group ?? null,
    problem: problem?.forClient.slice(0, REPLICATION_TEXT_MAX_CHARS) ?? null,
    shared: sharedOf(home),
    handOver: handOver === null ? null : handOverView(handOver),
    granted: members.flatMap(({ manifest }) => manifest.replication?.handOver?.replication ?? [])[0] ?? null,
    isMirror: replication.home.manifest.replica !== undefined,
  };
  if (!isVisible) return { ...base, members: [], moments: [] };
  const moments = problem === null ? newestOf(momentsOf(replication), confirmed?.group ?? null, momentsMax) : [];
  return { ...base, members: members.map(memberOf), moments: moments.map((one) => ofMirror(replication.home, momentView(one))) };
}

function sharedOf({ pool: { identity, ownership } }: Found): ReplicationOrder['shared'] {
  return identity === null || ownership === null ? null : { poolId: identity.id, generation: ownership.generation };
}

function handOverView({ replication, group, node }: HandOverMark): ReplicationOrder['handOver'] {
  return group === null ? null : { replication, group, node };
}

function memberOf({ manifest }: Found): ReplicationOrder['members'][number] {
  const { name, universe, sizeBytes, blockSizeBytes, follower } = manifest;
  return { id: sourceIdOf(manifest), name, universe, sizeBytes, blockSizeBytes, was: follower?.sourceId ?? null };
}

/**
 * Returns the newest moments, and always the one that was confirmed, because the next copy begins with it, and all later ones: the newest
 * moment of a follower must be among them (T4).
 */
function newestOf(moments: readonly Moment[], confirmed: string | null, max: number): readonly Moment[] {
  const from = moments.length - max;
  const at = moments.findIndex(({ group }) => group === confirmed);
  return moments.filter((_moment, index) => index >= from || (at >= 0 && index >= at));
}

/** The only member of the replication of a mirror is the mirror. */
function ofMirror({ manifest }: Found, moment: SourceMoment): SourceMoment {
  if (manifest.replica === undefined) return moment;
  const volumeId = sourceIdOf(manifest);
  return { ...moment, snapshots: moment.snapshots.map((one) => ({ ...one, volumeId })) };
}

export function momentView({ group, momentMs, snapshots }: Moment): SourceMoment {
  const moment = snapshots[0]?.moment;
  return {
    group,
    momentMs,
    place: moment === undefined ? null : { term: moment.term, number: moment.number },
    snapshots: snapshots.map(({ volumeId, id, name, sizeBytes, blockSizeBytes, origin }) => {
      return { volumeId, id, snapshot: name, sizeBytes, blockSizeBytes, origin: origin?.snapshot ?? null };
    }),
  };
}

/**
 * Returns the moment that this request has made, or the last moment before a hand-over; null if there is none. A client that has lost the
 * answer to another request, and asks again at once, gets the moment that it does not have yet.
 */
export function momentBy(replication: Replication, requestId: string | null, nowMs: number): Moment | null {
  const moments = momentsOf(replication);
  const handOver = handOverOf(replication);
  // None is made after the last one, because the copying server copies only the newest moment, and takes over with the last one.
  if (handOver !== null && handOver.group !== null) return moments.find(({ group }) => group === handOver.group) ?? null;
  const isOwn = ({ snapshots }: Moment): boolean => requestId !== null && snapshots.every(({ request }) => isDoneBy(requestId, request));
  const newest = moments.at(-1);
  const isLost = newest !== undefined && isRecent(newest, nowMs) && newest.group !== replication.order.confirmed?.group;
  // The last moment before a hand-over is made after all volumes are closed.
  return moments.find(isOwn) ?? (isLost && handOver === null ? newest : null);
}

function isRecent({ momentMs }: Moment, nowMs: number): boolean {
  return nowMs >= momentMs && nowMs - momentMs < MOMENT_INTERVAL_MS;
}

/** Returns the snapshots of the next moment. Throws E_BUSY if none may be made now. */
export function nextMoment(replication: Replication, isClient: IsClient, nowMs: number): readonly NewSnapshot[] {
  const problem = problemOf(replication, isClient);
  if (problem !== null) throw new RsError('E_BUSY', problem.forClient);
  const { id, members } = replication;
  if (replication.home.manifest.replica !== undefined)
    throw new RsError('E_BUSY', 'The client that has the mirror attached makes its moments');
  const moments = momentsOf(replication);
  checkUnconfirmed(replication);
  const newest = moments.at(-1);
  // The last moment before a hand-over does not wait.
  if (newest !== undefined && isRecent(newest, nowMs) && handOverOf(replication) === null)
    throw new RsError(
      'E_BUSY',
      `The newest moment was made ${nowMs - newest.momentMs} ms ago, and the next one can be made ${MOMENT_INTERVAL_MS} ms after it`,
    );
  const taken = new Set(members.flatMap(({ pool, manifest }) => namesIn(pool.snapshots.get(manifest.id))));
  const base = `replica-${timeName(nowMs)}`;
  let snapshot = base;
  for (let number = 2; taken.has(snapshot); number++) snapshot = `${base}-${number}`;
  return members.map(({ manifest: { id: volumeId, name, universe } }) => ({ id: volumeId, name, universe, snapshot, replication: id }));
}

interface Named {
  readonly name: string;
}

function namesIn(
  snapshots: { readonly list: readonly Named[]; readonly pending: readonly Named[]; readonly making: readonly Named[] } | undefined,
): readonly string[] {
  return snapshots === undefined ? [] : [...snapshots.list, ...snapshots.pending, ...snapshots.making].map(({ name }) => name);
}

/** Returns the order after the confirmation of a moment; the same order if the moment was confirmed before. Throws E_USAGE. */
export function confirmedOrder(replication: Replication, group: string): ManifestOrder {
  const { order } = replication;
  const { confirmed } = order;
  if (confirmed?.group === group) return order;
  const moment = momentsOf(replication).find((one) => one.group === group);
  if (moment === undefined || replication.members.length < replication.memberIds.length)
    throw new RsError('E_UNKNOWN_SNAPSHOT', `The replication has no complete moment ${quoteText(group)}: copy the newest one`);
  const { momentMs } = moment;
  const all = momentsOf(replication);
  if (all.findIndex((one) => one.group === group) < all.findIndex((one) => one.group === confirmed?.group))
    throw new RsError('E_USAGE', `Moment ${quoteText(group)} is older than the moment that was confirmed last: confirm the newest one`);
  return { ...order, confirmed: { group, momentMs } };
}
