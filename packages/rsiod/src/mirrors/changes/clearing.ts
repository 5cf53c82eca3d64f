// Removes what a server has of a mirror to which it does not belong any more: the mark of its replica, its record, and the volume if that is
// wanted. Invariants: a member keeps its mark; the mark goes before the record and the volume; what could not be removed is named with the
// command that removes it. Never throws.

import { toRsError } from '@rsio/common/lib/errors';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import { VOTED, type VoteAnswer } from '@rsio/protocol/wire/mirror/messages';
import { REPLICA_VOLUME_MS, VOTE_ASK_MS, VOTE_CHANGE_MS } from '../management/limits.ts';
import type { MirrorServer } from '../management/mirror-server.ts';
import { deleteVolume, setAside } from '../management/take-back.ts';
import { done } from '../management/verdicts.ts';
import { connected, type MirrorChange, nameOf } from './change.ts';
import { mayBeMember } from './held-mirror.ts';

export interface Clearing {
  /** The server does not vote any more. */
  readonly record: boolean;
  /** The volume that is, or was, the replica; null: none is known, and none is touched. */
  readonly volume: { readonly name: string; readonly universe: number } | null;
  /** It stays as a plain volume with another name, is removed, or is deleted for good. */
  readonly volumeBecomes: 'aside' | 'removed' | 'deleted';
}

export interface Cleared {
  /** About a server that is away. */
  readonly warnings: readonly string[];
  /** What a server that answers still has. */
  readonly left: readonly string[];
}

export async function clearServer(change: MirrorChange, serverid: number, wanted: Clearing, newId: () => string): Promise<Cleared> {
  const { label } = change;
  const name = nameOf(change, serverid);
  const remedy = `rsconfig mirror detach ${label} --server ${name}${wanted.volumeBecomes === 'aside' ? '' : ' --volume'}`;
  const server = connected(change, serverid);
  const away = server === null ? 'it is not connected' : (server.trouble?.message ?? null);
  if (server === null || away !== null)
    return {
      warnings: [
        `Server ${name} may keep a replica that is out of date and a record (${away ?? ''}): when it is back, ${remedy} removes what it has`,
      ],
      left: [],
    };
  const why = await dissolve(change, server, wanted.record);
  if (why !== null)
    return { warnings: [], left: [`server ${name} may still belong to the mirror (${why}): ${remedy} removes what it has`] };
  if (wanted.volume === null) return { warnings: [], left: [] };
  if (wanted.volumeBecomes !== 'aside')
    return { warnings: [], left: await removeVolume(change, server, wanted.volume, wanted.volumeBecomes, newId) };
  const { said, isSetAside } = await setAside(server, change.survey.namespace, wanted.volume, newId);
  return isSetAside ? { warnings: [said], left: [] } : { warnings: [], left: [said] };
}

/** Returns why the mark or the record may still be there; null if neither is. */
async function dissolve({ survey, held, term: number }: MirrorChange, server: MirrorServer, record: boolean): Promise<string | null> {
  const { mirror, name, universe } = survey;
  try {
    if (mayBeMember(held, server.serverid)) return 'it may be a member';
    const known = await server.vote({ kind: 'record', mirror }, VOTE_ASK_MS);
    const hasRecord = known.voted !== VOTED.UNKNOWN;
    const isMarked = hasRecord ? known.replica !== null : server.volumes.some((one) => one.mirror === mirror);
    if (!isMarked && (!hasRecord || !record)) return null;
    // A mark is removed in the name of a term, so the server needs a record that has promised it.
    if (!hasRecord) done(await server.vote({ kind: 'found', mirror, name, universe }, VOTE_CHANGE_MS), server.name);
    done(await server.vote({ kind: 'claim', mirror, number, takesOver: true }, VOTE_CHANGE_MS), server.name);
    if (isMarked) done(await server.vote({ kind: 'unplace', mirror, number }, VOTE_CHANGE_MS), server.name);
    if (!record && hasRecord) return null;
    const answer: VoteAnswer = await server.vote({ kind: 'dismiss', mirror, number }, VOTE_CHANGE_MS);
    if (answer.voted !== VOTED.UNKNOWN) done(answer, server.name);
    return null;
  } catch (thrown) {
    return toRsError(thrown).message;
  }
}

async function removeVolume(
  { survey: { namespace } }: MirrorChange,
  server: MirrorServer,
  volume: NonNullable<Clearing['volume']>,
  becomes: 'removed' | 'deleted',
  newId: () => string,
): Promise<string[]> {
  try {
    if (becomes === 'deleted') {
      const kept = await deleteVolume(server, { namespace, ...volume }, newId);
      return kept === null ? [] : [kept];
    }
    await server.callAdmin('volume-remove', { ...volume, request: newId() }, REPLICA_VOLUME_MS);
    return [];
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    if (code === 'E_UNKNOWN_VOLUME') return [];
    const label = volumeLabel({ namespace, ...volume });
    return [
      `server ${server.name} still has volume ${label} (${message}): rsconfig volume remove ${label} --server ${server.name} removes it`,
    ];
  }
}
