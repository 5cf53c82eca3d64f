// Finds what a server without a replica still has of a mirror: a record, a volume that is still marked, or the plain volume that an
// interrupted command has left. Invariants: a plain volume counts only if it has the name, universe and size of the mirror, and if its
// server votes for the mirror or has a record of the mirror. A volume that a client holds or that belongs to another mirror is never
// offered for removal.

import type { ManagedVolumeView } from '@rsio/api/views/views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { VolumeEntry } from '@rsio/protocol/wire/messages';
import type { VoteAnswer } from '@rsio/protocol/wire/mirror-messages';
import { VOTE_ASK_MS } from '../limits.ts';
import { type MirrorServer, SILENCES } from './mirror-server.ts';
import { connected, isVoter, type MirrorChange, nameOf } from './change.ts';

export interface Remains {
  /** The error with which the server has failed to answer; null if the server has answered. */
  readonly silence: RsError | null;
  readonly hasRecord: boolean;
  /**
   * The volume that was the replica, whether or not it is still marked as a replica; null if the server has no such volume or if the volume
   * must not be removed.
   */
  readonly volume: { readonly name: string; readonly universe: number } | null;
  /** Sentence which says that the volume must stay because a client holds it; null if no client holds the former replica. */
  readonly held: string | null;
}

type Shown = Pick<VolumeEntry, 'sizeBytes' | 'holders' | 'mirror'>;

const NOTHING: Remains = { silence: null, hasRecord: false, volume: null, held: null };

/** Asks the server itself, because a survey asks only servers that the configuration names or that list a replica. */
export async function remainsAt(change: MirrorChange, serverid: number): Promise<Remains> {
  const server = connected(change, serverid);
  if (server === null) return { ...NOTHING, silence: new RsError('E_NO_PATH', 'it is not connected') };
  if (server.trouble !== null) return { ...NOTHING, silence: server.trouble };
  try {
    const answer = await server.vote({ kind: 'record', mirror: change.held.mirror }, VOTE_ASK_MS);
    return await remainsOf(change, server, answer);
  } catch (thrown) {
    return { ...NOTHING, silence: toRsError(thrown) };
  }
}

async function remainsOf(change: MirrorChange, server: MirrorServer, { voter, replica }: VoteAnswer): Promise<Remains> {
  const { survey } = change;
  const hasRecord = voter !== null;
  if (replica !== null) return { ...NOTHING, hasRecord, volume: { name: replica.volume, universe: replica.universe } };
  const marked = hasRecord ? undefined : server.volumes.find((one) => one.mirror === survey.mirror);
  if (marked !== undefined) return { ...NOTHING, volume: { name: marked.name, universe: marked.universe } };
  // Without a record or a vote, nothing proves that a volume with the name of the mirror was its replica.
  if (!hasRecord && !isVoter(change, server.serverid)) return NOTHING;
  const { name, universe } = survey;
  const shown = await show(server, { name, universe });
  if (shown === null || shown.sizeBytes !== change.config.sizeBytes || (shown.mirror ?? survey.mirror) !== survey.mirror)
    return { ...NOTHING, hasRecord };
  const [holder] = shown.holders;
  return holder === undefined
    ? { ...NOTHING, hasRecord, volume: { name, universe } }
    : { ...NOTHING, hasRecord, held: heldText(change, server, holder.node) };
}

/**
 * Returns the volume with this name that the server has now; null if the server has no such volume, or if the volume cannot have been a
 * replica. Throws an error if the server does not answer.
 */
async function show(server: MirrorServer, { name, universe }: { readonly name: string; readonly universe: number }): Promise<Shown | null> {
  try {
    const { volume } = (await server.callAdmin('volume-show', { name, universe }, VOTE_ASK_MS)) as { readonly volume: ManagedVolumeView };
    const { sizeBytes, holders, mirror, image } = volume;
    return sizeBytes === null || image !== null ? null : { sizeBytes, holders, mirror: mirror ?? undefined };
  } catch (thrown) {
    const error = toRsError(thrown);
    if (error.code === 'E_UNKNOWN_VOLUME') return null;
    if (SILENCES.includes(error.code)) throw error;
    // A server may refuse `volume-show`, for example a witness that gives this client no rights. If the server refuses, this function looks
    // for the volume in the list of volumes that the server offers to this client.
    return server.volumes.find((one) => one.name === name && one.universe === universe) ?? null;
  }
}

function heldText({ survey, label }: MirrorChange, { name }: MirrorServer, node: string): string {
  const volume = volumeLabel(survey);
  return `server ${name} has a volume ${volume} that was a replica of mirror ${label}, and client ${node} holds it: detach it there (rsconfig -d ${volume}), and repeat the command`;
}

/** Returns a text such as `big-8 still has a record`; null if the server has nothing that a command can remove. */
export function leftoverText(change: MirrorChange, serverid: number, { hasRecord, volume, held }: Remains): string | null {
  const record = hasRecord && !isVoter(change, serverid) ? ['a record'] : [];
  const parts = [...(volume === null && held === null ? [] : ['a volume that was a replica']), ...record];
  return parts.length === 0 ? null : `${nameOf(change, serverid)} still has ${parts.join(' and ')}`;
}
