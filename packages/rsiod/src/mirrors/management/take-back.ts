// Removes what an unfinished creation of a mirror has made: marks, volumes and records. Invariants: nothing is removed if another client has
// claimed the mirror; a mark is removed before its volume and its record; what could not be removed is named with the command that removes
// it. Never throws.

import { toRsError } from '@rsio/common/lib/errors';
import { NAME_MAX_BYTES } from '@rsio/common/lib/limits';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import { severalAtOnce } from '@rsio/common/structures/concurrency';
import { VOTED } from '@rsio/protocol/wire/mirror/messages';
import { REPLICA_VOLUME_MS, VOTE_CHANGE_MS } from './limits.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { Made, MirrorPlan } from './plan.ts';

/** The end of the name of a volume that was a replica. */
const ASIDE = '-detached';

/** What is known of the record of a server: this command has claimed it, there is none, another client has claimed it, or why it is unknown. */
type Claim = 'ours' | 'none' | 'other' | { readonly unknown: string };

/** Returns a sentence for each thing that is left. */
export async function takeBack(plan: MirrorPlan, made: Made, newId: () => string): Promise<string[]> {
  const servers = plan.voters.filter((server) => made.volumes.has(server) || made.records.has(server));
  const atAll = <R>(work: (server: MirrorServer) => Promise<R>): Promise<R[]> => severalAtOnce(servers, Math.max(1, servers.length), work);
  const claims = await atAll((server) => claimAgain(plan, made, server));
  if (claims.includes('other'))
    return [`another client has claimed the mirror meanwhile: rsconfig mirror remove ${volumeLabel(plan)} removes it when nobody has it`];
  const claimOf = new Map(servers.map((server, index) => [server, claims[index] ?? 'none']));
  const left = await atAll((server) => takeBackAt(plan, made, server, claimOf.get(server) ?? 'none', newId));
  return left.flat();
}

/** A claim of the same term is answered like the first one. It says whether the mirror is still this command's own. */
async function claimAgain({ mirror }: MirrorPlan, made: Made, server: MirrorServer): Promise<Claim> {
  if (!made.records.has(server)) return 'none';
  try {
    if (server.trouble !== null) throw server.trouble;
    const { voted, sentence } = await server.vote({ kind: 'claim', mirror, number: made.number, takesOver: false }, VOTE_CHANGE_MS);
    if (voted === VOTED.DONE) return 'ours';
    if (voted === VOTED.UNKNOWN) return 'none';
    return voted === VOTED.SUPERSEDED || voted === VOTED.HELD ? 'other' : { unknown: sentence };
  } catch (thrown) {
    return { unknown: toRsError(thrown).message };
  }
}

async function takeBackAt(plan: MirrorPlan, made: Made, server: MirrorServer, claim: Claim, newId: () => string): Promise<string[]> {
  const { name } = server;
  const label = volumeLabel(plan);
  const why = claim === 'ours' ? await dismissed(plan, made, server) : typeof claim === 'object' ? claim.unknown : null;
  if (why !== null && made.marks.has(server) && server === plan.kept)
    return [
      `server ${name} may still have a replica (${why}), which has the data of the volume: rsconfig mirror remove ${label} --force makes it a plain volume; if that finds no mirror, rsadm volume split does, on the server`,
    ];
  if (why !== null && made.marks.has(server))
    return [
      `server ${name} may still have a replica (${why}): rsconfig mirror remove ${label} --volumes --force removes it; if that finds no mirror, rsconfig volume remove ${label} --server ${name} removes the volume`,
    ];
  const left =
    why === null ? [] : [`server ${name} may have a record of the mirror (${why}): on it, rsadm witness remove ${plan.mirror} removes it`];
  const volume = made.volumes.get(server);
  const remedy = `rsconfig volume remove ${label} --server ${name} removes it`;
  if (volume === 'unsure') left.push(`server ${name} may have created volume ${label}: ${remedy}`);
  if (volume !== 'made') return left;
  try {
    const kept = await deleteVolume(server, plan, newId);
    if (kept !== null) left.push(kept);
  } catch (thrown) {
    left.push(`server ${name} still has volume ${label} (${toRsError(thrown).message}): ${remedy}`);
  }
  return left;
}

/**
 * Removes a volume that a failed command has made, and deletes it for good: as a removed volume, it could come back empty under the name of
 * the mirror. Returns a sentence if only the removal was possible. Throws if it was not.
 */
export async function deleteVolume(
  server: MirrorServer,
  { namespace, name, universe }: Pick<MirrorPlan, 'namespace' | 'name' | 'universe'>,
  newId: () => string,
): Promise<string | null> {
  const answer = await server.callAdmin('volume-remove', { name, universe, request: newId() }, REPLICA_VOLUME_MS);
  const { removed } = answer as { readonly removed?: { readonly id?: unknown } };
  try {
    await server.callAdmin('volume-purge', { name, universe, id: String(removed?.id), olderMs: 0, request: newId() }, REPLICA_VOLUME_MS);
    return null;
  } catch (thrown) {
    const label = volumeLabel({ namespace, name, universe });
    return `server ${server.name} keeps the removed volume ${label} for a day (${toRsError(thrown).message}): rsconfig volume purge ${label} --server ${server.name} deletes it`;
  }
}

/** Removes the mark, then the record. Returns why one of them may still be there; null if none is. */
async function dismissed({ mirror }: MirrorPlan, { number, marks }: Made, server: MirrorServer): Promise<string | null> {
  try {
    if (marks.has(server)) {
      const unmarked = await server.vote({ kind: 'unplace', mirror, number }, VOTE_CHANGE_MS);
      if (unmarked.voted !== VOTED.DONE) return unmarked.sentence;
    }
    const { voted, sentence } = await server.vote({ kind: 'dismiss', mirror, number }, VOTE_CHANGE_MS);
    return voted === VOTED.DONE || voted === VOTED.UNKNOWN ? null : sentence;
  } catch (thrown) {
    return toRsError(thrown).message;
  }
}

/**
 * Gives a volume that was a replica, and is out of date from now on, another name: with the name of the mirror, a client could attach it by
 * mistake. `said`: its new name, or the command that renames it. `isGone`: the server has no such volume. Never throws.
 */
export async function setAside(
  server: MirrorServer,
  namespace: string,
  { name, universe }: { readonly name: string; readonly universe: number },
  newId: () => string,
): Promise<{ readonly said: string; readonly isSetAside: boolean; readonly isGone: boolean; readonly newName: string }> {
  const newName = `${name.slice(0, NAME_MAX_BYTES - ASIDE.length)}${ASIDE}`;
  const label = volumeLabel({ namespace, name, universe });
  try {
    await server.callAdmin('volume-rename', { name, universe, newName, newUniverse: universe, request: newId() }, REPLICA_VOLUME_MS);
    const aside = volumeLabel({ namespace, name: newName, universe });
    return {
      said: `Server ${server.name} keeps what was its replica as volume ${aside}, which is out of date from now on`,
      isSetAside: true,
      isGone: false,
      newName,
    };
  } catch (thrown) {
    const remedy = `rsconfig volume rename ${label} NEW --server ${server.name}, or rsconfig volume remove ${label} --server ${server.name}`;
    const { code, message: why } = toRsError(thrown);
    return {
      said: `server ${server.name} offers volume ${label}, which has the name of the mirror and is out of date (${why}): ${remedy}`,
      isSetAside: false,
      isGone: code === 'E_UNKNOWN_VOLUME',
      newName: name,
    };
  }
}
