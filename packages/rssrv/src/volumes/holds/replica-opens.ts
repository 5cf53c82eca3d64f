// Decides whether a client may open a replica of a mirror (docs/PROTOCOL.md Q6). Pure. holds.ts calls `refusedReplica` in the turn of the
// volume. Invariants: a replica is opened only under the term that this server has promised, and only when no hold of another term is left.
// A volume that is not a replica is opened without a term.

import type { OpenRequest } from '@rsio/protocol/wire/messages';
import type { Term } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { type Claimant, type Hold, holdersOf, type Refusal, type VolumeHolds } from './hold-rules.ts';

export interface MirrorPromise {
  readonly name: string;
  /** The highest term that was claimed at this server; null if no term was claimed. */
  readonly promise: Term | null;
  /** The data process of the client that has claimed the promised term; missing for the main process. */
  readonly dataProcess?: number | undefined;
}

type Replica = Pick<ServedVolume, 'name' | 'replica'>;

/**
 * Returns the refusal if the rules of mirrors forbid an OPEN; null if they permit the OPEN. `promiseOf` returns null for an unknown
 * mirror.
 */
export function refusedReplica(
  { name, replica }: Replica,
  { holds }: VolumeHolds,
  client: Claimant,
  { mirror }: OpenRequest,
  promiseOf: (mirror: string) => MirrorPromise | null,
): Refusal | null {
  if (replica === undefined)
    return mirror === null ? null : refused(STATUS.REPLICA, `Volume ${name} is no replica of a mirror: place it there again`, holds);
  if (mirror === null) return refused(STATUS.REPLICA, isReplica(name, replica.mirror, promiseOf(replica.mirror)), holds);
  if (mirror.mirror !== replica.mirror)
    return refused(STATUS.REPLICA, `Volume ${name} is a replica of mirror ${replica.mirror}, and not of ${mirror.mirror}`, holds);
  const promise = promiseOf(mirror.mirror)?.promise ?? null;
  const term = { number: mirror.number, node: client.node, instance: client.instance };
  const order = promise === null ? 1 : compareTerms(term, promise);
  if (promise !== null && order < 0) return refused(STATUS.TAKEN, takenText(name, promise), holds);
  if (order > 0)
    return refused(STATUS.UNCLAIMED, `Term ${mirror.number} of the mirror of volume ${name} must be claimed here first`, holds);
  if (holds.every((hold) => isOfTerm(hold, term))) return null;
  return refused(STATUS.UNCLAIMED, `Volume ${name} is still open by an earlier term of its mirror: claim the mirror here again`, holds);
}

/** Returns the refusal for a client that opens a replica like an ordinary volume. */
export function isReplica(volume: string, mirror: string, known: MirrorPromise | null): string {
  const named = known === null ? mirror : `${known.name} (${mirror})`;
  return `Volume ${volume} is a replica of mirror ${named}: attach the mirror`;
}

export function isOfTerm({ term: number, node, instance }: Hold, term: Term): boolean {
  return number !== undefined && compareTerms({ number, node, instance }, term) === 0;
}

function takenText(volume: string, { node, number }: Term): string {
  return `Client ${node} has claimed the mirror of volume ${volume} with the higher term ${number}`;
}

function refused(status: Status, sentence: string, holds: readonly Hold[]): Refusal {
  return { kind: 'refused', status, sentence, holders: holdersOf(holds) };
}
