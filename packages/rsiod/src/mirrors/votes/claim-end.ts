// Decides whether a client that has lost a mirror still counts as its holder, and ends its claim. Pure. commands/access.ts gives the order.
// Invariant: a claim is ended only by the order that takes the mirror away from its client, and only after a replica in sync has proven that
// nothing of this client is executed there any more. No claim of a third client is ended.

// Design.
// The hold of a plain volume is at its server, and `volume-revoke` ends it. The hold of a mirror has a second half, the promise of its
// voters. While a majority of them has promised the term of a lost client, the next client is refused, as it must be. Only the order that
// takes the mirror away knows that the lost client was given up. With `endClaim`, this order therefore ends the promise as well: it claims a
// higher term for the asker, which never serves under it. The next client then attaches the mirror without a take-over.
//
// - Consent is the order itself. ControllerUnpublishVolume gives it, about one client. Nodes never take over. An order of a person does not end
//   the claim, because rsapp decides by the holder that the voters name.
// - Proof: servers with a replica have executed H6 (`taken`), and one of these replicas is in sync by the highest configuration (M8, M15).
// - The record of consent is durable: the lists of clients at the servers, and the higher term at a majority of the voters (Q2).
// - A client that comes back finds its handles revoked (H6), and a higher term at a majority (M16). It may not claim where it is not listed.
// - A repeated order finds a majority above the client's terms, and claims nothing. It takes nothing from the next client.
// - An order that was interrupted half-way leaves the client as holder, or a claim of the asker at a minority, which is raised.
// - Names do not count: the asker gives the id of the mirror, and voters count by their ids, so that a new mirror of the name is not touched.

import type { MirrorConfig, VoteAnswer } from '@rsio/protocol/wire/mirror-messages';
import { hasMajority } from '@rsio/protocol/mirror/membership/quorums';
import { compareTerms } from '@rsio/base/structures/term-order';
import { highestConfig, highestPromise, holderOf, nextNumber } from './verdicts.ts';

export interface Revoked {
  /** The client that has lost the mirror, and the client that gives the order. */
  readonly client: string;
  readonly asker: string;
  /** Identities of the replicas whose servers have executed the order. */
  readonly taken: ReadonlySet<string>;
}

/** The answers of voters with their records, by serverid. */
export type Records = ReadonlyMap<number, VoteAnswer>;

/** `ended`: the client does not hold the mirror. `claim`: the asker must claim this number. `held`: the client may hold the mirror. */
export type Verdict =
  | { readonly kind: 'ended' }
  | { readonly kind: 'claim'; readonly number: number }
  | { readonly kind: 'held'; readonly why: string };

export function judge({ client, asker, taken }: Revoked, records: Records): Verdict {
  const known = [...records.values()];
  const [stored, promise] = [highestConfig(known), highestPromise(known)];
  if (stored === null) return held('no voter that answers has a configuration');
  const isFree = holderOf(stored, promise) === null;
  const isEverywhere = stored.config.members.every(({ identity }) => taken.has(identity));
  // A client that has detached sends nothing more (M13), and no server lets it attach the mirror again. A record of a minority may be older
  // than the claim of the client, or newer than what a majority knows of its end.
  const knowsEnd = ({ stored: of, promise: by }: VoteAnswer): boolean => of !== null && holderOf(of, by) === null;
  if (isFree && isEverywhere && majorityOf(records, stored.config, promise?.node === client ? knowsEnd : () => true))
    return { kind: 'ended' };
  if (!stored.config.inSync.some((identity) => taken.has(identity)))
    return held(`no server with a replica in sync has taken the mirror away from ${client}`);
  if (!majorityOf(records, stored.config, () => true)) return held('no majority of the voters answers');
  const has = stored.config.clean ? null : stored.term.node;
  if (has !== null && has !== client && has !== asker) {
    // A later term of the revoked client at a minority takes nothing from the next client, and must not be a reason to do so.
    const isOther = majorityOf(records, stored.config, (one) => one.promise !== null && one.promise.node !== client);
    return isOther ? { kind: 'ended' } : held(`client ${has} has the mirror, and ${client} claims it`);
  }
  if (promise?.node === client) return { kind: 'claim', number: nextNumber(known) };
  if (isFree) return held(`the mirror is free, and ${client} may attach it at the servers that have not executed the order`);
  // The terms of the client, as far as a majority knows them.
  const own = [...known.map((one) => one.promise), stored.term].filter((term) => term?.node === client);
  const isAbove = ({ promise: of }: VoteAnswer): boolean => of !== null && own.every((term) => term === null || compareTerms(of, term) > 0);
  if (majorityOf(records, stored.config, isAbove)) return { kind: 'ended' };
  // An earlier order of the asker was interrupted.
  if (promise?.node === asker) return { kind: 'claim', number: nextNumber(known) };
  const other = promise?.node ?? '?';
  return held(`client ${other} is claiming the mirror: if ${other} has ended, attach the mirror here with --take-over, and detach it`);
}

function majorityOf(records: Records, config: MirrorConfig, has: (answer: VoteAnswer) => boolean): boolean {
  const counted = [...records.values()].filter(has).map(({ voter }) => voter);
  return hasMajority(config, (voter) => counted.includes(voter));
}

function held(why: string): Verdict {
  return { kind: 'held', why };
}
