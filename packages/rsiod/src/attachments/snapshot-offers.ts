// Decides which servers offer a snapshot of a mirror (M22). A server offers the snapshot if its snapshot with the requested name is proven.
// If servers have proven snapshots of different moments with this name, only those of the latest moment count. Invariants: an unproven
// snapshot is never attached as the snapshot of the mirror. An outdated snapshot, which a server may have kept while it was unreachable, is
// not attached if another server offers a newer snapshot with the same name.

import { SERVER_METHODS, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { SnapshotView } from '@rsio/api/views/views';
import { misfit } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import { servedNameParts } from '@rsio/base/lib/volume-name';
import { SNAPSHOT_SHOW_MS } from './limits.ts';
import type { Choice, ServerOffer } from './offers.ts';

/** An offer, and the server's snapshot with the requested name. `found` is null if the server has no such snapshot or does not answer. */
export interface SnapshotOffer<O> {
  readonly offer: O;
  readonly found: SnapshotView | null;
}

/**
 * Returns the offers whose servers have the proven snapshot of the latest moment. Throws E_UNKNOWN_VOLUME if no server has a snapshot with
 * the requested name, and E_VOLUME if no snapshot with that name is proven.
 */
export function provenOf<O extends { readonly server: string }>(
  label: string,
  mirror: string,
  all: readonly SnapshotOffer<O>[],
): readonly O[] {
  const own = all.flatMap(({ offer, found }) => {
    const moment = found?.moment ?? null;
    return moment?.isProven === true && moment.mirror === mirror ? [{ offer, ...moment }] : [];
  });
  const best = own.reduce<(typeof own)[number] | null>((last, one) => (last === null || isLater(one, last) ? one : last), null);
  if (best !== null) return own.filter((one) => !isLater(best, one)).map(({ offer }) => offer);
  const others = all.filter(({ found }) => found !== null).map(({ offer }) => offer.server);
  if (others.length === 0) throw new RsError('E_UNKNOWN_VOLUME', `No server in reach has snapshot ${label} of the mirror`);
  throw new RsError(
    'E_VOLUME',
    `Snapshot ${label} on ${others.join(', ')} is not one of the mirror: it is of that replica only, which may have lacked writes; rsconfig volume clone ${label} NEW --server ${others[0] ?? 'S'} makes a volume of it`,
  );
}

interface Order {
  readonly term: number;
  readonly number: number;
}

function isLater(one: Order, other: Order): boolean {
  return one.term > other.term || (one.term === other.term && one.number > other.number);
}

/** For a snapshot of a mirror, reduces the offers to the servers that have the snapshot. Other choices are returned unchanged. */
export async function provenChoice({ label, offers }: Choice<ServerOffer>): Promise<Choice<ServerOffer>> {
  const mirror = offers[0]?.mirror ?? null;
  if (mirror === null) return { label, offers };
  const connected = offers.filter(({ isConnected }) => isConnected);
  // Without a connected server, the attach itself fails with a message that names the servers.
  if (connected.length === 0) return { label, offers };
  const all = await Promise.all(connected.map(async (offer) => ({ offer, found: await snapshotAt(offer, mirror) })));
  return { label, offers: provenOf(label, mirror, all) };
}

/**
 * Returns the snapshot that the server has of its replica. Returns null if the replica's name differs from the mirror's, because the server
 * would then not find the snapshot under the requested name.
 */
async function snapshotAt({ from, name, universe }: ServerOffer, mirror: string): Promise<SnapshotView | null> {
  const { volume, snapshot } = servedNameParts(name);
  const own = from.volumes.find((one) => one.mirror === mirror);
  if (own?.name !== volume || own.universe !== universe) return null;
  const answer = await from.callAdmin('volume-show', { name: volume, universe }, SNAPSHOT_SHOW_MS).catch(() => null);
  if (misfit(SERVER_METHODS['volume-show'].result, answer) !== null) return null;
  return (answer as ServerMethods['volume-show']['result']).snapshots.find((one) => one.snapshot === snapshot) ?? null;
}
