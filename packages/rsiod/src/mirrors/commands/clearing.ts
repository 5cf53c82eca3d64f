// Removes a mirror's traces from a server that no longer belongs to the mirror: the mark of the replica, the record and, if requested, the
// volume. Invariants: a member keeps its mark. The mark is removed before the volume. The record is removed last, because it proves to a
// repeated command that the volume was a replica. If something cannot be removed, a message names it and the command that removes it. Never
// throws.

import { toRsError } from '@rsio/base/lib/errors';
import { VOTED } from '@rsio/protocol/wire/mirror-messages';
import { connected, mayBeMember, type MirrorChange, nameOf } from './change.ts';
import { VOTE_ASK_MS, VOTE_CHANGE_MS } from '../limits.ts';
import { type MirrorServer, vote } from './mirror-server.ts';
import type { Remains } from './remains.ts';
import { done } from '../votes/verdicts.ts';
import { removeVolume, setAside } from './volumes.ts';

export interface Clearing {
  /** True if the server no longer votes, so that its record is removed. */
  readonly record: boolean;
  /** The volume that is or was the replica; null if none is known. */
  readonly volume: { readonly name: string; readonly universe: number } | null;
  /**
   * `aside`: the volume becomes a plain volume with another name. `removed`: the volume is removed and can be restored for a day.
   * `deleted`: the volume is deleted for good.
   */
  readonly volumeBecomes: 'aside' | 'removed' | 'deleted';
}

export interface Cleared {
  /** Warnings about a server that is unreachable. */
  readonly warnings: readonly string[];
  /** Sentences about objects that a reachable server may still have, each with the command that removes the object. */
  readonly left: readonly string[];
}

const NOTHING: Cleared = { warnings: [], left: [] };

export async function clearServer(change: MirrorChange, serverid: number, wanted: Clearing, newId: () => string): Promise<Cleared> {
  const name = nameOf(change, serverid);
  const remedy = remedyOf(change, name, wanted);
  const server = connected(change, serverid);
  const away = server === null ? 'it is not connected' : (server.trouble?.message ?? null);
  if (server === null || away !== null)
    return {
      warnings: [
        `Server ${name} may keep a replica that is out of date and a record (${away ?? ''}): when it is back, ${remedy} removes what it has`,
      ],
      left: [],
    };
  const { hasRecord, isFounded, why } = await unmark(change, server);
  if (why !== null)
    return { warnings: [], left: [`server ${name} may still belong to the mirror (${why}): ${remedy} removes what it has`] };
  const volume = wanted.volume === null ? NOTHING : await clearVolume(change, server, wanted.volume, wanted.volumeBecomes, newId);
  if (!isFounded && !(hasRecord && wanted.record)) return volume;
  if (volume.left.length > 0) return { ...volume, warnings: [...volume.warnings, recordStays(change, name, remedy)] };
  const kept = await dismiss(change, server);
  return kept === null ? volume : { ...volume, left: [`server ${name} may keep its record of the mirror (${kept}): ${remedy} removes it`] };
}

/** Clears a server that has no replica. If a client holds the volume that was a replica, the volume and the mirror's record stay. */
export async function clearRemains(
  change: MirrorChange,
  serverid: number,
  { volume, held, hasRecord }: Remains,
  wanted: Omit<Clearing, 'volume'>,
  newId: () => string,
): Promise<Cleared> {
  if (held === null) return await clearServer(change, serverid, { ...wanted, volume }, newId);
  const name = nameOf(change, serverid);
  const stays = wanted.record && hasRecord ? [recordStays(change, name, remedyOf(change, name, wanted))] : [];
  return { warnings: stays, left: [held] };
}

function remedyOf({ label }: MirrorChange, name: string, { volumeBecomes }: Pick<Clearing, 'volumeBecomes'>): string {
  return `rsconfig mirror detach ${label} --server ${name}${volumeBecomes === 'aside' ? '' : ' --volume'}`;
}

function recordStays({ label }: MirrorChange, name: string, remedy: string): string {
  return `Server ${name} keeps its record of mirror ${label} as long as that volume is there: ${remedy} removes both`;
}

interface Unmarked {
  readonly hasRecord: boolean;
  /** True if the server had no record, so the command created a record only to remove the mark. */
  readonly isFounded: boolean;
  /** Reason why the replica may still be marked; null if the mark has been removed. */
  readonly why: string | null;
}

async function unmark({ survey, held, term: number }: MirrorChange, server: MirrorServer): Promise<Unmarked> {
  const { mirror, name, universe } = survey;
  let [hasRecord, isFounded] = [false, false];
  try {
    if (mayBeMember(held, server.serverid)) return { hasRecord, isFounded, why: 'it may be a member' };
    const known = await server.vote({ kind: 'record', mirror }, VOTE_ASK_MS);
    hasRecord = known.voted !== VOTED.UNKNOWN;
    const isMarked = hasRecord ? known.replica !== null : server.volumes.some((one) => one.mirror === mirror);
    if (!isMarked) return { hasRecord, isFounded, why: null };
    // A server removes a mark only for a term that its record has promised. A server without a record therefore gets a new record first.
    isFounded = !hasRecord;
    if (isFounded) await vote(server, { kind: 'found', mirror, name, universe });
    await vote(server, { kind: 'claim', mirror, number, takesOver: true });
    await vote(server, { kind: 'unplace', mirror, number });
    return { hasRecord, isFounded, why: null };
  } catch (thrown) {
    return { hasRecord, isFounded, why: toRsError(thrown).message };
  }
}

/** Removes the record. Returns the reason why the server may still have the record; null if the record is gone. */
async function dismiss({ survey: { mirror }, term: number }: MirrorChange, server: MirrorServer): Promise<string | null> {
  try {
    // A server removes a record only for a term that the record has promised. The record may have promised another term or no term, so the
    // term is claimed first.
    const claimed = await server.vote({ kind: 'claim', mirror, number, takesOver: true }, VOTE_CHANGE_MS);
    if (claimed.voted === VOTED.UNKNOWN) return null;
    done(claimed, server.name);
    const answer = await server.vote({ kind: 'dismiss', mirror, number }, VOTE_CHANGE_MS);
    if (answer.voted !== VOTED.UNKNOWN) done(answer, server.name);
    return null;
  } catch (thrown) {
    return toRsError(thrown).message;
  }
}

async function clearVolume(
  { survey: { namespace } }: MirrorChange,
  server: MirrorServer,
  volume: NonNullable<Clearing['volume']>,
  becomes: Clearing['volumeBecomes'],
  newId: () => string,
): Promise<Cleared> {
  if (becomes !== 'aside') {
    const { left, isUnknown } = await removeVolume(server, { namespace, ...volume }, becomes, newId);
    return left === null || isUnknown ? NOTHING : { warnings: [], left: [left] };
  }
  const { said, isSetAside, isGone } = await setAside(server, { namespace, ...volume }, newId);
  if (isGone) return NOTHING;
  return isSetAside ? { warnings: [said], left: [] } : { warnings: [], left: [said] };
}
