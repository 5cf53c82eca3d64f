// Which servers offer a snapshot of a mirror (M22): those whose replica has it proven, at the latest moment of that name. Invariant: the snapshot
// of a replica that its mirror has not confirmed, or an earlier one on a server that was away, is never attached as the mirror's.

import { SERVER_METHODS, type ServerMethods } from '@rsio/common/control/server/server-methods';
import type { SnapshotView } from '@rsio/common/control/server/views';
import { misfit } from '@rsio/common/lib/shape';
import { RsError } from '@rsio/common/lib/errors';
import { servedNameParts } from '@rsio/common/lib/volume-name';
import { SNAPSHOT_SHOW_MS } from './limits.ts';
import type { Choice, ServerOffer } from './offers.ts';

/** An offer with the snapshot of that name that its server has; null: it has none, or does not say. */
export interface SnapshotOffer<O> {
  readonly offer: O;
  readonly found: SnapshotView | null;
}

/** Returns the offers of the snapshot of the mirror. Throws E_UNKNOWN_VOLUME, and E_VOLUME if there are only others of its name. */
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

/** The choice with the servers that have the snapshot. That of a plain volume stays as it is. */
export async function provenChoice({ label, offers }: Choice<ServerOffer>): Promise<Choice<ServerOffer>> {
  const mirror = offers[0]?.mirror ?? null;
  if (mirror === null) return { label, offers };
  const connected = offers.filter(({ isConnected }) => isConnected);
  // Without a path, the attach says which servers are missing.
  if (connected.length === 0) return { label, offers };
  const all = await Promise.all(connected.map(async (offer) => ({ offer, found: await snapshotAt(offer, mirror) })));
  return { label, offers: provenOf(label, mirror, all) };
}

/** A server that calls its replica otherwise than the mirror cannot be asked for the snapshot by the name of the mirror. */
async function snapshotAt({ from, name, universe }: ServerOffer, mirror: string): Promise<SnapshotView | null> {
  const { volume, snapshot } = servedNameParts(name);
  const own = from.volumes.find((one) => one.mirror === mirror);
  if (own?.name !== volume || own.universe !== universe) return null;
  const answer = await from.callAdmin('volume-show', { name: volume, universe }, SNAPSHOT_SHOW_MS).catch(() => null);
  if (misfit(SERVER_METHODS['volume-show'].result, answer) !== null) return null;
  return (answer as ServerMethods['volume-show']['result']).snapshots.find((one) => one.snapshot === snapshot) ?? null;
}
